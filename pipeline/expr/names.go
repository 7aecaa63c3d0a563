package expr

import (
	"slices"

	"cel.dev/cel-go/common/ast"
)

// eventRoots are the names that are never anything but parts of an event.
var eventRoots = map[string]bool{"type": true, "time": true, "item": true, "properties": true, "traits": true, "context": true, "places": true}

// celWords are the reserved words of CEL's grammar.
var celWords = []string{"as", "break", "const", "continue", "else", "false", "for", "function", "if", "import", "in",
	"let", "loop", "namespace", "null", "package", "return", "true", "var", "void", "while"}

// Reserved says whether a name means something in every expression, or cannot be written in any, so that no
// attribute and no audience may have it.
func Reserved(name string) bool {
	return name == "now" || name == "consent" || eventRoots[name] || slices.Contains(celWords, name)
}

// Names lists the names that an expression begins its paths with, in their order, each once, without those of
// loops: of a.b > c[d] they are a, c and d. It is how a caller finds what to compile first. An expression that
// does not parse has none; Compile says why.
func Names(src string) []string {
	if checkSource(src) != nil {
		return nil
	}
	parsed, issues := language().Parse(src)
	if issues.Err() != nil || depth(parsed.NativeRep().Expr()) > MaxDepth {
		return nil
	}
	var names []string
	collectNames(parsed.NativeRep().Expr(), nil, &names)
	return names
}

func collectNames(e ast.Expr, bound []string, names *[]string) {
	switch e.Kind() {
	case ast.IdentKind:
		if n := e.AsIdent(); !slices.Contains(bound, n) && !slices.Contains(*names, n) {
			*names = append(*names, n)
		}
	case ast.ComprehensionKind:
		c := e.AsComprehension()
		collectNames(c.IterRange(), bound, names)
		collectNames(c.AccuInit(), bound, names)
		inner := append(slices.Clone(bound), c.IterVar(), c.IterVar2(), c.AccuVar())
		for _, part := range []ast.Expr{c.LoopCondition(), c.LoopStep(), c.Result()} {
			collectNames(part, inner, names)
		}
	default:
		if asksPeople(e) && !slices.Contains(bound, peopleName) {
			return // what it names is of people, not of the account
		}
		for _, child := range children(e) {
			collectNames(child, bound, names)
		}
	}
}
