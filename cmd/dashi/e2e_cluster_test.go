package main_test

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"dashi/pipeline/kafka"
)

// fleet is a cluster of processes, with a broker beside them that nobody kills.
type fleet struct {
	t     *testing.T
	nodes []*node
	shown bool
}

// newFleet starts nodes that hold all shards each.
func newFleet(t *testing.T, size int, recipes ...string) *fleet {
	t.Helper()
	return newFleetIn(t, nil, func(*node) {}, size, recipes...)
}

// newFleetIn is newFleet with every node in a network namespace of its own, if there is a network. Each node is prepared before it starts.
func newFleetIn(t *testing.T, net *network, prepare func(*node), size int, recipes ...string) *fleet {
	t.Helper()
	at := "127.0.0.1:0"
	if net != nil {
		at = net.broker() + ":0"
	}
	broker, err := kafka.OpenBroker(kafka.BrokerSettings{Addr: at, Dir: t.TempDir()})
	check(t, err)
	f := &fleet{t: t}
	var join []string
	for i := range size {
		if net == nil {
			join = append(join, freeAddr(t))
		} else {
			join = append(join, net.node(i)+":7072")
		}
	}
	for i := range size {
		n := newNode(t)
		peers := ""
		if net == nil {
			peers = freeAddr(t)
		} else {
			n.space, n.http, n.resp, peers = net.space(i), net.node(i)+":7070", net.node(i)+":6380", net.node(i)+":7071"
			n.env[0] = "DASHI_ADDR=http://" + n.http
		}
		prepare(n)
		n.kafka, n.config = broker.Addr(), filepath.Join(n.data, "dashi.yml")
		settings := map[string]any{ // JSON is YAML
			"data": n.data, "recipes": recipes, "webhooks": n.webhooks,
			"http": map[string]any{"listen": n.http}, "resp": map[string]any{"listen": n.resp}, "kafka": map[string]any{"brokers": []string{n.kafka}},
			"node":   map[string]any{"id": fmt.Sprint("n", i+1), "listen": peers},
			"gossip": map[string]any{"listen": join[i], "join": join, "expect": size},
		}
		if n.shards > 0 {
			settings["shards"] = n.shards
		}
		text, err := json.Marshal(settings)
		check(t, err)
		check(t, os.WriteFile(n.config, text, 0o600))
		f.nodes = append(f.nodes, n)
		n.launch()
	}
	t.Cleanup(func() {
		f.show()
		for _, n := range f.nodes {
			n.kill()
		}
		check(t, broker.Close())
	})
	for _, n := range f.nodes {
		n.ready()
	}
	return f
}

// show logs once how the nodes are, if the test has failed. It is deferred where that may be: when the test is cleaned up, nodes that were started again are
// gone already.
func (f *fleet) show() {
	if !f.t.Failed() || f.shown {
		return
	}
	f.shown = true
	for i, n := range f.nodes {
		_, text, err := n.try("GET", "/v1/status", "")
		f.t.Logf("node %d: %s %v", i+1, text, err)
	}
}

// alike waits until all nodes are idle, and checks that their replicas are equal.
func (f *fleet) alike() *status {
	f.t.Helper()
	var first *status
	for i, n := range f.nodes {
		st := n.idle()
		if i == 0 {
			first = st
		} else if !slices.Equal(st.hashes(), first.hashes()) {
			f.t.Errorf("state hashes of node %d are\n%q, those of node 1\n%q", i+1, st.hashes(), first.hashes())
		}
	}
	return first
}

const clusterRecipe = `
recipe: cluster
fields:
  properties.n: number
attributes:
  visits: {kind: count, on: Visit}
  total: {kind: sum, on: Visit, value: properties.n}
audiences:
  regulars: {when: visits >= 10}
activations:
  seen: {on: {event: Visit}}
`

// Three nodes, one of which is killed and started again and again: every event is applied exactly once, each activation leaves once and comes to the webhook,
// in order, the replicas are equal, and local look-ups at the nodes that live are always answered.
func TestClusterNodesKilled(t *testing.T) {
	const people = 200
	rounds := 25
	if testing.Short() {
		rounds = 10
	}
	recipe := filepath.Join(t.TempDir(), "cluster.yml")
	check(t, os.WriteFile(recipe, []byte(clusterRecipe), 0o600))
	endpoint, at := newReceiver(t), freeAddr(t)
	serveAt(t, at, endpoint)
	hooks := []map[string]any{{"name": "crm", "url": "http://" + at, "secret": webhookSecret, "from": "oldest"}}
	f := newFleetIn(t, nil, func(n *node) { n.webhooks = hooks }, 3, recipe)

	var sending sync.WaitGroup
	pace := make(chan struct{}, rounds)
	producer := f.nodes[0].producer()
	sending.Go(func() {
		for round := range rounds {
			<-pace
			var messages []kafka.Message
			for i := range people {
				messages = append(messages, kafka.Message{Key: fmt.Appendf(nil, "u%d", i), Value: fmt.Appendf(nil,
					`{"type":"track","event":"Visit","messageId":"%d-%d","userId":"u%d","timestamp":"2026-03-01T10:00:00Z","properties":{"n":%d}}`, round, i, i, round)})
			}
			if err := producer.Produce(context.Background(), "", messages); err != nil {
				t.Error(err)
			}
		}
	})
	watching, unwatch := context.WithCancel(context.Background())
	sending.Go(func() { watch(watching, t, f.nodes[0]) }) // node 1 is never killed
	for kill := range rounds / 5 {
		for range 5 {
			pace <- struct{}{}
		}
		victim := f.nodes[1+kill%2]
		eventually(t, wait, "events arrive", func() error {
			if st := decode[status](t, f.nodes[0].ask(http.StatusOK, "GET", "/v1/status", "")); st.Events.Applied < uint64(people*(5*kill+1)) {
				return fmt.Errorf("%d applied", st.Events.Applied)
			}
			return nil
		})
		victim.kill()
		victim.start()
	}
	close(pace)
	unwatch()
	sending.Wait()

	st := f.alike()
	if st.Events.Applied != uint64(people*rounds) || st.Events.Repeated != 0 {
		t.Errorf("%d events applied, %d repeated; want %d, 0", st.Events.Applied, st.Events.Repeated, people*rounds)
	}
	for i := range people {
		p := decode[struct{ Attributes map[string]float64 }](t, f.nodes[2].ask(http.StatusOK, "GET", fmt.Sprintf("/v1/profiles/user_id:u%d?read=linearizable", i), ""))
		if p.Attributes["visits"] != float64(rounds) || p.Attributes["total"] != float64(rounds*(rounds-1)/2) {
			t.Errorf("u%d: %v", i, p.Attributes)
		}
	}
	seen := 0
	for a, times := range f.nodes[0].outcome(st).activations {
		if times != 1 {
			t.Errorf("activation %s left %d times", a, times)
		}
		if strings.Contains(a, " seen ") {
			seen++
		}
	}
	if seen != people*rounds {
		t.Errorf("%d activations for %d events", seen, people*rounds)
	}
	eventually(t, wait, "the webhook has all", func() error {
		if got, want := endpoint.count(), people*(rounds+1); got != want { // everybody has become a regular besides
			return fmt.Errorf("%d of %d", got, want)
		}
		return nil
	})
	t.Logf("%d came twice to the webhook", endpoint.repeat)
}

// watch looks one person up until ctx is done: it is never refused, and what has been seen does not go away.
func watch(ctx context.Context, t *testing.T, n *node) {
	visits := 0.0
	for ctx.Err() == nil {
		status, body, err := n.try("GET", "/v1/profiles/user_id:u7", "")
		if err != nil || status != http.StatusOK && status != http.StatusNotFound {
			t.Errorf("a look-up: %d %s %v", status, body, err)
			return
		}
		var p struct{ Attributes map[string]float64 }
		if status == http.StatusOK && json.Unmarshal([]byte(body), &p) == nil {
			if p.Attributes["visits"] < visits {
				t.Errorf("%v visits after %v", p.Attributes["visits"], visits)
			}
			visits = p.Attributes["visits"]
		}
		select {
		case <-ctx.Done():
		case <-time.After(2 * time.Millisecond): // a steady reader, not a load
		}
	}
}

// The file through three nodes that are killed in turn gives what one node gives, to the byte of the state hash and to the activation. DASHI_RETAIL=whole
// takes all of it, and kills one every five seconds.
func TestClusterRetail(t *testing.T) {
	path, rows := replayFile(t)
	whole := os.Getenv("DASHI_RETAIL") == "whole"
	if !whole {
		rows = min(rows, 150_000)
	}
	deaths := 4
	if testing.Short() {
		deaths = 2
	}
	recipes, err := filepath.Abs("../../deploy/recipes")
	check(t, err)
	one := newNode(t, "--demo", "0", "--recipes", recipes)
	one.start()
	report := decode[struct{ Events int }](t, one.must(replayArgs(path, rows)...))
	want := one.outcome(one.idle())
	one.interrupt()

	f := newFleet(t, 3, recipes)
	rate := "10000"
	if whole {
		rate = "3000"
	}
	replay := launch(t, f.nodes[0].env, replayArgs(path, rows, "--rate", rate)...)
	kills := 0
	every := time.NewTicker(5 * time.Second)
	defer every.Stop()
	for ; whole && replay.running(); kills++ {
		<-every.C
		victim := f.nodes[1+kills%2]
		victim.kill()
		victim.start()
	}
	for ; !whole && kills < deaths; kills++ {
		kill, victim := kills, f.nodes[1+kills%2]
		eventually(t, wait, fmt.Sprintf("kill %d", kill+1), func() error {
			st := decode[status](t, f.nodes[0].ask(http.StatusOK, "GET", "/v1/status", ""))
			if applied := int(st.Events.Applied + st.Events.Repeated); applied < report.Events*(kill+1)/(deaths+2) {
				return fmt.Errorf("%d of %d events applied", applied, report.Events)
			}
			return nil
		})
		victim.kill()
		victim.start()
	}
	if code := replay.code(2 * wait); code != 0 {
		t.Fatalf("the replay ended with code %d: %s", code, replay.stderr.String())
	}
	st := f.alike()
	t.Logf("%d events, %d kills", report.Events, kills)
	got := f.nodes[0].outcome(st)
	if !slices.Equal(got.hashes, want.hashes) {
		t.Errorf("state hashes by shard are\n%q, of one node\n%q", got.hashes, want.hashes)
	}
	if !maps.Equal(got.activations, want.activations) {
		t.Errorf("%d activations, one node made %d others", len(got.activations), len(want.activations))
	}
}

// A third node joins two while events come in, is killed on the way, and gets every shard; one that has lost its log comes back as another. Nobody who asks is
// refused meanwhile.
func TestClusterJoin(t *testing.T) {
	const people, rounds = 100, 20
	recipe := filepath.Join(t.TempDir(), "cluster.yml")
	check(t, os.WriteFile(recipe, []byte(clusterRecipe), 0o600))
	f := newFleet(t, 2, recipe)
	var running sync.WaitGroup
	watching, unwatch := context.WithCancel(context.Background())
	running.Go(func() { watch(watching, t, f.nodes[0]) })
	producer := f.nodes[0].producer()
	send := func(from, to int) {
		for round := from; round < to; round++ {
			var messages []kafka.Message
			for i := range people {
				messages = append(messages, kafka.Message{Key: fmt.Appendf(nil, "u%d", i), Value: fmt.Appendf(nil,
					`{"type":"track","event":"Visit","messageId":"%d-%d","userId":"u%d","timestamp":"2026-03-01T10:00:00Z","properties":{"n":%d}}`, round, i, i, round)})
			}
			check(t, producer.Produce(context.Background(), "", messages))
		}
	}
	send(0, rounds/4)

	third := f.join()
	third.launch()
	send(rounds/4, rounds/2)
	eventually(t, wait, "the third is on its way", func() error {
		st := decode[struct{ Nodes []struct{ ID string } }](t, f.nodes[0].ask(http.StatusOK, "GET", "/v1/status", ""))
		if len(st.Nodes) < 3 {
			return fmt.Errorf("%d nodes", len(st.Nodes))
		}
		return nil
	})
	third.kill()
	third.start()
	send(rounds/2, rounds*3/4)
	f.alike()
	f.placed(3)

	f.nodes[1].kill()
	check(t, os.RemoveAll(filepath.Join(f.nodes[1].data, "shards")))
	f.nodes[1].start()
	send(rounds*3/4, rounds)
	st := f.alike()
	unwatch()
	running.Wait()
	if st.Events.Applied != people*rounds || st.Events.Repeated != 0 {
		t.Errorf("%d events applied, %d repeated; want %d, 0", st.Events.Applied, st.Events.Repeated, people*rounds)
	}
	f.nodes[2].outcome(st)
}

// placed waits until every shard has so many replicas, and none is being moved: then one node may go.
func (f *fleet) placed(replicas int) {
	f.t.Helper()
	eventually(f.t, wait, "every shard has its replicas", func() error {
		st := decode[struct {
			Directory struct{ Moves []any }
			Shards    []struct {
				ID       int
				Replicas []any
			}
		}](f.t, f.nodes[0].ask(http.StatusOK, "GET", "/v1/status", ""))
		for _, sh := range st.Shards {
			if len(sh.Replicas) != replicas {
				return fmt.Errorf("shard %d has %d replicas", sh.ID, len(sh.Replicas))
			}
		}
		if n := len(st.Directory.Moves); n > 0 {
			return fmt.Errorf("%d moves are under way", n)
		}
		return nil
	})
}

// join prepares one more node, which is not started.
func (f *fleet) join() *node {
	f.t.Helper()
	text, err := os.ReadFile(f.nodes[0].config)
	check(f.t, err)
	var settings map[string]any
	check(f.t, json.Unmarshal(text, &settings))
	n := newNode(f.t)
	n.kafka, n.config = f.nodes[0].kafka, filepath.Join(n.data, "dashi.yml")
	settings["data"], settings["http"], settings["resp"] = n.data, map[string]any{"listen": n.http}, map[string]any{"listen": n.resp}
	settings["node"] = map[string]any{"id": fmt.Sprint("n", len(f.nodes)+1), "listen": freeAddr(f.t)}
	settings["gossip"].(map[string]any)["listen"] = freeAddr(f.t)
	text, err = json.Marshal(settings)
	check(f.t, err)
	check(f.t, os.WriteFile(n.config, text, 0o600))
	f.nodes = append(f.nodes, n)
	return n
}
