package expr

import (
	"bytes"
	"math"

	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"
)

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
		n.b, n.timing = compareNumbers(operator, a, b), c.numberTiming(e, operator, a, b)
	case TimeType, DurationType:
		n.b, n.timing = compareTimes(operator, a, b), crossing(operator, a, b)
	case StringType:
		n.b, n.timing = compareStrings(operator, a, b), c.follow(e, a, b)
	case BoolType:
		n.b, n.timing = sameTruth(a.b, b.b, operator == operators.Equals), c.follow(e, a, b)
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

// compareNumbers and compareTimes: a constant side costs no call.
func compareNumbers(operator string, a, b *node) Bool {
	switch {
	case b.constant:
		return numberWithConstant(operator, a, b.number)
	case a.constant:
		return numberWithConstant(mirrored(operator), b, a.number)
	}
	return ordered(operator, a.n, b.n)
}

func compareTimes(operator string, a, b *node) Bool {
	switch {
	case b.constant:
		return timeWithConstant(operator, a, b.ms)
	case a.constant:
		return timeWithConstant(mirrored(operator), b, a.ms)
	}
	return ordered(operator, a.t, b.t)
}

// numberTiming is the timing of a comparison of numbers. With a constant it changes less often than the number does.
func (c *compiler) numberTiming(e ast.Expr, operator string, a, b *node) timing {
	if a.constant {
		operator, a, b = mirrored(operator), b, a
	}
	if b.constant && (a.steps != nil || a.calendar != nil) {
		lo, hi, _ := numberInterval(operator, b.number)
		if a.steps != nil {
			return a.steps.within(lo, hi)
		}
		if a.refused == nil {
			return a.calendar.within(lo, hi)
		}
	}
	return c.follow(e, a, b)
}

func ordered[T float64 | int64](operator string, a, b func(*Env) (T, bool)) Bool {
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

// interval turns a comparison with a constant into lo <= x && x <= hi, or its opposite when !want. One
// closure then does for all six operators. below and above are the neighbours of c.
func interval[T float64 | int64](operator string, c, lowest, below, above, highest T) (lo, hi T, want bool) {
	switch operator {
	case operators.Equals:
		return c, c, true
	case operators.NotEquals:
		return c, c, false
	case operators.Less:
		return lowest, below, true
	case operators.LessEquals:
		return lowest, c, true
	case operators.Greater:
		return above, highest, true
	}
	return c, highest, true
}

// numberWithConstant compares a number. One that is an attribute is read without a call in between.
func numberWithConstant(operator string, a *node, c float64) Bool {
	lo, hi, want := numberInterval(operator, c)
	if a.cell == nil {
		return within(a.n, lo, hi, want)
	}
	at := a.cell
	return func(env *Env) Truth {
		fixed, segment := at.state(env)
		if x, ok := at.kind.Num(fixed, segment, env.Now); ok && finite(x) {
			return truthOf((x >= lo && x <= hi) == want)
		}
		return Absent
	}
}

func numberInterval(operator string, c float64) (lo, hi float64, want bool) {
	inf := math.Inf(1)
	return interval(operator, c, -inf, math.Nextafter(c, -inf), math.Nextafter(c, inf), inf)
}

// timeWithConstant compares a time or a duration. now - x, of which most conditions about time are made, is
// computed here.
func timeWithConstant(operator string, a *node, c int64) Bool {
	lo, hi, want := interval(operator, c, math.MinInt64, c-1, c+1, math.MaxInt64)
	if a.since == nil {
		return within(a.t, lo, hi, want)
	}
	then := a.since
	return func(env *Env) Truth {
		if !inTime(env.Now) {
			return Absent
		}
		if x, ok := then(env); ok {
			if ms := env.Now - x; inDuration(ms) {
				return truthOf((ms >= lo && ms <= hi) == want)
			}
		}
		return Absent
	}
}

func within[T float64 | int64](a func(*Env) (T, bool), lo, hi T, want bool) Bool {
	return func(env *Env) Truth {
		if x, ok := a(env); ok {
			return truthOf((x >= lo && x <= hi) == want)
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
