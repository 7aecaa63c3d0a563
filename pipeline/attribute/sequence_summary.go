package attribute

import "bytes"

// summary is what is shown at an instant, over all keys.
type summary struct {
	count          int64
	lastAt         int64 // of the latest completion; -1: none
	complete, open int64 // keys of which it is true
	next           int64 // when it changes by itself
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

// stored is the fixed part.
func stored(fixed []byte) summary {
	v := get(fixed[16:])
	s := summary{count: int64(v >> 32), complete: int64(v >> 16 & 0xffff), open: int64(v & 0xffff), lastAt: -1, next: never}
	if next := get(fixed[8:]); next != ^uint64(0) {
		s.next = lateTime(next)
	}
	if at := get(fixed[24:]); at != 0 {
		s.lastAt = lateTime(at)
	}
	return s
}

// runOf is how a key stands at the newest occurrence, given by its late key.
func (k *sequence) runOf(t *table, key []byte, newest uint64) (r run) {
	i, _ := k.cell(t, key, 0)
	if newest == 0 {
		i = t.n
	}
	return k.runFrom(t, i, key, lateTime(newest))
}

// runFrom is how a key stands whose occurrences begin with row i; none of it there is none.
func (k *sequence) runFrom(t *table, i int, key []byte, now int64) (r run) {
	r.lastAt, r.next = -1, never
	if i < t.n && bytes.Equal(t.str(i), key) {
		var m matcher
		r, _ = k.run(t, i, now, &m)
	}
	return r
}

// cell is table.cell; without keys only times have to be compared, and most occurrences come last.
func (k *sequence) cell(t *table, key []byte, ms int64) (row int, found bool) {
	if k.keyed {
		return t.cell(key, ms)
	}
	row = t.n
	for row > 0 && get48(t.row(row-1)) >= ms {
		row--
	}
	return row, row < t.n && get48(t.row(row)) == ms
}

// append is how a key stands at the newest occurrence, and with one more, at now, that is later than its others; these end in front of row i.
func (k *sequence) append(t *table, i int, key []byte, newest, now int64, mask uint64) (before, after run) {
	first := 0
	if k.keyed {
		for first = i; first > 0 && bytes.Equal(t.str(first-1), key); first-- {
		}
	}
	var m matcher
	k.begin(&m)
	for ; first < i; first++ {
		row := t.row(first)
		k.feed(&m, get48(row), maskOf(row))
	}
	before = k.shown(&m, newest)
	k.feed(&m, now, mask)
	return before, k.shown(&m, now)
}

// replace takes what one key did out and puts what it does now in. It reports false where that cannot be told without the others.
func (s *summary) replace(before, after *run) bool {
	if after.lastAt < before.lastAt && before.lastAt == s.lastAt || after.next > before.next && before.next == s.next {
		return false
	}
	s.count += after.count - before.count
	s.lastAt = max(s.lastAt, after.lastAt)
	s.complete += after.keys(after.complete) - before.keys(before.complete)
	s.open += after.keys(after.open) - before.keys(before.open)
	s.next = min(s.next, after.next)
	return true
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
	newest := get(fixed)
	if newest == 0 {
		return summary{next: never, lastAt: -1}, false
	}
	if s = stored(fixed); now >= lateTime(newest) && now < s.next {
		return s, true
	}
	t := k.open(seg)
	return k.read(&t, now), true
}

// read goes through all keys.
func (k *sequence) read(t *table, now int64) summary {
	all := summary{lastAt: -1, next: never}
	var m matcher // once: clearing it costs as much as a key
	for i := 0; i < t.n; {
		var one run
		one, i = k.run(t, i, now, &m)
		all.count += one.count
		all.lastAt = max(all.lastAt, one.lastAt)
		all.complete += one.keys(one.complete)
		all.open += one.keys(one.open)
		all.next = min(all.next, one.next)
	}
	return all
}
