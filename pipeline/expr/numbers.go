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

func oneNumberOf(overload string, a Num) Num {
	var fn func(float64) float64
	switch overload {
	case "negate_double":
		fn = func(x float64) float64 { return -x }
	case "abs_double":
		fn = math.Abs
	case "floor_double":
		fn = math.Floor
	default:
		fn = math.Round
	}
	return func(env *Env) (float64, bool) {
		x, ok := a(env)
		return fn(x), ok
	}
}

// instants compiles + and - on times and durations.
func instants(overload string, a, b Time) (Type, Time) {
	kind, sign, fits := TimeType, int64(1), inTime
	switch overload {
	case "add_duration_duration", "subtract_duration_duration", "subtract_timestamp_timestamp":
		kind, fits = DurationType, inDuration
	}
	switch overload {
	case "subtract_timestamp_timestamp", "subtract_timestamp_duration", "subtract_duration_duration":
		sign = -1
	}
	return kind, func(env *Env) (int64, bool) {
		x, ok := a(env)
		if !ok {
			return 0, false
		}
		y, ok := b(env)
		v := x + sign*y
		return v, ok && fits(v)
	}
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
				n.n = func(env *Env) (float64, bool) {
					ms, ok := on.t(env)
					return float64(ms / unit), ok
				}
			}
		}
		return foldConstant(n, on), nil
	}
	offset := int64(0)
	if len(operands) == 2 {
		zone := operands[1]
		if !zone.constant {
			return nil, because("a zone that is not written out: " + c.tree.text(e))
		}
		var err error
		if offset, err = parseZone(string(zone.bytes)); err != nil {
			return nil, because("a zone that is none: " + c.tree.text(e))
		}
	}
	n.n = func(env *Env) (float64, bool) {
		ms, ok := on.t(env)
		if !ok {
			return 0, false
		}
		return p.at(ms, offset), true
	}
	return foldConstant(n, on), nil
}
