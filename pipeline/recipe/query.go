package recipe

import (
	"slices"

	"dashi/pipeline/expr"
)

// Condition compiles a condition over profiles as it would stand in an audience: attributes, audiences, consent and now.
// It is what queries are made of.
func (p *Program) Condition(source string) (*expr.Expr, *expr.Error) {
	return expr.Compile(source, p.scope(), expr.BoolType)
}

// Explain is the condition of an audience in parts, for whoever asks why somebody is in it or not.
func (p *Program) Explain(audience int) ([]expr.Part, *expr.Error) {
	return expr.Explain(p.Audiences[audience].Source, p.scope())
}

// scope is what a condition over profiles may read.
func (p *Program) scope() *expr.Scope {
	scope := expr.Scope{Attributes: map[string]expr.AttributeRef{}, Audiences: map[string]int{}, Purposes: map[string]int{}}
	for i := range p.Attributes {
		a := &p.Attributes[i]
		ref := expr.AttributeRef{Index: i, Type: a.Type, Kind: a.Kind, Timed: a.Timed, Slot: a.Slot, Reads: a.Reads}
		if a.Kind == nil {
			ref.Num, ref.Str, ref.Truth, ref.Clock = a.Num, a.Str, a.Truth, a.Clock
		}
		scope.Attributes[a.Name] = ref
	}
	for i := range p.Audiences {
		scope.Audiences[p.Audiences[i].Name] = i
	}
	scope.Level = func(attribute string, percent float64) (int, string) {
		i := slices.IndexFunc(p.Levels, func(l Level) bool { return p.Attributes[l.Attribute].Name == attribute && l.Percent == percent })
		if i < 0 {
			return 0, "the threshold of that percentage is not kept: no audience of the cookbook asks for it"
		}
		return i, ""
	}
	for i, name := range p.Purposes {
		scope.Purposes[name] = i
	}
	return &scope
}
