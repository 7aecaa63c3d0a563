package recipetest

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"dashi/pipeline/attribute"
	"dashi/pipeline/event"
	"dashi/pipeline/expr"
	"dashi/pipeline/recipe"
	"dashi/shard"
)

// coverage notes what the tests touched. A rule counts when it updated its attribute or its purpose: the runner's program is a copy of
// the cookbook's in which the conditions and values of rules, otherwise the same closures, also say that they were used. An
// audience counts when somebody was in it, an activation when it left, a mapping when it read a row.
type coverage struct {
	program    *recipe.Program
	attributes map[string]*recipe.Attribute
	audiences  map[string]int // those of accounts after those of people
	accounts   map[string]*recipe.Attribute
	names      []string // of audiences, by index

	rules       map[string]*bool // by what it is called
	order       []string         // of rules, as the cookbook has them
	entered     []bool           // by audience
	activations map[string]bool
	mappings    map[string]bool
}

func newCoverage(p *recipe.Program) *coverage {
	c := &coverage{attributes: map[string]*recipe.Attribute{}, audiences: map[string]int{}, accounts: map[string]*recipe.Attribute{}, rules: map[string]*bool{},
		entered: make([]bool, len(p.AllAudiences())), activations: map[string]bool{}, mappings: map[string]bool{}}
	for i := range p.Attributes {
		c.attributes[p.Attributes[i].Name] = &p.Attributes[i]
	}
	for i, d := range p.AllAudiences() {
		c.audiences[d.Name] = i
		c.names = append(c.names, d.Name)
	}
	copied := *p
	copied.Rules = c.noteRules(p, "")
	if p.Accounts != nil {
		of := p.Accounts.Program
		for i := range of.Attributes {
			c.accounts[of.Attributes[i].Name] = &of.Attributes[i]
		}
		accounts, program := *p.Accounts, *of
		program.Rules = c.noteRules(of, "account ")
		accounts.Program = &program
		copied.Accounts = &accounts
	}
	c.program = &copied
	return c
}

// noteRules copies the rules of a program so that they say when they are used. kind stands before their names.
func (c *coverage) noteRules(p *recipe.Program, kind string) [][]recipe.Rule {
	copied := make([][]recipe.Rule, len(p.Rules))
	every := map[string]int{} // rules for every event, which each list has
	for t, rules := range p.Rules {
		copied[t] = slices.Clone(rules)
		seen := map[string]int{}
		for i := range rules {
			name := kind + c.ruleName(p, &rules[i], t, seen, every)
			if c.rules[name] == nil {
				c.rules[name] = new(bool)
				c.order = append(c.order, name)
			}
			copied[t][i] = noting(rules[i], c.rules[name])
		}
	}
	return copied
}

// ruleName is "attribute X on Order Completed", with the operation where there are two, and a number where several are alike.
func (c *coverage) ruleName(p *recipe.Program, r *recipe.Rule, t int, seen, every map[string]int) string {
	name := "consent"
	if r.Attribute >= 0 {
		a := &p.Attributes[r.Attribute]
		name = "attribute " + a.Name
		if r.Op == attribute.Remove {
			name += " (remove, lower)"
		} else if r.Op == attribute.Touch {
			name += " (session)"
		}
	} else {
		name += " " + p.Purposes[r.Purpose]
	}
	seen[name]++
	n := seen[name]
	if t == 0 {
		every[name] = n
	}
	on := ""
	if t > 0 && n > every[name] {
		on = " on " + p.Schema.Types[t-1]
		n -= every[name]
	}
	if n > 1 {
		on += " #" + strconv.Itoa(n)
	}
	return name + on
}

// noting is the rule with its last question also saying that it was answered.
func noting(r recipe.Rule, used *bool) recipe.Rule {
	if value := r.Value; value != nil {
		r.Value = func(e *expr.Env) event.Value {
			v := value(e)
			*used = *used || v.Kind != event.Absent
			return v
		}
		r.Field, r.Item = 0, 0 // it has to be asked
		return r
	}
	where := r.Where
	r.Where = func(e *expr.Env) expr.Truth {
		if where != nil {
			if answer := where(e); answer != expr.True {
				return answer
			}
		}
		*used = true
		return expr.True
	}
	return r
}

func (c *coverage) sizes(s *shard.Shard) {
	for i := range c.entered {
		c.entered[i] = c.entered[i] || s.AudienceSize(i) > 0
	}
}

func (c *coverage) activated(name string) {
	c.activations[name] = true
	if i, ok := c.audiences[name]; ok { // also one that was entered and left between two steps
		c.entered[i] = true
	}
}

func (c *coverage) mapped(name string) { c.mappings[name] = true }

// attributesOf are those of what an identifier names: a person, or an account.
func (c *coverage) attributesOf(id string) map[string]*recipe.Attribute {
	if isAccount(id) {
		return c.accounts
	}
	return c.attributes
}

func isAccount(id string) bool { return strings.HasPrefix(id, recipe.AccountNamespace+":") }

func (c *coverage) audienceNames() []string { return slices.Sorted(maps.Keys(c.audiences)) }

// Coverage says how many of the cookbook's rules the tests touched, and names the others.
type Coverage struct {
	Touched, Rules int
	Untouched      []string
}

// Coverage of all that has been run.
func (r *Runner) Coverage() Coverage {
	c := r.cover
	var out Coverage
	note := func(touched bool, name string) {
		out.Rules++
		if touched {
			out.Touched++
		} else {
			out.Untouched = append(out.Untouched, name)
		}
	}
	for _, name := range c.order {
		note(*c.rules[name], name)
	}
	for i, name := range c.names {
		note(c.entered[i], "audience "+name)
	}
	for _, a := range allActivations(r.program) {
		note(c.activations[a.Name], "activation "+a.Name)
	}
	for _, name := range slices.Sorted(maps.Keys(r.program.Mappings)) {
		note(c.mappings[name], "mapping "+name)
	}
	return out
}

// String is one line.
func (c Coverage) String() string {
	s := fmt.Sprintf("%d of %d rules touched", c.Touched, c.Rules)
	const named = 5
	for i, name := range c.Untouched[:min(named, len(c.Untouched))] {
		if i == 0 {
			s += "; not: "
		} else {
			s += ", "
		}
		s += name
	}
	if more := len(c.Untouched) - named; more > 0 {
		s += fmt.Sprintf(" and %d more (--cover lists them)", more)
	}
	return s
}
