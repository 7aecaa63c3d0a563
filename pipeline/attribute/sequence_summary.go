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
//	uint64 completions<<32 | complete keys<<16 | open keys, uint64 late(the latest completion) or 0
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

// stored is the fixed part, and the time of the newest occurrence, -1 when nothing was seen.
func stored(fixed []byte) (s summary, newest int64) {
	s, newest = summary{lastAt: -1, next: never}, -1
	if get(fixed) == 0 {
		return s, newest
	}
	v := get(fixed[16:])
	s.count, s.complete, s.open = int64(v>>32), int64(v>>16&0xffff), int64(v&0xffff)
	if next := get(fixed[8:]); next != ^uint64(0) {
		s.next = lateTime(next)
	}
	if at := get(fixed[24:]); at != 0 {
		s.lastAt = lateTime(at)
	}
	return s, lateTime(get(fixed))
}

// advance makes s, which is what is shown at the newest occurrence, what is shown at now. Whoever changes by then has had an occurrence
// not so long before.
func (k *sequence) advance(g *groups, s *summary, newest, now int64) {
	if now < s.next {
		return
	}
	s.next, s.nextLost = never, false
	if k.wait == 0 {
		return
	}
	var m matcher // once: clearing it costs as much as a key
	from, rows := 0, g.keys.seg[min(header, g.keys.heap):g.keys.heap]
	for ; len(rows) >= groupRow; rows = rows[groupRow:] {
		first := from
		from = occurrence * int(binary.LittleEndian.Uint16(rows))
		if from <= first || from > len(g.cells) || timeOf(g.cells[from-occurrence:])+k.wait <= newest {
			continue
		}
		before := k.run(g.cells[first:from], newest, &m)
		after := k.shown(&m, now)
		s.replace(&before, &after)
		s.next = min(s.next, after.next)
	}
	s.nextLost = false
}

// note takes one occurrence of a key in: cells are the others, before it and from at on after it. If it is known, as another mask, it is at at.
func (k *sequence) note(cells []byte, at int, ms int64, known, mask uint64, now int64, s *summary) {
	at *= occurrence
	var m matcher
	k.begin(&m)
	if !k.keyed && at == len(cells) { // all that there is
		first := 0
		if !s.lastLost {
			first = k.resume(cells, ms, &m, s)
		}
		for ; first < at; first += occurrence {
			k.feed(&m, timeOf(cells[first:]), maskOf(cells[first:]))
		}
		k.feed(&m, ms, mask)
		s.only(k.shown(&m, now))
		return
	}
	for first := 0; first < at; first += occurrence {
		k.feed(&m, timeOf(cells[first:]), maskOf(cells[first:]))
	}
	if at == len(cells) { // the latest of its key
		before := nothing
		if at > 0 {
			before = k.shown(&m, now)
		}
		k.feed(&m, ms, mask)
		after := k.shown(&m, now)
		s.replace(&before, &after)
		return
	}
	with := m
	k.feed(&with, ms, mask)
	if known != 0 {
		k.feed(&m, ms, known)
		at += occurrence
	}
	before, after := k.part(&m, &with, cells[at:], now)
	s.replace(&before, &after)
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
	m.out.count, m.out.lastAt, m.out.complete = s.count, s.lastAt, s.complete > 0
	return first
}

// forget takes the first n occurrences of a key out.
func (k *sequence) forget(cells []byte, n int, now int64, s *summary) {
	n *= occurrence
	if n == occurrence && maskOf(cells)&k.stages[0].bit == 0 {
		return // a first one that begins nothing
	}
	var m matcher
	k.begin(&m)
	for first := 0; first < n; first += occurrence {
		k.feed(&m, timeOf(cells[first:]), maskOf(cells[first:]))
	}
	if n == len(cells) {
		before := k.shown(&m, now)
		s.replace(&before, &nothing)
		return
	}
	var without matcher
	k.begin(&without)
	before, after := k.part(&m, &without, cells[n:], now)
	s.replace(&before, &after)
}

// nothing is how a key stands without occurrences.
var nothing = run{lastAt: -1, next: never}

// replace takes what one key did out and puts what it does now in. What cannot be told without the others is marked lost.
func (s *summary) replace(before, after *run) {
	s.lastLost = s.lastLost || after.lastAt < before.lastAt && before.lastAt == s.lastAt
	s.nextLost = s.nextLost || after.next > before.next && before.next == s.next
	s.count += after.count - before.count
	s.lastAt = max(s.lastAt, after.lastAt)
	s.complete += after.keys(after.complete) - before.keys(before.complete)
	s.open += after.keys(after.open) - before.keys(before.open)
	s.next = min(s.next, after.next)
}

// only makes s what the only key shows.
func (s *summary) only(r run) {
	*s = summary{count: r.count, lastAt: r.lastAt, complete: r.keys(r.complete), open: r.keys(r.open), next: r.next}
}

// settle finds out what replace has lost.
func (k *sequence) settle(g *groups, s *summary, now int64) {
	switch {
	case s.lastLost:
		*s = k.read(g, now)
	case s.nextLost:
		s.next = now
		k.advance(g, s, now, now)
	}
}

// keys is how many keys that is: one or none.
func (*run) keys(is bool) int64 {
	if is {
		return 1
	}
	return 0
}

// shownAt is what is shown at an instant: what the fixed part says as long as that is good, else computed.
func (k *sequence) shownAt(fixed, seg []byte, now int64) (s summary, seen bool) {
	s, newest := stored(fixed)
	switch {
	case newest < 0:
		return s, false
	case now >= newest && now < s.next:
		return s, true
	}
	g := k.open(seg)
	if now < newest {
		return k.read(&g, now), true
	}
	k.advance(&g, &s, newest, now)
	return s, true
}

// good says whether the fixed part says what is shown at an instant.
func good(fixed []byte, now int64) bool {
	key := lateKey(min(max(now, minTime), maxTime))
	return get(fixed)-1 < key && key < get(fixed[8:])
}

// read goes through all keys.
func (k *sequence) read(g *groups, now int64) summary {
	all := summary{lastAt: -1, next: never}
	var m matcher
	for row := range g.keys.n {
		one := k.run(g.cellsOf(row), now, &m)
		all.count += one.count
		all.lastAt = max(all.lastAt, one.lastAt)
		all.complete += one.keys(one.complete)
		all.open += one.keys(one.open)
		all.next = min(all.next, one.next)
	}
	return all
}
