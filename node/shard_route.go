package node

import (
	"encoding/json"
	"errors"
	"slices"

	"dashi/ring/meta"
	"dashi/shard/group"
	"dashi/shard/transport"
)

// Not every node has a replica of every shard. The directory says which nodes have one (State.Shards), and each node follows it. A shard's replicas know
// which of them leads, and the other nodes hear of it twice a second. Both can be out of date here. Then the node that was asked says so, with what it
// knows (codeElsewhere), and is believed if that is newer: so a request goes to a wrong node once.

// route is where a shard is.
type route struct {
	Placed   uint64   `json:"placed"`   // epoch of the placement that this is by
	Replicas []string `json:"replicas"` // members of groups
	Leader   string   `json:"leader"`   // empty: not known
}

// routeOf is where a shard is by what this node knows.
func (n *Node) routeOf(h *shardHost) route {
	s := n.directory.State()
	r := route{Placed: s.Placed, Leader: n.leaderOf(h)}
	if int(h.id) < len(s.Shards) {
		for _, replica := range s.Shards[h.id].Replicas {
			r.Replicas = append(r.Replicas, groupMember(replica.Member, replica.Incarnation))
		}
	}
	return r
}

// elsewhere tells another node that a shard is not here.
func (n *Node) elsewhere(h *shardHost) error {
	text, _ := json.Marshal(n.routeOf(h)) // a route can always be encoded
	return &transport.RemoteError{Code: codeElsewhere, Text: string(text)}
}

// learn notes what the error of an answer says about where a shard is, if it says so.
func (n *Node) learn(h *shardHost, err error) {
	var remote *transport.RemoteError
	var other *group.NotLeaderError
	switch {
	case errors.As(err, &remote) && remote.Code == codeElsewhere:
		var r route
		if json.Unmarshal([]byte(remote.Text), &r) != nil {
			return
		}
		n.learnRoute(h, r)
	case errors.As(err, &other) && other.Leader != "":
		n.hint(h, other.Leader)
	}
}

// learnRoute believes a route that is newer than what is known here.
func (n *Node) learnRoute(h *shardHost, r route) {
	if known := h.route.Load(); r.Placed > n.directory.State().Placed && (known == nil || r.Placed > known.Placed) && len(r.Replicas) > 0 {
		h.route.Store(&r)
	}
	if r.Leader != "" {
		n.hint(h, r.Leader)
	}
}

// hint notes who leads a shard by the word of another node.
func (n *Node) hint(h *shardHost, leader string) {
	if old := h.hint.Load(); old == nil || *old != leader {
		h.hint.Store(&leader)
	}
}

// astray notes that a node did not answer as the leader of a shard: the next of the replicas is tried.
func (n *Node) astray(h *shardHost, leader string) {
	if n.leaderOf(h) != leader {
		return // somebody has said better
	}
	all := n.holders(h)
	at := slices.Index(all, leader)
	for i := range all {
		if next := all[(at+1+i)%len(all)]; next != leader && n.transport.Healthy(next) {
			n.hint(h, next)
			return
		}
	}
}

// holders are the replicas of a shard, the one that should lead first.
func (n *Node) holders(h *shardHost) (all []string) {
	s := n.directory.State()
	if r := h.route.Load(); r != nil && r.Placed > s.Placed {
		return r.Replicas
	}
	for _, r := range s.Shards[h.id].Replicas {
		all = append(all, groupMember(r.Member, r.Incarnation))
	}
	return all
}

// leaderOf is the member of groups that leads a shard as far as this node knows; empty when it knows none.
func (n *Node) leaderOf(h *shardHost) string {
	if g := h.group.Load(); g != nil {
		if leader := leaderOf(g); leader != "" {
			return leader
		}
	}
	if leader := h.hint.Load(); leader != nil {
		return *leader
	}
	if all := n.holders(h); len(all) > 0 {
		return all[0]
	}
	return ""
}

// reader is the member of groups that a question about a shard goes to: this node if it can answer; else the leader, or, for readLocal, a node that has a
// replica. Those that have been tried come last. It is empty when nobody is known.
func (n *Node) reader(h *shardHost, level readLevel, tried []string) string {
	if n.canAnswer(h, level) {
		return n.identity.member()
	}
	if level != readLocal {
		if leader := n.leaderOf(h); !slices.Contains(tried, leader) {
			return leader
		}
	}
	all := n.holders(h)
	best, cost := "", 0
	s := n.directory.State()
	for i := range all {
		id := all[(i+int(h.id)+int(n.identity.Incarnation%meta.MaxReplicas))%len(all)] // not all nodes ask the same
		c := 1
		for _, t := range tried {
			if t == id {
				c += 8
			}
		}
		switch member, known := s.Member(nodeOf(id)); {
		case id == n.identity.member():
			continue
		case !n.transport.Healthy(id):
			c += 4
		case !known || member.Draining || member.Zone != n.settings.Node.Zone:
			c += 2
		}
		if best == "" || c < cost {
			best, cost = id, c
		}
	}
	return best
}

// canAnswer says whether the replica here may be read from. For readLinearizable a majority has yet to be asked.
func (n *Node) canAnswer(h *shardHost, level readLevel) bool {
	if level != readLocal {
		return h.leads()
	}
	h.mu.RLock()
	defer h.mu.RUnlock()
	return h.answers
}
