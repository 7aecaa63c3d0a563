package profile

import (
	"encoding/binary"
	"fmt"
	"unsafe"
)

// SetSegment makes b the content of segment i and returns where the record is then: another Ref when it had
// to move, and then r is no longer good. b is one of
//
//   - segment i itself, as Edit(r).Segment(i) or Record(r).Segment(i) gave it: nothing happens, so whoever has edited it in place
//     may hand it in without asking;
//   - bytes elsewhere, which are copied: scratch, also another record of this table.
//
// Any other part of the same record is an error of the caller and panics. A record that grows gets slack, an eighth of its
// segments, so that a list that grows by one element at a time moves seldom; one that shrinks by a quarter gives memory back.
func (t *Table) SetSegment(r Ref, i int, b []byte) Ref { return t.setSegment(r, i, b, false) }

// SetSegmentTight is SetSegment without slack, for one that grows by more than that when it grows.
func (t *Table) SetSegmentTight(r Ref, i int, b []byte) Ref { return t.setSegment(r, i, b, true) }

func (t *Table) setSegment(r Ref, i int, b []byte, tight bool) Ref {
	loc := uint32(r)
	rec := t.Edit(r)
	start, end := rec.bounds(i)
	at := rec.dirAt() + 4*rec.segments
	if overlaps(b, rec.b) {
		if len(b) == end-start && &b[0] == &rec.b[at+start] {
			return r
		}
		panic("profile: BUG: SetSegment with another part of the same record")
	}
	if len(b) == end-start {
		copy(rec.b[at+start:], b)
		return r
	}
	size := at + rec.dataLen()
	length := size - (end - start) + len(b)
	if length > MaxRecord {
		panic(fmt.Sprintf("profile: BUG: a record of %d bytes, over the limit of %d", length, MaxRecord))
	}
	return t.put(loc, rec, length, change{i: i, b: b, tight: tight})
}

// SetSegments makes dir and data the segments of a record, all at once: what Record.Dir and Record.Data read afterwards. They must lie
// elsewhere than in the record. Whoever changes several segments does it in a copy and writes it back once: the record then moves
// once at most. Otherwise as SetSegment.
func (t *Table) SetSegments(r Ref, dir, data []byte) Ref {
	loc := uint32(r)
	rec := t.Edit(r)
	if overlaps(dir, rec.b) || overlaps(data, rec.b) {
		panic("profile: BUG: SetSegments with parts of the same record")
	}
	if len(dir) != 4*rec.segments || len(dir) > 0 && int(binary.LittleEndian.Uint32(dir[len(dir)-4:])) != len(data) {
		panic("profile: BUG: SetSegments with a directory that does not fit")
	}
	length := rec.dirAt() + len(dir) + len(data)
	if length > MaxRecord {
		panic(fmt.Sprintf("profile: BUG: a record of %d bytes, over the limit of %d", length, MaxRecord))
	}
	return t.put(loc, rec, length, change{all: true, dir: dir, data: data})
}

// change is what becomes of the segments of a record: one of them is b, or all of them are new, or none when i is negative.
type change struct {
	i         int
	b         []byte
	all       bool
	tight     bool // no slack
	dir, data []byte
}

// put changes the segments of a record, which is length bytes long then, and finds another place for it if it has to.
func (t *Table) put(loc uint32, rec Record, length int, c change) Ref {
	if length <= len(rec.b) {
		rec.write(rec.b, c)
		return t.shrink(loc, rec, length)
	}
	slack := (length - rec.dirAt() - 4*rec.segments) / 8
	if c.tight {
		slack = 0
	}
	if have := unitsOf(rec.b); have != 0 && length <= maxSmall {
		if s := t.slot(loc); t.grow(loc, s, toUnits(length), toUnits(min(length+slack, maxSmall))) {
			rec.write(t.record(s).b, c)
			return Ref(loc)
		}
	} else if have == 0 {
		t.reblock(loc, rec, c, blockSize(length+slack))
		return Ref(loc)
	}
	return t.move(loc, rec, c, t.place(length, slack))
}

// shrink gives back what a record of length bytes no longer needs of its slot, if that is much.
func (t *Table) shrink(loc uint32, rec Record, length int) Ref {
	if unitsOf(rec.b) != 0 {
		if spare := len(rec.b) - length; spare >= 4*unit && spare >= len(rec.b)/4 {
			t.trim(loc, t.slot(loc), toUnits(length))
		}
		return Ref(loc)
	}
	if length <= maxSmall/2 {
		return t.move(loc, rec, change{i: -1}, t.place(length, 0))
	}
	if n := max(blockSize(length), maxSmall+blockAlign); n <= len(rec.b)/2 {
		t.reblock(loc, rec, change{i: -1}, n)
	}
	return Ref(loc)
}

// move copies a record to another place, changed, and frees its former one.
func (t *Table) move(from uint32, rec Record, c change, to uint32) Ref {
	s := t.slot(to)
	rec.write(t.record(s).b, c)
	binary.LittleEndian.PutUint32(s[ordinalAt:], rec.Ordinal())
	t.index.move(tagOf(rec.Hash()), from, to)
	t.ordinals.move(rec.Ordinal(), to)
	t.vacate(from)
	return Ref(to)
}

// reblock gives a large record a block of n bytes, under its page number. Its page is the table's own already.
func (t *Table) reblock(loc uint32, rec Record, c change, n int) {
	page := loc >> unitBits
	block := t.mem.Get(n)
	copy(block, rec.b[:bodyAt])
	rec.write(block, c)
	t.heap.held += n - len(rec.b)
	t.heap.pages[page] = block
	t.mem.Put(rec.b)
}

// write writes the content of the record, changed, to dst, a slot that has room for it: its own, or another.
func (r Record) write(dst []byte, c change) {
	switch {
	case c.all:
		at := r.dirAt()
		if &dst[0] != &r.b[0] {
			copy(dst[bodyAt:], r.b[bodyAt:at])
		}
		copy(dst[at:], c.dir)
		copy(dst[at+len(c.dir):], c.data)
	case c.i < 0:
		copy(dst[bodyAt:], r.body())
	default:
		r.splice(dst, c.i, c.b)
	}
}

// splice is write with b as segment i.
func (r Record) splice(dst []byte, i int, b []byte) {
	start, end := r.bounds(i)
	at := r.dirAt() + 4*r.segments
	data := r.dataLen()
	copy(dst[at+start+len(b):], r.b[at+end:at+data]) // first, for the sake of a slot that is its own
	if &dst[0] != &r.b[0] {
		copy(dst[bodyAt:], r.b[bodyAt:at+start])
	}
	copy(dst[at+start:], b)
	dir := dst[at-4*r.segments : at]
	for k := i; k < r.segments; k++ {
		was := binary.LittleEndian.Uint32(dir[4*k:])
		binary.LittleEndian.PutUint32(dir[4*k:], uint32(int(was)-(end-start)+len(b)))
	}
}

// overlaps says whether a and b share a byte.
func overlaps(a, b []byte) bool {
	if len(a) == 0 || len(b) == 0 {
		return false
	}
	p, q := uintptr(unsafe.Pointer(&a[0])), uintptr(unsafe.Pointer(&b[0]))
	return p < q+uintptr(len(b)) && q < p+uintptr(len(a))
}
