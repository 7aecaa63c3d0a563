package kafka

import (
	"context"
	"encoding/hex"
	"strconv"
	"sync"
	"time"

	"dashi/pipeline/say"
)

// DeadLetter is an input that could not be understood, or an activation that a webhook did not take.
type DeadLetter struct {
	Reason string // short, of a fixed set: event.Reason, or those of a webhook
	Detail string // for a person; cut at 1 KiB
	Stream Stream // where it came from; zero for what came in another way
	Offset int64
	Key    []byte // as it arrived; cut like Value
	Value  []byte
	Sink   string // the webhook that did not take it; empty for an input
}

// The headers of a dead letter. Two letters with equal topic id, partition, offset and webhook are the same one, written
// twice because a node died between the letter and the commit of its offset.
const (
	HeaderTopic     = "dashi-topic"
	HeaderTopicID   = "dashi-topic-id" // hexadecimal
	HeaderPartition = "dashi-partition"
	HeaderOffset    = "dashi-offset"
	HeaderReason    = "dashi-reason"
	HeaderDetail    = "dashi-detail"
	HeaderTime      = "dashi-time"    // when it was found, RFC 3339
	HeaderSink      = "dashi-webhook" // name of the webhook, there only when one did not take it
	HeaderCut       = "dashi-cut"     // size of the original value, there only when it was cut
)

// How much of its origin a dead letter keeps: together it fits what brokers take unless told otherwise (1 MiB).
const (
	deadLetterBytes = 900 << 10
	deadKeyBytes    = 32 << 10
	deadDetailBytes = 1 << 10
)

// deadRetry is how long a letter that the brokers refused waits for the next try.
const deadRetry = time.Second

// DeadLetters writes dead letters. It is safe for concurrent use.
//
// A letter is acknowledged before the offset that it came from is committed (I3): Put it, and commit no
// further than Floor.
type DeadLetters struct {
	producer *Producer
	ctx      context.Context
	stop     context.CancelFunc

	mu      sync.Mutex
	waiting map[Stream]map[int64]int // letters of an offset that are not acknowledged
	retries sync.WaitGroup
	said    bool  // it has been logged that letters wait
	trouble error // why the last letter was not taken; nil when none waits
}

// NewDeadLetters opens the writer. The topic should exist; until it does, letters wait and Put blocks.
func NewDeadLetters(settings Settings, topic string) (*DeadLetters, error) {
	producer, err := NewProducer(ProducerSettings{Settings: settings, Topic: topic, Linger: 2 * time.Millisecond})
	if err != nil {
		return nil, err
	}
	ctx, stop := context.WithCancel(context.Background())
	return &DeadLetters{producer: producer, ctx: ctx, stop: stop, waiting: make(map[Stream]map[int64]int)}, nil
}

// Put writes a letter, and tries again until it is acknowledged or the writer is closed. It copies what it keeps, and blocks while too much waits for
// the brokers, so that the intake waits too.
func (d *DeadLetters) Put(ctx context.Context, letter DeadLetter) error {
	message := letter.message(time.Now())
	d.mu.Lock()
	offsets := d.waiting[letter.Stream]
	if offsets == nil {
		offsets = make(map[int64]int)
		d.waiting[letter.Stream] = offsets
	}
	offsets[letter.Offset]++
	d.mu.Unlock()
	err := d.send(ctx, letter.Stream, letter.Offset, message)
	if err != nil { // ctx is done: the offset must not be committed, so it stays in waiting
		return err
	}
	return nil
}

// Write writes letters and returns when all of them are acknowledged, as Producer.Produce does. It is for letters that do not come from a stream, and
// whose sender waits for the answer.
func (d *DeadLetters) Write(ctx context.Context, letters []DeadLetter) error {
	messages := make([]Message, len(letters))
	for i := range letters {
		messages[i] = letters[i].message(time.Now())
	}
	return d.producer.Produce(ctx, "", messages)
}

func (d *DeadLetters) send(ctx context.Context, stream Stream, offset int64, m Message) error {
	// The record's own context is the writer's: the caller's may end when Put returns.
	return d.producer.send(ctx, d.ctx, "", m, func(err error) {
		if err == nil {
			d.settle(stream, offset)
			return
		}
		d.again(stream, offset, m, err)
	})
}

func (d *DeadLetters) settle(stream Stream, offset int64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	offsets := d.waiting[stream]
	if offsets[offset]--; offsets[offset] == 0 {
		delete(offsets, offset)
	}
	if len(offsets) == 0 {
		delete(d.waiting, stream)
	}
	if d.trouble = nil; d.said {
		d.said = false
		d.producer.settings.logger().Info("kafka: dead letters are written again")
	}
}

// Status is why letters wait, as far as the brokers have said; nil when none does.
func (d *DeadLetters) Status() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.trouble
}

func (d *DeadLetters) again(stream Stream, offset int64, m Message, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.ctx.Err() != nil {
		return
	}
	if d.trouble = err; !d.said {
		d.producer.settings.logger().Error("kafka: dead letters cannot be written: offsets stay uncommitted until they can", "error", err)
		d.said = true
	}
	d.retries.Add(1)
	go func() {
		defer d.retries.Done()
		select {
		case <-d.ctx.Done():
		case <-time.After(deadRetry):
			_ = d.send(d.ctx, stream, offset, m) // fails only when the writer is closed
		}
	}()
}

// Floor is how far the stream may be committed when everything else before next is durable: next, or the oldest
// offset with a letter that is not acknowledged. It does not block.
func (d *DeadLetters) Floor(stream Stream, next int64) int64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	for offset := range d.waiting[stream] {
		next = min(next, offset)
	}
	return next
}

// Flush returns when every letter that was put before is acknowledged, or ctx is done.
func (d *DeadLetters) Flush(ctx context.Context) error {
	for {
		if err := d.producer.Flush(ctx); err != nil {
			return err
		}
		d.mu.Lock()
		left := len(d.waiting)
		d.mu.Unlock()
		if left == 0 {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(10 * time.Millisecond): // a letter waits for its next try
		}
	}
}

// Close drops what is not acknowledged; call Flush first. Their offsets were not committed, so they are found again.
func (d *DeadLetters) Close() {
	d.mu.Lock()
	d.stop()
	d.mu.Unlock()
	d.retries.Wait()
	d.producer.Close()
}

func (l *DeadLetter) message(now time.Time) Message {
	m := Message{Key: cut(l.Key, deadKeyBytes), Value: cut(l.Value, deadLetterBytes), Millis: now.UnixMilli()}
	detail := say.Cut(l.Detail, deadDetailBytes-len("..."))
	m.Headers = l.origin()
	add := func(key, value string) { m.Headers = append(m.Headers, Header{Key: key, Value: []byte(value)}) }
	add(HeaderReason, l.Reason)
	add(HeaderDetail, detail)
	add(HeaderTime, now.UTC().Format(time.RFC3339Nano))
	if len(l.Value) > deadLetterBytes {
		add(HeaderCut, strconv.Itoa(len(l.Value)))
	}
	return m
}

// origin are the headers that say where a letter came from.
func (l *DeadLetter) origin() (headers []Header) {
	add := func(key, value string) { headers = append(headers, Header{Key: key, Value: []byte(value)}) }
	if l.Stream != (Stream{}) {
		add(HeaderTopic, l.Stream.Name)
		add(HeaderTopicID, hex.EncodeToString(l.Stream.Topic[:]))
		add(HeaderPartition, strconv.Itoa(int(l.Stream.Partition)))
		add(HeaderOffset, strconv.FormatInt(l.Offset, 10))
	}
	if l.Sink != "" {
		add(HeaderSink, l.Sink)
	}
	return headers
}

// cut copies at most n bytes; nil stays nil, which to Kafka is not the same as empty.
func cut(b []byte, n int) []byte {
	if b == nil {
		return nil
	}
	return append([]byte{}, b[:min(len(b), n)]...)
}
