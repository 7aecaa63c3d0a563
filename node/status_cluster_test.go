package node

import (
	"reflect"
	"testing"
	"time"

	"dashi/node/status"
	"dashi/ring/meta"
)

// What other nodes said is older than what a node knows of itself: a follower that is asked must not make its leader look behind it, nor a node that has just
// ended be the leader still.
func TestReplicaStatus(t *testing.T) {
	now := time.Now()
	placed := &meta.State{Shards: []meta.Shard{{Replicas: []meta.Replica{{Member: "n1"}, {Member: "n2"}, {Member: "n3"}}}}}
	f := func(n1, n2, n3 *peerReach, leader string, leads []int, lags []uint64) {
		t.Helper()
		st := &status.Status{Nodes: []status.Node{{ID: "n1"}, {ID: "n2"}, {ID: "n3"}}, Shards: []status.Shard{{}}}
		heard := map[string]*peerReach{groupMember("n1", 0): n1, groupMember("n2", 0): n2, groupMember("n3", 0): n3}
		replicaStatus(st, placed, heard)
		var gotLeads []int
		var gotLags []uint64
		for k, r := range st.Shards[0].Replicas {
			gotLeads, gotLags = append(gotLeads, st.Nodes[k].Leads), append(gotLags, r.Lag)
			if r.Leads != (r.Node == leader) {
				t.Errorf("%s leads: %v, and %s does", r.Node, r.Leads, leader)
			}
		}
		if st.Shards[0].Leader != leader || !reflect.DeepEqual(gotLeads, leads) || !reflect.DeepEqual(gotLags, lags) {
			t.Errorf("leader %q, leads %v, lags %v; want %q, %v, %v", st.Shards[0].Leader, gotLeads, gotLags, leader, leads, lags)
		}
	}
	said := func(ago time.Duration, applied uint64, leads bool) *peerReach {
		return &peerReach{at: now.Add(-ago), shards: []reach{{applied: applied, leads: leads}}}
	}
	tick := tickInterval
	f(said(0, 1009, false), said(tick, 1004, true), said(tick/2, 1001, false), "n2", []int{0, 1, 0}, []uint64{0, 0, 3})
	f(said(0, 1009, true), said(tick, 1004, true), said(tick/2, 1008, false), "n1", []int{1, 0, 0}, []uint64{0, 5, 1})
	f(said(tick/2, 1000, false), said(0, 1009, true), said(tick, 1004, true), "n2", []int{0, 1, 0}, []uint64{9, 0, 5})
	f(said(0, 1009, false), said(2*peerSilence, 1012, true), said(tick, 1004, false), "", []int{0, 0, 0}, []uint64{3, 0, 8})
}
