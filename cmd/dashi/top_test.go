package main

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"dashi/node"
	"dashi/node/httpapi"
)

func TestTopView(t *testing.T) {
	at := time.Date(2026, 3, 1, 10, 0, 0, 0, time.UTC)
	look := func(after time.Duration, events, lookups uint64, entered, left int64) *look {
		l := &look{at: at.Add(after), lookups: map[string]uint64{"n1": lookups}, audiences: []httpapi.Audience{
			{Name: "small", Size: 1}, {Name: "vip", Size: 7, Moved: &httpapi.Moved{Entered: entered, Left: left}}}}
		l.status.Node, l.status.Events.Applied = "n1", events
		l.status.Nodes = []node.NodeStatus{{ID: "n1", Self: true, State: "alive", Leads: 2}, {ID: "n2", State: "alive"}}
		l.status.Shards = []node.ShardStatus{{Leader: "n1", Replicas: []node.ReplicaStatus{{Lag: 3}, {Lag: 9}}}, {}}
		return l
	}
	v := view(look(0, 100, 50, 5, 3), look(2*time.Second, 500, 60, 25, 4))
	if v.EventsPerSecond != 200 || v.LookupsPerSecond != 5 || v.LookupsOf != 1 || v.Leaderless != 1 || v.Behind != 9 ||
		v.Audiences[0] != (topAudience{"vip", "", 7, 10, 0.5}) || v.Nodes[1].LookupsPerSecond != nil {
		t.Errorf("%+v", v)
	}
	var all, few bytes.Buffer
	v.print(&all, 0)
	v.print(&few, 5)
	if lines := strings.Count(few.String(), "\n"); lines != 5 || !strings.HasPrefix(all.String(), few.String()[:strings.LastIndex(few.String(), "and ")]) {
		t.Errorf("%d lines:\n%s\nof\n%s", lines, few.String(), all.String())
	}
	if !strings.Contains(all.String(), "(of 1 of 2 nodes)") {
		t.Error(all.String())
	}
	// A process that began anew counts from nothing: that is no rate.
	if v := view(look(0, 500, 60, 25, 4), look(time.Second, 10, 1, 2, 1)); v.EventsPerSecond != 0 || v.LookupsPerSecond != 0 || v.Audiences[0].EnteredPerSecond != 0 {
		t.Errorf("%+v", v)
	}
}
