package resp

import (
	"context"
	"fmt"
	"net"
	"sync"
	"time"
)

// Server answers RESP clients on its listeners.
type Server struct {
	shared *shared

	mu        sync.Mutex
	conns     map[*conn]struct{}
	listeners map[net.Listener]struct{}
	nextID    int64
	closing   bool
	stopSweep chan struct{}
	running   sync.WaitGroup // goroutines of connections, and the sweep
}

// Settings of a server.
type Settings struct {
	Password string // empty: everyone is let in
	Limits   Limits // zero fields have their defaults
}

// NewServer answers from b.
func NewServer(settings Settings, b Backend) *Server {
	return &Server{
		shared:    newShared(b, settings.Password, settings.Limits),
		conns:     make(map[*conn]struct{}),
		listeners: make(map[net.Listener]struct{}),
	}
}

// Serve accepts connections of l until Shutdown or Close, and then returns nil; or until l fails. It closes l.
func (s *Server) Serve(l net.Listener) error {
	defer l.Close()
	s.mu.Lock()
	if s.closing {
		s.mu.Unlock()
		return nil
	}
	s.listeners[l] = struct{}{}
	if s.stopSweep == nil {
		s.stopSweep = make(chan struct{})
		s.running.Add(1)
		go s.sweepEvery(s.shared.limits.sweepInterval(), s.stopSweep)
	}
	s.mu.Unlock()
	for {
		nc, err := l.Accept()
		if err != nil {
			s.mu.Lock()
			delete(s.listeners, l)
			closing := s.closing
			s.mu.Unlock()
			if closing {
				return nil
			}
			if ne, ok := err.(net.Error); ok && ne.Timeout() {
				continue
			}
			return fmt.Errorf("cannot accept on %q: %w", l.Addr(), err)
		}
		s.accept(nc)
	}
}

func (s *Server) accept(nc net.Conn) {
	s.shared.accepted.Add(1)
	s.mu.Lock()
	if s.closing || len(s.conns) >= s.shared.limits.Connections {
		s.mu.Unlock()
		s.shared.refused.Add(1)
		nc.SetWriteDeadline(time.Now().Add(time.Second))
		nc.Write([]byte("-ERR max number of clients reached\r\n"))
		nc.Close()
		return
	}
	s.nextID++
	c := &conn{server: s, net: nc, since: time.Now(), done: make(chan struct{})}
	c.beatAt = c.since
	c.session = newSession(s.shared, s.nextID, nc.RemoteAddr().String())
	c.session.feed = c
	c.trusted.Store(c.session.trusted)
	s.conns[c] = struct{}{}
	s.running.Add(1)
	s.mu.Unlock()
	s.shared.connections.Add(1)
	go c.serve()
}

func (s *Server) forget(c *conn) {
	s.mu.Lock()
	delete(s.conns, c)
	s.mu.Unlock()
	s.shared.connections.Add(-1)
	s.running.Done()
}

// Stats are the counters now.
func (s *Server) Stats() Stats { return s.shared.stats() }

// Shutdown stops accepting, lets every connection finish the batch that it is answering, and closes it. When ctx ends
// before that, the connections are cut and its error is returned.
func (s *Server) Shutdown(ctx context.Context) error {
	s.mu.Lock()
	if !s.closing {
		s.closing = true
		if s.stopSweep != nil {
			close(s.stopSweep)
		}
	}
	for l := range s.listeners {
		l.Close()
	}
	for c := range s.conns {
		c.net.SetReadDeadline(time.Unix(1, 0))
	}
	s.mu.Unlock()
	finished := make(chan struct{})
	go func() {
		s.running.Wait()
		close(finished)
	}()
	select {
	case <-finished:
		return nil
	case <-ctx.Done():
	}
	s.mu.Lock()
	for c := range s.conns {
		c.kill()
	}
	s.mu.Unlock()
	<-finished
	return ctx.Err()
}

// closeGrace is how long Close lets the batches under way finish.
const closeGrace = time.Second

// Close is Shutdown with little patience.
func (s *Server) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), closeGrace)
	defer cancel()
	_ = s.Shutdown(ctx) // the error would say that connections were cut, which is what Close is for
	return nil
}

// sweepInterval looks often enough that no limit is overrun by more than an eighth, but not for every millisecond.
func (l *Limits) sweepInterval() time.Duration {
	return max(min(l.Idle, l.Anonymous, l.Write)/8, 10*time.Millisecond)
}

func (s *Server) sweepEvery(d time.Duration, stop chan struct{}) {
	defer s.running.Done()
	t := time.NewTicker(d)
	defer t.Stop()
	for {
		select {
		case <-stop:
			return
		case now := <-t.C:
			s.sweep(now)
		}
	}
}

// sweep closes the connections that have been idle, unread or without password for too long.
func (s *Server) sweep(now time.Time) {
	l := &s.shared.limits
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.conns {
		beat := c.beat.Load()
		if beat != c.lastBeat {
			c.lastBeat, c.beatAt = beat, now
		}
		silent := now.Sub(c.beatAt)
		switch {
		case !c.trusted.Load() && now.Sub(c.since) > l.Anonymous:
			if c.kill() {
				s.shared.unauthorised.Add(1)
			}
		case beat&1 == 1 && silent > l.Write:
			if c.kill() {
				s.shared.unread.Add(1)
			}
		case beat&1 == 0 && silent > l.Idle && c.channels.Load() == nil:
			if c.kill() {
				s.shared.idle.Add(1)
			}
		}
	}
}
