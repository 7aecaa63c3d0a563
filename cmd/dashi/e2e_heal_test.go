package main_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// A cut that lasts so long that the gossip has forgotten the other side heals all the same: everybody is seen alive by everybody.
func TestLongCutHeals(t *testing.T) {
	t.Parallel()
	net := newNetwork(t, 3)
	recipe := filepath.Join(t.TempDir(), "cluster.yml")
	check(t, os.WriteFile(recipe, []byte(clusterRecipe), 0o600))
	f := newFleetIn(t, net, func(*node) {}, 3, recipe)
	seen := func(by int, want map[string]string) error {
		st := decode[struct{ Nodes []struct{ ID, State string } }](t, f.nodes[by].ask(http.StatusOK, "GET", "/v1/status", ""))
		for _, n := range st.Nodes {
			if n.State != want[n.ID] {
				return fmt.Errorf("n%d sees %+v", by+1, st.Nodes)
			}
		}
		return nil
	}
	heal := net.isolate(2)
	eventually(t, wait, "the others miss it", func() error { return seen(0, map[string]string{"n1": "alive", "n2": "alive", "n3": "failed"}) })
	<-time.After(40 * time.Second) // the gossip forgets after 30
	heal()
	eventually(t, wait, "all see all", func() error {
		for i := range f.nodes {
			if err := seen(i, map[string]string{"n1": "alive", "n2": "alive", "n3": "alive"}); err != nil {
				return err
			}
		}
		return nil
	})
}

// A node that is to stay after all, while it is being emptied, serves again.
func TestDrainCancelled(t *testing.T) {
	t.Parallel()
	recipe := filepath.Join(t.TempDir(), "cluster.yml")
	check(t, os.WriteFile(recipe, []byte(clusterRecipe), 0o600))
	f := newFleet(t, 2, recipe)
	n1, n2 := f.nodes[0], f.nodes[1]
	started := decode[struct{ Started time.Time }](t, n2.ask(http.StatusOK, "GET", "/v1/status", "")).Started
	n1.ask(http.StatusOK, "POST", "/v1/nodes/n2/drain", "")
	eventually(t, wait, "it has stopped serving", func() error {
		if status, _, err := n2.try("GET", "/readyz", ""); err != nil || status != http.StatusServiceUnavailable {
			return fmt.Errorf("%d %v", status, err)
		}
		return nil
	})
	n1.ask(http.StatusOK, "DELETE", "/v1/nodes/n2/drain", "")
	eventually(t, wait, "it serves again", func() error {
		status, text, err := n2.try("GET", "/v1/status", "")
		if err != nil || status != http.StatusOK {
			return fmt.Errorf("%d %v", status, err)
		}
		if st := decode[struct {
			Started time.Time
			Ready   bool
		}](t, text); !st.Ready || !st.Started.After(started) {
			return fmt.Errorf("%s", text)
		}
		return nil
	})
	n1.track(`{"event":"Visit","userId":"u1","properties":{"n":1}}`)
	f.alike()
	if p := decode[struct{ Attributes map[string]float64 }](t, n2.ask(http.StatusOK, "GET", "/v1/profiles/user_id:u1", "")); p.Attributes["visits"] != 1 {
		t.Errorf("%+v", p)
	}
}

// Without a majority nobody waits for ever: what cannot be done is answered, and that it may still take effect is said.
func TestWithoutMajority(t *testing.T) {
	t.Parallel()
	recipe := filepath.Join(t.TempDir(), "cluster.yml")
	check(t, os.WriteFile(recipe, []byte(clusterRecipe), 0o600))
	f := newFleet(t, 3, recipe)
	n1 := f.nodes[0]
	for _, who := range []string{"u1", "u2"} {
		n1.track(fmt.Sprintf(`{"event":"Visit","userId":%q,"properties":{"n":1}}`, who))
	}
	f.alike()
	for _, n := range f.nodes[1:] {
		n.kill()
	}
	for _, ask := range []struct{ method, path, body, want string }{
		{"POST", "/v1/identity:unlink", `{"a":"user_id:u1","b":"user_id:u2"}`, "no majority of the replicas"},
		{"DELETE", "/v1/profiles/user_id:u1", "", "no majority of the replicas"},
		{"POST", "/v1/nodes/n2/drain", "", "no majority of the directory"}, // last: as long as n1 takes itself for the leader it would take effect when the others are back
	} {
		if text := n1.ask(http.StatusServiceUnavailable, ask.method, ask.path, ask.body); !strings.Contains(text, ask.want) {
			t.Errorf("%s %s: %s", ask.method, ask.path, text)
		}
	}
	if text := n1.ask(http.StatusOK, "GET", "/v1/profiles/user_id:u2", ""); !strings.Contains(text, `"visits":1`) {
		t.Errorf("look-ups go on: %s", text)
	}
	for _, n := range f.nodes[1:] {
		n.start()
	}
	f.alike()
}

// A node that comes back with another zone and weight in its settings has them in the eyes of the cluster too.
func TestZoneChanged(t *testing.T) {
	t.Parallel()
	recipe := filepath.Join(t.TempDir(), "cluster.yml")
	check(t, os.WriteFile(recipe, []byte(clusterRecipe), 0o600))
	f := newFleet(t, 2, recipe)
	n := f.nodes[1]
	n.kill()
	text, err := os.ReadFile(n.config)
	check(t, err)
	settings := *decode[map[string]any](t, string(text))
	of := settings["node"].(map[string]any)
	of["zone"], of["weight"] = "attic", 7
	text, err = json.Marshal(settings)
	check(t, err)
	check(t, os.WriteFile(n.config, text, 0o600))
	n.start()
	eventually(t, wait, "the other knows", func() error {
		text := f.nodes[0].ask(http.StatusOK, "GET", "/v1/status", "")
		for _, node := range decode[struct{ Nodes []struct{ ID, Zone string } }](t, text).Nodes {
			if node.ID == "n2" && node.Zone == "attic" {
				return nil
			}
		}
		return fmt.Errorf("%s", text)
	})
}
