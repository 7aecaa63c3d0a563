package expr

import (
	"strings"

	"cel.dev/cel-go/common"
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/parser"
)

// tree is the parsed expression as the person wrote it, for messages. The resolver works on another copy.
type tree struct {
	lines []string
	info  *ast.SourceInfo
	nodes map[int64]ast.Expr
	next  int64
	void  *Error // of Expr.Void
}

func newTree(src string, parsed *ast.AST) *tree {
	original := ast.Copy(parsed)
	t := &tree{lines: strings.Split(src, "\n"), info: original.SourceInfo(), nodes: map[int64]ast.Expr{}}
	ast.PostOrderVisit(original.Expr(), ast.NewExprVisitor(func(e ast.Expr) {
		t.nodes[e.ID()] = e
		t.next = max(t.next, e.ID())
	}))
	for id := range t.info.OffsetRanges() {
		t.next = max(t.next, id)
	}
	return t
}

// fresh is an id for a node that stands in the place of another; messages about it show the other.
func (t *tree) fresh(like ast.Expr) int64 {
	t.next++
	t.nodes[t.next] = t.nodes[like.ID()]
	if r, ok := t.info.GetOffsetRange(like.ID()); ok {
		t.info.SetOffsetRange(t.next, r)
	}
	return t.next
}

// text is the source of a node, on one line and cut when it is long.
func (t *tree) text(e ast.Expr) string {
	original, ok := t.nodes[e.ID()]
	if !ok {
		original = e
	}
	s, err := parser.Unparse(original, t.info)
	if err != nil {
		return "?"
	}
	s = strings.Join(strings.Fields(s), " ")
	if r := []rune(s); len(r) > 80 {
		s = string(r[:77]) + "..."
	}
	return s
}

// fail makes an error at the start of a node.
func (t *tree) fail(e ast.Expr, message, hint string) *Error {
	at := t.start(e)
	return &Error{Line: at.Line(), Column: at.Column() + 1, Message: message, Hint: hint}
}

// start is where the leftmost part of a node begins: the position of a > b is that of a, not of the sign.
func (t *tree) start(e ast.Expr) common.Location {
	if original, ok := t.nodes[e.ID()]; ok {
		e = original
	}
	if e.Kind() == ast.ComprehensionKind {
		return t.start(e.AsComprehension().IterRange())
	}
	best := t.info.GetStartLocation(e.ID())
	if e.Kind() == ast.CallKind && !e.AsCall().IsMemberFunction() {
		best = t.beforeParenthesis(best, e.AsCall().FunctionName())
	}
	for _, child := range children(e) {
		at := t.start(child)
		if at.Line() < 1 {
			continue
		}
		if best.Line() < 1 || at.Line() < best.Line() || at.Line() == best.Line() && at.Column() < best.Column() {
			best = at
		}
	}
	return best
}

// beforeParenthesis goes from the parenthesis of a call, where cel-go has its position, back to its name.
func (t *tree) beforeParenthesis(at common.Location, name string) common.Location {
	if at.Line() < 1 || at.Line() > len(t.lines) {
		return at
	}
	line := []rune(t.lines[at.Line()-1])
	start := at.Column() - len([]rune(name))
	if start < 0 || at.Column() > len(line) || string(line[start:at.Column()]) != name {
		return at
	}
	return common.NewLocation(at.Line(), start)
}
