package main_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"dashi/pipeline/kafka"
)

// These tests start the real binary and speak to it as its users do: command line, HTTP, RESP, Kafka.

// binary is the dashi under test, built once. It has the race detector when the tests have.
var binary string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "dashi-e2e-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	binary = filepath.Join(dir, "dashi")
	args := []string{"build", "-o", binary}
	if raceEnabled {
		args = append(args, "-race", "-pgo=off") // as make race builds what it is made of
	}
	if out, err := exec.Command("go", append(args, "dashi/cmd/dashi")...).CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "cannot build dashi: %v\n%s", err, out)
		os.Exit(1)
	}
	code := m.Run()
	os.RemoveAll(dir)
	os.Exit(code)
}

// Limits of waiting. They are generous: a busy machine is slow, and a test that passes never waits for them.
const (
	startWait = 60 * time.Second
	stopWait  = 60 * time.Second
	wait      = 60 * time.Second
)

// eventually polls until cond returns nil, and fails with its last error when that takes too long.
func eventually(t testing.TB, within time.Duration, what string, cond func() error) {
	t.Helper()
	deadline := time.Now().Add(within)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		err := cond()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s: not within %s: %v", what, within, err)
		}
		<-tick.C
	}
}

// output collects what a process writes.
type output struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.String()
}

// process is a running dashi. It is killed at the end of the test, if it still runs.
type process struct {
	t              testing.TB
	cmd            *exec.Cmd
	stdout, stderr output
	exited         chan struct{}
}

// launch starts dashi. env is added to a clean environment.
func launch(t testing.TB, env []string, args ...string) *process {
	t.Helper()
	return launchIn(t, "", env, args...)
}

// launchIn is launch in a network namespace; empty: that of the test.
func launchIn(t testing.TB, space string, env []string, args ...string) *process {
	t.Helper()
	command := append([]string{binary}, args...)
	if space != "" {
		command = append([]string{"ip", "netns", "exec", space}, command...)
	}
	p := &process{t: t, cmd: exec.Command(command[0], command[1:]...), exited: make(chan struct{})}
	p.cmd.Env = append([]string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + os.Getenv("HOME"), "TMPDIR=" + os.TempDir(),
		"GORACE=atexit_sleep_ms=0", // or each command takes a second more under the race detector
	}, env...)
	p.cmd.Stdout, p.cmd.Stderr = &p.stdout, &p.stderr
	p.cmd.SysProcAttr = dieWithParent
	if err := p.cmd.Start(); err != nil {
		t.Fatalf("cannot start dashi: %v", err)
	}
	go func() {
		_ = p.cmd.Wait()
		close(p.exited)
	}()
	t.Cleanup(func() {
		p.kill()
		if t.Failed() {
			t.Logf("dashi %s\nstdout: %.300s\nstderr: %s", strings.Join(args, " "), p.stdout.String(), p.stderr.String())
		}
		if strings.Contains(p.stderr.String(), "WARNING: DATA RACE") {
			t.Errorf("data race in dashi %s:\n%s", strings.Join(args, " "), p.stderr.String())
		}
	})
	return p
}

func (p *process) running() bool {
	select {
	case <-p.exited:
		return false
	default:
		return true
	}
}

// kill is kill -9.
func (p *process) kill() {
	if p.running() {
		_ = p.cmd.Process.Kill()
	}
	<-p.exited
}

// code waits for the end of the process and returns its exit code.
func (p *process) code(within time.Duration) int {
	p.t.Helper()
	if !p.running() {
		return p.cmd.ProcessState.ExitCode()
	}
	select {
	case <-p.exited:
	case <-time.After(within):
		p.t.Fatalf("%v still runs after %s\nstdout: %s\nstderr: %s", p.cmd.Args, within, p.stdout.String(), p.stderr.String())
	}
	return p.cmd.ProcessState.ExitCode()
}

// interrupt is Ctrl-C. It returns the exit code.
func (p *process) interrupt() int { p.t.Helper(); return p.end(os.Interrupt) }

// end sends a signal that ends the process in order. It returns the exit code.
func (p *process) end(s os.Signal) int {
	p.t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		p.t.Fatalf("cannot send %v: %v", s, err)
	}
	return p.code(stopWait)
}

// nextPort counts through the ports of freeAddr: none is picked twice, be it free for a moment because its node is down.
var nextPort atomic.Uint32

func init() { nextPort.Store(rand.Uint32N(12_000)) }

// freeAddr picks a free address below the ports that the system gives to outgoing connections, so that it is still
// free when a node that was killed comes back to it.
func freeAddr(t testing.TB) string {
	t.Helper()
	for range 200 {
		addr := "127.0.0.1:" + strconv.Itoa(20_000+int(nextPort.Add(1)%12_000))
		if l, err := net.Listen("tcp", addr); err == nil {
			l.Close()
			return addr
		}
	}
	t.Fatal("no free port between 20000 and 32000")
	return ""
}

// node is a dashi dev with its directory and its addresses, which it keeps over restarts.
type node struct {
	*process
	t                       testing.TB
	data, http, resp, kafka string
	flags, env              []string
	config                  string           // of a node of a cluster: it runs dashi serve
	space                   string           // network namespace; empty: that of the test
	webhooks                []map[string]any // of a node of a cluster
	shards                  int              // of a node of a cluster; 0: as many as without the setting
}

func newNode(t testing.TB, flags ...string) *node {
	t.Helper()
	n := &node{t: t, data: t.TempDir(), http: freeAddr(t), resp: freeAddr(t), kafka: freeAddr(t), flags: flags}
	n.env = []string{"DASHI_ADDR=http://" + n.http, "XDG_CACHE_HOME=" + t.TempDir()}
	return n
}

func (n *node) launch() {
	n.t.Helper()
	if n.config != "" {
		n.process = launchIn(n.t, n.space, n.env, "serve", "--config", n.config, "--log", "warn")
		return
	}
	args := []string{"dev", "--data", n.data, "--http", n.http, "--resp", n.resp, "--kafka", n.kafka}
	n.process = launch(n.t, n.env, append(args, n.flags...)...)
}

// start starts the node and returns when it is ready.
func (n *node) start() {
	n.t.Helper()
	n.launch()
	n.ready()
}

func (n *node) ready() {
	n.t.Helper()
	eventually(n.t, startWait, "node ready", func() error {
		if !n.running() {
			n.t.Fatalf("the node ended with code %d: %s", n.code(0), n.stderr.String())
		}
		status, body, err := n.try("GET", "/readyz", "")
		if err == nil && status != http.StatusOK {
			err = fmt.Errorf("%d %s", status, body)
		}
		return err
	})
}

// try asks the node over HTTP.
func (n *node) try(method, path, body string) (status int, answer string, err error) {
	req, err := http.NewRequest(method, "http://"+n.http+path, strings.NewReader(body))
	if err != nil {
		return 0, "", err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(b), err
}

// ask is try for a question that has to be answered with this status.
func (n *node) ask(want int, method, path, body string) string {
	n.t.Helper()
	status, answer, err := n.try(method, path, body)
	if err != nil || status != want {
		n.t.Fatalf("%s %s: %d, want %d: %s %v", method, path, status, want, answer, err)
	}
	return answer
}

// track sends one event over HTTP.
func (n *node) track(body string) {
	n.t.Helper()
	n.ask(http.StatusOK, "POST", "/v1/track", body)
}

// result is what a command did.
type result struct {
	stdout, stderr string
	code           int
}

// cli runs a client command against the node.
func (n *node) cli(args ...string) result {
	n.t.Helper()
	return command(n.t, n.env, args...)
}

func command(t testing.TB, env []string, args ...string) result {
	t.Helper()
	p := launch(t, env, args...)
	code := p.code(2 * wait)
	return result{p.stdout.String(), p.stderr.String(), code}
}

// must is cli for a command that has to succeed and be silent on stderr.
func (n *node) must(args ...string) string {
	n.t.Helper()
	r := n.cli(args...)
	if r.code != 0 || r.stderr != "" {
		n.t.Fatalf("dashi %s: code %d\nstdout: %s\nstderr: %s", strings.Join(args, " "), r.code, r.stdout, r.stderr)
	}
	return r.stdout
}

// status is what these tests read of a node's status.
type status struct {
	Ready   bool
	Trouble []string
	Cluster string
	Events  struct {
		Applied, Repeated, Consumed uint64
		Rejected                    map[string]uint64
	}
	Profiles    int
	Activations struct{ Made, Withheld, Waiting uint64 }
	Kafka       struct {
		Streams []struct{ Read, Applied int64 }
	}
	Shards []struct {
		ID   int
		Hash string
	}
	PowerLoss struct {
		Departed uint64 `json:"activations_departed"`
		Remade   uint64 `json:"activations_remade"`
	} `json:"power_loss"`
}

// renamed are the activations that left before a power loss and were made again in the name of another profile, as which they left once more.
func (s *status) renamed() int { return int(s.PowerLoss.Departed - s.PowerLoss.Remade) }

// read is how many records of the input topics the node has read.
func (s *status) read() (total int64) {
	for _, stream := range s.Kafka.Streams {
		total += stream.Read
	}
	return total
}

func (s *status) hashes() []string {
	var all []string
	for _, sh := range s.Shards {
		all = append(all, sh.Hash)
	}
	return all
}

// idle waits until everything has been applied and sent, and returns the status then.
func (n *node) idle() *status {
	n.t.Helper()
	return decode[status](n.t, n.must("status", "--wait-idle", "--hashes", "-o", "json"))
}

func decode[T any](t testing.TB, text string) *T {
	t.Helper()
	v := new(T)
	if err := json.Unmarshal([]byte(text), v); err != nil {
		t.Fatalf("cannot decode %.200q: %v", text, err)
	}
	return v
}

// brokers are the settings for clients of the node's Kafka.
func (n *node) brokers() kafka.Settings {
	return kafka.Settings{Brokers: []string{n.kafka}, ClientID: "e2e"}
}

// record is one record of a topic.
type record struct {
	partition  int32
	offset     int64
	key, value string
	headers    map[string]string
}

var errEnough = errors.New("enough")

// records reads a topic from its start until done says so.
func (n *node) records(topic string, done func(record) bool) {
	n.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), wait)
	defer cancel()
	err := kafka.Tail(ctx, n.brokers(), topic, kafka.TailFrom{Start: true}, func(partition int32, r *kafka.Record) error {
		rec := record{partition, r.Offset, string(r.Key), string(r.Value), map[string]string{}}
		for _, h := range r.Headers {
			rec.headers[h.Key] = string(h.Value)
		}
		if done(rec) {
			return errEnough
		}
		return nil
	})
	if !errors.Is(err, errEnough) {
		n.t.Fatalf("cannot read topic %q to its end: %v", topic, err)
	}
}

// endMarks is how many records drain adds to know the end of every partition: enough that none of eight goes without.
const endMarks = 200

// drain reads everything that is in a topic now.
func (n *node) drain(topic string) (all []record) {
	n.t.Helper()
	mark := fmt.Sprintf("end of test %d ", time.Now().UnixNano())
	var messages []kafka.Message
	for i := range endMarks {
		messages = append(messages, kafka.Message{Key: fmt.Append(nil, mark, i), Value: []byte(mark)})
	}
	p := n.producer()
	if err := p.Produce(context.Background(), topic, messages); err != nil {
		n.t.Fatalf("cannot mark the end of topic %q: %v", topic, err)
	}
	left := endMarks
	n.records(topic, func(r record) bool {
		switch {
		case r.value == mark:
			left--
		case !strings.HasPrefix(r.value, "end of test "):
			all = append(all, r)
		}
		return left == 0
	})
	return all
}

func (n *node) producer() *kafka.Producer {
	n.t.Helper()
	p, err := kafka.NewProducer(kafka.ProducerSettings{Settings: n.brokers(), Topic: "dashi.events"})
	if err != nil {
		n.t.Fatal(err)
	}
	n.t.Cleanup(p.Close)
	return p
}
