package main_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"dashi/pipeline/kafka"
)

// trial is a cluster under a steady stream of events that is known, while things go wrong.
type trial struct {
	*fleet
	net     *network
	people  int
	pause   time.Duration // between two rounds: an event for each of the people
	sent    atomic.Int64  // events
	ahead   int64         // how many of them may be sent that nobody has applied, as far as is known; 0: those of fifty rounds
	stop    context.CancelFunc
	sending sync.WaitGroup
	version int                       // of the recipe
	small   *node                     // whose disk is small; nil: nobody's
	about   func(round, i int) string // JSON of whom an event is about; nil: "userId"
}

// recipeText is clusterRecipe with an attribute more, named by a version.
func (tr *trial) recipeText() string {
	tr.version++
	return strings.Replace(clusterRecipe, "audiences:", fmt.Sprintf("  since_%d: {kind: count, on: Visit}\naudiences:", tr.version), 1)
}

// begin sends events until end, but never far more than the nodes get through: on a busy machine, and under the race detector, the rest would be a backlog to wait for.
func (tr *trial) begin() {
	if tr.ahead == 0 {
		tr.ahead = 50 * int64(tr.people)
	}
	if raceEnabled {
		tr.pause = max(tr.pause, 200*time.Millisecond)
	}
	ctx, stop := context.WithCancel(tr.t.Context())
	tr.stop = stop
	producer := tr.nodes[0].producer()
	who := tr.about
	if who == nil {
		who = func(_, i int) string { return fmt.Sprintf(`"userId":"u%d"`, i) }
	}
	nodes := slices.Clone(tr.nodes) // one may leave meanwhile
	tr.sending.Go(func() {
		known := int64(0) // to be applied
		for round := 0; ctx.Err() == nil; round++ {
			var messages []kafka.Message
			for i := range tr.people {
				messages = append(messages, kafka.Message{Key: fmt.Appendf(nil, "u%d", i), Value: fmt.Appendf(nil,
					`{"type":"track","event":"Visit","messageId":"%d-%d",%s,"timestamp":"2026-03-01T10:00:00Z","properties":{"n":%d}}`, round, i, who(round, i), round%7)})
			}
			if err := producer.Produce(context.Background(), "", messages); err != nil {
				tr.t.Error(err)
				return
			}
			tr.sent.Add(int64(tr.people))
			for <-time.After(tr.pause); ctx.Err() == nil && tr.sent.Load()-known > tr.ahead; <-time.After(tr.pause) {
				known = max(known, applied(nodes))
			}
		}
	})
}

// applied is how many events have been, in the eyes of the node that knows of most.
func applied(nodes []*node) (most int64) {
	client := http.Client{Timeout: time.Second} // one may be standing still
	for _, n := range nodes {
		answer, err := client.Get("http://" + n.http + "/v1/status")
		if err != nil {
			continue
		}
		var st status
		if json.NewDecoder(answer.Body).Decode(&st) == nil {
			most = max(most, int64(st.Events.Applied))
		}
		answer.Body.Close()
	}
	return most
}

// recovered waits until every node that runs has applied what had been sent at the call, and something of everybody.
func (tr *trial) recovered(what string) {
	tr.t.Helper()
	defer tr.show()
	sent := uint64(max(tr.sent.Load(), int64(tr.people)))
	start := time.Now()
	eventually(tr.t, 2*wait, what+": events are applied everywhere", func() error {
		for i, n := range tr.nodes {
			status, text, err := n.try("GET", "/v1/status", "")
			if err != nil || status != http.StatusOK {
				return fmt.Errorf("node %d: %d %v", i+1, status, err)
			}
			if st := decode[statusOf](tr.t, text); st.Events.Applied < sent || !st.Ready {
				return fmt.Errorf("node %d: %d of %d, trouble %v", i+1, st.Events.Applied, sent, st.Trouble)
			}
		}
		return nil
	})
	tr.t.Logf("%-60s caught up %.1f s later", what, time.Since(start).Seconds())
}

type statusOf struct {
	status
	Cookbook  struct{ Version uint64 }
	Directory struct{ Leader string }
	Shards    []struct{ Leader string }
}

// leader is the node that leads the first shard, as one of them knows.
func (tr *trial) leader() (node int) {
	eventually(tr.t, wait, "somebody leads", func() error {
		st := decode[statusOf](tr.t, tr.nodes[0].ask(http.StatusOK, "GET", "/v1/status", ""))
		if _, err := fmt.Sscanf(st.Shards[0].Leader, "n%d", &node); err != nil {
			return fmt.Errorf("leader %q", st.Shards[0].Leader)
		}
		return nil
	})
	return node - 1
}

// end stops sending and compares everything with what was sent.
func (tr *trial) end(extra map[string]int) {
	t := tr.t
	t.Helper()
	tr.stop()
	tr.sending.Wait()
	st := tr.alike()
	events := int(tr.sent.Load())
	for _, n := range extra {
		events += n
	}
	if st.Events.Applied != uint64(events) || st.Events.Repeated != 0 {
		t.Errorf("%d events applied, %d repeated; want %d, 0", st.Events.Applied, st.Events.Repeated, events)
	}
	rounds := int(tr.sent.Load()) / tr.people
	total := 0
	for round := range rounds {
		total += round % 7
	}
	for i := range tr.people {
		p := decode[struct{ Attributes map[string]float64 }](t, tr.nodes[i%len(tr.nodes)].ask(http.StatusOK, "GET", fmt.Sprintf("/v1/profiles/user_id:u%d?read=linearizable", i), ""))
		if p.Attributes["visits"] != float64(rounds) || p.Attributes["total"] != float64(total) {
			t.Errorf("u%d: %v, want %d visits and a total of %d", i, p.Attributes, rounds, total)
		}
	}
	seen := 0
	for a, times := range tr.nodes[0].outcome(st).activations {
		if times != 1 {
			t.Errorf("activation %s left %d times", a, times)
		}
		if strings.Contains(a, " seen ") {
			seen++
		}
	}
	// What somebody did before their identifiers were known to be one person's may have left in the name of either (shard/DESIGN.md, power loss).
	if seen != events+st.renamed() || tr.about == nil && st.renamed() != 0 {
		t.Errorf("%d activations for %d events, %d in another name", seen, events, st.renamed())
	}
	t.Logf("%d events, %d cookbooks", events, decode[statusOf](t, tr.nodes[0].ask(http.StatusOK, "GET", "/v1/status", "")).Cookbook.Version)
}

// apply puts another cookbook in force, and waits for nothing.
func (tr *trial) apply(n *node) {
	body, err := json.Marshal(map[string]any{"sources": []map[string]string{{"name": "cluster.yml", "text": tr.recipeText()}}})
	check(tr.t, err)
	if status, text, err := n.try("PUT", "/v1/cookbook?forget=true", string(body)); err == nil && status != http.StatusOK && status != http.StatusServiceUnavailable {
		tr.t.Errorf("apply: %d %s", status, text)
	}
}

// applyAndKill applies cookbooks and kills somebody at a random moment of each switch.
func (tr *trial) applyAndKill(times int, victims func() []*node) {
	for range times {
		var applying sync.WaitGroup
		to := tr.nodes[rand.IntN(len(tr.nodes))]
		applying.Go(func() { tr.apply(to) })
		<-time.After(time.Duration(rand.IntN(60)) * time.Millisecond) // the moment: somewhere in the switch
		dead := victims()
		for _, n := range dead {
			n.kill()
		}
		applying.Wait()
		for _, n := range dead {
			n.launch()
		}
		for _, n := range dead {
			n.ready()
		}
		tr.settled()
	}
}

// settled waits until no cookbook is on its way.
func (tr *trial) settled() {
	defer tr.show()
	eventually(tr.t, wait, "the cookbook is in force", func() error {
		for _, n := range tr.nodes {
			status, text, err := n.try("GET", "/v1/cookbook", "")
			if err != nil || status != http.StatusOK {
				return fmt.Errorf("%d %v", status, err)
			}
			if c := decode[struct {
				Switching *struct{ Version, Held, Switched int }
			}](tr.t, text); c.Switching != nil {
				return fmt.Errorf("node %s: %+v", n.http, *c.Switching)
			}
		}
		return nil
	})
}

// Nodes are killed at any moment of a switch to another cookbook, all at once and one by one: no event is lost or counted twice, the switch is finished, the
// replicas are equal.
func TestApplyKilled(t *testing.T) {
	for _, size := range []int{1, 3} {
		t.Run(fmt.Sprint("nodes=", size), func(t *testing.T) {
			recipe := filepath.Join(t.TempDir(), "cluster.yml")
			check(t, os.WriteFile(recipe, []byte(clusterRecipe), 0o600))
			tr := &trial{fleet: newFleet(t, size, recipe), people: 40, pause: 20 * time.Millisecond}
			tr.begin()
			times := 4
			if testing.Short() {
				times = 2
			}
			tr.applyAndKill(times, func() []*node { return []*node{tr.nodes[rand.IntN(size)]} })
			tr.applyAndKill(times/2, func() []*node { return tr.nodes })
			tr.end(nil)
		})
	}
}

// faults are what happens to a cluster of three, one after the other. Each lasts for a while, and is over when it returns.
func (tr *trial) faults(d time.Duration) map[string]func() {
	hold := func() { <-time.After(d) } // how long the fault lasts
	stop := func(n *node, d time.Duration) {
		check(tr.t, n.cmd.Process.Signal(syscall.SIGSTOP))
		<-time.After(d)
		check(tr.t, n.cmd.Process.Signal(syscall.SIGCONT))
	}
	all := map[string]func(){
		"a leader is killed": func() {
			n := tr.nodes[tr.leader()]
			n.kill()
			hold()
			n.start()
		},
		"a leader stands still for a moment": func() { stop(tr.nodes[tr.leader()], 300*time.Millisecond) },
		"a leader stands still for long":     func() { stop(tr.nodes[tr.leader()], max(d, 4*time.Second)) },
		"all are killed": func() {
			for _, n := range tr.nodes {
				n.kill()
			}
			for _, n := range tr.nodes {
				n.launch()
			}
			for _, n := range tr.nodes {
				n.ready()
			}
		},
		"a cookbook comes, and somebody is killed": func() {
			tr.applyAndKill(1, func() []*node { return []*node{tr.nodes[rand.IntN(3)]} })
		},
		"a node is drained, and comes back": func() {
			tr.nodes[0].must("drain", "n2", "--timeout", "60s", "-o", "json")
			tr.nodes[1].code(stopWait)
			hold()
			tr.nodes[1].start()
		},
	}
	if tr.small != nil {
		all["a disk is full"] = func() { tr.fillDisk(tr.small, hold) }
	}
	all["a leader is cut off from the others, all reach Kafka"] = func() {
		heal := tr.net.isolate(tr.leader())
		hold()
		heal()
	}
	all["a leader is cut off from the others, it alone reaches Kafka"] = func() {
		leader := tr.leader()
		heal := tr.net.isolate(leader)
		for i := range 3 {
			if i != leader {
				tr.net.cut(i, tr.net.broker())
			}
		}
		hold()
		for i := range 3 {
			if i != leader {
				tr.net.heal(i, tr.net.broker())
			}
		}
		heal()
	}
	all["a leader does not reach Kafka"] = func() {
		leader := tr.leader()
		tr.net.cut(leader, tr.net.broker())
		hold()
		tr.net.heal(leader, tr.net.broker())
	}
	return all
}

// smallDisk puts a node's directory on a file system of its own, before it is started. It says whether that can be done here.
func smallDisk(t *testing.T, dir string) bool {
	if out, err := exec.Command("mount", "-t", "tmpfs", "-o", "size=256m", "dashi-e2e", dir).CombinedOutput(); err != nil {
		t.Logf("no disk is filled: %v: %s", err, out)
		return false
	}
	t.Cleanup(func() {
		if out, err := exec.Command("umount", "-l", dir).CombinedOutput(); err != nil {
			t.Errorf("cannot unmount: %v: %s", err, out)
		}
	})
	return true
}

// fillDisk leaves no room on a node's disk for a while. The node says so; what it had is good, and with room again it goes on after a restart.
func (tr *trial) fillDisk(n *node, hold func()) {
	path := filepath.Join(n.data, "filler")
	f, err := os.Create(path)
	check(tr.t, err)
	_, err = io.Copy(f, zeros{})
	if err == nil || !strings.Contains(err.Error(), "no space") {
		tr.t.Errorf("the disk is not full: %v", err)
	}
	check(tr.t, f.Close())
	hold()
	check(tr.t, os.Remove(path))
	n.kill()
	n.start()
}

type zeros struct{}

func (zeros) Read(b []byte) (int, error) { clear(b); return len(b), nil }

// Everything goes wrong that can, one thing after the other, while events come in: each is applied exactly once on every node, each activation leaves once, every
// acknowledged write can be read, what is read as linearizable is, and the replicas are equal. DASHI_FAULTS=30m goes on for so long, with more events and longer faults;
// DASHI_FAULT=text has only those faults whose name has it.
func TestClusterFaults(t *testing.T) {
	until, fault := time.Time{}, 1500*time.Millisecond
	tr := &trial{net: newNetwork(t, 3), people: 50, pause: 50 * time.Millisecond}
	shards, readers := 16, 6
	if testing.Short() { // the same faults, shorter, in three processes under the race detector that have less to do
		fault, shards, readers, tr.people = 500*time.Millisecond, 4, 3, 15
	}
	if text := os.Getenv("DASHI_FAULTS"); text != "" {
		d, err := time.ParseDuration(text)
		check(t, err)
		until, fault = time.Now().Add(d), 5*time.Second
		tr.people, tr.pause, tr.ahead = 500, 25*time.Millisecond, math.MaxInt64
	}
	if text := os.Getenv("DASHI_FAULTS_RATE"); text != "" { // events a second
		rate, err := strconv.Atoi(text)
		check(t, err)
		tr.people = rate / 40
	}
	recipe := filepath.Join(t.TempDir(), "cluster.yml")
	check(t, os.WriteFile(recipe, []byte(clusterRecipe), 0o600))
	tr.fleet = newFleetIn(t, tr.net, func(n *node) {
		n.shards = shards
		if tr.small == nil && smallDisk(t, n.data) {
			tr.small = n
		}
	}, 3, recipe)
	tr.begin()

	h := &history{t: t, nodes: tr.nodes, http: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 16}}}
	watched := []string{"h1", "h2", "h3"}
	running, quit := context.WithCancel(t.Context())
	var clients sync.WaitGroup
	for _, who := range watched {
		clients.Go(func() { h.write(running, tr.nodes[0].producer(), who) })
	}
	h.readers(running, &clients, readers, watched)

	faults := tr.faults(fault)
	for first := true; first || time.Now().Before(until); first = false {
		for name, happen := range faults {
			if strings.Contains(name, os.Getenv("DASHI_FAULT")) {
				happen()
				tr.recovered(name)
			}
		}
	}
	quit()
	clients.Wait()
	h.http.CloseIdleConnections()
	h.check()
	extra := map[string]int{}
	for _, o := range h.operations {
		if a := o.Input.(access); a.write {
			extra[a.who] = max(extra[a.who], a.count)
		}
	}
	tr.end(extra)
}
