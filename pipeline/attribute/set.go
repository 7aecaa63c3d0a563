package attribute

import (
	"encoding/binary"

	"dashi/pipeline/event"
)

// set holds strings. For each the operation with the later event time stands; at the same instant Remove
// does. What was removed stays as a tombstone, so that a late Add does not bring it back.
//
// Limit. The naive way, "refuse what is new when it is full", depends on arrival. Here the limit elements
// with the greatest (stamp, string) stay, tombstones among them: those that were touched last. It is exact:
//
//   - the stamp of an element is the maximum over its inputs, so in a part of the inputs it is at most what it
//     is in all of them;
//   - let e be among the limit greatest of all. A part that holds the input that gave e its stamp ranks e as
//     high as the whole does, and whatever stands before e there stands before it in the whole. So no such
//     part ever drops e;
//   - an element that is not among the greatest of all can be present with its right stamp or with a smaller
//     one, or be absent; in each case it loses against the limit that are.
//
// Truncated is exact too: something was dropped if and only if more than limit different strings were seen.
//
// A row is the stamp and the end of the string, sorted by string; aux is the number of elements that are in.
type set struct{ limit int }

const setRow = 12

func (*set) Name() string     { return "set" }
func (*set) Type() Type       { return Set }
func (*set) FixedSize() int   { return 0 }
func (*set) HasSegment() bool { return true }

func (*set) accepts(in *Input) bool {
	return in.Value.Kind == event.String && len(in.Value.Str) <= MaxElement && in.Op <= Remove && timeInRange(in.Time)
}

func (k *set) Update(fixed, seg []byte, in *Input, scratch []byte) []byte {
	if !k.accepts(in) {
		return seg
	}
	s := stamp(in.Time, in.Op)
	var t table
	t.open(seg, setRow, k.limit)
	i, found := t.search(in.Value.Str)
	if found {
		row := t.row(i)
		if old := get(row); s > old {
			put(row, s)
			putHeader(seg, t.n, t.truncated(), t.aux()+in1(s)-in1(old))
		}
		return seg
	}
	live, trunc, drop := t.aux(), t.truncated(), -1
	if t.n >= k.limit {
		trunc = true
		drop = leastRow(&t)
		least := get(t.row(drop))
		if s < least || s == least && i <= drop { // it would be the first to go
			putHeader(seg, t.n, true, live)
			return seg
		}
		live -= in1(least)
	}
	out, row := t.splice(scratch, drop, i, in.Value.Str)
	put(out[header+row*setRow:], s)
	n := binary.LittleEndian.Uint16(out)
	putHeader(out, int(n), trunc, live+in1(s))
	return out
}

// in1 is 1 for the stamp of an element that is in, 0 for a tombstone.
func in1(stamp uint64) uint16 { return uint16(stamp&1) ^ 1 }

// leastRow is the row that the limit drops first.
func leastRow(t *table) int {
	best, at := get(t.row(0)), 0
	for i := 1; i < t.n; i++ {
		if s := get(t.row(i)); s < best {
			best, at = s, i
		}
	}
	return at
}

func (k *set) Merge(fixed, seg, otherFixed, otherSeg, scratch []byte) []byte {
	var x, y table
	x.open(seg, setRow, k.limit)
	y.open(otherSeg, setRow, k.limit)
	if y.n == 0 {
		return seg
	}
	trunc := x.truncated() || y.truncated()
	b := join(&x, &y, scratch, func(row, other []byte) { putMax(row, get(other)) })
	if b.n > k.limit {
		trunc = true
		b.keepGreatest(k.limit, false, func(t table, i int) uint64 { return get(t.row(i)) })
	}
	var live uint16
	t := b.table()
	for i := range t.n {
		live += in1(get(t.row(i)))
	}
	return b.finish(trunc, live)
}

func (*set) Num(fixed, seg []byte, now int64) (float64, bool) { return 0, false }
func (*set) Str(fixed, seg []byte, now int64) ([]byte, bool)  { return nil, false }
func (*set) Truth(fixed, seg []byte, now int64) (v, ok bool)  { return false, false }

func (k *set) Elements(fixed, seg []byte, now int64) (e Elements) {
	e.kind = Set
	e.t.open(seg, setRow, k.limit)
	return e
}

func (k *set) Len(fixed, seg []byte, now int64) int {
	var t table
	t.open(seg, setRow, k.limit)
	return min(int(t.aux()), t.n)
}

func (k *set) Find(fixed, seg, key []byte, now int64) (float64, bool) {
	var t table
	t.open(seg, setRow, k.limit)
	i, found := t.search(key)
	if !found || in1(get(t.row(i))) == 0 {
		return 0, false
	}
	return 1, true
}

func (k *set) AppendJSON(dst, fixed, seg []byte, now int64) []byte {
	var t table
	t.open(seg, setRow, k.limit)
	if t.n == 0 {
		return appendNull(dst)
	}
	dst = append(dst, '[')
	first := true
	for i := range t.n {
		if in1(get(t.row(i))) == 0 {
			continue
		}
		if !first {
			dst = append(dst, ',')
		}
		first = false
		dst = AppendQuoted(dst, t.str(i))
	}
	return append(dst, ']')
}
