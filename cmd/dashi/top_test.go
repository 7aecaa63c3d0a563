package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"dashi/node/httpapi"
	"dashi/node/status"
)

func TestTopView(t *testing.T) {
	at := time.Date(2026, 3, 1, 10, 0, 0, 0, time.UTC)
	look := func(after time.Duration, events, lookups uint64, entered, left int64) *look {
		l := &look{at: at.Add(after), lookups: map[string]uint64{"n1": lookups}, audiences: []httpapi.Audience{
			{Name: "small", Size: 1}, {Name: "vip", Size: 7, Moved: &httpapi.Moved{Entered: entered, Left: left}}}}
		l.status.Node, l.status.Events.Applied = "n1", events
		l.status.Nodes = []status.Node{{ID: "n1", Self: true, State: "alive", Leads: 2}, {ID: "n2", State: "alive"}}
		l.status.Shards = []status.Shard{{Leader: "n1", Replicas: []status.Replica{{Lag: 3}, {Lag: 9}}}, {}}
		return l
	}
	v := view(look(0, 100, 50, 5, 3), look(2*time.Second, 500, 60, 25, 4))
	if v.EventsPerSecond != 200 || v.Over != 2 || v.LookupsPerSecond != 5 || v.LookupsOf != 1 || v.Leaderless != 1 || v.Behind != 9 ||
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

// Whoever looks every ten minutes sees the first rates at once.
func TestTopBeginsAtOnce(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/v1/status" {
			io.WriteString(w, `{"node":"n1","ready":true,"events":{"applied":7}}`)
			return
		}
		io.WriteString(w, `{"audiences":[]}`)
	}))
	defer server.Close()
	out, in := io.Pipe()
	ctx, stop := context.WithTimeout(t.Context(), time.Minute)
	done := make(chan error, 1)
	go func() {
		err := (&top{client: &client{addr: server.URL, format: "json", out: in}, every: 10 * time.Minute}).run(ctx)
		in.CloseWithError(io.EOF)
		done <- err
	}()
	var v topView
	if err := json.NewDecoder(out).Decode(&v); err != nil || v.Node != "n1" || v.Over <= 0 || v.Over > 60 {
		t.Errorf("%v %+v", err, v)
	}
	stop()
	if err := <-done; err != nil {
		t.Error(err)
	}
}
