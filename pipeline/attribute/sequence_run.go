package attribute

// MaxStages bounds a sequence: its steps, one with times as often as it says.
const MaxStages = 24

// run is how one key stands at an instant.
type run struct {
	count    int64
	lastAt   int64 // -1: never
	complete int64 // 1, 0 or unknown; 0 where it is not shown
	open     int64 // 1 or 0; 0 where it is not shown
	next     int64
}

// reach is the latest way to have come to a stage: the time of its occurrence and of its first stage's. time -1: none.
type reach struct{ time, start int64 }

// matcher takes the occurrences of one key in the order of their times.
type matcher struct {
	at       []reach // of each stage
	deadline int64   // when the negated last step has passed; never when nothing waits for it
	// What has been complete so far, as of a run.
	count, lastAt, complete int64
}

// matchers are two, for a key with and without an occurrence. Who works on many keys has them once.
type matchers [2]matcher

// fewStages is how many stages a sequence has but for rare ones; clearing room for all that it may have takes as long as a key.
const fewStages = 4

func (m *matcher) begin() {
	reset(m.at)
	m.deadline = never
	m.count, m.lastAt, m.complete = 0, -1, 0
}

// become makes m what o is. It is no copy of the whole, since that would wait for what was written just before.
func (m *matcher) become(o *matcher) {
	for i, r := range o.at {
		m.at[i].time, m.at[i].start = r.time, r.start
	}
	m.deadline = o.deadline
	m.count, m.lastAt, m.complete = o.count, o.lastAt, o.complete
}

// feed takes one occurrence.
func (k *sequence) feed(m *matcher, ms int64, mask uint64) {
	m.pass(ms)
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
			m.at[0].time, m.at[0].start = ms, ms
		} else if !k.step(m, s, ms) {
			continue
		}
		if s < last {
			continue
		}
		if k.last == 0 {
			m.finish(ms)
			break
		} else if m.deadline == never {
			m.deadline = ms + k.lastWithin
		}
	}
	if kills {
		k.kill(m, mask)
	}
}

func (k *sequence) feedAll(m *matcher, cells []byte) {
	for ; len(cells) >= occurrence; cells = cells[occurrence:] {
		k.feed(m, timeOf(cells), maskOf(cells))
	}
}

// pass lets time go on to an instant: a negated last step may be over.
func (m *matcher) pass(now int64) {
	if m.deadline <= now {
		m.finish(m.deadline)
		m.deadline = never
	}
}

// finish completes the sequence, which begins anew.
func (m *matcher) finish(at int64) {
	m.count++
	m.lastAt, m.complete = at, 1
	reset(m.at)
}

// sofar is what has been complete, and nothing of what may come of it.
func (k *sequence) sofar(m *matcher, out *run) {
	out.count, out.lastAt, out.complete = m.count, m.lastAt, m.complete&k.completes
	out.open, out.next = 0, never
}

// shown is how the key stands at an instant; more may be fed afterwards, of that instant or before.
func (k *sequence) shown(m *matcher, now int64, out *run) {
	k.sofar(m, out)
	switch {
	case m.deadline <= now: // nothing that has begun is left
		out.count++
		out.lastAt, out.complete = m.deadline, 1&k.completes
	case m.deadline != never: // until then it stays so
		out.open, out.next = k.opens, m.deadline
	case k.opens != 0:
		if end := k.outlook(m.at); end > now {
			out.open, out.next = 1, end
		}
	}
}

// run goes through the occurrences of a key, up to now.
func (k *sequence) run(cells []byte, now int64, m *matcher, out *run) {
	m.begin()
	ahead := int64(never)
	for ; len(cells) >= occurrence; cells = cells[occurrence:] {
		ms := timeOf(cells)
		if ms > now { // ahead of the clock
			ahead = ms
			break
		}
		k.feed(m, ms, maskOf(cells))
	}
	k.shown(m, now, out)
	out.next = min(out.next, ahead)
}

// part goes through what follows with two matchers that have seen different things, until they cannot be told apart any more: behind that both do the same. It
// tells how the key stands at an instant by either, as far as that differs.
func (k *sequence) part(w *matchers, cells []byte, now int64, one, other *run) {
	for ; !w.same(); cells = cells[occurrence:] {
		if len(cells) < occurrence {
			k.shown(&w[0], now, one)
			k.shown(&w[1], now, other)
			return
		}
		k.feed(&w[0], timeOf(cells), maskOf(cells))
		k.feed(&w[1], timeOf(cells), maskOf(cells))
	}
	k.sofar(&w[0], one)
	k.sofar(&w[1], other)
	if one.complete != other.complete && k.decided(&w[1], cells, now) {
		other.complete = one.complete
	}
}

// same says whether both do the same with whatever follows.
func (w *matchers) same() bool {
	a, b := w[0].at, w[1].at
	if w[0].deadline != w[1].deadline {
		return false
	}
	for s := range a {
		if a[s].time != b[s].time || a[s].time >= 0 && a[s].start != b[s].start {
			return false
		}
	}
	return true
}

// decided says whether by what follows the key is complete at an instant, or is not, whatever it was.
func (k *sequence) decided(m *matcher, cells []byte, now int64) bool {
	for count := m.count; len(cells) >= occurrence; cells = cells[occurrence:] {
		mask := maskOf(cells)
		if k.feed(m, timeOf(cells), mask); m.count > count || mask&k.until != 0 {
			return true
		}
	}
	return m.deadline <= now
}

// fresh is where the occurrences begin that matter to one at an instant behind them all. In front of it nothing happened for so long that nothing can go on.
func (k *sequence) fresh(cells []byte, ms int64) (first int) {
	for first = len(cells); first > 0; first -= occurrence {
		before := timeOf(cells[first-occurrence:])
		if ms-before >= k.reach {
			break
		}
		ms = before
	}
	return first
}

// unknown is in place of whether a key is complete, where nobody has looked at its occurrences from the first one on.
const unknown = 2

// completed says whether a key is complete by occurrences after which nothing can go on.
func (k *sequence) completed(m *matcher, cells []byte) int64 {
	m.begin()
	for ; len(cells) >= occurrence; cells = cells[occurrence:] {
		if k.feed(m, timeOf(cells), maskOf(cells)); m.complete == 1 && k.until == 0 {
			return 1
		}
	}
	m.pass(never - 1)
	return m.complete
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
		reset(m.at)
		m.deadline, m.complete = never, 0
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
	m.at[s].time, m.at[s].start = ms, best
	return true
}

// outlook is until when something that has begun can go on; -1 when nothing has.
func (k *sequence) outlook(at []reach) (end int64) {
	end = -1
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
	return end
}
