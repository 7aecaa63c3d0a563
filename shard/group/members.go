package group

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/hashicorp/raft"
)

// Member is one replica of a group.
type Member struct {
	ID    string // "node/incarnation"
	Voter bool   // or it only learns
}

func configuration(members []Member) (c raft.Configuration) {
	for _, m := range members {
		s := raft.Server{ID: raft.ServerID(m.ID), Address: raft.ServerAddress(m.ID), Suffrage: raft.Nonvoter}
		if m.Voter {
			s.Suffrage = raft.Voter
		}
		c.Servers = append(c.Servers, s)
	}
	return c
}

// Members are the replicas of the group as this one knows them, and index is what a change of them must name.
func (g *Group) Members() (members []Member, index uint64) {
	g.membersMu.Lock()
	now := g.members[0]
	g.membersMu.Unlock()
	for _, s := range now.Servers {
		members = append(members, Member{ID: string(s.ID), Voter: s.Suffrage == raft.Voter})
	}
	return members, now.at
}

// Votes says whether this replica is a voter.
func (g *Group) Votes() bool {
	g.membersMu.Lock()
	defer g.membersMu.Unlock()
	for _, s := range g.members[0].Servers {
		if string(s.ID) == g.host.settings.ID {
			return s.Suffrage == raft.Voter
		}
	}
	return false
}

// membersAre notes the members that the entry at an index names; they are in force as soon as the entry is in the log.
func (g *Group) membersAre(c raft.Configuration, at uint64) {
	g.membersMu.Lock()
	if at > g.members[0].at {
		g.members = [2]membership{{c, at}, g.members[0]}
		g.alone.Store(len(c.Servers) <= 1)
	}
	g.membersMu.Unlock()
	g.host.peersChanged()
}

// membersCut notes that the entries from this one on are gone. If the last change of members is among them, the members before it are in force again; at most
// one change is not committed.
func (g *Group) membersCut(from uint64) {
	g.membersMu.Lock()
	if g.members[0].at >= from {
		g.members[0] = g.members[1]
		g.alone.Store(len(g.members[0].Servers) <= 1)
	}
	g.membersMu.Unlock()
	g.host.peersChanged()
}

// AddLearner adds a replica that is sent everything and has no vote. It must be open already, without members of its own. For all changes of members: only
// the leader makes them, one at a time. index is that of Members, and if they have changed since, nothing happens; zero: whatever they are now. An error
// that is not ErrNotLeader leaves open whether the change has come about: ask Members.
func (g *Group) AddLearner(ctx context.Context, id string, index uint64) error {
	return g.change(ctx, "add "+id, func(patience time.Duration) raft.Future {
		return g.raft.AddNonvoter(raft.ServerID(id), raft.ServerAddress(id), index, patience)
	})
}

// Promote makes a learner a voter.
func (g *Group) Promote(ctx context.Context, id string, index uint64) error {
	return g.change(ctx, "promote "+id, func(patience time.Duration) raft.Future {
		return g.raft.AddVoter(raft.ServerID(id), raft.ServerAddress(id), index, patience)
	})
}

// Remove takes a replica out. The replica is not told: the caller must have it closed and dropped (Host.Drop) on its node.
func (g *Group) Remove(ctx context.Context, id string, index uint64) error {
	return g.change(ctx, "remove "+id, func(patience time.Duration) raft.Future {
		return g.raft.RemoveServer(raft.ServerID(id), index, patience)
	})
}

// Transfer makes another voter the leader. Meanwhile proposals are answered ErrNotLeader.
func (g *Group) Transfer(ctx context.Context, id string) error {
	return g.change(ctx, "make leader "+id, func(time.Duration) raft.Future {
		return g.raft.LeadershipTransferToServer(raft.ServerID(id), raft.ServerAddress(id))
	})
}

// defaultPatience is for callers whose context has no deadline.
const defaultPatience = 10 * time.Second

// change asks Raft for something and waits for its answer, or for ctx.
func (g *Group) change(ctx context.Context, what string, ask func(patience time.Duration) raft.Future) error {
	patience := defaultPatience
	if deadline, ok := ctx.Deadline(); ok {
		patience = max(time.Millisecond, time.Until(deadline))
	}
	answer := make(chan error, 1)
	if !g.ask(func() { answer <- ask(patience).Error() }) {
		return ErrClosed
	}
	select {
	case err := <-answer:
		if errors.Is(err, raft.ErrNotLeader) || errors.Is(err, raft.ErrLeadershipTransferInProgress) {
			return g.notLeader()
		}
		if err != nil {
			return fmt.Errorf("cannot %s in group %d: %w", what, g.id, err)
		}
		return nil
	case <-ctx.Done():
		return fmt.Errorf("cannot %s in group %d: %w", what, g.id, ctx.Err())
	}
}
