package main

import (
	"strings"
	"testing"

	"dashi/node/status"
)

// The hashes have a column when they were asked for: an empty one at the end of every line reads as if something were missing.
func TestStatusHashes(t *testing.T) {
	st := &status.Status{Shards: []status.Shard{{ID: 0, Leader: "n1", Replicas: []status.Replica{{Node: "n1"}, {Node: "n2", Lag: 3}}}}}
	f := func(want, not string) {
		t.Helper()
		var out strings.Builder
		printStatus(&out, st)
		if !strings.Contains(out.String(), want) || strings.Contains(out.String(), not) {
			t.Errorf("wanted %q and no %q in:\n%s", want, not, out.String())
		}
	}
	f("n1      n1 n2(3)\n", "HASH")
	st.Shards[0].Hash = "90c1"
	f("n1      n1 n2(3)                   90c1\n", "\x00")
}
