package expr

import (
	"time"

	"cel.dev/cel-go/common/ast"
)

// period is the span [start, end) around a time in which the part is the same; it is cut off where the zone's clocks are set.
func (p part) period(ms int64, in hours) (start, end int64) {
	offset, from, to := in.period(ms)
	start, end = p.fixedPeriod(ms, offset)
	return max(start, from), min(end, to)
}

// fixedPeriod is the span of the part at an offset from UTC.
func (p part) fixedPeriod(ms, offset int64) (start, end int64) {
	unit := int64(86400_000)
	switch p.name {
	case "getFullYear", "getMonth":
		t := time.UnixMilli(ms + offset).UTC()
		from, to := time.Date(t.Year(), 1, 1, 0, 0, 0, 0, time.UTC), time.Date(t.Year()+1, 1, 1, 0, 0, 0, 0, time.UTC)
		if p.name == "getMonth" {
			from, to = time.Date(t.Year(), t.Month(), 1, 0, 0, 0, 0, time.UTC), time.Date(t.Year(), t.Month()+1, 1, 0, 0, 0, 0, time.UTC)
		}
		return from.UnixMilli() - offset, to.UnixMilli() - offset
	case "getHours":
		unit = 3600_000
	case "getMinutes":
		unit = 60_000
	case "getSeconds":
		unit = 1000
	case "getMilliseconds":
		unit = 1
	}
	start = (ms + offset) / unit * unit
	if start > ms+offset { // Go rounds towards zero
		start -= unit
	}
	return start - offset, start - offset + unit
}

// partTiming is the timing of a part of a time that may move.
func (c *compiler) partTiming(e ast.Expr, p part, on *node, in hours) timing {
	t := timing{refused: on.refused}
	if on.next == nil {
		return t
	}
	if on.moves {
		t.refused = c.tooOften(e, p.name, t.refused)
	}
	t.next = still(func(env *Env) int64 {
		until, slope := on.at(env)
		v, ok := on.t(env)
		if !ok || slope == 0 {
			return until
		}
		start, end := p.period(v, in)
		return min(until, leaves(env.Now, v, slope, start, end-1))
	})
	return t
}

// tooOften refuses seconds and milliseconds: each would wake everybody 60 times a minute.
func (c *compiler) tooOften(e ast.Expr, name string, before *Error) *Error {
	if before != nil || name != "getSeconds" && name != "getMilliseconds" {
		return before
	}
	return c.tree.fail(e, "`"+c.tree.text(e)+"` changes every second or more often: nobody can be woken for that",
		"take a coarser part, or compare times, as in now - last_order > duration(\"90s\")")
}

// unitTiming is the timing of the whole units in a duration that may move.
func (c *compiler) unitTiming(e ast.Expr, name string, on *node, unit int64) timing {
	t := timing{refused: on.refused}
	if on.next == nil {
		return t
	}
	if on.moves {
		t.refused = c.tooOften(e, name, t.refused)
	}
	t.next = still(func(env *Env) int64 {
		until, slope := on.at(env)
		v, ok := on.t(env)
		if !ok || slope == 0 {
			return until
		}
		n := v / unit // towards zero: the unit around zero is twice as long
		lo, hi := n*unit, n*unit+unit-1
		if n < 0 {
			lo, hi = n*unit-unit+1, n*unit
		} else if n == 0 {
			lo = 1 - unit
		}
		return min(until, leaves(env.Now, v, slope, lo, hi))
	})
	return t
}

// partWithin is the timing of lo <= part <= hi: periods with the same outcome are passed over, as many as one compares without
// anybody noticing.
func (s *calendarPart) within(lo, hi float64) timing {
	t := timing{refused: s.of.refused}
	if s.of.next == nil {
		return t
	}
	t.next = still(func(env *Env) int64 {
		until, slope := s.of.at(env)
		v, ok := s.of.t(env)
		if !ok || slope == 0 {
			return until
		}
		x := s.part.at(v, s.in)
		was, at := x >= lo && x <= hi, env.Now
		for range maxPeriods {
			start, end := s.part.period(v, s.in)
			next := leaves(at, v, slope, start, end-1)
			if next >= until {
				return until
			}
			v += slope * (next - at)
			at = next
			if x = s.part.at(v, s.in); (x >= lo && x <= hi) != was {
				break
			}
		}
		return at
	})
	return t
}

// maxPeriods is more than the days of a month, the hours of a day and the minutes of an hour, with one that is cut in two as clocks are set.
const maxPeriods = 61

// calendarPart is a number that is a part of a time.
type calendarPart struct {
	of   *node
	part part
	in   hours
}
