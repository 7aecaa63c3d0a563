package node

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"dashi/node/cookbook"
	"dashi/node/httpapi"
	"dashi/node/settings"
	"dashi/pipeline/event"
	"dashi/pipeline/expr"
	"dashi/pipeline/recipe"
	"dashi/ring/meta"
	"dashi/shard"
)

// moreRecipe is testRecipe with an attribute and an audience more, and without the note.
const moreRecipe = `
recipe: visits
attributes:
  visits: {kind: count, on: Visit}
  later: {kind: count, on: Visit}
audiences:
  regulars: {when: 'visits >= 3'}
  newcomers: {when: 'visits < 3', emit: none}
activations:
  seen: {on: {event: Visit}}
`

func application(text string) httpapi.Application {
	return httpapi.Application{Sources: []httpapi.Source{{Name: "visits.yml", Text: text}}}
}

// apply puts recipes in force and waits until all nodes have them.
func (c *testCluster) apply(i int, a httpapi.Application) *httpapi.Applied {
	c.t.Helper()
	applied, err := c.nodes[i].Apply(testContext(c.t), a)
	if err != nil {
		c.t.Fatal(err)
	}
	c.awaitVersion(applied.Version)
	return applied
}

func (c *testCluster) awaitVersion(version uint64) {
	c.t.Helper()
	until(c.t, fmt.Sprint("version ", version, " is in force"), func() bool {
		for _, n := range c.nodes {
			if n != nil && (n.cookbook.Load().Version != version || n.switching()) {
				return false
			}
		}
		return true
	})
}

// sums adds attributes up over all profiles, as a node has them.
func sums(t testing.TB, n *Node) map[string]int {
	t.Helper()
	all := map[string]int{}
	everybody := func(*expr.Env) expr.Truth { return expr.True }
	_, _, err := n.walk(t.Context(), &selection{audience: -1, where: "true", program: n.cookbook.Load().Program, is: everybody}, Cursor{}, func(v *shard.View) bool {
		var p struct{ Attributes map[string]any }
		if err := json.Unmarshal(v.AppendJSON(nil), &p); err != nil {
			t.Error(err)
		}
		for name, value := range p.Attributes {
			if number, ok := value.(float64); ok {
				all[name] += int(number)
			}
		}
		return true
	})
	if err != nil {
		t.Error(err)
	}
	return all
}

// Cookbooks come into force on three nodes while events come in: there, back, with a node away, one after the other. No event is lost or counted twice,
// look-ups go on, and the replicas stay equal.
func TestApplyOnThreeNodes(t *testing.T) {
	const people, rounds = 20, 40
	c := openCluster(t, 3)
	visit(t, c.nodes[0], "first", people, "one")
	c.idle()

	asked := c.nodes[0]
	reading, stop := context.WithCancel(t.Context())
	var busy sync.WaitGroup
	sent := make(chan struct{}, rounds)
	busy.Go(func() {
		for round := range rounds {
			visit(t, asked, fmt.Sprint("r", round), people, "two")
			sent <- struct{}{}
		}
	})
	busy.Go(func() {
		for reading.Err() == nil {
			if p := profileOf(asked, "u3"); reading.Err() == nil && !strings.Contains(p, `"visits":`) {
				t.Errorf("a look-up finds %q", p)
			}
		}
	})
	<-sent
	a := application(moreRecipe)
	if _, err := c.nodes[1].Apply(testContext(t), a); !errors.Is(err, httpapi.ErrForgets) {
		t.Errorf("the note is forgotten without a word: %v", err)
	}
	a.DryRun = true
	if dry, err := c.nodes[1].Apply(testContext(t), a); err != nil || dry.Version != 1 || len(dry.Losses) != 1 || dry.Losses[0] != "attribute note" {
		t.Errorf("a dry run says %+v, %v", dry, err)
	}
	a.DryRun, a.Forget = false, true
	if applied := c.apply(1, a); applied.Version != 2 {
		t.Errorf("version %d", applied.Version)
	}
	if again := c.apply(2, a); again.Version != 2 || !again.Same {
		t.Errorf("the same again: %+v", again)
	}
	<-sent
	c.close(2)
	back := application(testRecipe)
	back.Forget = true
	c.apply(0, back) // back, while node 3 is away
	c.openAll()
	c.awaitVersion(3)
	c.apply(2, a)
	busy.Go(func() { // somebody has to take what is sent
		for range rounds - 2 {
			<-sent
		}
		stop()
	})
	busy.Wait()
	c.idle()
	c.same()
	for i, n := range c.nodes {
		got := sums(t, n)
		if got["visits"] != people*(rounds+1) || got["later"] >= got["visits"] {
			t.Errorf("node %d counts %v, want %d visits", i+1, got, people*(rounds+1))
		}
		regulars, _ := n.AudienceIndex([]byte("regulars"))
		if size, _ := n.AudienceSize(regulars); size != people {
			t.Errorf("node %d: %d regulars", i+1, size)
		}
	}
	seen := 0
	for _, a := range activations(t, c.nodes[0]) {
		if strings.Contains(a, "seen") {
			seen++
		}
	}
	if seen != people*(rounds+1) {
		t.Errorf("%d of %d visits were activated", seen, people*(rounds+1))
	}
}

// A node whose directory is behind is not idle: it may not know that a cookbook is on its way. It was, after all nodes had been killed amid a switch, and its shards
// were not yet those of the others.
func TestIdleKnowsDirectory(t *testing.T) {
	c := openCluster(t, 3)
	c.idle()
	leader := slices.IndexFunc(c.nodes, func(n *Node) bool { return n.directory.group.Progress().Leads })
	if leader < 0 {
		t.Fatal("nobody leads the directory")
	}
	n, other := c.nodes[(leader+1)%3], c.nodes[leader]
	d := n.directory
	d.mu.Lock() // it applies nothing
	err := other.change(testContext(t), func(s *meta.State) (meta.Command, error) {
		return &meta.SetReplicas{Replicas: s.Settings.Replicas}, nil
	})
	if err != nil {
		t.Error(err)
	}
	ctx, cancel := context.WithTimeout(testContext(t), time.Second)
	err = n.WaitIdle(ctx)
	cancel()
	d.mu.Unlock()
	if err == nil || !strings.Contains(err.Error(), "the directory of this node is behind") {
		t.Errorf("it is idle, %v, and its directory is behind", err)
	}
	waitIdle(t, n)
}

// What is wrong with a cookbook is said before anything is done, in the words of check.
func TestApplyRefuses(t *testing.T) {
	s := testSettings(t, t.TempDir())
	s.Kafka.Inputs = append(s.Kafka.Inputs, settings.Input{Topic: "rows", Decoder: "mapping:rows"})
	const mapping = "mappings:\n  rows:\n    format: jsonl\n    event: '\"Visit\"'\n    time: {from: row.at, layout: unix}\n    identifiers: {user_id: row.who}\n"
	text := linkedRecipe("user_id", "email")
	n, err := Open(testContext(t), s, Options{Recipes: []recipe.Source{{Name: "visits.yml", Text: []byte(text + mapping)}}})
	if err != nil {
		t.Fatal(err)
	}
	defer closeNode(t, n)
	link(t, n, 0, 5)
	waitIdle(t, n)
	f := func(text string, is error, want string) {
		t.Helper()
		_, err := n.Apply(testContext(t), application(text))
		var bad *httpapi.BadCookbook
		if errors.As(err, &bad) {
			want, err = strings.TrimPrefix(want, "bad: "), errors.New(fmt.Sprint(bad.Diagnostics))
		} else if !errors.Is(err, is) {
			t.Errorf("%v, want %v", err, is)
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
	f("recipe: a\naudiences:\n  x: {when: nothing > 1}\n", nil, "bad: {visits.yml 3 13 error")
	f(text, httpapi.ErrUnfit, `mapping "rows"`)
	f(linkedRecipe("email", "user_id")+mapping, httpapi.ErrUnfit, "another rank")
	if v := n.Cookbook().Version; v != 1 {
		t.Errorf("version %d", v)
	}
}

// A cookbook is refused on a node that has none of the shards that do: what is here says nothing of the others.
func TestApplyAsksAllShards(t *testing.T) {
	c := newCluster(t, 3)
	for i := range c.settings {
		c.settings[i].Replicas, c.settings[i].Shards = 1, 6
	}
	text := linkedRecipe("user_id", "email")
	c.options = func(i int) Options {
		o := clusterOptions(t, i)
		o.Recipes = []recipe.Source{{Name: "visits.yml", Text: []byte(text)}}
		return o
	}
	c.openAll()
	link(t, c.nodes[0], 0, 1) // one person, in two shards at most
	c.idle()
	asked := 0
	for _, n := range c.nodes {
		concerned := slices.ContainsFunc(n.shards, func(h *shardHost) bool {
			h.mu.RLock()
			defer h.mu.RUnlock()
			return h.shard.Refuses([]event.Namespace{{Name: "email"}, {Name: "user_id"}}) != ""
		})
		if concerned {
			continue
		}
		asked++
		a := application(linkedRecipe("email", "user_id"))
		a.DryRun = true
		if _, err := n.Apply(testContext(t), a); !errors.Is(err, httpapi.ErrUnfit) || !strings.Contains(err.Error(), "another rank") {
			t.Errorf("node %s: %v", n.identity.Node, err)
		}
	}
	if asked == 0 {
		t.Error("every node has a part of them")
	}
}

// linkedRecipe counts visits, with namespaces in an order.
func linkedRecipe(namespaces ...string) string {
	from := map[string]string{"user_id": "userId", "email": "traits.email", "member": "properties.member"}
	text := "recipe: visits\nattributes:\n  visits: {kind: count, on: Visit}\nidentity:\n  namespaces:\n"
	for _, ns := range namespaces {
		text += "    - {name: " + ns + ", from: " + from[ns] + "}\n"
	}
	return text
}

// link sends visits [from, to), each of a user with an e-mail address and a member number, which have nothing to do with each other.
func link(t testing.TB, n *Node, from, to int) {
	t.Helper()
	var messages []httpapi.Message
	for i := from; i < to; i++ {
		messages = append(messages, httpapi.Message{Key: fmt.Append(nil, i), Value: fmt.Appendf(nil,
			`{"type":"track","event":"Visit","userId":"u%d","timestamp":"2026-03-01T10:00:00Z","traits":{"email":"e%d@x.example"},"properties":{"member":"m%d"}}`, i*7919%101, i*7919%101, i*104729%97)})
	}
	if err := (httpBackend{n}).Produce(testContext(t), messages); err != nil {
		t.Fatal(err)
	}
}

// The next cookbook knows a namespace above the others: from then on it decides to which shard an event goes. What one shard has taken under the old cookbook no
// other takes under the new one, and nothing falls between them.
func TestApplyAStrongerNamespace(t *testing.T) {
	events := 3000
	if testing.Short() { // all these people come to hang together, which the race detector makes slow
		events = 500
	}
	c := openCluster(t, 3)
	first := application(linkedRecipe("user_id"))
	first.Forget = true
	c.apply(0, first)
	var sending sync.WaitGroup
	sending.Go(func() {
		for i := 0; i < events; i += 100 {
			link(t, c.nodes[0], i, i+100)
		}
	})
	c.apply(1, application(linkedRecipe("member", "user_id")))
	sending.Wait()
	c.idle()
	c.same()
	for i, n := range c.nodes {
		if got := sums(t, n)["visits"]; got != events {
			t.Errorf("node %d counts %d visits, want %d", i+1, got, events)
		}
	}
}

// A cookbook that a shard refuses after it was committed, because people were linked meanwhile, gives its place to the one before, and says why.
func TestApplyWithdrawn(t *testing.T) {
	n := openNode(t, testSettings(t, t.TempDir()))
	visit(t, n, "a", 5, "x")
	waitIdle(t, n)
	a := application(linkedRecipe("user_id", "email"))
	a.Forget = true
	if _, err := n.Apply(testContext(t), a); err != nil {
		t.Fatal(err)
	}
	until(t, "version 2", func() bool { return !n.switching() })
	link(t, n, 0, 5)
	waitIdle(t, n)
	program, _ := recipe.Compile([]recipe.Source{{Name: "visits.yml", Text: []byte(linkedRecipe("email", "user_id"))}})
	if err := n.change(testContext(t), func(*meta.State) (meta.Command, error) { return cookbook.Put(program.Sources), nil }); err != nil {
		t.Fatal(err)
	}
	until(t, "it is withdrawn", func() bool { return !n.switching() })
	got := n.Cookbook()
	if got.Version != 4 || got.Refused == nil || got.Refused.Version != 3 || !strings.Contains(got.Refused.Reason, "another rank") {
		t.Errorf("version %d, refused %+v", got.Version, got.Refused)
	}
	link(t, n, 5, 10)
	waitIdle(t, n)
	if got := sums(t, n)["visits"]; got != 15 {
		t.Errorf("%d visits, want 15", got)
	}
}

// A node by itself takes recipes that are others than at its last start. With the same as then it keeps what was applied.
func TestStartWithOtherRecipes(t *testing.T) {
	settings := testSettings(t, t.TempDir())
	start := func(text string) *Node {
		t.Helper()
		n, err := Open(testContext(t), settings, Options{Forget: true, Recipes: []recipe.Source{{Name: "visits.yml", Text: []byte(text)}}}) // later, or note
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	f := func(n *Node, version uint64, later bool) {
		t.Helper()
		if c := n.Cookbook(); c.Version != version || strings.Contains(c.Sources[0].Text, "later") != later || c.Switching != nil {
			t.Errorf("version %d, want %d: %s", c.Version, version, c.Sources[0].Text)
		}
	}
	n := start(testRecipe)
	visit(t, n, "a", 5, "x")
	waitIdle(t, n)
	closeNode(t, n)
	n = start(moreRecipe)
	f(n, 2, true)
	if got := sums(t, n)["visits"]; got != 5 {
		t.Errorf("%d visits, want 5", got)
	}
	if _, err := n.Apply(testContext(t), application(testRecipe)); err == nil {
		t.Error("later is forgotten without a word")
	}
	back := application(testRecipe)
	back.Forget = true
	if _, err := n.Apply(testContext(t), back); err != nil {
		t.Fatal(err)
	}
	until(t, "version 3", func() bool { return !n.switching() })
	closeNode(t, n)
	n = start(moreRecipe)
	f(n, 3, false)
	closeNode(t, n)
	n = start(testRecipe)
	f(n, 3, false)
	closeNode(t, n)
	n = start(moreRecipe)
	f(n, 4, true)
	closeNode(t, n)
}

// A node that was stopped while a cookbook was on its way, and is started with other recipes: the first comes into force, then the others. They were noted as
// given, and never offered again.
func TestStartAmidASwitch(t *testing.T) {
	settings := testSettings(t, t.TempDir())
	start := func(text string) *Node {
		t.Helper()
		n, err := Open(testContext(t), settings, Options{Recipes: []recipe.Source{{Name: "visits.yml", Text: []byte(text)}}})
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	n := start(testRecipe)
	visit(t, n, "a", 5, "x")
	waitIdle(t, n)
	n.stop() // nobody takes the switch further
	n.movers.Wait()
	with := func(audience string) string {
		return strings.Replace(testRecipe, "activations:", "  "+audience+": {when: 'visits >= 4'}\nactivations:", 1)
	}
	if _, err := n.Apply(testContext(t), application(with("more"))); err != nil || !n.switching() {
		t.Fatal(err, n.switching())
	}
	closeNode(t, n)
	last := with("last")
	n = start(last)
	if c := n.Cookbook(); c.Version != 3 || c.Sources[0].Text != last || c.Switching != nil {
		t.Errorf("version %d, want 3: %s", c.Version, c.Sources[0].Text)
	}
	if got := sums(t, n)["visits"]; got != 5 {
		t.Errorf("%d visits, want 5", got)
	}
	closeNode(t, n)
}

// What accounts know is not forgotten without a word, nor are accounts, and a dry run says so before.
func TestApplyKeepsAccounts(t *testing.T) {
	n := companyNode(t, testSettings(t, t.TempDir()), companyRecipe)
	defer closeNode(t, n)
	text := string(n.cookbook.Load().Sources[0].Text)
	head, _, _ := strings.Cut(text, "accounts:\n")
	f := func(text string, losses ...string) {
		t.Helper()
		a := httpapi.Application{Sources: []httpapi.Source{{Name: "companies.yml", Text: text}}}
		if applied, err := n.Apply(testContext(t), a); !errors.Is(err, httpapi.ErrForgets) || !slices.Equal(applied.Losses, losses) {
			t.Errorf("%v, %+v, want losses %q", err, applied, losses)
		}
		a.DryRun = true
		if applied, err := n.Apply(testContext(t), a); err != nil || !slices.Equal(applied.Losses, losses) {
			t.Errorf("a dry run: %v, %+v, want losses %q", err, applied, losses)
		}
	}
	f(strings.Replace(text, "    plan: {kind: last, on: group, value: traits.plan}\n", "", 1), "account attribute plan")
	f(head, "all accounts", "account attribute plan")
	if got := n.Cookbook().Version; got != 1 {
		t.Errorf("version %d", got)
	}
}

// A node by itself that is started with recipes that forget something does not start, unless it is told to forget; nothing has changed then.
func TestStartForgets(t *testing.T) {
	settings := testSettings(t, t.TempDir())
	open := func(text string, forget bool) (*Node, error) {
		return Open(testContext(t), settings, Options{Forget: forget, Recipes: []recipe.Source{{Name: "visits.yml", Text: []byte(text)}}})
	}
	start := func(text string, forget bool, version uint64, visits int) *Node {
		t.Helper()
		n, err := open(text, forget)
		if err != nil {
			t.Fatal(err)
		}
		if got := sums(t, n)["visits"]; got != visits || n.Cookbook().Version != version {
			t.Errorf("version %d, want %d; %d visits, want %d", n.Cookbook().Version, version, got, visits)
		}
		return n
	}
	n := start(testRecipe, false, 1, 0)
	visit(t, n, "a", 5, "x")
	waitIdle(t, n)
	closeNode(t, n)
	other := strings.Replace(testRecipe, "on: Visit", "on: Order", 1)
	for range 2 {
		n, err := open(other, false)
		if err == nil {
			closeNode(t, n)
			t.Fatal("it starts")
		}
		for _, want := range []string{"attribute visits", "--forget", "recipes of before"} {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%q says nothing of %q", err, want)
			}
		}
	}
	closeNode(t, start(testRecipe, false, 1, 5))
	closeNode(t, start(other, true, 2, 0))
	closeNode(t, start(other, false, 2, 0))
}

// Shards are asked in a start, too.
func TestStartIsRefused(t *testing.T) {
	settings := testSettings(t, t.TempDir())
	open := func(namespaces ...string) (*Node, error) {
		return Open(testContext(t), settings, Options{Recipes: []recipe.Source{{Name: "visits.yml", Text: []byte(linkedRecipe(namespaces...))}}})
	}
	n, err := open("user_id", "email")
	if err != nil {
		t.Fatal(err)
	}
	link(t, n, 0, 5)
	waitIdle(t, n)
	closeNode(t, n)
	if n, err = open("email", "user_id"); err == nil {
		closeNode(t, n)
	}
	if err == nil || !strings.Contains(err.Error(), "another rank") {
		t.Errorf("%v", err)
	}
}
