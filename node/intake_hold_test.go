package node

import (
	"testing"
	"time"
)

// An intake that is held back in many short stretches was never logged; one that is for long is, once, and once that it is over.
func TestHeldStretches(t *testing.T) {
	type step struct{ held, free time.Duration }
	// what is logged while the steps go round for so long, and then nothing happens for half a minute
	f := func(what string, s step, lasts time.Duration, want ...heldLine) {
		t.Helper()
		var all stretches
		var got []heldLine
		start := time.Unix(1000, 0)
		now := start
		pass := func(d time.Duration) { // with a look every half second, as the node does
			for ; d > 0; d -= tickInterval {
				now = now.Add(min(d, tickInterval))
				if line := all.look(now); line != nil {
					got = append(got, *line)
				}
			}
		}
		all.look(now)
		for now.Sub(start) < lasts {
			if s.held > 0 {
				all.begin(now, "full")
				pass(s.held)
				all.end(now)
			}
			pass(s.free)
		}
		pass(30 * time.Second)
		if len(got) != len(want) {
			t.Errorf("%s: %v", what, got)
			return
		}
		for i, w := range want {
			if got[i] != w {
				t.Errorf("%s: %+v, want %+v", what, got[i], w)
			}
		}
	}
	ms := time.Millisecond
	f("never", step{0, 100 * ms}, time.Minute)
	f("now and then", step{100 * ms, 300 * ms}, time.Minute)
	f("in short stretches", step{300 * ms, 100 * ms}, time.Minute,
		heldLine{why: "full", held: 7500 * ms, of: 10 * time.Second}, heldLine{over: true, held: 45 * time.Second})
	f("for half a second", step{500 * ms, time.Minute}, time.Minute)
	f("for three seconds", step{3 * time.Second, time.Minute}, time.Minute,
		heldLine{why: "full", held: 1500 * ms, of: 1500 * ms}, heldLine{over: true, held: 3 * time.Second})
	f("for a minute", step{time.Minute, time.Minute}, time.Minute,
		heldLine{why: "full", held: 1500 * ms, of: 1500 * ms}, heldLine{over: true, held: time.Minute})
}
