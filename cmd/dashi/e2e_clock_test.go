package main_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const historyRecipe = `
recipe: history
attributes:
  last_order: {kind: last_at, on: Order Completed}
audiences:
  lapsed: {when: 'now - last_order >= duration("30d")', emit: both}
mappings:
  orders:
    format: csv
    event: '"Order Completed"'
    time: {from: row.at, layout: "2006-01-02", zone: UTC}
    identifiers: {user_id: row.who}
    message_id: row
`

// A history is replayed into a node that has none, as the guide says: everything happens at the instants at which it would have happened then.
func TestHistoryByItsOwnClock(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for name, text := range map[string]string{"history.yml": historyRecipe, "orders.csv": "who,at\nada,2025-01-01\nbob,2025-01-10\nada,2025-03-01\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	n := newNode(t, "--demo", "0", "--shards", "4", "--recipes", filepath.Join(dir, "history.yml"))
	n.start()
	if r := n.cli("replay", filepath.Join(dir, "orders.csv"), "--map", "orders", "--clock", "event"); r.code != 0 || !strings.Contains(r.stderr+r.stdout, "3 rows") {
		t.Fatalf("%+v", r)
	}
	has(t, "status", n.must("status"), "2025-03-01T00:00:00Z, the times of events")
	var got []string
	for _, a := range n.drain("dashi.activations") {
		p := decode[struct {
			Profile, Transition string
			At                  string
		}](t, string(a.value))
		got = append(got, p.Profile+" "+p.Transition+" "+p.At)
	}
	want := map[string]bool{
		"user_id:ada enter 2025-01-31T00:00:00Z": true, "user_id:ada exit 2025-03-01T00:00:00Z": true, "user_id:bob enter 2025-02-09T00:00:00Z": true,
	}
	for _, a := range got {
		if !want[a] {
			t.Errorf("%s: not expected, or twice", a)
		}
		delete(want, a)
	}
	for a := range want {
		t.Errorf("%s is missing", a)
	}
}
