package node

import (
	"context"
	"errors"
	"fmt"
	"time"

	"dashi/node/cookbook"
	"dashi/pipeline/recipe"
	"dashi/ring/meta"
	"dashi/shard"
	"dashi/shard/group"
	"dashi/shard/profile"
)

// governInterval is how often a node looks whether there is something to do as a leader, besides when the directory changes.
const governInterval = 50 * time.Millisecond

// openDirectory opens this node's replica of the directory and waits until it has placed all shards.
func (n *Node) openDirectory(ctx context.Context) (err error) {
	var members []string
	if n.gossip == nil || !n.identity.Opened { // a node by itself may begin again: Kafka has the events
		for _, f := range n.identity.Founders {
			members = append(members, groupMember(f.Node, f.Incarnation))
		}
	}
	n.directory = newDirectory()
	if n.directory.group, err = n.openGroup(directoryGroup, n.directory, members); err != nil {
		return fmt.Errorf("cannot open the directory: %w", err)
	}
	n.directed.Store(true)
	if !n.identity.Opened {
		n.identity.Opened = true
		if err := n.saveIdentity(); err != nil {
			return err
		}
	}
	if len(n.identity.Founders) == 0 {
		if err := n.enter(ctx); err != nil {
			return err
		}
	}
	return n.governUntil(ctx, "the directory places the shards", func(s *meta.State) bool {
		return len(s.Shards) > 0 && len(s.Shards[0].Replicas) > 0
	})
}

// governUntil governs, while this node leads the directory, until done is true of the directory's state. what says in words what is waited for.
func (n *Node) governUntil(ctx context.Context, what string, done func(*meta.State) bool) error {
	tick := time.NewTicker(governInterval)
	defer tick.Stop()
	for {
		changed := n.directory.Changed()
		if done(n.directory.State()) {
			return nil
		}
		if _, here := n.directory.group.Leader(); here {
			if err := n.govern(ctx); err != nil && !errors.Is(err, group.ErrNotLeader) {
				return err
			}
			continue
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("not open: waiting until %s: %w", what, ctx.Err())
		case <-changed:
		case <-tick.C:
		}
	}
}

// makeHosts makes the host of every shard, without a replica.
func (n *Node) makeHosts(shards int) {
	memory := profile.NewMemory()
	for i := range shards {
		h := newShardHost(uint32(i), shard.Settings{
			OutboxBytes:  n.settings.Limits.OutboxBytes,
			RecentMillis: n.settings.Limits.RecentTime.Milliseconds(),
			RecentIDs:    n.settings.Limits.RecentIDs,
			Self:         i,
			Home:         n.home,
			Compile:      n.compile,
			Memory:       memory,
		}, n.turns, n.clock.sooner, n.transition.turned)
		h.lane = newLane(n, h)
		n.shards = append(n.shards, h)
		n.couriers = append(n.couriers, &courier{n: n, h: h, peers: leaders{n}})
	}
}

// adoptLimits replaces the limits that all replicas must share by those of the cluster: with other limits replicas would differ, and a log that is applied
// again would not give the same state.
func (n *Node) adoptLimits(s *meta.Settings) {
	if n.settings.Replicas != s.Replicas || n.settings.Log.Durability != s.Durability {
		n.log.Warn("the cluster was founded with other replicas or durability, which hold", "replicas", s.Replicas, "durability", s.Durability)
	}
	l := &n.settings.Limits
	was := *l
	l.OutboxBytes, l.RecentTime, l.RecentIDs = int64(s.OutboxBytes), time.Duration(s.RecentMillis)*time.Millisecond, int(s.RecentIDs)
	if was != *l {
		n.log.Warn("the cluster was founded with other limits, which hold", "outbox_bytes", l.OutboxBytes, "recent_time", l.RecentTime, "recent_ids", l.RecentIDs)
	}
}

// readRecipes reads and compiles the recipes that this node is given, which are the first cookbook of a cluster that it founds: sources, or if these are nil
// the files of the settings.
func (n *Node) readRecipes(sources []recipe.Source) (err error) {
	if sources == nil && len(n.settings.Recipes) > 0 {
		if sources, err = cookbook.ReadRecipes(n.settings.Recipes); err != nil {
			return err
		}
	}
	if sources != nil {
		program, diagnostics := n.compile(sources)
		if program == nil {
			return &cookbook.CheckError{Diagnostics: diagnostics}
		}
		n.given.recipes = program.Sources
	}
	return nil
}

// self is this node as the directory knows its replicas.
func (n *Node) self() meta.Replica {
	return meta.Replica{Member: n.identity.Node, Incarnation: n.identity.Incarnation}
}

// awaitMembership waits until this node is a member of the cluster again: it may have been forgotten, or drained, while it was away. A node that is being
// drained and still holds something opens, to go on with that.
func (n *Node) awaitMembership(ctx context.Context) error {
	if n.gossip == nil {
		return nil
	}
	tick := time.NewTicker(joinInterval)
	defer tick.Stop()
	for {
		changed := n.directory.Changed()
		s := n.directory.State()
		m, known := s.Member(n.identity.Node)
		if known && m.Incarnation == n.identity.Incarnation && (!m.Draining || s.Holding(n.identity.Node)) {
			return nil
		}
		if err := n.knock(ctx); err != nil {
			return err
		}
		if known && m.Draining {
			limited, cancel := context.WithTimeout(ctx, moveTimeout)
			err := n.drain(limited, n.identity.Node, false)
			cancel()
			if err != nil {
				n.log.Warn("this node is still to be drained", "error", err)
			}
			continue
		}
		if _, here := n.directory.group.Leader(); here {
			if err := n.govern(ctx); err != nil && !errors.Is(err, group.ErrNotLeader) {
				return err
			}
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("not open: this node is no member of the cluster: %w", ctx.Err())
		case <-changed:
		case <-tick.C:
		}
	}
}

// openGroup opens a replica of a group. members are those that found the group, if that has not happened yet; the first of them should lead.
func (n *Node) openGroup(id uint32, fsm group.FSM, members []string) (*group.Group, error) {
	r := group.Replica{}
	for i, m := range members {
		r.Members = append(r.Members, group.Member{ID: m, Voter: true})
		r.Prefer = r.Prefer || i == 0 && m == n.identity.member()
	}
	return n.host.OpenReplica(id, fsm, r)
}

// giveBackInterval is how often a node hands one shard to the replica that should lead it.
const giveBackInterval = time.Second

// lead does, until ctx is done, what is up to the leader of the directory or of a shard.
func (n *Node) lead(ctx context.Context) {
	tick, seldom := time.NewTicker(governInterval), time.NewTicker(giveBackInterval)
	defer tick.Stop()
	defer seldom.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-n.directory.Changed():
		case <-tick.C:
			if len(n.directory.State().Moves) == 0 {
				continue
			}
		case <-seldom.C:
			n.giveBack(ctx)
			if _, known := n.directory.State().Member(n.identity.Node); !known && n.knock(ctx) != nil { // somebody has forgotten this node
				n.log.Warn("the cluster has forgotten this node, and does not let it in")
			}
		}
		n.move(ctx)
		n.retreat()
		if _, here := n.directory.group.Leader(); !here {
			continue
		}
		if err := n.govern(ctx); err != nil && ctx.Err() == nil && !errors.Is(err, group.ErrNotLeader) {
			n.log.Error("cannot look after the cluster", "error", err)
		}
	}
}

// giveBack hands one shard that this node leads to the replica that the directory prefers, if that one is fit to lead it. After a node was away
// the others lead what it should.
func (n *Node) giveBack(ctx context.Context) {
	s := n.directory.State()
	heard := n.heard.all()
	for i, h := range n.shards {
		first := s.Shards[i].Replicas[0]
		prefers := groupMember(first.Member, first.Incarnation)
		to, known := s.Member(first.Member)
		if prefers == n.identity.member() || !h.leads() || !known || to.Draining {
			continue
		}
		// What it said last is believed for a second, and outlives it: who has just ended is not handed back the shards that were taken over from it.
		if !n.transport.Healthy(prefers) || !heard[prefers].fit(i, h.reach().applied, time.Now()) {
			continue
		}
		g := h.group.Load()
		if g == nil {
			continue
		}
		if err := g.Transfer(ctx, prefers); err != nil {
			n.log.Warn("shard stays", "shard", i, "should go to", nodeOf(prefers), "error", err)
		}
		return
	}
}

// fit says whether a replica can be handed shard i, whose leader has applied so many entries: its node and its disk answer, and it is not behind. While a
// shard is being handed to a replica that does not take it, nothing is committed there. The disk has to be asked about because a node with a stalled disk
// answers, and is not behind for as long as no events come.
func (p *peerReach) fit(i int, applied uint64, now time.Time) bool {
	return p != nil && !p.stalled && now.Sub(p.at) <= 2*tickInterval && p.shards[i].applied+giveBackLag >= applied
}

// giveBackLag is how many entries a replica may be behind to be handed its shard.
const giveBackLag = 64

// tellLeaders wakes the publisher and the courier of every shard that this node leads. Those of the other shards sleep: if each looked for itself, a node at
// rest would wake up a thousand times a second.
func (n *Node) tellLeaders(ctx context.Context) {
	tick := time.NewTicker(governInterval)
	defer tick.Stop()
	for ctx.Err() == nil {
		for _, h := range n.shards {
			if h.leads() {
				wake(h.publishes)
				wake(h.delivers)
			}
		}
		select {
		case <-ctx.Done():
		case <-tick.C:
		}
	}
}
