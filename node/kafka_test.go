package node

import (
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"dashi/node/settings"
	"dashi/pipeline/kafka"
)

// outside is a broker that is no part of the node.
func outside(t *testing.T, addr, dir string) *kafka.Broker {
	t.Helper()
	b, err := kafka.OpenBroker(kafka.BrokerSettings{Addr: addr, Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	return b
}

// A node did not start while Kafka was down, and its look-ups were away for as long.
func TestOpensWithoutKafka(t *testing.T) {
	dir := t.TempDir()
	b := outside(t, freePorts(t, 1)[0], filepath.Join(dir, "broker"))
	s := testSettings(t, filepath.Join(dir, "node"))
	s.Kafka.Embedded.Listen, s.Kafka.Brokers = "", []string{b.Addr()}
	n, err := Open(testContext(t), s, testOptions())
	if err != nil {
		t.Fatal(err)
	}
	visit(t, n, "first", 3, "x")
	waitIdle(t, n)
	closeNode(t, n)
	b.Close()

	log := &logLines{}
	o := testOptions()
	o.Log = slog.New(slog.NewTextHandler(log, nil))
	n, err = Open(testContext(t), s, o)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { closeNode(t, n) }()
	ask := func(path string, status int, want string) {
		t.Helper()
		w := httptest.NewRecorder()
		(*n.doors.front.Load()).ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
		if w.Code != status || !strings.Contains(w.Body.String(), want) {
			t.Errorf("%s: %d %s", path, w.Code, w.Body)
		}
	}
	ask("/v1/profiles/user_id:u1", http.StatusOK, `"visits":1`)
	until(t, "the trouble", func() bool {
		return strings.Contains(strings.Join(n.Status(false).Trouble, "\n"), "input: cannot list topics at Kafka "+s.Kafka.Brokers[0])
	})
	ask("/readyz", http.StatusOK, `"held_back":"cannot list topics`)
	until(t, "the source to wait", func() bool { return log.with("level=WARN", "cannot read: waiting") == 1 })
	if got := log.with("opening without Kafka"); got != 1 {
		t.Errorf("said %d times", got)
	}

	outside(t, s.Kafka.Brokers[0], filepath.Join(dir, "broker"))
	until(t, "the end of the trouble", func() bool { return len(n.Status(false).Trouble) == 0 })
	visit(t, n, "second", 3, "y")
	waitIdle(t, n)
	ask("/v1/profiles/user_id:u1", http.StatusOK, `"visits":2`)
	ask("/readyz", http.StatusOK, `{"ready":true}`)
	until(t, "the all-clear", func() bool { return log.with("level=INFO", "reading goes on") == 1 })
	if log.with("level=INFO", "Kafka is there") != 1 || log.with("level=WARN", "cannot read: waiting") != 1 || log.with("level=ERROR") != 0 {
		t.Errorf("logged\n%s", log)
	}
}

// What can not come right by itself is an error at once, and what may be a slip is said clearly.
func TestWrongKafkaSettings(t *testing.T) {
	f := func(change func(*settings.Kafka), want string) {
		t.Helper()
		s := testSettings(t, t.TempDir())
		s.Kafka.Embedded.Listen = ""
		change(&s.Kafka)
		start := time.Now()
		n, err := Open(testContext(t), s, testOptions())
		if err == nil {
			closeNode(t, n)
		}
		if err == nil || !strings.Contains(err.Error(), want) || time.Since(start) > brokerPatience {
			t.Errorf("%v, want %q", err, want)
		}
	}
	f(func(k *settings.Kafka) { k.TLS.Enabled, k.TLS.CAFile = true, "/nowhere" }, "cannot read kafka.tls.ca_file")

	s := testSettings(t, t.TempDir())
	s.Kafka.Embedded.Listen, s.Kafka.Brokers = "", []string{"kafka.invalid:9092"}
	n := openNode(t, s)
	until(t, "the name", func() bool {
		return strings.Contains(strings.Join(n.Status(false).Trouble, "\n"), `no DNS knows "kafka.invalid": is kafka.brokers right?`)
	})
}

// The metrics say which build it is, and how far behind the end of each partition.
func TestBuildAndLag(t *testing.T) {
	o := testOptions()
	o.Version = "v1.2"
	n, err := Open(testContext(t), testSettings(t, t.TempDir()), o)
	if err != nil {
		t.Fatal(err)
	}
	defer closeNode(t, n)
	has := func(lines ...string) {
		t.Helper()
		w := httptest.NewRecorder()
		n.metricsHandler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
		for _, line := range lines {
			if !strings.Contains(w.Body.String(), "\n"+line+"\n") {
				t.Errorf("no %s", line)
			}
		}
	}
	visit(t, n, "first", 20, "x")
	waitIdle(t, n)
	n.lookAtEnds(testContext(t))
	has(`dashi_build_info{go_version="`+runtime.Version()+`",version="v1.2"} 1`,
		`dashi_stream_lag_records{partition="0",topic="dashi.events"} 0`, `dashi_stream_lag_records{partition="1",topic="dashi.events"} 0`)
	more := maps.Clone(*n.kafka.ends.Load()) // as if records came that have not been read
	for s := range more {
		more[s] += 7
	}
	n.kafka.ends.Store(&more)
	has(`dashi_stream_lag_records{partition="0",topic="dashi.events"} 7`)
	if lag := n.Status(false).Kafka.Streams[1].Lag; lag == nil || *lag != 7 {
		t.Errorf("lag %v", lag)
	}
}

// A shard that changed hands left an error in the log, and nothing said that it was over.
func TestActivationsWait(t *testing.T) {
	log := &logLines{}
	n := &Node{log: slog.New(slog.NewTextHandler(log, nil)), running: t.Context()}
	n.kafka.settings.Log = n.log
	one, two := &publisher{n: n, h: &shardHost{id: 1}}, &publisher{n: n, h: &shardHost{id: 2}}
	f := func(want ...string) {
		t.Helper()
		all := strings.Split(strings.TrimSpace(log.String()), "\n")
		if len(all) != len(want) {
			t.Fatalf("logged\n%s", log)
		}
		for i, w := range want {
			if !strings.Contains(all[i], w) {
				t.Errorf("%s, want %s", all[i], w)
			}
		}
	}
	fenced := `level=WARN msg="activations wait" shard=1`
	one.fails(fmt.Errorf("publish: %w", kafka.ErrFenced))
	one.fails(fmt.Errorf("publish: %w", kafka.ErrFenced))
	f(fenced)
	two.fails(errors.New("away"))
	failed := `level=ERROR msg="activations wait" shard=2`
	f(fenced, failed)
	two.goesOn()
	f(fenced, failed) // those of shard 1 still do
	one.goesOn()
	one.goesOn()
	f(fenced, failed, `level=INFO msg="activations do not wait any more"`)
}
