package webhook

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"dashi/pipeline/activation"
	"dashi/pipeline/kafka"
)

const testSecret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"

// record is an activation as the shards write it.
func record(offset int64, person, audience string, transition activation.Transition) kafka.Record {
	a := activation.Activation{Subject: activation.NewSubject(audience, audience, transition),
		Identifiers: []activation.Identifier{{Namespace: "user_id", Value: []byte(person)}}, Sequence: uint32(offset), EventTime: offset, At: offset}
	return kafka.Record{Offset: offset, Millis: 1772359200000 + offset, Key: a.AppendProfile(nil), Value: a.AppendJSON(nil)}
}

// enters is n records from an offset on.
func enters(from, n int) (all []kafka.Record) {
	for i := range n {
		all = append(all, record(int64(from+i), fmt.Sprintf("u%d", (from+i)%7), "vip", activation.Enter))
	}
	return all
}

// endpoint is a receiver that keeps what it takes.
type endpoint struct {
	*httptest.Server
	t testing.TB

	mu       sync.Mutex
	requests int
	sizes    []int            // of the batches that it took
	taken    map[string][]int // sequences, by profile, in order of arrival
	ids      map[string]int   // activation id to how often
	bodies   map[string]string
	answer   func(request int, data []delivered) (status int, header map[string]string) // nil: 200
}

// delivered is one activation.
type delivered struct {
	ID, Profile, Audience, Transition string
	Sequence                          int
}

func newEndpoint(t testing.TB) *endpoint {
	e := &endpoint{t: t, taken: map[string][]int{}, ids: map[string]int{}, bodies: map[string]string{}}
	e.Server = httptest.NewServer(e)
	t.Cleanup(e.Close)
	return e
}

func (e *endpoint) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // the sender gave up in the middle: what is not whole was not sent
	}
	if err := verify(testSecret, r.Header, body); err != nil || r.Method != "POST" || r.Header.Get("Content-Type") != "application/json" {
		e.t.Errorf("%s %v: %v", r.Method, r.Header, err)
	}
	var m struct {
		Type      string
		Timestamp time.Time
		Data      []delivered
	}
	if err := json.Unmarshal(body, &m); err != nil || m.Type != "dashi.activations" || len(m.Data) == 0 || m.Timestamp.IsZero() {
		e.t.Errorf("%v: %s", err, body)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	id := r.Header.Get("webhook-id")
	if was, ok := e.bodies[id]; ok && was != string(body) {
		e.t.Errorf("%s has another body than before", id)
	}
	if len(m.Data) == 1 && id != m.Data[0].ID {
		e.t.Errorf("id %q of a request with %q", id, m.Data[0].ID)
	}
	e.bodies[id] = string(body)
	e.requests++
	if e.answer != nil {
		status, header := e.answer(e.requests, m.Data)
		for k, v := range header {
			w.Header().Set(k, v)
		}
		if w.WriteHeader(status); status/100 != 2 {
			fmt.Fprint(w, "because")
			return
		}
	}
	e.sizes = append(e.sizes, len(m.Data))
	for _, d := range m.Data {
		if e.ids[d.ID]++; e.ids[d.ID] == 1 {
			e.taken[d.Profile] = append(e.taken[d.Profile], d.Sequence)
		}
	}
}

func (e *endpoint) count() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return len(e.ids)
}

// ordered says whether the activations of each profile came in order.
func (e *endpoint) ordered() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, sequences := range e.taken {
		if !slices.IsSorted(sequences) {
			return false
		}
	}
	return true
}

// source is a Source that remembers what it is told.
type source struct {
	mu      sync.Mutex
	commits map[kafka.Stream]int64
	paused  map[kafka.Stream]bool
	resumed map[kafka.Stream]int64
	pauses  int
	trouble error
}

func newSource() *source {
	return &source{commits: map[kafka.Stream]int64{}, paused: map[kafka.Stream]bool{}, resumed: map[kafka.Stream]int64{}}
}

func (s *source) Run(ctx context.Context) error      { <-ctx.Done(); return nil }
func (s *source) Lag(context.Context) (int64, error) { return 0, nil }
func (s *source) Status() (_ map[kafka.Stream]int64, err error) {
	s.with(func() { err = s.trouble })
	return nil, err
}
func (s *source) Committed() (n int) { s.with(func() { n = len(s.commits) }); return n }
func (s *source) with(f func())      { s.mu.Lock(); defer s.mu.Unlock(); f() }
func (s *source) Commit(p kafka.Stream, next int64) {
	s.with(func() { s.commits[p] = max(s.commits[p], next) })
}
func (s *source) Pause(p kafka.Stream) { s.with(func() { s.paused[p] = true; s.pauses++ }) }
func (s *source) Resume(p kafka.Stream, next int64) {
	s.with(func() { s.paused[p], s.resumed[p] = false, next })
}
func (s *source) committed(p kafka.Stream) (next int64) {
	s.with(func() { next = s.commits[p] })
	return next
}
func (s *source) isPaused(p kafka.Stream) (is bool, upTo int64) {
	s.with(func() { is, upTo = s.paused[p], s.resumed[p] })
	return is, upTo
}

// letters is a Dead.
type letters struct {
	mu   sync.Mutex
	fail int // so many writes
	all  []kafka.DeadLetter
}

func (l *letters) Write(_ context.Context, more []kafka.DeadLetter) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.fail > 0 {
		l.fail--
		return errors.New("not now")
	}
	l.all = append(l.all, more...)
	return nil
}

func partition(n int32) kafka.Stream {
	return kafka.Stream{Topic: [16]byte{1}, Name: "out", Partition: n}
}

// openSink is a sink of an endpoint with the given partitions.
func openSink(t testing.TB, e *endpoint, change func(*Settings), partitions ...int32) (*Sink, *source, *letters) {
	t.Helper()
	secrets, err := ParseSecrets(testSecret)
	if err != nil {
		t.Fatal(err)
	}
	settings := Settings{Name: "crm", URL: e.URL, Secrets: secrets, RetryFirst: time.Millisecond, RetryMost: 20 * time.Millisecond}
	if change != nil {
		change(&settings)
	}
	if errs := settings.Check(); errs != nil {
		t.Fatal(errs)
	}
	dead, src := &letters{}, newSource()
	s := newSink(settings, dead, nil)
	s.source = src
	var streams []kafka.Stream
	for _, p := range partitions {
		streams = append(streams, partition(p))
	}
	s.Assigned(streams, make([]int64, len(streams)))
	t.Cleanup(func() { s.Revoked(streams) })
	return s, src, dead
}

func until(t testing.TB, what string, done func() bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(30 * time.Second); !done(); <-tick.C {
		if time.Now().After(end) {
			t.Fatalf("timeout: %s", what)
		}
	}
}

// What fails is tried again with the same id and body, in order, and is committed when it was taken, not before.
func TestFailuresAreTriedAgain(t *testing.T) {
	e := newEndpoint(t)
	var heal atomic.Bool
	e.answer = func(request int, _ []delivered) (int, map[string]string) {
		if !heal.Load() {
			return []int{500, 503, 408, 429, 302}[request%5], nil
		}
		return 204, nil
	}
	s, src, dead := openSink(t, e, func(s *Settings) { s.Batch = 10 }, 0)
	s.Records(t.Context(), partition(0), -1, 99, enters(0, 100))
	until(t, "tries", func() bool { return s.retries.Load() > 10 })
	if e.count() != 0 || src.committed(partition(0)) != 0 {
		t.Errorf("%d taken, %d committed by an endpoint that takes nothing", e.count(), src.committed(partition(0)))
	}
	heal.Store(true)
	until(t, "all", func() bool { return src.committed(partition(0)) == 100 })
	if e.count() != 100 || !e.ordered() || len(dead.all) != 0 || s.sent.Load() != 100 {
		t.Errorf("%d taken (%d counted), ordered: %v, %d dead", e.count(), s.sent.Load(), e.ordered(), len(dead.all))
	}
	if slices.Max(e.sizes) != 10 || len(e.sizes) != 10 {
		t.Errorf("batches of %d", e.sizes)
	}
}

// An endpoint that is not there, and one that hangs, are waited for.
func TestDeadAndHangingEndpoints(t *testing.T) {
	e := newEndpoint(t)
	e.Close()
	s, src, _ := openSink(t, e, nil, 0)
	s.Records(t.Context(), partition(0), -1, 4, enters(0, 5))
	until(t, "tries", func() bool { return s.retries.Load() > 3 })

	hang := make(chan struct{})
	slow := newEndpoint(t)
	slow.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		select {
		case <-hang:
			slow.ServeHTTP(w, r)
		default:
			_, _ = io.Copy(io.Discard, r.Body)
			select {
			case <-hang:
			case <-r.Context().Done():
			}
		}
	})
	s2, src2, _ := openSink(t, slow, func(s *Settings) { s.Timeout = 50 * time.Millisecond }, 0)
	s2.Records(t.Context(), partition(0), -1, 4, enters(0, 5))
	until(t, "time-outs", func() bool { return s2.retries.Load() > 2 })
	if f := s2.queues[partition(0)].failing.Load(); f == nil || !strings.Contains(f.text, "no answer within 50ms") {
		t.Errorf("%+v", f)
	}
	close(hang)
	until(t, "all", func() bool { return src2.committed(partition(0)) == 5 })
	if src.committed(partition(0)) != 0 || slow.count() != 5 {
		t.Errorf("%d committed of the dead one, %d taken by the other", src.committed(partition(0)), slow.count())
	}
}

// While an endpoint asks to be left alone, none of its partitions asks again.
func TestRetryAfterHoldsAllPartitions(t *testing.T) {
	e := newEndpoint(t)
	asked := make(chan time.Time, 1)
	e.answer = func(request int, _ []delivered) (int, map[string]string) {
		if request == 1 {
			asked <- time.Now()
			return 429, map[string]string{"Retry-After": "1"}
		}
		return 200, nil
	}
	s, src, _ := openSink(t, e, nil, 0, 1)
	s.Records(t.Context(), partition(0), -1, 0, enters(0, 1))
	begun := <-asked
	until(t, "it is known", func() bool { return s.until.Load() > 0 }) // be it over already
	s.Records(t.Context(), partition(1), -1, 0, enters(0, 1))
	until(t, "both", func() bool { return src.committed(partition(0)) == 1 && src.committed(partition(1)) == 1 })
	if d := time.Since(begun); d < time.Second || e.requests != 3 {
		t.Errorf("%d requests, the last after %s", e.requests, d)
	}
}

// Of a batch that is refused, only the one at fault goes to the dead topic, and the order of the others stays.
func TestWhatIsRefusedIsFound(t *testing.T) {
	e := newEndpoint(t)
	e.answer = func(_ int, data []delivered) (int, map[string]string) {
		if slices.ContainsFunc(data, func(d delivered) bool { return d.Sequence == 37 }) {
			return 422, nil
		}
		return 200, nil
	}
	s, src, dead := openSink(t, e, nil, 0)
	dead.fail = 1 // Kafka is away for once
	s.Records(t.Context(), partition(0), -1, 99, enters(0, 100))
	until(t, "all", func() bool { return src.committed(partition(0)) == 100 })
	if e.count() != 99 || !e.ordered() || len(dead.all) != 1 {
		t.Fatalf("%d taken, %d dead", e.count(), len(dead.all))
	}
	l := dead.all[0]
	if l.Offset != 37 || l.Sink != "crm" || l.Reason != ReasonRefused || !strings.Contains(l.Detail, "422") || !strings.Contains(l.Detail, "because") || l.Stream != partition(0) ||
		string(l.Value) != string(enters(37, 1)[0].Value) || string(l.Key) != "user_id:u2" {
		t.Errorf("%+v", l)
	}
}

// A refusal of everything is not searched for a culprit.
func TestARefusalOfAllIsOne(t *testing.T) {
	e := newEndpoint(t)
	e.answer = func(int, []delivered) (int, map[string]string) { return 401, nil }
	s, src, dead := openSink(t, e, nil, 0)
	s.Records(t.Context(), partition(0), -1, 99, enters(0, 100))
	until(t, "all", func() bool { return src.committed(partition(0)) == 100 })
	if e.requests != 1 || len(dead.all) != 100 || s.buried.Load() != 100 {
		t.Errorf("%d requests, %d dead", e.requests, len(dead.all))
	}
}

// After give_up an activation goes to the dead topic, and the later ones have their turn.
func TestGivingUp(t *testing.T) {
	e := newEndpoint(t)
	e.answer = func(_ int, data []delivered) (int, map[string]string) {
		if data[0].Sequence == 0 {
			return 500, nil
		}
		return 200, nil
	}
	s, src, dead := openSink(t, e, func(s *Settings) { s.Batch, s.GiveUp = 1, 30*time.Millisecond }, 0)
	s.Records(t.Context(), partition(0), -1, 2, enters(0, 3))
	until(t, "all", func() bool { return src.committed(partition(0)) == 3 })
	if len(dead.all) != 1 || dead.all[0].Reason != ReasonGaveUp || !strings.Contains(dead.all[0].Detail, "the last: 500") || e.count() != 2 {
		t.Errorf("%+v, %d taken", dead.all, e.count())
	}
}

// What is not for the endpoint is passed over and committed; an erasure is for every endpoint.
func TestChoosing(t *testing.T) {
	e := newEndpoint(t)
	s, src, _ := openSink(t, e, func(s *Settings) { s.Audiences, s.Activations = []string{"vip"}, []string{"welcome"} }, 0)
	s.Records(t.Context(), partition(0), -1, 8, []kafka.Record{
		record(0, "u1", "other", activation.Enter), record(1, "u1", "vip", activation.Enter), record(2, "u1", "other", activation.Event),
		record(3, "u1", "welcome", activation.Event), record(4, "u1", "vip", activation.Exit), record(5, "u1", "erased", activation.Erased),
		record(6, "u1", "vip", activation.Change), record(7, "u1", "merged", activation.Merged), {Offset: 8, Value: []byte("no activation")},
	})
	until(t, "all", func() bool { return src.committed(partition(0)) == 9 })
	if got := e.taken["user_id:u1"]; !slices.Equal(got, []int{1, 3, 4, 5}) {
		t.Errorf("%v", got)
	}
	s.Records(t.Context(), partition(0), 8, 20, []kafka.Record{record(20, "u1", "other", activation.Enter)})
	if got := src.committed(partition(0)); got != 21 {
		t.Errorf("%d committed where nothing is for the endpoint", got)
	}
	if s.settings.Audiences, s.settings.Activations = nil, nil; s.settings.wants([]byte("no activation")) || !s.settings.wants(enters(0, 1)[0].Value) {
		t.Error("without a choice, everything that dashi wrote is for the endpoint, and nothing else")
	}
}

// The memory of an endpoint that takes nothing is bounded, and what it was not handed comes when it is well again.
func TestAFullQueueIsPaused(t *testing.T) {
	e := newEndpoint(t)
	var heal atomic.Bool
	e.answer = func(int, []delivered) (int, map[string]string) {
		if heal.Load() {
			return 200, nil
		}
		return 500, nil
	}
	s, src, _ := openSink(t, e, nil, 0)
	sent := 0
	for paused := false; !paused; paused, _ = src.isPaused(partition(0)) {
		s.Records(t.Context(), partition(0), int64(sent)-1, int64(sent)+99, enters(sent, 100))
		sent += 100
	}
	q := s.queues[partition(0)]
	q.mu.Lock()
	bytes := q.bytes
	q.mu.Unlock()
	if bytes > queueBytes+100*400 || sent < 500 {
		t.Errorf("%d bytes wait of %d activations", bytes, sent)
	}
	heal.Store(true)
	until(t, "it is resumed behind the last", func() bool { paused, at := src.isPaused(partition(0)); return !paused && at == int64(sent) })
	until(t, "all", func() bool { return src.committed(partition(0)) == int64(sent) })
	if st := s.Status(); st.Waiting != 0 || st.Sent != uint64(sent) || q.bytes != 0 || src.pauses != 1 {
		t.Errorf("%+v, %d bytes, %d pauses", st, q.bytes, src.pauses)
	}
}

// When a partition goes away, what is under way may still be answered; what is not, is left to the next node.
func TestRevoked(t *testing.T) {
	e := newEndpoint(t)
	var s *Sink
	revoking := make(chan struct{})
	e.answer = func(int, []delivered) (int, map[string]string) {
		<-revoking
		return 200, nil
	}
	s, src, _ := openSink(t, e, func(s *Settings) { s.Batch = 2 }, 0)
	s.Records(t.Context(), partition(0), -1, 3, enters(0, 4))
	until(t, "a request", func() bool { return e.begun() })
	q := s.queues[partition(0)]
	go func() { <-q.quit; close(revoking) }()
	s.Revoked([]kafka.Stream{partition(0)})
	if e.count() != 2 || src.committed(partition(0)) != 2 {
		t.Errorf("%d taken, %d committed", e.count(), src.committed(partition(0)))
	}
	s.Records(t.Context(), partition(0), 3, 4, enters(4, 1)) // too late: nobody takes it
	if e.count() != 2 {
		t.Errorf("%d taken", e.count())
	}
}

// begun says whether a request has come; it may be under way.
func (e *endpoint) begun() bool {
	if !e.mu.TryLock() {
		return true
	}
	defer e.mu.Unlock()
	return e.requests > 0
}

// An endpoint whose topic may not be read says so.
func TestTroubleOfTheSourceShows(t *testing.T) {
	s, src, _ := openSink(t, newEndpoint(t), nil)
	src.with(func() { src.trouble = errors.New("TOPIC_AUTHORIZATION_FAILED") })
	if got, want := s.Status().Trouble, "because the activations cannot be read: TOPIC_AUTHORIZATION_FAILED"; got != want {
		t.Errorf("trouble %q, want %q", got, want)
	}
	src.with(func() { src.trouble = nil })
	if got := s.Status().Trouble; got != "" {
		t.Errorf("trouble %q is over", got)
	}
}
