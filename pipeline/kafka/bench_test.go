package kafka

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"golang.org/x/sys/unix"
)

// backlog serves n records of 505 bytes in 8 partitions.
func backlog(b *testing.B, n int, compression string) *Broker {
	b.Helper()
	broker, err := OpenBroker(BrokerSettings{Addr: "127.0.0.1:0", Dir: b.TempDir(), Topics: []Topic{{"events", 8}}})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { broker.Close() })
	settings := broker.Settings()
	settings.Compression = compression
	p, err := NewProducer(ProducerSettings{Settings: settings, Topic: "events", Linger: 5 * time.Millisecond})
	if err != nil {
		b.Fatal(err)
	}
	defer p.Close()
	value := make([]byte, 505)
	for i := range value {
		value[i] = byte('a' + i*7%26)
	}
	for i := range n {
		if err := p.Send(context.Background(), "", Message{Key: fmt.Appendf(nil, "u%d", i), Value: value}, nil); err != nil {
			b.Fatal(err)
		}
	}
	if err := p.Flush(context.Background()); err != nil {
		b.Fatal(err)
	}
	return broker
}

// cpu is what this process, broker included, has used: unlike the clock it does not depend on the neighbours.
func cpu() float64 {
	var r unix.Rusage
	_ = unix.Getrusage(unix.RUSAGE_SELF, &r)
	return float64(r.Utime.Nano()+r.Stime.Nano()) / 1e9
}

// counter is the least that a Handler can do.
type counter struct {
	n, want int
	bytes   int
	done    chan struct{}
}

func (c *counter) Assigned([]Stream, []int64) {}
func (c *counter) Revoked([]Stream)           {}
func (c *counter) Records(_ context.Context, _ Stream, _, _ int64, records []Record) {
	for i := range records {
		c.bytes += len(records[i].Value)
	}
	if c.n += len(records); c.n >= c.want {
		close(c.done)
		c.want = 1 << 62
	}
}

// BenchmarkDrain reads the same backlog with a bare client and with a Source, by turns.
func BenchmarkDrain(b *testing.B) {
	const n = 1_000_000
	for _, compression := range []string{"none", "lz4"} {
		broker := backlog(b, n, compression)
		b.Run("client=bare/compression="+compression, func(b *testing.B) {
			b.ReportAllocs()
			used := cpu()
			for b.Loop() {
				settings := broker.Settings()
				client, err := settings.client(kgo.ConsumeTopics("events"), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
				if err != nil {
					b.Fatal(err)
				}
				bytes := 0
				for got := 0; got < n; {
					fetches := client.PollFetches(context.Background())
					fetches.EachPartition(func(p kgo.FetchTopicPartition) {
						for _, r := range p.Records {
							bytes += len(r.Value)
						}
						got += len(p.Records)
					})
				}
				client.Close()
			}
			b.ReportMetric(float64(n)*float64(b.N)/b.Elapsed().Seconds(), "records/s")
			b.ReportMetric((cpu()-used)*1e9/float64(n)/float64(b.N), "cpu-ns/record")
		})
		b.Run("client=source/compression="+compression, func(b *testing.B) {
			b.ReportAllocs()
			group, used := 0, cpu()
			for b.Loop() {
				group++
				c := &counter{want: n, done: make(chan struct{})}
				s, err := NewSource(SourceSettings{Settings: broker.Settings(), Group: fmt.Sprint(compression, b.N, group), Topics: []string{"events"}}, c)
				if err != nil {
					b.Fatal(err)
				}
				ctx, cancel := context.WithCancel(context.Background())
				ended := make(chan error)
				go func() { ended <- s.Run(ctx) }()
				<-c.done
				cancel()
				if err := <-ended; err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(n)*float64(b.N)/b.Elapsed().Seconds(), "records/s")
			b.ReportMetric((cpu()-used)*1e9/float64(n)/float64(b.N), "cpu-ns/record")
		})
	}
}

// BenchmarkPublish is transactions of one outlet.
func BenchmarkPublish(b *testing.B) {
	for _, size := range []int{1, 100, 1000} {
		b.Run(fmt.Sprintf("messages=%d", size), func(b *testing.B) {
			broker, err := OpenBroker(BrokerSettings{Addr: "127.0.0.1:0", Dir: b.TempDir(), Topics: []Topic{{activations, 8}}})
			if err != nil {
				b.Fatal(err)
			}
			defer broker.Close()
			o := openOutlets(b, broker.Settings())
			defer o.Close()
			out, position := openOutlet(b, o, 0)
			messages := entries(0, size)
			for i := range messages {
				messages[i].Value = make([]byte, 400)
			}
			b.ReportAllocs()
			for b.Loop() {
				position, err = out.Publish(context.Background(), position, position+uint64(size), messages)
				if err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(size)*float64(b.N)/b.Elapsed().Seconds(), "messages/s")
		})
	}
}
