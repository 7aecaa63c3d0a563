package main

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"dashi/pipeline/event"
	"dashi/pipeline/identity/simulate"
	"dashi/pipeline/recipe"
	"dashi/shard"
)

// dashi runs a command in this process and returns what it printed.
func dashi(t *testing.T, args ...string) (out, errors string, err error) {
	t.Helper()
	c := root()
	var o, e bytes.Buffer
	c.SetOut(&o)
	c.SetErr(&e)
	c.SetArgs(args)
	err = c.ExecuteContext(t.Context())
	return o.String(), e.String(), err
}

func mustDashi(t *testing.T, args ...string) (out, errors string) {
	t.Helper()
	out, errors, err := dashi(t, args...)
	if err != nil {
		t.Fatalf("%v: %v\n%s", args, err, errors)
	}
	return out, errors
}

// crmFile is a customer file in which c1 and c2 are one person, and c3 and c4.
func crmFile(t *testing.T) string {
	t.Helper()
	var b strings.Builder
	b.WriteString("customer_id;first_name;last_name;dob;city;email;segment\n")
	b.WriteString("c1;Robert;Allen;1971-06-24;London;robert.allen@post.example;7\n")
	b.WriteString("c2;Rob;Allen;1971-06-24;Lonon;;7\n")
	b.WriteString("c3;Marsha;Kelly;1988-11-02;Leeds;;8\n")
	b.WriteString("c4;M.;Kelly;1988-11-02;Leeds;KELLY@mail.example ;8\n")
	given := strings.Fields("Grace Logan Evie Ryan Ivy Hugo Darcy Emma Leo Oscar Willow Dylan")
	family := strings.Fields("Murphy Dean Cole Kaur Barnes Lloyd Wright Moore Jones Macdonald")
	random := rand.New(rand.NewPCG(1, 2))
	for i := range 60 {
		fmt.Fprintf(&b, "x%d;%s;%s;%d-%02d-%02d;Town%d;;9\n", i, given[random.IntN(len(given))], family[random.IntN(len(family))],
			1950+random.IntN(50), 1+random.IntN(12), 1+random.IntN(28), random.IntN(9))
	}
	path := filepath.Join(t.TempDir(), "crm.csv")
	if err := os.WriteFile(path, []byte(b.String()), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestIdentityMatch(t *testing.T) {
	file := crmFile(t)
	out, _ := mustDashi(t, "identity", "match", file, "-o", "json")
	var report matchReport
	if err := json.Unmarshal([]byte(out), &report); err != nil {
		t.Fatal(err)
	}
	var pairs []string
	for _, p := range report.Pairs {
		pairs = append(pairs, p.A+"="+p.B)
	}
	slices.Sort(pairs)
	if got := strings.Join(pairs, " "); got != "c1=c2 c3=c4" || report.Records != 64 || report.People != 62 || !slices.Equal(report.Ignored, []string{"segment"}) {
		t.Errorf("pairs %s in %s", got, out)
	}
	people := filepath.Join(t.TempDir(), "people.csv")
	text, _ := mustDashi(t, "identity", "match", file, "--people", people)
	for _, want := range []string{"64 records, 62 people", "ignored: segment", "given_name", "marsha"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not in\n%s", want, text)
		}
	}
	if b, err := os.ReadFile(people); err != nil || !strings.HasPrefix(string(b), "record,person\nc1,c1\nc2,c1\nc3,c3\nc4,c3\nx0,x0\n") {
		t.Errorf("people: %v\n%s", err, b)
	}
}

// The links that are written are events of the default cookbook: every record of a person has the same match_id.
func TestIdentityMatchLinks(t *testing.T) {
	file, dir := crmFile(t), t.TempDir()
	links := filepath.Join(dir, "links.jsonl")
	_, said := mustDashi(t, "identity", "match", file, "--identifier", "user_id=customer_id", "--write", links)
	if !strings.Contains(said, "4 link events for 2 people") {
		t.Errorf("said %s", said)
	}
	found := linkedIdentifiers(t, links)
	if len(found) != 4 || found[0][1] != found[1][1] || found[2][1] != found[3][1] || found[0][1] == found[2][1] {
		t.Errorf("links %v", found)
	}
	for i, want := range []string{"user_id:c1 email:robert.allen@post.example", "user_id:c2", "user_id:c3", "user_id:c4 email:kelly@mail.example"} {
		if found[i][0] != want {
			t.Errorf("record %d has %s, want %s", i, found[i][0], want)
		}
	}
	// A person reviews the pairs: one is not accepted.
	reviewed := filepath.Join(dir, "pairs.csv")
	out, _ := mustDashi(t, "identity", "match", file, "-o", "csv")
	rows, err := csv.NewReader(strings.NewReader(out)).ReadAll()
	if err != nil || len(rows) != 3 {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, row := range rows[1:] {
		if row[0] == "c3" {
			row[4] = "no"
		}
	}
	var b bytes.Buffer
	if err := csv.NewWriter(&b).WriteAll(rows); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(reviewed, b.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
	mustDashi(t, "identity", "match", file, "--identifier", "user_id=customer_id", "--write", links, "--accept", reviewed)
	if found := linkedIdentifiers(t, links); len(found) != 2 || found[0][0] != "user_id:c1 email:robert.allen@post.example" {
		t.Errorf("links %v", found)
	}
	mustDashi(t, "identity", "match", file, "--identifier", "user_id=customer_id", "--write", links, "--accept", "1")
	if found := linkedIdentifiers(t, links); len(found) != 0 {
		t.Errorf("links %v", found)
	}
}

// linkedIdentifiers decodes a file of events: of each, its identifiers without match_id, and the match_id.
func linkedIdentifiers(t *testing.T, path string) (found [][2]string) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	program, _ := recipe.Compile(nil)
	d := event.NewDecoder(program.Schema, event.DefaultLimits)
	var e event.Event
	for line := range strings.Lines(string(text)) {
		if err := d.Decode([]byte(line), 4e12, &e); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		var own []string
		id := ""
		for _, i := range e.Identifiers {
			name := program.Schema.Namespaces[i.Namespace].Name
			if name == matchNamespace {
				id = string(i.Value)
			} else {
				own = append(own, name+":"+string(i.Value))
			}
		}
		found = append(found, [2]string{strings.Join(own, " "), id})
	}
	return found
}

func TestIdentityMatchRefuses(t *testing.T) {
	file := crmFile(t)
	other := filepath.Join(t.TempDir(), "other.csv")
	if err := os.WriteFile(other, []byte("a,b\n1,2\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	f := func(want string, args ...string) {
		t.Helper()
		if out, _, err := dashi(t, append([]string{"identity", "match"}, args...)...); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: %v, want %q\n%s", args, err, want, out)
		}
	}
	f("no such file", filepath.Join(t.TempDir(), "none.csv"))
	f("say what they hold", other)
	f("no column \"nme\"", file, "--column", "nme=given_name")
	f("unknown kind \"name\"", file, "--column", "first_name=name")
	f("say where they go", file, "--accept", "0.9")
	f("wanted: a probability", file, "--threshold", "7")
	f("NAMESPACE=COLUMN", file, "--write", other+".links", "--identifier", "crm=customer_id")
	f("no column holds identifiers", other, "--write", other+".links", "--column", "a=given_name")
	f("--delimiter", file, "--delimiter", "ab")
	f("unknown output format", file, "-o", "xml")
}

func TestIdentityMatchJSONL(t *testing.T) {
	path := filepath.Join(t.TempDir(), "people.jsonl")
	text := `{"id":"1","name":"Marsha Kelly","birthday":"02/11/1988","zip":"LS1 4AP"}
{"id":"2","name":"M. Kelly","birthday":"1988-11-02","zip":"LS1 4AP"}
not json
{"id":"3","name":"Hugo Kaur","birthday":"1973-03-23","zip":"N1 9GU"}
`
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	out, _ := mustDashi(t, "identity", "match", path)
	for _, want := range []string{"3 records, 2 people", "left out, because unreadable: 1 row;", "name (family)"} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is not in\n%s", want, out)
		}
	}
}

const simulatedEvents = `{"type":"identify","userId":"ada","anonymousId":"tablet","timestamp":"2026-01-01T10:00:00Z","traits":{"email":"ADA@a.example"}}
{"type":"track","event":"Order Completed","userId":"bob","anonymousId":"tablet","timestamp":"2026-01-02T10:00:00Z"}
{"type":"page","anonymousId":"tablet","timestamp":"2026-01-03T10:00:00Z"}
{"type":"page"}
{"type":"identify","anonymousId":"guest","timestamp":"2026-01-03T11:00:00Z","traits":{"email":"ada@a.example"}}
`

func TestIdentitySimulate(t *testing.T) {
	dir := t.TempDir()
	file, people, open := filepath.Join(dir, "events.jsonl"), filepath.Join(dir, "people.csv"), filepath.Join(dir, "open.yml")
	if err := os.WriteFile(file, []byte(simulatedEvents), 0o644); err != nil {
		t.Fatal(err)
	}
	text, _ := mustDashi(t, "identity", "simulate", file, "--people", people)
	for _, want := range []string{"4 events with 4 identifiers: 2 profiles", "no event in 1 line: no_identifier", "anonymous_id  1 refused",
		"kept by: last_authenticated", "anonymous_id:tablet   2 people  kept by user_id:bob"} {
		if !strings.Contains(strings.Join(strings.Fields(text), " "), strings.Join(strings.Fields(want), " ")) {
			t.Errorf("%q is not in\n%s", want, text)
		}
	}
	if b, err := os.ReadFile(people); err != nil || string(b) != "line,profile\n1,user_id:ada\n2,user_id:bob\n3,user_id:bob\n5,user_id:ada\n" {
		t.Errorf("people: %v\n%s", err, b)
	}
	// The same events under rules that let everybody merge.
	rules := "recipe: open\nidentity: {namespaces: [{name: user_id, from: userId}, {name: email, from: traits.email, normalise: email}, {name: device, from: anonymousId}]}\n"
	if err := os.WriteFile(open, []byte(rules), 0o644); err != nil {
		t.Fatal(err)
	}
	out, _ := mustDashi(t, "identity", "simulate", file, "--recipes", open, "-o", "json")
	var report simulateReport
	if err := json.Unmarshal([]byte(out), &report); err != nil {
		t.Fatal(err)
	}
	if report.Profiles != 1 || len(report.Refused) > 0 || report.Rejected["no_identifier"] != 1 || len(report.Largest) != 1 || len(report.Largest[0].Identifiers) != 4 {
		t.Errorf("%s", out)
	}
}

// What a simulation passes over is what a shard would.
func TestSimulationHasTheBoundsOfAShard(t *testing.T) {
	if simulate.MostTogether != shard.MaxComponent {
		t.Errorf("a simulation resolves %d identifiers together, a shard %d", simulate.MostTogether, shard.MaxComponent)
	}
}
