package node

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"time"

	"dashi/pipeline/say"
	"dashi/ring/meta"
	"dashi/shard"
	"dashi/shard/group"
	"dashi/shard/transport"
)

// prepareShards makes the members of all shards.
func (n *Node) prepareShards() error {
	s := n.directory.State()
	if len(s.Shards) != n.settings.Shards {
		return fmt.Errorf("cluster %s has %s, the settings of this node say %d: change shards to that", n.settings.Cluster, say.Count(len(s.Shards), "shard"), n.settings.Shards)
	}
	n.adoptLimits(&s.Settings)
	n.makeMembers(len(s.Shards))
	return nil
}

// openShards opens a replica of the shards that the directory has placed here.
func (n *Node) openShards(ctx context.Context) error {
	s := n.directory.State()
	for i, m := range n.members {
		if s.Holds(n.self(), i) {
			if err := n.openShard(ctx, m); err != nil {
				return err
			}
		}
	}
	n.movers.Go(func() { n.tendReplicas(n.running) })
	return nil
}

// openShard opens a replica of a shard, which is empty unless there is one on the disk.
func (n *Node) openShard(ctx context.Context, m *member) error {
	s := n.directory.State()
	if founds(s, n, int(m.id)) && n.gossip != nil { // make sure that it still holds, for a group is founded only once
		if err := n.catchUp(ctx); err != nil {
			return fmt.Errorf("cannot open shard %d: %w", m.id, err)
		}
		s = n.directory.State()
	}
	var members []string
	if founds(s, n, int(m.id)) {
		for _, r := range s.Shards[m.id].Replicas {
			members = append(members, groupMember(r.Member, r.Incarnation))
		}
	}
	g, err := n.openGroup(groupOf(int(m.id), n.generation), m, members)
	if err != nil {
		return fmt.Errorf("cannot open shard %d: %w", m.id, err)
	}
	m.group.Store(g)
	n.judge(m)
	return nil
}

// founds says whether this node is one of the founders of a shard's group: a replica that the directory has placed before the group was formed.
func founds(s *meta.State, n *Node, shard int) bool {
	sh := &s.Shards[shard]
	return slices.Contains(sh.Replicas, n.self()) && (n.gossip == nil || !sh.Formed)
}

// judge finds out whether look-ups may be answered from the replica here. It must be one of the shard's replicas in the directory; a learner is still being
// brought what it needs. That it is a voter according to its own log is not enough: a replica that founded the shard, and comes back after it was moved
// away, reads in that log from the beginning on that it is one.
func (n *Node) judge(m *member) {
	answers := false
	if g := m.group.Load(); g != nil && slices.Contains(n.directory.State().Shards[m.id].Replicas, n.self()) {
		answers = g.Votes()
	}
	m.mu.RLock()
	same := m.answers == answers
	m.mu.RUnlock()
	if !same {
		m.mu.Lock()
		m.answers = answers
		m.mu.Unlock()
	}
}

// tendReplicas opens and drops replicas as the directory says, until ctx is done.
func (n *Node) tendReplicas(ctx context.Context) {
	tick := time.NewTicker(governInterval)
	defer tick.Stop()
	for ctx.Err() == nil {
		changed := n.directory.Changed()
		if n.outdated() {
			n.abort(errGoesBack)
			n.fail(errGoesBack)
			return
		}
		s := n.directory.State()
		for i, m := range n.members {
			here := m.group.Load() != nil
			var err error
			switch holds := s.Holds(n.self(), i); {
			case holds && !here:
				err = n.openShard(ctx, m)
			case !holds && here && n.gossip != nil:
				err = n.dropShard(ctx, m)
			}
			if err != nil && ctx.Err() == nil {
				n.log.Warn("a replica has to wait", "shard", i, "error", err)
			}
			n.judge(m)
		}
		select {
		case <-ctx.Done():
		case <-changed:
		case <-tick.C:
		}
	}
}

// dropShard deletes the replica of a shard that was moved away.
func (n *Node) dropShard(ctx context.Context, m *member) error {
	ctx, cancel := context.WithTimeout(ctx, moveTimeout)
	defer cancel()
	if err := n.catchUp(ctx); err != nil { // what the directory here says may be old, as after a start
		return err
	}
	if n.directory.State().Holds(n.self(), int(m.id)) {
		return nil
	}
	g := m.group.Swap(nil)
	n.judge(m)
	if err := g.Close(); err != nil {
		return err
	}
	if err := n.host.Drop(g.ID()); err != nil {
		return err
	}
	m.empty()
	n.log.Info("the replica here is gone: it was moved", "shard", m.id)
	return nil
}

// empty replaces the state by that of a new shard.
func (m *member) empty() {
	m.mu.Lock()
	old := m.shard
	m.shard = shard.New(m.settings)
	m.load.set(shard.Load{})
	m.mu.Unlock()
	m.held.Store(false)
	old.Close()
	m.setDue(m.shard.Wake())
}

// catchUp returns when the directory here has everything that had been committed when it was called.
func (n *Node) catchUp(ctx context.Context) error {
	for {
		err := n.catchUpOnce(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("nobody leads the directory: %w", errors.Join(ctx.Err(), err))
		case <-time.After(changePause):
		}
	}
}

func (n *Node) catchUpOnce(ctx context.Context) error {
	leader := leaderOf(n.directory.group)
	if leader == n.identity.member() {
		return n.directory.group.Read(ctx)
	}
	if leader == "" {
		return group.ErrNotLeader
	}
	limited, cancel := context.WithTimeout(ctx, askPatience)
	defer cancel()
	answer, err := n.transport.Call(limited, leader, callEpoch, nil)
	if err != nil {
		return err
	}
	if len(answer) != 8 {
		return errAnswer
	}
	return n.await(limited, binary.LittleEndian.Uint64(answer))
}

// answerEpoch answers callEpoch: the epoch of the directory, if this node leads it.
func (n *Node) answerEpoch(ctx context.Context, _ *transport.Call) ([]byte, error) {
	if err := n.directory.group.Read(ctx); err != nil {
		return nil, &transport.RemoteError{Code: codeNotLeader, Text: err.Error()}
	}
	return binary.LittleEndian.AppendUint64(nil, n.directory.State().Epoch), nil
}
