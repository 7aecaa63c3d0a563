package resp

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"syscall"
	"time"
)

// Server answers RESP clients on its listeners.
type Server struct {
	shared   *shared
	settings Settings

	mu        sync.Mutex
	clients   map[*client]struct{}
	loops     []*loop
	listeners map[net.Listener]struct{}
	nextID    int64
	sweeping  bool
	closing   bool
	stop      chan struct{}  // closed by Shutdown
	running   sync.WaitGroup // clients, loops, goroutines that push, and the sweep
}

// Settings of a server.
type Settings struct {
	Passwords []string // each of them lets in; none: everyone is let in
	Limits    Limits   // zero fields have their defaults
	// Loops is how many event loops there are; 0: one for two cores. Negative: every connection has a goroutine, as those of
	// listeners that are not plain TCP have anyway, and all of them where there is no epoll.
	Loops int
}

// NewServer answers from b.
func NewServer(settings Settings, b Backend) *Server {
	return &Server{
		shared:    newShared(b, settings.Passwords, settings.Limits),
		settings:  settings,
		clients:   make(map[*client]struct{}),
		listeners: make(map[net.Listener]struct{}),
		stop:      make(chan struct{}),
	}
}

// Serve accepts connections of l until Shutdown or Close, and then returns nil; or until l fails. It closes l.
func (s *Server) Serve(l net.Listener) error {
	defer l.Close()
	if started, err := s.begin(l); !started {
		return err
	}
	for {
		nc, err := l.Accept()
		switch {
		case err == nil:
			s.accept(nc)
		case isPassing(err):
			s.pause()
		default:
			s.mu.Lock()
			defer s.mu.Unlock()
			delete(s.listeners, l)
			if s.closing {
				return nil
			}
			return fmt.Errorf("cannot accept on %q: %w", l.Addr(), err)
		}
	}
}

// begin makes l known and starts what all connections need; false after Shutdown.
func (s *Server) begin(l net.Listener) (started bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closing {
		return false, nil
	}
	if err := s.openLoops(); err != nil {
		return false, err
	}
	if !s.sweeping {
		s.sweeping = true
		s.running.Add(1)
		go s.sweepEvery(s.shared.limits.sweepInterval())
	}
	s.listeners[l] = struct{}{}
	return true, nil
}

// isPassing says whether accepting may work again: a client that has gone already, or no file descriptor left.
func isPassing(err error) bool {
	for _, passing := range []error{os.ErrDeadlineExceeded, syscall.ECONNABORTED, syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM, syscall.EINTR} {
		if errors.Is(err, passing) {
			return true
		}
	}
	return false
}

// acceptPause is how long accepting rests when it cannot work: the client waits in the kernel.
const acceptPause = 10 * time.Millisecond

func (s *Server) pause() {
	select {
	case <-s.stop:
	case <-time.After(acceptPause):
	}
}

const tooMany = "-ERR max number of clients reached\r\n"

func refuse(nc net.Conn) {
	nc.SetWriteDeadline(time.Now().Add(time.Second))
	nc.Write([]byte(tooMany))
	nc.Close()
}

// accept gives a connection to a loop, or else a goroutine.
func (s *Server) accept(nc net.Conn) {
	if s.intoLoop(nc) {
		return
	}
	carry := &conn{net: nc, woke: make(chan struct{}, 1), done: make(chan struct{})}
	c := s.enter(carry, nc.RemoteAddr().String(), func(c *client) { carry.client = c })
	if c == nil {
		refuse(nc)
		return
	}
	go carry.serve()
}

// enter makes a client, if there is room for one, and calls ready with it under the server's mutex.
func (s *Server) enter(carry carrier, remote string, ready func(*client)) *client {
	s.shared.accepted.Add(1)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closing || len(s.clients) >= s.shared.limits.Connections {
		s.shared.refused.Add(1)
		return nil
	}
	s.nextID++
	c := &client{server: s, carrier: carry, since: time.Now()}
	c.beatAt = c.since
	c.session = newSession(s.shared, s.nextID, remote)
	c.session.feed = c
	c.trusted.Store(c.session.trusted)
	s.clients[c] = struct{}{}
	s.running.Add(1)
	s.shared.connections.Add(1)
	ready(c)
	return c
}

// SetPasswords puts others in force, and ends the connections that came in by one that is gone, or by none.
func (s *Server) SetPasswords(passwords []string) {
	now := newLocks(passwords)
	s.shared.locks.Store(now)
	if now.none() {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.clients {
		if by := c.by.Load(); c.trusted.Load() && (by == nil || !now.open(by)) {
			c.kill()
		}
	}
}

func (s *Server) forget(c *client) {
	s.mu.Lock()
	delete(s.clients, c)
	if c.loop != nil {
		c.loop.clients--
	}
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
		close(s.stop)
		for l := range s.listeners {
			l.Close()
		}
		for c := range s.clients {
			c.carrier.finish()
		}
		for _, l := range s.loops {
			l.end()
		}
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
	for c := range s.clients {
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

func (s *Server) sweepEvery(d time.Duration) {
	defer s.running.Done()
	t := time.NewTicker(d)
	defer t.Stop()
	for {
		select {
		case <-s.stop:
			return
		case now := <-t.C:
			s.sweep(now)
		}
	}
}

// sweep closes the connections that have been idle, unread or without password for too long, and those that subscribe to what is gone.
func (s *Server) sweep(now time.Time) {
	l := &s.shared.limits
	s.mu.Lock()
	defer s.mu.Unlock()
	known := map[string]bool{}
	sends := func(name string) bool {
		sent, ok := known[name]
		if !ok {
			sent = s.shared.backend.Sends(name)
			known[name] = sent
		}
		return sent
	}
	for c := range s.clients {
		c.miss(sends)
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
