package attribute

import (
	"bytes"
	"encoding/binary"
	"slices"
)

// builder writes a table row by row into a scratch buffer: the rows are reserved first, the heap grows behind
// them, and finish closes the gap that unused rows leave.
type builder struct {
	out            []byte
	n, room, width int
	heap           int // where the heap begins until finish
}

func newBuilder(scratch []byte, width, room, heapBytes int) builder {
	heap := header + room*width
	out := slices.Grow(scratch[:0], heap+heapBytes)[:heap]
	return builder{out: out, room: room, width: width, heap: heap}
}

// add appends a row of another table with its string, and returns it.
func (b *builder) add(row, str []byte) []byte {
	b.out = append(b.out, str...)
	at := header + b.n*b.width
	dst := b.out[at : at+b.width]
	copy(dst, row)
	putEnd(dst, len(b.out)-b.heap)
	b.n++
	return dst
}

// putEnd sets where the string of a row ends; the tag stays.
func putEnd(row []byte, end int) {
	b := row[len(row)-4:]
	binary.LittleEndian.PutUint32(b, binary.LittleEndian.Uint32(b)&^endMask|uint32(end))
}

// table is what has been added so far.
func (b *builder) table() table { return table{b.out, b.n, b.width, b.heap} }

func (b *builder) finish(trunc bool, aux uint16) []byte {
	end := header + b.n*b.width
	if end < b.heap {
		n := copy(b.out[end:], b.out[b.heap:])
		b.out = b.out[:end+n]
	}
	putHeader(b.out, b.n, trunc, aux)
	return b.out
}

// join writes the union of two tables that are sorted by their strings; combine folds the second row for the
// same string into the first.
func join(x, y *table, scratch []byte, combine func(row, other []byte)) builder {
	b := newBuilder(scratch, x.width, x.n+y.n, len(x.seg)-x.heap+len(y.seg)-y.heap)
	i, j := 0, 0
	for i < x.n || j < y.n {
		c := 0
		switch {
		case i == x.n:
			c = 1
		case j == y.n:
			c = -1
		default:
			c = bytes.Compare(x.str(i), y.str(j))
		}
		switch {
		case c < 0:
			b.add(x.row(i), x.str(i))
			i++
		case c > 0:
			b.add(y.row(j), y.str(j))
			j++
		default:
			combine(b.add(x.row(i), x.str(i)), y.row(j))
			i++
			j++
		}
	}
	return b
}

// keepGreatest drops all rows but the limit of greatest rank. Of equal ranks the later rows are kept, or the
// earlier ones when lower is set. The ranks stand in the spare bytes behind the heap, so nothing is allocated.
func (b *builder) keepGreatest(limit int, lower bool, rank func(t table, i int) uint64) {
	t := b.table()
	used := len(b.out)
	for i := range b.n {
		b.out = binary.LittleEndian.AppendUint64(b.out, rank(t, i))
	}
	ranks := b.out[used:]
	least, equal := leastKept(ranks, limit)
	if !lower {
		equal = atLeast(ranks, least) - limit // so many of them go first
	}
	t = table{b.out[:used], b.n, b.width, b.heap}
	kept, end := 0, 0
	for i := range t.n {
		r := get(ranks[8*i:])
		keep := r > least
		if r == least {
			keep = (equal > 0) == lower
			equal--
		}
		if !keep {
			continue
		}
		// Rows and strings move down in place. The end of row i-1, where string i begins, is still the
		// old one: either nothing has been dropped yet, or nothing has been moved as far as there.
		s, e := t.span(i)
		copy(t.seg[b.heap+end:], t.seg[b.heap+s:b.heap+e])
		end += e - s
		copy(t.row(kept), t.row(i))
		putEnd(t.row(kept), end)
		kept++
	}
	b.n = kept
	b.out = b.out[:b.heap+end]
}

// leastKept is the least rank of those that stay when all but the limit greatest go, and how many of that rank stay.
//
// It is found bit by bit: it is the greatest r such that at least limit ranks are r or more. That is 64 passes over n numbers, some
// 20 us for 500 of them, and only for a merge that overflows.
func leastKept(ranks []byte, limit int) (least uint64, kept int) {
	for bit := uint64(1) << 63; bit != 0; bit >>= 1 {
		if atLeast(ranks, least|bit) >= limit {
			least |= bit
		}
	}
	if kept = limit; least != 1<<64-1 {
		kept -= atLeast(ranks, least+1)
	}
	return least, kept
}

// atLeast counts the ranks that are r or more.
func atLeast(ranks []byte, r uint64) int {
	n := 0
	for len(ranks) >= 8 {
		if get(ranks) >= r {
			n++
		}
		ranks = ranks[8:]
	}
	return n
}
