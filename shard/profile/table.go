package profile

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/bits"
)

// touchMost is how many records Touch reads ahead in one go: more than the processor has misses in flight.
const touchMost = 32

// touchSpan is how much of a record Touch reads at most, a byte of each line.
const (
	touchSpan = 512
	touchLine = 64
)

// Ref is where a record is (I2). The zero Ref is no record.
type Ref uint32

// Table is the profiles of one shard.
type Table struct {
	layout    Layout
	mem       Memory
	index     index
	heap      heap
	ordinals  ordinals
	snapshots []*Snapshot // those that may still hold pages
	retired   []retired   // blocks that only snapshots hold
	patience  int         // retired blocks at which it is worth looking which of them can go
	estate    *estate
}

// New makes an empty table. It occupies one page.
func New(l Layout, m Memory) *Table {
	if err := l.check(); err != nil {
		panic("profile: BUG: " + err.Error())
	}
	t := &Table{layout: l, mem: m, estate: &estate{mem: m}}
	t.heap.pages = make([][]byte, 1)
	t.index.init(m)
	return t
}

func (l Layout) check() error {
	if l.Fixed < 0 || l.Fixed > MaxFixed || l.Fixed%8 != 0 || l.Segments < 0 || l.Segments > MaxSegments {
		return fmt.Errorf("a layout of %d fixed bytes and %d segments is not possible", l.Fixed, l.Segments)
	}
	return nil
}

// Layout is the shape of the records.
func (t *Table) Layout() Layout { return t.layout }

// Len is the number of records.
func (t *Table) Len() int { return t.index.count }

// Bytes is the memory that the table occupies, with what its snapshots hold of former states as far as the table knows:
// it looks at them when it writes.
func (t *Table) Bytes() int64 {
	n := t.heap.held + 24*cap(t.heap.pages) + 4*cap(t.heap.vacant)
	for _, r := range t.retired {
		n += len(r.block)
	}
	return int64(n + t.index.bytes() + t.ordinals.bytes())
}

// Find is the record with this key, which Insert was given together with this hash. It does not allocate.
func (t *Table) Find(hash uint64, namespace uint8, value []byte) (Ref, bool) {
	tag := tagOf(hash)
	for n := t.index.head(tag); n != 0; {
		b := &t.index.buckets[n]
		for i := tag % bucketEntries; ; i = (i + 1) % bucketEntries {
			e := b.slots[i]
			if e == 0 {
				break
			}
			if uint32(e>>32) == tag && t.is(uint32(e), hash, namespace, value) {
				return Ref(e), true
			}
		}
		n = b.next
	}
	return 0, false
}

// is says whether the record at loc has this key.
func (t *Table) is(loc uint32, hash uint64, namespace uint8, value []byte) bool {
	b := t.slot(loc)
	if binary.LittleEndian.Uint64(b[hashAt:]) != hash || b[namespaceAt] != namespace {
		return false
	}
	n := int(binary.LittleEndian.Uint16(b[keyLenAt:]))
	return bytes.Equal(b[headSize:headSize+n], value)
}

// Touch reads the index lines of all hashes and then the lines of the records that they probably lead to, so that the cache misses overlap
// instead of following each other: about 16 hashes at once, then the work on them. The result depends on all that
// was read, only so that the compiler keeps the reads.
//
//go:noinline
func (t *Table) Touch(hashes []uint64) uint64 {
	sum := uint64(0)
	for len(hashes) > touchMost {
		sum += t.Touch(hashes[:touchMost])
		hashes = hashes[touchMost:]
	}
	var slots [touchMost]*entries
	for k, hash := range hashes {
		tag := tagOf(hash)
		slots[k%touchMost] = t.index.buckets[t.index.head(tag)].slots
		sum += slots[k%touchMost][tag%bucketEntries]
	}
	// The fixed part, the directory and the first segments.
	span := min(headSize+t.layout.Fixed+4*t.layout.Segments+2*touchLine, touchSpan)
	for k, hash := range hashes {
		tag := tagOf(hash)
		b := slots[k%touchMost]
		for i := tag % bucketEntries; b[i] != 0; i = (i + 1) % bucketEntries {
			if e := b[i]; uint32(e>>32) == tag {
				s := t.slot(uint32(e))
				for at := 0; at < min(span, len(s)); at += touchLine {
					sum += uint64(s[at])
				}
				break
			}
		}
	}
	return sum
}

// TouchOrdinals is Touch for records whose ordinals are known: all that are in use.
//
//go:noinline
func (t *Table) TouchOrdinals(list []uint32) (sum uint64) {
	var at [touchMost]uint32
	list = list[:min(len(list), touchMost)]
	for k, o := range list {
		at[k] = t.ordinals.at(o)
	}
	last := headSize + t.layout.Fixed - 1
	for _, loc := range at[:len(list)] {
		if loc != 0 {
			s := t.slot(loc)
			sum += uint64(s[0]) + uint64(s[min(64, last)]) + uint64(s[min(128, last)])
		}
	}
	return sum
}

// Record is a record, for reading.
func (t *Table) Record(r Ref) Record { return t.record(t.slot(uint32(r))) }

// Edit is a record, for writing. If a snapshot holds its page, that is copied first; r stays good.
func (t *Table) Edit(r Ref) Record { return t.record(t.edit(uint32(r))) }

// record is the record at the beginning of b, which goes on to the end of the page.
func (t *Table) record(b []byte) Record {
	if units := unitsOf(b); units != 0 {
		b = b[: units*unit : units*unit]
	}
	return Record{b: b, fixed: t.layout.Fixed, segments: t.layout.Segments}
}

// Insert adds a record with a key that is not there yet; the caller has asked Find. All but the key is zero and empty.
func (t *Table) Insert(hash uint64, namespace uint8, value []byte) Ref {
	n := t.ordinals.lowest()
	size := headSize + len(value) + t.layout.Fixed + 4*t.layout.Segments
	if len(value) > MaxKey {
		panic(fmt.Sprintf("profile: BUG: a key of %d bytes, over the limit of %d", len(value), MaxKey))
	}
	loc := t.place(size, 0)
	b := t.slot(loc)
	b[namespaceAt], b[namespaceAt+1] = namespace, 0
	binary.LittleEndian.PutUint16(b[keyLenAt:], uint16(len(value)))
	binary.LittleEndian.PutUint32(b[sequenceAt:], 0)
	binary.LittleEndian.PutUint64(b[hashAt:], hash)
	clear(b[firstAt:headSize])
	copy(b[headSize:], value)
	clear(b[headSize+len(value) : size])
	t.enter(loc, b, hash, n)
	return Ref(loc)
}

// place makes room for a record of size bytes, better with slack more, in a page or in a block of its own.
func (t *Table) place(size, slack int) uint32 {
	if size <= maxSmall {
		return t.alloc(toUnits(min(size+slack, maxSmall)))
	}
	loc := location(t.newPage(blockSize(size+slack)), 0)
	setSlot(t.slot(loc), 0, isRecord)
	return loc
}

func toUnits(size int) int { return (size + unit - 1) / unit }

func blockSize(size int) int { return (size + blockAlign - 1) / blockAlign * blockAlign }

// enter makes the new record at loc known under its hash and an ordinal.
func (t *Table) enter(loc uint32, b []byte, hash uint64, ordinal uint32) {
	binary.LittleEndian.PutUint32(b[ordinalAt:], ordinal)
	t.ordinals.take(ordinal, loc)
	t.index.insert(tagOf(hash), loc)
}

// Delete removes a record. Its ordinal is free again.
func (t *Table) Delete(r Ref) {
	loc := uint32(r)
	rec := t.Record(r)
	t.index.remove(tagOf(rec.Hash()), loc)
	t.ordinals.give(rec.Ordinal())
	t.vacate(loc)
}

// vacate frees the place of a record.
func (t *Table) vacate(loc uint32) {
	if unitsOf(t.slot(loc)) == 0 {
		t.dropPage(loc >> unitBits)
		return
	}
	t.release(loc)
}

// ByOrdinal is the record with this ordinal.
func (t *Table) ByOrdinal(o uint32) (Ref, bool) {
	loc := t.ordinals.at(o)
	return Ref(loc), loc != 0
}

// Each calls fn for every record in the order of their ordinals until it returns false. fn must not write to the table.
func (t *Table) Each(fn func(Ref, Record) bool) {
	for _, c := range t.ordinals.chunks {
		if c == nil {
			continue
		}
		for w, free := range c.free {
			t.warm(c.at[w*64:w*64+64], ^free)
			for taken := ^free; taken != 0; taken &= taken - 1 {
				r := Ref(c.at[w*64+bits.TrailingZeros64(taken)])
				if !fn(r, t.Record(r)) {
					return
				}
			}
		}
	}
}

// warm reads the heads of the records in at whose bits are set, as Touch does.
//
//go:noinline
func (t *Table) warm(at []uint32, taken uint64) (sum uint64) {
	for ; taken != 0; taken &= taken - 1 {
		sum += uint64(t.slot(at[bits.TrailingZeros64(taken)])[hashAt])
	}
	return sum
}
