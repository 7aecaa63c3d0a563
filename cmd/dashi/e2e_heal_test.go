package main_test

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// A cut that lasts so long that the gossip has forgotten the other side heals all the same: everybody is seen alive by everybody.
func TestLongCutHeals(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: it takes a minute; make test runs it")
	}
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
