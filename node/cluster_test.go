package node

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"dashi/node/httpapi"
	"dashi/node/settings"
	"dashi/pipeline/kafka"
	"dashi/ring/gossip"
	"dashi/ring/meta"
	"dashi/shard"
)

// testCluster is some nodes in this process, and a broker beside them.
type testCluster struct {
	t        testing.TB
	broker   *kafka.Broker
	settings []settings.Settings
	options  func(i int) Options
	nodes    []*Node // nil: closed
}

// openCluster opens nodes that find each other.
func openCluster(t testing.TB, size int, adjust ...func(*settings.Settings)) *testCluster {
	t.Helper()
	c := newCluster(t, size)
	for i := range c.settings {
		for _, f := range adjust {
			f(&c.settings[i])
		}
	}
	c.openAll()
	return c
}

// newCluster is nodes that are not open yet.
func newCluster(t testing.TB, size int) *testCluster {
	t.Helper()
	dir := t.TempDir()
	broker, err := kafka.OpenBroker(kafka.BrokerSettings{Addr: "127.0.0.1:0", Dir: filepath.Join(dir, "kafka"), Partitions: 4})
	if err != nil {
		t.Fatal(err)
	}
	c := &testCluster{t: t, broker: broker, nodes: make([]*Node, size)}
	c.options = func(i int) Options { return clusterOptions(t, i) }
	t.Cleanup(func() {
		for i := range c.nodes {
			c.close(i)
		}
		if err := broker.Close(); err != nil {
			t.Error(err)
		}
	})
	ports := freePorts(t, size)
	for i := range size {
		s := testSettings(t, filepath.Join(dir, fmt.Sprint("n", i+1)))
		s.Kafka.Embedded.Listen, s.Kafka.Brokers, s.Kafka.Partitions = "", []string{broker.Addr()}, 4
		s.Node.ID, s.Node.Listen = fmt.Sprint("n", i+1), "127.0.0.1:0"
		s.Limits.RecentIDs += i // only those of the founder that comes to lead hold
		s.Gossip.Listen, s.Gossip.Expect, s.Gossip.Join = ports[i], size, ports
		s.Gossip.Keys = []string{base64.StdEncoding.EncodeToString(make([]byte, 32))}
		c.settings = append(c.settings, s)
	}
	return c
}

// openAll opens all nodes that are closed, at once.
func (c *testCluster) openAll() {
	c.t.Helper()
	ctx := testContext(c.t)
	var wait sync.WaitGroup
	errs := make([]error, len(c.nodes))
	for i := range c.nodes {
		if c.nodes[i] == nil {
			wait.Go(func() { c.nodes[i], errs[i] = Open(ctx, c.settings[i], c.options(i)) })
		}
	}
	wait.Wait()
	for i, err := range errs {
		if err != nil {
			c.t.Fatalf("node %d: %v", i+1, err)
		}
	}
}

// clusterOptions have the nodes' logs in the test's, with -v.
func clusterOptions(t testing.TB, i int) Options {
	o := testOptions()
	if testing.Verbose() {
		o.Log = slog.New(slog.NewTextHandler(t.Output(), nil)).With("node", i+1)
	}
	return o
}

func (c *testCluster) close(i int) {
	if c.nodes[i] != nil {
		closeNode(c.t, c.nodes[i])
		c.nodes[i] = nil
	}
}

// idle waits until all nodes are.
func (c *testCluster) idle() {
	c.t.Helper()
	for _, n := range c.nodes {
		if n != nil {
			waitIdle(c.t, n)
		}
	}
}

// same waits until all nodes have the same state, and returns its hashes.
func (c *testCluster) same() string {
	c.t.Helper()
	var all []string
	until(c.t, "the replicas are equal", func() bool {
		all = all[:0]
		for _, n := range c.nodes {
			if n != nil {
				all = append(all, hashes(n))
			}
		}
		for _, h := range all {
			if h != all[0] {
				return false
			}
		}
		return true
	})
	return all[0]
}

// Three nodes found a cluster, with nobody first; each event is applied once, on all of them, each activation leaves once; one ends, the others go on, and
// it catches up.
func TestThreeNodes(t *testing.T) {
	const people = 30
	c := openCluster(t, 3)
	id := c.nodes[0].directory.State().Cluster
	for _, n := range c.nodes {
		if s := n.directory.State(); s.Cluster != id || id == "" || len(s.Members) != 3 {
			t.Errorf("node %s: cluster %q of %d", n.identity.Node, s.Cluster, len(s.Members))
		}
		if got, want := n.shards[0].settings.RecentIDs, c.nodes[0].shards[0].settings.RecentIDs; got != want {
			t.Errorf("node %s remembers %d message ids, node 1 %d", n.identity.Node, got, want)
		}
	}
	var mu sync.Mutex
	heard := map[string]int{}
	stop := c.nodes[1].hub.Subscribe("", func(id, _, _ string, _ []byte) { mu.Lock(); heard[id]++; mu.Unlock() })
	until(t, "the listener is known", func() bool {
		for _, n := range []*Node{c.nodes[0], c.nodes[2]} {
			if p := n.heard.all()[c.nodes[1].identity.member()]; p == nil || !p.listening {
				return false
			}
		}
		return true
	})
	visit(t, c.nodes[0], "a", people, "one")
	visit(t, c.nodes[1], "a", people, "one") // a client that tries again, elsewhere
	visit(t, c.nodes[2], "b", people, "two")
	c.idle()
	c.same()
	for i, n := range c.nodes {
		if p := profileOf(n, "u7"); !strings.Contains(p, `"visits":2`) {
			t.Errorf("node %d: profile %s", i+1, p)
		}
	}
	out := activations(t, c.nodes[2])
	if len(out) != 2*people {
		t.Errorf("%d activations, want %d", len(out), 2*people)
	}
	until(t, "the listener heard of all", func() bool { mu.Lock(); defer mu.Unlock(); return len(heard) == len(out) })
	stop()

	c.close(1)
	visit(t, c.nodes[0], "c", people, "three")
	c.idle()
	if size, _ := c.nodes[2].AudienceSize(0); size != people {
		t.Errorf("%d regulars, want %d", size, people)
	}
	want := c.same()
	c.openAll()
	c.idle()
	if got := c.same(); got != want {
		t.Errorf("hashes %s, want %s", got, want)
	}
	if out := activations(t, c.nodes[1]); len(out) != 4*people {
		t.Errorf("%d activations, want %d", len(out), 4*people)
	}
	checkStatus(t, c)
}

func checkStatus(t *testing.T, c *testCluster) {
	t.Helper()
	until(t, "the status knows all", func() bool {
		st := c.nodes[0].Status(false)
		leads := 0
		for _, n := range st.Nodes {
			if n.State != "alive" || n.Replicas != 3 {
				return false
			}
			leads += n.Leads
		}
		for _, s := range st.Shards {
			if len(s.Replicas) != 3 || s.Leader == "" {
				return false
			}
		}
		return len(st.Nodes) == 3 && leads == 3 && len(st.Trouble) == 0
	})
}

// Any node answers, as fresh as it is asked to, and says who did.
func TestReads(t *testing.T) {
	c := openCluster(t, 3)
	visit(t, c.nodes[0], "a", 5, "x")
	waitIdle(t, c.nodes[0])
	f := func(n *Node, query string, status int, read string) {
		t.Helper()
		answer, err := http.Get("http://" + n.HTTPAddr() + "/v1/profiles/user_id:u1" + query)
		if err != nil {
			t.Fatal(err)
		}
		defer answer.Body.Close()
		if answer.StatusCode != status || answer.Header.Get(headerRead) != read {
			t.Errorf("node %s %s: %s, read %q, want %d %q", n.identity.Node, query, answer.Status, answer.Header.Get(headerRead), status, read)
		}
		if status != http.StatusOK {
			return
		}
		var p struct{ Attributes map[string]any }
		if err := json.NewDecoder(answer.Body).Decode(&p); err != nil {
			t.Error(err)
		}
		by := answer.Header.Get(headerNode)
		if here := by == n.identity.Node; !here && read == readLocal.String() || by == "" || p.Attributes["visits"] != 1.0 {
			t.Errorf("node %s %s: %s answered %v", n.identity.Node, query, by, p)
		}
	}
	for _, n := range c.nodes {
		f(n, "?read=leader", http.StatusOK, readLeader.String())
		f(n, "?read=linearizable", http.StatusOK, readLinearizable.String())
		f(n, "?read=stale", http.StatusBadRequest, "")
	}
	c.same()
	for _, n := range c.nodes {
		f(n, "", http.StatusOK, readLocal.String())
		f(n, "?read=local", http.StatusOK, readLocal.String())
	}
}

// add opens one more node, which joins.
func (c *testCluster) add() {
	c.t.Helper()
	s := c.settings[0]
	i := len(c.nodes)
	s.Data = filepath.Join(filepath.Dir(s.Data), fmt.Sprint("n", i+1))
	s.Node.ID, s.Gossip.Listen = fmt.Sprint("n", i+1), freePorts(c.t, 1)[0]
	c.settings, c.nodes = append(c.settings, s), append(c.nodes, nil)
	c.openAll()
}

// placed waits until every shard has so many replicas, on nodes as they are now, and no move is under way.
func (c *testCluster) placed(replicas int) {
	c.t.Helper()
	until(c.t, fmt.Sprint(replicas, " replicas of every shard"), func() bool {
		s := c.nodes[0].directory.State()
		for _, sh := range s.Shards {
			if len(sh.Replicas) != replicas || slices.ContainsFunc(sh.Replicas, func(r meta.Replica) bool { return !s.Present(r) }) {
				return false
			}
		}
		return len(s.Moves) == 0
	})
}

// A fourth node joins while events come in, and is brought its part; one that has lost its log comes back as another; nothing is lost or doubled.
func TestNodesJoin(t *testing.T) {
	const people = 20
	c := openCluster(t, 3)
	visit(t, c.nodes[0], "a", people, "one")
	c.add()
	visit(t, c.nodes[3], "b", people, "two")
	c.idle()
	c.same()
	until(t, "the leaders are spread over four", func() bool {
		for _, n := range c.nodes[1].Status(false).Nodes {
			if n.Replicas < 2 || n.Replicas > 3 || n.Leads > 1 {
				return false
			}
		}
		return len(c.nodes[1].directory.State().Moves) == 0
	})
	before := c.nodes[1].identity.Incarnation
	c.close(1)
	if err := os.RemoveAll(filepath.Join(c.settings[1].Data, "shards")); err != nil {
		t.Fatal(err)
	}
	visit(t, c.nodes[0], "c", people, "three")
	c.openAll()
	if c.nodes[1].identity.Incarnation == before {
		t.Error("it is still who it was")
	}
	c.idle()
	c.same()
	c.placed(3)
	if p := profileOf(c.nodes[1], "u7"); !strings.Contains(p, `"visits":3`) {
		t.Errorf("profile %s", p)
	}
	if out := activations(t, c.nodes[3]); len(out) != 4*people {
		t.Errorf("%d activations, want %d", len(out), 4*people)
	}
}

// A node is emptied and ends; the others go on; started again it comes back. The last one cannot be emptied. One that is forgotten is let in again when it knocks.
func TestDrain(t *testing.T) {
	const people = 20
	c := openCluster(t, 2)
	ask := func(n *Node, method, path string) (status int) {
		t.Helper()
		request, err := http.NewRequest(method, "http://"+n.HTTPAddr()+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		answer, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		answer.Body.Close()
		return answer.StatusCode
	}
	visit(t, c.nodes[0], "a", people, "one")
	if got := ask(c.nodes[0], "DELETE", "/v1/nodes/n2"); got != http.StatusConflict {
		t.Errorf("a node that holds shards is forgotten: %d", got)
	}
	if got := ask(c.nodes[0], "POST", "/v1/nodes/nobody/drain"); got != http.StatusNotFound {
		t.Errorf("nobody is drained: %d", got)
	}
	until(t, "n2 leads the directory, and has to empty itself", func() bool {
		if _, leads := c.nodes[1].directory.group.Leader(); leads {
			return true
		}
		_ = c.nodes[0].directory.group.Transfer(testContext(t), c.nodes[1].identity.member()) // asked again
		return false
	})
	if got := ask(c.nodes[0], "POST", "/v1/nodes/n2/drain"); got != http.StatusOK {
		t.Fatalf("drain: %d", got)
	}
	if got := ask(c.nodes[0], "POST", "/v1/nodes/n1/drain"); got != http.StatusConflict {
		t.Errorf("the last node is drained: %d", got)
	}
	if err := c.nodes[1].Wait(testContext(t)); !errors.Is(err, ErrDrained) {
		t.Fatalf("it ends with %v", err)
	}
	if got := ask(c.nodes[1], "GET", "/v1/profiles/user_id:u1"); got != http.StatusServiceUnavailable {
		t.Errorf("a drained node answers: %d", got)
	}
	c.close(1)
	visit(t, c.nodes[0], "b", people, "two")
	c.idle()
	for i, sh := range c.nodes[0].directory.State().Shards {
		if len(sh.Replicas) != 1 {
			t.Errorf("shard %d: %v", i, sh.Replicas)
		}
	}
	c.openAll()
	visit(t, c.nodes[1], "c", people, "three")
	c.idle()
	c.placed(2)
	c.same()
	if out := activations(t, c.nodes[1]); len(out) != 4*people {
		t.Errorf("%d activations, want %d", len(out), 4*people)
	}
}

// A replica that was here before, as a founder of its shard, and comes back, is told by the log from its beginning that it has a vote. It answers nobody before it
// has what the others have.
func TestReplicaThatComesBack(t *testing.T) {
	const people, rounds = 20, 15
	c := openCluster(t, 3)
	for round := range rounds {
		visit(t, c.nodes[round%3], fmt.Sprint("a", round, "-"), people, "one")
		waitIdle(t, c.nodes[0])
	}
	c.add()
	until(t, "the fourth has some", func() bool { return c.nodes[0].directory.State().Holding("n4") })
	c.placed(3)
	c.idle()
	events := make([]uint64, len(c.nodes[0].shards))
	for i, r := range c.nodes[0].Status(false).Shards {
		events[i] = r.Events
	}
	gone := make(chan struct{})
	var watching sync.WaitGroup
	for _, n := range c.nodes[:3] {
		watching.Go(func() {
			for {
				select {
				case <-gone:
					return
				default:
				}
				for i, h := range n.shards {
					h.mu.RLock()
					answers, has := h.answers, h.shard.Stats().Events
					h.mu.RUnlock()
					if answers && has < events[i] {
						t.Errorf("node %s answers for shard %d with %d of its %d events", n.identity.Node, i, has, events[i])
						return
					}
				}
			}
		})
	}
	watching.Go(func() { // what concerns all shards has each of them once
		for ctx := context.Background(); ; {
			select {
			case <-gone:
				return
			default:
			}
			n := c.nodes[1]
			found, err := n.Query(ctx, httpapi.Query{Where: "visits > 0"}, func(*shard.View) {})
			if err != nil || found.Count != people {
				t.Errorf("a query finds %d of %d: %v", found.Count, people, err)
				return
			}
			if all, err := (httpBackend{n}).Audiences(ctx); err != nil || all[0].Size != people {
				t.Errorf("%v %v", all, err)
				return
			}
		}
	})
	if err := c.nodes[0].drain(testContext(t), "n4", true); err != nil {
		t.Fatal(err)
	}
	until(t, "the fourth is empty", func() bool { return !c.nodes[0].directory.State().Holding("n4") })
	c.placed(3)
	close(gone)
	watching.Wait()
	until(t, "all of them answer again", func() bool {
		for _, n := range c.nodes[:3] {
			for _, h := range n.shards {
				if !n.canAnswer(h, readLocal) {
					return false
				}
			}
		}
		return true
	})
}

// What one node answers to another is read as it was meant.
func TestOutcomesTravel(t *testing.T) {
	all := []*outcome{
		{index: 7, result: shard.Result{Outcome: shard.Accepted, Mark: -1, Activations: 3}},
		{index: 9, result: shard.Result{Outcome: shard.Refused, Mark: 5, Detail: "no"}},
	}
	var b []byte
	for _, o := range all {
		b = appendOutcome(b, o)
	}
	for i := range b {
		rest := b[:i]
		var err error
		for err == nil && len(rest) > 0 {
			_, rest, err = readOutcome(rest)
		}
	}
	for _, want := range all {
		var got outcome
		var err error
		if got, b, err = readOutcome(b); err != nil || got != *want {
			t.Errorf("%+v, %v; want %+v", got, err, *want)
		}
	}
	if len(b) > 0 {
		t.Errorf("%d bytes are left", len(b))
	}
}

// Nodes agree whom they found the cluster with only if all see the same.
func TestFounders(t *testing.T) {
	n := &Node{settings: settings.Settings{Cluster: "c", Gossip: settings.Gossip{Expect: 2}}, identity: dataIdentity{Node: "b", Incarnation: 2}}
	m := func(id string, incarnation uint64, state gossip.State, expect uint16, cluster string) gossip.Member {
		return gossip.Member{ID: id, State: state, Meta: gossip.Meta{Incarnation: incarnation, Expect: expect, Cluster: cluster}}
	}
	self := m("b", 2, gossip.Alive, 2, "")
	f := func(want, waits, problem string, members ...gossip.Member) {
		t.Helper()
		founders, w, err := n.founders(members)
		got := ""
		for _, f := range founders {
			got += fmt.Sprint(f.Node, f.Incarnation, " ")
		}
		if got != want || !strings.Contains(w, waits) || (waits == "") != (w == "") || (err == nil) != (problem == "") || err != nil && !strings.Contains(err.Error(), problem) {
			t.Errorf("founders %q, waits for %q, %v; want %q, %q, %q", got, w, err, want, waits, problem)
		}
		if w != "" && strings.Count(foundingNote(w), "to found") != 1 {
			t.Errorf("says %q", foundingNote(w))
		}
	}
	agreed := clusterID("c", []founder{{"a", 1}, {"b", 2}})
	f("", "1 more", "", self)
	f("a1 b2 ", "", "", m("a", 1, gossip.Alive, 2, ""), self)
	f("a1 b2 ", "", "", m("a", 1, gossip.Alive, 2, agreed), self)
	f("", "1 more", "", m("a", 1, gossip.Failed, 2, ""), self)
	f("b2 c3 ", "", "", self, m("c", 3, gossip.Alive, 2, ""))
	f("", "", "gossip.expect", m("a", 1, gossip.Alive, 3, ""), self)
	f("", "others to found", "", m("a", 1, gossip.Alive, 2, "another"), self)
	f("", "others to found", "", m("a", 1, gossip.Alive, 2, ""), m("a2", 1, gossip.Alive, 2, ""), self)
}

// The directory is a state machine like another: its snapshot brings it back.
func TestDirectoryRestores(t *testing.T) {
	n := openNode(t, testSettings(t, t.TempDir()))
	frozen, err := n.directory.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	if err := frozen.Persist(&b); err != nil {
		t.Fatal(err)
	}
	d := newDirectory()
	changed := d.Changed()
	if err := d.Restore(strings.NewReader(b.String())); err != nil {
		t.Fatal(err)
	}
	<-changed
	if s := d.State(); s.Cookbook() == nil || s.Cluster != n.identity.ClusterID || len(s.Shards) != 3 {
		t.Errorf("%+v", s)
	}
	if err := d.Restore(strings.NewReader("x")); err == nil {
		t.Error("it restores anything")
	}
	if err := n.change(testContext(t), func(*meta.State) (meta.Command, error) { return &meta.Forget{Member: "nobody"}, nil }); err == nil {
		t.Error("a rejected change is no error")
	}
}
