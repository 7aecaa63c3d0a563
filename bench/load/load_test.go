package load

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"dashi/bench/order"
	"dashi/pipeline/kafka"
)

func broker(t *testing.T) *kafka.Broker {
	t.Helper()
	b, err := kafka.OpenBroker(kafka.BrokerSettings{Addr: "127.0.0.1:0", Dir: t.TempDir(), Topics: []kafka.Topic{{Name: Topic, Partitions: 4}}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	return b
}

func sender(t *testing.T, b *kafka.Broker) *Sender { return senderBy(t, b, NewSender) }

func senderBy(t *testing.T, b *kafka.Broker, connect func([]string, order.Settings) (*Sender, error)) *Sender {
	t.Helper()
	s, err := connect([]string{b.Addr()}, order.Settings{Prefix: "t", People: 100, Shapes: 4})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

// What is sent in each way arrives, all of it, unchanged by the messages that were made after it.
func TestSend(t *testing.T) {
	b := broker(t)
	s := sender(t, b)
	ctx := t.Context()
	if err := s.Send(ctx, 3000); err != nil {
		t.Fatal(err)
	}
	stop := make(chan struct{})
	close(stop)
	if err := s.Flood(ctx, stop); err != nil {
		t.Fatal(err)
	}
	if err := s.Pace(ctx, 1000, stop); err != nil {
		t.Fatal(err)
	}
	if _, err := Drain(ctx, b.Settings(), int(s.Sent())); err != nil { // I1
		t.Fatal(err)
	}
	want := order.New(order.Settings{Prefix: "t", People: 100, Shapes: 4})
	var messages []string
	for range s.Sent() {
		m, _ := want.Append(nil)
		messages = append(messages, string(m))
	}
	var got []string
	all := errors.New("all of it")
	err := kafka.Tail(ctx, b.Settings(), Topic, kafka.TailFrom{Start: true}, func(_ int32, r *kafka.Record) error {
		if !strings.Contains(string(r.Value), `"userId":"`+string(r.Key)+`"`) {
			t.Errorf("key %s of %s", r.Key, r.Value)
		}
		if got = append(got, string(r.Value)); len(got) == len(messages) {
			return all
		}
		return nil
	})
	slices.Sort(got)
	slices.Sort(messages)
	if !errors.Is(err, all) || !slices.Equal(got, messages) {
		t.Errorf("%v; %d messages of %d", err, len(got), len(messages))
	}
}

// reach waits until so many messages have been sent, or the test is over.
func reach(t *testing.T, s *Sender, n int64) {
	tick := time.NewTicker(boundPoll)
	defer tick.Stop()
	for s.Sent() < n {
		select {
		case <-tick.C:
		case <-t.Context().Done():
			return
		}
	}
}

func TestPaceKeepsItsRate(t *testing.T) {
	for name, connect := range map[string]func([]string, order.Settings) (*Sender, error){"one producer": NewSender, "many": NewSteady} {
		t.Run(name, func(t *testing.T) {
			s := senderBy(t, broker(t), connect)
			stop := make(chan struct{})
			go func() {
				reach(t, s, 500)
				close(stop)
			}()
			start := time.Now()
			if err := s.Pace(t.Context(), 5000, stop); err != nil {
				t.Fatal(err)
			}
			took := time.Since(start) // a tenth of a second, on a machine that does nothing else
			if most := int64(took.Seconds()*5000) + 1; s.Sent() > most || took > 20*time.Second {
				t.Errorf("%d messages in %v, want at most %d", s.Sent(), took, most)
			}
		})
	}
}

func TestFloodKeepsItsBound(t *testing.T) {
	s := sender(t, broker(t))
	s.Bound(1000)
	stop := make(chan struct{})
	ended := make(chan error)
	go func() { ended <- s.Flood(t.Context(), stop) }()
	reach(t, s, 1000)
	s.Bound(3000)
	reach(t, s, 3000)
	close(stop)
	if err := <-ended; err != nil || s.Sent() != 3000 {
		t.Errorf("%v, %d messages", err, s.Sent())
	}
}

func TestDrainFails(t *testing.T) {
	b := broker(t)
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if _, err := Drain(ctx, b.Settings(), 1); err == nil {
		t.Error("it drained a record that there is not")
	}
}

// A server that stalls for 30 ms is charged for all requests that were due meanwhile (I2).
func TestOpenLoopCountsWaiting(t *testing.T) {
	const stall = 30 * time.Millisecond
	r := Requests{PerSecond: 1000, Total: 60, Workers: 1}
	l := OpenLoop(t.Context(), r, func(_, i int) error {
		if i == 0 {
			<-time.After(stall)
		}
		return nil
	})
	if len(l.All) != 60 || l.Failed != 0 {
		t.Fatalf("%d requests, %d failed", len(l.All), l.Failed)
	}
	waited := 0
	for _, d := range l.All {
		if d > stall/2 {
			waited++
		}
	}
	if waited < 15 || !slices.IsSorted(l.All) {
		t.Errorf("%d requests waited for half of the stall", waited)
	}
	if len(l.Late) >= 60 {
		t.Error("the requests that waited for the server count as the load's own lateness")
	}
}

func TestOpenLoop(t *testing.T) {
	var mu sync.Mutex
	seen := map[int]int{}
	odd := errors.New("odd")
	l := OpenLoop(t.Context(), Requests{PerSecond: 100_000, Total: 1001, Workers: 8}, func(w, i int) error {
		mu.Lock()
		defer mu.Unlock()
		seen[i]++
		if i%2 == 1 {
			return odd
		}
		return nil
	})
	if len(seen) != 1001 || len(l.All) != 1001 || l.Failed != 500 || !errors.Is(l.First, odd) {
		t.Errorf("%d requests, %d latencies, %d failed: %v", len(seen), len(l.All), l.Failed, l.First)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if l := OpenLoop(ctx, Requests{PerSecond: 1, Total: 1000, Workers: 2}, func(int, int) error { return nil }); len(l.All) != 0 {
		t.Errorf("%d requests after the end", len(l.All))
	}
}
