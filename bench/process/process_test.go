package process

import (
	"context"
	"encoding/json"
	"math"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"dashi/bench/stat"
)

func TestParseStat(t *testing.T) {
	f := func(in string, want time.Duration, ok bool) {
		t.Helper()
		got, err := parseStat(in)
		if got != want || (err == nil) != ok {
			t.Errorf("parseStat(%q) = %v, %v", in, got, err)
		}
	}
	f("42 (dashi) S 1 42 42 0 -1 4194560 900 0 0 0 150 25 0 0 20 0 9 0 100 1000 200", 1750*time.Millisecond, true)
	f("42 (a b) c) R 1 42 42 0 -1 4194560 900 0 0 0 7 0 0 0 20 0 9", 70*time.Millisecond, true)
	f("42 (dashi) S 1", 0, false)
	f("42 dashi S 1 42 42 0 -1 4194560 900 0 0 0 150 25 0", 0, false)
	f("42 (dashi) S 1 42 42 0 -1 4194560 900 0 0 0 x 25 0", 0, false)
	f("", 0, false)
}

func TestParseKiB(t *testing.T) {
	status := "Name:\tdashi\nVmHWM:\t  2048 kB\nVmRSS:\t    1024 kB\n"
	if rss, peak := parseKiB(status, "VmRSS"), parseKiB(status, "VmHWM"); rss != 1<<20 || peak != 2<<20 {
		t.Errorf("%d, %d", rss, peak)
	}
	if n := parseKiB(status, "VmSwap"); n != 0 {
		t.Errorf("%d", n)
	}
}

func TestStatus(t *testing.T) {
	var s Status
	text := `{"version":"v","profiles":7,"events":{"applied":5,"repeated":2,"rejected":{"bad_json":0,"too_large":1}},"latency":{"p50_ms":0.5,"p99_ms":3}}`
	if err := json.Unmarshal([]byte(text), &s); err != nil {
		t.Fatal(err)
	}
	if s.Profiles != 7 || s.Events.Applied != 5 || s.Latency.P99 != 3 || s.Lost() != "2 repeated, 1 rejected: too_large" {
		t.Errorf("%+v, %q", s, s.Lost())
	}
	if lost := new(Status).Lost(); lost != "" {
		t.Errorf("%q", lost)
	}
	s.Events.Rejected = map[string]uint64{"a": 1, "b": 1, "c": 1, "d": 1, "e": 1}
	if lost := s.Lost(); lost != "2 repeated, 1 rejected: a, 1 rejected: b, 1 rejected: c, 1 rejected: d, 1 rejected: e" {
		t.Errorf("in another order: %q", lost)
	}
}

// A shell stands for the programs that are measured.
func shell(t *testing.T, ctx context.Context, script string) *Child {
	t.Helper()
	path, err := Find("sh")
	if err != nil {
		t.Skip(err)
	}
	c, err := Start(ctx, path, "-c", script)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func gone(pid int) bool { return syscall.Kill(pid, 0) == syscall.ESRCH }

func TestChildStops(t *testing.T) {
	f := func(script string, ok bool) {
		t.Helper()
		c := shell(t, context.Background(), script)
		err := c.until(context.Background(), "silent", func() bool { return strings.Contains(c.output.String(), "ready") })
		if err != nil {
			t.Fatal(err)
		}
		if _, err := os.Stat("/proc/self"); err == nil {
			if u, err := c.Usage(); err != nil || u.Resident <= 0 || u.Peak < u.Resident {
				t.Errorf("%+v, %v", u, err)
			}
		}
		if err := c.Stop(); (err == nil) != ok {
			t.Errorf("%s: %v", script, err)
		}
		if !gone(c.PID()) {
			t.Errorf("%s: still there", script)
		}
	}
	f("echo ready; exec sleep 600", true)
	f("trap 'exit 0' TERM; echo ready; while :; do sleep 0.01; done", true)
	f("trap 'exit 3' TERM; echo ready; while :; do sleep 0.01; done", false)
}

func TestChildIsWaitedFor(t *testing.T) {
	if err := shell(t, t.Context(), "exit 0").Wait(t.Context()); err != nil {
		t.Error(err)
	}
	if err := shell(t, t.Context(), "echo no; exit 4").Wait(t.Context()); err == nil || !strings.Contains(err.Error(), "exit status 4") {
		t.Errorf("%v", err)
	}
	c := shell(t, t.Context(), "exec sleep 600")
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if c.Wait(ended) == nil {
		t.Error("it runs, and was waited for")
	}
	if err := c.Kill(); err != nil {
		t.Error(err)
	}
	if c.Gone(); !gone(c.PID()) || c.Exited() == nil {
		t.Error("it was killed, and runs")
	}
}

func TestReadHistogram(t *testing.T) {
	text := "# HELP d_seconds x\nd_seconds_bucket{le=\"0.001\"} 3\nd_seconds_bucket{le=\"1.5e+06\"} 4\nd_seconds_bucket{le=\"+Inf\"} 5\nd_seconds_sum 7\nd_seconds_count 5\n"
	h, err := readHistogram(strings.NewReader(text), "d_seconds")
	if want := (stat.Histogram{{Bound: 0.001, Count: 3}, {Bound: 1.5e6, Count: 4}, {Bound: math.Inf(1), Count: 5}}); err != nil || !slices.Equal(h, want) {
		t.Errorf("%v, %v", h, err)
	}
	if _, err := readHistogram(strings.NewReader(text), "seconds"); err == nil {
		t.Error("a metric that is not there was read")
	}
	if _, err := readHistogram(strings.NewReader("d_bucket{le=\"x\"} 3\n"), "d"); err == nil {
		t.Error("a bound that is no number was read")
	}
}

func TestLowAddrs(t *testing.T) {
	addrs, err := lowAddrs(20)
	if err != nil || len(addrs) != 20 {
		t.Fatalf("%v, %v", addrs, err)
	}
	slices.Sort(addrs)
	if len(slices.Compact(addrs)) != 20 {
		t.Error("two are equal")
	}
}

func TestChildEndsWithItsContext(t *testing.T) { // I1
	ctx, cancel := context.WithCancel(context.Background())
	c := shell(t, ctx, "exec sleep 600")
	cancel()
	<-c.done
	if !gone(c.PID()) {
		t.Error("still there")
	}
}

func TestChildThatEnds(t *testing.T) {
	c := shell(t, context.Background(), "echo out of luck >&2; exit 7")
	err := c.until(context.Background(), "silent", func() bool { return false })
	if err == nil || !strings.Contains(err.Error(), "out of luck") || !strings.Contains(err.Error(), "exit status 7") {
		t.Errorf("%v", err)
	}
	if c.Stop() == nil {
		t.Error("it had ended, and nobody was told")
	}
}

func TestLastLines(t *testing.T) {
	var l lastLines
	for range 1000 {
		l.Write([]byte("0123456789\n"))
	}
	if s := l.String(); len(s) > keepOutput || !strings.HasSuffix(s, "9") {
		t.Errorf("%d bytes", len(s))
	}
}
