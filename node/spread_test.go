package node

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"dashi/node/settings"
	"dashi/ring/gossip"
)

// Five nodes, three of which have a replica of each shard. Any of them answers for all, over every door and at every level, in parts or as a whole. One goes for
// good: its replicas are made again on others, it can be forgotten, and nobody notices.
func TestFiveNodesThreeReplicas(t *testing.T) {
	people := 40
	if testing.Short() {
		people = 10
	}
	c := openCluster(t, 5, func(s *settings.Settings) { s.Shards, s.ReplaceAfter = 8, time.Second })
	for i, n := range c.nodes {
		visit(t, n, fmt.Sprint("a", i), people, "one")
	}
	c.idle()
	c.placed(3)
	c.checkSpread()
	c.checkDoors(people, 5)
	if out := activations(t, c.nodes[1]); len(out) != 6*people { // each is seen five times and becomes a regular
		t.Errorf("%d activations, want %d", len(out), 6*people)
	}
	gone := c.nodes[4].identity.Node
	c.close(4)
	visit(t, c.nodes[3], "b", people, "two")
	c.idle()
	until(t, "the replicas of the node that is gone are made again", func() bool { return !c.nodes[0].directory.State().Holding(gone) })
	c.placed(3)
	c.checkDoors(people, 6)
	request, err := http.NewRequest(http.MethodDelete, "http://"+c.nodes[2].HTTPAddr()+"/v1/nodes/"+gone, nil)
	if err != nil {
		t.Fatal(err)
	}
	if answer, err := http.DefaultClient.Do(request); err != nil || answer.StatusCode != http.StatusOK {
		t.Errorf("it cannot be forgotten: %v %v", answer, err)
	}
	until(t, "it is forgotten", func() bool {
		_, known := c.nodes[1].directory.State().Member(gone)
		return !known && len(c.nodes[1].Status(false).Trouble) == 0
	})
}

// checkSpread checks that every node has its share of replicas, and no others, and that leaders are spread.
func (c *testCluster) checkSpread() {
	c.t.Helper()
	odd := ""
	defer func() {
		if c.t.Failed() {
			c.t.Log(odd)
		}
	}()
	until(c.t, "replicas and leaders are spread", func() bool {
		for _, n := range c.nodes {
			s := n.directory.State()
			held, leads, wrong := 0, 0, 0
			for i, h := range n.shards {
				here := h.group.Load() != nil
				wrong += int(bit(here != slices.Contains(s.Shards[i].Replicas, n.self())))
				held += int(bit(here))
				leads += int(bit(h.leads()))
			}
			members, _ := n.directory.group.Members()
			if held < 4 || held > 5 || leads < 1 || leads > 2 || wrong > 0 || len(members) != len(c.nodes) {
				odd = fmt.Sprintf("node %s holds %d, leads %d, %d are not as the directory says; it knows %v", n.identity.Node, held, leads, wrong, members)
				return false
			}
		}
		return true
	})
	st := c.nodes[0].Status(true)
	for _, sh := range st.Shards {
		if sh.Unreachable || sh.Hash == "" || len(sh.Replicas) != 3 {
			c.t.Errorf("shard %d: %+v", sh.ID, sh)
		}
	}
}

// checkDoors asks every node about everybody: people who have been seen so many times.
func (c *testCluster) checkDoors(people, visits int) {
	c.t.Helper()
	for _, n := range c.nodes {
		if n == nil {
			continue
		}
		for _, level := range levelNames {
			for i := range people {
				if p := ask(c.t, n, fmt.Sprintf("/v1/profiles/user_id:u%d?read=%s", i, level)); !strings.Contains(p, fmt.Sprintf(`"visits":%d,`, visits)) {
					c.t.Errorf("node %s, %s: %s", n.identity.Node, level, p)
				}
			}
			if all := ask(c.t, n, "/v1/audiences?read="+level); !strings.Contains(all, fmt.Sprintf(`"size":%d}`, people)) {
				c.t.Errorf("node %s, %s: %s", n.identity.Node, level, all)
			}
			c.checkQueries(n, level, people, visits)
		}
		c.checkRESP(n, people, visits)
	}
}

func (c *testCluster) checkQueries(n *Node, level string, people, visits int) {
	c.t.Helper()
	for _, where := range []string{"regulars", fmt.Sprintf("visits == %d", visits)} {
		var found struct {
			Count  int
			Sample []struct{ ID string }
		}
		body, err := http.Post("http://"+n.HTTPAddr()+"/v1/query?read="+level, "application/json", strings.NewReader(fmt.Sprintf(`{"where":%q,"limit":1000}`, where)))
		if err != nil {
			c.t.Fatal(err)
		}
		if err := json.NewDecoder(body.Body).Decode(&found); err != nil || found.Count != people || len(found.Sample) != people {
			c.t.Errorf("node %s, %s, %s: %d of which %d, %v", n.identity.Node, level, where, found.Count, len(found.Sample), err)
		}
		body.Body.Close()
	}
	var all []string
	for cursor := ""; ; {
		lines := strings.Split(strings.TrimSpace(ask(c.t, n, "/v1/audiences/regulars/members?limit=7&read="+level+"&cursor="+cursor)), "\n")
		var last struct{ Cursor string }
		if err := json.Unmarshal([]byte(lines[len(lines)-1]), &last); err != nil {
			c.t.Fatalf("%v in %s", err, lines)
		}
		if last.Cursor == "" {
			all = append(all, lines...)
			break
		}
		all, cursor = append(all, lines[:len(lines)-1]...), last.Cursor
	}
	slices.Sort(all)
	if len(slices.Compact(all)) != people {
		c.t.Errorf("node %s, %s: members %s", n.identity.Node, level, all)
	}
	ids := make([]string, people)
	for i := range ids {
		ids[i] = fmt.Sprintf("%q", fmt.Sprint("user_id:u", i))
	}
	answer, err := http.Post("http://"+n.HTTPAddr()+"/v1/profiles:batchGet?read="+level, "application/json", strings.NewReader(`{"ids":[`+strings.Join(ids, ",")+`,"user_id:x"]}`))
	if err != nil {
		c.t.Fatal(err)
	}
	defer answer.Body.Close()
	var some struct{ Profiles []*struct{ ID string } }
	if err := json.NewDecoder(answer.Body).Decode(&some); err != nil || len(some.Profiles) != people+1 || some.Profiles[people] != nil || some.Profiles[7] == nil || some.Profiles[7].ID != "user_id:u7" {
		c.t.Errorf("node %s, %s: %v %v", n.identity.Node, level, some.Profiles, err)
	}
}

// checkRESP asks in one pipeline.
func (c *testCluster) checkRESP(n *Node, people, visits int) {
	c.t.Helper()
	for _, level := range levelNames {
		commands := "DASHI READ " + level + "\r\n"
		want := "+OK\r\n"
		for i := range people {
			commands += fmt.Sprintf("HGET user_id:u%d visits\r\nSISMEMBER audience:regulars user_id:u%d\r\n", i, i)
			want += fmt.Sprintf("$1\r\n%d\r\n:1\r\n", visits)
		}
		commands += "SCARD audience:regulars\r\nHLEN user_id:nobody\r\n"
		want += fmt.Sprintf(":%d\r\n:0\r\n", people)
		conn, err := net.Dial("tcp", n.RESPAddr())
		if err != nil {
			c.t.Fatal(err)
		}
		got := make([]byte, len(want))
		_ = conn.SetDeadline(time.Now().Add(time.Minute))
		if _, err := conn.Write([]byte(commands)); err != nil {
			c.t.Fatal(err)
		}
		if k, err := io.ReadFull(conn, got); err != nil || !bytes.Equal(got, []byte(want)) {
			c.t.Errorf("node %s, %s: %q %v, want %q", n.identity.Node, level, got[:k], err, want)
		}
		conn.Close()
	}
}

// ask is what a node answers over HTTP.
func ask(t testing.TB, n *Node, path string) string {
	t.Helper()
	answer, err := http.Get("http://" + n.HTTPAddr() + path)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode != http.StatusOK {
		t.Errorf("node %s %s: %s %s %v", n.identity.Node, path, answer.Status, body, err)
	}
	return string(body)
}

// Who is asked goes on where it is sent: a node believes another that knows a newer placement, and nobody who knows an older one.
func TestRoutesAreLearned(t *testing.T) {
	n := openNode(t, testSettings(t, t.TempDir()))
	h := n.shards[1]
	now := n.directory.State().Placed
	n.learnRoute(h, route{Placed: now, Replicas: []string{"n9/1"}})
	if got := n.holders(h); !slices.Equal(got, []string{n.identity.member()}) {
		t.Errorf("it believes what is not newer: %v", got)
	}
	n.learnRoute(h, route{Placed: now + 2, Replicas: []string{"n9/1"}, Leader: "n9/1"})
	n.learnRoute(h, route{Placed: now + 1, Replicas: []string{"n8/1"}})
	if got := n.holders(h); !slices.Equal(got, []string{"n9/1"}) {
		t.Errorf("%v", got)
	}
	newer := *n.directory.State() // all of it: the node goes on reading it
	newer.Placed = now + 3
	n.directory.state.Store(&newer)
	if got := n.holders(h); !slices.Equal(got, []string{n.identity.member()}) {
		t.Errorf("the directory is newer: %v", got)
	}
}

// A second node with the id of one that is there is refused, and goes without a word: the others would take it for that of the one that stays.
func TestSecondNodeOfTheSameName(t *testing.T) {
	c := openCluster(t, 3)
	c.add() // one that has said as little as the second will
	since := func() time.Time {
		g, ok := c.nodes[0].gossiped("n4")
		if !ok || g.State != gossip.Alive {
			t.Errorf("n4 is %s to n1", g.State)
		}
		return g.Since
	}
	before := since()
	second := c.settings[3]
	second.Data, second.Gossip.Listen = t.TempDir(), freePorts(t, 1)[0]
	n, err := Open(testContext(t), second, clusterOptions(t, 3))
	if err == nil {
		t.Error(n.Close())
	} else if !strings.Contains(err.Error(), `there is a node "n4", and it is alive: choose another node.id`) {
		t.Error(err)
	}
	if at := since(); at != before {
		t.Errorf("n4 has gone and come back at %s, before it was %s", at, before)
	}
	visit(t, c.nodes[3], "a", 5, "one")
	c.idle()
}

// A second process on a copy of a data directory would vote, and say goodbye, in the name of the first: it is refused before it opens anything, and goes without a word.
func TestCopyOfADataDirectory(t *testing.T) {
	c := openCluster(t, 3)
	visit(t, c.nodes[0], "a", 5, "one")
	c.idle()
	c.close(1)
	second := c.settings[1]
	second.Data, second.Gossip.Listen = filepath.Join(t.TempDir(), "copy"), freePorts(t, 1)[0]
	if err := os.CopyFS(second.Data, os.DirFS(c.settings[1].Data)); err != nil {
		t.Fatal(err)
	}
	c.openAll()
	since := func() time.Time {
		g, ok := c.nodes[0].gossiped("n2")
		if !ok || g.State != gossip.Alive {
			t.Errorf("n2 is %s to n1", g.State)
		}
		return g.Since
	}
	before := since()
	n, err := Open(testContext(t), second, clusterOptions(t, 1))
	if err == nil {
		t.Error(n.Close())
	}
	if !errors.Is(err, ErrTwice) {
		t.Error(err)
	}
	if at := since(); at != before {
		t.Errorf("n2 has gone and come back at %s, before it was %s", at, before)
	}
	visit(t, c.nodes[1], "b", 5, "two")
	c.idle()
	c.same()
}
