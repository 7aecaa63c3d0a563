package main_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// purchase makes user somebody who spent so much.
func purchase(user string, total float64) string {
	return fmt.Sprintf(`{"userId":%q,"event":"Order Completed","properties":{"total":%v}}`, user, total)
}

// What a person sees who comes through each front door of the same node.
func TestFrontDoors(t *testing.T) {
	n := newNode(t, "--demo", "0")
	n.start()
	n.track(purchase("ada", 2999))
	n.track(purchase("ada", 299.5))
	n.track(purchase("bob", 20))
	n.idle()
	t.Run("command line", func(t *testing.T) { testCommands(t, n) })
	t.Run("errors", func(t *testing.T) { testErrors(t, n) })
	t.Run("check", testCheck)
	t.Run("record", func(t *testing.T) { testRecord(t, n) })
	t.Run("tail", func(t *testing.T) { testTail(t, n) })
	t.Run("http", func(t *testing.T) { testHTTP(t, n) })
	t.Run("stream", func(t *testing.T) { testStream(t, n) })
	t.Run("redis", func(t *testing.T) { testRedis(t, n) })
	t.Run("metrics", func(t *testing.T) { testMetrics(t, n) })
	t.Run("console", func(t *testing.T) { testConsole(t, n) })
}

// has checks that every one of the pieces is in the text.
func has(t *testing.T, what, text string, pieces ...string) {
	t.Helper()
	for _, p := range pieces {
		if !strings.Contains(text, p) {
			t.Errorf("%s does not say %q:\n%s", what, p, text)
		}
	}
}

func testCommands(t *testing.T, n *node) {
	has(t, "get", n.must("get", "user_id:ada"), "user_id:ada", "lifetime_value", "3298.5", "vip", "since")
	ada := decode[struct {
		ID         string
		Attributes map[string]any
		Audiences  map[string]struct{ Since time.Time }
		Version    int
	}](t, n.must("get", "user_id:ada", "-o", "json"))
	if ada.ID != "user_id:ada" || ada.Version != 2 || ada.Attributes["lifetime_value"] != 3298.5 || ada.Audiences["vip"].Since.IsZero() {
		t.Errorf("get -o json: %+v", *ada)
	}
	if !regexp.MustCompile(`(?m)^vip +1 `).MatchString(n.must("audiences")) {
		t.Errorf("audiences: %s", n.must("audiences"))
	}
	sizes := map[string]int{}
	for _, a := range decode[struct {
		Audiences []struct {
			Name string
			Size int
		}
	}](t, n.must("audiences", "-o", "json")).Audiences {
		sizes[a.Name] = a.Size
	}
	if sizes["vip"] != 1 || sizes["new_purchasers"] != 1 || sizes["repeat_purchasers"] != 1 {
		t.Errorf("audiences -o json: %v", sizes)
	}
	has(t, "members", n.must("members", "vip"), "user_id:ada", "since ")
	if m := decode[struct{ ID string }](t, n.must("members", "vip", "-o", "json")); m.ID != "user_id:ada" {
		t.Errorf("members -o json: %+v", *m)
	}
	has(t, "query", n.must("query", "purchases >= 1 && !vip"), "1 profile\n", "user_id:bob")
	has(t, "query", n.must("query", "purchases >= 1", "--limit", "1"), "2 profiles\n", "shown: 1; --limit shows more")
	q := decode[struct {
		Count  int
		Sample []struct{ ID string }
	}](t, n.must("query", "purchases >= 1", "-o", "json", "--limit", "1"))
	if q.Count != 2 || len(q.Sample) != 1 {
		t.Errorf("query -o json: %+v", *q)
	}
	has(t, "status", n.must("status"), "ready", "profiles     2 ", "3 applied", "dashi.events", "SHARD")
	st := decode[status](t, n.must("status", "--wait-idle", "-o", "json"))
	if !st.Ready || st.Cluster != "dashi" || st.Events.Applied != 3 || st.Profiles != 2 || st.Activations.Waiting != 0 || len(st.Shards) != 16 {
		t.Errorf("status -o json: %+v", *st)
	}
	has(t, "--version", n.must("--version"), "dashi version")
	has(t, "--help", n.must("--help"), "dashi dev", "replay", "status")
}

func testErrors(t *testing.T, n *node) {
	nobody := freeAddr(t)
	f := func(stderr string, args ...string) {
		t.Helper()
		if r := n.cli(args...); r.code != 1 || r.stdout != "" || !strings.HasPrefix(r.stderr, "dashi: ") || !strings.Contains(r.stderr, stderr) {
			t.Errorf("dashi %q: code %d, stdout %q, stderr %q; want 1, nothing, %q", args, r.code, r.stdout, r.stderr, stderr)
		}
	}
	f(`there is no profile "user_id:nobody"`, "get", "user_id:nobody")
	f(`there is no profile "user_id:nobody"`, "get", "user_id:nobody", "-o", "json")
	f(`there is no profile "user_id:null": nobody can have this identifier: it is always blocked`, "get", "user_id:null")
	f(`nobody can have this identifier: it is no value of the form email`, "explain", "email:ada")
	f(`nobody can have this identifier: it is always blocked`, "explain", "user_id:null", "vip")
	f(`the cookbook has no namespace "usr_id"`, "get", "usr_id:ada")
	f(`"ada" is not an identifier`, "get", "ada")
	f(`there is no account "account:acme"`, "get", "account:acme")
	f(`there is no audience "no_such_thing_anywhere" (dashi audiences lists them)`, "members", "no_such_thing_anywhere")
	f("NS:VALUE is missing\nusage: dashi get NS:VALUE", "get")
	f("required flag(s) \"map\" not set\nusage: dashi replay FILE --map MAPPING", "replay", "x.csv")
	f("unknown name `ordrs`; did you mean `orders`?", "query", "ordrs > 3")
	f("the expression ends too early", "query", "orders >")
	f("cannot compare a number with a string", "query", `orders > "3"`)
	f("limit is -1", "query", "vip", "--limit", "-1")
	f("unknown output format", "status", "-o", "yaml")
	f("is one running? name another with --addr or DASHI_ADDR", "get", "user_id:ada", "--addr", nobody)
	f("is one running?", "status", "--addr", "http://"+nobody)
	f("is one running?", "tail", "--addr", nobody)
	f("is one running?", "replay", "x.csv", "--map", "online_retail", "--addr", nobody)
	f(`no mapping "nope" in the cookbook; there are: `, "replay", "x.csv", "--map", "nope")
	f("no such file", "replay", "x.csv", "--map", "online_retail")
	f(`unknown command "frobnicate" for "dashi" (dashi --help lists them;`, "frobnicate")
	f("audiences", "audience") // is near one that there is
	f(`there is no node "n9": dashi status lists the nodes`, "drain", "n9")
	f(`there is no node "n9": dashi status lists the nodes`, "forget", "n9")
	f("cannot open settings", "serve", "--config", filepath.Join(t.TempDir(), "dashi.yml"))
}

func testCheck(t *testing.T) {
	dir := t.TempDir()
	good, wrong := filepath.Join(dir, "good.yml"), filepath.Join(dir, "wrong.yml")
	const head = "recipe: r\nattributes:\n  views: {kind: count, on: page}\naudiences:\n  fans: {when: "
	check(t, os.WriteFile(good, []byte(head+"views > 3}\n"), 0o600))
	check(t, os.WriteFile(wrong, []byte(head+"viws > 3}\n"), 0o600))
	if r := command(t, nil, "check", good); r.code != 0 || r.stderr != "" || !strings.HasPrefix(r.stdout, "ok: 1 recipe, 1 attribute, 1 audience, ") {
		t.Errorf("check of a good recipe: %+v", r)
	}
	r := command(t, nil, "check", wrong)
	if r.code != 1 || r.stdout != "" {
		t.Errorf("check of a wrong recipe: %+v", r)
	}
	has(t, "check", r.stderr, "wrong.yml:5:16: error", "unknown name `viws`; did you mean `views`?", "^")
	type answer struct {
		OK          bool
		Diagnostics []struct {
			File, Severity, Message, Hint string
			Line, Column                  int
		}
	}
	r = command(t, nil, "check", wrong, "-o", "json")
	if a := decode[answer](t, r.stdout); r.code != 1 || r.stderr != "" || a.OK || len(a.Diagnostics) != 1 || a.Diagnostics[0].Line != 5 || a.Diagnostics[0].Severity != "error" {
		t.Errorf("check -o json of a wrong recipe: %+v", r)
	}
	has(t, "check -o json", r.stdout, `"file":`, `"line":5`, `"column":16`, `"severity":"error"`, `"message":`)
	r = command(t, nil, "check", good, "-o", "json")
	if a := decode[answer](t, r.stdout); r.code != 0 || !a.OK || a.Diagnostics == nil || len(a.Diagnostics) > 0 {
		t.Errorf("check -o json of a good recipe: %+v", r)
	}
	if r := command(t, nil, "check", filepath.Join(dir, "none.yml")); r.code != 1 || !strings.Contains(r.stderr, "no such file") {
		t.Errorf("check of a file that is not there: %+v", r)
	}
}

// What is recorded of a live profile is a test that holds, and runs.
func testRecord(t *testing.T, n *node) {
	r := n.cli("test", "--record", "user_id:ada")
	if r.code != 0 || r.stderr != "recorded 2 events; the test holds\n" {
		t.Fatalf("%+v", r)
	}
	path := filepath.Join(t.TempDir(), "shop.test.yml")
	if err := os.WriteFile(path, []byte(r.stdout), 0o644); err != nil {
		t.Fatal(err)
	}
	has(t, "test", n.must("test", "../../deploy/recipes", path, "--run", "recorded"), "ok: 1 passed, 0 failed")
	if r := n.cli("test", "--record", "user_id:nobody"); r.code == 0 || !strings.Contains(r.stderr, "no profile") {
		t.Errorf("%+v", r)
	}
}

// tail prints what leaves from its start on, so people enter the audience until it has printed one.
func testTail(t *testing.T, n *node) {
	if r := n.cli("tail", "--audience", "vpi"); r.code == 0 || !strings.Contains(r.stderr, `nothing leaves under the name "vpi"`) {
		t.Errorf("%+v", r)
	}
	text := launch(t, n.env, "tail", "--audience", "new_purchasers")
	lines := launch(t, n.env, "tail", "-o", "json")
	i := 0
	eventually(t, wait, "activations in tail", func() error {
		n.track(purchase(fmt.Sprint("tailed", i), 5000))
		if i++; !strings.Contains(text.stdout.String(), "\n") || !strings.Contains(lines.stdout.String(), "\n") {
			return fmt.Errorf("%q, %q", text.stdout.String(), lines.stdout.String())
		}
		return nil
	})
	for _, p := range []*process{text, lines} {
		if code := p.interrupt(); code != 0 || p.stderr.String() != "" {
			t.Errorf("tail ended with code %d: %s", code, p.stderr.String())
		}
	}
	line := regexp.MustCompile(`^\d\d:\d\d:\d\d\.\d{3}  enter  new_purchasers +user_id:tailed\d+$`)
	for got := range strings.Lines(text.stdout.String()) {
		if !line.MatchString(strings.TrimSuffix(got, "\n")) {
			t.Errorf("tail: %q", got)
		}
	}
	for got := range strings.Lines(lines.stdout.String()) {
		if a := decode[struct{ ID, Profile, Transition string }](t, got); a.ID == "" || a.Profile == "" || a.Transition == "" {
			t.Errorf("tail -o json: %q", got)
		}
	}
}

func testHTTP(t *testing.T, n *node) {
	n.ask(404, "GET", "/v1/profiles/user_id:carl", "")
	n.track(purchase("carl", 7))
	eventually(t, wait, "profile after track", func() error {
		status, body, err := n.try("GET", "/v1/profiles/user_id:carl", "")
		if err == nil && status != 200 {
			err = fmt.Errorf("%d %s", status, body)
		}
		return err
	})
	p := decode[struct {
		Identifiers []struct{ Namespace, Value string }
		Attributes  map[string]any
	}](t, n.ask(200, "GET", "/v1/profiles/user_id:carl", ""))
	if len(p.Identifiers) != 1 || p.Identifiers[0].Value != "carl" || p.Attributes["lifetime_value"] != 7.0 {
		t.Errorf("profile: %+v", *p)
	}
	got := n.ask(200, "POST", "/v1/profiles:batchGet", `{"ids":["user_id:bob","user_id:nobody","user_id:ada"]}`)
	if b := decode[struct{ Profiles []*struct{ ID string } }](t, got).Profiles; len(b) != 3 || b[0].ID != "user_id:bob" || b[1] != nil || b[2].ID != "user_id:ada" {
		t.Errorf("batchGet: %s", got)
	}
	has(t, "readyz", n.ask(200, "GET", "/readyz", ""), `"ready":true`)
	has(t, "healthz", n.ask(200, "GET", "/healthz", ""), `"ok":true`)
	has(t, "cookbook", n.ask(200, "GET", "/v1/cookbook", ""), "online_retail.yml", "00-base.yml")
	for path, code := range map[string]string{"/v1/nope": "not_found", "/v1/profiles/nope": "bad_identifier", "/v1/audiences/nope/members": "unknown_audience"} {
		status, body, err := n.try("GET", path, "")
		if e := decode[struct {
			Error struct{ Code, Message string }
		}](t, body); err != nil || status/100 != 4 || e.Error.Code != code || e.Error.Message == "" {
			t.Errorf("GET %s: %d %s %v", path, status, body, err)
		}
	}
}

func testStream(t *testing.T, n *node) {
	ctx, cancel := context.WithTimeout(context.Background(), wait)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, "GET", "http://"+n.http+"/v1/activations/stream?audience=vip", nil)
	check(t, err)
	resp, err := http.DefaultClient.Do(req)
	check(t, err)
	defer resp.Body.Close()
	if kind := resp.Header.Get("Content-Type"); resp.StatusCode != 200 || kind != "text/event-stream" {
		t.Fatalf("stream: %s, %s", resp.Status, kind)
	}
	lines := bufio.NewScanner(resp.Body)
	lines.Scan() // "retry: 1000" says that we are subscribed
	n.track(purchase("dora", 1500))
	n.track(purchase("dora", 1500))
	var id, data string
	for data == "" && lines.Scan() {
		if v, ok := strings.CutPrefix(lines.Text(), "id: "); ok {
			id = v
		}
		data, _ = strings.CutPrefix(lines.Text(), "data: ")
		if !strings.HasPrefix(lines.Text(), "data: ") {
			data = ""
		}
	}
	a := decode[struct {
		ID, Profile, Audience, Transition string
		Sequence                          int
		EventTime                         time.Time `json:"event_time"`
		At                                time.Time
	}](t, data)
	if a.ID != id || id == "" || a.Profile != "user_id:dora" || a.Audience != "vip" || a.Transition != "enter" || a.Sequence < 1 || a.EventTime.IsZero() || a.At.IsZero() {
		t.Errorf("stream: id %q, %+v", id, *a)
	}
}

func testRedis(t *testing.T, n *node) {
	ctx, cancel := context.WithTimeout(context.Background(), wait)
	defer cancel()
	for _, protocol := range []int{2, 3} {
		r := redis.NewClient(&redis.Options{Addr: n.resp, Protocol: protocol})
		defer r.Close()
		all, err := r.HGetAll(ctx, "user_id:ada").Result()
		if err != nil || all["lifetime_value"] != "3298.5" || all["orders"] != "2" {
			t.Errorf("HGETALL: %v %v", all, err)
		}
		if v, err := r.HGet(ctx, "user_id:ada", "orders").Int(); err != nil || v != 2 {
			t.Errorf("HGET: %v %v", v, err)
		}
		if v, err := r.HGet(ctx, "user_id:ada", "nope").Result(); err != redis.Nil {
			t.Errorf("HGET of no attribute: %v %v", v, err)
		}
		if v, err := r.HMGet(ctx, "user_id:ada", "orders", "nope").Result(); err != nil || fmt.Sprint(v) != "[2 <nil>]" {
			t.Errorf("HMGET: %v %v", v, err)
		}
		if v, err := r.Exists(ctx, "user_id:ada", "user_id:nobody").Result(); err != nil || v != 1 {
			t.Errorf("EXISTS: %v %v", v, err)
		}
		in, err := r.SMembers(ctx, "audiences:user_id:ada").Result()
		if slices.Sort(in); err != nil || !slices.Equal(in, []string{"high_value", "repeat_purchasers", "silent_customers", "vip"}) {
			t.Errorf("SMEMBERS: %v %v", in, err)
		}
		if v, err := r.SIsMember(ctx, "audience:vip", "user_id:ada").Result(); err != nil || !v {
			t.Errorf("SISMEMBER: %v %v", v, err)
		}
		if v, err := r.SMIsMember(ctx, "audience:vip", "user_id:bob", "user_id:ada").Result(); err != nil || !slices.Equal(v, []bool{false, true}) {
			t.Errorf("SMISMEMBER: %v %v", v, err)
		}
		if v, err := r.SCard(ctx, "audience:repeat_purchasers").Result(); err != nil || v < 1 {
			t.Errorf("SCARD: %v %v", v, err)
		}
		user := fmt.Sprint("erin", protocol)
		sub := r.Subscribe(ctx, "activations.new_purchasers")
		defer sub.Close()
		if _, err := sub.Receive(ctx); err != nil { // the confirmation
			t.Fatalf("SUBSCRIBE: %v", err)
		}
		n.track(purchase(user, 3))
		m, err := sub.ReceiveMessage(ctx)
		if err != nil {
			t.Fatalf("SUBSCRIBE: %v", err)
		}
		if a := decode[struct{ Profile, Transition string }](t, m.Payload); a.Profile != "user_id:"+user || a.Transition != "enter" {
			t.Errorf("message: %s", m.Payload)
		}
	}
}

var metricLine = regexp.MustCompile(`^([a-zA-Z_:][a-zA-Z0-9_:]*)(\{([a-zA-Z_]\w*="(\\.|[^"\\])*",?)*\})? (NaN|[+-]Inf|[-+0-9.e]+)$`)

func testMetrics(t *testing.T, n *node) {
	typed, seen := map[string]string{}, map[string]bool{}
	for line := range strings.Lines(n.ask(200, "GET", "/metrics", "")) {
		line = strings.TrimSuffix(line, "\n")
		if words := strings.Fields(line); strings.HasPrefix(line, "# TYPE ") && len(words) == 4 {
			typed[words[2]] = words[3]
			continue
		} else if strings.HasPrefix(line, "# HELP ") && len(words) > 3 {
			continue
		}
		m := metricLine.FindStringSubmatch(line)
		if m == nil {
			t.Errorf("metric line %q", line)
			continue
		}
		name := m[1]
		for _, suffix := range []string{"_bucket", "_sum", "_count"} {
			if base, ok := strings.CutSuffix(name, suffix); ok && typed[base] != "" {
				name = base
			}
		}
		if typed[name] == "" {
			t.Errorf("metric %q has no TYPE before it", name)
		}
		if key := strings.TrimSuffix(line, m[5]); seen[key] {
			t.Errorf("metric %q is there twice", key)
		} else {
			seen[key] = true
		}
	}
	for name, kind := range map[string]string{
		"dashi_events_applied_total": "counter", "dashi_events_consumed_total": "counter", "dashi_events_repeated_total": "counter",
		"dashi_profiles": "gauge", "dashi_profile_bytes": "gauge", "dashi_audience_size": "gauge",
		"dashi_activations_published_total": "counter", "dashi_outbox_entries": "gauge", "dashi_event_latency_seconds": "histogram",
		"dashi_stream_applied_offset": "gauge", "go_goroutines": "gauge", "process_resident_memory_bytes": "gauge",
	} {
		if typed[name] != kind {
			t.Errorf("metric %s is a %q, want a %s", name, typed[name], kind)
		}
	}
}

func testConsole(t *testing.T, n *node) {
	page := n.ask(200, "GET", "/", "")
	has(t, "console", page, "<!doctype html>", "dashi", "<script")
	parts := regexp.MustCompile(`(?:src|href)="(console/[^"]+)"`).FindAllStringSubmatch(page, -1)
	if len(parts) == 0 {
		t.Error("the console has no parts")
	}
	for _, part := range parts {
		n.ask(200, "GET", "/"+part[1], "")
	}
	var samples []struct{ Profiles int }
	eventually(t, wait, "a sample for the console's plots", func() error {
		if check(t, json.Unmarshal([]byte(n.ask(200, "GET", "/console/history", "")), &samples)); len(samples) == 0 {
			return fmt.Errorf("no sample yet")
		}
		return nil
	})
}
