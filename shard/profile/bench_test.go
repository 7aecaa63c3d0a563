package profile

import (
	"encoding/binary"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"runtime"
	"testing"
	"time"

	"github.com/cespare/xxhash/v2"
)

var big = flag.Bool("big", false, "measure memory and garbage collection with 5 M records, which takes 2 GB")

// benchLayout is the profile of PERF.md: 12 attributes of 8 to 16 bytes, three segments.
var benchLayout = Layout{Fixed: 160, Segments: 3}

// benchKey is the key of record i, ten bytes: "u" and nine digits.
func benchKey(dst []byte, i int) []byte {
	return fmt.Appendf(dst, "u%09d", i)
}

// benchTable has n records with segments of 40 bytes together, set one after the other as updates do.
func benchTable(tb testing.TB, n int) (*Table, []uint64) {
	t := New(benchLayout, NewMemory())
	tb.Cleanup(t.Close)
	hashes := make([]uint64, n)
	var key []byte
	for i := range n {
		key = benchKey(key[:0], i)
		hashes[i] = xxhash.Sum64(key)
		r := t.Insert(hashes[i], 1, key)
		r = t.SetSegment(r, 0, key)
		r = t.SetSegment(r, 1, key[:8])
		t.SetSegment(r, 2, append(key, "abcdefghijkl"...))
	}
	return t, hashes
}

// work is what an update does to a record: a few head words and slots.
func work(r Record) {
	r.SetLast(r.Last() + 1)
	r.SetVersion(r.Version() + 1)
	f := r.Fixed()
	for _, at := range [...]int{0, 24, 64, 96, 152} {
		binary.LittleEndian.PutUint64(f[at:], binary.LittleEndian.Uint64(f[at:])+1)
	}
}

func BenchmarkFind(b *testing.B) {
	const n = 1 << 20
	t, hashes := benchTable(b, n)
	rng := rand.New(rand.NewPCG(1, 2))
	// As events come: hash and key one after another in memory, each leading anywhere in the table.
	asked, keys := make([]uint64, n), make([]byte, 0, 10*n)
	for i := range asked {
		id := rng.IntN(n)
		asked[i] = hashes[id]
		keys = benchKey(keys, id)
	}
	run := func(name string, touch, update bool) {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for i := 0; i < b.N; i += 16 {
				at := i % n
				batch := asked[at : at+16]
				if touch {
					t.Touch(batch)
				}
				for k, hash := range batch {
					r, ok := t.Find(hash, 1, keys[10*(at+k):10*(at+k)+10])
					if !ok {
						b.Fatal("not found")
					}
					if update {
						work(t.Edit(r))
					}
				}
			}
		})
	}
	run("records=1M/batch=1/update=false", false, false)
	run("records=1M/batch=16/update=false", true, false)
	run("records=1M/batch=1/update=true", false, true)
	run("records=1M/batch=16/update=true", true, true)
}

func BenchmarkInsert(b *testing.B) {
	b.Run("segments=0", func(b *testing.B) {
		t := New(benchLayout, NewMemory())
		defer t.Close()
		var key []byte
		for i := range b.N {
			key = benchKey(key[:0], i)
			t.Insert(xxhash.Sum64(key), 1, key)
		}
	})
}

func BenchmarkSnapshot(b *testing.B) {
	t, hashes := benchTable(b, 1<<20)
	b.Run("records=1M/do=take", func(b *testing.B) {
		for range b.N {
			t.Snapshot().Release()
		}
	})
	b.Run("records=1M/do=write", func(b *testing.B) {
		for range b.N {
			s := t.Snapshot()
			n, err := s.WriteTo(io.Discard)
			if err != nil {
				b.Fatal(err)
			}
			b.SetBytes(n)
			s.Release()
		}
	})
	b.Run("records=1M/do=update-while-held", func(b *testing.B) {
		s := t.Snapshot()
		defer s.Release()
		var key []byte
		for i := range b.N {
			id := i * 7919 % len(hashes)
			key = benchKey(key[:0], id)
			r, _ := t.Find(hashes[id], 1, key)
			work(t.Edit(r))
		}
	})
	b.Run("records=1M/do=hash", func(b *testing.B) {
		for range b.N {
			t.Hash()
		}
	})
	b.Run("records=1M/do=each", func(b *testing.B) {
		for range b.N {
			n := uint64(0)
			t.Each(func(_ Ref, r Record) bool { n += r.Version(); return true })
		}
	})
}

// TestMemory measures what a profile costs, and how long a forced garbage collection takes.
func TestMemory(t *testing.T) {
	n, pause := 250_000, 50*time.Millisecond
	if *big {
		n, pause = 5_000_000, 10*time.Millisecond
	}
	tab, hashes := benchTable(t, n)
	runtime.GC()
	best := time.Hour
	for range 5 {
		start := time.Now()
		runtime.GC()
		best = min(best, time.Since(start))
	}
	each := float64(tab.Bytes()) / float64(n)
	t.Logf("%d records: %.1f bytes each (index %.1f, ordinals %.1f), garbage collection %v",
		n, each, float64(tab.index.bytes())/float64(n), float64(tab.ordinals.bytes())/float64(n), best)
	if each > 330 {
		t.Errorf("%.1f bytes a record, want at most 330", each)
	}
	if best > pause {
		t.Errorf("a forced garbage collection takes %v, want at most %v", best, pause)
	}
	runtime.KeepAlive(hashes)
}
