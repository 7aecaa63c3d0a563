package expr

import (
	"regexp"
	"slices"
	"sort"
	"strings"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"

	"dashi/pipeline/spell"
)

var overloadError = regexp.MustCompile(`^found no matching overload for '(.+)' applied to '(.*)'$`)

// checkError puts the first of the checker's complaints into words.
func (t *tree) checkError(issues *cel.Issues) *Error {
	errs := append([]*cel.Error(nil), issues.Errors()...)
	sort.SliceStable(errs, func(i, j int) bool {
		a, b := errs[i].Location, errs[j].Location
		return a.Line() < b.Line() || a.Line() == b.Line() && a.Column() < b.Column()
	})
	first := errs[0]
	e, ok := t.nodes[first.ExprID]
	if !ok {
		return &Error{Line: max(1, first.Location.Line()), Column: first.Location.Column() + 1, Message: plainTypes(first.Message)}
	}
	if m := overloadError.FindStringSubmatch(first.Message); m != nil {
		return t.overload(e, m[1], splitTypes(m[2]))
	}
	switch m := first.Message; {
	case strings.HasPrefix(m, "undeclared reference to "):
		return t.unknownFunction(e, strings.Split(m, "'")[1])
	case strings.HasSuffix(m, "does not support field selection"):
		return t.fail(e, "`"+t.text(operand(e))+"` is "+plainTypes(strings.Split(m, "'")[1])+": it has no fields to select with a dot", "")
	case strings.Contains(m, "cannot be range of a comprehension"):
		return t.fail(e, "`"+t.text(e)+"` is "+plainTypes(strings.Split(m, "'")[1])+": only sets, tallies and lists can be looped over", "")
	case strings.HasPrefix(m, "expected type "):
		q := strings.Split(m, "'")
		if len(q) >= 4 {
			hint := ""
			if q[1] == "bool" {
				hint = "compare it with something"
			}
			return t.fail(e, "`"+t.text(e)+"` is "+plainTypes(q[3])+" where "+plainTypes(q[1])+" is needed", hint)
		}
	}
	return t.fail(e, plainTypes(first.Message), "")
}

func operand(e ast.Expr) ast.Expr {
	if e.Kind() == ast.SelectKind {
		return e.AsSelect().Operand()
	}
	return e
}

// splitTypes cuts "(a, list(b))" or "a.(b)" into its types; a receiver counts as the first.
func splitTypes(s string) []string {
	var out []string
	if i := strings.Index(s, ".("); i > 0 {
		out = append(out, s[:i])
		s = s[i+1:]
	}
	s = strings.TrimSuffix(strings.TrimPrefix(s, "("), ")")
	depth, start := 0, 0
	for i, c := range s {
		switch c {
		case '(':
			depth++
		case ')':
			depth--
		case ',':
			if depth == 0 {
				out = append(out, strings.TrimSpace(s[start:i]))
				start = i + 1
			}
		}
	}
	if last := strings.TrimSpace(s[start:]); last != "" {
		out = append(out, last)
	}
	return out
}

// plainType says in words what CEL calls a type.
func plainType(t string) string {
	switch {
	case t == "double" || t == "int" || t == "uint":
		return "a number"
	case t == "string":
		return "a string"
	case t == "bool":
		return "a condition"
	case strings.HasSuffix(t, "Timestamp") || t == "timestamp":
		return "a time"
	case strings.HasSuffix(t, "Duration") || t == "duration":
		return "a duration"
	case strings.HasPrefix(t, "list("):
		inner := strings.TrimPrefix(plainType(t[5:len(t)-1]), "a ")
		return "a set or list of " + inner + "s"
	case strings.HasPrefix(t, "map("):
		return "a tally"
	}
	return "a " + t
}

var typeNames = regexp.MustCompile(`\b(google\.protobuf\.Timestamp|google\.protobuf\.Duration|timestamp|duration|double|int|uint|string|bool|list\([a-z.A-Z]*\)|map\([a-z.A-Z, ]*\))$`)

// plainTypes is plainType for a text that is a type, and the text itself otherwise.
func plainTypes(s string) string {
	if typeNames.FindString(s) == s && s != "" {
		return plainType(s)
	}
	return s
}

// overload explains an operator or a function that cannot take what it was given.
func (t *tree) overload(e ast.Expr, function string, given []string) *Error {
	text := ": `" + t.text(e) + "`"
	words := make([]string, len(given))
	for i, g := range given {
		words[i] = plainType(g)
	}
	if len(given) == 2 {
		if err := t.twoSided(e, function, given, words, text); err != nil {
			return err
		}
	}
	switch function {
	case operators.LogicalNot:
		return t.fail(e, "`!` needs a condition, not "+words[0]+text, "")
	case operators.Negate:
		return t.fail(e, "`-` needs a number, not "+words[0]+text, "")
	case operators.Conditional:
		if given[0] != "bool" {
			return t.fail(e, "`?` needs a condition before it, not "+words[0]+text, "")
		}
		return t.fail(e, "both outcomes of `? :` must be of one type, not "+words[1]+" and "+words[2]+text, "")
	}
	got := strings.Join(words, " and ")
	if got == "" {
		got = "nothing"
	}
	if function == "contains" && len(given) == 2 && (strings.HasPrefix(given[0], "list(") || strings.HasPrefix(given[0], "map(")) {
		return t.fail(e, "`contains` cannot take "+got+text, "whether an element is there is written with `in`, as in \"P1\" in owned")
	}
	if f, ok := functionWords[function]; ok {
		return t.fail(e, "`"+function+"` cannot take "+got+text, "write "+f.usage)
	}
	return t.fail(e, "`"+function+"` cannot take "+got+text, "")
}

// twoSided explains an operator between two operands.
func (t *tree) twoSided(e ast.Expr, function string, given, words []string, text string) *Error {
	a, b := words[0], words[1]
	switch function {
	case operators.Equals, operators.NotEquals:
		return t.fail(e, "cannot compare "+a+" with "+b+text, compareHint(given))
	case operators.Less, operators.LessEquals, operators.Greater, operators.GreaterEquals:
		if given[0] == given[1] {
			return t.fail(e, strings.TrimPrefix(a, "a ")+"s have no order"+text, "")
		}
		return t.fail(e, "cannot compare "+a+" with "+b+text, compareHint(given))
	case operators.LogicalAnd, operators.LogicalOr:
		sign := map[string]string{operators.LogicalAnd: "&&", operators.LogicalOr: "||"}[function]
		wrong := a
		if given[0] == "bool" {
			wrong = b
		}
		return t.fail(e, "`"+sign+"` needs conditions on both sides, not "+wrong+text, "")
	case operators.Add:
		hint := ""
		if a != b && (given[0] == "string" || given[1] == "string") {
			hint = "string(x) makes a string of a number, a condition or a time"
		}
		return t.fail(e, "cannot add "+a+" and "+b+text, hint)
	case operators.Subtract:
		return t.fail(e, "cannot subtract "+b+" from "+a+text, "")
	case operators.Multiply:
		return t.fail(e, "cannot multiply "+a+" by "+b+text, "")
	case operators.Divide, operators.Modulo:
		return t.fail(e, "cannot divide "+a+" by "+b+text, "")
	case operators.In:
		if strings.HasPrefix(given[1], "list(") || strings.HasPrefix(given[1], "map(") {
			return t.fail(e, "cannot look for "+a+" in "+b+text, "")
		}
		return t.fail(e, "`in` needs a set, a tally or a list on its right, not "+b+text, inHint(given))
	case operators.Index:
		return t.fail(e, "cannot take element "+b+" of "+a+text, "")
	}
	return nil
}

func compareHint(given []string) string {
	has := func(t string) bool { return strings.HasSuffix(given[0], t) || strings.HasSuffix(given[1], t) }
	switch {
	case has("Timestamp") && has("string") || has("timestamp") && has("string"):
		return `a time is written timestamp("2026-01-31T12:00:00Z"), and that it is longer ago than 30 days now - x > duration("30d")`
	case (has("Duration") || has("duration")) && (has("string") || has("double")):
		return `a duration is written duration("30d")`
	case has("double") && has("string"):
		return "numbers are written without quotes"
	case has("imestamp") && has("double"):
		return `a time is written timestamp("2026-01-31")`
	case has("bool") && has("double"):
		return "a range is written x > 3 && x < 5"
	case (strings.HasPrefix(given[0], "map(") || strings.HasPrefix(given[1], "map(")) && has("string"):
		return `write "x" in tally, tally["x"] > 3 or favourite(tally) == "x"`
	}
	return ""
}

func inHint(given []string) string {
	if given[0] == "string" && given[1] == "string" {
		return `a part of a string is found with x.contains("part")`
	}
	return ""
}

// unknownFunction explains a call of something that is not there.
func (t *tree) unknownFunction(e ast.Expr, name string) *Error {
	var known []string
	for f := range functionWords {
		known = append(known, f)
	}
	sort.Strings(known)
	if near := spell.Closest(name, known); near != "" {
		return t.fail(e, "unknown function `"+name+"`; did you mean `"+near+"`?", "write "+functionWords[near].usage)
	}
	return t.fail(e, "unknown function `"+name+"`", "there are "+strings.Join(slices.DeleteFunc(known, func(f string) bool { return strings.HasPrefix(f, "get") }), ", ")+"; of times getHours, getDate and the like")
}
