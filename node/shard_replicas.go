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

// prepareShards makes the hosts of all shards.
func (n *Node) prepareShards() error {
	s := n.directory.State()
	if len(s.Shards) != n.settings.Shards {
		return fmt.Errorf("cluster %s has %s, the settings of this node say %d: change shards to that", n.settings.Cluster, say.Count(len(s.Shards), "shard"), n.settings.Shards)
	}
	n.adoptLimits(&s.Settings)
	n.makeHosts(len(s.Shards))
	return nil
}

// openShards opens a replica of the shards that the directory has placed here.
func (n *Node) openShards(ctx context.Context) error {
	s := n.directory.State()
	for i, h := range n.shards {
		if s.Holds(n.self(), i) {
			if err := n.openShard(ctx, h); err != nil {
				return err
			}
		}
	}
	n.movers.Go(func() { n.tendReplicas(n.running) })
	return nil
}

// openShard opens a replica of a shard, which is empty unless there is one on the disk.
func (n *Node) openShard(ctx context.Context, h *shardHost) error {
	s := n.directory.State()
	if founds(s, n, int(h.id)) && n.gossip != nil { // make sure that it still holds, for a group is founded only once
		if err := n.catchUp(ctx); err != nil {
			return fmt.Errorf("cannot open shard %d: %w", h.id, err)
		}
		s = n.directory.State()
	}
	var members []string
	if founds(s, n, int(h.id)) {
		for _, r := range s.Shards[h.id].Replicas {
			members = append(members, groupMember(r.Member, r.Incarnation))
		}
	}
	g, err := n.openGroup(groupOf(int(h.id), n.recovery.generation), h, members)
	if err != nil {
		return fmt.Errorf("cannot open shard %d: %w", h.id, err)
	}
	h.group.Store(g)
	n.judge(h)
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
func (n *Node) judge(h *shardHost) {
	answers := false
	if g := h.group.Load(); g != nil && slices.Contains(n.directory.State().Shards[h.id].Replicas, n.self()) {
		answers = g.Votes()
	}
	h.mu.RLock()
	same := h.answers == answers
	h.mu.RUnlock()
	if !same {
		h.mu.Lock()
		h.answers = answers
		h.mu.Unlock()
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
		for i, h := range n.shards {
			here := h.group.Load() != nil
			var err error
			switch holds := s.Holds(n.self(), i); {
			case holds && !here:
				err = n.openShard(ctx, h)
			case !holds && here && n.gossip != nil:
				err = n.dropShard(ctx, h)
			}
			if err != nil && ctx.Err() == nil {
				n.log.Warn("a replica has to wait", "shard", i, "error", err)
			}
			n.judge(h)
		}
		select {
		case <-ctx.Done():
		case <-changed:
		case <-tick.C:
		}
	}
}

// dropShard deletes the replica of a shard that was moved away.
func (n *Node) dropShard(ctx context.Context, h *shardHost) error {
	ctx, cancel := context.WithTimeout(ctx, moveTimeout)
	defer cancel()
	if err := n.catchUp(ctx); err != nil { // what the directory here says may be old, as after a start
		return err
	}
	if n.directory.State().Holds(n.self(), int(h.id)) {
		return nil
	}
	g := h.group.Swap(nil)
	n.judge(h)
	if err := g.Close(); err != nil {
		return err
	}
	if err := n.host.Drop(g.ID()); err != nil {
		return err
	}
	h.empty()
	n.log.Info("the replica here is gone: it was moved", "shard", h.id)
	return nil
}

// empty replaces the state by that of a new shard.
func (h *shardHost) empty() {
	h.mu.Lock()
	old := h.shard
	h.shard = shard.New(h.settings)
	h.load.set(shard.Load{})
	h.mu.Unlock()
	h.held.Store(false)
	old.Close()
	h.setDue(h.shard.Wake())
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
