package attribute

import (
	"bytes"

	"dashi/pipeline/event"
)

// list holds the last limit strings by event time, newest first, each with its time; at the same instant the
// greater string comes first. The same string at the same instant twice stands in it twice, unless the list
// is unique: then a string stands in it once, at its latest time.
//
// Both are exact under Merge: the limit greatest of a union of multisets are among the limit greatest of the
// parts; for a unique list the reasoning is that of set.
//
// A row is the time key and the end of the string, in the order of the list; aux is 0.
type list struct {
	limit  int
	unique bool
}

const listRow = 12

func (*list) Name() string     { return "list" }
func (*list) Type() Type       { return List }
func (*list) FixedSize() int   { return 0 }
func (*list) HasSegment() bool { return true }

func (*list) accepts(in *Input) bool {
	return in.Value.Kind == event.String && len(in.Value.Str) <= MaxElement && in.Op == Add && timeInRange(in.Time)
}

func (k *list) Update(fixed, seg []byte, in *Input, scratch []byte) []byte {
	if !k.accepts(in) {
		return seg
	}
	var t table
	t.open(seg, listRow, k.limit)
	when, value := lateKey(in.Time), in.Value.Str
	at := t.place(when, value)
	drop := -1
	if k.unique {
		drop = t.find(value)
		if drop >= 0 && get(t.row(drop)) >= when {
			return seg
		}
	}
	if drop < 0 && t.n >= k.limit {
		if at == t.n {
			return seg // older than all
		}
		drop = t.n - 1
	}
	out, row := t.splice(scratch, drop, at, value)
	put(out[header+row*listRow:], when)
	return out
}

// place is the row before which an element belongs: after all that are newer.
func (t *table) place(when uint64, value []byte) int {
	i := 0
	for i < t.n {
		w := get(t.row(i))
		if w < when || w == when && bytes.Compare(t.str(i), value) <= 0 {
			break
		}
		i++
	}
	return i
}

func (k *list) Merge(fixed, seg, otherFixed, otherSeg, scratch []byte) []byte {
	var x, y table
	x.open(seg, listRow, k.limit)
	y.open(otherSeg, listRow, k.limit)
	if y.n == 0 {
		return seg
	}
	b := newBuilder(scratch, listRow, min(x.n+y.n, k.limit), len(x.seg)-x.heap+len(y.seg)-y.heap)
	i, j := 0, 0
	for b.n < b.room && (i < x.n || j < y.n) {
		from, row := &x, i
		if i == x.n || j < y.n && newer(&y, j, &x, i) {
			from, row = &y, j
			j++
		} else {
			i++
		}
		if k.unique {
			if sofar := b.table(); sofar.find(from.str(row)) >= 0 {
				continue
			}
		}
		b.add(from.row(row), from.str(row))
	}
	return b.finish(false, 0)
}

// newer says whether row i of x comes before row j of y.
func newer(x *table, i int, y *table, j int) bool {
	v, w := get(x.row(i)), get(y.row(j))
	return v > w || v == w && bytes.Compare(x.str(i), y.str(j)) > 0
}

func (*list) Num(fixed, seg []byte, now int64) (float64, bool) { return 0, false }
func (*list) Truth(fixed, seg []byte, now int64) (v, ok bool)  { return false, false }

// Str is the newest element.
func (k *list) Str(fixed, seg []byte, now int64) ([]byte, bool) {
	var t table
	t.open(seg, listRow, k.limit)
	if t.n == 0 {
		return nil, false
	}
	return t.str(0), true
}

func (k *list) Elements(fixed, seg []byte, now int64) (e Elements) {
	e.kind = List
	e.t.open(seg, listRow, k.limit)
	return e
}

func (k *list) Len(fixed, seg []byte, now int64) int {
	var t table
	t.open(seg, listRow, k.limit)
	return t.n
}

func (k *list) Find(fixed, seg, key []byte, now int64) (float64, bool) {
	var t table
	t.open(seg, listRow, k.limit)
	if t.find(key) < 0 {
		return 0, false
	}
	return 1, true
}

func (k *list) AppendJSON(dst, fixed, seg []byte, now int64) []byte {
	var t table
	t.open(seg, listRow, k.limit)
	if t.n == 0 {
		return appendNull(dst)
	}
	dst = append(dst, '[')
	for i := range t.n {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = AppendQuoted(dst, t.str(i))
	}
	return append(dst, ']')
}
