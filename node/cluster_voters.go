package node

import (
	"context"
	"slices"

	"dashi/node/settings"
	"dashi/ring/meta"
	"dashi/shard/group"
)

// voters are the members that should vote in the directory: those that do, as long as they are there, and others while there are fewer than MaxVoters. A
// member that is away keeps its vote unless another takes its place.
func (n *Node) voters(s *meta.State, present []group.Member) map[string]bool {
	votes := map[string]bool{}
	add := func(fits func(m *meta.Member, votesNow bool) bool) {
		for i := range s.Members {
			m := &s.Members[i]
			id := groupMember(m.ID, m.Incarnation)
			if len(votes) < settings.MaxVoters && !votes[id] && fits(m, slices.Contains(present, group.Member{ID: id, Voter: true})) {
				votes[id] = true
			}
		}
	}
	add(func(m *meta.Member, votesNow bool) bool {
		return votesNow && !m.Draining && n.away(m.ID) <= n.settings.ReplaceAfter
	})
	add(func(m *meta.Member, _ bool) bool { return !m.Draining && n.away(m.ID) == 0 })
	add(func(m *meta.Member, votesNow bool) bool { return votesNow && (!m.Draining || s.Holding(m.ID)) })
	return votes
}

// tendDirectory brings the members of the directory's own group in line with those of the cluster: it makes one change at a time, on the group's leader. A
// member that is drained and holds nothing is taken out once it knows that it holds nothing: its process is about to end.
func (n *Node) tendDirectory(ctx context.Context, s *meta.State) error {
	g := n.directory.group
	members, index := g.Members()
	votes := n.voters(s, members)
	stays := map[string]bool{}
	for i := range s.Members {
		m := &s.Members[i]
		id := groupMember(m.ID, m.Incarnation)
		at := slices.IndexFunc(members, func(other group.Member) bool { return other.ID == id })
		if m.Draining && !s.Holding(m.ID) {
			if at < 0 {
				continue
			}
			p, err := n.host.ProgressOf(ctx, id, g.ID())
			knows := err == nil && p.Applied >= g.Applied() || err != nil && n.away(m.ID) > moveTimeout
			stays[id] = id != n.identity.member() && !knows // not yet
			continue
		}
		stays[id] = true
		if at < 0 {
			if n.away(m.ID) > 0 {
				continue
			}
			return g.AddLearner(ctx, id, index)
		}
		if votes[id] && !members[at].Voter {
			_, err := n.promote(ctx, g, id)
			return err
		}
	}
	for _, m := range members {
		switch {
		case stays[m.ID] && (votes[m.ID] || !m.Voter): // as it should be
		case stays[m.ID] && len(votes) < settings.MaxVoters: // nobody takes its place
		case m.ID == n.identity.member():
			return n.giveUp(ctx, g)
		default: // one that is no voter any longer is added again, as a learner
			return g.Remove(ctx, m.ID, index)
		}
	}
	return nil
}
