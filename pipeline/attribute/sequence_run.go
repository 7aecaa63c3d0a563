package attribute

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

// matcher takes the occurrences of one key in the order of their times.
type matcher struct {
	at       [MaxStages]reach
	deadline int64 // when the negated last step has passed; never when nothing waits for it
	out      run
}

func (k *sequence) begin(m *matcher) {
	reset(m.at[:len(k.stages)])
	m.deadline = never
	m.out = run{lastAt: -1, next: never}
}

// feed takes one occurrence.
func (k *sequence) feed(m *matcher, ms int64, mask uint64) {
	k.pass(m, ms)
	kills := mask&k.kills != 0
	if kills {
		k.kill(m, mask)
	}
	last := len(k.stages) - 1
	for s := last; s >= 0; s-- {
		if mask&k.stages[s].bit == 0 {
			continue
		}
		if s == 0 {
			m.at[0] = reach{ms, ms}
		} else if !k.step(m, s, ms) {
			continue
		}
		if s < last {
			continue
		}
		if k.last == 0 {
			m.out.finish(ms)
			reset(m.at[:len(k.stages)])
			break
		} else if m.deadline == never {
			m.deadline = ms + k.lastWithin
		}
	}
	if kills {
		k.kill(m, mask)
	}
}

// pass lets time go on to an instant: a negated last step may be over.
func (k *sequence) pass(m *matcher, now int64) {
	if m.deadline <= now {
		m.out.finish(m.deadline)
		m.deadline = never
		reset(m.at[:len(k.stages)])
	}
}

// shown is how the key stands at an instant; more may be fed afterwards, of that instant or before.
func (k *sequence) shown(m *matcher, now int64) run {
	out := m.out
	if m.deadline <= now {
		out.finish(m.deadline) // nothing that has begun is left
		return out
	}
	k.outlook(m.at[:len(k.stages)], m.deadline, now, &out)
	return out
}

// run goes through the occurrences of a key, up to now.
func (k *sequence) run(cells []byte, now int64, m *matcher) run {
	k.begin(m)
	ahead := int64(never)
	for ; len(cells) >= occurrence; cells = cells[occurrence:] {
		ms := timeOf(cells)
		if ms > now { // ahead of the clock
			ahead = ms
			break
		}
		k.feed(m, ms, maskOf(cells))
	}
	out := k.shown(m, now)
	out.next = min(out.next, ahead)
	return out
}

// part goes through what follows with two matchers that have seen different things, until they cannot be told apart any more: behind that both do the same. It
// returns how the key stands at an instant by either, as far as that differs.
func (k *sequence) part(a, b *matcher, cells []byte, now int64) (one, other run) {
	for ; len(cells) >= occurrence; cells = cells[occurrence:] {
		if k.same(a, b) {
			return a.out, b.out
		}
		k.feed(a, timeOf(cells), maskOf(cells))
		k.feed(b, timeOf(cells), maskOf(cells))
	}
	return k.shown(a, now), k.shown(b, now)
}

// same says whether two matchers do the same with whatever follows.
func (k *sequence) same(a, b *matcher) bool {
	if a.deadline != b.deadline || a.out.complete != b.out.complete {
		return false
	}
	for s := range k.stages {
		if a.at[s].time != b.at[s].time || a.at[s].time >= 0 && a.at[s].start != b.at[s].start {
			return false
		}
	}
	return true
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
func (k *sequence) kill(m *matcher, mask uint64) {
	if mask&k.until != 0 {
		reset(m.at[:len(k.stages)])
		m.deadline, m.out.complete = never, false
		return
	}
	if mask&k.last != 0 && m.deadline != never {
		m.deadline = never
		m.at[len(k.stages)-1].time = -1
	}
	if mask&k.nots == 0 {
		return
	}
	for s := range k.stages {
		if mask&k.stages[s].not != 0 {
			m.at[s].time = -1
		}
	}
}

// step tries to come to stage s, not the first, at an instant. Stages are taken from the last to the first, so what they follow is older.
func (k *sequence) step(m *matcher, s int, ms int64) bool {
	best, within := int64(-1), k.stages[s].within
	for p := s - 1; p >= 0; p-- {
		if r := &m.at[p]; r.time >= 0 && r.time < ms && (within == 0 || ms-r.time < within) && (k.within == 0 || ms-r.start < k.within) {
			best = max(best, r.start)
		}
		if !k.stages[p].optional {
			break
		}
	}
	if best < 0 {
		return false
	}
	m.at[s] = reach{ms, best}
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
