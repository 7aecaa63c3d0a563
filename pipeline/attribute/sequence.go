package attribute

import (
	"bytes"
	"encoding/binary"

	"dashi/pipeline/event"
)

// sequence is steps that follow one another: A, then B within an hour, then no C within a day; for every value of a key,
// or once for the profile.
//
// The usual automaton (SASE, Wu, Diao and Rizvi, 2006; Flink's CEP library) keeps runs that advance as events arrive. What it
// holds depends on the order of arrival, so a late event is lost or wrong, and two of them cannot be merged. Here the state
// is the occurrences themselves, a set that merges by union, and the matches are computed from it in order of event time.
//
// # What matches
//
// Each step that is not negated takes one occurrence, later than the one before: at the same instant is not after, since only arrival
// could tell. Between two steps lies less than the within of the second, and between the first and the last less than the
// within of the whole. No occurrence of a negated step lies between its neighbours, both instants included. A negated last
// step completes the sequence when its within has passed since the step before with none. An optional step may be left out.
// An until undoes what has begun and what is complete.
//
// The sequence is complete at the earliest instant at which it can be; then it begins anew, with later occurrences only
// (SASE+'s skip till next match, Flink's skipPastLastEvent). There is no search: of all ways to have come to a step the
// one whose latest occurrence is latest has also begun latest, so it can do whatever the others can, and only it is kept.
//
// # The bound
//
// The limit keeps the latest occurrences, of the same instant those of the greatest keys; keep, those of so long before the newest
// one. Both are exact under Merge, as in set.go. What is forgotten does not count as a completion any more; Truncated says
// that the limit may have forgotten something.
//
//	fixed    what is shown from the newest occurrence on, until it changes by itself; see summary
//	segment  a table; a row is a uint64, the steps that occurred, and the end of a string: the length of the key as uint16,
//	         the key, the time as uint48, big-endian, so that the order of the strings is that of keys and then of time
type sequence struct {
	stages []stage
	steps  int // bits of a mask that mean something
	until  uint64
	// last is set when the sequence ends with a negated step: its bit and within.
	last       uint64
	lastWithin int64
	within     int64 // 0: no bound
	keep       int64
	limit      int
	keyed      bool
	show       string
}

// stage is a step that takes an occurrence; a step with times is several.
type stage struct {
	bit      uint64
	within   int64 // since the stage before; 0: no bound
	optional bool
	not      uint64 // must not occur between this stage and the next
}

const (
	sequenceRow  = 12
	sequenceTail = 6 // the time at the end of the string
	// MaxSequenceKey is the length of the longest key; an occurrence with a longer one changes nothing.
	MaxSequenceKey = 256
)

func (*sequence) Name() string     { return "sequence" }
func (*sequence) FixedSize() int   { return 32 }
func (*sequence) HasSegment() bool { return true }

func (k *sequence) Type() Type {
	switch k.show {
	case "count":
		return Number
	case "last_at":
		return Time
	case "complete", "open":
		return Bool
	}
	return Set
}

func (k *sequence) accepts(in *Input) bool {
	if in.Op != Add || int(in.Step) >= k.steps || in.Time < 0 || in.Time > maxTime {
		return false
	}
	_, ok := k.key(in)
	return ok
}

func (k *sequence) open(seg []byte) table { return open(seg, sequenceRow, k.limit) }

// occurrence appends the string of a row.
func occurrence(dst, key []byte, ms int64) []byte {
	dst = append(dst, byte(len(key)>>8), byte(len(key)))
	dst = append(dst, key...)
	return append(dst, byte(ms>>40), byte(ms>>32), byte(ms>>24), byte(ms>>16), byte(ms>>8), byte(ms))
}

// at takes the string of a row apart; corrupt ones are an empty key at 1970.
func (k *sequence) at(t *table, i int) (key []byte, ms int64) {
	s := t.str(i)
	n := len(s) - sequenceTail
	if n < 2 {
		return nil, 0
	}
	b := s[n:]
	return s[2:n], int64(binary.BigEndian.Uint16(b))<<32 | int64(binary.BigEndian.Uint32(b[2:]))
}

func (k *sequence) Update(fixed, seg []byte, in *Input, scratch []byte) []byte {
	if !k.accepts(in) {
		return seg
	}
	key, _ := k.key(in)
	t := k.open(seg)
	name := occurrence(scratch[:0], key, in.Time)
	scratch = name[len(name):]
	bit := uint64(1) << in.Step
	i, found := t.search(name)
	if found {
		if row := t.row(i); get(row)&bit == 0 {
			put(row, get(row)|bit)
			k.summarise(fixed, &t)
		}
		return seg
	}
	newest := int64(-1)
	if t.n > 0 {
		newest = lateTime(get(fixed))
	}
	drop := -1
	switch {
	case k.keep > 0 && in.Time <= newest-k.keep:
		return seg
	case t.n >= k.limit:
		var oldest int64
		if drop, oldest = k.oldest(&t); in.Time < oldest || in.Time == oldest && i <= drop {
			return seg
		}
	}
	out, row := t.splice(scratch, drop, i, name)
	put(out[header+row*sequenceRow:], bit)
	n := int(binary.LittleEndian.Uint16(out))
	putHeader(out, n, false, 0)
	if k.keep > 0 && in.Time > newest {
		out = k.forget(out, in.Time-k.keep)
	}
	t = k.open(out)
	k.summarise(fixed, &t)
	return out
}

// oldest is the row that the limit drops first.
func (k *sequence) oldest(t *table) (row int, ms int64) {
	ms = never
	for i := range t.n {
		if _, at := k.at(t, i); at < ms {
			row, ms = i, at
		}
	}
	return row, ms
}

// forget takes the occurrences up to an instant out, in place.
func (k *sequence) forget(seg []byte, upTo int64) []byte {
	t := k.open(seg)
	old := false
	for i := 0; i < t.n && !old; i++ {
		_, at := k.at(&t, i)
		old = at <= upTo
	}
	if !old {
		return seg
	}
	b := newBuilder(seg[len(seg):], sequenceRow, t.n, len(t.seg)-t.heap)
	for i := range t.n {
		if _, at := k.at(&t, i); at > upTo {
			b.add(t.row(i), t.str(i))
		}
	}
	return b.finish(false, 0)
}

func (k *sequence) Merge(fixed, seg, otherFixed, otherSeg, scratch []byte) []byte {
	x, y := k.open(seg), k.open(otherSeg)
	if y.n == 0 {
		return seg
	}
	b := join(&x, &y, scratch, func(row, other []byte) { put(row, get(row)|get(other)) })
	if b.n > k.limit {
		b.keepGreatest(k.limit, false, func(t table, i int) uint64 { _, at := k.at(&t, i); return uint64(at) })
	}
	out := b.finish(false, 0)
	if k.keep > 0 {
		t := k.open(out)
		newest := int64(-1)
		for i := range t.n {
			_, at := k.at(&t, i)
			newest = max(newest, at)
		}
		out = k.forget(out, newest-k.keep)
	}
	t := k.open(out)
	k.summarise(fixed, &t)
	return out
}

// key is what an occurrence is about.
func (k *sequence) key(in *Input) (key []byte, ok bool) {
	if !k.keyed {
		return nil, true
	}
	return in.Value.Str, in.Value.Kind == event.String && len(in.Value.Str) <= MaxSequenceKey
}

// summary is what is shown at an instant, over all keys.
type summary struct {
	count          int64
	lastAt         int64 // of the latest completion; -1: none
	complete, open bool
	next           int64 // when it changes by itself
}

// summarise computes the fixed part: 32 bytes, all zero when nothing was seen.
//
//	uint64 late(the newest occurrence), uint64 late(when what is shown then changes by itself) or all ones,
//	uint64 completions<<2 | complete<<1 | open, uint64 late(the latest completion) or 0
func (k *sequence) summarise(fixed []byte, t *table) {
	newest := int64(-1)
	for i := range t.n {
		_, at := k.at(t, i)
		newest = max(newest, at)
	}
	s := k.read(t, newest)
	put(fixed, lateKey(newest))
	put(fixed[8:], ^uint64(0))
	if s.next != never {
		put(fixed[8:], lateKey(s.next))
	}
	put(fixed[16:], uint64(s.count)<<2|b1(s.complete)<<1|b1(s.open))
	put(fixed[24:], 0)
	if s.lastAt >= 0 {
		put(fixed[24:], lateKey(s.lastAt))
	}
}

func b1(v bool) uint64 {
	if v {
		return 1
	}
	return 0
}

// at is what is shown at an instant: what the fixed part says as long as that is good, else computed.
func (k *sequence) shownAt(fixed, seg []byte, now int64) (s summary, seen bool) {
	newest := get(fixed)
	if newest == 0 {
		return summary{next: never, lastAt: -1}, false
	}
	next := get(fixed[8:])
	if now >= lateTime(newest) && (next == ^uint64(0) || now < lateTime(next)) {
		s = summary{count: int64(get(fixed[16:]) >> 2), complete: get(fixed[16:])&2 != 0, open: get(fixed[16:])&1 != 0, lastAt: -1, next: never}
		if next != ^uint64(0) {
			s.next = lateTime(next)
		}
		if at := get(fixed[24:]); at != 0 {
			s.lastAt = lateTime(at)
		}
		return s, true
	}
	t := k.open(seg)
	return k.read(&t, now), true
}

// read goes through all keys.
func (k *sequence) read(t *table, now int64) summary {
	all := summary{lastAt: -1, next: never}
	for i := 0; i < t.n; {
		var one run
		i = k.run(t, i, now, &one)
		all.count += one.count
		all.lastAt = max(all.lastAt, one.lastAt)
		all.complete = all.complete || one.complete
		all.open = all.open || one.open
		all.next = min(all.next, one.next)
	}
	return all
}

func (k *sequence) Num(fixed, seg []byte, now int64) (float64, bool) {
	s, seen := k.shownAt(fixed, seg, now)
	switch k.show {
	case "count":
		return float64(s.count), seen
	case "last_at":
		return float64(s.lastAt), s.lastAt >= 0
	}
	return 0, false
}

func (k *sequence) Truth(fixed, seg []byte, now int64) (v, ok bool) {
	s, seen := k.shownAt(fixed, seg, now)
	switch k.show {
	case "complete":
		return s.complete, seen
	case "open":
		return s.open, seen
	}
	return false, false
}

func (*sequence) Str(fixed, seg []byte, now int64) ([]byte, bool) { return nil, false }

func (k *sequence) NextChange(fixed, seg []byte, now int64) int64 {
	s, _ := k.shownAt(fixed, seg, now)
	return s.next
}

func (k *sequence) Elements(fixed, seg []byte, now int64) Elements {
	if k.Type() != Set {
		return Elements{}
	}
	return Elements{t: k.open(seg), kind: Set, sequence: k, now: now}
}

// nextKey goes to the next key that is complete, or open.
func (k *sequence) nextKey(e *Elements) bool {
	for e.i < e.t.n {
		var one run
		first := e.i
		e.i = k.run(&e.t, first, e.now, &one)
		if k.shows(&one) {
			e.Value, _ = k.at(&e.t, first)
			e.Time = max(one.lastAt, 0)
			return true
		}
	}
	return false
}

func (k *sequence) shows(r *run) bool {
	return k.show == "complete_keys" && r.complete || k.show == "open_keys" && r.open
}

func (k *sequence) Len(fixed, seg []byte, now int64) (n int) {
	for e := k.Elements(fixed, seg, now); e.Next(); {
		n++
	}
	return n
}

func (k *sequence) Find(fixed, seg, key []byte, now int64) (float64, bool) {
	for e := k.Elements(fixed, seg, now); e.Next(); {
		if bytes.Equal(e.Value, key) {
			return 1, true
		}
	}
	return 0, false
}

func (k *sequence) AppendJSON(dst, fixed, seg []byte, now int64) []byte {
	switch k.Type() {
	case Number:
		return appendNum(dst, k, fixed, seg, now)
	case Time:
		ms, ok := k.Num(fixed, seg, now)
		if !ok {
			return appendNull(dst)
		}
		return appendTimeString(dst, int64(ms))
	case Bool:
		v, ok := k.Truth(fixed, seg, now)
		if !ok {
			return appendNull(dst)
		}
		return appendBool(dst, v)
	}
	if t := k.open(seg); t.n == 0 {
		return appendNull(dst)
	}
	dst = append(dst, '[')
	for e := k.Elements(fixed, seg, now); e.Next(); {
		if dst[len(dst)-1] != '[' {
			dst = append(dst, ',')
		}
		dst = AppendQuoted(dst, e.Value)
	}
	return append(dst, ']')
}

func (k *sequence) truncated(fixed, seg []byte, now int64) bool {
	t := k.open(seg)
	return t.n >= k.limit
}
