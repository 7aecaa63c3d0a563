package result

import (
	"bufio"
	"bytes"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
)

func TestTarget(t *testing.T) {
	f := func(target *Target, v float64, met bool, text string) {
		t.Helper()
		if target.Met(v) != met {
			t.Errorf("%s of %v: %v", text, v, !met)
		}
		b, err := json.Marshal(target)
		if err != nil || string(b) != "\""+text+"\"" && !jsonEqual(b, text) {
			t.Errorf("%s, %v, want %q", b, err, text)
		}
		var back Target
		if err := json.Unmarshal(b, &back); err != nil || back != *target {
			t.Errorf("%s came back as %+v, %v", b, back, err)
		}
	}
	f(AtMost(0.8), 0.8, true, "<= 0.8")
	f(AtMost(0.8), 0.81, false, "<= 0.8")
	f(AtMost(0.8), math.NaN(), false, "<= 0.8")
	f(AtLeast(300_000), 300_000, true, ">= 300000")
	f(AtLeast(300_000), 299_999, false, ">= 300000")
	f(AtLeast(1), math.NaN(), false, ">= 1")
	for _, bad := range []string{`""`, `"300"`, `"> 3"`, `"<= x"`, `5`} {
		if err := new(Target).UnmarshalJSON([]byte(bad)); err == nil {
			t.Errorf("%s is a target", bad)
		}
	}
}

// jsonEqual: json.Marshal escapes the signs of a target; the text is the same.
func jsonEqual(b []byte, text string) bool {
	var s string
	return json.Unmarshal(b, &s) == nil && s == text
}

func TestLog(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "results")
	now := time.Date(2026, 1, 31, 23, 59, 59, 0, time.UTC)
	l := NewLog(dir, "abc", Machine{CPU: "cpu", Cores: 2, Go: "go1.26"}, false, func() time.Time { return now })
	add := func(f Figure) {
		t.Helper()
		if err := l.Add(f); err != nil {
			t.Fatal(err)
		}
	}
	add(Figure{Workload: "drain", Metric: "dashi", Value: 100, Unit: "events/s", Target: AtLeast(300_000), Settings: Settings{"events": 5}})
	add(Figure{Workload: "drain", Metric: "ratio", Value: 0.5})
	now = now.Add(time.Second)
	add(Figure{Workload: "http", Metric: "p50", Value: 1, Unit: "ms", Target: AtMost(2)})
	if err := l.Add(Figure{Metric: "impossible", Value: math.NaN()}); err == nil {
		t.Error("a figure that is no number was written")
	}

	january, february := readLines(t, dir, "2026-01.jsonl"), readLines(t, dir, "2026-02.jsonl")
	if len(january) != 2 || len(february) != 1 {
		t.Fatalf("%d and %d lines", len(january), len(february))
	}
	if raw, _ := os.ReadFile(filepath.Join(dir, "2026-01.jsonl")); !strings.Contains(string(raw), `"target":">= 300000"`) {
		t.Errorf("not for grep: %s", raw)
	}
	want := map[string]any{
		"time": "2026-01-31T23:59:59Z", "commit": "abc", "machine": map[string]any{"cpu": "cpu", "cores": 2.0, "go": "go1.26"},
		"workload": "drain", "metric": "dashi", "value": 100.0, "unit": "events/s", "target": ">= 300000", "met": false,
		"settings": map[string]any{"events": 5.0},
	}
	if !reflect.DeepEqual(january[0], want) {
		t.Errorf("%v", january[0])
	}
	if january[1]["target"] != nil || january[1]["met"] != nil || february[0]["met"] != true {
		t.Errorf("%v %v", january[1], february[0])
	}
	if len(l.Figures()) != 3 {
		t.Errorf("%d figures", len(l.Figures()))
	}
}

func readLines(t *testing.T, dir, name string) (lines []map[string]any) {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	for s := bufio.NewScanner(bytes.NewReader(b)); s.Scan(); {
		var line map[string]any
		if err := json.Unmarshal(s.Bytes(), &line); err != nil {
			t.Fatalf("%v in %s", err, s.Text())
		}
		lines = append(lines, line)
	}
	return lines
}

func TestTable(t *testing.T) {
	var b strings.Builder
	err := WriteTable(&b, []Figure{
		{Workload: "decode", Metric: "shapes=4", Value: 0.7312, Unit: "us CPU", Target: AtMost(0.8), Quick: true},
		{Workload: "drain", Metric: "dashi", Value: 123456.7, Unit: "events/s", Target: AtLeast(300_000)},
		{Workload: "drain", Metric: "ratio", Value: 0.25},
	})
	want := `WORKLOAD  WHAT      MEASURED          TARGET
decode    shapes=4  0.731 us CPU      <= 0.800    met
drain     dashi     123,457 events/s  >= 300,000  NOT MET
          ratio     0.250

1 of 2 targets met.
A quick run: smaller sizes, not comparable with a full one.
`
	var got []string
	for line := range strings.SplitSeq(b.String(), "\n") {
		got = append(got, strings.TrimRight(line, " "))
	}
	if err != nil || strings.Join(got, "\n") != want {
		t.Errorf("%v\n%s", err, strings.Join(got, "\n"))
	}
}

func TestNumber(t *testing.T) {
	f := func(v float64, want string) {
		t.Helper()
		if got := number(v); got != want {
			t.Errorf("number(%v) = %q, want %q", v, got, want)
		}
	}
	f(0, "0")
	f(5, "5")
	f(0.0456, "0.046")
	f(1.234, "1.23")
	f(45.67, "45.7")
	f(350.4, "350")
	f(999, "999")
	f(1000, "1,000")
	f(-1234567.8, "-1,234,568")
	f(math.NaN(), "NaN")
}

func TestCPUModel(t *testing.T) {
	in := "processor\t: 0\nvendor_id\t: X\nmodel name\t: AMD  EPYC 7B13\n\nmodel name\t: other\n"
	if got := cpuModel(strings.NewReader(in)); got != "AMD EPYC 7B13" {
		t.Errorf("%q", got)
	}
	if got := cpuModel(strings.NewReader("Processor: ARM\n")); got != "" {
		t.Errorf("%q", got)
	}
	if m := ThisMachine(); m.CPU == "" || m.Cores < 1 || m.Go == "" {
		t.Errorf("%+v", m)
	}
}
