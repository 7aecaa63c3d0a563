package webhook

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"dashi/pipeline/kafka"
	"dashi/pipeline/say"
)

// queueBytes is how much of one partition waits in memory. A fetch adds at most fetchBytes to it.
const (
	queueBytes = 256 << 10
	fetchBytes = 256 << 10
)

// batchBytes bounds the activations of one request; one that is larger goes alone.
const batchBytes = 512 << 10

// stopPatience is how long a request that is under way when a partition goes away may still take: an answer that comes within it keeps the
// batch from being sent twice.
const stopPatience = 2 * time.Second

// Reasons of dead letters.
const (
	ReasonRefused = "webhook_refused" // the endpoint answered that it will never take it
	ReasonGaveUp  = "webhook_gave_up" // it was not taken within Settings.GiveUp
)

// deadRetry is the pause before a letter is written again that Kafka did not take.
const deadRetry = time.Second

// queue is what waits of one partition, and who posts it.
type queue struct {
	sink   *Sink
	stream kafka.Stream
	more   chan struct{} // has a token when something was put in
	quit   chan struct{} // closed: take nothing new
	ended  chan struct{}

	mu     sync.Mutex
	items  []item // oldest first
	bytes  int
	read   int64 // offset after what was handed over
	paused bool

	failing atomic.Pointer[failure]
}

// failure is why a queue does not get on.
type failure struct {
	since time.Time
	text  string
}

func newQueue(s *Sink, stream kafka.Stream, next int64) *queue {
	return &queue{sink: s, stream: stream, read: next, more: make(chan struct{}, 1), quit: make(chan struct{}), ended: make(chan struct{})}
}

// put adds what is for the endpoint of the records up to offset last.
func (q *queue) put(last int64, records []kafka.Record) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for i := range records {
		if q.sink.settings.wants(records[i].Value) {
			it := newItem(&records[i])
			q.items, q.bytes = append(q.items, it), q.bytes+it.size()
		}
	}
	q.read = last + 1
	if len(q.items) == 0 {
		q.sink.source.Commit(q.stream, q.read)
		return
	}
	if q.bytes > queueBytes && !q.paused { // I4
		q.paused = true
		q.sink.source.Pause(q.stream)
	}
	select {
	case q.more <- struct{}{}:
	default:
	}
}

// head is the next batch; empty when nothing waits.
func (q *queue) head() []item {
	q.mu.Lock()
	defer q.mu.Unlock()
	n := fill(q.items, q.sink.settings.Batch)
	return q.items[:n:n]
}

// settle drops the first n items, which have been dealt with, and commits (I1).
func (q *queue) settle(n int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for i := range q.items[:n] {
		q.bytes -= q.items[i].size()
	}
	clear(q.items[:n]) // or its array would keep what has left
	if q.items = q.items[n:]; len(q.items) == 0 {
		q.items = nil
		q.sink.source.Commit(q.stream, q.read)
	} else {
		q.sink.source.Commit(q.stream, q.items[0].offset)
	}
	if q.paused && q.bytes <= queueBytes/2 {
		q.paused = false
		q.sink.source.Resume(q.stream, q.read)
	}
}

// run posts until quit is closed, or ctx is done.
func (q *queue) run(ctx context.Context) {
	defer close(q.ended)
	for {
		select {
		case <-q.quit:
			return
		case <-ctx.Done():
			return
		default:
		}
		batch := q.head()
		if len(batch) == 0 {
			select {
			case <-q.more:
			case <-q.quit:
				return
			case <-ctx.Done():
				return
			}
			continue
		}
		if !q.deliver(ctx, batch) {
			return
		}
	}
}

// deliver brings the first items of the queue to an end, in order: taken, or in the dead topic. It is false when the queue ends before that.
func (q *queue) deliver(ctx context.Context, batch []item) bool {
	m := newMessage(batch)
	begun := time.Now()
	for try := 0; ; try++ {
		if !q.rest(ctx, q.sink.quiet()) { // the endpoint has asked to be left alone
			return false
		}
		a := q.sink.post(ctx, &m)
		switch {
		case ctx.Err() != nil && a.outcome != taken:
			return false
		case a.outcome == taken:
			q.sink.sent.Add(uint64(len(batch)))
			q.failing.Store(nil)
			q.settle(len(batch))
			return true
		case a.outcome == refused && len(batch) > 1 && aboutContent(a.status): // find the one that is not taken
			half := len(batch) / 2
			return q.deliver(ctx, batch[:half]) && q.deliver(ctx, batch[half:])
		case a.outcome == refused:
			q.fail(a.detail)
			return q.bury(ctx, batch, ReasonRefused, a.detail)
		}
		q.sink.retries.Add(1)
		q.fail(a.detail)
		if limit := q.sink.settings.GiveUp; limit > 0 && time.Since(begun) >= limit {
			return q.bury(ctx, batch, ReasonGaveUp, fmt.Sprintf("%s in %s, the last: %s", say.Count(try+1, "attempt"), say.Span(time.Since(begun).Round(time.Millisecond)), a.detail))
		}
		if a.after > 0 {
			q.sink.leaveAlone(a.after)
		}
		if !q.rest(ctx, q.sink.pause(try, &a)) {
			return false
		}
	}
}

// bury writes the first items of the queue to the dead topic.
func (q *queue) bury(ctx context.Context, batch []item, reason, detail string) bool {
	letters := make([]kafka.DeadLetter, len(batch))
	for i := range batch {
		it := &batch[i]
		letters[i] = kafka.DeadLetter{Reason: reason, Detail: detail, Stream: q.stream, Offset: it.offset, Key: it.key, Value: it.value, Sink: q.sink.settings.Name}
	}
	for {
		err := q.sink.dead.Write(ctx, letters)
		if err == nil {
			break
		}
		q.fail("the dead topic does not take what the endpoint does not take: " + err.Error())
		if !q.rest(ctx, deadRetry) {
			return false
		}
	}
	q.sink.buried.Add(uint64(len(batch)))
	q.settle(len(batch))
	return true
}

// rest waits; it is false when the queue ends meanwhile.
func (q *queue) rest(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return true
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-q.quit:
	case <-ctx.Done():
	}
	return false
}

func (q *queue) fail(text string) {
	f := &failure{since: time.Now(), text: text}
	if was := q.failing.Load(); was != nil {
		f.since = was.since
	}
	q.failing.Store(f)
}
