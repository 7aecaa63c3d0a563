package group

import (
	"fmt"
	"testing"

	"github.com/hashicorp/raft"
)

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

// A leader whose barrier is refused, because it is handing over, never said that it leads when that came to nothing: nobody could write to the group any more.
func TestLedWhileHandingOver(t *testing.T) {
	r := newRing(t, 3, 1)
	r.startAll()
	r.propose(0, put(0, 1))
	leader := r.leader(0)
	g, away := leader.groups[0], r.nodes[(leader.i+1)%3]
	a, b := fmt.Sprint("n", leader.i), fmt.Sprint("n", away.i)
	r.net.Cut(a, b, true)
	handed := make(chan error, 1)
	go func() { handed <- g.Transfer(t.Context(), away.id()) }() // which comes to nothing
	eventually(t, "it is handing over", func() bool { return g.raft.Barrier(0).Error() == raft.ErrLeadershipTransferInProgress })
	term := g.raft.CurrentTerm()
	g.leading.Store(term - 1) // as after an election
	g.ask(g.led)
	r.net.Reset(a, b) // or the write of the request would hang for 10 s
	if err := <-handed; err == nil {
		t.Fatal("it has handed over to a node that it cannot reach")
	}
	eventually(t, "it says that it leads", func() bool { now, here := g.Leader(); return here && now == term })
	must(t, write(g, put(0, 2)))
}
