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

// plan is the command that begins the next move towards the placement that should be: as many replicas of every shard as the cluster's settings say, spread
// evenly over the members that are neither drained nor gone for good (lasting); and none elsewhere, such as on members that are being drained, or of an
// incarnation whose data are lost. The leader of the directory asks for it.
func (n *Node) plan(s *meta.State) (meta.Command, error) {
	if len(s.Moves) >= maxMoves {
		return nil, errNoCommand
	}
	present := s.Table()
	for _, m := range s.Moves { // the table as it will be when they have ended
		if m.Add != (meta.Replica{}) && m.Step < meta.Voting {
			present[m.Shard] = append(present[m.Shard], m.Add.Member)
		}
		present[m.Shard] = slices.DeleteFunc(present[m.Shard], func(id string) bool { return id == m.Remove.Member && m.Add.Member != id })
	}
	table := n.places.table(present, s.Settings.Replicas, placeable(n.lasting(s)))
	var next *meta.Begin
	for i := range s.Shards {
		sh := &s.Shards[i]
		if _, moving := s.Move(i); moving || !sh.Formed {
			continue
		}
		c := &meta.Begin{Shard: uint32(i)}
		for _, id := range table[i] {
			m, _ := s.Member(id)
			if r := (meta.Replica{Member: id, Incarnation: m.Incarnation}); !slices.Contains(sh.Replicas, r) {
				c.Add = r
				break
			}
		}
		for _, r := range sh.Replicas {
			if !s.Present(r) || !slices.Contains(table[i], r.Member) {
				c.Remove = r
				break
			}
		}
		switch {
		case *c == (meta.Begin{Shard: uint32(i)}):
		case c.Add == (meta.Replica{}) && len(sh.Replicas) == 1: // somebody has to hold it
		case n.alive(s, sh) < s.Settings.Replicas: // it is short of replicas: this comes first
			return c, nil
		case next == nil:
			next = c
		}
	}
	if next == nil {
		return nil, errNoCommand
	}
	return next, nil
}

// alive counts the replicas of a shard whose members are there.
func (n *Node) alive(s *meta.State, sh *meta.Shard) (count int) {
	for _, r := range sh.Replicas {
		if s.Present(r) && n.away(r.Member) == 0 {
			count++
		}
	}
	return count
}

// away is for how long a member has been neither in the gossip nor answered, as far as this node knows; 0 if it is there.
func (n *Node) away(id string) time.Duration {
	if id == n.identity.Node || n.gossip == nil {
		return 0
	}
	switch g, ok := n.gossiped(id); {
	case ok && g.State == gossip.Alive, n.hears(id):
		return 0
	case !ok: // nobody has seen it since this node was started
		return time.Since(n.started)
	default:
		return time.Since(g.Since)
	}
}

// lasting are the members that are to hold replicas: those that stay, but for those that have been away for so long (replace_after) that they count as gone
// for good. If the others are too few for all replicas, those that are gone are waited for all the same.
func (n *Node) lasting(s *meta.State) []meta.Member {
	all := staying(s)
	there := slices.DeleteFunc(slices.Clone(all), func(m meta.Member) bool { return n.away(m.ID) > n.settings.ReplaceAfter })
	if len(there) < s.Settings.Replicas {
		return all
	}
	return there
}

// placeable are members as package ring knows them.
func placeable(members []meta.Member) (all []ring.Member) {
	for _, m := range members {
		all = append(all, ring.Member{ID: m.ID, Zone: m.Zone, Weight: m.Weight})
	}
	return all
}

// abandon gives up moves to a member that has been away for abandonAfter: the shard may go elsewhere meanwhile.
func (n *Node) abandon(s *meta.State) (meta.Command, error) {
	for _, m := range s.Moves {
		if g, ok := n.gossiped(m.Add.Member); ok && m.Step < meta.Voting && g.State != gossip.Alive && !n.hears(m.Add.Member) && time.Since(g.Since) > abandonAfter {
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

// prefer is the command that spreads the leaders evenly, when no move is under way.
func (n *Node) prefer(s *meta.State) (meta.Command, error) {
	if len(s.Moves) > 0 {
		return nil, errNoCommand
	}
	c := &meta.Prefer{}
	for i, ids := range n.places.table(s.Table(), s.Settings.Replicas, placeable(n.lasting(s))) {
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
	moves := n.directory.State().Moves
	n.watchMoves(moves)
	for _, mv := range moves {
		if h := n.shards[mv.Shard]; h.leads() {
			ctx, cancel := context.WithTimeout(ctx, moveTimeout)
			err := n.step(ctx, h, mv)
			cancel()
			n.moveWatch.Tried(mv, err)
			if err != nil && ctx.Err() == nil && !errors.Is(err, group.ErrNotLeader) {
				n.log.Debug("a move has to try again", "shard", h.id, "step", mv.Step.String(), "error", err)
			}
		}
	}
}

// watchMoves notes how far the moves are, for the status.
func (n *Node) watchMoves(moves []meta.Move) {
	heard := n.heard.all()
	n.moveWatch.Look(moves, func(m meta.Move) uint64 {
		if to := groupMember(m.Add.Member, m.Add.Incarnation); to == n.identity.member() {
			return n.shards[m.Shard].reach().applied
		} else if p := heard[to]; p != nil {
			return p.shards[m.Shard].applied
		}
		return 0
	}, time.Now())
}

// step takes one step of a move on the shard's leader.
func (n *Node) step(ctx context.Context, h *shardHost, mv meta.Move) error {
	g := h.group.Load()
	if g == nil {
		return group.ErrNotLeader
	}
	add, remove := groupMember(mv.Add.Member, mv.Add.Incarnation), groupMember(mv.Remove.Member, mv.Remove.Incarnation)
	switch mv.Step {
	case meta.Planned:
		if _, err := n.host.ProgressOf(ctx, add, g.ID()); err != nil { // it has not opened its replica yet
			return err
		}
		if err := joinGroup(ctx, g, add); err != nil {
			return err
		}
	case meta.Joined:
		if ready, err := n.promote(ctx, g, add); err != nil || !ready {
			return err
		}
	case meta.Voting:
		if remove == n.identity.member() {
			return n.giveUp(ctx, g)
		}
		members, index := g.Members()
		if slices.ContainsFunc(members, func(g group.Member) bool { return g.ID == remove }) {
			if err := g.Remove(ctx, remove, index); err != nil {
				return err
			}
		}
	}
	return n.change(ctx, func(s *meta.State) (meta.Command, error) {
		if now, ok := s.Move(int(mv.Shard)); !ok || now.Step != mv.Step || now.Add != mv.Add || now.Remove != mv.Remove {
			return nil, errNoCommand // another node has taken the step
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

// promote gives a learner a vote when it has caught up. It is ready when it has also applied the entry that gave it the vote: then the directory may count
// it among the replicas, which answer look-ups (judge). A voter that does not answer counts as ready, so that nobody waits for one that is gone.
func (n *Node) promote(ctx context.Context, g *group.Group, id string) (ready bool, err error) {
	members, index := g.Members()
	p, err := n.host.ProgressOf(ctx, id, g.ID())
	if slices.Contains(members, group.Member{ID: id, Voter: true}) {
		return err != nil || p.Applied >= index, nil
	}
	if err != nil || p.Applied+catchUpLag < g.Applied() {
		return false, err
	}
	return false, g.Promote(ctx, id, index)
}

// giveUp hands the lead of a group to another voter, which then goes on with taking this replica out.
func (n *Node) giveUp(ctx context.Context, g *group.Group) error {
	members, _ := g.Members()
	for _, other := range members {
		if other.Voter && other.ID != n.identity.member() && n.transport.Healthy(other.ID) {
			return g.Transfer(ctx, other.ID)
		}
	}
	return errors.New("nobody else can lead")
}
