package kafka

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

func sourceSettings(b *Broker, topics ...string) SourceSettings {
	return SourceSettings{Settings: b.Settings(), Topics: topics}
}

func admin(t testing.TB, settings Settings) *kadm.Client {
	t.Helper()
	client, err := settings.client()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	return kadm.NewClient(client)
}

// TestSourceCommitsOnlyWhatItIsTold is I2: what was handed over and not committed is read again.
func TestSourceCommitsOnlyWhatItIsTold(t *testing.T) {
	t.Parallel()
	b := openBroker(t, "", Topic{Name: "a", Partitions: 3}, Topic{Name: "b", Partitions: 1})
	produce(t, openProducer(t, b.Settings(), "a"), 0, 500)
	produce(t, openProducer(t, b.Settings(), "b"), 500, 100)

	h := newRecorder(t)
	s, stop := runSource(t, sourceSettings(b, "a", "b"), h)
	h.wait("all records", func() bool { return h.count() == 600 })
	if got, want := h.all(), numbered(0, 600); !slices.Equal(got, want) {
		t.Errorf("got %v", got)
	}
	if got := committed(t, b.Settings(), "dashi", "a"); len(got) != 0 {
		t.Errorf("committed %v, nothing was asked for", got)
	}
	ends, err := s.EndOffsets(testContext(t))
	if err != nil {
		t.Fatal(err)
	}
	next, trouble := s.Status()
	if len(ends) != 4 || fmt.Sprint(next) != fmt.Sprint(ends) || trouble != nil {
		t.Errorf("next %v, ends %v, trouble %v", next, ends, trouble)
	}
	for stream, end := range ends {
		if stream.Name == "a" {
			s.Commit(stream, end-10)
		}
		s.Commit(stream, 1) // less than before does nothing
	}
	deadline := time.Now().Add(testTimeout)
	for time.Now().Before(deadline) && len(committed(t, b.Settings(), "dashi", "a")) < 3 {
	}
	stop()
	h2 := newRecorder(t)
	_, stop = runSource(t, sourceSettings(b, "a", "b"), h2)
	h2.wait("the rest", func() bool { return h2.count() == 30+99 })
	stop()
}

// TestSourceCommitsWhenItEnds: the last offsets are not lost to the interval.
func TestSourceCommitsWhenItEnds(t *testing.T) {
	t.Parallel()
	b := openBroker(t, "", Topic{Name: "a", Partitions: 3})
	produce(t, openProducer(t, b.Settings(), "a"), 0, 100)
	h := newRecorder(t)
	settings := sourceSettings(b, "a")
	settings.CommitInterval = time.Hour
	s, stop := runSource(t, settings, h)
	h.wait("records", func() bool { return h.count() == 100 })
	ends, err := s.EndOffsets(testContext(t))
	if err != nil {
		t.Fatal(err)
	}
	for stream, end := range ends {
		s.Commit(stream, end)
	}
	stop()
	for p, at := range committed(t, b.Settings(), "dashi", "a") {
		if at == 0 {
			t.Errorf("partition %d committed at 0", p)
		}
	}
	if n := len(committed(t, b.Settings(), "dashi", "a")); n != 3 {
		t.Errorf("%d partitions committed", n)
	}
}

// TestSourceSince: a group without offsets begins at an instant, also in a partition that is new to it; one that has committed goes on there.
func TestSourceSince(t *testing.T) {
	t.Parallel()
	b := openBroker(t, "", Topic{Name: "a", Partitions: 3})
	p := openProducer(t, b.Settings(), "a")
	produce(t, p, 0, 50) // of the milliseconds 1000 to 1049
	h := newRecorder(t)
	settings := sourceSettings(b, "a")
	settings.Since = time.UnixMilli(1040)
	s, stop := runSource(t, settings, h)
	h.wait("the last ten", func() bool { return h.count() == 10 })
	produce(t, p, 50, 10)
	h.wait("what came", func() bool { return h.count() == 20 })
	if got := h.all(); !slices.Equal(got, numbered(40, 20)) {
		t.Errorf("%q", got)
	}
	next, _ := s.Status()
	for stream, at := range next {
		s.Commit(stream, at)
	}
	deadline := time.Now().Add(testTimeout)
	for lag := int64(-1); lag != 0 && time.Now().Before(deadline); {
		lag, _ = s.Lag(testContext(t))
	}
	stop()
	produce(t, p, 60, 10)
	settings.Since = time.UnixMilli(1065)
	h = newRecorder(t)
	s, stop = runSource(t, settings, h)
	h.wait("what came meanwhile", func() bool { return h.count() == 10 })
	if lag, err := s.Lag(testContext(t)); lag != 10 || err != nil {
		t.Errorf("lag %d: %v", lag, err)
	}
	stop()
}

// TestSourceFirstCommit: where a stream begins is committed at once when the handler asks for it, or a group that begins at an instant would decide anew.
func TestSourceFirstCommit(t *testing.T) {
	t.Parallel()
	b := openBroker(t, "", Topic{Name: "a", Partitions: 3})
	settings := sourceSettings(b, "a")
	settings.CommitInterval = time.Hour
	h := &beginner{recorder: newRecorder(t)}
	var err error
	if h.source, err = NewSource(SourceSettings{Settings: settings.Settings, Group: "dashi", Topics: settings.Topics, CommitInterval: settings.CommitInterval}, h); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(testContext(t))
	done := make(chan error, 1)
	go func() { done <- h.source.Run(ctx) }()
	h.wait("all are committed", func() bool { return h.source.Committed() == 3 })
	if n := len(committed(t, b.Settings(), "dashi", "a")); n != 3 {
		t.Errorf("%d partitions committed", n)
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// beginner commits where its streams begin.
type beginner struct {
	*recorder
	source *Source
}

func (b *beginner) Assigned(streams []Stream, next []int64) {
	b.recorder.Assigned(streams, next)
	for i, s := range streams {
		b.source.Commit(s, next[i])
	}
}

func TestSourceSeek(t *testing.T) {
	t.Parallel()
	b := openBroker(t, "", Topic{Name: "a", Partitions: 1})
	produce(t, openProducer(t, b.Settings(), "a"), 0, 100)
	h := newRecorder(t)
	s, _ := runSource(t, sourceSettings(b, "a"), h)
	h.wait("records", func() bool { return h.count() == 100 })
	next, _ := s.Status()
	for stream := range next {
		h.mu.Lock()
		h.next[stream] = 40
		h.mu.Unlock()
		s.Seek(stream, 40) // while it waits for records
		h.wait("records again", func() bool { return h.count() == 160 })
		h.mu.Lock()
		if h.values[stream][100] != "v40" {
			t.Errorf("continues with %s", h.values[stream][100])
		}
		h.mu.Unlock()
		s.Seek(Stream{Name: "other"}, 7)
	}
	produce(t, openProducer(t, b.Settings(), "a"), 100, 1)
	h.wait("the next", func() bool { return h.count() == 161 })
}

// A stream that is paused stays where it is, whatever comes; the others go on. Resumed, it goes on where it is told.
func TestSourcePause(t *testing.T) {
	t.Parallel()
	b := openBroker(t, "", Topic{Name: "a", Partitions: 2})
	h := newRecorder(t)
	s, _ := runSource(t, sourceSettings(b, "a"), h)
	h.wait("both partitions", func() bool { next, _ := s.Status(); return len(next) == 2 })
	p := openProducer(t, b.Settings(), "a")
	first := Stream{}
	produce(t, p, 0, 100)
	h.wait("records", func() bool { return h.count() == 100 })
	next, _ := s.Status()
	for stream := range next {
		if stream.Partition == 0 {
			first = stream
		}
	}
	had := next[first]
	s.Pause(first)
	s.Pause(Stream{Name: "other"})
	produce(t, p, 100, 100)
	end, err := s.EndOffsets(testContext(t))
	if err != nil {
		t.Fatal(err)
	}
	h.wait("those of the other", func() bool { return h.count() == 200-int(end[first]-had) })
	if now, _ := s.Status(); now[first] != had || had == end[first] {
		t.Errorf("the paused stream is at %d, was at %d, ends at %d", now[first], had, end[first])
	}
	h.mu.Lock()
	h.next[first] = had - 1
	h.mu.Unlock()
	s.Resume(first, had-1)
	h.wait("all of them, one again", func() bool { return h.count() == 201 })
}

// TestSourceSeekWhileReading drops what is on its way: each time the handler refuses, it gets the same records again.
func TestSourceSeekWhileReading(t *testing.T) {
	t.Parallel()
	b := openBroker(t, "", Topic{Name: "a", Partitions: 2})
	produce(t, openProducer(t, b.Settings(), "a"), 0, 2000)
	h := &refuser{recorder: newRecorder(t), refused: make(map[Stream]int)}
	s, err := NewSource(SourceSettings{Settings: b.Settings(), Group: "dashi", Topics: []string{"a"}}, h)
	if err != nil {
		t.Fatal(err)
	}
	h.source = s
	ctx, cancel := context.WithCancel(testContext(t))
	done := make(chan error)
	go func() { done <- s.Run(ctx) }()
	h.wait("records", func() bool { return h.count() >= 2000 })
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if got, want := h.all(), numbered(0, 2000); !slices.Equal(got, want) {
		t.Errorf("%d values, want each once", len(got))
	}
}

// refuser answers "gap, resend" to its first batches.
type refuser struct {
	*recorder
	source  *Source
	refused map[Stream]int
}

func (r *refuser) Records(ctx context.Context, s Stream, prev, last int64, records []Record) {
	if r.refused[s]++; r.refused[s] < 4 {
		r.source.Seek(s, prev+1)
		return
	}
	r.recorder.Records(ctx, s, prev, last, records)
}

// TestSourceRebalance: members come and go; each record is handed over at least once, and what was committed not again.
func TestSourceRebalance(t *testing.T) {
	t.Parallel()
	b := openBroker(t, "", Topic{Name: "a", Partitions: 4})
	p := openProducer(t, b.Settings(), "a")
	produce(t, p, 0, 400)
	settings := sourceSettings(b, "a")
	one := &committer{recorder: newRecorder(t)}
	one.source, _ = runSource(t, settings, one)
	one.wait("all partitions", func() bool { return len(one.next) == 4 && one.count() == 400 })
	two := &committer{recorder: newRecorder(t)}
	var stop func()
	two.source, stop = runSource(t, settings, two)
	two.wait("half of them", func() bool { return len(two.next) == 2 })
	one.wait("half of them", func() bool { return len(one.next) == 2 })
	produce(t, p, 400, 400)
	one.wait("new records", func() bool {
		two.mu.Lock()
		defer two.mu.Unlock()
		return one.count()+two.count() == 800
	})
	stop()
	one.wait("all partitions again", func() bool { return len(one.next) == 4 })
	produce(t, p, 800, 200)
	one.wait("the rest", func() bool {
		two.mu.Lock()
		defer two.mu.Unlock()
		return one.count()+two.count() == 1000
	})
	all := append(one.all(), two.all()...)
	slices.Sort(all)
	if !slices.Equal(all, numbered(0, 1000)) {
		t.Errorf("%d values, want each once", len(all))
	}
}

// committer commits what it gets, at once.
type committer struct {
	*recorder
	source *Source
}

func (c *committer) Records(ctx context.Context, s Stream, prev, last int64, records []Record) {
	c.recorder.Records(ctx, s, prev, last, records)
	c.source.Commit(s, last+1)
}

// TestSourceTransactionMarkers: markers and aborted records at the end are no lag.
func TestSourceTransactionMarkers(t *testing.T) {
	t.Parallel()
	b := openBroker(t, "", Topic{Name: "a", Partitions: 1})
	settings := b.Settings()
	client, err := settings.client(kgo.TransactionalID("tx"), kgo.DefaultProduceTopic("a"))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	ctx := testContext(t)
	for i, end := range []kgo.TransactionEndTry{kgo.TryCommit, kgo.TryAbort} {
		if err := client.BeginTransaction(); err != nil {
			t.Fatal(err)
		}
		if err := client.ProduceSync(ctx, kgo.StringRecord(fmt.Sprint("v", i))).FirstErr(); err != nil {
			t.Fatal(err)
		}
		if err := client.EndTransaction(ctx, end); err != nil {
			t.Fatal(err)
		}
	}
	h := newRecorder(t)
	s, _ := runSource(t, sourceSettings(b, "a"), h)
	h.wait("the end", func() bool {
		ends, err := s.EndOffsets(ctx)
		if err != nil {
			return false
		}
		for stream, end := range ends {
			return end == 4 && h.next[stream] == end
		}
		return false
	})
	if got := h.all(); !slices.Equal(got, []string{"v0"}) {
		t.Errorf("got %v", got)
	}
}

// TestDeliverDoesNotAllocate: what the Source adds to the client costs no allocation per record or per fetch.
func TestDeliverDoesNotAllocate(t *testing.T) {
	c := &counter{want: 1 << 62}
	s, err := NewSource(SourceSettings{Settings: Settings{Brokers: []string{"nowhere"}}, Group: "g", Topics: []string{"a"}}, c)
	if err != nil {
		t.Fatal(err)
	}
	s.claims[Stream{Name: "a"}] = &claim{seek: -1}
	p := &kgo.FetchPartition{}
	for i := range 1000 {
		p.Records = append(p.Records, &kgo.Record{Offset: int64(i), Value: make([]byte, 10), Timestamp: time.UnixMilli(1)})
	}
	ctx := context.Background()
	s.deliver(ctx, "a", p)
	if n := testing.AllocsPerRun(100, func() { s.deliver(ctx, "a", p) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
