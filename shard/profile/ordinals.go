package profile

import "math/bits"

const chunkOrdinals = 4096

// maxOrdinals is more than there can be records: the shortest one takes four of 2^32 units.
const maxOrdinals = 1 << 30

// ordinals gives out small numbers and knows the location of each. The lowest free number is always the next (I3).
type ordinals struct {
	chunks []*ordinalChunk // nil: nothing in it is taken
	roomy  []uint64        // a bit per chunk that has a free number
	first  int             // no word of roomy before this one has a bit
	made   int             // chunks that are not nil
}

// ordinalChunk has no pointers, so the garbage collector passes it by.
type ordinalChunk struct {
	at   [chunkOrdinals]uint32      // location, 0 for none
	free [chunkOrdinals / 64]uint64 // a bit per free number
	sum  uint64                     // a bit per word of free that is not 0
}

func newOrdinalChunk() *ordinalChunk {
	c := &ordinalChunk{sum: ^uint64(0)}
	for i := range c.free {
		c.free[i] = ^uint64(0)
	}
	return c
}

// lowest is the lowest free number.
func (o *ordinals) lowest() uint32 {
	for o.first < len(o.roomy) && o.roomy[o.first] == 0 {
		o.first++
	}
	if o.first == len(o.roomy) {
		return uint32(len(o.chunks) * chunkOrdinals)
	}
	i := o.first*64 + bits.TrailingZeros64(o.roomy[o.first])
	c := o.chunks[i]
	if c == nil {
		return uint32(i * chunkOrdinals)
	}
	w := bits.TrailingZeros64(c.sum)
	return uint32(i*chunkOrdinals + w*64 + bits.TrailingZeros64(c.free[w]))
}

// take gives a free number to the record at loc.
func (o *ordinals) take(n, loc uint32) {
	i := int(n / chunkOrdinals)
	for len(o.chunks) <= i {
		if len(o.chunks)%64 == 0 {
			o.roomy = append(o.roomy, 0)
		}
		o.roomy[len(o.chunks)/64] |= 1 << (len(o.chunks) % 64)
		o.first = min(o.first, len(o.chunks)/64)
		o.chunks = append(o.chunks, nil)
	}
	c := o.chunks[i]
	if c == nil {
		c = newOrdinalChunk()
		o.chunks[i] = c
		o.made++
	}
	k := n % chunkOrdinals
	c.at[k] = loc
	c.free[k/64] &^= 1 << (k % 64)
	if c.free[k/64] == 0 {
		c.sum &^= 1 << (k / 64)
	}
	if c.sum == 0 {
		o.roomy[i/64] &^= 1 << (i % 64)
	}
}

// give takes a number back.
func (o *ordinals) give(n uint32) {
	i, k := int(n/chunkOrdinals), n%chunkOrdinals
	c := o.chunks[i]
	c.at[k] = 0
	c.free[k/64] |= 1 << (k % 64)
	c.sum |= 1 << (k / 64)
	o.roomy[i/64] |= 1 << (i % 64)
	o.first = min(o.first, i/64)
}

// move says that the record with this number is at loc now.
func (o *ordinals) move(n, loc uint32) { o.chunks[n/chunkOrdinals].at[n%chunkOrdinals] = loc }

// at is the location of the record with this number, 0 for none.
func (o *ordinals) at(n uint32) uint32 {
	i := int(n / chunkOrdinals)
	if i >= len(o.chunks) || o.chunks[i] == nil {
		return 0
	}
	return o.chunks[i].at[n%chunkOrdinals]
}

// Ordinals is a bound: every ordinal in use is below it.
func (t *Table) Ordinals() uint32 { return uint32(len(t.ordinals.chunks) * chunkOrdinals) }

// bytes is roughly what it occupies.
func (o *ordinals) bytes() int {
	return o.made*(4*chunkOrdinals+chunkOrdinals/8+8) + 8*cap(o.chunks) + 8*cap(o.roomy)
}
