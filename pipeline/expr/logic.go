package expr

import (
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"
)

func not(a Bool) Bool {
	return func(env *Env) Truth {
		switch a(env) {
		case True:
			return False
		case False:
			return True
		}
		return Absent
	}
}

// and is true when all terms are, false when one is false, and absent otherwise. Terms are taken from left to
// right up to the first false one; CEL's nested && gives the same.
func and(terms []Bool) Bool {
	if len(terms) == 2 {
		a, b := terms[0], terms[1]
		return func(env *Env) Truth {
			x := a(env)
			if x == False {
				return False
			}
			if y := b(env); y != True {
				return y
			}
			return x
		}
	}
	return func(env *Env) Truth {
		out := True
		for _, t := range terms {
			switch t(env) {
			case False:
				return False
			case Absent:
				out = Absent
			}
		}
		return out
	}
}

// or is the mirror image of and.
func or(terms []Bool) Bool {
	if len(terms) == 2 {
		a, b := terms[0], terms[1]
		return func(env *Env) Truth {
			x := a(env)
			if x == True {
				return True
			}
			if y := b(env); y != False {
				return y
			}
			return x
		}
	}
	return func(env *Env) Truth {
		out := False
		for _, t := range terms {
			switch t(env) {
			case True:
				return True
			case Absent:
				out = Absent
			}
		}
		return out
	}
}

// terms compiles the operands of a && b && c, however they are nested.
func (c *compiler) terms(e ast.Expr, operator string) ([]*node, *stop) {
	if e.Kind() != ast.CallKind || e.AsCall().FunctionName() != operator {
		n, s := c.expr(e)
		return []*node{n}, s
	}
	var all []*node
	for _, a := range e.AsCall().Args() {
		list, s := c.terms(a, operator)
		if s != nil {
			return nil, s
		}
		all = append(all, list...)
	}
	return all, nil
}

func (c *compiler) logical(e ast.Expr, operator string) (*node, *stop) {
	nodes, s := c.terms(e, operator)
	if s != nil {
		return nil, s
	}
	list := make([]Bool, len(nodes))
	for i, n := range nodes {
		list[i] = n.b
	}
	n := &node{kind: BoolType}
	if operator == operators.LogicalAnd {
		n.b = and(list)
	} else {
		n.b = or(list)
	}
	settles := False
	if operator == operators.LogicalOr {
		settles = True
	}
	n.timing = c.follow(e, nodes...)
	n.next, n.watch = nextLogical(nodes, settles), watchLogical(nodes, settles)
	return foldConstant(n, nodes...), nil
}

// choose compiles a ? b : c.
func (c *compiler) choose(args []ast.Expr) (*node, *stop) {
	on, s := c.expr(args[0])
	if s != nil {
		return nil, s
	}
	x, s := c.expr(args[1])
	if s != nil {
		return nil, s
	}
	y, s := c.expr(args[2])
	if s != nil {
		return nil, s
	}
	n := &node{kind: x.kind, timing: choice(on, x, y)}
	switch n.kind {
	case BoolType:
		n.b = func(env *Env) Truth {
			switch on.b(env) {
			case True:
				return x.b(env)
			case False:
				return y.b(env)
			}
			return Absent
		}
	case NumberType:
		n.n = pick(on.b, x.n, y.n)
	case StringType:
		n.s = pick(on.b, x.s, y.s)
	case TimeType, DurationType:
		n.t = pick(on.b, x.t, y.t)
	default:
		return nil, because("a choice between " + n.kind.String() + "s")
	}
	return foldConstant(n, on, x, y), nil
}

func pick[T any](on Bool, x, y func(*Env) (T, bool)) func(*Env) (T, bool) {
	return func(env *Env) (v T, ok bool) {
		switch on(env) {
		case True:
			return x(env)
		case False:
			return y(env)
		}
		return v, false
	}
}
