package expr

import (
	"time"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"

	"dashi/pipeline/attribute"
	"dashi/pipeline/say"
)

// Part is a condition, or a part of one, for whoever asks why somebody is in or out.
type Part struct {
	Text  string // as it was written, on one line
	Depth int    // the whole is 0
	node  *node  // nil where the interpreter runs the whole
}

// Explain compiles a condition once more, with its parts: every condition within it, and every value that is compared. Each part is
// followed by its own. It is for people, so it may take a millisecond.
func Explain(src string, scope *Scope) ([]Part, *Error) {
	c, err := check(src, scope)
	if err != nil {
		return nil, err
	}
	if err := c.wants(BoolType); err != nil {
		return nil, err
	}
	root := c.ast.Expr()
	n, stop := c.expr(root)
	if stop != nil && stop.err != nil {
		return nil, stop.err
	}
	if stop == nil {
		return c.parts(nil, root, n, 0), nil
	}
	if n, err = c.interpret(cel.CostLimit(maxCost)); err != nil {
		return nil, err
	}
	n.timing = c.interpretedTiming(stop.why)
	return []Part{{Text: c.tree.text(root), node: n}}, nil
}

// parts appends e and what it consists of. Constants say nothing that the text does not.
func (c *compiler) parts(dst []Part, e ast.Expr, n *node, depth int) []Part {
	if n.constant && depth > 0 {
		return dst
	}
	dst = append(dst, Part{Text: c.tree.text(e), Depth: depth, node: n})
	if depth == maxExplained || e.Kind() != ast.CallKind {
		return dst
	}
	for _, child := range c.operandsOf(e) {
		if o, stop := c.expr(child); stop == nil {
			dst = c.parts(dst, child, o, depth+1)
		}
	}
	return dst
}

// maxExplained is how deep parts go: deeper ones are sums and differences that the value above them shows as well.
const maxExplained = 8

// operandsOf are the operands of a call; those of a && b && c are three.
func (c *compiler) operandsOf(e ast.Expr) []ast.Expr {
	name := e.AsCall().FunctionName()
	if name != operators.LogicalAnd && name != operators.LogicalOr {
		return children(e)
	}
	var all []ast.Expr
	for _, a := range e.AsCall().Args() {
		if a.Kind() == ast.CallKind && a.AsCall().FunctionName() == name {
			all = append(all, c.operandsOf(a)...)
			continue
		}
		all = append(all, a)
	}
	return all
}

// IsCondition says whether the part is true or false, rather than a value.
func (p *Part) IsCondition() bool { return p.node.kind == BoolType }

// Holds is the outcome of a part that is a condition.
func (p *Part) Holds(env *Env) Truth { return p.node.b(env) }

// Next is when the part may change although nothing happens; Never for not at all, or all the time.
func (p *Part) Next(env *Env) int64 {
	if next := p.node.schedule(); next != nil && !p.node.moves {
		return next(env)
	}
	return Never
}

// AppendJSON appends the value of the part, null when it is absent. A duration is text such as "1d12h".
func (p *Part) AppendJSON(dst []byte, env *Env) []byte {
	n := p.node
	switch n.kind {
	case BoolType:
		switch n.b(env) {
		case True:
			return append(dst, "true"...)
		case False:
			return append(dst, "false"...)
		}
	case NumberType:
		if v, ok := n.n(env); ok {
			return attribute.AppendNumber(dst, v)
		}
	case StringType:
		if s, ok := n.s(env); ok {
			return attribute.AppendQuoted(dst, s)
		}
	case TimeType:
		if ms, ok := n.t(env); ok {
			return append(attribute.AppendTime(append(dst, '"'), ms), '"')
		}
	case DurationType:
		if ms, ok := n.t(env); ok {
			return attribute.AppendQuoted(dst, []byte(say.Span(time.Duration(ms)*time.Millisecond)))
		}
	default:
		if n.elements != nil && n.elements.cell != nil {
			fixed, segment := n.elements.cell.state(env)
			return n.elements.cell.kind.AppendJSON(dst, fixed, segment, env.Now)
		}
	}
	return append(dst, "null"...)
}
