package kafka

import (
	"errors"
	"slices"
	"sync"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// History ends by itself: with the last record of the call, in partitions that are empty too.
func TestHistory(t *testing.T) {
	t.Parallel()
	b := openBroker(t, "", Topic{"a", 3}, Topic{"empty", 2})
	p := openProducer(t, b.Settings(), "a")
	produce(t, p, 0, 100)
	collect := func(topic string) (got []string) {
		err := History(testContext(t), b.Settings(), topic, func(_ int32, r *Record) error {
			got = append(got, string(r.Value))
			return nil
		})
		if err != nil {
			t.Errorf("%s: %v", topic, err)
		}
		slices.Sort(got)
		return got
	}
	if got := collect("a"); !slices.Equal(got, numbered(0, 100)) {
		t.Errorf("%v", got)
	}
	if got := collect("empty"); len(got) > 0 {
		t.Errorf("%v", got)
	}
	stop := errors.New("stop")
	if err := History(testContext(t), b.Settings(), "a", func(int32, *Record) error { return stop }); err != stop {
		t.Error(err)
	}
	if err := History(testContext(t), b.Settings(), "nowhere", func(int32, *Record) error { return nil }); err == nil {
		t.Error("a topic that is not there has a history")
	}
}

// A transaction that nobody ends yet hides what others have committed behind it: History ends before it, HistorySince waits until it has ended.
func TestHistoryBehindATransaction(t *testing.T) {
	t.Parallel()
	b := openBroker(t, "", Topic{"a", 1})
	settings, ctx := b.Settings(), testContext(t)
	open, err := settings.client(kgo.TransactionalID("dead"), kgo.DefaultProduceTopic("a"))
	if err != nil {
		t.Fatal(err)
	}
	defer open.Close()
	if err := open.BeginTransaction(); err != nil {
		t.Fatal(err)
	}
	if err := open.ProduceSync(ctx, kgo.StringRecord("never")).FirstErr(); err != nil {
		t.Fatal(err)
	}
	produce(t, openProducer(t, settings, "a"), 0, 10)
	if err := History(ctx, settings, "a", func(_ int32, r *Record) error { t.Errorf("%s is hidden", r.Value); return nil }); err != nil {
		t.Fatal(err)
	}
	reads := make(chan struct{})
	var once sync.Once
	b.cluster.ControlKey(kmsg.Fetch.Int16(), func(kmsg.Request) (kmsg.Response, error, bool) {
		b.cluster.KeepControl()
		once.Do(func() { close(reads) })
		return nil, nil, false
	})
	var got []string
	done := make(chan error, 1)
	go func() {
		done <- HistorySince(ctx, settings, "a", TailFrom{Start: true}, func(_ int32, r *Record) error {
			got = append(got, string(r.Value))
			return nil
		})
	}()
	select {
	case err := <-done:
		t.Fatalf("it has not waited: %v", err)
	case <-reads:
	}
	if err := open.EndTransaction(ctx, kgo.TryAbort); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	slices.Sort(got)
	if !slices.Equal(got, numbered(0, 10)) {
		t.Errorf("%v", got)
	}
}
