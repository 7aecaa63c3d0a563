package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
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

// What a trial cannot write is told with what it was for: the error of a system call alone names a path that nobody has chosen.
func TestTrialThatCannotWrite(t *testing.T) {
	data := t.TempDir()
	tr := trial{nodes: 1, replicas: 1, shards: 1, data: data, brokers: []string{"127.0.0.1:9092"}}
	f := func(inTheWay, want string, err error) {
		t.Helper()
		if err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("with a file %s: %v, want %q", inTheWay, err, want)
		}
	}
	for _, name := range []string{"recipes", "n1"} {
		if err := os.WriteFile(filepath.Join(data, name), nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	_, err := tr.recipeFiles()
	f("recipes", "cannot write recipes: ", err)
	tr.recipes = []string{"r.yml"}
	_, err = writeSettings(tr.settings(0))
	f("n1", "cannot write settings of node n1: ", err)
	tr.data = filepath.Join(data, "n1")
	f("for data", "cannot make data directory: ", tr.run(t.Context()))
}
