package attribute

import "bytes"

// MaxStages bounds a sequence: its steps, one with times as often as it says.
const MaxStages = 24

// run is how one key stands at an instant.
type run struct {
	count    int64
	lastAt   int64 // -1: never
	complete bool
	open     bool
	next     int64
}

// reach is the latest way to have come to a stage: the time of its occurrence and of its first stage's. time -1: none.
type reach struct{ time, start int64 }

// run goes through the occurrences of the key of row i, up to now, and returns the row behind them. at is scratch space.
func (k *sequence) run(t *table, i int, now int64, at *[MaxStages]reach, out *run) int {
	stages := k.stages
	reset(at[:len(stages)])
	*out = run{lastAt: -1, next: never}
	deadline := int64(never) // when the negated last step has passed
	key := t.str(i)
	for first := i; i < t.n && (i == first || bytes.Equal(t.str(i), key)); i++ {
		row := t.row(i)
		ms := get48(row)
		if ms > now { // ahead of the clock
			out.next = min(out.next, ms)
			continue
		}
		if deadline <= ms {
			out.finish(deadline)
			deadline = never
			reset(at[:len(stages)])
		}
		mask := maskOf(row)
		k.kill(at[:], mask, &deadline, out)
		done := false
		for s := len(stages) - 1; s >= 0 && !done; s-- {
			if mask&stages[s].bit == 0 || !k.step(at[:], s, ms) || s < len(stages)-1 {
				continue
			}
			if k.last == 0 {
				out.finish(ms)
				reset(at[:len(stages)])
				done = true
			} else if deadline == never {
				deadline = ms + k.lastWithin
			}
		}
		k.kill(at[:], mask, &deadline, out)
	}
	if deadline <= now {
		out.finish(deadline)
		deadline = never
		reset(at[:len(stages)])
	}
	k.outlook(at[:len(stages)], deadline, now, out)
	return i
}

func (r *run) finish(at int64) {
	r.count++
	r.lastAt = at
	r.complete = true
}

func reset(at []reach) {
	for i := range at {
		at[i].time = -1
	}
}

// kill undoes what an occurrence of a negated step, or of until, undoes. It is called before and after the steps of the same
// instant are taken, so that neither side of it escapes.
func (k *sequence) kill(at []reach, mask uint64, deadline *int64, out *run) {
	if mask&k.until != 0 {
		reset(at[:len(k.stages)])
		*deadline, out.complete = never, false
		return
	}
	if mask&k.last != 0 && *deadline != never {
		*deadline = never
		at[len(k.stages)-1].time = -1
	}
	for s := range k.stages {
		if mask&k.stages[s].not != 0 {
			at[s].time = -1
		}
	}
}

// step tries to come to stage s at an instant. Stages are taken from the last to the first, so what they follow is older.
func (k *sequence) step(at []reach, s int, ms int64) bool {
	if s == 0 {
		at[0] = reach{ms, ms}
		return true
	}
	best := int64(-1)
	for p := s - 1; p >= 0; p-- {
		if r := at[p]; r.time >= 0 && r.time < ms && (k.stages[s].within == 0 || ms-r.time < k.stages[s].within) && (k.within == 0 || ms-r.start < k.within) {
			best = max(best, r.start)
		}
		if !k.stages[p].optional {
			break
		}
	}
	if best < 0 {
		return false
	}
	at[s] = reach{ms, best}
	return true
}

// outlook says when the key changes by itself, and, where that is shown, whether something has begun that can still go on.
// Where it is not shown open stays false: it may change before next.
func (k *sequence) outlook(at []reach, deadline, now int64, out *run) {
	opens := k.show == "open" || k.show == "open_keys"
	if deadline != never {
		out.open = opens
		out.next = min(out.next, deadline)
		return // until then it stays so, and then nothing that has begun is left
	}
	if !opens {
		return
	}
	end := int64(-1)
	for p := range at {
		if at[p].time < 0 {
			continue
		}
		for s := p + 1; s < len(at); s++ {
			e := int64(never)
			if w := k.stages[s].within; w > 0 {
				e = at[p].time + w
			}
			if k.within > 0 {
				e = min(e, at[p].start+k.within)
			}
			end = max(end, e)
			if !k.stages[s].optional {
				break
			}
		}
	}
	if end > now {
		out.open = true
		out.next = min(out.next, end)
	}
}
