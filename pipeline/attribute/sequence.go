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
//	segment  a table of cells; a row is the time (uint48), a bit for each step that occurred (uint16) and the end of the key
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
	sequenceRow = 12
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

func (k *sequence) Update(fixed, seg []byte, in *Input, scratch []byte) []byte {
	if !k.accepts(in) {
		return seg
	}
	key, _ := k.key(in)
	t := k.open(seg)
	i, found := t.cell(key, in.Time)
	if found {
		row := t.row(i)
		if mask := maskOf(row) | 1<<in.Step; mask != maskOf(row) {
			before := k.runOf(&t, key, get(fixed))
			putMask(row, mask)
			after := k.runOf(&t, key, get(fixed))
			s := stored(fixed)
			if !s.replace(&before, &after) {
				s = k.read(&t, lateTime(get(fixed)))
			}
			s.store(fixed, lateTime(get(fixed)))
		}
		return seg
	}
	oldest, newest, first := t.extent()
	drop := -1
	switch {
	case k.keep > 0 && in.Time <= newest-k.keep:
		return seg
	case t.n >= k.limit:
		if drop = first; in.Time < oldest || in.Time == oldest && i <= drop {
			return seg
		}
	}
	now := max(newest, in.Time)
	sum := stored(fixed)
	// The other keys show at now what they showed before, if nothing has changed by time since; then it is enough to look at this
	// one, and at the one that loses an occurrence to the limit.
	same := get(fixed) != 0 && now < sum.next
	var before, lost run
	var other []byte
	if same {
		before = k.runOf(&t, key, get(fixed))
		if drop >= 0 {
			if other = t.str(drop); !bytes.Equal(other, key) {
				lost = k.runOf(&t, other, get(fixed))
			} else {
				other = nil
			}
		}
	}
	out, row := t.splice(scratch, drop, i, key)
	putHeader(out, int(binary.LittleEndian.Uint16(out)), false, 0)
	put48(out[header+row*sequenceRow:], in.Time)
	putMask(out[header+row*sequenceRow:], 1<<in.Step)
	if horizon := now - k.keep + 1; k.keep > 0 && min(oldest, in.Time) < horizon {
		u := k.open(out)
		out, same = u.without(horizon, out[len(out):]), false
	}
	u := k.open(out)
	if same {
		after := k.runOf(&u, key, lateKey(now))
		same = sum.replace(&before, &after)
	}
	if same && other != nil {
		after := k.runOf(&u, other, lateKey(now))
		same = sum.replace(&lost, &after)
	}
	if !same {
		sum = k.read(&u, now)
	}
	sum.store(fixed, now)
	return out
}

func (k *sequence) Merge(fixed, seg, otherFixed, otherSeg, scratch []byte) []byte {
	x, y := k.open(seg), k.open(otherSeg)
	if y.n == 0 {
		return seg
	}
	horizon := int64(0)
	if k.keep > 0 {
		horizon = max(x.newest(), y.newest()) - k.keep + 1
	}
	b := joinCells(&x, &y, scratch, horizon, func(row, other []byte) { putMask(row, maskOf(row)|maskOf(other)) })
	if b.n > k.limit {
		b.keepGreatest(k.limit, false, cellRank)
	}
	out := b.finish(false, 0)
	t := k.open(out)
	now := t.newest()
	sum := k.read(&t, now)
	sum.store(fixed, now)
	return out
}

func maskOf(row []byte) uint64     { return uint64(binary.LittleEndian.Uint16(row[6:])) }
func putMask(row []byte, m uint64) { binary.LittleEndian.PutUint16(row[6:], uint16(m)) }

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
	r.lastAt, r.next = -1, never
	if i, _ := t.cell(key, 0); newest != 0 && i < t.n && bytes.Equal(t.str(i), key) {
		var at [MaxStages]reach
		k.run(t, i, lateTime(newest), &at, &r)
	}
	return r
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
	var at [MaxStages]reach // once: clearing it costs as much as a key
	var one run
	for i := 0; i < t.n; {
		i = k.run(t, i, now, &at, &one)
		all.count += one.count
		all.lastAt = max(all.lastAt, one.lastAt)
		all.complete += one.keys(one.complete)
		all.open += one.keys(one.open)
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
		return s.complete > 0, seen
	case "open":
		return s.open > 0, seen
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
	var at [MaxStages]reach
	var one run
	for e.i < e.t.n {
		first := e.i
		e.i = k.run(&e.t, first, e.now, &at, &one)
		if k.shows(&one) {
			e.Value = e.t.str(first)
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
