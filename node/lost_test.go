package node

import (
	"log/slog"
	"strings"
	"testing"

	"dashi/pipeline/kafka"
)

// Events that Kafka deleted before they were read are missing in profiles for good: the status says so, and not the log alone.
func TestLost(t *testing.T) {
	log := &logLines{}
	o := testOptions()
	o.Log = slog.New(slog.NewTextHandler(log, nil))
	n, err := Open(testContext(t), testSettings(t, t.TempDir()), o)
	if err != nil {
		t.Fatal(err)
	}
	defer closeNode(t, n)
	says := func() bool {
		return strings.Contains(strings.Join(n.Status(false).Trouble, "; "), "Kafka deleted 5 records before they were read")
	}
	if says() {
		t.Error("nothing was lost yet")
	}
	n.lost(kafka.Stream{Partition: 99}, 3, 8)
	if !says() {
		t.Errorf("trouble %q", n.Status(false).Trouble)
	}
	if log.with("level=ERROR") > 0 { // the source has said it
		t.Errorf("logged twice:\n%s", log)
	}
}
