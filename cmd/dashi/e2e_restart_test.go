package main_test

import (
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

const recipeBefore = `
recipe: club
attributes:
  visits: {kind: count, on: page}
  spent: {kind: sum, on: Order Completed, value: properties.total}
audiences:
  regulars: {when: visits >= 3}
`

// The condition of an audience is another, an attribute is new, and the rest is what it was.
const recipeAfter = `
recipe: club
attributes:
  visits: {kind: count, on: page}
  spent: {kind: sum, on: Order Completed, value: properties.total}
  largest: {kind: max, on: Order Completed, value: properties.total}
audiences:
  regulars: {when: visits >= 2}
  spenders: {when: spent > 100}
`

// everyone is all there is to say about the people of a node: profiles as JSON, and the counts of events.
func (n *node) everyone(people ...string) string {
	n.t.Helper()
	st := n.idle()
	all := fmt.Sprintf("%d profiles, %d applied, %d repeated, %d activations, shards %v\n",
		st.Profiles, st.Events.Applied, st.Events.Repeated, st.Activations.Made, st.hashes())
	for _, p := range people {
		all += n.ask(200, "GET", "/v1/profiles/user_id:"+p, "")
	}
	return all
}

// A node that was stopped, or killed, goes on where it was: nothing is lost, nothing applied again. A recipe that was changed
// meanwhile takes effect, and attributes that are defined as before keep what they have.
func TestRestart(t *testing.T) {
	recipe := filepath.Join(t.TempDir(), "club.yml")
	check(t, os.WriteFile(recipe, []byte(recipeBefore), 0o600))
	n := newNode(t, "--demo", "0", "--recipes", recipe)
	n.start()
	for i := range 60 {
		user := fmt.Sprintf("m%d", i%20)
		n.ask(200, "POST", "/v1/page", fmt.Sprintf(`{"userId":%q,"name":"Home"}`, user))
		n.track(purchase(user, float64(i)))
	}
	n.ask(200, "POST", "/v1/page", `{"userId":"twice"}`)
	n.ask(200, "POST", "/v1/page", `{"userId":"twice"}`)
	signal.Notify(make(chan os.Signal, 1), syscall.SIGHUP) // or the node would ignore it too, when these tests run under nohup
	people := []string{"m0", "m7", "m19", "twice"}
	before := n.everyone(people...)
	has(t, "the first run", before, "21 profiles, 122 applied, 0 repeated", `"visits":3`, `"regulars":{`)

	for _, stop := range []string{"SIGINT", "SIGKILL", "SIGHUP", "SIGINT"} {
		if stop == "SIGKILL" {
			n.kill()
		} else if code := n.end(map[string]os.Signal{"SIGINT": os.Interrupt, "SIGHUP": syscall.SIGHUP}[stop]); code != 0 || n.stderr.String() != "" {
			t.Errorf("%s: code %d, stderr %q", stop, code, n.stderr.String())
		}
		n.start()
		if after := n.everyone(people...); after != before {
			t.Errorf("after %s:\n%s\nbefore:\n%s", stop, after, before)
		}
	}

	if code := n.interrupt(); code != 0 {
		t.Errorf("code %d", code)
	}
	check(t, os.WriteFile(recipe, []byte(recipeAfter), 0o600))
	n.start()
	if st := n.idle(); st.Events.Applied != 122 || st.Profiles != 21 {
		t.Errorf("with another cookbook: %d applied, %d profiles; want 122, 21", st.Events.Applied, st.Profiles)
	}
	has(t, "twice", n.must("get", "user_id:twice"), "regulars", "visits  2")
	has(t, "m19", n.must("get", "user_id:m19"), "spenders", "spent   117", "visits  3") // 19 + 39 + 59
	if text := n.must("get", "user_id:m19"); strings.Contains(text, "largest") {
		t.Errorf("a new attribute has a value without an event:\n%s", text)
	}
	n.track(purchase("m19", 1))
	n.idle()
	has(t, "m19", n.must("get", "user_id:m19"), "largest  1\n", "spent    118")
	if got := n.must("members", "regulars"); strings.Count(got, "\n") != 21 {
		t.Errorf("%d members of regulars, want 21", strings.Count(got, "\n"))
	}

	// A recipe with an error keeps the node from starting, and says where it is.
	n.interrupt()
	check(t, os.WriteFile(recipe, []byte(strings.Replace(recipeAfter, "spent > 100", "spnt > 100", 1)), 0o600))
	n.launch()
	if code := n.code(startWait); code != 1 {
		t.Errorf("with a broken recipe: code %d", code)
	}
	has(t, "the broken recipe", n.stderr.String(), "club.yml:9:", "unknown name `spnt`; did you mean `spent`?")
	check(t, os.WriteFile(recipe, []byte(recipeAfter), 0o600))
	n.start()
	has(t, "m19", n.must("get", "user_id:m19"), "spent    118")

	// One that forgets something does too, until it is told that this is meant.
	n.interrupt()
	check(t, os.WriteFile(recipe, []byte(strings.Replace(recipeAfter, "kind: sum, on: Order Completed", "kind: sum, on: Order Paid", 1)), 0o600))
	n.launch()
	if code := n.code(startWait); code != 1 {
		t.Errorf("with a recipe that forgets: code %d", code)
	}
	has(t, "the recipe that forgets", n.stderr.String(), "attribute spent", "--forget")
	n.flags = append(n.flags, "--forget")
	n.start()
	n.idle()
	if text := n.must("get", "user_id:m19"); strings.Contains(text, "spent") || !strings.Contains(text, "largest  1\n") {
		t.Errorf("spent is known, or largest is not:\n%s", text)
	}
}

// Two nodes on one directory or one address: the second says what is wrong and leaves the first alone.
func TestStartTwice(t *testing.T) {
	n := newNode(t, "--demo", "0")
	n.start()
	n.track(purchase("ada", 1))
	f := func(change func(*node), stderr ...string) {
		t.Helper()
		second := newNode(t, "--demo", "0")
		change(second)
		second.launch()
		if code := second.code(startWait); code != 1 || !strings.HasPrefix(second.stderr.String(), "dashi: ") {
			t.Errorf("the second node: code %d, stderr %q", code, second.stderr.String())
		}
		has(t, "the second node", second.stderr.String(), stderr...)
		if lines := strings.Count(second.stderr.String(), "\n"); lines != 1 {
			t.Errorf("the error has %d lines: %s", lines, second.stderr.String())
		}
	}
	f(func(s *node) { s.data = n.data }, n.data, "in use by another process", "--data")
	f(func(s *node) { s.http = n.http }, n.http, "address already in use", "--http")
	f(func(s *node) { s.resp = n.resp }, n.resp, "address already in use", "--resp")
	f(func(s *node) { s.kafka = n.kafka }, n.kafka, "address already in use", "--kafka")
	f(func(s *node) { s.http = "nonsense" }, "nonsense", "host:port")
	f(func(s *node) { s.data = "/proc/none" }, "/proc/none")
	if st := n.idle(); st.Events.Applied != 1 || !st.Ready || len(st.Trouble) > 0 {
		t.Errorf("the first node: %+v", *st)
	}
	n.interrupt()
	n.flags = append(n.flags, "--shards", "4")
	n.launch()
	if code := n.code(startWait); code != 1 {
		t.Errorf("other shards: code %d", code)
	}
	has(t, "other shards", n.stderr.String(), "16 shards", "with 4")
}

// dashi serve reads a Kafka that is not its own: here the one inside another dashi, with a cluster name beside it.
func TestServe(t *testing.T) {
	dev := newNode(t, "--demo", "0")
	dev.start()
	for i := range 30 {
		dev.track(purchase(fmt.Sprintf("s%d", i%10), 10*float64(i)))
	}
	served := newNode(t)
	config := filepath.Join(t.TempDir(), "dashi.yml")
	check(t, os.WriteFile(config, fmt.Appendf(nil, `
cluster: second
data: %s
shards: 4
recipes: [../../deploy/recipes]
http: {listen: %q}
resp: {listen: %q}
kafka:
  brokers: [%q]
  activations: second.activations
  dead: second.dead
`, served.data, served.http, served.resp, dev.kafka), 0o600))
	start := func() {
		t.Helper()
		served.process = launch(t, served.env, "serve", "--config", config, "--log", "warn")
		served.ready()
	}
	start()
	served.kafka = dev.kafka
	compare := func(applied uint64) {
		t.Helper()
		a, b := dev.idle(), served.idle()
		if a.Events.Applied != applied || b.Events.Applied != applied || b.Cluster != "second" || len(b.Shards) != 4 || len(b.Trouble) > 0 {
			t.Errorf("%d events applied by the first, %d by the second, want %d: %+v", a.Events.Applied, b.Events.Applied, applied, *b)
		}
		for i := range 10 {
			path := fmt.Sprintf("/v1/profiles/user_id:s%d", i)
			if x, y := dev.ask(200, "GET", path, ""), served.ask(200, "GET", path, ""); x != y {
				t.Errorf("profiles differ:\n%s%s", x, y)
			}
		}
		if x, y := a.Activations.Made, b.Activations.Made; x == 0 || x != y || len(served.drain("second.activations")) != int(x) || len(dev.drain("dashi.activations")) != int(x) {
			t.Errorf("activations: %d made by the first, %d by the second", x, y)
		}
	}
	compare(30)
	served.track(purchase("s1", 1)) // either door leads into the same topic
	compare(31)
	if code := served.interrupt(); code != 0 {
		t.Errorf("code %d: %s", code, served.stderr.String())
	}
	dev.track(purchase("s2", 1))
	start()
	compare(32)

	check(t, os.WriteFile(config, []byte("cluster: x\nkafak: {}\n"), 0o600))
	r := command(t, nil, "serve", "--config", config)
	if r.code != 1 {
		t.Errorf("a misspelt setting: code %d", r.code)
	}
	has(t, "a misspelt setting", r.stderr, "line 2", "kafak")
}
