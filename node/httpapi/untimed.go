package httpapi

import (
	"context"
	"net"
	"net/http"
	"sync/atomic"
	"time"
)

// When events happened that do not say it.
//
// The naive way is that all events of a batch happened when it came. Then a person's plan that becomes "pro" and then "free" in one batch stays "pro":
// of what happens at one instant the larger value counts (attribute I4), and it is we who made it one instant. So the events of a batch get instants that are a millisecond
// apart, in their order. They end now and not later: an event of the future would be held against the clock. So a batch of a thousand begins a second ago,
// and could begin before the end of the one that the same client sent half a second earlier, whose order was right before. Of two batches on one connection the
// later therefore begins after the earlier one, and where it has more events than there were milliseconds, neighbours share one. What comes over several
// connections or nodes has only its own order; who needs more says when things happened.

// counting returns what counts the elements of the array at from. It is called for a batch that has an event without a time only: SDKs say the time.
func (s *splitter) counting(scan scanner, from int) func() int {
	return func() (n int) {
		scan.elements(from, func(_, _ int) bool { n++; return n < s.api.limits.BatchEvents })
		return n
	}
}

// untimed is when the event under way happened, as a JSON string.
func (s *splitter) untimed() []byte {
	if s.batch == nil {
		return s.received
	}
	s.measure()
	n := time.Duration(s.size - 1)
	if n == 0 || s.span == 0 {
		return s.received
	}
	before := (n - time.Duration(s.index)) * s.span / n
	return appendTime(nil, s.now.Add(-before.Truncate(time.Millisecond)))
}

// measure counts the batch and works its span out, once.
func (s *splitter) measure() {
	if s.span >= 0 {
		return
	}
	s.size = s.batch()
	s.span = time.Duration(s.size-1) * time.Millisecond
	if !s.last.IsZero() {
		s.span = max(0, min(s.span, s.now.Sub(s.last)-time.Millisecond))
	}
}

// lastKey finds in the context of a request when its connection sent something last: an *atomic.Int64 in milliseconds, 0 before.
type lastKey struct{}

func withLast(ctx context.Context, _ net.Conn) context.Context {
	return context.WithValue(ctx, lastKey{}, new(atomic.Int64))
}

// lastOf is when the connection of r sent events before; zero when it did not, or nobody knows. From then on it is now.
func lastOf(r *http.Request, now time.Time) time.Time {
	last, _ := r.Context().Value(lastKey{}).(*atomic.Int64)
	if last == nil {
		return time.Time{}
	}
	if ms := last.Swap(now.UnixMilli()); ms != 0 {
		return time.UnixMilli(ms)
	}
	return time.Time{}
}
