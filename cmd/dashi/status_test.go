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

// A node that starts knows no cookbook and no clock yet, and what it waits for is said once.
func TestStatusOfStart(t *testing.T) {
	const waits = "the log may have lost its end: waiting for a leader of shard 1"
	f := func(st *status.Status, not ...string) (text string) {
		t.Helper()
		var out strings.Builder
		printStatus(&out, st)
		for _, no := range not {
			if strings.Contains(out.String(), no) {
				t.Errorf("%q in:\n%s", no, out.String())
			}
		}
		return out.String()
	}
	text := f(&status.Status{Node: "n1", Trouble: []string{"the node is starting", waits}, Recovery: waits}, "version 0", "clock")
	if !strings.Contains(text, "cookbook     none yet\n") || !strings.Contains(text, "recovery     "+waits+"\n") || strings.Count(text, waits) != 1 {
		t.Error(text)
	}
	began := status.Status{Recovery: "recovered from power loss", Clock: status.Clock{Follows: "event"}}
	began.Cookbook.Version = 3
	if text := f(&began, "none yet"); !strings.Contains(text, "recovery     recovered from power loss\n") || !strings.Contains(text, "clock        no event yet, the times of events\n") {
		t.Error(text)
	}
}
