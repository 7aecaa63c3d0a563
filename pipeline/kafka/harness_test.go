package kafka

import (
	"context"
	"flag"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"os"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(crashDirEnv); dir != "" {
		crashChild(dir)
		return
	}
	flag.Parse()
	if err := flag.Set("test.parallel", "8"); err != nil { // the tests wait for time-outs more than they compute
		panic(err)
	}
	goleak.VerifyTestMain(m)
}

const testTimeout = 60 * time.Second

func testContext(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), testTimeout)
	t.Cleanup(cancel)
	return ctx
}

func testLog(t testing.TB) *slog.Logger {
	if !testing.Verbose() {
		return nil
	}
	return slog.New(slog.NewTextHandler(testWriter{t}, &slog.HandlerOptions{Level: slog.LevelWarn}))
}

type testWriter struct{ t testing.TB }

func (w testWriter) Write(b []byte) (int, error) { w.t.Log(string(b)); return len(b), nil }

// nextPort counts through the ports of freeAddr: none is picked twice, be it free for a moment because its broker is down.
var nextPort atomic.Uint32

func init() { nextPort.Store(rand.Uint32N(4000)) }

// freeAddr is a free address below the ports that the system gives to whoever asks for any, so that it is still free when a broker comes back to it. Other packages,
// which are tested at the same time, pick from other ports.
func freeAddr(t testing.TB) string {
	t.Helper()
	for range 4000 {
		addr := "127.0.0.1:" + strconv.Itoa(12_000+int(nextPort.Add(1)%4000))
		if l, err := net.Listen("tcp", addr); err == nil {
			l.Close()
			return addr
		}
	}
	t.Fatal("no free port between 12000 and 16000")
	return ""
}

// openBroker serves dir (a new one when empty) on a free port.
func openBroker(t testing.TB, dir string, topics ...Topic) *Broker {
	t.Helper()
	if dir == "" {
		dir = t.TempDir()
	}
	b, err := OpenBroker(BrokerSettings{Addr: freeAddr(t), Dir: dir, Partitions: 4, Topics: topics})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	return b
}

func openProducer(t testing.TB, settings Settings, topic string) *Producer {
	t.Helper()
	p, err := NewProducer(ProducerSettings{Settings: settings, Topic: topic})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	return p
}

// produce writes n numbered messages, keyed by number.
func produce(t testing.TB, p *Producer, from, n int) {
	t.Helper()
	messages := make([]Message, n)
	for i := range messages {
		messages[i] = Message{Key: fmt.Appendf(nil, "k%d", from+i), Value: fmt.Appendf(nil, "v%d", from+i), Millis: int64(1000 + from + i)}
	}
	if err := p.Produce(testContext(t), "", messages); err != nil {
		t.Fatal(err)
	}
}

// recorder is a Handler that keeps what it gets and checks the contract of Handler.
type recorder struct {
	t      testing.TB
	mu     sync.Mutex
	next   map[Stream]int64
	values map[Stream][]string
	events []string
	pause  func(Stream) // called by Records
	change chan struct{}
}

func newRecorder(t testing.TB) *recorder {
	return &recorder{t: t, next: make(map[Stream]int64), values: make(map[Stream][]string), change: make(chan struct{}, 1)}
}

func (r *recorder) changed() {
	select {
	case r.change <- struct{}{}:
	default:
	}
}

func (r *recorder) Assigned(streams []Stream, next []int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i, s := range streams {
		if _, has := r.next[s]; has {
			r.t.Errorf("%v assigned twice", s)
		}
		r.next[s] = next[i]
		r.events = append(r.events, fmt.Sprintf("assigned %s/%d at %d", s.Name, s.Partition, next[i]))
	}
	r.changed()
}

func (r *recorder) Revoked(streams []Stream) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, s := range streams {
		if _, has := r.next[s]; !has {
			r.t.Errorf("%v revoked but not assigned", s)
		}
		delete(r.next, s)
		r.events = append(r.events, fmt.Sprintf("revoked %s/%d", s.Name, s.Partition))
	}
	r.changed()
}

func (r *recorder) Records(_ context.Context, s Stream, prev, last int64, records []Record) {
	if r.pause != nil {
		r.pause(s)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	next, has := r.next[s]
	if !has {
		r.t.Errorf("records of %v, which is not assigned", s)
	}
	if prev != next-1 || last < prev {
		r.t.Errorf("%v: (%d, %d] follows next %d", s, prev, last, next)
	}
	at := prev
	for _, rec := range records {
		if rec.Offset <= at || rec.Offset > last {
			r.t.Errorf("%v: offset %d after %d in (%d, %d]", s, rec.Offset, at, prev, last)
		}
		at = rec.Offset
		r.values[s] = append(r.values[s], string(rec.Value))
	}
	r.next[s] = last + 1
	r.changed()
}

// wait polls until cond, which holds the lock, is true.
func (r *recorder) wait(what string, cond func() bool) {
	r.t.Helper()
	deadline := time.After(testTimeout)
	for {
		r.mu.Lock()
		ok := cond()
		r.mu.Unlock()
		if ok {
			return
		}
		select {
		case <-r.change:
		case <-time.After(20 * time.Millisecond):
		case <-deadline:
			r.mu.Lock()
			defer r.mu.Unlock()
			r.t.Fatalf("timed out waiting for %s: %d values, %v", what, r.count(), r.events)
		}
	}
}

func (r *recorder) count() (n int) {
	for _, v := range r.values {
		n += len(v)
	}
	return n
}

// all is every value, sorted.
func (r *recorder) all() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var all []string
	for _, v := range r.values {
		all = append(all, v...)
	}
	slices.Sort(all)
	return all
}

func numbered(from, n int) []string {
	var all []string
	for i := range n {
		all = append(all, fmt.Sprintf("v%d", from+i))
	}
	slices.Sort(all)
	return all
}

// runSource starts a source; stop ends it and waits.
func runSource(t testing.TB, settings SourceSettings, h Handler) (s *Source, stop func()) {
	t.Helper()
	if settings.Group == "" {
		settings.Group = "dashi"
	}
	if settings.CommitInterval == 0 {
		settings.CommitInterval = 20 * time.Millisecond
	}
	if log := testLog(t); log != nil && settings.Log == nil {
		settings.Log = log
	}
	s, err := NewSource(settings, h)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	var once sync.Once
	stop = func() {
		once.Do(func() {
			cancel()
			select {
			case err := <-done:
				if err != nil {
					t.Errorf("Run: %v", err)
				}
			case <-time.After(testTimeout):
				t.Error("Run does not end")
			}
		})
	}
	t.Cleanup(stop)
	return s, stop
}

// committed is the group's offsets of a topic, by partition.
func committed(t testing.TB, settings Settings, group, topic string) map[int32]int64 {
	t.Helper()
	client, err := settings.client()
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	offsets, err := kadm.NewClient(client).FetchOffsets(testContext(t), group)
	if err != nil {
		t.Fatal(err)
	}
	got := make(map[int32]int64)
	offsets.Each(func(o kadm.OffsetResponse) {
		if o.Topic == topic {
			got[o.Partition] = o.At
		}
	})
	return got
}

// readAll is every committed value of a topic, per partition.
func readAll(t testing.TB, settings Settings, topic string) map[int32][]string {
	t.Helper()
	client, err := settings.client(kgo.ConsumeTopics(topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()), kgo.KeepControlRecords())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	ctx := testContext(t)
	ends, err := kadm.NewClient(client).ListCommittedOffsets(ctx, topic)
	if err != nil {
		t.Fatal(err)
	}
	left := make(map[int32]int64)
	ends.Each(func(o kadm.ListedOffset) {
		if o.Offset > 0 {
			left[o.Partition] = o.Offset
		}
	})
	got := make(map[int32][]string)
	for len(left) > 0 {
		fetches := client.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			t.Fatalf("%v, left %v", err, left)
		}
		fetches.EachRecord(func(r *kgo.Record) {
			if !r.Attrs.IsControl() {
				got[r.Partition] = append(got[r.Partition], string(r.Value))
			}
			if r.Offset+1 >= left[r.Partition] {
				delete(left, r.Partition)
			}
		})
	}
	return got
}

func endOffsets(ctx context.Context, settings Settings, topic string) (map[Stream]int64, error) {
	client, err := settings.client()
	if err != nil {
		return nil, err
	}
	defer client.Close()
	return settings.endOffsets(ctx, client, topic)
}

func sum(offsets map[int32]int64) (n int64) {
	for _, at := range offsets {
		n += at
	}
	return n
}
