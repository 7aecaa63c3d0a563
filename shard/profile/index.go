package profile

import (
	"math/bits"
	"unsafe"
)

// The index is extendible hashing (Fagin, Nievergelt, Pippenger, Strong, 1979): a directory, indexed by the top bits of the tag,
// over buckets of 8 KiB; a full bucket is split in two, and the directory doubles when it is too coarse for that. A bucket is
// a small linear-probing table. An entry is the tag in the upper and the location in the lower half, 0 for none. The tag is all
// that splitting and moving entries need, so growing never touches a record.
const (
	bucketEntries = 1024
	bucketBytes   = 8 * bucketEntries
	bucketFull    = 832 // 81 %: 3 entries to look at for a hit, 15 for a miss, and 14 bytes an entry over a cycle of growth
	maxDepth      = 22  // the other 10 bits of the tag choose the place in the bucket
)

type entries [bucketEntries]uint64

// bucket is the description of one; next leads to another that takes what does not fit and cannot be split off:
// thousands of equal tags.
type bucket struct {
	slots *entries
	next  uint32 // number of a bucket, 0 for none
	count uint16
	depth uint8 // how many top bits of the tag its entries share
}

type index struct {
	mem     Memory
	dir     []uint32 // number of the bucket by top bits of the tag
	shift   uint8    // 32 less the number of those bits
	buckets []bucket // number 0 is none
	spare   []uint32 // numbers of buckets that are not in use but have slots
	pages   [][]byte
	count   int
	scratch []uint64
}

// tagOf mixes the hash: all of a shard's hashes may agree in some bits, since something chose the shard by them.
func tagOf(hash uint64) uint32 {
	return uint32((hash ^ hash>>32) * mix >> 32)
}

func (x *index) init(mem Memory) {
	x.mem = mem
	x.buckets = make([]bucket, 1, 8)
	x.dir = []uint32{x.newBucket(0)}
	x.shift = 32
}

// head is the first bucket for a tag.
func (x *index) head(tag uint32) uint32 { return x.dir[uint64(tag)>>(x.shift&63)] }

func (x *index) newBucket(depth uint8) uint32 {
	if len(x.spare) == 0 {
		page := x.mem.Get(PageSize)
		x.pages = append(x.pages, page)
		for at := 0; at < PageSize; at += bucketBytes {
			x.spare = append(x.spare, uint32(len(x.buckets)))
			// In pages that come from Memory 8 bytes are aligned, and the words never leave this process.
			x.buckets = append(x.buckets, bucket{slots: (*entries)(unsafe.Pointer(&page[at]))})
		}
	}
	n := x.spare[len(x.spare)-1]
	x.spare = x.spare[:len(x.spare)-1]
	b := &x.buckets[n]
	clear(b.slots[:])
	b.count, b.depth, b.next = 0, depth, 0
	return n
}

// insert adds an entry.
func (x *index) insert(tag, loc uint32) {
	n := x.head(tag)
	for x.full(n) && x.split(n) {
		n = x.head(tag)
	}
	x.place(n, uint64(tag)<<32|uint64(loc))
	x.count++
}

// full says whether the bucket and all that continue it are full.
func (x *index) full(n uint32) bool {
	for n != 0 {
		b := &x.buckets[n]
		if b.count < bucketFull {
			return false
		}
		n = b.next
	}
	return true
}

// place puts an entry into the first bucket with room from n on, chaining one more if there is none.
func (x *index) place(n uint32, e uint64) {
	for x.buckets[n].count >= bucketFull {
		if x.buckets[n].next == 0 {
			next := x.newBucket(x.buckets[n].depth)
			x.buckets[n].next = next
		}
		n = x.buckets[n].next
	}
	b := &x.buckets[n]
	i := uint32(e>>32) % bucketEntries
	for b.slots[i] != 0 {
		i = (i + 1) % bucketEntries
	}
	b.slots[i] = e
	b.count++
}

// split divides a bucket and those that continue it by one more bit of the tag. It refuses when that would
// make the directory more than 16 times as long as there are buckets' worth of entries, which only equal tags do.
func (x *index) split(n uint32) bool {
	depth := x.buckets[n].depth
	limit := min(maxDepth, max(4, bits.Len(uint(16*x.count/bucketFull))))
	if int(depth) >= limit {
		return false
	}
	if depth == 32-x.shift {
		x.double()
	}
	x.collect(n)
	depth++
	x.buckets[n].depth = depth
	sibling := x.newBucket(depth)

	bit := 32 - depth // the bit of the tag that tells them apart
	prefix := uint32(x.scratch[0]>>32) >> bit &^ 1
	width := uint32(1) << (32 - x.shift - depth)
	from := (prefix | 1) * width
	for i := from; i < from+width; i++ {
		x.dir[i] = sibling
	}
	for _, e := range x.scratch {
		if e>>32>>bit&1 == 1 {
			x.place(sibling, e)
		} else {
			x.place(n, e)
		}
	}
	return true
}

// collect empties a bucket into scratch, with those that continue it, which become spare.
func (x *index) collect(n uint32) {
	x.scratch = x.scratch[:0]
	for m := n; m != 0; {
		b := &x.buckets[m]
		for _, e := range b.slots {
			if e != 0 {
				x.scratch = append(x.scratch, e)
			}
		}
		if m != n {
			x.spare = append(x.spare, m)
		}
		m = b.next
	}
	b := &x.buckets[n]
	clear(b.slots[:])
	b.count, b.next = 0, 0
}

// double makes the directory one bit finer. For 5 million records it copies 32 KB.
func (x *index) double() {
	dir := make([]uint32, 2*len(x.dir))
	for i, n := range x.dir {
		dir[2*i], dir[2*i+1] = n, n
	}
	x.dir = dir
	x.shift--
}

// locate finds the entry of a record: its bucket, and its place there. It must be there.
func (x *index) locate(tag, loc uint32) (n, i uint32) {
	e := uint64(tag)<<32 | uint64(loc)
	for n = x.head(tag); n != 0; n = x.buckets[n].next {
		b := &x.buckets[n]
		for i = tag % bucketEntries; b.slots[i] != 0; i = (i + 1) % bucketEntries {
			if b.slots[i] == e {
				return n, i
			}
		}
	}
	panic("profile: BUG: a record is not in the index")
}

// move changes the location of an entry.
func (x *index) move(tag, from, to uint32) {
	n, i := x.locate(tag, from)
	x.buckets[n].slots[i] = uint64(tag)<<32 | uint64(to)
}

// remove deletes an entry. Those after it move up (Knuth 6.4, algorithm R), so there are no tombstones.
func (x *index) remove(tag, loc uint32) {
	n, i := x.locate(tag, loc)
	b := &x.buckets[n]
	for j := (i + 1) % bucketEntries; b.slots[j] != 0; j = (j + 1) % bucketEntries {
		home := uint32(b.slots[j]>>32) % bucketEntries
		if (j-home)%bucketEntries >= (j-i)%bucketEntries {
			b.slots[i] = b.slots[j]
			i = j
		}
	}
	b.slots[i] = 0
	b.count--
	x.count--
	if b.count == 0 {
		x.unchain(tag, n)
	}
}

// unchain makes an empty bucket spare if it continues another. Others stay: tables mostly grow.
func (x *index) unchain(tag, n uint32) {
	for m := x.head(tag); m != 0; m = x.buckets[m].next {
		if x.buckets[m].next == n {
			x.buckets[m].next = x.buckets[n].next
			x.spare = append(x.spare, n)
			return
		}
	}
}

// close gives the pages back.
func (x *index) close() {
	for _, page := range x.pages {
		x.mem.Put(page)
	}
	*x = index{}
}

// bytes is what it occupies.
func (x *index) bytes() int {
	return len(x.pages)*PageSize + 4*cap(x.dir) + int(unsafe.Sizeof(bucket{}))*cap(x.buckets) +
		4*cap(x.spare) + 8*cap(x.scratch) + 24*cap(x.pages)
}
