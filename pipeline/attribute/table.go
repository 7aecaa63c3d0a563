package attribute

import (
	"bytes"
	"encoding/binary"
	"slices"

	"github.com/cespare/xxhash/v2"
)

// table is the segment of set, tally and list:
//
//	header  4 bytes: uint16 rows | truncated<<15, uint16 aux (kind-specific)
//	rows    n rows of a fixed width; the last 4 bytes of a row are a uint32: where its string ends in the
//	        heap, and in the top 8 bits the tag, the lowest byte of the xxhash64 of the string
//	heap    the strings, one after another, in the order of the rows
//
// A segment whose header does not fit its length reads as empty, and a string whose bounds are wrong as "".
type table struct {
	seg   []byte
	n     int
	width int
	heap  int // offset of the heap
}

const (
	header    = 4
	maxRows   = 1<<15 - 1
	truncated = 1 << 15
	endMask   = 1<<24 - 1 // 2 * MaxSet * MaxElement fits
	// Up to so many rows a string is looked up by its tag, a byte a row that the processor can run through
	// without a wrong guess; beyond, halving is faster.
	tagRows = 64
	// Up to so many rows it goes through all of them: to guess wrong when to stop takes longer.
	fewRows = 24
)

func tagOf(str []byte) byte { return byte(xxhash.Sum64(str)) }

var zeroRow [32]byte

// open reads the header of seg; limit is the greatest number of rows there can rightly be. t is a fresh one: as a result it would be copied.
func (t *table) open(seg []byte, width, limit int) {
	t.width = width
	if len(seg) >= header {
		n := int(binary.LittleEndian.Uint16(seg) &^ truncated)
		heap := header + n*width
		if n <= limit && heap <= len(seg) {
			t.seg, t.n, t.heap = seg, n, heap
		}
	}
}

func (t *table) row(i int) []byte {
	at := header + i*t.width
	return t.seg[at : at+t.width]
}

// tail is the end of row i, and the tag.
func (t *table) tail(i int) uint32 { return binary.LittleEndian.Uint32(t.seg[header+(i+1)*t.width-4:]) }

func (t *table) end(i int) uint32 { return t.tail(i) & endMask }

// rows are all rows.
func (t *table) rows() []byte { return t.seg[min(header, t.heap):t.heap] }

// span is where string i lies in the heap.
func (t *table) span(i int) (start, end int) {
	var s uint32
	if i > 0 {
		s = t.end(i - 1)
	}
	e := t.end(i)
	if s > e || int(e) > len(t.seg)-t.heap {
		return 0, 0
	}
	return int(s), int(e)
}

// heapSize is how long the strings are together.
func (t *table) heapSize() int { return t.start(t.n) }

// start is where a string in front of row i begins in the heap.
func (t *table) start(i int) int {
	if i == 0 {
		return 0
	}
	return min(int(t.end(i-1)), len(t.seg)-t.heap)
}

func (t *table) str(i int) []byte {
	s, e := t.span(i)
	return t.seg[t.heap+s : t.heap+e : t.heap+e]
}

// search finds key in a table that is sorted by its strings: its row, or the row before which it belongs.
func (t *table) search(key []byte) (row int, found bool) {
	i := -1
	switch {
	case t.n == 0 || t.n > tagRows:
	case t.n <= fewRows:
		if i = tagged(t.seg[header+t.width-1:t.heap], t.width, tagOf(key)); i >= 0 && !bytes.Equal(t.str(i), key) {
			i = -1
		}
	default:
		i = t.find(key)
	}
	if i >= 0 {
		return i, true
	}
	lo, hi := 0, t.n
	for lo < hi {
		m := int(uint(lo+hi) >> 1)
		c := bytes.Compare(t.str(m), key)
		if c == 0 {
			return m, true
		}
		if c < 0 {
			lo = m + 1
		} else {
			hi = m
		}
	}
	return lo, false
}

// find is the first row with this string, or -1, in a table of any order.
func (t *table) find(key []byte) int {
	if t.n == 0 {
		return -1
	}
	tag, tags := tagOf(key), t.seg[header+t.width-1:t.heap]
	for i, at := 0, 0; at < len(tags); i, at = i+1, at+t.width {
		if tags[at] == tag && bytes.Equal(t.str(i), key) {
			return i
		}
	}
	return -1
}

// tagged is the last row with a tag, or -1, without a branch that hangs on it. It is apart, since the compiler sees to that only where nothing is loaded from
// the row that is found.
//
//go:noinline
func tagged(tags []byte, width int, tag byte) int {
	found := -1
	for i, at := 0, 0; at < len(tags); i, at = i+1, at+width {
		if tags[at] == tag {
			found = i
		}
	}
	return found
}

func (t *table) aux() uint16 {
	if t.n == 0 {
		return 0
	}
	return binary.LittleEndian.Uint16(t.seg[2:])
}

func (t *table) truncated() bool { return t.n > 0 && t.seg[1]&0x80 != 0 }

func putHeader(seg []byte, n int, trunc bool, aux uint16) {
	v := uint16(n)
	if trunc {
		v |= truncated
	}
	binary.LittleEndian.PutUint16(seg, v)
	binary.LittleEndian.PutUint16(seg[2:], aux)
}

// splice copies the table into scratch, without row drop (-1: none) and with a new row for key before row at.
// The new row is zero but for its end. The header says the new number of rows, not truncated, aux 0.
func (t *table) splice(scratch []byte, drop, at int, key []byte) (out []byte, row int) {
	w := t.width
	rows, heap := t.seg[min(header, len(t.seg)):t.heap], t.seg[t.heap:]
	out = slices.Grow(scratch[:0], header+len(rows)+w+len(heap)+len(key))
	out = append(out, zeroRow[:header]...)

	// p is where key goes in the heap, [ds, de) what leaves it.
	p, ds, de := t.start(at), 0, 0
	row = at
	switch {
	case drop < 0:
		out = append(out, rows[:at*w]...)
		out = append(out, zeroRow[:w]...)
		out = append(out, rows[at*w:]...)
		out = append(out, heap[:p]...)
		out = append(out, key...)
		out = append(out, heap[p:]...)
	case drop < at:
		row--
		ds, de = t.span(drop)
		if de > p { // corrupt
			ds, de = p, p
		}
		out = append(out, rows[:drop*w]...)
		out = append(out, rows[(drop+1)*w:at*w]...)
		out = append(out, zeroRow[:w]...)
		out = append(out, rows[at*w:]...)
		out = append(out, heap[:ds]...)
		out = append(out, heap[de:p]...)
		out = append(out, key...)
		out = append(out, heap[p:]...)
		p -= de - ds
	default:
		ds, de = t.span(drop)
		if ds < p { // corrupt
			ds, de = p, p
		}
		out = append(out, rows[:at*w]...)
		out = append(out, zeroRow[:w]...)
		out = append(out, rows[at*w:drop*w]...)
		out = append(out, rows[(drop+1)*w:]...)
		out = append(out, heap[:p]...)
		out = append(out, key...)
		out = append(out, heap[p:ds]...)
		out = append(out, heap[de:]...)
	}
	n := t.n + 1
	if drop >= 0 {
		n--
	}
	putHeader(out, n, false, 0)
	t.shiftEnds(out, n, drop, row, uint32(len(key)), uint32(de-ds))
	binary.LittleEndian.PutUint32(out[header+(row+1)*w-4:], uint32(p+len(key))|uint32(tagOf(key))<<24)
	return out, row
}

// exchange takes size bytes out of b and makes room for as many in front of at: what lies in between moves.
func exchange(b []byte, at, drop, size int) (room []byte) {
	if drop < at {
		at -= size
		copy(b[drop:at], b[drop+size:])
	} else {
		copy(b[at+size:drop+size], b[at:])
	}
	return b[at : at+size]
}

// shiftEnds corrects the ends of the old rows in out: those after the new row by the length that came, those
// after the dropped one by the length that went.
func (t *table) shiftEnds(out []byte, n, drop, row int, came, went uint32) {
	if drop < 0 {
		t.addToEnds(out, row+1, n, came)
		return
	}
	gone := drop // rows from here on, in the new numbering, stood after the dropped one
	if drop >= row {
		gone = drop + 1
	}
	t.addToEnds(out, row+1, n, came)
	t.addToEnds(out, gone, n, -went)
}

func (t *table) addToEnds(out []byte, from, to int, d uint32) {
	if d == 0 {
		return
	}
	for at := header + (from+1)*t.width - 4; from < to; from++ {
		b := out[at : at+4]
		binary.LittleEndian.PutUint32(b, binary.LittleEndian.Uint32(b)+d)
		at += t.width
	}
}
