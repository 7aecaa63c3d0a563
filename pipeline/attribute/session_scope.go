package attribute

import (
	"encoding/binary"
	"slices"
)

// scoped is any kind that has one operation, within a session: what it shows is its value over the inputs of the latest
// session, also after that has ended. Each piece (see session.go) has a state of the inner kind. Where the latest session is
// two pieces, the two states merged stand behind them, so that reading needs no memory.
//
//	header  4 bytes: uint16 number of pieces, uint16 1 when there is a merged state, else 0
//	rows    16 bytes each: begin and end (uint48), where its segment ends (uint32); the merged state has the last row
//	fixed   the fixed parts, in the order of the rows
//	heap    the segments, likewise
type scoped struct {
	inner Kind
	*sessions
	size int // of a fixed part
}

const scopedRow = 16

// InSession says whether k shows the latest session: with one update all of its elements may go and others come.
func InSession(k Kind) bool {
	_, ok := k.(*scoped)
	return ok
}

func (k *scoped) Name() string   { return k.inner.Name() }
func (k *scoped) Type() Type     { return k.inner.Type() }
func (*scoped) FixedSize() int   { return 0 }
func (*scoped) HasSegment() bool { return true }

// room is a segment of scoped, opened.
type room struct {
	seg    []byte
	n      int // pieces
	all    int // rows: one more when there is a merged state
	size   int // of a fixed part
	heapAt int
}

// open reads the header of seg into r, which is a fresh one: a result would be copied, and the copy waits for what was written just before.
func (k *scoped) open(r *room, seg []byte) {
	r.size = k.size
	if len(seg) < header {
		return
	}
	n := int(binary.LittleEndian.Uint16(seg))
	all := n + int(binary.LittleEndian.Uint16(seg[2:])&1)
	at := header + all*(scopedRow+r.size)
	if n == 0 || at > len(seg) {
		return
	}
	r.seg, r.n, r.all, r.heapAt = seg, n, all, at
}

func (r *room) row(i int) []byte { return r.seg[header+i*scopedRow : header+(i+1)*scopedRow] }

func (r *room) piece(i int) (begin, end int64) { return get48(r.row(i)), get48(r.row(i)[6:]) }

// part is the state of piece i. The segment is "" when its bounds are corrupt.
func (r *room) part(i int) (fixed, seg []byte) {
	at := header + r.all*scopedRow + i*r.size
	var s uint32
	if i > 0 {
		s = binary.LittleEndian.Uint32(r.row(i - 1)[12:])
	}
	e := binary.LittleEndian.Uint32(r.row(i)[12:])
	if s > e || int(e) > len(r.seg)-r.heapAt {
		s, e = 0, 0
	}
	fixed = r.seg[at : at+r.size : at+r.size]
	return fixed, r.seg[r.heapAt+int(s) : r.heapAt+int(e) : r.heapAt+int(e)]
}

// latest is the state that is read; ok is false when there is none.
func (k *scoped) latest(seg []byte) (fixed, inner []byte, ok bool) {
	var r room
	k.open(&r, seg)
	if r.n == 0 {
		return nil, nil, false
	}
	fixed, inner = r.part(r.all - 1)
	return fixed, inner, true
}

// search is the first piece that begins after ms.
func (r *room) search(ms int64) int {
	i := r.n
	for i > 0 && get48(r.row(i-1)) > ms {
		i--
	}
	return i
}

func (k *scoped) accepts(in *Input) bool {
	return (in.Op == Add || in.Op == Touch) && sessionTime(in.Time)
}

// Update has a short way for what nearly every input is: one that falls into a piece, or lengthens the last one, and whose
// state keeps its length. Everything else is a merge with a state that has seen nothing but the input.
func (k *scoped) Update(fixed, seg []byte, in *Input, scratch []byte) []byte {
	if !k.accepts(in) {
		return seg
	}
	var r room
	k.open(&r, seg)
	ms := in.Time
	h := k.horizon(max(ms, r.newest()))
	if ms < h {
		return seg
	}
	if r.n > 0 && r.all == r.n && get48(r.row(0)) >= h {
		if i := r.search(ms) - 1; i >= 0 && k.within(&r, i, ms) {
			if in.Op == Touch {
				return k.lengthen(&r, i, ms)
			}
			state, inner := r.part(i)
			if out := k.inner.Update(state, inner, in, scratch); identical(inner, out) {
				return k.lengthen(&r, i, ms)
			} else if len(out) == len(inner) {
				copy(inner, out)
				return k.lengthen(&r, i, ms)
			} else {
				return k.replace(&r, i, ms, out)
			}
		}
	}
	one := slices.Grow(scratch[:0], header+scopedRow+r.size)[:header+scopedRow+r.size]
	clear(one)
	one[0] = 1
	o := room{seg: one, n: 1, all: 1, size: r.size, heapAt: len(one)}
	put48(o.row(0), ms)
	put48(o.row(0)[6:], ms)
	if in.Op == Add {
		state, _ := o.part(0)
		one = append(one, k.inner.Update(state, nil, in, one[len(one):])...)
		o.seg = one // it may have moved
		binary.LittleEndian.PutUint32(o.row(0)[12:], uint32(len(one)-o.heapAt))
	}
	return k.weave(&r, &o, h, one[len(one):])
}

// within says whether an input at ms belongs to piece i, which begins no later, and joins it to no other piece.
func (k *scoped) within(r *room, i int, ms int64) bool {
	b, e := r.piece(i)
	if ms <= e {
		return true
	}
	return i == r.n-1 && k.together(b, e, ms)
}

func (k *scoped) lengthen(r *room, i int, ms int64) []byte {
	if _, e := r.piece(i); ms > e {
		put48(r.row(i)[6:], ms)
	}
	return r.seg
}

// replace gives piece i another segment, which stands in a scratch buffer; the new whole is built behind it.
func (k *scoped) replace(r *room, i int, ms int64, inner []byte) []byte {
	_, old := r.part(i)
	var s uint32
	if i > 0 {
		s = binary.LittleEndian.Uint32(r.row(i - 1)[12:])
	}
	from := r.heapAt + min(int(s), len(r.seg)-r.heapAt)
	out := slices.Grow(inner[len(inner):], len(r.seg)+len(inner))
	out = append(out, r.seg[:from]...)
	out = append(out, inner...)
	out = append(out, r.seg[min(from+len(old), len(r.seg)):]...)
	for j := i; j < r.all; j++ {
		e := out[header+j*scopedRow+12:]
		binary.LittleEndian.PutUint32(e, binary.LittleEndian.Uint32(e)+uint32(len(inner)-len(old)))
	}
	n := *r
	n.seg = out
	return k.lengthen(&n, i, ms)
}

// newest is the time of the newest input.
func (r *room) newest() (ms int64) {
	if r.n > 0 {
		_, ms = r.piece(r.n - 1)
	}
	return ms
}

// identical says whether b is the very slice a.
func identical(a, b []byte) bool {
	return len(a) == len(b) && (len(a) == 0 || &a[0] == &b[0])
}

func (k *scoped) Merge(fixed, seg, otherFixed, otherSeg, scratch []byte) []byte {
	var x, y room
	k.open(&x, seg)
	k.open(&y, otherSeg)
	if y.n == 0 {
		return seg
	}
	return k.weave(&x, &y, k.horizon(max(x.newest(), y.newest())), scratch)
}

// group is a piece of a union: the pieces i to toI-1 of x and j to toJ-1 of y.
type group struct {
	i, j, toI, toJ int
	begin, end     int64
}

// next goes to the next piece of the union of x and y.
func (k *scoped) next(x, y *room, g *group) bool {
	g.i, g.j = g.toI, g.toJ
	if g.i == x.n && g.j == y.n {
		return false
	}
	g.begin = never
	for {
		b, e, inX := int64(never), int64(0), false
		if g.toI < x.n {
			b, e = x.piece(g.toI)
			inX = true
		}
		if g.toJ < y.n {
			if c, d := y.piece(g.toJ); c < b {
				b, e, inX = c, d, false
			}
		}
		if b == never || g.begin != never && !k.together(g.begin, g.end, b) {
			return true
		}
		if g.begin == never {
			g.begin, g.end = b, e
		}
		g.end = max(g.end, e)
		if inX {
			g.toI++
		} else {
			g.toJ++
		}
	}
}

// weave writes the union of two states from a horizon on.
func (k *scoped) weave(x, y *room, h int64, scratch []byte) []byte {
	var last [3][2]int64 // begin and end of the newest pieces
	n := 0
	for g := (group{}); k.next(x, y, &g); {
		if g.begin >= h {
			last[0], last[1], last[2] = last[1], last[2], [2]int64{g.begin, g.end}
			n++
		}
	}
	all := n
	if n >= 2 && last[2][0]-last[1][1] < k.gap && last[2][1]-last[1][0] < k.longest && (n == 2 || last[1][0]-last[0][1] >= k.gap) {
		all++
	}
	size := x.size
	heap := header + all*(scopedRow+size)
	out := slices.Grow(scratch[:0], heap+2*(len(x.seg)+len(y.seg)))[:heap]
	clear(out)
	binary.LittleEndian.PutUint16(out, uint16(n))
	out[2] = byte(all - n)
	w := room{n: n, all: all, size: size, heapAt: heap}
	row := 0
	for g := (group{}); k.next(x, y, &g); {
		if g.begin < h {
			continue
		}
		start := len(out)
		for i := g.i; i < g.toI; i++ {
			out = k.fold(out, &w, row, start, x, i)
		}
		for j := g.j; j < g.toJ; j++ {
			out = k.fold(out, &w, row, start, y, j)
		}
		w.close(out, row, g.begin, g.end)
		row++
	}
	if all > n {
		start := len(out)
		w.seg = out
		out = k.fold(out, &w, n, start, &w, n-2)
		w.seg = out
		out = k.fold(out, &w, n, start, &w, n-1)
		w.close(out, n, last[1][0], last[2][1])
	}
	return out
}

// fold merges a part into row of what is being written, whose segment begins at start and is the last so far.
func (k *scoped) fold(out []byte, w *room, row, start int, from *room, i int) []byte {
	at := header + w.all*scopedRow + row*w.size
	f, s := from.part(i)
	merged := k.inner.Merge(out[at:at+w.size:at+w.size], out[start:len(out):len(out)], f, s, out[len(out):])
	if identical(out[start:], merged) {
		return out
	}
	return append(out[:start], merged...)
}

// close writes the row of a piece whose segment ends where out does.
func (w *room) close(out []byte, i int, begin, end int64) {
	row := out[header+i*scopedRow:]
	put48(row, begin)
	put48(row[6:], end)
	binary.LittleEndian.PutUint32(row[12:], uint32(len(out)-w.heapAt))
}

func (k *scoped) Num(fixed, seg []byte, now int64) (float64, bool) {
	f, s, ok := k.latest(seg)
	if !ok {
		return 0, false
	}
	return k.inner.Num(f, s, now)
}

func (k *scoped) Str(fixed, seg []byte, now int64) ([]byte, bool) {
	f, s, ok := k.latest(seg)
	if !ok {
		return nil, false
	}
	return k.inner.Str(f, s, now)
}

func (k *scoped) Truth(fixed, seg []byte, now int64) (v, ok bool) {
	f, s, ok := k.latest(seg)
	if !ok {
		return false, false
	}
	return k.inner.Truth(f, s, now)
}

func (k *scoped) Len(fixed, seg []byte, now int64) int {
	f, s, ok := k.latest(seg)
	if !ok {
		return 0
	}
	return k.inner.Len(f, s, now)
}

func (k *scoped) Find(fixed, seg, key []byte, now int64) (float64, bool) {
	f, s, ok := k.latest(seg)
	if !ok {
		return 0, false
	}
	return k.inner.Find(f, s, key, now)
}

func (k *scoped) Elements(fixed, seg []byte, now int64) Elements {
	f, s, ok := k.latest(seg)
	if !ok {
		return Elements{}
	}
	return k.inner.Elements(f, s, now)
}

func (k *scoped) AppendJSON(dst, fixed, seg []byte, now int64) []byte {
	f, s, ok := k.latest(seg)
	if !ok {
		return appendNull(dst)
	}
	return k.inner.AppendJSON(dst, f, s, now)
}

// Since is that of the value of the latest session.
func (k *scoped) Since(fixed, seg []byte) (at int64, ok bool) {
	inner, dated := k.inner.(Dated)
	f, s, ok := k.latest(seg)
	if !dated || !ok {
		return 0, false
	}
	return inner.Since(f, s)
}

func (k *scoped) truncated(fixed, seg []byte, now int64) bool {
	f, s, ok := k.latest(seg)
	return ok && Truncated(k.inner, f, s, now)
}
