package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"dashi/node/features"
)

// Rows of which none says true cannot be trained on: what comes next is to look for the slip, not dashi train.
func TestFeaturesWithoutPositives(t *testing.T) {
	f := func(positive int, want, not string) {
		t.Helper()
		var out strings.Builder
		o := featuresOptions{labelEvent: "Order Complted", out: "rows.csv"}
		o.print(&out, features.Summary{Rows: 9, Events: 9, Positive: positive}, nil, nil)
		if got := out.String(); !strings.Contains(got, want) || strings.Contains(got, not) {
			t.Errorf("true in %d: %q", positive, got)
		}
	}
	f(0, `is "Order Complted" the name of the event`, "next:")
	f(1, "next: dashi train rows.csv", "the name of the event")
}

// A file of rows without a mapping holds no event: that is said, with what to write, and no report of nothing is printed.
func TestSimulateRowsWithoutMapping(t *testing.T) {
	path := filepath.Join(t.TempDir(), "crm.csv")
	if err := os.WriteFile(path, []byte("id,name\n1,Ada\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	c := root()
	c.SetOut(&out)
	c.SetArgs([]string{"identity", "simulate", path})
	if err := c.Execute(); err == nil || !strings.Contains(err.Error(), "--map NAME") || out.Len() > 0 {
		t.Errorf("%v, %q", err, out.String())
	}
}

// A file in another format than it is read in is said to be, with what to do, by every command that reads rows.
func TestWrongFormat(t *testing.T) {
	dir := t.TempDir()
	path := func(name, text string) string {
		t.Helper()
		p := filepath.Join(dir, name)
		if err := os.WriteFile(p, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return p
	}
	const object, table, array = "{\"id\":\"1\",\"total\":3}\n", "id,total\n1,3\n", "[\n {\"id\":\"1\",\"total\":3}\n]\n"
	objects, tables := path("objects.csv", object), path("table.jsonl", table)
	mapping := func(format string) string {
		return path(format+".yml", "recipe: r\nmappings:\n  crm: {format: "+format+", event: Order Completed, time: row.at, identifiers: {user_id: row.id}}\n")
	}
	f := func(want string, args ...string) {
		t.Helper()
		if _, _, err := dashi(t, args...); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: %v, want %q", args, err, want)
		}
	}
	f(`holds JSON objects, and mapping "crm" reads csv: say format: jsonl in the mapping`, "replay", objects, "--map", "crm", "--recipes", mapping("csv"), "--kafka", "127.0.0.1:1")
	f(`holds JSON objects, and mapping "crm" reads csv: say format: jsonl in the mapping`, "identity", "simulate", objects, "--map", "crm", "--recipes", mapping("csv"))
	f(`holds a table, and mapping "crm" reads jsonl: say format: csv in the mapping`, "identity", "simulate", tables, "--map", "crm", "--recipes", mapping("jsonl"))
	f("holds an array of JSON objects, and is read as jsonl: write one object a line", "replay", path("array.json", array), "--map", "crm", "--recipes", mapping("jsonl"), "--kafka", "127.0.0.1:1")
	model := filepath.Join(dir, "model")
	f("holds JSON objects, and is read as csv: give --format jsonl", "train", objects, "--label", "total", "--out", model)
	f("holds a table, and is read as jsonl: give --format csv", "train", tables, "--label", "total", "--out", model)
	f("holds JSON objects, and is read as csv: give --format jsonl", "identity", "match", objects)
	f("holds a table, and is read as jsonl: give --format csv", "identity", "match", tables)
	empty := path("words.jsonl", "1\n\"two\"\n")
	f(`cannot read "`+empty+`": none of its first lines is a JSON object`, "train", empty, "--label", "total", "--out", model) // which was "cannot match"
	f(`cannot read "`+empty+`": none of its first lines is a JSON object`, "identity", "match", empty)
}

// A flag or argument that is wrong is said to be in words, with what was meant, before anything is asked or done.
func TestMisuse(t *testing.T) {
	dir := t.TempDir()
	notes := filepath.Join(dir, "notes.txt")
	if err := os.WriteFile(notes, []byte("hello"), 0o600); err != nil {
		t.Fatal(err)
	}
	f := func(want string, args ...string) {
		t.Helper()
		out, _, err := dashi(t, args...)
		if err == nil || !strings.HasPrefix(err.Error(), want) || strings.Contains(err.Error(), "strconv") || strings.Contains(out, "ok:") {
			t.Errorf("%v: %v, %q, want %q", args, err, out, want)
		}
	}
	f(`--limit is "x"; wanted: a whole number`, "members", "vip", "--limit", "x")
	f(`--timeout is "5"; wanted: a length of time such as 500ms, 30s, 5m or 1h`, "status", "--timeout", "5")
	f(`--demo is "much"; wanted: a number`, "dev", "--demo", "much")
	f(`unknown flag: --stat (did you mean --stats?)`, "audiences", "--stat")
	f(`unknown flag: --xyzzy`, "audiences", "--xyzzy")
	f(`unknown command "mach" for "dashi identity"`, "identity", "mach")
	f(`--ready asks for nothing else`, "status", "--ready", "--hashes")
	f(`"ada" is not an identifier: write NAMESPACE:VALUE`, "erase", "ada")
	f(`there is no recipe among the paths`, "check", notes)
	empty := filepath.Join(dir, "empty.csv")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	f(`"`+empty+`" is empty: the first line of a csv file names its columns`, "train", empty, "--label", "x", "--out", filepath.Join(dir, "m"))
	f(`--rate -3: events a second`, "replay", notes, "--map", "x", "--rate", "-3")
	f(`--pace -1: how many times as fast`, "replay", notes, "--map", "x", "--pace", "-1")
	f(`--addr "" names no node: write host:port or a URL`, "status", "--addr", "")
	f(`--addr "http://" names no node`, "status", "--addr", "http://")
}
