package node

import (
	"slices"
	"testing"

	"dashi/ring"
)

// The placement is looked for anew when something that it depends on is another, and then only.
func TestPlaces(t *testing.T) {
	members := []ring.Member{{ID: "a", Weight: 1}, {ID: "b", Weight: 1}, {ID: "c", Weight: 1}}
	present := make(ring.Table, 12)
	var p places
	f := func(what string, replicas, searches int) {
		t.Helper()
		for range 2 {
			got, want := p.table(slices.Clone(present), replicas, slices.Clone(members)), ring.Place(present, len(present), replicas, members)
			if p.searches != searches || !slices.EqualFunc(got, want, slices.Equal) {
				t.Errorf("%s: %d searches, want %d; %v", what, p.searches, searches, got)
			}
		}
	}
	f("at first", 2, 1)
	present = p.found
	f("all is where it should be", 2, 2)
	f("another number of replicas", 3, 3)
	members = append(members, ring.Member{ID: "d", Weight: 1})
	f("a member more", 3, 4)
	members[3].Weight = 2
	f("another weight", 3, 5)
	present = slices.Clone(present)
	present[5] = []string{"d", "a", "b"}
	f("a replica elsewhere", 3, 6)
}
