package features

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"dashi/pipeline/attribute"
	"dashi/pipeline/event"
	"dashi/pipeline/expr"
	"dashi/pipeline/recipe"
)

// Column is one feature.
type Column struct {
	Name  string
	Words bool // a text, even if it looks like a number
	value func(*expr.Env) event.Value
}

// Columns are the attributes of these names; without names, all that a score can read but for the scores themselves.
func Columns(p *recipe.Program, names []string) ([]Column, error) {
	var all []Column
	var known []string
	for i := range p.Attributes {
		a := &p.Attributes[i]
		if usable := a.Type == attribute.Number || a.Type == attribute.String || a.Type == attribute.Bool; usable {
			known = append(known, a.Name)
			if slices.Contains(names, a.Name) || len(names) == 0 && !a.Scored {
				all = append(all, Column{Name: a.Name, Words: a.Type == attribute.String, value: a.Value})
			}
		}
	}
	for _, name := range names {
		if !slices.Contains(known, name) {
			return nil, fmt.Errorf("no attribute %q that is a number, a text or a condition; there are: %s", name, strings.Join(known, ", "))
		}
	}
	if len(names) > 0 { // in the order in which they were asked for
		slices.SortStableFunc(all, func(a, b Column) int { return slices.Index(names, a.Name) - slices.Index(names, b.Name) })
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("the cookbook has no attributes that are numbers, texts or conditions")
	}
	return all, nil
}

// InputsOf are the inputs of a score, under the names that its model has for them.
func InputsOf(p *recipe.Program, name string) ([]Column, error) {
	var scores []string
	for i := range p.Attributes {
		a := &p.Attributes[i]
		if a.Score == nil {
			continue
		}
		scores = append(scores, a.Name)
		if a.Name != name {
			continue
		}
		var all []Column
		for k, in := range a.Score.Model.Inputs() {
			all = append(all, Column{Name: in.Name, Words: in.Words != nil, value: func(env *expr.Env) event.Value { return a.Score.Input(k, env) }})
		}
		return all, nil
	}
	return nil, fmt.Errorf("no score %q in the cookbook; there are: %s", name, strings.Join(scores, ", "))
}

// cell is a value as text; "" where there is none.
func cell(v event.Value) string {
	switch v.Kind {
	case event.Number:
		return strconv.FormatFloat(math.Float64frombits(v.Bits), 'g', -1, 64)
	case event.Bool:
		return strconv.FormatBool(v.Bits != 0)
	case event.String:
		return string(v.Str)
	}
	return ""
}
