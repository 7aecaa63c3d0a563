package node

import (
	"fmt"
	"strings"
	"time"

	"dashi/node/status"
	"dashi/ring/gossip"
	"dashi/ring/meta"
)

// nodeOf is the node of a member of groups, which is its id, a slash and its incarnation (groupMember).
func nodeOf(member string) string {
	id, _, _ := strings.Cut(member, "/")
	return id
}

// clusterStatus says who is there, and how far each replica of every shard is.
func (n *Node) clusterStatus(st *status.Status) {
	s := n.directory.State()
	heard := n.heard.all()
	heard[n.identity.member()] = &peerReach{at: time.Now(), stalled: n.host.Stalled() > 0, shards: n.reaches()}
	st.Node = n.identity.Node
	n.directoryStatus(st, s)
	for i := range s.Members {
		m := &s.Members[i]
		n.memberStatus(st, m, heard[groupMember(m.ID, m.Incarnation)])
	}
	replicaStatus(st, s, heard)
	if n.gossip != nil {
		st.Trouble = append(st.Trouble, status.StrangerTrouble(n.gossip.Strangers(), n.gossip.Members())...)
	}
	st.Trouble = append(st.Trouble, status.LeaderTrouble(st.Shards)...)
	st.Trouble = append(st.Trouble, n.moveWatch.Trouble(s.Moves, time.Now())...)
}

// directoryStatus fills in what the directory here says.
func (n *Node) directoryStatus(st *status.Status, s *meta.State) {
	st.Directory = status.Directory{ClusterID: s.Cluster, Epoch: s.Epoch, Placed: s.Placed, Leader: nodeOf(leaderOf(n.directory.group)), Replicas: s.Settings.Replicas, Voters: []string{}}
	members, _ := n.directory.group.Members()
	for _, m := range members {
		if m.Voter {
			st.Directory.Voters = append(st.Directory.Voters, nodeOf(m.ID))
		}
	}
	if c := s.Cookbook(); c != nil {
		st.Directory.Cookbook = c.Version
	}
	st.Directory.Moves = []status.Move{}
	for _, m := range s.Moves {
		st.Directory.Moves = append(st.Directory.Moves, status.Move{
			Shard: int(m.Shard), Add: m.Add.Member, Remove: m.Remove.Member, Step: m.Step.String(), Since: time.UnixMilli(m.Since).UTC(),
		})
	}
}

// memberStatus says how a member of the cluster is; p is what it said last, nil: nothing.
func (n *Node) memberStatus(st *status.Status, m *meta.Member, p *peerReach) {
	ns := status.Node{ID: m.ID, Self: m.ID == n.identity.Node, State: string(gossip.Alive), Node: m.Node, HTTP: m.HTTP, Zone: m.Zone, Draining: m.Draining}
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

// replicaStatus fills in the replicas of every shard, from what the nodes said last, and counts them by node.
func replicaStatus(st *status.Status, s *meta.State, heard map[string]*peerReach) {
	index := map[string]int{}
	for i := range st.Nodes {
		index[st.Nodes[i].ID] = i
	}
	for i := range st.Shards {
		sh := &st.Shards[i]
		leads, said, ahead := -1, time.Time{}, uint64(0)
		for k, r := range s.Shards[i].Replicas {
			rs := status.Replica{Node: r.Member, Silent: true}
			if p := heard[groupMember(r.Member, r.Incarnation)]; p != nil {
				rs.Silent, rs.Applied = time.Since(p.at) > peerSilence, p.shards[i].applied
				if p.shards[i].leads && !rs.Silent && p.at.After(said) { // two say so while one has just ended: who said it last does
					leads, said = k, p.at
				}
			}
			ahead = max(ahead, rs.Applied)
			st.Nodes[index[r.Member]].Replicas++
			sh.Replicas = append(sh.Replicas, rs)
		}
		if leads >= 0 { // a node that is asked knows itself newer than its leader: that one is not behind for it
			sh.Replicas[leads].Leads, sh.Leader = true, sh.Replicas[leads].Node
			st.Nodes[index[sh.Leader]].Leads++
			ahead = sh.Replicas[leads].Applied
		}
		for k := range sh.Replicas {
			sh.Replicas[k].Lag = ahead - min(ahead, sh.Replicas[k].Applied)
		}
	}
}
