package expr

import (
	"math"

	"cel.dev/cel-go/common/ast"
)

// twoNumbers compiles an operator or a function of two numbers. What is not finite is absent.
func twoNumbers(overload string, a, b Num) Num {
	switch overload {
	case "add_double":
		return func(env *Env) (float64, bool) {
			x, ok := a(env)
			if !ok {
				return 0, false
			}
			y, ok := b(env)
			v := x + y
			return v, ok && finite(v)
		}
	case "subtract_double":
		return func(env *Env) (float64, bool) {
			x, ok := a(env)
			if !ok {
				return 0, false
			}
			y, ok := b(env)
			v := x - y
			return v, ok && finite(v)
		}
	case "multiply_double":
		return func(env *Env) (float64, bool) {
			x, ok := a(env)
			if !ok {
				return 0, false
			}
			y, ok := b(env)
			v := float64(x * y)
			return v, ok && finite(v)
		}
	case "divide_double":
		return func(env *Env) (float64, bool) {
			x, ok := a(env)
			if !ok {
				return 0, false
			}
			y, ok := b(env)
			v := x / y
			return v, ok && finite(v)
		}
	case "modulo_double":
		return applyTwo(a, b, math.Mod)
	case "min_double":
		return applyTwo(a, b, math.Min)
	}
	return applyTwo(a, b, math.Max)
}

func applyTwo(a, b Num, fn func(x, y float64) float64) Num {
	return func(env *Env) (float64, bool) {
		x, ok := a(env)
		if !ok {
			return 0, false
		}
		y, ok := b(env)
		if !ok {
			return 0, false
		}
		v := fn(x, y)
		return v, finite(v)
	}
}

func oneNumberFunction(overload string) func(float64) float64 {
	switch overload {
	case "negate_double":
		return func(x float64) float64 { return -x }
	case "abs_double":
		return math.Abs
	case "floor_double":
		return math.Floor
	}
	return math.Round
}

func oneNumberOf(overload string, a Num) Num {
	fn := oneNumberFunction(overload)
	return func(env *Env) (float64, bool) {
		x, ok := a(env)
		return fn(x), ok
	}
}

// instants compiles + and - on times and durations.
func instants(overload string, x, y *node) (Type, Time, timing) {
	kind, sign, lo, hi := TimeType, int64(1), int64(minTime), int64(maxTime)
	switch overload {
	case "add_duration_duration", "subtract_duration_duration", "subtract_timestamp_timestamp":
		kind, lo, hi = DurationType, -maxDuration, maxDuration
	}
	switch overload {
	case "subtract_timestamp_timestamp", "subtract_timestamp_duration", "subtract_duration_duration":
		sign = -1
	}
	a, b := x.t, y.t
	return kind, func(env *Env) (int64, bool) {
		v, ok := a(env)
		if !ok {
			return 0, false
		}
		w, ok := b(env)
		v += sign * w
		return v, ok && v >= lo && v <= hi
	}, movingSum(x, y, sign, lo, hi)
}

// clockPart compiles getHours and its like.
func (c *compiler) clockPart(e ast.Expr, name string, operands []*node) (*node, *stop) {
	p, _ := partNamed(name)
	on := operands[0]
	n := &node{kind: NumberType}
	if on.kind == DurationType {
		for _, u := range durationUnits {
			if u.name == name {
				unit := u.unit
				n.timing = c.unitTiming(e, name, on, unit)
				if on.moves && on.refused == nil {
					n.steps = &steps{on, func(ms int64) float64 { return float64(ms / unit) }}
				}
				n.n = func(env *Env) (float64, bool) {
					ms, ok := on.t(env)
					return float64(ms / unit), ok
				}
			}
		}
		return foldConstant(n, on), nil
	}
	var in hours
	if len(operands) == 2 {
		zone := operands[1]
		if !zone.constant {
			return nil, because("a zone that is not written out: " + c.tree.text(e))
		}
		var err error
		if in, err = parseHours(string(zone.bytes)); err != nil {
			return nil, because("a zone that is none: " + c.tree.text(e))
		}
	}
	n.timing = c.partTiming(e, p, on, in)
	if on.moves {
		n.calendar = &calendarPart{on, p, in}
	}
	n.n = func(env *Env) (float64, bool) {
		ms, ok := on.t(env)
		if !ok {
			return 0, false
		}
		return p.at(ms, in), true
	}
	return foldConstant(n, on), nil
}
