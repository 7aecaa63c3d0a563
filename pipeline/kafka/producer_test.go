package kafka

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"
)

func TestProducer(t *testing.T) {
	t.Parallel()
	b := openBroker(t, "", Topic{"a", 4})
	p := openProducer(t, b.Settings(), "a")
	produce(t, p, 0, 1000)
	var failed atomic.Int64
	for i := range 1000 {
		err := p.Send(testContext(t), "", Message{Value: fmt.Appendf(nil, "v%d", 1000+i)}, func(err error) {
			if err != nil {
				failed.Add(1)
			}
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := p.Flush(testContext(t)); err != nil || failed.Load() > 0 || p.Waiting() != 0 {
		t.Errorf("error %v, %d failed, %d bytes wait", err, failed.Load(), p.Waiting())
	}
	var all []string
	for _, values := range readAll(t, b.Settings(), "a") {
		all = append(all, values...)
	}
	slices.Sort(all)
	if !slices.Equal(all, numbered(0, 2000)) {
		t.Errorf("%d values", len(all))
	}
	err := p.Produce(testContext(t), "missing", []Message{{Value: []byte("x")}})
	if !errors.Is(err, kerr.UnknownTopicOrPartition) || !strings.Contains(err.Error(), `"missing"`) || !strings.Contains(err.Error(), b.Addr()) {
		t.Errorf("error %v", err)
	}
	err = p.Produce(testContext(t), "", []Message{{Value: []byte("x")}, {Value: make([]byte, 2<<20)}})
	if !errors.Is(err, ErrTooLarge) || !strings.Contains(err.Error(), "record 2 of 2") {
		t.Errorf("error %v", err)
	}
}

// TestProducerBackpressure: a broker that does not answer fills the buffer, and then callers are refused at once.
func TestProducerBackpressure(t *testing.T) {
	t.Parallel()
	b := openBroker(t, "", Topic{"a", 1})
	hold := make(chan struct{})
	b.cluster.ControlKey(kmsg.Produce.Int16(), func(kmsg.Request) (kmsg.Response, error, bool) {
		b.cluster.KeepControl()
		b.cluster.SleepControl(func() { <-hold })
		return nil, nil, false
	})
	p, err := NewProducer(ProducerSettings{Settings: b.Settings(), Topic: "a", BufferBytes: 10_000})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	var callers sync.WaitGroup
	for i := range 3 {
		callers.Go(func() {
			if err := p.Produce(testContext(t), "", []Message{{Value: make([]byte, 3000), Key: fmt.Append(nil, i)}}); err != nil {
				t.Error(err)
			}
		})
	}
	for p.Waiting() < 9000 {
		<-time.After(time.Millisecond)
	}
	start := time.Now()
	if err := p.Produce(testContext(t), "", []Message{{Value: make([]byte, 3000)}}); !errors.Is(err, ErrBackpressure) || time.Since(start) > DefaultProduceTimeout/2 {
		t.Errorf("error %v after %v", err, time.Since(start))
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Millisecond)
	defer cancel()
	if err := p.Send(ctx, "", Message{Value: make([]byte, 3000)}, nil); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Send: %v", err)
	}
	close(hold)
	callers.Wait()
	if p.Waiting() != 0 {
		t.Errorf("%d bytes wait", p.Waiting())
	}
	if err := p.Produce(testContext(t), "", []Message{{Value: make([]byte, 20_000)}}); err != nil {
		t.Errorf("a call larger than the buffer: %v", err)
	}
}

func TestProducerBrokerDown(t *testing.T) {
	t.Parallel()
	b := openBroker(t, "", Topic{"a", 1})
	p, err := NewProducer(ProducerSettings{Settings: b.Settings(), Topic: "a", Timeout: 3 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	if err := p.Send(testContext(t), "", Message{Value: []byte("w")}, nil); err != nil { // which has no timeout: the machine may be busy
		t.Fatal(err)
	}
	if err := p.Flush(testContext(t)); err != nil {
		t.Fatal(err)
	}
	b.Close()
	err = p.Produce(testContext(t), "", []Message{{Value: []byte("x")}})
	if err == nil || !strings.Contains(err.Error(), b.Addr()) || p.Waiting() != 0 {
		t.Errorf("error %v, %d wait", err, p.Waiting())
	}
}

func TestDeadLetters(t *testing.T) {
	t.Parallel()
	b := openBroker(t, "", Topic{"dead", 2})
	d, err := NewDeadLetters(b.Settings(), "dead")
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	stream := Stream{Topic: [16]byte{1, 2}, Name: "events", Partition: 3}
	letter := DeadLetter{Reason: "malformed", Detail: strings.Repeat("d", 2000), Stream: stream, Offset: 41, Key: []byte("k"), Value: make([]byte, 10<<20)}
	letter.Value[0] = 'x'

	// The brokers refuse the first tries: the floor holds.
	f := b.cluster.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Err: kerr.PolicyViolation, Count: 2})
	if err := d.Put(testContext(t), letter); err != nil {
		t.Fatal(err)
	}
	letter.Value[0] = 'y' // it was copied
	if err := f.Wait(testContext(t), 1); err != nil {
		t.Fatal(err)
	}
	if at := d.Floor(stream, 100); at != 41 {
		t.Errorf("floor %d with a letter on its way", at)
	}
	if at := d.Floor(stream, 7); at != 7 {
		t.Errorf("floor %d below it", at)
	}
	if at := d.Floor(Stream{}, 100); at != 100 {
		t.Errorf("floor %d of another stream", at)
	}
	if err := d.Flush(testContext(t)); err != nil {
		t.Fatal(err)
	}
	if at := d.Floor(stream, 100); at != 100 {
		t.Errorf("floor %d after it was acknowledged", at)
	}
	if err := d.Put(testContext(t), DeadLetter{Reason: "too_large", Value: []byte("{")}); err != nil {
		t.Fatal(err)
	}
	if err := d.Flush(testContext(t)); err != nil {
		t.Fatal(err)
	}

	ctx, cancel := context.WithCancel(testContext(t))
	defer cancel()
	n := 0
	err = Tail(ctx, b.Settings(), "dead", TailFrom{Start: true}, func(_ int32, r *Record) error {
		h := make(map[string]string)
		for _, x := range r.Headers {
			h[x.Key] = string(x.Value)
		}
		if h[HeaderReason] == "malformed" {
			if len(r.Value) != deadLetterBytes || r.Value[0] != 'x' || h[HeaderCut] != fmt.Sprint(10<<20) || h[HeaderTopic] != "events" ||
				h[HeaderPartition] != "3" || h[HeaderOffset] != "41" || !strings.HasPrefix(h[HeaderTopicID], "0102") || len(h[HeaderDetail]) != deadDetailBytes {
				t.Errorf("%d bytes, headers %v", len(r.Value), h)
			}
		} else if _, has := h[HeaderOffset]; has || string(r.Value) != "{" || h[HeaderCut] != "" {
			t.Errorf("%q, headers %v", r.Value, h)
		}
		if n++; n == 2 {
			cancel()
		}
		return nil
	})
	if err != nil || n != 2 {
		t.Errorf("%d letters, error %v", n, err)
	}
}

func TestTail(t *testing.T) {
	t.Parallel()
	b := openBroker(t, "", Topic{"a", 2})
	p := openProducer(t, b.Settings(), "a")
	produce(t, p, 0, 100)
	collect := func(topic string, from TailFrom, want int, meanwhile func(seen int)) []string {
		var got []string
		done := errors.New("done")
		stop := make(chan struct{})
		var writer sync.WaitGroup
		if meanwhile != nil {
			writer.Go(func() { // Tail says not when it has found the end, so write until it sees something
				for i := 0; ; i++ {
					select {
					case <-stop:
						return
					case <-time.After(20 * time.Millisecond):
						meanwhile(i)
					}
				}
			})
		}
		err := Tail(testContext(t), b.Settings(), topic, from, func(_ int32, r *Record) error {
			if got = append(got, string(r.Value)); len(got) == want {
				return done
			}
			return nil
		})
		close(stop)
		writer.Wait()
		if !errors.Is(err, done) {
			t.Errorf("error %v", err)
		}
		slices.Sort(got)
		return got
	}
	if got := collect("a", TailFrom{Start: true}, 100, nil); !slices.Equal(got, numbered(0, 100)) {
		t.Errorf("from the start: %v", got)
	}
	if got := collect("a", TailFrom{After: time.UnixMilli(1000 + 60)}, 40, nil); !slices.Equal(got, numbered(60, 40)) {
		t.Errorf("from a time: %v", got)
	}
	got := collect("a", TailFrom{}, 3, func(i int) { produce(t, p, 1000+i, 1) })
	if !strings.HasPrefix(got[0], "v1") || len(got[0]) < 5 {
		t.Errorf("from the end: %v", got)
	}
	got = collect("late", TailFrom{}, 1, func(i int) {
		if i == 0 {
			if err := MakeTopics(testContext(t), b.Settings(), Topic{"late", 1}); err != nil {
				t.Error(err)
			}
		}
		_ = p.Produce(testContext(t), "late", []Message{{Value: []byte("x")}})
	})
	if got[0] != "x" {
		t.Errorf("a late topic: %v", got)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := Tail(ctx, b.Settings(), "a", TailFrom{}, nil); err != nil {
		t.Errorf("cancelled: %v", err)
	}
}

// TestSettings reaches a broker that wants TLS and SASL, and names what is wrong.
func TestSettings(t *testing.T) {
	t.Parallel()
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.EnableSASL(), kfake.Superuser("PLAIN", "u", "p"),
		kfake.Superuser("SCRAM-SHA-256", "u", "p"), kfake.Superuser("SCRAM-SHA-512", "u", "p"))
	if err != nil {
		t.Fatal(err)
	}
	defer cluster.Close()
	settings := Settings{Brokers: cluster.ListenAddrs()}
	for _, mechanism := range []string{"plain", "scram-sha-256", "scram-sha-512"} {
		settings.SASL = SASL{mechanism, "u", "p"}
		if err := Ping(testContext(t), settings); err != nil {
			t.Errorf("%s: %v", mechanism, err)
		}
		settings.SASL.Password = "wrong"
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
		if err := Ping(ctx, settings); err == nil || !strings.Contains(err.Error(), settings.Brokers[0]) {
			t.Errorf("%s with a wrong password: %v", mechanism, err)
		}
		cancel()
	}
	wrong := func(change func(*Settings), want string) {
		s := Settings{Brokers: []string{"127.0.0.1:1"}}
		change(&s)
		if _, err := s.client(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q in it", err, want)
		}
	}
	wrong(func(s *Settings) { s.Brokers = nil }, "kafka.brokers")
	wrong(func(s *Settings) { s.Compression = "zip" }, `"zip"`)
	wrong(func(s *Settings) { s.SASL.Mechanism = "kerberos" }, `"kerberos"`)
	wrong(func(s *Settings) { s.TLS = TLS{Enabled: true, CAFile: "/nowhere"} }, "/nowhere")
	wrong(func(s *Settings) { s.TLS = TLS{Enabled: true, CertFile: "/nowhere"} }, "/nowhere")
	ctx, cancel := context.WithTimeout(context.Background(), 300*time.Millisecond)
	defer cancel()
	if err := Ping(ctx, Settings{Brokers: []string{"127.0.0.1:1"}}); err == nil || !strings.Contains(err.Error(), "127.0.0.1:1") || !strings.Contains(err.Error(), "is the broker running") {
		t.Errorf("error %v", err)
	}
}
