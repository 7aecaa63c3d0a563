package group

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"dashi/shard/wal/vfs"
)

// benchRing is three nodes in this process, on the real disk, with groups that cost nothing.
func benchRing(b *testing.B, groups uint32) *ring {
	r := newRing(b, 3, groups)
	r.adjust = func(_ int, s *Settings) { s.Dir, s.SnapshotBytes, s.segmentSize = b.TempDir(), 64<<20, 64<<20 }
	for _, n := range r.nodes {
		n.fs = vfs.OS{}
		must(b, r.boot(n))
	}
	for _, n := range r.nodes {
		for id := range groups {
			g, err := n.host.OpenReplica(id, nothing{}, Replica{Members: r.members(3), Prefer: int(id)%3 == n.i})
			must(b, err)
			n.groups = append(n.groups, g)
		}
	}
	for id := range groups {
		r.leader(id)
	}
	return r
}

// BenchmarkIdle is what three nodes cost that do nothing: one op is a second.
func BenchmarkIdle(b *testing.B) {
	for _, groups := range []uint32{1, 32, 64} {
		b.Run(fmt.Sprintf("groups=%d", groups), func(b *testing.B) {
			benchRing(b, groups)
			<-time.After(2 * time.Second) // elections and their echoes are over
			before := processorTime()
			b.ResetTimer()
			<-time.After(time.Duration(b.N) * time.Second)
			b.StopTimer()
			b.ReportMetric(100*float64(processorTime()-before)/float64(b.N)/float64(time.Second)/3, "%core/node")
		})
	}
}

// BenchmarkReplicate has one proposer a group that waits for each entry, or as many as fit.
func BenchmarkReplicate(b *testing.B) {
	for _, pending := range []int{1, 16} {
		for _, groups := range []uint32{1, 16} {
			b.Run(fmt.Sprintf("pending=%d/groups=%d/bytes=26000", pending, groups), func(b *testing.B) {
				r := benchRing(b, groups)
				b.SetBytes(26000)
				times := make([][]time.Duration, groups)
				before := processorTime()
				b.ResetTimer()
				var wait sync.WaitGroup
				for id := range groups {
					g := r.leader(id).groups[id]
					wait.Go(func() { times[id] = flood(b, g, b.N/int(groups)+1, pending) })
				}
				wait.Wait()
				b.StopTimer()
				all := slices.Concat(times...)
				slices.Sort(all)
				b.ReportMetric(float64(processorTime()-before)/float64(len(all)), "cpu-ns/op")
				b.ReportMetric(float64(all[len(all)/2]), "p50-ns")
				b.ReportMetric(float64(all[len(all)*99/100]), "p99-ns")
			})
		}
	}
}

// flood proposes n entries, so many at a time, and says how long each took.
func flood(b *testing.B, g *Group, n, pending int) []time.Duration {
	entry := make([]byte, 26000)
	room := make(chan struct{}, pending)
	times := make([]time.Duration, n)
	for i := range n {
		room <- struct{}{}
		start := time.Now()
		err := g.Propose(entry, func(_ uint64, _ any, err error) {
			times[i] = time.Since(start)
			if err != nil {
				b.Error(err)
			}
			<-room
		})
		must(b, err)
	}
	for range pending {
		room <- struct{}{}
	}
	return times
}
