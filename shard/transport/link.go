package transport

import (
	"context"
	"fmt"
	"sync"
	"time"
)

type linkKey struct {
	peer  string
	class class
}

// link is the connection that this node dials to a peer, when there is one, and the requests on it that are not answered.
type link struct {
	t   *Transport
	key linkKey

	mu       sync.Mutex
	c        *conn
	dialing  chan struct{} // closed when the dial under way has ended
	after    time.Time     // no dial before
	failures int
	lastErr  error
	arrived  chan struct{} // closed when the next connection is there
	requests map[uint64]pending
	next     uint64
}

// pending is a request that waits for its response. complete is called once, and must not block; for a part of an answer it returns true: there is more, and
// it is called again.
type pending interface {
	complete(h header, body []byte, err error) (more bool)
}

// Backoff of dials.
const (
	dialAgain    = 20 * time.Millisecond
	dialAgainMax = time.Second
)

func (t *Transport) link(peer string, cl class) *link {
	t.mu.Lock()
	defer t.mu.Unlock()
	key := linkKey{peer, cl}
	l := t.links[key]
	if l == nil {
		l = &link{t: t, key: key, arrived: make(chan struct{}), requests: map[uint64]pending{}}
		t.links[key] = l
	}
	return l
}

// get finds the connection, or dials. While the peer is down it fails at once.
func (l *link) get(ctx context.Context) (*conn, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for {
		switch {
		case l.c != nil:
			return l.c, nil
		case l.t.ctx.Err() != nil:
			return nil, ErrClosed
		case l.t.muted.Load() && l.key.class == classRaft:
			return nil, errMuted
		case l.dialing == nil && time.Now().Before(l.after):
			return nil, fmt.Errorf("%w: %w", ErrDown, l.lastErr)
		case l.dialing == nil:
			l.dialing = make(chan struct{})
			if !l.t.run(l.dial) {
				return nil, ErrClosed
			}
		}
		done := l.dialing
		l.mu.Unlock()
		select {
		case <-done:
		case <-ctx.Done():
		}
		l.mu.Lock()
		if l.c == nil && ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if l.c == nil && l.lastErr != nil {
			return nil, fmt.Errorf("%w: %w", ErrDown, l.lastErr)
		}
	}
}

// poke is the connection, if there is one, and else an attempt that nobody waits for.
func (l *link) poke() *conn {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.c == nil && l.dialing == nil && !time.Now().Before(l.after) && !l.t.muted.Load() {
		l.dialing = make(chan struct{})
		l.t.run(l.dial)
	}
	return l.c
}

// await is get for those who have nothing to do until the peer is back.
func (l *link) await(ctx context.Context) (*conn, error) {
	for {
		c, err := l.get(ctx)
		if err == nil || ctx.Err() != nil || l.t.ctx.Err() != nil {
			return c, err
		}
		l.mu.Lock()
		arrived, wait := l.arrived, time.Until(l.after)
		l.mu.Unlock()
		select {
		case <-arrived:
		case <-time.After(max(wait, dialAgain)):
		case <-ctx.Done():
			return nil, err
		case <-l.t.ctx.Done():
			return nil, ErrClosed
		}
	}
}

// dial is one attempt.
func (l *link) dial() {
	c, err := l.t.dial(l.t.ctx, l.key.peer, l.key.class)
	l.mu.Lock()
	if err == nil {
		l.adopt(c)
	} else {
		l.lastErr = err
		l.failures++
		l.after = time.Now().Add(min(dialAgain<<min(l.failures-1, 10), dialAgainMax))
	}
	close(l.dialing)
	l.dialing = nil
	l.mu.Unlock()
}

// adopt takes a connection that was greeted. mu is held.
func (l *link) adopt(c *conn) {
	if c.class == classRaft && l.t.muted.Load() { // since the dial began
		c.close(errMuted)
		return
	}
	if !l.t.met(c) {
		c.close(ErrDown)
		return
	}
	c.closed = l.lost
	if !l.t.run(func() { l.read(c) }) {
		c.closed = nil
		c.close(ErrClosed)
		return
	}
	l.c, l.failures, l.lastErr = c, 0, nil
	close(l.arrived)
	l.arrived = make(chan struct{})
	if c.class == classRaft {
		l.t.up(c.peer)
	}
}

// drop ends the connection.
func (l *link) drop(err error) {
	l.mu.Lock()
	c := l.c
	l.mu.Unlock()
	if c != nil {
		c.close(err)
	}
}

// lost tells everybody who waits for something on a connection that has ended.
func (l *link) lost(c *conn) {
	l.mu.Lock()
	if l.c == c {
		l.c = nil
	}
	requests := l.requests
	l.requests = map[uint64]pending{}
	l.mu.Unlock()
	for _, p := range requests {
		p.complete(header{}, nil, fmt.Errorf("%s: %w: %w", l.key.peer, ErrDisconnect, c.err))
	}
	l.t.parted(c)
}

// read hands out what the peer answers.
func (l *link) read(c *conn) {
	for {
		h, body, err := readFrame(c.r, maxFrame)
		if err != nil {
			c.close(err)
			return
		}
		l.t.heard(c.peer)
		switch h.kind {
		case kindPong:
		case kindResponse, kindAnswer, kindPart:
			l.mu.Lock()
			p := l.requests[h.id]
			if h.kind != kindPart { // taken, so that lost does not complete it as well
				delete(l.requests, h.id)
			}
			l.mu.Unlock()
			if p != nil && !p.complete(h, body, nil) && h.kind == kindPart {
				l.forget(h.id)
			}
		default:
			c.close(fmt.Errorf("frame of kind %d from who was dialled: %w", h.kind, errFrame))
			return
		}
	}
}

// request sends a request on a connection of the link and has p told of the response.
func (l *link) request(c *conn, h header, u urgency, p pending, body func([]byte) []byte) (id uint64, err error) {
	h.id, err = l.expect(c, p)
	if err != nil {
		return 0, err
	}
	if err := c.w.send(h, u, body); err != nil {
		l.forget(h.id)
		return 0, err
	}
	return h.id, nil
}

// expect has p told of a response, or of the end of the connection.
func (l *link) expect(c *conn, p pending) (id uint64, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.c != c {
		return 0, fmt.Errorf("%s: %w", l.key.peer, ErrDisconnect)
	}
	l.next++
	l.requests[l.next] = p
	return l.next, nil
}

func (l *link) forget(id uint64) {
	l.mu.Lock()
	delete(l.requests, id)
	l.mu.Unlock()
}
