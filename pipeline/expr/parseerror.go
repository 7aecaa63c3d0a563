package expr

import (
	"regexp"
	"strings"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/ast"
)

const (
	tooDeep  = "the expression nests too deep"
	makePart = "make a derived attribute or an audience of a part of it"
)

// unexpected matches what the parser says about a piece of text that does not fit.
var unexpected = regexp.MustCompile(`^(token recognition error at:|mismatched input|extraneous input|no viable alternative at input) '(.*?)'( expecting.*)?$`)

// parseError puts the parser's first complaint into words, with a hint for the slips of people who come
// from SQL or another language.
func parseError(src string, issues *cel.Issues) *Error {
	errs := issues.Errors()
	first := errs[0]
	for _, e := range errs[1:] {
		if gaveUp(e) {
			continue
		}
		if gaveUp(first) || e.Location.Line() < first.Location.Line() || e.Location.Line() == first.Location.Line() && e.Location.Column() < first.Location.Column() {
			first = e
		}
	}
	message, hint := strings.TrimPrefix(first.Message, "Syntax error: "), slip(src)
	switch {
	case strings.Contains(message, "recursion") || strings.Contains(message, "depth"):
		message, hint = tooDeep, makePart
	case strings.HasPrefix(message, "expression count exceeds"):
		message, hint = "the expression is too large", makePart
	case gaveUp(first):
		message = "this is not an expression"
	case strings.Contains(message, "'<EOF>'"):
		message = "the expression ends too early"
	default:
		if m := unexpected.FindStringSubmatch(message); m != nil {
			message = "unexpected `" + strings.TrimSpace(m[2]) + "`"
		}
	}
	return &Error{
		Line: max(1, first.Location.Line()), Column: max(1, first.Location.Column()+1),
		Message: message, Hint: hint,
	}
}

// gaveUp says whether an error is only about the parser's search for more errors.
func gaveUp(e *cel.Error) bool { return strings.Contains(e.Message, "error recovery") }

// outside matches what stands in quotes, so that it can be left out of the search for slips.
var outside = regexp.MustCompile(`"(\\.|[^"\\])*"|'(\\.|[^'\\])*'`)

var slips = []struct {
	found *regexp.Regexp
	hint  string
}{
	{regexp.MustCompile(`(?i)\bbetween\b`), "write x >= 1 && x <= 5 for between"},
	{regexp.MustCompile(`(?i)\band\b`), "write && for and"},
	{regexp.MustCompile(`(?i)\bor\b`), "write || for or"},
	{regexp.MustCompile(`(?i)\bnot\b`), "write ! for not"},
	{regexp.MustCompile(`(^|[^=!<>])=([^=]|$)`), "write == to compare"},
	{regexp.MustCompile(`<>`), "write != for not equal"},
	{regexp.MustCompile(`===|!==`), "write == or !="},
	{regexp.MustCompile("[\u2018\u2019\u201c\u201d]"), `use straight quotes: "`},
	{regexp.MustCompile(`(^|[^&])&([^&]|$)`), "write && for and"},
	{regexp.MustCompile(`(^|[^|])\|([^|]|$)`), "write || for or"},
	{regexp.MustCompile(`(?i)\bis\s+(not\s+)?null\b`), "write known(x) or !known(x)"},
	{regexp.MustCompile(`["']`), "a quote is not closed"},
	{regexp.MustCompile("[\u2012-\u2015\u2212]"), "write - for minus"},
	{regexp.MustCompile(`\b\d+(ms|[smhdw])\b`), `a duration is written duration("30d")`},
	{regexp.MustCompile(`(?i)\b\d+ ?(minute|hour|day|week|month|year)s?\b`), `a duration is written duration("30d")`},
	{regexp.MustCompile(`\bin\s*\(`), `a list stands in brackets: x in ["a", "b"]`},
	{regexp.MustCompile(`(?i)\blike\b`), `a part of a text is found with x.contains("part"), x.startsWith("part") or x.matches("pattern")`},
	{regexp.MustCompile(`\d,\d\d\d\b`), "a number has no commas: 1000"},
	{regexp.MustCompile(`(?i)\b(if|then)\b`), "a condition stands alone; a value that depends on one is CONDITION ? THIS : THAT"},
	{regexp.MustCompile(`[€$£¥]`), "a number stands without its unit"},
}

// slip recognises a common mistake in an expression that does not parse.
func slip(src string) string {
	bare := outside.ReplaceAllString(src, "0")
	if strings.Contains(strings.ToLower(bare), "null") && slips[10].found.MatchString(bare) {
		return slips[10].hint
	}
	for _, s := range slips {
		if s.found.MatchString(bare) {
			return s.hint
		}
	}
	if open, shut := strings.Count(bare, "("), strings.Count(bare, ")"); open != shut {
		if open > shut {
			return "a ( is not closed"
		}
		return "there is a ) too many"
	}
	return ""
}

// tooDeep refuses trees that nest deeper than MaxDepth, as chains of + do without any parentheses.
func (t *tree) tooDeep(e ast.Expr) *Error {
	if depth(e) > MaxDepth {
		return t.fail(e, tooDeep, makePart)
	}
	return nil
}

func depth(e ast.Expr) int {
	deepest := 0
	if e.Kind() == ast.ComprehensionKind {
		c := e.AsComprehension()
		for _, part := range []ast.Expr{c.IterRange(), c.AccuInit(), c.LoopCondition(), c.LoopStep(), c.Result()} {
			deepest = max(deepest, depth(part))
		}
		return deepest + 1
	}
	for _, child := range children(e) {
		deepest = max(deepest, depth(child))
	}
	return deepest + 1
}
