package profile

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/cespare/xxhash/v2"
)

// TestEqualHashes: thousands of keys with one hash, and with hashes of which all tags are equal, are as many records (I1).
func TestEqualHashes(t *testing.T) {
	f := func(name string, n int, hash func(i int) uint64) {
		if testing.Short() {
			n /= 4
		}
		t.Run(name, func(t *testing.T) {
			mem := newGuard(t)
			tab := New(Layout{Fixed: 8, Segments: 1}, mem)
			refs := make([]Ref, n)
			for i := range refs {
				key := benchKey(nil, i)
				if _, ok := tab.Find(hash(i), 2, key); ok {
					t.Fatalf("%s is there before Insert", key)
				}
				refs[i] = tab.Insert(hash(i), 2, key)
			}
			check(t, tab)
			for i, r := range refs {
				if got, ok := tab.Find(hash(i), 2, benchKey(nil, i)); !ok || got != r {
					t.Fatalf("record %d is at %v, %v, want %v", i, got, ok, r)
				}
				refs[i] = tab.SetSegment(r, 0, []byte("longer than it was, so that it moves"))
			}
			check(t, tab)
			for i, r := range refs {
				if i%3 != 0 {
					tab.Delete(r)
				}
			}
			check(t, tab)
			for i, r := range refs {
				got, ok := tab.Find(hash(i), 2, benchKey(nil, i))
				if ok != (i%3 == 0) || ok && got != r {
					t.Fatalf("record %d is at %v, %v, want %v", i, got, ok, r)
				}
			}
			tab.Close()
			if n := mem.inUse(); n != 0 {
				t.Fatalf("%d bytes are in use after Close", n)
			}
		})
	}
	f("equal=all", 3000, func(int) uint64 { return 77 })
	f("equal=all, zero", 1500, func(int) uint64 { return 0 })
	f("equal=in fours", 4000, func(i int) uint64 { return xxhash.Sum64(benchKey(nil, i/4)) })
	f("equal=half", 4000, func(i int) uint64 { return uint64(i%2) * xxhash.Sum64(benchKey(nil, i)) })
	f("equal=no", 20000, func(i int) uint64 { return xxhash.Sum64(benchKey(nil, i)) })
	f("equal=no, small numbers", 20000, func(i int) uint64 { return uint64(i) })
	f("equal=no, one shard of 64", 20000, func(i int) uint64 { return xxhash.Sum64(benchKey(nil, i)) >> 6 })
	f("equal=no, low bits equal", 20000, func(i int) uint64 { return xxhash.Sum64(benchKey(nil, i)) << 6 })
}

// TestEqualTags: the whole hash belongs to the key, though the index keeps 32 bits of it.
func TestEqualTags(t *testing.T) {
	inverse := uint64(1) // of mix, by Newton
	for range 6 {
		inverse *= 2 - mix*inverse
	}
	unfold := func(x uint64) uint64 { return x ^ x>>32 }
	a, b := unfold(inverse*0x1234_5678_0000_0000), unfold(inverse*0x1234_5678_0000_0001)
	if a == b || tagOf(a) != tagOf(b) {
		t.Fatalf("the tags of %x and %x are %x and %x", a, b, tagOf(a), tagOf(b))
	}
	tab := New(Layout{}, Heap{})
	defer tab.Close()
	r := tab.Insert(a, 0, []byte("key"))
	if _, ok := tab.Find(b, 0, []byte("key")); ok {
		t.Fatal("another hash with the same tag finds the record")
	}
	s := tab.Insert(b, 0, []byte("key"))
	tab.Delete(r)
	if got, ok := tab.Find(b, 0, []byte("key")); !ok || got != s {
		t.Fatal("the wrong one of two was deleted")
	}
	check(t, tab)
}

// TestGrowth inserts and deletes in waves, so that the index splits and pages come and go.
func TestGrowth(t *testing.T) {
	mem := newGuard(t)
	tab := New(Layout{Fixed: 16, Segments: 2}, mem)
	rng := rand.New(rand.NewPCG(3, 4))
	refs := map[int]Ref{}
	next, peak := 0, int64(0)
	for wave := range 6 {
		for range 8000 {
			key := benchKey(nil, next)
			r := tab.Insert(xxhash.Sum64(key), 0, key)
			refs[next] = tab.SetSegment(r, wave%2, bytes.Repeat([]byte("x"), rng.IntN(200)))
			next++
		}
		peak = max(peak, tab.Bytes())
		for i := range next {
			if r, ok := refs[i]; ok && (wave == 5 || rng.IntN(3) > 0) {
				tab.Delete(r)
				delete(refs, i)
			}
		}
		check(t, tab)
		for i := range next {
			key := benchKey(nil, i)
			r, ok := tab.Find(xxhash.Sum64(key), 0, key)
			want, there := refs[i]
			if ok != there || ok && r != want {
				t.Fatalf("wave %d: record %d is at %v, %v, want %v, %v", wave, i, r, ok, want, there)
			}
		}
	}
	if tab.Len() != 0 || tab.heap.held != PageSize {
		t.Fatalf("%d records in %d bytes of pages after all were deleted, want one page", tab.Len(), tab.heap.held)
	}
	if peak > 30000*(48+10+16+8+100)*3/2 {
		t.Fatalf("the table needed %d bytes", peak)
	}
	tab.Close()
	if n := mem.inUse(); n != 0 {
		t.Fatalf("%d bytes are in use after Close", n)
	}
	mem.verify()
}

// TestFragmentation lets all records grow together step by step, the worst case for lists of free slots without merging.
func TestFragmentation(t *testing.T) {
	tab := New(Layout{Fixed: 40, Segments: 1}, Heap{})
	defer tab.Close()
	const n = 5000
	refs := make([]Ref, n)
	for i := range refs {
		refs[i] = tab.Insert(uint64(i), 0, nil)
	}
	b := bytes.Repeat([]byte("x"), 1000)
	for size := 10; size <= len(b); size += 10 {
		for i := range refs {
			refs[i] = tab.SetSegment(refs[i], 0, b[:size])
		}
	}
	check(t, tab)
	each := tab.heap.held / n
	t.Logf("%d bytes of pages for records of 1092", each)
	if each > 1092*14/10 {
		t.Errorf("%d bytes of pages for a record of 1092", each)
	}
}

// TestLarge lets one record grow to 1 MiB and more and shrink again.
func TestLarge(t *testing.T) {
	mem := newGuard(t)
	tab := New(Layout{Fixed: 8, Segments: 3}, mem)
	r := tab.Insert(1, 0, []byte("large"))
	r = tab.SetSegment(r, 0, []byte("before"))
	r = tab.SetSegment(r, 2, []byte("after"))
	var b []byte
	moves := 0
	for len(b) < 3<<20 {
		b = append(b, bytes.Repeat([]byte{byte(len(b) >> 8)}, 5555)...)
		held := tab.heap.held
		r = tab.SetSegment(r, 1, b)
		if tab.heap.held != held {
			moves++
		}
		rec := tab.Record(r)
		if !bytes.Equal(rec.Segment(1), b) || string(rec.Segment(0)) != "before" || string(rec.Segment(2)) != "after" {
			t.Fatalf("wrong at %d bytes", len(b))
		}
	}
	check(t, tab)
	if moves > 60 || tab.heap.held > len(b)*5/4+2*PageSize {
		t.Errorf("%d copies up to %d bytes, in %d", moves, len(b), tab.heap.held)
	}
	s := tab.Snapshot()
	for len(b) > 0 {
		b = b[:len(b)*2/3]
		r = tab.SetSegment(r, 1, b)
		if rec := tab.Record(r); !bytes.Equal(rec.Segment(1), b) || string(rec.Segment(2)) != "after" {
			t.Fatalf("wrong at %d bytes", len(b))
		}
		check(t, tab)
	}
	if tab.heap.held > 2*PageSize {
		t.Errorf("%d bytes of pages after it has shrunk", tab.heap.held)
	}
	s.Release()
	tab.Close()
	if n := mem.inUse(); n != 0 {
		t.Errorf("%d bytes are in use after Close", n)
	}
	mem.verify()
}

// TestSetSegmentAlias says which bytes may be handed in.
func TestSetSegmentAlias(t *testing.T) {
	tab := New(Layout{Fixed: 8, Segments: 2}, Heap{})
	defer tab.Close()
	r := tab.SetSegment(tab.Insert(1, 0, []byte("a")), 0, []byte("first"))
	r = tab.SetSegment(r, 1, []byte("second"))
	other := tab.SetSegment(tab.Insert(2, 0, []byte("b")), 0, []byte("of another"))

	seg := tab.Edit(r).Segment(1)
	copy(seg, "SECOND")
	if got := tab.SetSegment(r, 1, seg); got != r || string(tab.Record(r).Data()) != "firstSECOND" {
		t.Errorf("edited in place: %q", tab.Record(got).Data())
	}
	r = tab.SetSegment(r, 0, tab.Record(other).Segment(0))
	if got := tab.Record(r).Data(); string(got) != "of anotherSECOND" {
		t.Errorf("from another record: %q", got)
	}
	// A view from before the page was copied for a snapshot is bytes elsewhere.
	s := tab.Snapshot()
	seg = tab.Record(r).Segment(1)
	tab.Edit(r).Segment(0)[0] = 'O'
	r = tab.SetSegment(r, 1, seg)
	if got := tab.Record(r).Data(); string(got) != "Of anotherSECOND" {
		t.Errorf("from the page of a snapshot: %q", got)
	}
	s.Release()
	f := func(what string, i int, b []byte) {
		defer func() {
			if recover() == nil {
				t.Errorf("%s does not panic", what)
			}
		}()
		tab.SetSegment(r, i, b)
	}
	f("a part of the segment", 0, tab.Edit(r).Segment(0)[:3])
	f("another segment", 0, tab.Edit(r).Segment(1))
	f("the key", 0, tab.Edit(r).Key())
	if r = tab.SetSegment(r, 0, tab.Edit(r).Segment(0)[:0]); string(tab.Record(r).Data()) != "SECOND" {
		t.Errorf("emptied: %q", tab.Record(r).Data())
	}
}

// TestHash: neither order nor memory nor ordinals count, all content does (I7).
func TestHash(t *testing.T) {
	fillTable := func(order []int, change func(*Table, Ref)) uint64 {
		tab := New(Layout{Fixed: 8, Segments: 2}, Heap{})
		defer tab.Close()
		for _, i := range order {
			r := tab.Insert(uint64(i), uint8(i), fmt.Appendf(nil, "key %d", i))
			tab.Edit(r).SetFirst(int64(i))
			r = tab.SetSegment(r, 0, []byte("some"))
			if r = tab.SetSegment(r, 1, []byte("thing")); i == 1 && change != nil {
				change(tab, r)
			}
		}
		return tab.Hash()
	}
	want := fillTable([]int{0, 1, 2}, nil)
	if got := fillTable([]int{2, 0, 1}, nil); got != want {
		t.Errorf("another order gives %x, not %x", got, want)
	}
	if got := fillTable([]int{3, 2, 1, 0}, func(tab *Table, _ Ref) {
		r, _ := tab.ByOrdinal(0)
		tab.Delete(r)
	}); got != want {
		t.Errorf("other ordinals give %x, not %x", got, want)
	}
	f := func(what string, change func(*Table, Ref)) {
		if fillTable([]int{0, 1, 2}, change) == want {
			t.Errorf("%s does not count", what)
		}
	}
	f("the number of records", func(t *Table, r Ref) { t.Delete(r) })
	f("First", func(t *Table, r Ref) { t.Edit(r).SetFirst(9) })
	f("Last", func(t *Table, r Ref) { t.Edit(r).SetLast(9) })
	f("Version", func(t *Table, r Ref) { t.Edit(r).SetVersion(9) })
	f("Sequence", func(t *Table, r Ref) { t.Edit(r).SetSequence(9) })
	f("the fixed part", func(t *Table, r Ref) { t.Edit(r).Fixed()[7] = 1 })
	f("a segment", func(t *Table, r Ref) { t.SetSegment(r, 1, []byte("THING")) })
	f("where segments end", func(t *Table, r Ref) { t.SetSegment(t.SetSegment(r, 0, []byte("somet")), 1, []byte("hing")) })
	empty := func(l Layout) uint64 { return New(l, Heap{}).Hash() }
	if empty(Layout{Fixed: 8}) == empty(Layout{Fixed: 16}) || empty(Layout{Fixed: 8}) == empty(Layout{Fixed: 8, Segments: 1}) {
		t.Error("the layout does not count")
	}
}

// TestNoAllocations: what an update does costs no allocation.
func TestNoAllocations(t *testing.T) {
	tab, hashes := benchTable(t, 2000)
	f := func(what string, fn func(i int)) {
		i := 0
		if n := testing.AllocsPerRun(1000, func() { fn(i); i++ }); n != 0 {
			t.Errorf("%s allocates %v times", what, n)
		}
	}
	var key [10]byte
	long, short := []byte("a segment that is longer than it was"), []byte("short")
	find := func(i int) Ref {
		k := key[:]
		k[0] = 'u'
		for d, v := 9, i; d > 0; d, v = d-1, v/10 {
			k[d] = byte('0' + v%10)
		}
		r, ok := tab.Find(hashes[i], 1, k)
		if !ok {
			t.Fatalf("record %d is not there", i)
		}
		return r
	}
	f("Find", func(i int) { find(i) })
	f("Touch", func(i int) { tab.Touch(hashes[i : i+40]) })
	f("Edit", func(i int) { work(tab.Edit(find(i))) })
	f("ByOrdinal", func(i int) { tab.ByOrdinal(uint32(i)) })
	f("SetSegment, longer", func(i int) { tab.SetSegment(find(i), 0, long) })
	f("SetSegment, shorter", func(i int) { tab.SetSegment(find(i), 0, short) })
	f("Delete and Insert", func(i int) {
		r := find(i)
		tab.Delete(r)
		tab.Insert(hashes[i], 1, key[:])
	})
}

// TestTouch: any number of hashes, known or not.
func TestTouch(t *testing.T) {
	tab, hashes := benchTable(t, 1000)
	if tab.Touch(nil) != 0 {
		t.Error("nothing gives something")
	}
	for _, n := range []int{1, 16, 31, 32, 33, 100, 1000} {
		if tab.Touch(hashes[:n]) == 0 {
			t.Errorf("%d hashes give nothing", n)
		}
	}
	tab.Touch([]uint64{1, 2, 3})
	empty := New(Layout{}, Heap{})
	if empty.Touch(hashes) != 0 {
		t.Error("an empty table gives something")
	}
	empty.Insert(1, 0, nil) // the shortest record there is
	empty.Touch([]uint64{1})
}

// TestOrdinals compares with a plain set.
func TestOrdinals(t *testing.T) {
	var o ordinals
	rng := rand.New(rand.NewPCG(5, 6))
	taken := map[uint32]bool{}
	low := uint32(0) // no free number is lower
	for range 40_000 {
		if rng.IntN(5) < 3 || len(taken) == 0 {
			for taken[low] {
				low++
			}
			n := o.lowest()
			if n != low {
				t.Fatalf("the lowest is %d, want %d", n, low)
			}
			o.take(n, n+1)
			taken[n] = true
			continue
		}
		n := uint32(rng.IntN(len(taken) + len(taken)/10 + 1))
		if taken[n] != (o.at(n) == n+1) {
			t.Fatalf("ordinal %d is at %d", n, o.at(n))
		}
		if taken[n] {
			o.give(n)
			delete(taken, n)
			low = min(low, n)
		}
	}
	o = ordinals{}
	for n := range uint32(300_000) { // over 64 chunks
		o.take(n, 1)
	}
	if n := o.lowest(); n != 300_000 {
		t.Fatalf("the lowest is %d, want 300000", n)
	}
	o.give(5)
	o.give(270_000)
	if n := o.lowest(); n != 5 {
		t.Fatalf("the lowest is %d, want 5", n)
	}
	o = ordinals{}
	o.take(1<<20, 5) // as after Read of a table that was larger once
	for n := range uint32(2 * chunkOrdinals) {
		if o.lowest() != n {
			t.Fatalf("the lowest is %d, want %d", o.lowest(), n)
		}
		o.take(n, 1)
	}
	if o.made != 3 {
		t.Errorf("%d chunks, want 3", o.made)
	}
}
