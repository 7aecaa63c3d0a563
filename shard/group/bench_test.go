package group

import (
	"fmt"
	"io"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"dashi/shard/wal"
)

// nothing is a state machine that costs nothing, so that the benchmarks show what hosting it costs.
type nothing struct{ state []byte }

func (n nothing) Apply(uint64, []byte) any    { return nil }
func (n nothing) Snapshot() (Snapshot, error) { return n, nil }
func (n nothing) Persist(w io.Writer) error   { _, err := w.Write(n.state); return err }
func (n nothing) Release()                    {}
func (n nothing) Restore(r io.Reader) error   { _, err := io.Copy(io.Discard, r); return err }

func benchGroups(b *testing.B, mode wal.Mode, n int) (*Host, []*Group) {
	h, err := OpenHost(Settings{Dir: b.TempDir(), Mode: mode})
	must(b, err)
	groups := make([]*Group, n)
	for i := range groups {
		groups[i], err = h.Open(uint32(i), nothing{make([]byte, 1<<20)})
		must(b, err)
	}
	return h, groups
}

// BenchmarkPropose is one proposer that goes round the groups as fast as they take entries, as the intake does.
func BenchmarkPropose(b *testing.B) {
	for _, mode := range []wal.Mode{wal.Replicated, wal.Fsync} {
		for _, n := range []int{1, 16} {
			b.Run(fmt.Sprintf("mode=%v/groups=%d/bytes=8192", mode, n), func(b *testing.B) {
				h, groups := benchGroups(b, mode, n)
				e := make([]byte, 8<<10)
				var done sync.WaitGroup
				done.Add(b.N)
				f := func(_ uint64, _ any, err error) {
					must(b, err)
					done.Done()
				}
				b.SetBytes(int64(len(e)))
				b.ReportAllocs()
				before, s0 := processorTime(), h.Stats()
				b.ResetTimer()
				for i := range b.N {
					must(b, groups[i%n].Propose(e, f))
				}
				done.Wait()
				b.StopTimer()
				s := h.Stats()
				b.ReportMetric(float64(processorTime()-before)/float64(b.N), "cpu-ns/op")
				b.ReportMetric(float64(b.N)/float64(max(1, s.Log.Appends-s0.Log.Appends)), "entries/append")
				b.ReportMetric(float64(s.Log.Appends-s0.Log.Appends)/float64(max(1, s.Log.Writes-s0.Log.Writes)), "appends/write")
				must(b, h.Close())
			})
		}
	}
}

// BenchmarkLatency is from Propose to done, one entry at a time.
func BenchmarkLatency(b *testing.B) {
	for _, size := range []int{300, 8 << 10} {
		b.Run(fmt.Sprintf("bytes=%d", size), func(b *testing.B) {
			h, groups := benchGroups(b, wal.Replicated, 16)
			e := make([]byte, size)
			times := make([]time.Duration, b.N)
			answer := make(chan time.Time, 1)
			f := func(uint64, any, error) { answer <- time.Now() }
			for i := range b.N {
				start := time.Now()
				must(b, groups[i%16].Propose(e, f))
				times[i] = (<-answer).Sub(start)
			}
			b.StopTimer()
			slices.Sort(times)
			b.ReportMetric(float64(times[b.N/2]), "p50-ns")
			b.ReportMetric(float64(times[b.N*99/100]), "p99-ns")
			must(b, h.Close())
		})
	}
}

// TestProposeAllocatesLittle: an entry is a batch of hundreds of events, and Raft's futures, channels and tuples for it are 20 allocations.
func TestProposeAllocatesLittle(t *testing.T) {
	h, err := OpenHost(Settings{Dir: t.TempDir()})
	must(t, err)
	g, err := h.Open(1, nothing{})
	must(t, err)
	e, answer := make([]byte, 300), make(chan struct{}, 1)
	f := func(uint64, any, error) { answer <- struct{}{} }
	one := func() {
		if g.Propose(e, f) == nil {
			<-answer
		}
	}
	for range 1000 {
		one()
	}
	if n := testing.AllocsPerRun(500, one); n > 24 {
		t.Errorf("%v allocations", n)
	}
	runtime.KeepAlive(e)
	must(t, h.Close())
}
