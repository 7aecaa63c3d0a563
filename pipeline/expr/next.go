package expr

import (
	"math"

	"cel.dev/cel-go/common/ast"
)

// Never is the instant of what does not happen.
const Never int64 = math.MaxInt64

// horizon is how far ahead a change is looked for, in milliseconds: a hundred years. What lies beyond, such as the
// end of the calendar or of what a duration can hold, is never.
const horizon = 36525 * 86400_000

// timing says how a value changes as the clock goes on and nothing else happens. The zero timing: not at all.
type timing struct {
	// next is nil when the value depends on the clock in no way. It gives the first instant after env.Now from
	// which on the value may be another (or there, or gone). Until then it stays, or, for times and durations, moves by
	// slope milliseconds a millisecond, exactly. next may be too early, never too late.
	next change
	// moves: the slope may be other than 0.
	moves bool
	// refused says why nobody can be woken when the value changes: too often, or it is not known when.
	refused *Error
}

type change func(env *Env) (until, slope int64)

// at is next of a value that may depend on nothing.
func (t *timing) at(env *Env) (until, slope int64) {
	if t.next == nil {
		return Never, 0
	}
	return t.next(env)
}

// still is the change of a value that does not move.
func still(next func(env *Env) int64) change {
	return func(env *Env) (int64, int64) { return next(env), 0 }
}

// follow is the timing of a value that is computed from operands in a way that knows nothing of moving ones: it changes
// when one of them does.
func (c *compiler) follow(e ast.Expr, operands ...*node) timing {
	var t timing
	var list []change
	for _, o := range operands {
		if t.refused == nil {
			t.refused = o.refused
		}
		if o.moves && t.refused == nil {
			t.refused = c.tree.fail(e, "`"+c.tree.text(e)+"` changes every millisecond: nobody can be woken for that",
				"compare `now` with a time, as in now - last_order > duration(\"30d\"), or take a part of it, as in now.getHours(\"Europe/Berlin\")")
		}
		if o.next != nil {
			list = append(list, o.next)
		}
	}
	t.next = earliest(list)
	return t
}

// interpretedTiming is the timing of an expression that the interpreter runs: it changes when one of the things that it reads does.
func (c *compiler) interpretedTiming(why string) timing {
	root := c.ast.Expr()
	var read []*node
	for _, v := range c.vars {
		n, stop := (&compiler{tree: c.tree, vars: c.vars}).read(v)
		if stop != nil {
			continue // the interpreter has refused it already
		}
		if n.moves {
			return timing{refused: c.tree.fail(root, "it cannot be computed when `"+c.tree.text(root)+"` changes: it is run by the interpreter ("+why+") and reads `now`",
				"compare `now` outside of loops and lists, as in now - last_order > duration(\"30d\")")}
		}
		read = append(read, n)
	}
	return c.follow(root, read...)
}

func earliest(list []change) change {
	switch len(list) {
	case 0:
		return nil
	case 1:
		next := list[0]
		return still(func(env *Env) int64 { until, _ := next(env); return until })
	}
	return still(func(env *Env) int64 {
		first := Never
		for _, next := range list {
			until, _ := next(env)
			first = min(first, until)
		}
		return first
	})
}

// schedule is what the caller of Compile gets: the next change of the whole, nil when time changes nothing.
func (t *timing) schedule() func(*Env) int64 {
	if t.next == nil {
		return nil
	}
	next := t.next
	return func(env *Env) int64 {
		until, _ := next(env)
		return scheduleAt(env, until)
	}
}

// scheduleAt is an instant of change as those who schedule it want it: after now, and Never beyond the horizon.
func scheduleAt(env *Env, until int64) int64 {
	if until > env.Now+horizon {
		return Never
	}
	return max(until, env.Now+1)
}

// watch is the outcome of a condition, and its next change.
type watch func(env *Env) (outcome Truth, until int64)

// watched is watch of any condition that depends on time.
func (n *node) watched() watch {
	if n.watch != nil {
		return n.watch
	}
	b, next := n.b, n.next
	return func(env *Env) (Truth, int64) {
		until, _ := next(env)
		return b(env), until
	}
}

// scheduled is what the caller of Compile gets: the outcome, and what schedule gives; nil when time changes nothing.
func (n *node) scheduled() func(*Env) (Truth, int64) {
	if n.kind != BoolType || n.next == nil {
		return nil
	}
	watch := n.watched()
	return func(env *Env) (Truth, int64) {
		outcome, until := watch(env)
		return outcome, scheduleAt(env, until)
	}
}

// watchLogical is and (settles is False) or or (True) with its nextLogical: each term is looked at once, and first those that time does not
// change, of which one most often settles it.
func watchLogical(nodes []*node, settles Truth) watch {
	var steady []Bool
	var timed []watch
	for _, n := range nodes {
		if n.next == nil {
			steady = append(steady, n.b)
		} else {
			timed = append(timed, n.watched())
		}
	}
	if len(timed) == 0 {
		return nil
	}
	return func(env *Env) (Truth, int64) {
		out := True - settles
		for _, b := range steady {
			switch b(env) {
			case settles:
				return settles, Never
			case Absent:
				out = Absent
			}
		}
		first, settled := Never, int64(math.MinInt64)
		for _, w := range timed {
			t, until := w(env)
			switch t {
			case settles:
				if until == Never {
					return settles, Never
				}
				settled = max(settled, until)
			case Absent:
				out = Absent
			}
			first = min(first, until)
		}
		if settled > math.MinInt64 {
			return settles, settled
		}
		return out, first
	}
}

// watchNot is not with the next change of its operand; nil when time does not change that.
func watchNot(n *node) watch {
	if n.next == nil {
		return nil
	}
	w := n.watched()
	return func(env *Env) (Truth, int64) {
		t, until := w(env)
		if t != Absent {
			t = True - t
		}
		return t, until
	}
}

// nextLogical is the next change of && (settles is False) or || (True). A term that settles the outcome does so for as
// long as it stays, whatever the others do; without one, every change counts.
func nextLogical(nodes []*node, settles Truth) change {
	var steady, timed []*node
	for _, n := range nodes {
		if n.next == nil {
			steady = append(steady, n)
		} else {
			timed = append(timed, n)
		}
	}
	if len(timed) == 0 {
		return nil
	}
	return still(func(env *Env) int64 {
		for _, n := range steady {
			if n.b(env) == settles {
				return Never
			}
		}
		first, settled := Never, int64(math.MinInt64)
		for _, n := range timed {
			until, _ := n.next(env)
			if n.b(env) == settles {
				settled = max(settled, until)
			}
			first = min(first, until)
			if settled == Never {
				return Never
			}
		}
		if settled > math.MinInt64 {
			return settled
		}
		return first
	})
}

// choice is the timing of on ? x : y.
func choice(on, x, y *node) timing {
	t := timing{moves: x.moves || y.moves}
	for _, o := range []*node{on, x, y} {
		if t.refused == nil {
			t.refused = o.refused
		}
	}
	if on.next == nil && x.next == nil && y.next == nil {
		return t
	}
	t.next = func(env *Env) (int64, int64) {
		until, _ := on.at(env)
		switch on.b(env) {
		case True:
			next, slope := x.at(env)
			return min(until, next), slope
		case False:
			next, slope := y.at(env)
			return min(until, next), slope
		}
		return until, 0
	}
	return t
}

// fallback is the timing of coalesce(x, y).
func fallback(x, y *node) timing {
	t := timing{moves: x.moves || y.moves, refused: x.refused}
	if t.refused == nil {
		t.refused = y.refused
	}
	if x.next == nil && y.next == nil {
		return t
	}
	here := presence(x)
	t.next = func(env *Env) (int64, int64) {
		until, slope := x.at(env)
		if here(env) == True {
			return until, slope
		}
		next, slope := y.at(env)
		return min(until, next), slope
	}
	return t
}

// whenKnown is the timing of known(x): a value that moves stays where it is.
func whenKnown(x *node) timing {
	t := timing{refused: x.refused}
	if next := x.next; next != nil {
		t.next = still(func(env *Env) int64 { until, _ := next(env); return until })
	}
	return t
}

// Together is how a value changes with time that is computed of several expressions outside of this package: when one of them does.
func Together(list []*Expr) Clock {
	var nexts []func(*Env) int64
	for _, x := range list {
		if x.Next != nil {
			nexts = append(nexts, x.Next)
		}
	}
	if len(nexts) == 0 {
		return Clock{}
	}
	n := &node{}
	n.next = still(func(env *Env) int64 {
		first := Never
		for _, next := range nexts {
			first = min(first, next(env))
		}
		return first
	})
	return Clock{n}
}
