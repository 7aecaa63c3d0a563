package shard

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"slices"

	"dashi/pipeline/recipe"
)

// gathering is the people of an account: the last segment of its record, in its encoded form (FORMAT.md). There is a row for every person and
// every shard that has told of them, in the order of hash, namespace, value and shard; the values lie behind the rows. All rows have the same
// length, so that a row is found by binary search and changed in place.
type gathering struct {
	b     []byte
	width int // of a row
}

// A row: hash uint64, bits uint64, a word for every attribute among the items, and then
const (
	rowBalance = 0 // int16: departures less arrivals that the shard has told of
	rowShard   = 2 // uint16: which shard
	rowSpace   = 4 // byte: number of the namespace
	rowState   = 5 // byte
	rowEnd     = 8 // uint32: where the value ends
	rowTail    = 12
	crowdHead  = 8 // number of rows, and of people who were turned away: uint32 each
)

// The states of a row.
const (
	rowVoid    = 0 // the shard has taken back what it said; only the balance is left
	rowLive    = 1
	rowLeaving = 2 // the person is on the way from that shard to another: the row counts until the other has told of them
)

// crowdWidth is the length of a row in bytes.
func crowdWidth(items []recipe.Item) int {
	n := 16 + rowTail
	for i := range items {
		if items[i].Attribute >= 0 {
			n += 8
		}
	}
	return n
}

func (c *gathering) len() int {
	if len(c.b) == 0 {
		return 0
	}
	return int(binary.LittleEndian.Uint32(c.b))
}

// over is how many people were turned away.
func (c *gathering) over() uint32 {
	if len(c.b) == 0 {
		return 0
	}
	return binary.LittleEndian.Uint32(c.b[4:])
}

func (c *gathering) row(i int) []byte {
	at := crowdHead + i*c.width
	return c.b[at : at+c.width : at+c.width]
}

// tail is what follows the words of a row, contribution the bits and words.
func (c *gathering) tail(i int) []byte         { return c.row(i)[c.width-rowTail:] }
func (c *gathering) contribution(i int) []byte { return c.row(i)[8 : c.width-rowTail] }
func (c *gathering) hash(i int) uint64         { return le64(c.row(i)) }
func (c *gathering) space(i int) uint8         { return c.tail(i)[rowSpace] }
func (c *gathering) state(i int) byte          { return c.tail(i)[rowState] }
func (c *gathering) shard(i int) int           { return int(binary.LittleEndian.Uint16(c.tail(i)[rowShard:])) }
func (c *gathering) balance(i int) int {
	return int(int16(binary.LittleEndian.Uint16(c.tail(i)[rowBalance:])))
}

func (c *gathering) setState(i int, s byte) { c.tail(i)[rowState] = s }
func (c *gathering) setBalance(i, n int) {
	binary.LittleEndian.PutUint16(c.tail(i)[rowBalance:], uint16(int16(n)))
}

func (c *gathering) end(i int) int {
	if i < 0 {
		return 0
	}
	return int(binary.LittleEndian.Uint32(c.tail(i)[rowEnd:]))
}

func (c *gathering) value(i int) []byte {
	heap := c.b[crowdHead+c.len()*c.width:]
	return heap[c.end(i-1):c.end(i):c.end(i)]
}

// compare orders row i and a person.
func (c *gathering) compare(i int, k key) int {
	return cmp.Or(cmp.Compare(c.hash(i), k.hash), cmp.Compare(c.space(i), k.ns), bytes.Compare(c.value(i), k.value))
}

// find is the rows of a person, [lo, hi).
func (c *gathering) find(k key) (lo, hi int) {
	n := c.len()
	for lo, hi = 0, n; lo < hi; {
		if m := int(uint(lo+hi) >> 1); c.compare(m, k) < 0 {
			lo = m + 1
		} else {
			hi = m
		}
	}
	for hi = lo; hi < n && c.compare(hi, k) == 0; hi++ {
	}
	return lo, hi
}

// same is the index behind the last row of the person who has row i.
func (c *gathering) same(i int) int {
	end, n := i+1, c.len()
	for end < n && c.hash(end) == c.hash(i) && c.space(end) == c.space(i) && bytes.Equal(c.value(end), c.value(i)) {
		end++
	}
	return end
}

// insert makes a void row for a person and a shard before row at.
func (c *gathering) insert(at int, k key, shard int) {
	if len(c.b) == 0 {
		c.b = make([]byte, crowdHead)
	}
	n, ends := c.len(), c.end(at-1)
	heap := crowdHead + n*c.width
	c.b = slices.Insert(c.b, heap+ends, k.value...)
	c.b = slices.Insert(c.b, crowdHead+at*c.width, make([]byte, c.width)...)
	binary.LittleEndian.PutUint32(c.b, uint32(n+1))
	row, tail := c.row(at), c.tail(at)
	binary.LittleEndian.PutUint64(row, k.hash)
	binary.LittleEndian.PutUint16(tail[rowShard:], uint16(shard))
	tail[rowSpace] = k.ns
	binary.LittleEndian.PutUint32(tail[rowEnd:], uint32(ends))
	c.shift(at, len(k.value))
}

// remove takes row i away.
func (c *gathering) remove(i int) {
	n, start, end := c.len(), c.end(i-1), c.end(i)
	heap := crowdHead + n*c.width
	c.shift(i+1, start-end)
	c.b = slices.Delete(c.b, heap+start, heap+end)
	c.b = slices.Delete(c.b, crowdHead+i*c.width, crowdHead+(i+1)*c.width)
	if binary.LittleEndian.PutUint32(c.b, uint32(n-1)); n == 1 && c.over() == 0 {
		c.b = c.b[:0]
	}
}

// shift moves the ends of the values from row i on.
func (c *gathering) shift(i, by int) {
	for n := c.len(); i < n; i++ {
		b := c.tail(i)[rowEnd:]
		binary.LittleEndian.PutUint32(b, uint32(int(binary.LittleEndian.Uint32(b))+by))
	}
}

// turnAway notes that one more person was turned away.
func (c *gathering) turnAway() {
	if len(c.b) == 0 {
		c.b = make([]byte, crowdHead)
	}
	binary.LittleEndian.PutUint32(c.b[4:], c.over()+1)
}

// settle drops what is no longer needed of the rows [lo, hi) of a person. The old shard tells of a departure and the new one of the arrival that
// belongs to it, in either order. While there are more departures than arrivals the person has still to arrive, and the row that is left behind
// counts. Once every departure has met its arrival nothing is left of the way.
func (c *gathering) settle(lo, hi int) {
	sum := 0
	for i := lo; i < hi; i++ {
		sum += c.balance(i)
	}
	for i := hi - 1; i >= lo; i-- {
		if sum <= 0 && c.state(i) == rowLeaving {
			c.setState(i, rowVoid)
		}
		if sum == 0 {
			c.setBalance(i, 0)
		}
		if c.state(i) == rowVoid && c.balance(i) == 0 {
			c.remove(i)
		}
	}
}

// counts is the index of that of the rows [lo, hi) of one person which counts, -1 for none: where they have arrived rather than where they were.
func (c *gathering) counts(lo, hi int) int {
	best, order := -1, 0
	for i := lo; i < hi; i++ {
		o := 0
		switch c.state(i) {
		case rowLive:
			if o = 2; c.balance(i) < 0 {
				o = 3
			}
		case rowLeaving:
			o = 1
		}
		if o >= order && o > 0 {
			best, order = i, o
		}
	}
	return best
}

// sound says whether rows that came from another node can be read, if there are so many namespaces.
func (c *gathering) sound(namespaces int) bool {
	if len(c.b) == 0 {
		return true
	}
	if len(c.b) < crowdHead || c.len() > (len(c.b)-crowdHead)/c.width {
		return false
	}
	end, heap := 0, len(c.b)-crowdHead-c.len()*c.width
	for i := range c.len() {
		if c.end(i) < end || c.end(i) > heap || int(c.space(i)) >= namespaces {
			return false
		}
		end = c.end(i)
	}
	return true
}

// each calls fn for the row of every person who counts.
func (c *gathering) each(fn func(i int)) {
	for lo, n := 0, c.len(); lo < n; {
		hi := c.same(lo)
		if i := c.counts(lo, hi); i >= 0 {
			fn(i)
		}
		lo = hi
	}
}
