package node

import (
	"fmt"
	"testing"

	"dashi/ring"
)

func BenchmarkPlaces(b *testing.B) {
	for _, at := range [][2]int{{16, 3}, {256, 3}, {256, 20}} {
		var members []ring.Member
		for i := range at[1] {
			members = append(members, ring.Member{ID: fmt.Sprint("n", i), Weight: 1})
		}
		now := ring.Place(make(ring.Table, at[0]), at[0], 3, members)
		members = append(members, ring.Member{ID: "new", Weight: 1})
		b.Run(fmt.Sprintf("what=search/shards=%d/members=%d", at[0], at[1]), func(b *testing.B) {
			for b.Loop() {
				ring.Place(now, at[0], 3, members)
			}
		})
		b.Run(fmt.Sprintf("what=again/shards=%d/members=%d", at[0], at[1]), func(b *testing.B) {
			var p places
			for b.Loop() {
				p.table(now, 3, members)
			}
		})
	}
}
