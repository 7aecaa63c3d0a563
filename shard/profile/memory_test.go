package profile

import (
	"bytes"
	"sync"
	"testing"
)

// guard is a Memory that catches misuse. Blocks come full of garbage; those that are put back are filled with another garbage and kept,
// so that a later write to one is seen by verify, and a later read gives nonsense. Being on the heap, they are
// seen by the race detector too.
type guard struct {
	tb   tester
	mu   sync.Mutex
	out  map[*byte]int
	back [][]byte
}

func newGuard(tb tester) *guard { return &guard{tb: tb, out: map[*byte]int{}} }

func (g *guard) Get(n int) []byte {
	b := make([]byte, n)
	fill(b, 0xA7)
	g.mu.Lock()
	defer g.mu.Unlock()
	g.out[&b[0]] = n
	return b
}

func (g *guard) Put(b []byte) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if n, ok := g.out[&b[0]]; !ok || n != len(b) {
		g.tb.Errorf("a block of %d bytes came back that is not out", len(b))
		return
	}
	delete(g.out, &b[0])
	fill(b, 0xDB)
	if len(g.back) < 4096 {
		g.back = append(g.back, b)
	}
}

// inUse is the bytes of blocks that are out.
func (g *guard) inUse() (n int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, size := range g.out {
		n += size
	}
	return n
}

// verify fails the test when a block was written to after it came back.
func (g *guard) verify() {
	g.tb.Helper()
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, b := range g.back {
		if b[0] != 0xDB || !bytes.Equal(b[1:], b[:len(b)-1]) {
			g.tb.Fatalf("a block was written to after it came back (I5)")
		}
	}
}

// fill is fast also under the race detector.
func fill(b []byte, c byte) {
	b[0] = c
	for n := 1; n < len(b); n *= 2 {
		copy(b[n:], b[:n])
	}
}

func TestMemoryBlocks(t *testing.T) {
	f := func(name string, m Memory) {
		t.Run(name, func(t *testing.T) {
			var blocks [][]byte
			get := func(n int) {
				b := m.Get(n)
				if len(b) != n {
					t.Fatalf("got %d bytes, want %d", len(b), n)
				}
				fill(b, byte(len(blocks)))
				blocks = append(blocks, b)
			}
			for round := range 3 {
				for i := range 100 {
					get(PageSize)
					if i%10 == 0 {
						get(20<<10 + round*blockAlign)
						get(1 << 20)
					}
				}
				for i, b := range blocks {
					if b[0] != byte(i) || !bytes.Equal(b[1:], b[:len(b)-1]) {
						t.Fatalf("block %d shares its memory with another", i)
					}
				}
				for i := range blocks {
					m.Put(blocks[(i*7+round)%len(blocks)]) // 7 and 120 have no common divisor
				}
				blocks = blocks[:0]
			}
		})
	}
	f("memory=heap", Heap{})
	f("memory=guard", newGuard(t))
	f("memory=best", NewMemory())
}

func TestMemoryParallel(t *testing.T) {
	m := NewMemory()
	var wg sync.WaitGroup
	for g := range 4 {
		wg.Go(func() {
			for i := range 200 {
				a, b := m.Get(PageSize), m.Get(24<<10)
				fill(a, byte(g))
				fill(b, byte(g))
				if a[i] != byte(g) || b[i] != byte(g) {
					t.Error("two goroutines share a block")
				}
				m.Put(a)
				m.Put(b)
			}
		})
	}
	wg.Wait()
}
