package main

import (
	"fmt"
	"path/filepath"
	"testing"
)

// As many nodes as one may try have settings that can be used, ports of their own, and a cluster that as many found as can.
func TestTrialSettings(t *testing.T) {
	for _, nodes := range []int{1, 3, mostFounders, mostFounders + 2, mostNodes} {
		tr := trial{nodes: nodes, replicas: 3, shards: 16, data: filepath.Join(t.TempDir(), "x"), brokers: []string{"127.0.0.1:9092"}, recipes: []string{"r.yml"}}
		used := map[string]bool{}
		for i := range nodes {
			s := tr.settings(i)
			if err := s.Check(); err != nil {
				t.Errorf("node %d of %d: %v", i+1, nodes, err)
			}
			if want := min(nodes, 5); s.Gossip.Expect != want || len(s.Gossip.Join) != nodes-1 {
				t.Errorf("node %d of %d expects %d, and joins %v", i+1, nodes, s.Gossip.Expect, s.Gossip.Join)
			}
			for _, name := range []string{s.Node.ID, s.Data, s.HTTP.Listen, s.RESP.Listen, s.Node.Listen, s.Gossip.Listen} {
				if used[name] {
					t.Errorf("node %d of %d has %s, as another has", i+1, nodes, name)
				}
				used[name] = true
			}
		}
		if len(used) != 6*nodes {
			t.Error(fmt.Sprint(used))
		}
	}
}
