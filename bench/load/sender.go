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

// Messages are what a Sender sends.
type Messages interface {
	// Append appends the next message to dst, and after it its key, which begins at keyAt. more is false when there is none.
	Append(dst []byte) (out []byte, keyAt int, more bool)
}

// orders are the messages of a generator without end, with their people as keys.
type orders struct{ *order.Generator }

func (o orders) Append(dst []byte) (out []byte, keyAt int, more bool) {
	out, person := o.Generator.Append(dst)
	return order.AppendUser(out, person), len(out), true
}

// Sender writes messages to Kafka.
type Sender struct {
	producer *kafka.Producer
	messages Messages
	pace     time.Duration // how often Pace sends what is due
	chunk    []byte
	sent     atomic.Int64
	bound    atomic.Int64 // Flood waits when this many have been sent; 0: never
	failed   atomic.Pointer[error]
}

// gather is how long a message waits for company, and how often Pace sends what is due: so a producer sends that is to send much.
const gather = 5 * time.Millisecond

// NewSender connects to the brokers, for order messages.
func NewSender(brokers []string, settings order.Settings) (*Sender, error) {
	return NewSenderOf(brokers, orders{order.New(settings)})
}

// NewSenderOf connects to the brokers.
func NewSenderOf(brokers []string, messages Messages) (*Sender, error) {
	return connect(brokers, messages, gather, gather)
}

// NewSteady is NewSender for messages that do not wait for company and are due every millisecond, as those of many producers who know nothing of each other.
// Bursts would wait for themselves.
func NewSteady(brokers []string, settings order.Settings) (*Sender, error) {
	return connect(brokers, orders{order.New(settings)}, 0, time.Millisecond)
}

func connect(brokers []string, messages Messages, linger, pace time.Duration) (*Sender, error) {
	producer, err := kafka.NewProducer(kafka.ProducerSettings{
		Settings: kafka.Settings{Brokers: brokers, ClientID: "dashi-bench", Compression: Compression},
		Topic:    Topic,
		Linger:   linger,
	})
	if err != nil {
		return nil, err
	}
	return &Sender{producer: producer, messages: messages, pace: pace}, nil
}

// Close disconnects.
func (s *Sender) Close() { s.producer.Close() }

// Inherit counts what another sender has sent as its own.
func (s *Sender) Inherit(from *Sender) { s.sent.Add(from.Sent()) }

// Sent is how many messages were handed to the client. It is safe to call from anywhere.
func (s *Sender) Sent() int64 { return s.sent.Load() }

const (
	// Messages are cut from chunks: they must not change until they are acknowledged, and an allocation each would cost
	// the load as much as making them.
	chunkBytes = 1 << 20
	// messageRoom is more than a message and its key take.
	messageRoom = 2 << 10
)

// send sends the next message; none is left when more is false.
func (s *Sender) send(ctx context.Context) (more bool, err error) {
	if cap(s.chunk)-len(s.chunk) < messageRoom {
		s.chunk = make([]byte, 0, chunkBytes)
	}
	begin := len(s.chunk)
	chunk, middle, more := s.messages.Append(s.chunk)
	if !more {
		return false, nil
	}
	s.chunk = chunk
	err = s.producer.Send(ctx, "", kafka.Message{Key: chunk[middle:], Value: chunk[begin:middle]}, s.acknowledged)
	if err != nil {
		return false, fmt.Errorf("cannot send message %d: %w", s.Sent(), err)
	}
	s.sent.Add(1)
	return true, nil
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
		if _, err := s.send(ctx); err != nil {
			return err
		}
	}
	return s.flush(ctx)
}

// SendAll sends all messages as fast as it goes.
func (s *Sender) SendAll(ctx context.Context) error {
	for {
		if more, err := s.send(ctx); err != nil {
			return err
		} else if !more {
			return s.flush(ctx)
		}
	}
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
			if _, err := s.send(ctx); err != nil {
				return err
			}
		}
	}
}

// Pace sends so many messages a second until stop is closed. What a slow broker holds up is sent later, none is left out.
func (s *Sender) Pace(ctx context.Context, perSecond int, stop <-chan struct{}) error {
	tick := time.NewTicker(s.pace)
	defer tick.Stop()
	start, before := time.Now(), s.Sent()
	for {
		due := before + int64(time.Since(start).Seconds()*float64(perSecond))
		for s.Sent() < due {
			if _, err := s.send(ctx); err != nil {
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
