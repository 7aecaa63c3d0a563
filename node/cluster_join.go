package node

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"dashi/ring/gossip"
	"dashi/ring/meta"
	"dashi/shard/group"
	"dashi/shard/transport"
)

// existing is the id of the cluster that others have founded, if gossip knows of one; else empty.
func existing(members []gossip.Member) (cluster string) {
	for _, m := range members {
		if m.State == gossip.Alive && m.Meta.Cluster != "" && m.Meta.Expect == 0 {
			return m.Meta.Cluster
		}
	}
	return ""
}

// enter asks the cluster to let this node in, until it is one of its members. Its replica of the directory is open, and learns the rest.
func (n *Node) enter(ctx context.Context) error {
	tick := time.NewTicker(joinInterval / 4)
	defer tick.Stop()
	for {
		changed := n.directory.Changed()
		if n.letIn() {
			n.awaits("")
			return nil
		}
		if err := n.knock(ctx); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the cluster has not let this node in: %w", ctx.Err())
		case <-changed:
		case <-tick.C:
		}
	}
}

// knock asks the nodes that are there, one after the other, to let this one in, until one does. It is an error if the answer is no, but none if nobody
// could answer.
func (n *Node) knock(ctx context.Context) error {
	if n.gossip == nil {
		return nil
	}
	body, err := json.Marshal(n.introduce(founder{n.identity.Node, n.identity.Incarnation}))
	if err != nil {
		return err
	}
	for _, g := range n.gossip.Members() {
		if g.ID == n.identity.Node || g.State != gossip.Alive || g.Meta.Cluster != n.identity.ClusterID {
			continue
		}
		ctx, cancel := context.WithTimeout(ctx, moveTimeout)
		_, err := n.transport.Call(ctx, groupMember(g.ID, g.Meta.Incarnation), callJoin, body)
		cancel()
		var refused *transport.RemoteError
		if errors.As(err, &refused) && refused.Code == codeRefused {
			return fmt.Errorf("the cluster does not let this node in: %w", err)
		}
		if err == nil {
			return nil
		}
		n.awaits(fmt.Sprintf("to be let in by the cluster: node %s says: %v", g.ID, err))
	}
	return nil
}

// tellChanges tells the cluster what the settings now say of this node: zone, weight and addresses.
func (n *Node) tellChanges(ctx context.Context) {
	said := false
	for ctx.Err() == nil {
		within, cancel := context.WithTimeout(ctx, moveTimeout)
		err := n.change(within, func(s *meta.State) (meta.Command, error) {
			before, ok := s.Member(n.identity.Node)
			if !ok || before.Incarnation != n.identity.Incarnation {
				return nil, errNoCommand
			}
			now := n.introduce(founder{n.identity.Node, n.identity.Incarnation})
			if now.Draining = before.Draining; now == *before {
				return nil, errNoCommand
			}
			if !said { // it is tried again until somebody leads the directory
				n.log.Info("telling the cluster what has changed about this node", "zone", now.Zone, "weight", now.Weight, "node", now.Node, "http", now.HTTP)
				said = true
			}
			return &meta.Join{Member: now}, nil
		})
		cancel()
		if err == nil {
			return
		}
		pause(ctx, joinInterval)
	}
}

// answerJoin lets a node in: as a member of the cluster, and as a learner of the directory.
func (n *Node) answerJoin(ctx context.Context, body []byte) ([]byte, error) {
	var m meta.Member
	if err := json.Unmarshal(body, &m); err != nil {
		return nil, err
	}
	if _, here := n.directory.group.Leader(); !here {
		return nil, &transport.RemoteError{Code: codeNotLeader, Text: "this node does not lead the directory"}
	}
	err := n.change(ctx, func(s *meta.State) (meta.Command, error) {
		before, known := s.Member(m.ID)
		switch {
		case known && before.Incarnation == m.Incarnation:
			return nil, errNoCommand
		case !known && len(s.Members) >= meta.MaxMembers:
			return nil, &transport.RemoteError{Code: codeRefused, Text: fmt.Sprintf("it has %d nodes already, which is as many as there can be", len(s.Members))}
		}
		if g, ok := n.gossiped(m.ID); ok && known && g.State == gossip.Alive && g.Meta.Incarnation == before.Incarnation {
			return nil, &transport.RemoteError{Code: codeRefused, Text: fmt.Sprintf("there is a node %q, and it is alive: choose another node.id", m.ID)}
		}
		return &meta.Join{Member: m}, nil
	})
	if err != nil {
		return nil, err
	}
	return nil, joinGroup(ctx, n.directory.group, groupMember(m.ID, m.Incarnation))
}

// answerChange commits a command of another node, if this one leads the directory.
func (n *Node) answerChange(body []byte) ([]byte, error) {
	result, err := propose(n.directory.group, body)
	switch {
	case errors.Is(err, group.ErrNotLeader):
		return nil, &transport.RemoteError{Code: codeNotLeader, Text: err.Error()}
	case err != nil:
		return nil, err
	}
	r := result.(meta.Result)
	answer := binary.LittleEndian.AppendUint64(nil, r.Epoch)
	if r.Rejected != nil {
		answer = append(answer, byte(len(r.Rejected.Reason)))
		answer = append(append(answer, r.Rejected.Reason...), r.Rejected.Detail...)
	}
	return answer, nil
}

// commit has whoever leads the directory commit a command. An error that is group.ErrUnknown means that it may still be done.
func (n *Node) commit(ctx context.Context, entry []byte) (r meta.Result, err error) {
	result, err := propose(n.directory.group, entry)
	if err == nil {
		return result.(meta.Result), nil
	}
	leader := leaderOf(n.directory.group)
	if !errors.Is(err, group.ErrNotLeader) || leader == "" || leader == n.identity.member() {
		return r, err
	}
	answer, err := n.transport.Call(ctx, leader, callChange, entry)
	if errors.Is(err, transport.ErrTooLarge) { // nothing has happened
		return r, err
	}
	if err != nil {
		return r, errors.Join(group.ErrUnknown, err)
	}
	if len(answer) < 8 || len(answer) > 8 && len(answer) < 9+int(answer[8]) {
		return r, errAnswer
	}
	r.Epoch = binary.LittleEndian.Uint64(answer)
	if len(answer) > 8 {
		end := 9 + int(answer[8])
		r.Rejected = &meta.Rejection{Reason: meta.Reason(answer[9:end]), Detail: string(answer[end:])}
	}
	return r, nil
}

// renounce gives up what this node was, because it may have lost what it has acknowledged: it comes back as another incarnation that holds nothing, and
// the others bring it up to date. They must be there: a cluster of one has nobody else.
func (n *Node) renounce(why error) error {
	n.log.Error("this node may have lost what it acknowledged, and comes back as a new one", "why", why)
	if err := os.RemoveAll(filepath.Join(n.settings.Data, "shards")); err != nil {
		return fmt.Errorf("cannot clear data directory: %w", err)
	}
	id := dataIdentity{Cluster: n.identity.Cluster, Shards: n.identity.Shards, Node: n.identity.Node}
	n.identity = id
	return n.saveIdentity()
}

// checkLog renounces what this node was, if there is a reason to (why is not nil) or if the log that it had is gone.
func (n *Node) checkLog(why error) error {
	if n.settings.Gossip.Listen == "" || !n.identity.Opened {
		return nil
	}
	if why == nil {
		if _, err := os.Stat(filepath.Join(n.settings.Data, "shards", "log")); err == nil {
			return nil
		} else if why = err; !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	return n.renounce(why)
}
