package expr

import (
	"errors"
	"fmt"
	"regexp"
	"regexp/syntax"
	"slices"
	"strconv"
	"strings"

	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/types"

	"dashi/pipeline/say"
	"dashi/pipeline/spell"
	"dashi/pipeline/zone"
)

// checkLiterals refuses strings that cannot be what the function around them reads them as. It runs before
// anything is compiled, so that expressions for the interpreter are checked as well.
func (t *tree) checkLiterals(e ast.Expr) *Error {
	c := e.AsCall()
	if len(c.Args()) != 1 {
		return nil
	}
	arg := c.Args()[0]
	var s types.String
	written := false
	if arg.Kind() == ast.LiteralKind {
		s, written = arg.AsLiteral().(types.String)
	}
	name := c.FunctionName()
	if name == "matches" && !written {
		return t.fail(arg, "the pattern of `matches` must be written out: `"+t.text(e)+"`", "a pattern that comes with an event could take any time to match")
	}
	if !written {
		return nil
	}
	var err error
	switch name {
	case "timestamp":
		_, err = parseTime(string(s))
	case "duration":
		_, err = parseDuration(string(s))
	case "double":
		_, err = parseNumber(string(s))
	case "matches":
		if err = checkPattern(string(s)); err != nil {
			return t.fail(arg, err.Error()+": `"+t.text(arg)+"`", "patterns are in RE2 syntax")
		}
	default:
		if _, ok := partNamed(name); ok && c.IsMemberFunction() {
			if _, err = parseHours(string(s)); err != nil {
				hint := ""
				if near := zone.Near(string(s)); near != "" {
					hint = "did you mean " + strconv.Quote(near) + "?"
				}
				return t.fail(arg, err.Error()+": `"+t.text(arg)+"`", hint)
			}
		}
	}
	if err != nil {
		return t.fail(arg, err.Error()+": `"+t.text(arg)+"`", "")
	}
	return nil
}

// noteVoid notes a division by a zero that is written out.
func (t *tree) noteVoid(e ast.Expr) {
	c := e.AsCall()
	if name := c.FunctionName(); name != operators.Divide && name != operators.Modulo || len(c.Args()) != 2 {
		return
	}
	by := c.Args()[1]
	if by.Kind() != ast.LiteralKind {
		return
	}
	switch v := by.AsLiteral().(type) {
	case types.Int:
		if v != 0 {
			return
		}
	case types.Uint:
		if v != 0 {
			return
		}
	case types.Double:
		if v != 0 {
			return
		}
	default:
		return
	}
	t.void = t.fail(e, "`"+t.text(e)+"` divides by zero: it never has a value, and no comparison with it is true", "")
}

// noteChoice notes a comparison of an attribute that has few values with a text that is none of them.
func (r *resolver) noteChoice(e ast.Expr, bound []string) {
	c := e.AsCall()
	name, args := c.FunctionName(), c.Args()
	if len(args) != 2 || name != operators.Equals && name != operators.NotEquals && name != operators.In && name != operators.OldIn {
		return
	}
	of, with := args[0], args[1:]
	switch {
	case of.Kind() == ast.LiteralKind && name != operators.In:
		of, with = args[1], args[:1]
	case with[0].Kind() == ast.ListKind:
		with = with[0].AsList().Elements()
	}
	if of.Kind() != ast.IdentKind || isLoopName(of, bound) {
		return
	}
	choices := r.scope.Attributes[of.AsIdent()].Choices
	for _, w := range with {
		if w.Kind() != ast.LiteralKind || choices == nil {
			continue
		}
		text, ok := w.AsLiteral().(types.String)
		if !ok || slices.Contains(choices, string(text)) {
			continue
		}
		hint := "it is one of " + strings.Join(choices, ", ")
		if near := spell.Closest(string(text), choices); near != "" {
			hint = "did you mean " + strconv.Quote(near) + "? " + hint
		}
		r.tree.void = r.tree.fail(w, "`"+of.AsIdent()+"` is never "+say.Quote(string(text)), hint)
		return
	}
}

// checkPattern parses a pattern and bounds its program: a match takes up to its size times that of the string.
func checkPattern(s string) error {
	parsed, err := syntax.Parse(s, syntax.Perl)
	if err != nil {
		return errors.New("the pattern is not a regular expression: " + strings.TrimPrefix(err.Error(), "error parsing regexp: "))
	}
	program, err := syntax.Compile(parsed.Simplify())
	if err == nil {
		_, err = regexp.Compile(s)
	}
	if err != nil {
		return fmt.Errorf("the pattern does not compile: %w", err)
	}
	if len(program.Inst) > maxRegexp {
		return fmt.Errorf("the pattern has %d steps; at most %d are allowed", len(program.Inst), maxRegexp)
	}
	return nil
}
