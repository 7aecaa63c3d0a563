package expr

import (
	"bytes"

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

func and(a, b Bool) Bool {
	return func(env *Env) Truth {
		x := a(env)
		if x == False {
			return False
		}
		y := b(env)
		if y == False {
			return False
		}
		if x == True {
			return y
		}
		return Absent
	}
}

func or(a, b Bool) Bool {
	return func(env *Env) Truth {
		x := a(env)
		if x == True {
			return True
		}
		y := b(env)
		if y == True {
			return True
		}
		if x == False {
			return y
		}
		return Absent
	}
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
	n := &node{kind: x.kind}
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

// compare compiles a comparison of two values of one type.
func (c *compiler) compare(e ast.Expr, operator string, args []ast.Expr) (*node, *stop) {
	a, s := c.operand(args[0])
	if s != nil {
		return nil, s
	}
	b, s := c.operand(args[1])
	if s != nil {
		return nil, s
	}
	if a.kind != b.kind || a.kind > DurationType {
		return nil, because("comparing whole sets, tallies or lists: " + c.tree.text(e))
	}
	c.atom(a, b)
	n := &node{kind: BoolType}
	switch a.kind {
	case NumberType:
		n.b = ordered(operator, a.n, b.n, a.constant, a.number, b.constant, b.number)
	case TimeType, DurationType:
		n.b = ordered(operator, a.t, b.t, a.constant, a.ms, b.constant, b.ms)
	case StringType:
		n.b = compareStrings(operator, a, b)
	case BoolType:
		n.b = sameTruth(a.b, b.b, operator == operators.Equals)
	}
	return foldConstant(n, a, b), nil
}

// atom notes a comparison of an attribute with a constant, or that it was none.
func (c *compiler) atom(a, b *node) {
	if a.constant {
		a, b = b, a
	}
	if a.attr == 0 || !b.constant {
		c.used(a)
		c.used(b)
		return
	}
	at := Atom{Attribute: a.attr - 1, Constant: b.number}
	if b.kind == TimeType {
		at.Constant = float64(b.ms)
	}
	c.atoms = append(c.atoms, at)
}

// mirrored is the operator with its operands changed round.
func mirrored(operator string) string {
	switch operator {
	case operators.Less:
		return operators.Greater
	case operators.LessEquals:
		return operators.GreaterEquals
	case operators.Greater:
		return operators.Less
	case operators.GreaterEquals:
		return operators.LessEquals
	}
	return operator
}

// ordered compares numbers, times or durations. A constant side costs no call.
func ordered[T float64 | int64](operator string, a, b func(*Env) (T, bool), aConstant bool, av T, bConstant bool, bv T) Bool {
	switch {
	case bConstant:
		return withConstant(operator, a, bv)
	case aConstant:
		return withConstant(mirrored(operator), b, av)
	}
	holds := relation[T](operator)
	return func(env *Env) Truth {
		x, ok := a(env)
		if !ok {
			return Absent
		}
		y, ok := b(env)
		if !ok {
			return Absent
		}
		return truthOf(holds(x, y))
	}
}

func relation[T float64 | int64](operator string) func(x, y T) bool {
	switch operator {
	case operators.Equals:
		return func(x, y T) bool { return x == y }
	case operators.NotEquals:
		return func(x, y T) bool { return x != y }
	case operators.Less:
		return func(x, y T) bool { return x < y }
	case operators.LessEquals:
		return func(x, y T) bool { return x <= y }
	case operators.Greater:
		return func(x, y T) bool { return x > y }
	}
	return func(x, y T) bool { return x >= y }
}

// withConstant is written out for each operator: this is what most conditions are made of.
func withConstant[T float64 | int64](operator string, a func(*Env) (T, bool), c T) Bool {
	switch operator {
	case operators.Equals:
		return func(env *Env) Truth {
			if x, ok := a(env); ok {
				return truthOf(x == c)
			}
			return Absent
		}
	case operators.NotEquals:
		return func(env *Env) Truth {
			if x, ok := a(env); ok {
				return truthOf(x != c)
			}
			return Absent
		}
	case operators.Less:
		return func(env *Env) Truth {
			if x, ok := a(env); ok {
				return truthOf(x < c)
			}
			return Absent
		}
	case operators.LessEquals:
		return func(env *Env) Truth {
			if x, ok := a(env); ok {
				return truthOf(x <= c)
			}
			return Absent
		}
	case operators.Greater:
		return func(env *Env) Truth {
			if x, ok := a(env); ok {
				return truthOf(x > c)
			}
			return Absent
		}
	}
	return func(env *Env) Truth {
		if x, ok := a(env); ok {
			return truthOf(x >= c)
		}
		return Absent
	}
}

func compareStrings(operator string, a, b *node) Bool {
	if operator == operators.Equals || operator == operators.NotEquals {
		if a.constant {
			a, b = b, a
		}
		return sameString(a, b, operator == operators.Equals)
	}
	holds := relation[int64](operator)
	x, y := a.s, b.s
	return func(env *Env) Truth {
		s, ok := x(env)
		if !ok {
			return Absent
		}
		t, ok := y(env)
		if !ok {
			return Absent
		}
		return truthOf(holds(int64(bytes.Compare(s, t)), 0))
	}
}

func sameString(a, b *node, want bool) Bool {
	x, y := a.s, b.s
	if b.constant {
		c := string(b.bytes)
		return func(env *Env) Truth {
			if s, ok := x(env); ok {
				return truthOf((string(s) == c) == want)
			}
			return Absent
		}
	}
	return func(env *Env) Truth {
		s, ok := x(env)
		if !ok {
			return Absent
		}
		t, ok := y(env)
		if !ok {
			return Absent
		}
		return truthOf(bytes.Equal(s, t) == want)
	}
}

func sameTruth(a, b Bool, want bool) Bool {
	return func(env *Env) Truth {
		x := a(env)
		if x == Absent {
			return Absent
		}
		y := b(env)
		if y == Absent {
			return Absent
		}
		return truthOf((x == y) == want)
	}
}
