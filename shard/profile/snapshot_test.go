package profile

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"runtime"
	"sync"
	"testing"

	"github.com/cespare/xxhash/v2"
)

// churn is updates of all kinds on a table whose record i has key i; refs says where, 0 for none.
func churn(tab *Table, refs []Ref, rng *rand.Rand, n int) {
	b := make([]byte, 400)
	for range n {
		i := rng.IntN(len(refs))
		key := benchKey(nil, i)
		switch {
		case refs[i] == 0:
			refs[i] = tab.Insert(xxhash.Sum64(key), 0, key)
		case rng.IntN(10) == 0:
			tab.Delete(refs[i])
			refs[i] = 0
		case rng.IntN(3) == 0:
			b[0] = byte(rng.IntN(256))
			refs[i] = tab.SetSegment(refs[i], rng.IntN(2), b[:rng.IntN(len(b))])
		default:
			rec := tab.Edit(refs[i])
			rec.SetVersion(rec.Version() + 1)
			rec.Fixed()[rng.IntN(16)]++
		}
	}
}

// TestSnapshotUnderUpdates writes snapshots on other goroutines while the table changes, and compares what was written with
// the table's hash at that moment (I4, I5). Readers look in between under a read lock.
func TestSnapshotUnderUpdates(t *testing.T) {
	mem := newGuard(t)
	tab := New(Layout{Fixed: 16, Segments: 2}, mem)
	rng := rand.New(rand.NewPCG(7, 8))
	refs := make([]Ref, 6000)
	churn(tab, refs, rng, 20000)

	var lock sync.RWMutex
	var wg, readers sync.WaitGroup
	for range 12 {
		lock.RLock()
		want, count := tab.Hash(), tab.Len()
		lock.RUnlock()
		s := tab.Snapshot()
		wg.Go(func() {
			defer s.Release()
			var b bytes.Buffer
			if _, err := s.WriteTo(&b); err != nil {
				t.Error(err)
				return
			}
			back, err := Read(&b, mem)
			if err != nil {
				t.Error(err)
				return
			}
			if back.Hash() != want || back.Len() != count || s.Len() != count {
				t.Errorf("hash %x of %d records, want %x of %d", back.Hash(), back.Len(), want, count)
			}
			back.Close()
		})
		readers.Go(func() {
			key := benchKey(nil, 5)
			for range 100 {
				lock.RLock()
				if r, ok := tab.Find(xxhash.Sum64(key), 0, key); ok && string(tab.Record(r).Key()) != string(key) {
					t.Error("Find gives another record")
				}
				lock.RUnlock()
			}
		})
		for range 30 {
			lock.Lock()
			churn(tab, refs, rng, 100)
			lock.Unlock()
			runtime.Gosched()
		}
	}
	readers.Wait()
	// Some snapshots may be under way still.
	lock.Lock()
	check(t, tab)
	tab.Close()
	lock.Unlock()
	wg.Wait()
	if n := mem.inUse(); n != 0 {
		t.Errorf("%d bytes are in use after Close and Release", n)
	}
	mem.verify()
}

// TestSnapshotMemory: what a snapshot holds is given back as it is written, and at the latest after it was released.
func TestSnapshotMemory(t *testing.T) {
	mem := newGuard(t)
	tab := New(Layout{Fixed: 160}, mem)
	defer tab.Close()
	for i := range 20_000 {
		key := benchKey(nil, i)
		tab.Insert(xxhash.Sum64(key), 0, key)
	}
	touchAll := func() {
		tab.Each(func(r Ref, _ Record) bool { tab.Edit(r).SetVersion(1); return true })
	}
	before := tab.Bytes()
	s := tab.Snapshot()
	if after := tab.Bytes(); after > before+before/100 {
		t.Errorf("Snapshot alone takes %d bytes to %d", before, after)
	}
	touchAll()
	if after := tab.Bytes(); after < before*3/2 || after > before*2 {
		t.Errorf("%d bytes with every page copied, %d before", after, before)
	}
	s.Release()
	touchAll()
	if after := tab.Bytes(); after > before+before/100 || int64(mem.inUse()) > after {
		t.Errorf("%d bytes after Release, %d before", after, before)
	}
	s = tab.Snapshot()
	if _, err := s.WriteTo(io.Discard); err != nil {
		t.Fatal(err)
	}
	in := mem.inUse()
	touchAll()
	if n := mem.inUse(); n != in {
		t.Errorf("a snapshot that is written still has pages copied: %d bytes, %d before", n, in)
	}
	s.Release()
}

// TestSnapshotAfterClose: snapshots outlive the table (I5), in every order.
func TestSnapshotAfterClose(t *testing.T) {
	mem := newGuard(t)
	tab := New(Layout{Fixed: 16, Segments: 2}, mem)
	refs := make([]Ref, 500)
	rng := rand.New(rand.NewPCG(9, 10))
	churn(tab, refs, rng, 2000)
	first, want := tab.Snapshot(), tab.Hash()
	churn(tab, refs, rng, 2000)
	second, third := tab.Snapshot(), tab.Snapshot()
	churn(tab, refs, rng, 2000)
	tab.Close()
	tab.Close()
	if mem.inUse() == 0 {
		t.Fatal("Close takes the pages of snapshots")
	}
	second.Release()
	second.Release()
	var b bytes.Buffer
	if _, err := first.WriteTo(&b); err != nil {
		t.Fatal(err)
	}
	back, err := Read(&b, Heap{})
	if err != nil || back.Hash() != want {
		t.Fatalf("a snapshot is another table after Close: %v", err)
	}
	first.Release()
	if _, err := third.WriteTo(io.Discard); err != nil {
		t.Fatal(err)
	}
	if n := mem.inUse(); n != 0 {
		t.Errorf("%d bytes are in use after Close and the end of all snapshots", n)
	}
	if _, err := second.WriteTo(io.Discard); !errors.Is(err, ErrReleased) {
		t.Errorf("WriteTo after Release gives %v", err)
	}
	mem.verify()
}

// TestReleaseWhileWriting: a WriteTo in the middle of a page ends with ErrReleased, and the page stays until then (I5).
func TestReleaseWhileWriting(t *testing.T) {
	mem := newGuard(t)
	tab := New(Layout{Fixed: 1000}, mem)
	for i := range 1000 {
		tab.Insert(uint64(i), 0, nil)
	}
	w := &writing{snapshot: tab.Snapshot(), gate: &gate{tokens: make(chan struct{})}, done: make(chan struct{})}
	go func() {
		_, w.err = w.snapshot.WriteTo(w.gate)
		close(w.done)
	}()
	w.gate.tokens <- struct{}{} // the header, after which it goes on until the first block is full
	for w.snapshot.next.Load() < 4 {
		runtime.Gosched()
	}
	w.snapshot.Release()
	w.snapshot.Release()
	tab.Close()
	if mem.inUse() == 0 {
		t.Error("the pages went while WriteTo may be reading one")
	}
	close(w.gate.tokens)
	<-w.done
	if !errors.Is(w.err, ErrReleased) {
		t.Errorf("WriteTo gives %v", w.err)
	}
	if n := mem.inUse(); n != 0 {
		t.Errorf("%d bytes are in use after Close and Release", n)
	}
	mem.verify()
}

// TestClosed: a closed table is empty or panics, and reads no page.
func TestClosed(t *testing.T) {
	tab := New(Layout{Fixed: 8, Segments: 1}, NewMemory())
	r := tab.Insert(1, 0, []byte("key"))
	tab.Close()
	if tab.Len() != 0 {
		t.Errorf("%d records after Close", tab.Len())
	}
	tab.Each(func(Ref, Record) bool { t.Error("Each gives a record after Close"); return true })
	if _, ok := tab.ByOrdinal(0); ok {
		t.Error("ByOrdinal gives a record after Close")
	}
	f := func(what string, fn func()) {
		defer func() {
			if recover() == nil {
				t.Errorf("%s after Close does not panic", what)
			}
		}()
		fn()
	}
	f("Find", func() { tab.Find(1, 0, []byte("key")) })
	f("Touch", func() { tab.Touch([]uint64{1}) })
	f("Record", func() { tab.Record(r) })
	f("Edit", func() { tab.Edit(r) })
	f("Insert", func() { tab.Insert(2, 0, []byte("key")) })
	f("SetSegment", func() { tab.SetSegment(r, 0, nil) })
	f("Delete", func() { tab.Delete(r) })
	f("Snapshot", func() { tab.Snapshot() })
}

// TestLeak: tables that nobody closes are no danger to those that are in use.
func TestLeak(t *testing.T) {
	mem := NewMemory()
	kept := make([]Record, 0, 20)
	for i := range cap(kept) {
		tab := New(Layout{Fixed: 16, Segments: 2}, mem)
		churn(tab, make([]Ref, 100), rand.New(rand.NewPCG(uint64(i), 0)), 500)
		kept = append(kept, tab.Record(tab.Insert(uint64(i), 9, []byte("kept"))))
		tab.Snapshot()
	}
	for range 3 {
		runtime.GC()
	}
	for i, r := range kept {
		if r.Hash() != uint64(i) || string(r.Key()) != "kept" {
			t.Errorf("record %d is gone", i)
		}
	}
}
