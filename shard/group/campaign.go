package group

import (
	"context"
	"slices"
	"time"

	"github.com/hashicorp/raft"
)

const (
	// rankAfter is how long the next survivor waits for the one before it, unless it has to refuse it its vote. An election takes 40 to 80 ms on a busy machine;
	// who stands in the middle of one splits the votes, and then Raft waits for seconds.
	rankAfter = 120 * time.Millisecond
	// refusalCounts is how fresh a refusal must be to count: a replica that refused somebody long ago, while the leader lived, must not stand together with the
	// first survivor.
	refusalCounts = 250 * time.Millisecond
	// campaignEvery bounds how often one group is made to vote by the detector.
	campaignEvery = 2 * time.Second
	// formWithin is how long the preferred replica waits for a majority to have opened the group; then Raft's time-outs decide.
	formWithin = 10 * time.Second
	formEvery  = 10 * time.Millisecond
)

// peerDown makes the groups that a dead node led elect another leader at once.
//
// Every survivor is told by its own detector. All of them agree on which one stands first, so that votes are not split; for each group that is another
// one, so that leaders spread. The next one stands when that has not helped, or at once if its own log is longer than that of the one who asks for its vote.
func (h *Host) peerDown(id, _ string) {
	for _, g := range h.running() {
		if g.ledBy(id) {
			g.ask(func() { g.succeed(id) })
		}
	}
}

// peerUp has Raft go on with a follower that was away. What was under way to it is lost, and Raft would not try again before the next entry or its commit
// time-out; so if the follower lacks any entry, one more is logged. The same goes for a process that was started anew, which does not know what was committed
// last.
func (h *Host) peerUp(id string) {
	for _, g := range h.running() {
		members, _ := g.Members()
		follows := slices.ContainsFunc(members, func(m Member) bool { return m.ID == id })
		if follows && g.raft.State() == raft.Leader && g.view.Returned(id, g.raft.LastIndex()) {
			g.ask(func() { _ = g.barrier() })
		}
	}
}

// running are the groups that are open.
func (h *Host) running() []*Group {
	h.mu.Lock()
	defer h.mu.Unlock()
	groups := make([]*Group, 0, len(h.groups))
	for _, g := range h.groups {
		if g != nil {
			groups = append(groups, g)
		}
	}
	return groups
}

// ledBy says that a node leads the group, or did last.
func (g *Group) ledBy(id string) bool {
	_, now := g.raft.LeaderWithID()
	last, _ := g.lastLeader.Load().(string)
	return string(now) == id || now == "" && last == id
}

// succeed stands for election in place of a leader that is dead, when it is this replica's turn.
func (g *Group) succeed(dead string) {
	rank, ok := g.rank(dead)
	if !ok {
		return
	}
	if rank > 0 && !g.awaitTurn(rank) {
		return
	}
	if !g.ledBy(dead) {
		return
	}
	now := time.Now().UnixNano()
	if last := g.campaigned.Load(); now-last < int64(campaignEvery) || !g.campaigned.CompareAndSwap(last, now) {
		return
	}
	g.host.count(func(s *Stats) { s.Campaigns++ })
	g.view.Campaign()
}

// awaitTurn waits until the survivors before this one have had their turn. It does not wait for one whose log is shorter than ours, and which has asked for
// our vote in vain. It is false when the group closes.
func (g *Group) awaitTurn(rank int) bool {
	turn := time.After(time.Duration(rank) * g.host.settings.rankAfter)
	for {
		select {
		case <-turn:
			return true
		case at := <-g.view.Refused():
			if time.Since(at) < refusalCounts {
				return true
			}
		case <-g.closing:
			return false
		}
	}
}

// rank is this replica's place among the voters that survive. There is none if it has no vote, or does not see enough of them to win.
func (g *Group) rank(dead string) (rank int, ok bool) {
	var survivors []string
	voters, alive := 0, 0
	for _, s := range g.raft.GetConfiguration().Configuration().Servers {
		if s.Suffrage != raft.Voter {
			continue
		}
		voters++
		switch id := string(s.ID); {
		case id == dead:
			continue
		case id == g.host.settings.ID:
			ok = true
			alive++
		case g.host.transport.Healthy(id):
			alive++
		default:
			continue
		}
		survivors = append(survivors, string(s.ID))
	}
	slices.Sort(survivors)
	at := slices.Index(survivors, g.host.settings.ID)
	if !ok || alive <= voters/2 {
		return 0, false
	}
	n := len(survivors)
	return (at + n - int(g.id)%n) % n, true
}

// form stands for election as soon as a majority of the voters has opened the group, so that neither a new group nor a cluster that was started anew waits for
// a time-out.
func (g *Group) form() {
	ctx, cancel := context.WithTimeout(context.Background(), formWithin)
	defer cancel()
	for {
		voters, open, mine := 0, 0, false
		for _, s := range g.raft.GetConfiguration().Configuration().Servers {
			if s.Suffrage != raft.Voter {
				continue
			}
			voters++
			if string(s.ID) == g.host.settings.ID {
				open++
				mine = true
				continue
			}
			p, err := g.host.ProgressOf(ctx, string(s.ID), g.id)
			if err == nil && p.Leader != "" && p.Leader != g.host.settings.ID {
				return // one that this replica has not heard of yet
			}
			if err == nil {
				open++
			}
		}
		if _, leader := g.raft.LeaderWithID(); leader != "" || !mine || ctx.Err() != nil {
			return
		}
		if open > voters/2 {
			g.view.Campaign()
			return
		}
		select {
		case <-time.After(formEvery):
		case <-g.closing:
			return
		}
	}
}
