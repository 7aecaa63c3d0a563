package node

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"dashi/node/httpapi"
	"dashi/node/settings"
	"dashi/node/status"
	"dashi/pipeline/kafka"
	"dashi/pipeline/recipe"
	"dashi/shard"
)

const testRecipe = `
recipe: visits
fields:
  properties.note: string
attributes:
  visits: {kind: count, on: Visit}
  note: {kind: last, on: Visit, value: properties.note}
audiences:
  regulars: {when: 'visits >= 3'}
activations:
  seen: {on: {event: Visit}, include: [note]}
`

func testSettings(t testing.TB, dir string) settings.Settings {
	s := settings.Default()
	s.Data, s.Shards = dir, 3
	s.HTTP.Listen, s.RESP.Listen = "127.0.0.1:0", "127.0.0.1:0"
	s.Kafka.Embedded.Listen, s.Kafka.Partitions = "127.0.0.1:0", 2
	return s
}

// nextPort counts through the ports of freePorts: none is picked twice, be it free for a moment because its node is down.
var nextPort atomic.Uint32

func init() { nextPort.Store(rand.Uint32N(4000)) }

// freePorts are free addresses below the ports that the system gives to whoever asks for any, so that they are still free when a node or broker comes back to
// its own. Other packages, which are tested at the same time, pick from other ports.
func freePorts(t testing.TB, n int) (addrs []string) {
	t.Helper()
	for range 4000 {
		if len(addrs) == n {
			return addrs
		}
		addr := "127.0.0.1:" + strconv.Itoa(16_000+int(nextPort.Add(1)%4000))
		l, err := net.Listen("tcp", addr)
		if err != nil {
			continue
		}
		l.Close()
		if u, err := net.ListenPacket("udp", addr); err == nil {
			u.Close()
			addrs = append(addrs, addr)
		}
	}
	t.Fatal("no free port between 16000 and 20000")
	return nil
}

func testOptions() Options {
	return Options{Recipes: []recipe.Source{{Name: "visits.yml", Text: []byte(testRecipe)}}}
}

// testContext is done when a test has waited too long. A busy machine is slow, and a test that passes never waits for it.
func testContext(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	t.Cleanup(cancel)
	return ctx
}

func openNode(t testing.TB, s settings.Settings) *Node {
	t.Helper()
	n, err := Open(testContext(t), s, testOptions())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closeNode(t, n) })
	return n
}

func closeNode(t testing.TB, n *Node) {
	t.Helper()
	if err := n.Close(); err != nil {
		t.Error(err)
	}
}

// visit sends one visit of each of the people through the HTTP door's backend, with ids that no other round has.
func visit(t testing.TB, n *Node, round string, people int, note string) {
	t.Helper()
	var messages []httpapi.Message
	for i := range people {
		value := fmt.Sprintf(`{"type":"track","event":"Visit","messageId":"%s-%d","userId":"u%d","timestamp":"2026-03-01T10:00:00Z","properties":{"note":%q}}`, round, i, i, note)
		messages = append(messages, httpapi.Message{Key: fmt.Appendf(nil, "u%d", i), Value: []byte(value)})
	}
	if err := (httpBackend{n}).Produce(testContext(t), messages); err != nil {
		t.Fatal(err)
	}
}

func waitIdle(t testing.TB, n *Node) {
	t.Helper()
	if err := n.WaitIdle(testContext(t)); err != nil {
		t.Fatalf("%v; %+v", err, n.Status(false))
	}
}

// until polls.
func until(t testing.TB, what string, done func() bool) {
	t.Helper()
	for ctx := testContext(t); !done(); <-time.After(2 * time.Millisecond) {
		if ctx.Err() != nil {
			t.Fatalf("timeout: %s", what)
		}
	}
}

func profileOf(n *Node, id string) (text string) {
	_, err := n.Lookup(context.Background(), []byte("user_id"), []byte(id), func(v *shard.View) { text = string(v.AppendJSON(nil)) })
	if err != nil {
		return err.Error()
	}
	return text
}

// sizeOf is the number of profiles in an audience, as the replicas here have it; -1 when not all of them are here.
func sizeOf(n *Node, audience int) int64 {
	if size, here := n.AudienceSize(audience); here {
		return size
	}
	return -1
}

// activations reads everything that consumers of the activations see, by id. Twice the same id is an error.
func activations(t testing.TB, n *Node) map[string]string {
	t.Helper()
	return readActivations(t, n, int(n.Status(false).Activations.Made))
}

func readActivations(t testing.TB, n *Node, want int) map[string]string {
	t.Helper()
	ctx, cancel := context.WithCancel(testContext(t))
	defer cancel()
	all, sequence := map[string]string{}, map[string]int{}
	if want == 0 {
		return all
	}
	enough := errors.New("enough")
	err := kafka.Tail(ctx, n.KafkaSettings(), n.settings.Kafka.Activations, kafka.TailFrom{Start: true}, func(_ int32, r *kafka.Record) error {
		var a struct {
			ID, Profile, Activation, Transition string
			Sequence                            int
		}
		if err := json.Unmarshal(r.Value, &a); err != nil {
			return err
		}
		if all[a.ID] != "" {
			t.Errorf("published twice: %s", r.Value)
		}
		if sequence[a.Profile]++; a.Sequence != sequence[a.Profile] {
			t.Errorf("%s: sequence %d after %d", a.Profile, a.Sequence, sequence[a.Profile]-1)
		}
		all[a.ID] = a.Activation + " " + a.Transition + " " + a.Profile
		if len(all) == want {
			return enough
		}
		return nil
	})
	if !errors.Is(err, enough) {
		t.Fatalf("%d of %d activations: %v", len(all), want, err)
	}
	return all
}

// The whole way: events in, profiles looked up, each activation out once; and after a restart it goes on where it was.
func TestWholeWayAndReopen(t *testing.T) {
	const people = 20
	settings := testSettings(t, t.TempDir())
	n := openNode(t, settings)
	var mu sync.Mutex
	heard := map[string]int{}
	stop := n.hub.Subscribe("", func(id, _, _ string, _ []byte) { mu.Lock(); heard[id]++; mu.Unlock() })
	visit(t, n, "a", people, "one")
	visit(t, n, "a", people, "one") // a client that tries again
	visit(t, n, "b", people, "two")
	waitIdle(t, n)
	stop()
	if p := profileOf(n, "u7"); !strings.Contains(p, `"visits":2`) || !strings.Contains(p, `"note":"`) {
		t.Errorf("profile %s", p)
	}
	st := n.Status(true)
	if st.Events.Applied != 2*people || st.Events.Repeated != people || st.Events.Consumed != 3*people || len(st.Trouble) > 0 {
		t.Errorf("events %+v, trouble %q", st.Events, st.Trouble)
	}
	out := activations(t, n)
	if len(out) != 2*people {
		t.Errorf("%d activations, want %d", len(out), 2*people)
	}
	for id := range out {
		if heard[id] != 1 {
			t.Errorf("activation %s was heard %d times", id, heard[id])
		}
	}
	closeNode(t, n)

	n = openNode(t, settings)
	if got := n.Status(false).Log.Replayed; got != 0 {
		t.Errorf("%d entries replayed after a clean end", got)
	}
	waitIdle(t, n)
	if got, want := hashes(n), hashesOf(st); got != want {
		t.Errorf("hashes %s after the restart, %s before", got, want)
	}
	visit(t, n, "c", people, "three")
	waitIdle(t, n)
	if size, _ := n.AudienceSize(0); size != people {
		t.Errorf("%d regulars, want %d", size, people)
	}
	entered := 0
	for id, a := range activations(t, n) {
		if strings.HasPrefix(a, "regulars enter") {
			entered++
		} else if out[id] == "" && !strings.HasPrefix(a, "seen event") {
			t.Errorf("what is %s?", a)
		}
	}
	if entered != people {
		t.Errorf("%d entered, want %d", entered, people)
	}
}

func hashes(n *Node) string { return hashesOf(n.Status(true)) }

func hashesOf(st *status.Status) string {
	var b strings.Builder
	for _, s := range st.Shards {
		b.WriteString(s.Hash + " ")
	}
	return b.String()
}

// A directory that lost its log and snapshots while Kafka remembers that all was consumed: the shards say where they are, and the
// streams begin there, without waiting for another event. What was published is not published again.
func TestShardsLostKafkaKept(t *testing.T) {
	settings := testSettings(t, t.TempDir())
	n := openNode(t, settings)
	visit(t, n, "a", 30, "x")
	visit(t, n, "b", 30, "x")
	waitIdle(t, n)
	want := hashes(n)
	until(t, "offsets durable", func() bool {
		for _, s := range n.Status(false).Kafka.Streams {
			if s.Durable != s.Read {
				return false
			}
		}
		return true
	})
	closeNode(t, n)
	if err := os.RemoveAll(filepath.Join(settings.Data, "shards")); err != nil {
		t.Fatal(err)
	}
	n = openNode(t, settings)
	waitIdle(t, n)
	if got := hashes(n); got != want {
		t.Errorf("hashes %s, want %s", got, want)
	}
	visit(t, n, "c", 30, "x")
	waitIdle(t, n)
	if out := activations(t, n); len(out) != 30*4 {
		t.Errorf("%d activations, want %d", len(out), 30*4)
	}
}

// Garbage goes to the dead topic once each, whatever is read again.
func TestGarbageIsCountedOnce(t *testing.T) {
	n := openNode(t, testSettings(t, t.TempDir()))
	messages := []kafka.Message{{Value: []byte("{")}, {Value: nil}, {Value: []byte(`{"type":"track","event":"Visit"}`)}}
	if err := n.kafka.producer.Produce(testContext(t), "", messages); err != nil {
		t.Fatal(err)
	}
	visit(t, n, "a", 5, "x")
	waitIdle(t, n)
	for _, in := range n.intake.all() { // as after a gap
		in.mu.Lock()
		in.failAll()
		in.mu.Unlock()
	}
	until(t, "a rewind", func() bool { return n.intake.counts.resent.Load() >= 2 })
	visit(t, n, "b", 5, "x")
	waitIdle(t, n)
	st := n.Status(false)
	if st.Events.Applied != 10 || st.Events.Consumed != 13 {
		t.Errorf("events %+v", st.Events)
	}
	if r := st.Events.Rejected; r["malformed"] != 2 || r["no_identifier"] != 1 {
		t.Errorf("rejected %v", r)
	}
	letters := map[string]int{}
	done := errors.New("done")
	err := kafka.Tail(testContext(t), n.KafkaSettings(), n.settings.Kafka.Dead, kafka.TailFrom{Start: true}, func(_ int32, r *kafka.Record) error {
		for _, h := range r.Headers {
			if h.Key == kafka.HeaderReason {
				letters[string(h.Value)]++
			}
		}
		if letters["malformed"]+letters["no_identifier"] == 3 {
			return done
		}
		return nil
	})
	if !errors.Is(err, done) {
		t.Fatal(err)
	}
}

// A memory limit stops intake, not look-ups, and says why; with a higher one everything comes in, once.
func TestMemoryLimitHoldsBack(t *testing.T) {
	settings := testSettings(t, t.TempDir())
	n := openNode(t, settings)
	visit(t, n, "a", 10, "x")
	waitIdle(t, n)
	closeNode(t, n)

	tight := settings
	tight.Limits.MemoryBytes = 1
	n = openNode(t, tight)
	visit(t, n, "b", 10, "x")
	until(t, "held back", func() bool { return strings.Contains(n.Status(false).Events.HeldBack, "limits.memory_bytes") })
	if st := n.Status(false); len(st.Trouble) == 0 || st.Events.Applied != 10 {
		t.Errorf("applied %d, trouble %q", st.Events.Applied, st.Trouble)
	}
	if p := profileOf(n, "u3"); !strings.Contains(p, `"visits":1`) {
		t.Errorf("profile %s", p)
	}
	closeNode(t, n)

	n = openNode(t, settings)
	waitIdle(t, n)
	if st := n.Status(false); st.Events.Applied != 20 || st.Events.HeldBack != "" {
		t.Errorf("events %+v", st.Events)
	}
	if p := profileOf(n, "u3"); !strings.Contains(p, `"visits":2`) {
		t.Errorf("profile %s", p)
	}
}

// Activations that Kafka does not take fill the outbox, which holds the intake back. Later they leave, once and in order.
func TestFullOutboxHoldsBack(t *testing.T) {
	settings := testSettings(t, t.TempDir())
	settings.Limits.OutboxBytes = 16 << 10
	n := openNode(t, settings)
	const rounds, people = 12, 40
	visit(t, n, "r0", people, strings.Repeat("long ", 20))
	waitIdle(t, n)
	n.kafka.outlets.Close() // from now on nothing leaves
	for i := 1; i < rounds; i++ {
		visit(t, n, fmt.Sprint("r", i), people, strings.Repeat("long ", 20))
	}
	until(t, "held back", func() bool { return strings.Contains(n.Status(false).Events.HeldBack, "outbox") })
	if !testing.Short() { // it takes publishPatience
		until(t, "the publisher's trouble", func() bool { return len(n.Status(false).Trouble) == 2 })
	}
	st := n.Status(false)
	if st.Events.Applied >= rounds*people {
		t.Errorf("applied %d", st.Events.Applied)
	}
	for _, s := range st.Shards {
		if s.OutboxBytes > settings.Limits.OutboxBytes+(256*2*600) {
			t.Errorf("outbox of %d bytes", s.OutboxBytes)
		}
	}
	closeNode(t, n)

	n = openNode(t, settings)
	waitIdle(t, n)
	if st := n.Status(false); st.Events.Applied != rounds*people || st.Activations.Waiting != 0 || len(st.Trouble) > 0 {
		t.Errorf("events %+v, activations %+v, trouble %q", st.Events, st.Activations, st.Trouble)
	}
	if out := activations(t, n); len(out) != rounds*people+people {
		t.Errorf("%d activations, want %d", len(out), rounds*people+people)
	}
}

// While Kafka is away look-ups go on and the status says so; when it comes back everything goes on, once.
func TestKafkaGoesAndComes(t *testing.T) {
	dir := t.TempDir()
	broker := func(addr string) *kafka.Broker {
		b, err := kafka.OpenBroker(kafka.BrokerSettings{Addr: addr, Dir: dir, Partitions: 2})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { b.Close() })
		return b
	}
	b := broker(freePorts(t, 1)[0])
	settings := testSettings(t, t.TempDir())
	settings.Kafka.Embedded.Listen, settings.Kafka.Brokers = "", []string{b.Addr()}
	n := openNode(t, settings)
	visit(t, n, "a", 10, "x")
	waitIdle(t, n)
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	until(t, "trouble", func() bool { return strings.Contains(strings.Join(n.Status(false).Trouble, " "), "input: ") })
	if p := profileOf(n, "u3"); !strings.Contains(p, `"visits":1`) {
		t.Errorf("profile %s", p)
	}
	broker(b.Addr())
	visit(t, n, "b", 10, "x")
	waitIdle(t, n)
	until(t, "no trouble", func() bool { return len(n.Status(false).Trouble) == 0 })
	if out := activations(t, n); len(out) != 20 {
		t.Errorf("%d activations, want 20", len(out))
	}
}

// What Open refuses, it says; and what it had opened is closed, so that the next try works.
func TestOpenRefuses(t *testing.T) {
	base := testSettings(t, t.TempDir())
	f := func(want string, change func(*settings.Settings)) {
		t.Helper()
		s := base
		change(&s)
		n, err := Open(testContext(t), s, testOptions())
		if err == nil {
			closeNode(t, n)
			t.Errorf("opened, want %q", want)
		} else if !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
	decoder := func(d string) func(*settings.Settings) {
		return func(s *settings.Settings) { s.Kafka.Inputs = []settings.Input{{Topic: "dashi.events", Decoder: d}} }
	}
	f(`no recipe has a mapping "orders"`, decoder("mapping:orders"))
	f(`decoder: "avro" is unknown`, decoder("avro"))
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	f("cannot listen", func(s *settings.Settings) { s.HTTP.Listen = taken.Addr().String() })
	f("belongs to cluster", func(s *settings.Settings) { s.Shards = 4 })
	n := openNode(t, base)
	f(base.Data, func(*settings.Settings) {}) // two nodes on one directory
	visit(t, n, "a", 3, "x")
	waitIdle(t, n)
}

// A node without the RESP door has no address there.
func TestClosedRESPDoor(t *testing.T) {
	settings := testSettings(t, t.TempDir())
	settings.RESP.Listen = ""
	n := openNode(t, settings)
	if addr := n.RESPAddr(); addr != "" {
		t.Errorf("address %q", addr)
	}
}

// A node on this machine is asked as localhost, by an address, or by a name in its settings.
func TestHostNames(t *testing.T) {
	s := testSettings(t, t.TempDir())
	s.HTTP.Hosts, s.Node.Advertise = []string{"dashi.example.com"}, "shop-1:7071"
	n := openNode(t, s)
	_, port, _ := net.SplitHostPort(n.HTTPAddr())
	for host, want := range map[string]int{"localhost": 200, "127.0.0.1": 200, "dashi.example.com": 200, "shop-1": 200, "evil.example": 421} {
		r, err := http.NewRequest("GET", "http://"+n.HTTPAddr()+"/v1/audiences", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Host = net.JoinHostPort(host, port)
		w, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		w.Body.Close()
		if w.StatusCode != want {
			t.Errorf("%s: %s, want %d", r.Host, w.Status, want)
		}
	}
}

// Whoever asks while the node ends gets an answer, and nothing breaks.
func TestReadersWhileClosing(t *testing.T) {
	n := openNode(t, testSettings(t, t.TempDir()))
	visit(t, n, "a", 50, "x")
	waitIdle(t, n)
	stop := make(chan struct{})
	var readers sync.WaitGroup
	for range 4 {
		readers.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				profileOf(n, "u3")
				n.AudienceSize(0)
				n.Status(true)
				_, _ = n.Query(context.Background(), httpapi.Query{Where: "visits > 0", Limit: 5}, func(v *shard.View) { v.AppendJSON(nil) })
				_, _ = n.Query(context.Background(), httpapi.Query{Where: "!regulars", Limit: 5}, func(v *shard.View) { v.AppendJSON(nil) })
				_, _, _ = n.Members(context.Background(), 0, Cursor{}, func(v *shard.View) bool { v.AppendJSON(nil); return true })
			}
		})
	}
	closeNode(t, n)
	close(stop)
	readers.Wait()
}
