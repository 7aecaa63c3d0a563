package shard

import (
	"encoding/binary"
	"math/bits"
)

// recent remembers the message ids of the last hours, exactly, so that an event that a producer sends again, at another offset, is recognised.
// It is bounded by time and by number; since says how far back it reaches.
//
// Ids lie in arrival order in chunks; a table of (tag, position) finds them. A chunk is immutable once it is full,
// so a snapshot only copies the list of chunks. About 28 bytes an id.
type recent struct {
	window int64 // milliseconds
	limit  int   // ids

	chunks []*recentChunk // oldest first
	base   uint64         // position of the first id of chunks[0]
	next   uint64         // position of the next id
	table  []uint64       // tag in the high half, low bits of the position in the low one; 0 is free
	used   int            // ids held
	filled int            // slots in use, those of forgotten ids too
	swept  uint64         // the slot at which sweep goes on
	since  int64          // shard time of the newest id that was forgotten; 0: none was
}

const recentChunkIDs = 256

type recentChunk struct {
	last int64 // shard time of the newest id
	ids  [recentChunkIDs][2]uint64
}

func newRecent(window int64, limit int) recent {
	return recent{window: window, limit: limit, table: make([]uint64, 1024)}
}

// tagOf is the upper half of a slot: 31 bits of the id's hash, and one that is set, so that no slot in use is zero.
func tagOf(id [2]uint64) uint64 { return id[1]&^0xffffffff | 1<<32 }

// start is where the search for a tag begins. It depends on the slot alone: moving slots about needs no ids, which would be a
// cache miss each.
func (r *recent) start(tag uint64) uint64 { return tag >> 33 & uint64(len(r.table)-1) }

func (r *recent) at(position uint64) *[2]uint64 {
	i := position - r.base
	return &r.chunks[i/recentChunkIDs].ids[i%recentChunkIDs]
}

// position restores the full position of a table slot from its low 32 bits: ids held are far fewer than 2^32.
func (r *recent) position(slot uint64) uint64 {
	low := uint32(slot)
	return r.base + uint64(low-uint32(r.base))
}

// live says whether the id of a slot is held. Those that are not are swept long before their positions would come again.
func (r *recent) live(slot uint64) bool { return uint32(slot)-uint32(r.base) < uint32(r.next-r.base) }

// touch loads the line of the table that id would be in.
func (r *recent) touch(id [2]uint64) uint64 { return r.table[r.start(tagOf(id))] }

// seen says whether id was there already. If not, it is from now on, which is shard time now.
func (r *recent) seen(id [2]uint64, now int64) bool {
	i, found := r.find(id)
	if !found {
		r.add(id, now, i)
	}
	return found
}

// find is the slot of an id within what is held, or the free one at which the search for it ends.
func (r *recent) find(id [2]uint64) (i uint64, found bool) {
	mask := uint64(len(r.table) - 1)
	tag := tagOf(id)
	for i = r.start(tag); r.table[i] != 0; i = (i + 1) & mask {
		if r.table[i]&^0xffffffff == tag && r.live(r.table[i]) && *r.at(r.position(r.table[i])) == id {
			return i, true
		}
	}
	return i, false
}

// add remembers id, which is not there, at shard time now. Slot i is where find ended.
func (r *recent) add(id [2]uint64, now int64, i uint64) {
	tag := tagOf(id)
	if 4*(r.filled+1) > 3*len(r.table) {
		r.grow()
		i = r.free(tag)
	}
	if (r.next-r.base)%recentChunkIDs == 0 {
		r.chunks = append(r.chunks, new(recentChunk))
	}
	c := r.chunks[len(r.chunks)-1]
	c.ids[(r.next-r.base)%recentChunkIDs] = id
	c.last = now
	r.table[i] = tag | uint64(uint32(r.next))
	r.filled++
	r.next++
	r.used++
	if r.used > r.limit {
		r.drop()
	}
}

// free is the slot at which the search for a tag ends that no slot has.
func (r *recent) free(tag uint64) uint64 {
	mask := uint64(len(r.table) - 1)
	i := r.start(tag)
	for r.table[i] != 0 {
		i = (i + 1) & mask
	}
	return i
}

func (r *recent) grow() {
	old := r.table
	r.table, r.filled, r.swept = make([]uint64, 2*len(old)), r.used, 0
	for _, slot := range old {
		if slot != 0 && r.live(slot) {
			r.table[r.free(slot)] = slot
		}
	}
}

// expire forgets the chunks of which every id is older than the window.
func (r *recent) expire(now int64) {
	for len(r.chunks) > 1 && r.chunks[0].last < now-r.window {
		r.drop()
	}
}

// drop forgets the oldest chunk. Its slots stay in the table, for a while: see sweep.
func (r *recent) drop() {
	n := min(recentChunkIDs, int(r.next-r.base))
	r.since = r.chunks[0].last
	r.chunks[0] = nil
	r.chunks = r.chunks[1:]
	r.base += uint64(n)
	r.used -= n
	r.sweep(sweepSlots * n)
}

// sweepSlots is how many slots are swept for each id that is forgotten: so at most an eighth of the slots is of forgotten ids.
const sweepSlots = 8

// sweep takes the slots of forgotten ids out of the next so many slots, and what follows each in its run. To take each id out on its own, as it is
// forgotten, is a cache miss, and was a twentieth of all that an event costs; to run through the table is none.
func (r *recent) sweep(slots int) {
	mask := uint64(len(r.table) - 1)
	base, held := uint32(r.base), uint32(r.next-r.base)
	i, end := r.swept, r.swept+uint64(slots)
	for ; i < end; i++ {
		// Few slots are of forgotten ids, and half are free, which no branch can foretell: all is computed. Bit 32 of a slot in use is set.
		slot := r.table[i&mask]
		_, live := bits.Sub32(uint32(slot)-base, held, 0)
		if uint32(slot>>32)&^live&1 != 0 {
			i = r.vacate(i)
		}
	}
	r.swept = i & mask
}

// vacate takes slot i out, of a forgotten id, and all such in the rest of the run of slots in use. What lies between is taken out and put in again in
// turn, between its start and where it was, so that no gap is left before any. It returns the end of the run.
func (r *recent) vacate(i uint64) uint64 {
	mask := uint64(len(r.table) - 1)
	for ; r.table[i&mask] != 0; i++ {
		slot := r.table[i&mask]
		r.table[i&mask] = 0
		if r.live(slot) {
			r.table[r.free(slot)] = slot
		} else {
			r.filled--
		}
	}
	return i
}

// held is the number of ids and the bytes they take.
func (r *recent) held() (ids int, bytes int64) {
	return r.used, int64(len(r.chunks))*recentChunkIDs*16 + int64(len(r.table))*8
}

// frozenRecent is what a snapshot keeps: the chunks, and the last one, still being filled, as a copy.
type frozenRecent struct {
	chunks []*recentChunk
	count  int
	base   uint64
	since  int64
}

func (r *recent) freeze() frozenRecent {
	f := frozenRecent{chunks: append([]*recentChunk(nil), r.chunks...), count: int(r.next - r.base), base: r.base, since: r.since}
	if n := len(f.chunks); n > 0 {
		tail := *f.chunks[n-1]
		f.chunks[n-1] = &tail
	}
	return f
}

func (f *frozenRecent) append(dst []byte) []byte {
	dst = binary.AppendVarint(dst, f.since)
	dst = binary.AppendUvarint(dst, f.base)
	dst = binary.AppendUvarint(dst, uint64(f.count))
	left := f.count
	for _, c := range f.chunks {
		n := min(left, recentChunkIDs)
		dst = binary.LittleEndian.AppendUint64(dst, uint64(c.last))
		for _, id := range c.ids[:n] {
			dst = binary.LittleEndian.AppendUint64(dst, id[0])
			dst = binary.LittleEndian.AppendUint64(dst, id[1])
		}
		left -= n
	}
	return dst
}

func (r *recent) restore(src []byte) (rest []byte, err error) {
	since, k := binary.Varint(src)
	if k <= 0 {
		return nil, errShort
	}
	src = src[k:]
	base, k := binary.Uvarint(src)
	if k <= 0 {
		return nil, errShort
	}
	src = src[k:]
	count, k := binary.Uvarint(src)
	if k <= 0 || count > uint64(len(src))/16 {
		return nil, errShort
	}
	src = src[k:]
	r.base, r.next = base, base
	for count > 0 {
		n := min(count, recentChunkIDs)
		if uint64(len(src)) < 8+16*n {
			return nil, errShort
		}
		last := int64(binary.LittleEndian.Uint64(src))
		src = src[8:]
		for range n {
			id := [2]uint64{binary.LittleEndian.Uint64(src), binary.LittleEndian.Uint64(src[8:])}
			r.add(id, last, r.free(tagOf(id)))
			src = src[16:]
		}
		count -= n
	}
	r.since = since
	return src, nil
}
