package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"testing"

	"dashi/pipeline/audience"
	"dashi/pipeline/recipe"

	"github.com/spf13/cobra"
)

// Whoever copies an example from --help into a terminal while the demo runs gets an answer.
func TestExamplesAreOfTheDemo(t *testing.T) {
	sources, err := builtInRecipes()
	if err != nil {
		t.Fatal(err)
	}
	program, found := recipe.Compile(sources)
	if program == nil {
		t.Fatal(found)
	}
	queries := regexp.MustCompile(`(?m)dashi query '(.*?)'`).FindAllStringSubmatch(queryCommand().Example, -1)
	for _, q := range queries {
		if _, err := program.Condition(q[1]); err != nil {
			t.Errorf("%s: %v", q[1], err)
		}
	}
	audiences := regexp.MustCompile(`(?m)dashi (?:explain user_id:u0|members) (\w+)`).FindAllStringSubmatch(explainCommand().Example+"\n"+membersCommand().Example, -1)
	for _, a := range audiences {
		if !slices.ContainsFunc(program.Audiences, func(d audience.Definition) bool { return d.Name == a[1] }) {
			t.Errorf("%s: there is no such audience", strings.TrimSpace(a[0]))
		}
	}
	var known func(c *cobra.Command)
	known = func(c *cobra.Command) {
		for _, who := range regexp.MustCompile(`user_id:u\d+`).FindAllString(c.Long+c.Example, -1) {
			if who != "user_id:u0" {
				t.Errorf("%s --help names %s, who may not have come yet: u0 comes at once", c.CommandPath(), who)
			}
		}
		for _, sub := range c.Commands() {
			known(sub)
		}
	}
	known(root())
	tails := regexp.MustCompile(`(?m)dashi tail --audience (\w+)`).FindAllStringSubmatch(tailCommand().Example, -1)
	for _, a := range tails {
		if !slices.ContainsFunc(program.Audiences, func(d audience.Definition) bool { return d.Name == a[1] }) &&
			!slices.ContainsFunc(program.Activations, func(d recipe.Activation) bool { return d.Name == a[1] }) {
			t.Errorf("%s: there is neither an audience nor an activation of that name", a[0])
		}
	}
	if len(queries) < 2 || len(audiences) < 3 || len(tails) < 2 {
		t.Errorf("%d queries, %d audiences, %d tails", len(queries), len(audiences), len(tails))
	}
}

// An identifier is whatever somebody sent: it must not drive the terminal.
func TestPlain(t *testing.T) {
	f := func(in, want string) {
		t.Helper()
		if got := plain(in); got != want {
			t.Errorf("plain(%q) = %s, want %s", in, got, want)
		}
	}
	f("user_id:ada@example.com", "user_id:ada@example.com")
	f("user_id:éè 東京", "user_id:éè 東京")
	f("user_id:\x1b[2J", `"user_id:\x1b[2J"`)
	f("a\nb", `"a\nb"`)
}

// A limit of nobody is a slip, not a wish for everybody.
func TestMembersLimit(t *testing.T) {
	for _, limit := range []string{"0", "-3"} {
		c := membersCommand()
		c.SetArgs([]string{"vip", "--limit", limit, "--addr", "http://127.0.0.1:1"})
		c.SilenceErrors, c.SilenceUsage, c.GroupID = true, true, ""
		if err := c.Execute(); err == nil || err.Error() != "--limit is "+limit+": give a number from 1, or leave it out to list all members" {
			t.Errorf("--limit %s: %v", limit, err)
		}
	}
}

// What compares people is not said to stand still.
func TestPrintThresholds(t *testing.T) {
	const still, hour, unknown = "with no event this does not change", "next at 2026-03-01T13:00:00Z", "a threshold is not known yet"
	f := func(answer string, want, not []string) {
		t.Helper()
		var x explanation
		if err := json.Unmarshal([]byte(answer), &x); err != nil {
			t.Fatal(err)
		}
		var out strings.Builder
		printExplanation(&out, &x)
		for _, w := range want {
			if !strings.Contains(out.String(), w) {
				t.Errorf("%s is not in:\n%s", w, out.String())
			}
		}
		for _, n := range not {
			if strings.Contains(out.String(), n) {
				t.Errorf("%s is in:\n%s", n, out.String())
			}
		}
	}
	f(`{"profile":"user_id:a","audience":"vip"}`, []string{still}, []string{"thresholds", unknown})
	f(`{"thresholds":{"next":"2026-03-01T13:00:00Z","known":true}}`, []string{hour}, []string{still, unknown})
	f(`{"thresholds":{"next":"2026-03-01T13:00:00Z","known":false}}`, []string{hour, unknown}, []string{still})
	f(`{"next_change":"2026-03-01T12:30:00Z","thresholds":{"next":"2026-03-01T13:00:00Z","known":true}}`, []string{"at 2026-03-01T12:30:00Z", hour}, []string{still})
}

// A stream of members that was broken off is an error, in both forms, after what there was of it.
func TestBrokenMembers(t *testing.T) {
	const stream = `{"id":"user_id:a","since":"2026-01-01T00:00:00Z"}` + "\n" + `{"cursor":"x"}` + "\n"
	for _, format := range []string{"text", "json"} {
		for _, c := range []struct{ end, want string }{
			{"", ""},
			{`{"error":{"code":"unavailable","message":"nobody has shard 3"},"cursor":"y"}` + "\n", `these are not all members of "vip": nobody has shard 3 (go on with --cursor y)`},
			{`{"id":`, `cannot read the members of "vip"`},
		} {
			var out, more strings.Builder
			err := printMembers(&client{out: &out, format: format}, &more, "vip", strings.NewReader(stream+c.end))
			if !strings.Contains(out.String(), "user_id:a") {
				t.Errorf("%s: %q is printed", format, out.String())
			}
			if want := map[string]string{"text": "there may be more: --cursor x\n"}[format]; more.String() != want {
				t.Errorf("%s: beside the list: %q", format, more.String())
			}
			if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
				t.Errorf("%s: %v, want %s", format, err, c.want)
			}
		}
	}
}

// When a cookbook drops what dashi tail is to show, it ends and says so.
func TestTailOfWhatIsDropped(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, "retry: 1000\n\nid: 1\ndata: {\"activation\":\"vip\",\"profile\":\"user_id:u1\"}\n\nevent: gone\ndata: {\"error\":{\"code\":\"unknown_audience\",\"message\":\"nothing leaves\"}}\n\n")
	}))
	defer s.Close()
	for _, format := range []string{"text", "json"} {
		c := tailCommand()
		var out bytes.Buffer
		c.SetOut(&out)
		c.SetErr(io.Discard)
		c.SetArgs([]string{"--addr", s.URL, "--audience", "vip", "-o", format})
		if err := c.Execute(); err == nil || err.Error() != "nothing leaves" || !strings.Contains(out.String(), "user_id:u1") || strings.Contains(out.String(), "unknown_audience") {
			t.Errorf("%s: %v, printed %q", format, err, out.String())
		}
	}
}

// What an API can list in parts the command can too.
func TestMembersInParts(t *testing.T) {
	asked := ""
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = r.URL.Path + " " + r.URL.Query().Encode()
		fmt.Fprint(w, "{\"id\":\"user_id:a\",\"since\":\"2026-01-01T00:00:00Z\"}\n{\"cursor\":\"3-7\"}\n")
	}))
	defer s.Close()
	var out, more bytes.Buffer
	c := membersCommand()
	c.SetOut(&out)
	c.SetErr(&more)
	c.SetArgs([]string{"vip", "--limit", "1", "--cursor", "2-5", "--addr", s.URL})
	if err := c.Execute(); err != nil {
		t.Fatal(err)
	}
	if want := "/v1/audiences/vip/members cursor=2-5&limit=1"; asked != want {
		t.Errorf("asked %q, want %q", asked, want)
	}
	if strings.Count(out.String(), "\n") != 1 || more.String() != "there may be more: --cursor 3-7\n" {
		t.Errorf("printed %q and %q", out.String(), more.String())
	}
}

// A cookbook whose recipes name no activation is not answered with a table of nothing.
func TestNoActivations(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, `{"activations":[]}`) }))
	defer s.Close()
	for _, args := range [][]string{{"activations"}, {"activations", "--stats"}} {
		if out, _ := mustDashi(t, append(args, "--addr", s.URL)...); !strings.HasPrefix(out, "no recipe names an activation;") || strings.Contains(out, "SENT") {
			t.Errorf("%v: %s", args, out)
		}
	}
	if out, _ := mustDashi(t, "activations", "--addr", s.URL, "-o", "json"); strings.TrimSpace(out) != `{"activations":[]}` {
		t.Error(out)
	}
}
