package profile

import (
	"bytes"
	"encoding/binary"
	"slices"
)

// tester is what testing.T and rapid.T have in common.
type tester interface {
	Helper()
	Errorf(string, ...any)
	Fatalf(string, ...any)
}

// model is a naive record, and the oracle is a map of them.
type model struct {
	hash      uint64
	namespace uint8
	key       string
	first     int64
	last      int64
	version   uint64
	sequence  uint32
	ordinal   uint32
	fixed     []byte
	segments  [][]byte
	ref       Ref
}

type modelKey struct {
	hash      uint64
	namespace uint8
	key       string
}

type oracle map[modelKey]*model

func (o oracle) clone() oracle {
	c := oracle{}
	for k, m := range o {
		n := *m
		n.fixed = bytes.Clone(m.fixed)
		n.segments = make([][]byte, len(m.segments))
		for i, s := range m.segments {
			n.segments[i] = bytes.Clone(s)
		}
		c[k] = &n
	}
	return c
}

// lowest is the lowest free ordinal (I3).
func (o oracle) lowest() uint32 {
	var taken []uint32
	for _, m := range o {
		taken = append(taken, m.ordinal)
	}
	slices.Sort(taken)
	for i, n := range taken {
		if n != uint32(i) {
			return uint32(i)
		}
	}
	return uint32(len(taken))
}

// compare fails the test when the table is not what the oracle says. Refs are compared if refs.
func (o oracle) compare(t tester, tab *Table, refs bool) {
	t.Helper()
	if tab.Len() != len(o) {
		t.Fatalf("%d records, want %d", tab.Len(), len(o))
	}
	for k, m := range o {
		r, ok := tab.Find(k.hash, k.namespace, []byte(k.key))
		if !ok || refs && r != m.ref {
			t.Fatalf("Find %v gives %v, %v, want %v (I2)", k, r, ok, m.ref)
		}
		m.compare(t, tab.Record(r))
		if got, ok := tab.ByOrdinal(m.ordinal); !ok || got != r {
			t.Fatalf("ordinal %d leads to %v, %v, want %v", m.ordinal, got, ok, r)
		}
	}
	before, n := int64(-1), 0
	tab.Each(func(r Ref, rec Record) bool {
		if int64(rec.Ordinal()) <= before {
			t.Fatalf("Each gives ordinal %d after %d", rec.Ordinal(), before)
		}
		before = int64(rec.Ordinal())
		n++
		if o[modelKey{rec.Hash(), rec.Namespace(), string(rec.Key())}] == nil {
			t.Fatalf("Each gives %q, which is not there", rec.Key())
		}
		return true
	})
	if n != len(o) {
		t.Fatalf("Each gives %d records, want %d", n, len(o))
	}
}

func (m *model) compare(t tester, r Record) {
	t.Helper()
	if r.Hash() != m.hash || r.Namespace() != m.namespace || string(r.Key()) != m.key || r.First() != m.first ||
		r.Last() != m.last || r.Version() != m.version || r.Sequence() != m.sequence || r.Ordinal() != m.ordinal {
		t.Fatalf("head of %q is %d %d %d %d %d, want %+v", r.Key(), r.First(), r.Last(), r.Version(), r.Sequence(), r.Ordinal(), m)
	}
	if !bytes.Equal(r.Fixed(), m.fixed) {
		t.Fatalf("fixed part of %q is %x, want %x", m.key, r.Fixed(), m.fixed)
	}
	var dir, data []byte
	for i, s := range m.segments {
		if !bytes.Equal(r.Segment(i), s) {
			t.Fatalf("segment %d of %q is %d bytes %.20x, want %d bytes %.20x", i, m.key, len(r.Segment(i)), r.Segment(i), len(s), s)
		}
		data = append(data, s...)
		dir = binary.LittleEndian.AppendUint32(dir, uint32(len(data)))
	}
	if !bytes.Equal(r.Dir(), dir) || !bytes.Equal(r.Data(), data) {
		t.Fatalf("directory of %q is %x, want %x", m.key, r.Dir(), dir)
	}
}

// check fails the test when the table's inner state is not consistent.
func check(t tester, tab *Table) {
	t.Helper()
	free, records, held := map[uint32]int{}, map[uint32]bool{}, 0
	for n, page := range tab.heap.pages {
		held += len(page)
		before := true // the slot before is a record, or none
		for at := 0; at < len(page); {
			b, loc := page[at:], location(uint32(n), at)
			units := unitsOf(b)
			if units == 0 {
				if at != 0 || b[flagsAt] != isRecord {
					t.Fatalf("page %d has a slot without length at %d (I6)", n, at)
				}
				records[loc] = true
				break
			}
			if b[flagsAt]&prevFree != 0 == before {
				t.Fatalf("slot %d of page %d has flags %x (I6)", at, n, b[flagsAt])
			}
			if b[flagsAt]&isRecord != 0 {
				records[loc] = true
				before = true
				if size := tab.Record(Ref(loc)).size(); size > units*unit {
					t.Fatalf("a record of %d bytes in %d units", size, units)
				}
			} else {
				if !before || int(binary.LittleEndian.Uint32(b[units*unit-tailAt:])) != units {
					t.Fatalf("free slot %d of page %d is malformed, or follows a free one (I6)", at, n)
				}
				free[loc] = units
				before = false
			}
			at += units * unit
		}
	}
	if held != tab.heap.held {
		t.Fatalf("pages hold %d bytes, not %d", held, tab.heap.held)
	}
	checkFree(t, tab, free)
	checkIndex(t, tab, records)
}

func checkFree(t tester, tab *Table, free map[uint32]int) {
	t.Helper()
	empty := 0
	for i, loc := range tab.heap.free {
		if (loc != 0) != (tab.heap.some[i/64]>>(i%64)&1 == 1) {
			t.Fatalf("the bit of bin %d is wrong", i)
		}
		for prev := uint32(0); loc != 0; {
			b := tab.slot(loc)
			if units, ok := free[loc]; !ok || bin(units) != i || binary.LittleEndian.Uint32(b[prevAt:]) != prev {
				t.Fatalf("bin %d lists %x, which does not belong there", i, loc)
			}
			if free[loc] == pageUnits {
				empty++
			}
			delete(free, loc)
			prev, loc = loc, binary.LittleEndian.Uint32(b[nextAt:])
		}
	}
	if len(free) != 0 || empty != tab.heap.empty {
		t.Fatalf("%d free slots are in no list; %d empty pages, not %d", len(free), empty, tab.heap.empty)
	}
}

func checkIndex(t tester, tab *Table, records map[uint32]bool) {
	t.Helper()
	x := &tab.index
	n := 0
	if len(x.dir) > max(16, 64*(tab.Len()+bucketFull)/bucketFull) && tab.Len() > 1000 {
		t.Fatalf("a directory of %d for %d records", len(x.dir), tab.Len())
	}
	for i, head := range x.dir {
		if i > 0 && x.dir[i-1] == head {
			continue
		}
		for m := head; m != 0; m = x.buckets[m].next {
			b := &x.buckets[m]
			count := 0
			for _, e := range b.slots {
				if e == 0 {
					continue
				}
				count++
				tag, loc := uint32(e>>32), uint32(e)
				rec := tab.Record(Ref(loc))
				if !records[loc] || tagOf(rec.Hash()) != tag || x.head(tag) != head {
					t.Fatalf("the index has an entry %x that does not belong there", e)
				}
				if tab.ordinals.at(rec.Ordinal()) != loc {
					t.Fatalf("ordinal %d does not lead to its record", rec.Ordinal())
				}
			}
			if count == 0 && m != head {
				t.Fatalf("bucket %d continues another and is empty", m)
			}
			if count != int(b.count) || count > bucketFull || b.depth != x.buckets[head].depth {
				t.Fatalf("bucket %d has %d entries, not %d", m, count, b.count)
			}
			n += count
		}
	}
	if n != tab.Len() || n != len(records) {
		t.Fatalf("%d entries and %d records, want %d", n, len(records), tab.Len())
	}
}
