package group

import "testing"

// A leader that had heard of its term late said that it led in the one before, and so never that it leads now: nobody could write to the group any more.
func TestLeadsLater(t *testing.T) {
	g := &Group{first: make(chan struct{}), changed: make(chan struct{}, 1)}
	for _, term := range []uint64{4, 3} {
		g.leads(term)
		if now := g.leading.Load(); now != 4 {
			t.Fatalf("it leads in term %d after %d", now, term)
		}
	}
	<-g.first
}
