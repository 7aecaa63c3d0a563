package attribute

import "encoding/binary"

// summary is what is shown at an instant, over all keys.
type summary struct {
	count          int64
	lastAt         int64 // of the latest completion; -1: none
	complete, open int64 // keys of which it is true
	next           int64 // when it changes by itself
	// What is not known any more, since the key that it came from has changed: lastAt, next.
	lastLost, nextLost bool
}

// store writes the fixed part: 32 bytes, all zero when nothing was seen.
//
//	uint64 late(the newest occurrence), uint64 late(when what is shown then changes by itself) or all ones,
//	uint64 completions<<32 | complete keys<<16 | open keys, either only where it is shown, uint64 late(the latest completion) or 0
func (s *summary) store(fixed []byte, newest int64) {
	put(fixed, lateKey(newest))
	put(fixed[8:], ^uint64(0))
	if s.next != never {
		put(fixed[8:], lateKey(s.next))
	}
	put(fixed[16:], uint64(s.count)<<32|uint64(s.complete)<<16|uint64(s.open))
	put(fixed[24:], 0)
	if s.lastAt >= 0 {
		put(fixed[24:], lateKey(s.lastAt))
	}
}

// load reads the fixed part, and the time of the newest occurrence, -1 when nothing was seen.
func (s *summary) load(fixed []byte) (newest int64) {
	s.lastAt, s.next = -1, never
	if get(fixed) == 0 {
		return -1
	}
	v := get(fixed[16:])
	s.count, s.complete, s.open = int64(v>>32), int64(v>>16&0xffff), int64(v&0xffff)
	if next := get(fixed[8:]); next != ^uint64(0) {
		s.next = lateTime(next)
	}
	if at := get(fixed[24:]); at != 0 {
		s.lastAt = lateTime(at)
	}
	return lateTime(get(fixed))
}

// advance makes s, which is what is shown at the newest occurrence, what is shown at now. Whoever changes by then has had an occurrence
// not so long before.
func (k *sequence) advance(g *groups, s *summary, newest, now int64, m *matcher) {
	if now < s.next {
		return
	}
	s.next, s.nextLost = never, false
	if k.wait == 0 {
		return
	}
	from, all, rows := 0, g.cells, g.keys.rows()
	for at := 0; at+groupRow <= len(rows); at += groupRow {
		first := from
		from = occurrence * int(binary.LittleEndian.Uint16(rows[at:at+groupRow]))
		if last := from - occurrence; last < first || from > len(all) || timeOf(all[last:from])+k.wait <= newest {
			continue
		}
		k.elapse(s, newest, now, all[first:from], m)
	}
}

// elapse is advance for one key: what it waits for is over by now, or goes on.
func (k *sequence) elapse(s *summary, newest, now int64, cells []byte, m *matcher) {
	first := k.begin(m, cells, newest)
	switch end := m.deadline; {
	case end <= newest: // it was over before
	case end <= now:
		s.count++
		s.lastAt = max(s.lastAt, end)
		s.open -= k.opens
		if k.completes != 0 && m.complete != 1 && (m.complete == 0 || k.completed(m, cells[:first]) == 0) {
			s.complete++
		}
	case end != never:
		s.next = min(s.next, end)
	case k.opens != 0:
		if end = k.outlook(m.at); end > now {
			s.next = min(s.next, end)
		} else if end > newest {
			s.open--
		}
	}
}

// begin feeds a matcher what matters of the occurrences of a key at an instant behind them all. It returns where that begins; whether the key was complete
// in front of it is unknown.
func (k *sequence) begin(m *matcher, cells []byte, ms int64) (first int) {
	m.begin()
	first = k.fresh(cells, ms)
	if first > 0 {
		m.complete = unknown
	}
	k.feedAll(m, cells[first:])
	return first
}

// note takes one occurrence of a key in: cells are the others, before it and from at on after it. If it is known, as another mask, it is at at.
func (k *sequence) note(cells []byte, at int, ms int64, known, mask uint64, now int64, s *summary, w *matchers) {
	at *= occurrence
	m := &w[0]
	var before, after run
	if !k.keyed && at == len(cells) && !s.lastLost { // all that there is
		first := k.resume(cells, ms, m, s)
		k.feedAll(m, cells[first:])
		k.feed(m, ms, mask)
		k.shown(m, now, &after)
		s.only(&after)
		return
	}
	first := k.begin(m, cells[:at], ms)
	if at == len(cells) { // the latest of its key
		k.shown(m, now, &before)
		k.feed(m, ms, mask)
		k.shown(m, now, &after)
	} else {
		w[1].become(m)
		k.feed(&w[1], ms, mask)
		if known != 0 {
			k.feed(m, ms, known)
			at += occurrence
		}
		k.part(w, cells[at:], now, &before, &after)
	}
	k.replace(s, &before, &after, cells[:first], m)
}

// resume finds where the occurrences begin that matter to one at an instant behind them all, and what was shown there, for a sequence without
// keys: what its latest completion used up, and what is too long ago, does not.
func (k *sequence) resume(cells []byte, ms int64, m *matcher, s *summary) (first int) {
	from := ms - k.reach
	if s.lastAt >= 0 {
		from = max(from, s.lastAt)
		if k.last == 0 {
			from = max(from, s.lastAt+1)
		}
	}
	first = len(cells)
	for first > 0 && timeOf(cells[first-occurrence:]) >= from {
		first -= occurrence
	}
	m.begin()
	m.count, m.lastAt, m.complete = s.count, s.lastAt, s.complete
	return first
}

// forget takes the first n occurrences of a key out.
func (k *sequence) forget(cells []byte, n int, now int64, s *summary, w *matchers) {
	n *= occurrence
	if n == occurrence && maskOf(cells)&k.stages[0].bit == 0 {
		return // a first one that begins nothing
	}
	gone, rest := cells[:n], cells[n:]
	m := &w[0]
	m.begin()
	k.feedAll(m, gone)
	if len(rest) > 0 {
		if next := timeOf(rest); next-timeOf(gone[n-occurrence:]) >= k.reach { // nothing goes on
			m.pass(next)
			switch {
			case m.count == 0:
				return
			case k.completes == 0:
				s.count -= m.count
				s.lastLost = s.lastLost || m.lastAt == s.lastAt
				return
			}
			reset(m.at)
		}
	}
	var before, after run
	if len(rest) == 0 {
		k.shown(m, now, &before)
		after.lastAt, after.next = -1, never
	} else {
		w[1].begin()
		k.part(w, rest, now, &before, &after)
	}
	s.replace(&before, &after)
}

// replace takes what one key did out and puts what it does now in; earlier are its occurrences by which it is known whether it was complete.
func (k *sequence) replace(s *summary, before, after *run, earlier []byte, m *matcher) {
	if before.complete != after.complete && len(earlier) > 0 {
		was := k.completed(m, earlier)
		if before.complete == unknown {
			before.complete = was
		}
		if after.complete == unknown {
			after.complete = was
		}
	}
	s.replace(before, after)
}

// replace takes what one key did out and puts what it does now in. What cannot be told without the others is marked lost.
func (s *summary) replace(before, after *run) {
	s.lastLost = s.lastLost || after.lastAt < before.lastAt && before.lastAt == s.lastAt
	s.nextLost = s.nextLost || after.next > before.next && before.next == s.next
	s.count += after.count - before.count
	s.lastAt = max(s.lastAt, after.lastAt)
	s.complete += after.complete - before.complete
	s.open += after.open - before.open
	s.next = min(s.next, after.next)
}

// only makes s what the only key shows.
func (s *summary) only(r *run) {
	s.count, s.lastAt, s.complete, s.open, s.next = r.count, r.lastAt, r.complete, r.open, r.next
	s.lastLost, s.nextLost = false, false
}

// settle finds out what replace has lost.
func (k *sequence) settle(g *groups, s *summary, now int64, m *matcher) {
	switch {
	case s.lastLost:
		k.read(g, now, s, m)
	case s.nextLost:
		s.next = now
		k.advance(g, s, now, now, m)
	}
}

// shownAt is what is shown at an instant: what the fixed part says as long as that is good, else computed.
func (k *sequence) shownAt(fixed, seg []byte, now int64) (s summary, seen bool) {
	newest := s.load(fixed)
	switch {
	case newest < 0:
		return s, false
	case now >= newest && now < s.next:
		return s, true
	}
	var g groups
	k.open(&g, seg)
	var room [MaxStages]reach
	m := matcher{at: room[:len(k.stages)]}
	if now < newest {
		k.read(&g, now, &s, &m)
	} else {
		k.advance(&g, &s, newest, now, &m)
	}
	return s, true
}

// good says whether the fixed part says what is shown at an instant.
func good(fixed []byte, now int64) bool {
	key := lateKey(min(max(now, minTime), maxTime))
	return get(fixed)-1 < key && key < get(fixed[8:])
}

// read goes through all keys.
func (k *sequence) read(g *groups, now int64, s *summary, m *matcher) {
	*s = summary{lastAt: -1, next: never}
	var one run
	for row := range g.keys.n {
		k.run(g.cellsOf(row), now, m, &one)
		s.count += one.count
		s.lastAt = max(s.lastAt, one.lastAt)
		s.complete += one.complete
		s.open += one.open
		s.next = min(s.next, one.next)
	}
}
