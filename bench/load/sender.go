package load

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"dashi/bench/order"
	"dashi/pipeline/kafka"
)

// Topic is where dashi reads events, in the default settings.
const Topic = "dashi.events"

// Compression of the load: none, as in the figures of PERF.md, and because compressing costs the load more than it saves.
const Compression = "none"

// Sender writes order messages to Kafka.
type Sender struct {
	producer  *kafka.Producer
	generator *order.Generator
	chunk     []byte
	sent      atomic.Int64
	bound     atomic.Int64 // Flood waits when this many have been sent; 0: never
	failed    atomic.Pointer[error]
}

// NewSender connects to the brokers.
func NewSender(brokers []string, orders order.Settings) (*Sender, error) {
	producer, err := kafka.NewProducer(kafka.ProducerSettings{
		Settings: kafka.Settings{Brokers: brokers, ClientID: "dashi-bench", Compression: Compression},
		Topic:    Topic,
		Linger:   5 * time.Millisecond,
	})
	if err != nil {
		return nil, err
	}
	return &Sender{producer: producer, generator: order.New(orders)}, nil
}

// Close disconnects.
func (s *Sender) Close() { s.producer.Close() }

// Sent is how many messages were handed to the client. It is safe to call from anywhere.
func (s *Sender) Sent() int64 { return s.sent.Load() }

const (
	// Messages are cut from chunks: they must not change until they are acknowledged, and an allocation each would cost
	// the load as much as making them.
	chunkBytes = 1 << 20
	// messageRoom is more than a message and its key take.
	messageRoom = 2 << 10
)

func (s *Sender) send(ctx context.Context) error {
	if cap(s.chunk)-len(s.chunk) < messageRoom {
		s.chunk = make([]byte, 0, chunkBytes)
	}
	begin := len(s.chunk)
	chunk, person := s.generator.Append(s.chunk)
	middle := len(chunk)
	chunk = order.AppendUser(chunk, person)
	s.chunk = chunk
	err := s.producer.Send(ctx, "", kafka.Message{Key: chunk[middle:], Value: chunk[begin:middle]}, s.acknowledged)
	if err != nil {
		return fmt.Errorf("cannot send message %d: %w", s.Sent(), err)
	}
	s.sent.Add(1)
	return nil
}

func (s *Sender) acknowledged(err error) {
	if err != nil {
		s.failed.CompareAndSwap(nil, &err)
	}
}

// flush waits until everything is acknowledged, and says when something was not.
func (s *Sender) flush(ctx context.Context) error {
	if err := s.producer.Flush(ctx); err != nil {
		return fmt.Errorf("cannot send everything: %w", err)
	}
	if err := s.failed.Load(); err != nil {
		return fmt.Errorf("cannot send everything: %w", *err)
	}
	return nil
}

// Send sends n messages as fast as it goes.
func (s *Sender) Send(ctx context.Context, n int) error {
	for range n {
		if err := s.send(ctx); err != nil {
			return err
		}
	}
	return s.flush(ctx)
}

// Bound makes Flood wait when n messages have been sent in all, until it is called again with more. It is safe to call
// from anywhere.
func (s *Sender) Bound(n int64) { s.bound.Store(n) }

// boundPoll is how often Flood looks whether it may go on.
const boundPoll = time.Millisecond

// Flood sends as fast as it goes, within Bound, until stop is closed.
func (s *Sender) Flood(ctx context.Context, stop <-chan struct{}) error {
	for {
		select {
		case <-stop:
			return s.flush(ctx)
		default:
		}
		if bound := s.bound.Load(); bound > 0 && s.Sent() >= bound {
			time.Sleep(boundPoll)
			continue
		}
		for range 100 { // a look at the channel costs as much as a tenth of a message
			if err := s.send(ctx); err != nil {
				return err
			}
		}
	}
}

// pace is how often Pace sends what is due.
const pace = 5 * time.Millisecond

// Pace sends so many messages a second until stop is closed. What a slow broker holds up is sent later, none is left out.
func (s *Sender) Pace(ctx context.Context, perSecond int, stop <-chan struct{}) error {
	tick := time.NewTicker(pace)
	defer tick.Stop()
	start, before := time.Now(), s.Sent()
	for {
		due := before + int64(time.Since(start).Seconds()*float64(perSecond))
		for s.Sent() < due {
			if err := s.send(ctx); err != nil {
				return err
			}
		}
		select {
		case <-stop:
			return s.flush(ctx)
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
}
