package recipe

import (
	"cmp"
	"maps"
	"math"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"dashi/pipeline/expr"
	"dashi/pipeline/spell"
)

// where says what an expression of a recipe may read.
type where struct {
	event      bool
	each       string // the array whose elements are item
	attributes bool
	all        bool // it may read audiences and consent too
	clock      bool // now is allowed
	wakes      bool // somebody is woken when time changes the outcome, so it must be computable when that is
}

// compile compiles the expression at n; what names it in messages. It returns nil and reports what is wrong. It does not report that an expression reads
// something broken, which has been reported itself.
func (c *compiler) compile(d *document, n *yaml.Node, what string, w where, want expr.Type) *expr.Expr {
	if c.errors >= maxDiagnostics {
		return nil // nobody would read more of them, and each costs a walk through the file
	}
	src := strings.TrimRight(n.Value, " \n")
	for _, name := range c.reads(src) {
		s := c.names[name]
		if s.bad {
			return nil
		}
		if hint := c.refuseName(s, w); hint != "" {
			c.report(d, n, "the "+what+" reads the "+s.what+" "+quote(name), hint)
			return nil
		}
	}
	if c.people != nil && !c.knowsPeople(d, n, what, src) {
		return nil
	}
	r := &reader{b: c.builder, each: w.each, want: want}
	scope := expr.Scope{Field: r.field, FieldNames: r.names, Event: w.event, Item: w.each != ""}
	if w.attributes {
		scope.Attributes = c.scope.Attributes
	}
	if w.all {
		scope.Audiences, scope.Purposes, scope.Level = c.scope.Audiences, c.scope.Purposes, c.level
	}
	if c.people != nil {
		scope.Level = nil // accounts are not compared with each other
	}
	x, err := expr.Compile(src, &scope, want)
	if err != nil {
		told := *err
		told.Hint = cmp.Or(c.elsewhere(err, w), err.Hint)
		if said := r.declaration(err.Message); said != "" {
			told.Hint = strings.TrimPrefix(told.Hint+"; "+said, "; ")
		}
		c.reportExpression(d, n, what, r, &told)
		return nil
	}
	if x.UsesNow && !w.clock {
		c.report(d, n, "the "+what+" depends on `now`", "use `time`, the event's own time: now differs from one delivery to the next")
		return nil
	}
	if w.wakes && x.Unscheduled != nil {
		c.reportExpression(d, n, what, r, x.Unscheduled)
		return nil
	}
	if x.Void != nil {
		void := c.findingOf(d, n, what, r, x.Void)
		void.Severity = Warning
		c.add(void)
	}
	if x.Interpreted {
		c.warn(d, n, "the "+what+" is run by the interpreter, which is some ten times slower: "+x.Why, "")
	}
	return x
}

// noName is what to do about a name that is nowhere: who writes a recipe beside a base, and checks it alone, meets it first.
const noName = "no recipe of this cookbook has an attribute or audience of this name: check this file together with the one that has it (dashi check BASE FILE); a text stands in quotes"

// noConsent is what to do about consent where accounts are asked for it.
const noConsent = "consent is given by people: an account has none; count those who have given it"

// elsewhere is the hint for a name that an expression cannot know because it belongs to another recipe, or to people; "" for other errors.
func (c *compiler) elsewhere(err *expr.Error, w where) string {
	switch {
	case c.people != nil && (strings.HasPrefix(err.Message, "unknown purpose `") || strings.HasPrefix(err.Message, "`consent` needs a purpose")):
		return noConsent
	case w.attributes && strings.HasPrefix(err.Message, "unknown name `") && !strings.Contains(err.Message, "did you mean"):
		name, _, _ := strings.Cut(strings.TrimPrefix(err.Message, "unknown name `"), "`")
		if near := spell.Closest(name, slices.Sorted(maps.Keys(c.names))); near != "" { // one that has an error of its own
			return "did you mean " + quote(near) + "?"
		}
		return noName
	}
	return ""
}

// knowsPeople says whether an expression of accounts asks about people as it must; if not, that has been reported.
func (c *compiler) knowsPeople(d *document, n *yaml.Node, what, src string) bool {
	for _, call := range expr.PeopleCalls(src) {
		for _, name := range call.Names() {
			if c.names[name] == nil || c.names[name].bad {
				return false
			}
		}
	}
	for _, name := range expr.Names(src) {
		if s := c.people.names[name]; s != nil && c.names[name] == nil {
			hint := "ask people.count(" + name + "), or people.any, all or none"
			if s.what == "attribute" {
				hint = "ask people.sum(" + name + "), or people.avg, min or max; or keep it for the account in an attribute of its own"
			}
			c.report(d, n, "the "+what+" reads "+quote(name)+", an "+s.what+" of people", hint)
			return false
		}
	}
	return true
}

// refuseName says why an attribute or audience cannot be read here; "" when it can.
func (c *compiler) refuseName(s *symbol, w where) string {
	switch {
	case s.what == "attribute" && !w.attributes:
		return "a value comes from the event alone, so that the order of events is of no matter; compute with attributes in a `derived` one"
	case s.what == "audience" && !w.all:
		return "only audiences and the `where` of activations can read audiences"
	}
	return ""
}

// reads lists the attributes and audiences that src mentions, in order, each once. An expression that
// does not parse mentions none: the compiler will say why.
func (c *compiler) reads(src string) []string {
	return slices.DeleteFunc(expr.Names(src), func(name string) bool { return c.names[name] == nil })
}

// reportExpression reports an error of the expression compiler.
func (c *compiler) reportExpression(d *document, n *yaml.Node, what string, r *reader, err *expr.Error) {
	c.add(c.findingOf(d, n, what, r, err))
}

// findingOf puts an error of the expression compiler where it stands in the file.
func (c *compiler) findingOf(d *document, n *yaml.Node, what string, r *reader, err *expr.Error) Diagnostic {
	line, column := locate(d.source.Text, n, err.Line, err.Column)
	message, hint := err.Message, err.Hint
	if r.explain != "" && strings.Contains(message, r.path) {
		message, hint = r.explain, r.hint
	}
	if strings.HasPrefix(message, "invalid ") && strings.HasSuffix(message, " literal") { // cel-go's words, for a number
		message, hint = "a number is too large to be exact", "identifiers and card numbers are strings: put it in quotes"
	}
	if path, ok := strings.CutPrefix(message, "unknown field `"); ok && hint == "" && !strings.Contains(message, "did you mean") {
		path = strings.TrimSuffix(path, "`")
		if rest, ok := strings.CutPrefix(path, "item."); ok {
			path = r.each + "[]." + rest
		}
		hint = "if your events have it, declare its type under fields, as in `" + path + ": " + r.kind() + "`"
	}
	return Diagnostic{File: d.source.Name, Line: line, Column: column, Message: what + ": " + message, Hint: hint}
}

// locate finds the line and column of the file at which character (line, column) of the scalar n stands.
// YAML may have folded, indented or quoted the text, but it changes white space only, apart from escapes:
// so the same number of visible characters lies before the place in both.
func locate(source []byte, n *yaml.Node, line, column int) (int, int) {
	visible := visibleBefore(n.Value, line, column)
	past := visible == visibleBefore(n.Value, math.MaxInt, 1) // the place is behind the last character: do not run on into what follows
	text := []rune(string(source))
	at, l, col := 0, 1, 1
	step := func() {
		if text[at] == '\n' {
			l, col = l+1, 1
		} else {
			col++
		}
		at++
	}
	for at < len(text) && (l < n.Line || l == n.Line && col < n.Column) {
		step()
	}
	start, startColumn := l, col
	switch n.Style &^ yaml.TaggedStyle {
	case yaml.LiteralStyle, yaml.FoldedStyle:
		for at < len(text) && l == start {
			step()
		}
	case yaml.SingleQuotedStyle, yaml.DoubleQuotedStyle:
		if at < len(text) {
			step()
		}
	}
	end, endColumn := start, startColumn
	for at < len(text) {
		blank := text[at] == ' ' || text[at] == '\n' || text[at] == '\r' || text[at] == '\t'
		if !blank {
			if visible == 0 && !past {
				return l, col
			}
			if visible == 0 {
				return end, endColumn
			}
			visible--
			pair := n.Style&yaml.SingleQuotedStyle != 0 && text[at] == '\'' || n.Style&yaml.DoubleQuotedStyle != 0 && text[at] == '\\'
			if pair && at+1 < len(text) {
				step()
			}
			end, endColumn = l, col+1
		}
		step()
	}
	return end, endColumn
}

// visibleBefore counts the characters before a place that are no white space.
func visibleBefore(s string, line, column int) int {
	n, l, col := 0, 1, 1
	for _, r := range s {
		if l > line || l == line && col >= column {
			break
		}
		if r != ' ' && r != '\n' && r != '\r' && r != '\t' {
			n++
		}
		if r == '\n' {
			l, col = l+1, 1
		} else {
			col++
		}
	}
	return n
}
