package node

import (
	"fmt"
	"strings"
	"time"

	"dashi/ring/gossip"
	"dashi/ring/meta"
)

// NodeStatus is one node of the cluster, as the one that answers sees it.
type NodeStatus struct {
	ID       string `json:"id"`
	Self     bool   `json:"self,omitempty"`
	State    string `json:"state"` // alive, failed, left, or unknown to gossip
	Node     string `json:"node"`  // address for other nodes
	HTTP     string `json:"http"`
	Zone     string `json:"zone,omitempty"`
	Draining bool   `json:"draining,omitempty"` // it is being emptied, or is empty
	Stalled  bool   `json:"stalled,omitempty"`  // its disk does not answer, or is full: others lead its shards
	Replicas int    `json:"replicas"`           // that the directory has placed there
	Leads    int    `json:"leads"`              // shards, by its own last word
	// Heard is when the node last told how far it is; the zero time: never.
	Heard time.Time `json:"heard,omitzero"`
}

// ReplicaStatus is one replica of a shard.
type ReplicaStatus struct {
	Node    string `json:"node"`
	Leads   bool   `json:"leads,omitempty"`
	Applied uint64 `json:"applied"`
	Lag     uint64 `json:"lag"`              // entries behind the one that has most
	Silent  bool   `json:"silent,omitempty"` // the figures are old: the node does not answer
}

// MoveStatus is a replica on its way.
type MoveStatus struct {
	Shard  int       `json:"shard"`
	Add    string    `json:"add,omitempty"`
	Remove string    `json:"remove,omitempty"`
	Step   string    `json:"step"`
	Since  time.Time `json:"since"`
}

// DirectoryStatus is the directory.
type DirectoryStatus struct {
	ClusterID string       `json:"cluster_id"`
	Epoch     uint64       `json:"epoch"`
	Placed    uint64       `json:"placed"` // epoch of the last change of a placement
	Leader    string       `json:"leader"`
	Voters    []string     `json:"voters"`   // the nodes that vote in it
	Cookbook  uint64       `json:"cookbook"` // version
	Replicas  int          `json:"replicas"` // that every shard should have
	Moves     []MoveStatus `json:"moves"`
}

// nodeOf is the node of a member of groups, which is its id, a slash and its incarnation (groupMember).
func nodeOf(member string) string {
	id, _, _ := strings.Cut(member, "/")
	return id
}

// clusterStatus says who is there, and how far each replica of every shard is.
func (n *Node) clusterStatus(st *Status) {
	s := n.directory.State()
	heard := n.heard.all()
	heard[n.identity.member()] = &peerReach{at: time.Now(), stalled: n.host.Stalled() > 0, shards: n.reaches()}
	st.Node = n.identity.Node
	n.directoryStatus(st, s)
	for i := range s.Members {
		m := &s.Members[i]
		n.memberStatus(st, m, heard[groupMember(m.ID, m.Incarnation)])
	}
	st.replicas(s, heard)
	if n.gossip != nil {
		st.Trouble = append(st.Trouble, strangerTrouble(n.gossip.Strangers(), n.gossip.Members())...)
	}
	st.Trouble = append(st.Trouble, leaderTrouble(st.Shards)...)
	st.Trouble = append(st.Trouble, n.moveWatch.trouble(s.Moves, time.Now())...)
}

// directoryStatus fills in what the directory here says.
func (n *Node) directoryStatus(st *Status, s *meta.State) {
	st.Directory = DirectoryStatus{ClusterID: s.Cluster, Epoch: s.Epoch, Placed: s.Placed, Leader: nodeOf(leaderOf(n.directory.group)), Replicas: s.Settings.Replicas, Voters: []string{}}
	members, _ := n.directory.group.Members()
	for _, m := range members {
		if m.Voter {
			st.Directory.Voters = append(st.Directory.Voters, nodeOf(m.ID))
		}
	}
	if c := s.Cookbook(); c != nil {
		st.Directory.Cookbook = c.Version
	}
	st.Directory.Moves = []MoveStatus{}
	for _, m := range s.Moves {
		st.Directory.Moves = append(st.Directory.Moves, MoveStatus{int(m.Shard), m.Add.Member, m.Remove.Member, m.Step.String(), time.UnixMilli(m.Since).UTC()})
	}
}

// memberStatus says how a member of the cluster is; p is what it said last, nil: nothing.
func (n *Node) memberStatus(st *Status, m *meta.Member, p *peerReach) {
	ns := NodeStatus{ID: m.ID, Self: m.ID == n.identity.Node, State: string(gossip.Alive), Node: m.Node, HTTP: m.HTTP, Zone: m.Zone, Draining: m.Draining}
	if g, ok := n.gossiped(m.ID); ok {
		ns.State, ns.Node, ns.HTTP = string(g.State), g.Meta.Node, g.Meta.HTTP
	} else if !ns.Self {
		ns.State = "unknown"
	}
	stalled := false
	if p != nil {
		ns.Heard = p.at.UTC().Truncate(time.Millisecond)
		ns.Stalled = p.stalled
		stalled = p.stalled && ns.State == string(gossip.Alive)
		if skew := n.skewOf(m.ID, groupMember(m.ID, m.Incarnation)); skew != "" {
			st.Trouble = append(st.Trouble, skew)
		}
	}
	if stalled && !ns.Self {
		st.Trouble = append(st.Trouble, fmt.Sprintf("node %s: its disk does not answer, or is full", m.ID))
	}
	switch {
	case m.Draining: // somebody wants it to go: that it is away is no trouble
		ns.State += ", draining"
	case !ns.Self && time.Since(ns.Heard) > peerSilence && ns.State == string(gossip.Alive):
		st.Trouble = append(st.Trouble, fmt.Sprintf("node %s does not answer", m.ID))
	case ns.State != string(gossip.Alive):
		st.Trouble = append(st.Trouble, fmt.Sprintf("node %s: %s", m.ID, ns.State))
	}
	if stalled {
		ns.State += ", disk stalled"
	}
	st.Nodes = append(st.Nodes, ns)
}

// replicas fills in the replicas of every shard, from what the nodes said last, and counts them by node.
func (st *Status) replicas(s *meta.State, heard map[string]*peerReach) {
	index := map[string]int{}
	for i := range st.Nodes {
		index[st.Nodes[i].ID] = i
	}
	for i := range st.Shards {
		sh := &st.Shards[i]
		most := uint64(0)
		for _, r := range s.Shards[i].Replicas {
			rs := ReplicaStatus{Node: r.Member, Silent: true}
			if p := heard[groupMember(r.Member, r.Incarnation)]; p != nil {
				l := p.shards[i]
				rs.Silent = time.Since(p.at) > peerSilence
				rs.Leads, rs.Applied = l.leads && !rs.Silent, l.applied
			}
			most = max(most, rs.Applied)
			st.Nodes[index[r.Member]].Replicas++
			if rs.Leads {
				sh.Leader = r.Member
				st.Nodes[index[r.Member]].Leads++
			}
			sh.Replicas = append(sh.Replicas, rs)
		}
		for k := range sh.Replicas {
			sh.Replicas[k].Lag = most - sh.Replicas[k].Applied
		}
	}
}
