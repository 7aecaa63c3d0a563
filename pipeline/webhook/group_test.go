package webhook

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"dashi/pipeline/kafka"
)

const testTopic = "out"

func openBroker(t testing.TB) (*kafka.Broker, *kafka.Producer) {
	t.Helper()
	b, err := kafka.OpenBroker(kafka.BrokerSettings{Addr: "127.0.0.1:0", Dir: t.TempDir(), Topics: []kafka.Topic{{Name: testTopic, Partitions: 4}, {Name: "dead", Partitions: 1}}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	p, err := kafka.NewProducer(kafka.ProducerSettings{Settings: b.Settings(), Topic: testTopic})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	return b, p
}

func produce(t testing.TB, p *kafka.Producer, from, n int) {
	t.Helper()
	var messages []kafka.Message
	for _, r := range enters(from, n) {
		messages = append(messages, kafka.Message{Key: r.Key, Value: r.Value})
	}
	if err := p.Produce(t.Context(), "", messages); err != nil {
		t.Fatal(err)
	}
}

// runSink runs a sink as one node would; stop ends it.
func runSink(t testing.TB, b *kafka.Broker, e *endpoint, change func(*Settings, *From)) (s *Sink, stop func()) {
	t.Helper()
	secrets, err := ParseSecrets(testSecret)
	if err != nil {
		t.Fatal(err)
	}
	settings := Settings{Name: "crm", URL: e.URL, Secrets: secrets, RetryFirst: time.Millisecond, RetryMost: 20 * time.Millisecond}
	from := From{Kafka: b.Settings(), Topic: testTopic, Cluster: "dashi"}
	if change != nil {
		change(&settings, &from)
	}
	dead, err := kafka.NewDeadLetters(b.Settings(), "dead")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(dead.Close)
	if s, err = Open(settings, from, dead); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { s.Run(ctx); close(done) }()
	stop = func() { cancel(); <-done }
	t.Cleanup(stop)
	return s, stop
}

// settled says whether a node posts so many partitions, from where it has committed.
func settled(s *Sink, partitions int) func() bool {
	return func() bool { return s.Status().Streams == partitions }
}

// Two nodes share the partitions; one goes while the endpoint fails, and nothing is lost.
func TestNodesShareAnEndpoint(t *testing.T) {
	b, p := openBroker(t)
	e := newEndpoint(t)
	var failing atomic.Bool
	e.answer = func(request int, _ []delivered) (int, map[string]string) {
		if failing.Load() || request%3 == 0 {
			return 503, nil
		}
		return 200, nil
	}
	s1, _ := runSink(t, b, e, nil)
	s2, stop2 := runSink(t, b, e, nil)
	until(t, "each has two", func() bool { return settled(s1, 2)() && settled(s2, 2)() })
	produce(t, p, 0, 500)
	until(t, "500", func() bool { return e.count() == 500 })
	failing.Store(true)
	produce(t, p, 500, 500)
	until(t, "both try", func() bool { return s1.retries.Load() > 10 && s2.retries.Load() > 10 })
	stop2()
	until(t, "the first has all", settled(s1, 4))
	until(t, "it knows how much is left", func() bool { return s1.Status().Lag > 0 })
	failing.Store(false)
	until(t, "1000", func() bool { return e.count() == 1000 })
	until(t, "no lag", func() bool { return s1.Status().Lag == 0 })
	if !e.ordered() {
		t.Error("not in order")
	}
}

// A new endpoint begins with what comes, or with what there is; one that was away goes on where it was.
func TestWhereAnEndpointBegins(t *testing.T) {
	b, p := openBroker(t)
	produce(t, p, 0, 100)
	now, oldest := newEndpoint(t), newEndpoint(t)
	written := time.Now().UnixMilli()
	until(t, "a later millisecond", func() bool { return time.Now().UnixMilli() > written })
	s, stop := runSink(t, b, now, nil)
	runSink(t, b, oldest, func(s *Settings, f *From) { s.Name, f.Oldest = "other", true })
	until(t, "100", func() bool { return oldest.count() == 100 })
	until(t, "it reads", settled(s, 4))
	produce(t, p, 100, 10)
	until(t, "10", func() bool { return now.count() == 10 })
	stop()
	produce(t, p, 110, 10)
	runSink(t, b, now, nil)
	until(t, "20", func() bool { return now.count() == 20 })
	until(t, "120", func() bool { return oldest.count() == 120 })
	for id, n := range now.ids {
		if n != 1 {
			t.Errorf("%s came %d times, though no node was killed", id, n)
		}
	}
}

// An endpoint that has never taken anything is new only once: what was published since it was set up waits for it.
func TestAnEndpointThatNeverWasThere(t *testing.T) {
	b, p := openBroker(t)
	e := newEndpoint(t)
	var there atomic.Bool
	e.answer = func(int, []delivered) (int, map[string]string) {
		if there.Load() {
			return 200, nil
		}
		return 500, nil
	}
	s, stop := runSink(t, b, e, nil)
	until(t, "it reads", settled(s, 4))
	produce(t, p, 0, 100)
	until(t, "it tries", func() bool { return s.retries.Load() > 4 })
	stop()
	there.Store(true)
	written := time.Now().UnixMilli()
	until(t, "a later millisecond", func() bool { return time.Now().UnixMilli() > written })
	runSink(t, b, e, nil)
	until(t, "100", func() bool { return e.count() == 100 })
}
