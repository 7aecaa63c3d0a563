package shard

import (
	"runtime"
	"testing"

	"pgregory.net/rapid"
)

// The memory of message ids against a slice: exact within what is held, and what is held is a suffix of what came.
func TestRecentAgainstNaive(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		limit := rapid.SampledFrom([]int{1, 300, 2000}).Draw(t, "limit")
		window := int64(rapid.SampledFrom([]int{5, 1000}).Draw(t, "window"))
		r := newRecent(window, limit)
		type seen struct {
			id [2]uint64
			at int64
		}
		var all []seen
		now := int64(0)
		for range rapid.IntRange(1, 60).Draw(t, "rounds") {
			now += int64(rapid.IntRange(0, 4).Draw(t, "pass"))
			r.expire(now)
			for range rapid.IntRange(0, 200).Draw(t, "burst") {
				// Few different tags, so that slots collide and move.
				n := uint64(len(all))
				id := [2]uint64{n, (n * 0x9e3779b97f4a7c15) & 0x000000ff_00000000}
				if r.seen(id, now) {
					t.Fatalf("id %d was never added", n)
				}
				all = append(all, seen{id, now})
			}
			if rapid.IntRange(0, 9).Draw(t, "restore") == 0 {
				f := r.freeze()
				back := newRecent(window, limit)
				if rest, err := back.restore(f.append(nil)); err != nil || len(rest) > 0 {
					t.Fatalf("restore: %v, %d bytes left", err, len(rest))
				}
				r = back
			}
			held, _ := r.held()
			if held > limit && limit > recentChunkIDs {
				t.Fatalf("%d ids held, the limit is %d", held, limit)
			}
			filled := 0
			for _, slot := range r.table {
				if slot != 0 {
					filled++
				}
			}
			if forgotten := filled - held; filled != r.filled || forgotten*sweepSlots > len(r.table)+sweepSlots*recentChunkIDs {
				t.Fatalf("of %d slots %d are in use, it says %d, %d ids are held", len(r.table), filled, r.filled, held)
			}
			for i, s := range all {
				if _, got := r.find(s.id); got != (i >= len(all)-held) {
					t.Fatalf("id %d of %d, %d held: seen %v", i, len(all), held, got)
				}
			}
			// Nothing younger than the window is forgotten but for the limit.
			if held < len(all) && held+recentChunkIDs <= limit {
				if last := all[len(all)-held-1]; last.at >= now-window {
					t.Fatalf("an id of %d is forgotten at %d, the window is %d", last.at, now, window)
				}
			}
		}
	})
}

// BenchmarkRecent is what a new message id costs when the memory is full, so that an old one goes.
func BenchmarkRecent(b *testing.B) {
	r := newRecent(DefaultSettings.RecentMillis, DefaultSettings.RecentIDs)
	id := func(n uint64) [2]uint64 { return [2]uint64{n, (n + 1) * 0x9e3779b97f4a7c15} }
	n := uint64(0)
	for ; n < uint64(r.limit)+4096; n++ {
		r.seen(id(n), 0)
	}
	b.ReportAllocs()
	b.ResetTimer()
	start, touched := cpuTime(), uint64(0)
	for i := 0; i < b.N; i += lookAhead { // as Apply does it
		for k := range uint64(lookAhead) {
			touched += r.touch(id(n + k))
		}
		for range lookAhead {
			r.seen(id(n), 0)
			n++
		}
	}
	b.ReportMetric(float64((cpuTime()-start).Nanoseconds())/float64(b.N), "cpu-ns/id")
	runtime.KeepAlive(touched)
}
