package attribute

import (
	"encoding/binary"
	"math/bits"
	"slices"
)

// spareSize is how long a segment of keys and cells is of which so many bytes are taken. What an input brings and what it takes away is to be moved in place, so
// all but small ones have bytes to spare: a twentieth on average, of more than a kilobyte 64.
func spareSize(taken int) int {
	if taken < 64 {
		return taken
	}
	step := min(1<<(bits.Len(uint(taken))-4), 128) // an eighth at most, and room for several cells
	return (taken + step - 1) &^ (step - 1)
}

// change is what an input does to the keys of a table that is sorted by them: one comes, one goes, or both. It is done in place, or in a copy.
type change struct {
	comes, goes  bool
	row, last    int // in front of which one comes; that goes
	key          []byte
	at           int // in the heap, where it comes
	from, to     int // in the heap, what goes
	heap         int // how long it is before
	front, after int // how long rows and heap are, before and after
}

// plan finds out where what is.
func (c *change) plan(t *table) {
	c.heap = t.heapSize()
	c.front = t.heap + c.heap
	c.after = c.front
	if c.comes {
		c.at = min(t.start(c.row), c.heap)
		c.after += t.width + len(c.key)
	}
	if !c.goes {
		return
	}
	c.from, c.to = t.span(c.last)
	if c.to > c.heap || c.comes && (c.last < c.row && c.to > c.at || c.last >= c.row && c.from < c.at) { // corrupt
		c.from, c.to = c.at, c.at
	}
	c.after -= t.width + c.to - c.from
}

// apply does it to out, which begins as the segment of t does, and returns the row of the key that has come: zero but for its end.
func (c *change) apply(t *table, out []byte) (row int) {
	switch {
	case c.comes && c.goes:
		row = c.replace(t, out)
	case c.comes:
		row = c.insert(t, out)
	case c.goes:
		c.remove(t, out)
	}
	if c.after < c.front {
		clear(out[c.after:c.front])
	}
	return row
}

func (c *change) insert(t *table, out []byte) int {
	n, row, heap := len(c.key), header+c.row*t.width, t.heap+c.at
	copy(out[heap+t.width+n:], out[heap:c.front])
	copy(out[row+t.width:], out[row:heap])
	copy(out[heap+t.width:], c.key)
	t.addToEnds(out, c.row+1, t.n+1, uint32(n))
	c.put(t, out, c.row, c.at+n)
	return c.row
}

func (c *change) remove(t *table, out []byte) {
	row := header + c.last*t.width
	copy(out[row:], out[row+t.width:t.heap+c.from])
	copy(out[t.heap-t.width+c.from:], out[t.heap+c.to:c.front])
	t.addToEnds(out, c.last, t.n-1, uint32(c.from-c.to))
}

// replace moves what lies in between, and what lies behind both if they are not as long.
func (c *change) replace(t *table, out []byte) (row int) {
	h, n, at := out[t.heap:], len(c.key), c.at
	more := n - (c.to - c.from)
	exchange(out[header:t.heap], c.row*t.width, c.last*t.width, t.width)
	if row = c.row; c.last < row {
		row--
		at = c.from + copy(h[c.from:], h[c.to:c.at])
		if more != 0 {
			copy(h[c.at+more:], h[c.at:c.heap])
		}
		t.addToEnds(out, c.last, row, uint32(c.from-c.to))
		t.addToEnds(out, row+1, t.n, uint32(more))
	} else {
		if more > 0 {
			copy(h[c.to+more:], h[c.to:c.heap])
		}
		copy(h[at+n:], h[at:c.from])
		if more < 0 {
			copy(h[c.to+more:], h[c.to:c.heap])
		}
		t.addToEnds(out, row+1, c.last+1, uint32(n))
		t.addToEnds(out, c.last+1, t.n, uint32(more))
	}
	copy(h[at:], c.key)
	c.put(t, out, row, at+n)
	return row
}

// put writes the row of the key that comes.
func (c *change) put(t *table, out []byte, row, end int) {
	b := out[header+row*t.width:][:t.width]
	clear(b)
	binary.LittleEndian.PutUint32(b[t.width-4:], uint32(end)|uint32(tagOf(c.key))<<24)
}

// grown is scratch with so many bytes of no meaning.
func grown(scratch []byte, size int) []byte { return slices.Grow(scratch[:0], size)[:size] }

// resized is seg, or a copy of it of another size, or of its own if that is greater: what is to spare, or is missing, lies behind the first front bytes and in front
// of the last back ones.
func resized(scratch, seg []byte, front, back, size int) []byte {
	if size == len(seg) {
		return seg
	}
	size = max(size, len(seg))
	out := grown(scratch, size)
	copy(out, seg[:front])
	clear(out[front : size-back])
	copy(out[size-back:], seg[len(seg)-back:])
	return out
}
