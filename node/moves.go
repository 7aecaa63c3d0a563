package node

import (
	"context"
	"errors"
	"slices"
	"time"

	"dashi/ring"
	"dashi/ring/gossip"
	"dashi/ring/meta"
	"dashi/shard/group"
)

// Limits of moves, so that they leave room for events.
const (
	maxMoves    = 4               // under way at a time, in the whole cluster
	catchUpLag  = 64              // entries that a learner may be behind to be given a vote
	moveTimeout = 5 * time.Second // of one step
	// abandonAfter is how long a move waits for the node that it goes to.
	abandonAfter = time.Minute
)

// plan begins the moves that bring every shard to every member that is not to be emptied, and away from all others: from members that drain, and
// from what a member was before it lost its data. It is asked of whoever leads the directory.
func plan(s *meta.State) (meta.Command, error) {
	if len(s.Moves) >= maxMoves {
		return nil, errNoCommand
	}
	for i := range s.Shards {
		sh := &s.Shards[i]
		if _, moving := s.Move(i); moving || !sh.Formed {
			continue
		}
		c := &meta.Begin{Shard: uint32(i)}
		for _, m := range staying(s) {
			if r := (meta.Replica{Member: m.ID, Incarnation: m.Incarnation}); !slices.Contains(sh.Replicas, r) {
				c.Add = r
				break
			}
		}
		for _, r := range sh.Replicas {
			if m, ok := s.Member(r.Member); !ok || m.Incarnation != r.Incarnation || m.Draining {
				c.Remove = r
				break
			}
		}
		if c.Remove != (meta.Replica{}) && c.Add == (meta.Replica{}) && len(sh.Replicas) == 1 {
			continue // somebody has to hold it
		}
		if *c != (meta.Begin{Shard: uint32(i)}) {
			return c, nil
		}
	}
	return nil, errNoCommand
}

// abandon gives up moves to a member that has been away for abandonAfter: the shard may go elsewhere meanwhile.
func (n *Node) abandon(s *meta.State) (meta.Command, error) {
	for _, m := range s.Moves {
		if g, ok := n.gossiped(m.Add.Member); ok && m.Step < meta.Voting && g.State != gossip.Alive && time.Since(g.Since) > abandonAfter {
			return &meta.Abandon{Shard: m.Shard}, nil
		}
	}
	return nil, errNoCommand
}

// staying are the members that are not to be emptied.
func staying(s *meta.State) (members []meta.Member) {
	for _, m := range s.Members {
		if !m.Draining {
			members = append(members, m)
		}
	}
	return members
}

// prefer spreads the leaders evenly, when no move is under way.
func prefer(s *meta.State) (meta.Command, error) {
	if len(s.Moves) > 0 {
		return nil, errNoCommand
	}
	var members []ring.Member
	for _, m := range staying(s) {
		members = append(members, ring.Member{ID: m.ID, Zone: m.Zone, Weight: m.Weight})
	}
	c := &meta.Prefer{}
	for i, ids := range ring.Place(s.Table(), len(s.Shards), len(members), members) {
		sh := &s.Shards[i]
		p := meta.Placement{Shard: uint32(i)}
		for _, id := range ids {
			m, _ := s.Member(id)
			p.Replicas = append(p.Replicas, meta.Replica{Member: id, Incarnation: m.Incarnation})
		}
		if len(p.Replicas) == len(sh.Replicas) && p.Replicas[0] != sh.Replicas[0] && !slices.ContainsFunc(sh.Replicas, func(r meta.Replica) bool { return !slices.Contains(p.Replicas, r) }) {
			c.Shards = append(c.Shards, p)
		}
	}
	if len(c.Shards) == 0 {
		return nil, errNoCommand
	}
	return c, nil
}

// move takes the next step of every move of a shard that this node leads. Each step may be repeated, by whoever leads then.
func (n *Node) move(ctx context.Context) {
	for _, mv := range n.directory.State().Moves {
		if m := n.members[mv.Shard]; m.leads() {
			ctx, cancel := context.WithTimeout(ctx, moveTimeout)
			err := n.step(ctx, m, mv)
			cancel()
			if err != nil && ctx.Err() == nil && !errors.Is(err, group.ErrNotLeader) {
				n.log.Debug("a move has to try again", "shard", m.id, "step", mv.Step.String(), "error", err)
			}
		}
	}
}

// step takes one step of a move on the shard's leader.
func (n *Node) step(ctx context.Context, m *member, mv meta.Move) error {
	add, remove := groupMember(mv.Add.Member, mv.Add.Incarnation), groupMember(mv.Remove.Member, mv.Remove.Incarnation)
	switch mv.Step {
	case meta.Planned:
		if err := joinGroup(ctx, m.group, add); err != nil {
			return err
		}
	case meta.Joined:
		if ready, err := n.promote(ctx, m.group, add); err != nil || !ready {
			return err
		}
	case meta.Voting:
		if remove == n.identity.member() {
			return n.giveUp(ctx, m.group)
		}
		members, index := m.group.Members()
		if slices.ContainsFunc(members, func(g group.Member) bool { return g.ID == remove }) {
			if err := m.group.Remove(ctx, remove, index); err != nil {
				return err
			}
		}
	}
	return n.change(ctx, func(s *meta.State) (meta.Command, error) {
		if now, ok := s.Move(int(mv.Shard)); !ok || now.Step != mv.Step || now.Add != mv.Add || now.Remove != mv.Remove {
			return nil, errNoCommand // somebody else has taken it
		}
		return &meta.Advance{Shard: mv.Shard, To: mv.Step + 1}, nil
	})
}

// joinGroup makes a replica a learner of a group, if it is no member yet.
func joinGroup(ctx context.Context, g *group.Group, id string) error {
	members, index := g.Members()
	if slices.ContainsFunc(members, func(m group.Member) bool { return m.ID == id }) {
		return nil
	}
	return g.AddLearner(ctx, id, index)
}

// promote gives a learner a vote, when it has caught up.
func (n *Node) promote(ctx context.Context, g *group.Group, id string) (ready bool, err error) {
	members, index := g.Members()
	if slices.Contains(members, group.Member{ID: id, Voter: true}) {
		return true, nil
	}
	p, err := n.host.ProgressOf(ctx, id, g.ID())
	if err != nil || p.Applied+catchUpLag < g.Applied() {
		return false, err
	}
	return true, g.Promote(ctx, id, index)
}

// giveUp hands a group to another voter, which goes on with what takes this replica out.
func (n *Node) giveUp(ctx context.Context, g *group.Group) error {
	members, _ := g.Members()
	for _, other := range members {
		if other.Voter && other.ID != n.identity.member() && n.transport.Healthy(other.ID) {
			return g.Transfer(ctx, other.ID)
		}
	}
	return errors.New("nobody else can lead")
}

// tendDirectory brings the members of the directory's own group in line with those of the cluster: one change at a time, on its leader. A member that is
// drained and holds nothing loses its vote, once it knows that it holds nothing: its process is about to end.
func (n *Node) tendDirectory(ctx context.Context, s *meta.State) error {
	g := n.directory.group
	members, index := g.Members()
	voters := map[string]bool{}
	for _, m := range s.Members {
		id := groupMember(m.ID, m.Incarnation)
		voters[id] = true
		switch voter := slices.Contains(members, group.Member{ID: id, Voter: true}); {
		case m.Draining && !s.Holding(m.ID):
			voters[id] = !voter
			if p, err := n.host.ProgressOf(ctx, id, g.ID()); voter && id != n.identity.member() && (err != nil || p.Applied < g.Applied()) {
				voters[id] = true // not yet
			}
		case !voter:
			if err := joinGroup(ctx, g, id); err != nil {
				return err
			}
			_, err := n.promote(ctx, g, id)
			return err
		}
	}
	for _, m := range members {
		switch {
		case voters[m.ID]:
		case m.ID == n.identity.member():
			return n.giveUp(ctx, g)
		default:
			return g.Remove(ctx, m.ID, index)
		}
	}
	return nil
}
