package shard

import (
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
				if r.seen(id) {
					t.Fatalf("id %d was never added", n)
				}
				r.add(id, now)
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
			for i, s := range all {
				if got, want := r.seen(s.id), i >= len(all)-held; got != want {
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
