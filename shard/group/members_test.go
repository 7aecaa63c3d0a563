package group

import (
	"context"
	"testing"
)

// TestCloseBehindMembers: a replica that has heard of new members, and has not applied the entries up to there, is closed without an error. Raft takes no snapshot then.
func TestCloseBehindMembers(t *testing.T) {
	r := newRing(t, 4, 1)
	for _, n := range r.nodes[:3] {
		r.start(n, r.members(3))
	}
	learner := r.nodes[3].id() // never there
	for round := range 12 {
		r.propose(0, put(0, uint64(round)))
		r.converge(0)
		leader := r.leader(0)
		n := r.nodes[(leader.i+1)%3]
		m, g := n.machines[0], n.groups[0]
		m.mu.Lock() // it applies nothing now
		must(t, write(leader.groups[0], put(1, uint64(round))))
		r.step(0, func(members []Member) bool { return has(members, Member{learner, false}) == (round%2 == 0) },
			func(ctx context.Context, g *Group, index uint64) error {
				if round%2 == 0 {
					return g.AddLearner(ctx, learner, index)
				}
				return g.Remove(ctx, learner, index)
			})
		_, index := leader.groups[0].Members()
		eventually(t, "it has heard of them", func() bool { return g.raft.CommitIndex() >= index })
		closed := make(chan error, 1)
		go func() { closed <- g.Close() }()
		eventually(t, "it takes its last snapshot", func() bool { return len(n.host.persisting) > 0 })
		m.mu.Unlock()
		if err := <-closed; err != nil {
			t.Errorf("round %d: %v", round, err)
		}
		n.groups, n.machines = nil, nil
		must(t, r.open(n, r.members(3)))
	}
}
