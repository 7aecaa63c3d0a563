// Package faulty is a network for tests, between the nodes of one process: it cuts, delays and resets the connections between any two of them.
//
// It is not a simulation: bytes go over real sockets, and time is real. What is cut is not lost but held back, as TCP does it with a cable that is
// pulled and put in again; a dial over a cut line hangs until its context ends.
//
// The caller makes a Network, names the address of every node (Listen), and gives each node the Dial of its name. All methods are safe for
// concurrent use.
package faulty

import (
	"context"
	"net"
	"os"
	"sync"
	"time"
)

// Network is a set of nodes by name.
type Network struct {
	mu      sync.Mutex
	changed chan struct{} // closed and made anew at every change
	names   map[string]string
	cut     map[[2]string]bool
	delay   map[[2]string]time.Duration
	conns   map[*conn]struct{}
}

// New makes a network without faults.
func New() *Network {
	return &Network{changed: make(chan struct{}), names: map[string]string{}, cut: map[[2]string]bool{}, delay: map[[2]string]time.Duration{}, conns: map[*conn]struct{}{}}
}

func pair(a, b string) [2]string {
	if a > b {
		a, b = b, a
	}
	return [2]string{a, b}
}

// Name says which node listens on an address.
func (n *Network) Name(node, addr string) { n.change(func() { n.names[addr] = node }) }

func (n *Network) change(f func()) {
	n.mu.Lock()
	f()
	close(n.changed)
	n.changed = make(chan struct{})
	n.mu.Unlock()
}

// Cut holds back everything between two nodes, or lets it pass again.
func (n *Network) Cut(a, b string, on bool) { n.change(func() { n.cut[pair(a, b)] = on }) }

// Delay holds back every write between two nodes for that long.
func (n *Network) Delay(a, b string, d time.Duration) { n.change(func() { n.delay[pair(a, b)] = d }) }

// Reset ends all connections between two nodes.
func (n *Network) Reset(a, b string) {
	n.mu.Lock()
	var ended []*conn
	for c := range n.conns {
		if c.ends == pair(a, b) {
			ended = append(ended, c)
		}
	}
	n.mu.Unlock()
	for _, c := range ended {
		c.Close()
	}
}

// Dial is how a node dials.
func (n *Network) Dial(from string) func(ctx context.Context, addr string) (net.Conn, error) {
	return func(ctx context.Context, addr string) (net.Conn, error) {
		n.mu.Lock()
		to := n.names[addr]
		n.mu.Unlock()
		ends := pair(from, to)
		if err := n.pass(ctx.Done(), ends, time.Time{}); err != nil {
			return nil, ctx.Err()
		}
		var d net.Dialer
		nc, err := d.DialContext(ctx, "tcp", addr)
		if err != nil {
			return nil, err
		}
		c := &conn{Conn: nc, n: n, ends: ends, closed: make(chan struct{})}
		n.mu.Lock()
		n.conns[c] = struct{}{}
		n.mu.Unlock()
		return c, nil
	}
}

// pass waits while a line is cut.
func (n *Network) pass(done <-chan struct{}, ends [2]string, deadline time.Time) error {
	var late <-chan time.Time
	if !deadline.IsZero() {
		timer := time.NewTimer(time.Until(deadline))
		defer timer.Stop()
		late = timer.C
	}
	for {
		n.mu.Lock()
		cut, changed := n.cut[ends], n.changed
		n.mu.Unlock()
		if !cut {
			return nil
		}
		select {
		case <-changed:
		case <-done:
			return net.ErrClosed
		case <-late:
			return os.ErrDeadlineExceeded
		}
	}
}

// conn is one end of a connection, that of who has dialled.
type conn struct {
	net.Conn
	n      *Network
	ends   [2]string
	once   sync.Once
	closed chan struct{}

	mu       sync.Mutex
	deadline time.Time // of writes
}

func (c *conn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if e := c.n.pass(c.closed, c.ends, time.Time{}); e != nil {
		return 0, e
	}
	return n, err
}

func (c *conn) Write(p []byte) (int, error) {
	c.mu.Lock()
	deadline := c.deadline
	c.mu.Unlock()
	c.n.mu.Lock()
	delay := c.n.delay[c.ends]
	c.n.mu.Unlock()
	if delay > 0 {
		select {
		case <-time.After(delay):
		case <-c.closed:
		}
	}
	if err := c.n.pass(c.closed, c.ends, deadline); err != nil {
		return 0, err
	}
	return c.Conn.Write(p)
}

func (c *conn) SetDeadline(t time.Time) error {
	c.mu.Lock()
	c.deadline = t
	c.mu.Unlock()
	return c.Conn.SetDeadline(t)
}

func (c *conn) SetWriteDeadline(t time.Time) error {
	c.mu.Lock()
	c.deadline = t
	c.mu.Unlock()
	return c.Conn.SetWriteDeadline(t)
}

func (c *conn) Close() error {
	c.once.Do(func() {
		close(c.closed)
		c.n.mu.Lock()
		delete(c.n.conns, c)
		c.n.mu.Unlock()
	})
	return c.Conn.Close()
}
