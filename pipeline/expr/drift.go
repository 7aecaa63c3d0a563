package expr

import (
	"sort"

	"cel.dev/cel-go/common/operators"
)

// nowTiming is that of the variable now.
func nowTiming() timing {
	return timing{moves: true, next: func(env *Env) (int64, int64) {
		return leaves(env.Now, env.Now, 1, minTime, maxTime), 1
	}}
}

// leaves is the first instant after now at which v, which is v now and moves by slope, crosses a border of [lo, hi].
func leaves(now, v, slope, lo, hi int64) int64 {
	switch {
	case slope > 0 && v < lo:
		return after(now, (lo-v+slope-1)/slope)
	case slope > 0 && v <= hi:
		return after(now, (hi-v)/slope+1)
	case slope < 0 && v > hi:
		return after(now, (v-hi-slope-1)/-slope)
	case slope < 0 && v >= lo:
		return after(now, (v-lo)/-slope+1)
	}
	return Never
}

// after is now + wait, or Never where that is beyond the horizon.
func after(now, wait int64) int64 {
	if wait < 0 || wait > horizon {
		return Never
	}
	return now + wait
}

// movingSum is the timing of x + sign*y, times and durations, whose sum is there where it lies in [lo, hi].
func movingSum(x, y *node, sign, lo, hi int64) timing {
	t := timing{moves: x.moves || y.moves, refused: x.refused}
	if t.refused == nil {
		t.refused = y.refused
	}
	if x.next == nil && y.next == nil {
		return t
	}
	t.next = func(env *Env) (int64, int64) {
		ux, sx := x.at(env)
		a, ok := x.t(env)
		if !ok {
			return ux, 0
		}
		uy, sy := y.at(env)
		b, ok := y.t(env)
		if !ok {
			return uy, 0
		}
		slope := sx + sign*sy
		return min(ux, uy, leaves(env.Now, a+sign*b, slope, lo, hi)), slope
	}
	return t
}

// crossing is the timing of a comparison of two times or durations.
func crossing(operator string, a, b *node) timing {
	t := timing{refused: a.refused}
	if t.refused == nil {
		t.refused = b.refused
	}
	if a.next == nil && b.next == nil {
		return t
	}
	edge := edgeOf(operator)
	if a.since != nil && b.constant && !a.stirs {
		then, c := a.since, b.ms
		t.next = still(func(env *Env) int64 {
			x, ok := then(env)
			if !ok {
				return Never
			}
			v := env.Now - x
			return min(edge.passed(env.Now, v-c, 1), leaves(env.Now, v, 1, -maxDuration, maxDuration))
		})
		return t
	}
	t.next = still(func(env *Env) int64 {
		ua, sa := a.at(env)
		x, ok := a.t(env)
		if !ok {
			return ua
		}
		ub, sb := b.at(env)
		y, ok := b.t(env)
		if !ok {
			return ub
		}
		return min(ua, ub, edge.passed(env.Now, x-y, sa-sb))
	})
	return t
}

// edge is where the outcome of "difference OP 0" changes: between edge-1 and edge, and for == and != on both sides of 0.
type edge int64

const bothSides edge = 2

func edgeOf(operator string) edge {
	switch operator {
	case operators.Less, operators.GreaterEquals:
		return 0
	case operators.Greater, operators.LessEquals:
		return 1
	}
	return bothSides
}

// passed is the first instant after now at which a difference that is diff now has passed the edge.
func (e edge) passed(now, diff, slope int64) int64 {
	const far = 1 << 62
	switch {
	case slope == 0:
		return Never
	case e == bothSides && diff > 0:
		e = 1
	case e == bothSides && diff == 0:
		return now + 1
	case e == bothSides:
		e = 0
	}
	if diff < int64(e) {
		return leaves(now, diff, slope, -far, int64(e)-1)
	}
	return leaves(now, diff, slope, int64(e), far)
}

// steps is a number that is a function of a moving duration, never falling or never rising: the whole hours of it, or
// a thirtieth of them. A comparison with a constant then changes once, and the instant is found by bisection.
type steps struct {
	of *node
	f  func(ms int64) float64
}

// then is g of the steps, g never falling or never rising.
func (s *steps) then(g func(float64) float64) *steps {
	if s == nil {
		return nil
	}
	f := s.f
	return &steps{s.of, func(ms int64) float64 { return g(f(ms)) }}
}

// within is the timing of lo <= number <= hi.
func (s *steps) within(lo, hi float64) timing {
	of, f := s.of, s.f
	return timing{refused: of.refused, next: still(func(env *Env) int64 {
		until, slope := of.at(env)
		v, ok := of.t(env)
		if !ok || slope == 0 {
			return until
		}
		var changed func(x float64) bool
		switch x := f(v); {
		case x < lo:
			changed = func(x float64) bool { return x >= lo }
		case x > hi:
			changed = func(x float64) bool { return x <= hi }
		default:
			changed = func(x float64) bool { return x < lo || x > hi }
		}
		most := min(until-env.Now, horizon)
		k := sort.Search(int(most), func(k int) bool { return changed(f(v + slope*int64(k))) })
		if int64(k) == most {
			return until
		}
		return env.Now + int64(k)
	})}
}

// large bounds the constants of steps: with them nothing overflows.
const large = 1e100

// stepping is what an operator makes of steps and a constant, nil where the order is lost.
func stepping(overload string, a, b *node) *steps {
	s, c, swapped := a.steps, b, false
	if s == nil {
		s, c, swapped = b.steps, a, true
	}
	if s == nil || !c.constant || !(c.number > -large && c.number < large) {
		return nil
	}
	v := c.number
	switch overload {
	case "add_double":
		return s.then(func(x float64) float64 { return x + v })
	case "subtract_double":
		if swapped {
			return s.then(func(x float64) float64 { return v - x })
		}
		return s.then(func(x float64) float64 { return x - v })
	case "multiply_double":
		return s.then(func(x float64) float64 { return float64(x * v) })
	case "divide_double":
		if !swapped && (v > 1/large || v < -1/large) {
			return s.then(func(x float64) float64 { return x / v })
		}
	}
	return nil
}
