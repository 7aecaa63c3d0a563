package node

import (
	"os"
	"strings"
	"testing"

	"dashi/node/settings"
)

// A cluster that begins anew under its old name, without its old events, makes activations at positions that Kafka has: they do not leave, and the status says so
// until it has come past them.
func TestActivationsBehindKafka(t *testing.T) {
	const people = 10
	c := newCluster(t, 1)
	c.openAll()
	for _, round := range []string{"a", "b"} {
		visit(t, c.nodes[0], round, people, "one")
	}
	c.idle()
	before := len(readActivations(t, c.nodes[0], 2*people))
	c.close(0)
	if err := os.RemoveAll(c.settings[0].Data); err != nil {
		t.Fatal(err)
	}
	c.settings[0].Kafka.Inputs = []settings.Input{{Topic: "other", Decoder: "segment"}}
	c.openAll()
	trouble := func() bool {
		return strings.Contains(strings.Join(c.nodes[0].Status(false).Trouble, "\n"), "than it has made")
	}
	visit(t, c.nodes[0], "c", people, "two")
	c.idle()
	if !trouble() {
		t.Errorf("%d activations left, and no trouble: %q", before, c.nodes[0].Status(false).Trouble)
	}
	for _, round := range []string{"d", "e", "f"} {
		visit(t, c.nodes[0], round, people, "two")
	}
	c.idle()
	if trouble() {
		t.Errorf("trouble: %q", c.nodes[0].Status(false).Trouble)
	}
}
