package kafka

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

// Message is one record to write.
type Message struct {
	Key     []byte // its hash chooses the partition, as in every other Kafka client; nil: any
	Value   []byte
	Millis  int64 // timestamp: since 1970 UTC; now when 0
	Headers []Header
}

func (m *Message) size() int64 {
	n := len(m.Key) + len(m.Value) + recordOverhead
	for _, h := range m.Headers {
		n += len(h.Key) + len(h.Value)
	}
	return int64(n)
}

// recordOverhead is what the client keeps per record beside its bytes.
const recordOverhead = 256

// ErrBackpressure means that too much is waiting for the brokers already. Nothing of the call was written: try again later.
var ErrBackpressure = errors.New("too many records wait for Kafka")

// ErrTooLarge is wrapped when one record is larger than the brokers take.
var ErrTooLarge = errors.New("record too large")

// ProducerSettings are the settings of one Producer.
type ProducerSettings struct {
	Settings
	Topic       string        // used by calls that name none
	BufferBytes int64         // the most that may wait for acknowledgement; DefaultBufferBytes when 0
	Linger      time.Duration // how long a record waits for company: 0 for the least latency, 5 ms for throughput
	Timeout     time.Duration // of Produce, from the call to the acknowledgement; DefaultProduceTimeout when 0
}

// Defaults of ProducerSettings.
const (
	DefaultBufferBytes    = 64 << 20
	DefaultProduceTimeout = 20 * time.Second
)

// maxRecordBytes is the most that a record may have: brokers take batches of 1 MiB unless told otherwise.
const maxRecordBytes = 1<<20 - 4<<10

// Producer writes records to any topic, acknowledged by all in-sync replicas, each once: what the client itself
// tries again is recognised by the broker. It is safe for concurrent use.
type Producer struct {
	settings ProducerSettings
	client   *kgo.Client
	waiting  atomic.Int64 // bytes handed to the client and not yet acknowledged
	room     chan struct{}
}

// NewProducer opens a producer. It connects with the first record.
func NewProducer(settings ProducerSettings) (*Producer, error) {
	if settings.BufferBytes == 0 {
		settings.BufferBytes = DefaultBufferBytes
	}
	if settings.Timeout == 0 {
		settings.Timeout = DefaultProduceTimeout
	}
	client, err := settings.client(
		kgo.RequiredAcks(kgo.AllISRAcks()),
		kgo.ProducerLinger(settings.Linger),
		// Not RecordDeliveryTimeout: it counts from the record's timestamp, and replayed records are years old.
		kgo.AllowIdempotentProduceCancellation(),
		kgo.RecordPartitioner(kgo.UniformBytesPartitioner(64<<10, true, true, nil)),
		kgo.ProducerBatchMaxBytes(1<<20),
		// The bound is ours: it refuses a whole call at once, where the client's would refuse the middle of it.
		kgo.MaxBufferedRecords(1<<30),
	)
	if err != nil {
		return nil, err
	}
	return &Producer{settings: settings, client: client, room: make(chan struct{}, 1)}, nil
}

// Waiting is the number of bytes that are not acknowledged yet.
func (p *Producer) Waiting() int64 { return p.waiting.Load() }

// reserve takes room for n bytes, or says that there is none. A call larger than the whole buffer is let in when nothing else waits: otherwise it never
// could be.
func (p *Producer) reserve(n int64) bool {
	for {
		was := p.waiting.Load()
		if was > 0 && was+n > p.settings.BufferBytes {
			return false
		}
		if p.waiting.CompareAndSwap(was, was+n) {
			return true
		}
	}
}

func (p *Producer) release(n int64) {
	p.waiting.Add(-n)
	select {
	case p.room <- struct{}{}:
	default:
	}
}

// Produce writes the messages and returns when all of them are acknowledged, or after the timeout. With
// ErrBackpressure (at once) nothing was written; with any other error some may have been. The messages' bytes must
// not change until it returns. A ctx that is done while the brokers have the records ends nothing: the client gives up
// a partition's records only together, so one caller would take its neighbours' with it.
func (p *Producer) Produce(ctx context.Context, topic string, messages []Message) error {
	total, err := p.check(messages)
	if err == nil {
		err = ctx.Err()
	}
	if err != nil {
		return err
	}
	if !p.reserve(total) {
		return fmt.Errorf("cannot write %d records to Kafka %s: %w (%d MiB unacknowledged)",
			len(messages), p.settings.at(), ErrBackpressure, p.waiting.Load()>>20)
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), p.settings.Timeout)
	defer cancel()
	var (
		group sync.WaitGroup
		once  sync.Once
		first error
	)
	group.Add(len(messages))
	records := make([]kgo.Record, len(messages))
	for i := range messages {
		p.fill(&records[i], topic, &messages[i])
		size := messages[i].size()
		p.client.Produce(ctx, &records[i], func(_ *kgo.Record, err error) {
			if err != nil {
				once.Do(func() { first = err })
			}
			p.release(size)
			group.Done()
		})
	}
	group.Wait()
	return p.wrap(first, topic)
}

// Send writes one message and calls done, if not nil, when it is acknowledged or has failed; done runs on the
// client's goroutine and must be quick. Send blocks while the buffer is full: it is for replays and load, which
// want to go as fast as the brokers do. The message's bytes must not change until done is called, and ctx must
// live as long. An error means that it was not sent, and done is not called.
func (p *Producer) Send(ctx context.Context, topic string, m Message, done func(error)) error {
	return p.send(ctx, ctx, topic, m, done)
}

// send waits for room within wait; the record itself lives within ctx.
func (p *Producer) send(wait, ctx context.Context, topic string, m Message, done func(error)) error {
	size := m.size()
	if size > maxRecordBytes {
		return fmt.Errorf("cannot write a record: %w: %d bytes, the most is %d", ErrTooLarge, size, maxRecordBytes)
	}
	for !p.reserve(size) {
		select {
		case <-p.room:
		case <-wait.Done():
			return wait.Err()
		}
	}
	record := new(kgo.Record)
	p.fill(record, topic, &m)
	p.client.Produce(ctx, record, func(_ *kgo.Record, err error) {
		p.release(size)
		if done != nil {
			done(p.wrap(err, topic))
		}
	})
	return nil
}

// Flush returns when everything that was sent before is acknowledged or has failed.
func (p *Producer) Flush(ctx context.Context) error { return p.client.Flush(ctx) }

// Close fails what is not yet acknowledged; call Flush first.
func (p *Producer) Close() { p.client.Close() }

func (p *Producer) check(messages []Message) (total int64, err error) {
	for i := range messages {
		n := messages[i].size()
		if n > maxRecordBytes {
			return 0, fmt.Errorf("cannot write record %d of %d: %w: %d bytes, the most is %d", i+1, len(messages), ErrTooLarge, n, maxRecordBytes)
		}
		total += n
	}
	return total, nil
}

func (p *Producer) fill(r *kgo.Record, topic string, m *Message) {
	if topic == "" {
		topic = p.settings.Topic
	}
	r.Topic, r.Key, r.Value, r.Headers = topic, m.Key, m.Value, m.Headers
	if m.Millis != 0 {
		r.Timestamp = time.UnixMilli(m.Millis)
	}
}

func (p *Producer) wrap(err error, topic string) error {
	if topic == "" {
		topic = p.settings.Topic
	}
	switch {
	case err == nil:
		return nil
	case errors.Is(err, kerr.UnknownTopicID):
		// The topic was made again. The client refuses it until told to forget the old one.
		p.client.PurgeTopicsFromProducing(topic)
	case errors.Is(err, kerr.MessageTooLarge):
		err = fmt.Errorf("%w: %w", ErrTooLarge, err)
	}
	return p.settings.granting("Write and Describe on topic %q", topic).wrap(err, "write to topic %q", topic)
}
