package transport

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"
)

// class says what a connection is for. Two nodes have one of each class in each direction at most, but for snapshots, which have one each.
type class uint8

const (
	classRaft     class = 1 // Raft's requests, and pings
	classCalls    class = 2 // calls, so that their size never delays a vote
	classSnapshot class = 3
	classProbe    class = 4 // only the greeting: is the peer alive?
)

const (
	magic            = "dashinod"
	protocolVersion  = 1
	handshakeTimeout = 2 * time.Second
	readBuffer       = 64 << 10
	maxID            = 255
)

var (
	errMuted   = errors.New("node is mute: its disk does not answer")
	errRefused = errors.New("peer refused the connection")
	// errUngreeted: the peer took the connection, and said nothing in time.
	errUngreeted = errors.New("no greeting came in time")
)

// conn is one connection after the greeting.
type conn struct {
	net.Conn
	t        *Transport
	class    class
	peer     string // who is at the other end
	instance uint64 // of its process
	greeted  int64  // the peer lived after this, in nanoseconds since the transport's start: when we began to dial, or answered its greeting
	r        *bufio.Reader
	w        *writer

	once   sync.Once
	ended  chan struct{}
	err    error         // set before ended is closed
	closed func(c *conn) // called once, on a goroutine of its own
}

func newConn(t *Transport, nc net.Conn, cl class) *conn {
	c := &conn{Conn: nc, t: t, class: cl, r: bufio.NewReaderSize(nc, readBuffer), ended: make(chan struct{})}
	c.w = newWriter(nc, c.close)
	return c
}

// close ends the connection; whoever waits for something on it is told err.
func (c *conn) close(err error) {
	c.once.Do(func() {
		c.err = err
		close(c.ended)
		c.w.close(err)
		c.Conn.Close()
		if c.closed != nil {
			c.closed(c)
		}
	})
}

// greeting is hello and welcome alike: who I am, whom I want or am, and which process.
type greeting struct {
	class    class
	cluster  string
	from, to string
	instance uint64
}

func (g greeting) append(dst []byte) []byte {
	dst = append(dst, magic...)
	dst = append(dst, protocolVersion, byte(g.class))
	dst = binary.LittleEndian.AppendUint64(dst, g.instance)
	for _, s := range []string{g.cluster, g.from, g.to} {
		dst = append(dst, byte(min(len(s), maxID)))
		dst = append(dst, s[:min(len(s), maxID)]...)
	}
	return dst
}

func parseGreeting(b []byte) (g greeting, err error) {
	d := decoder{b: b}
	if string(d.bytes(len(magic))) != magic {
		return g, fmt.Errorf("it does not greet like a node: %w", errFrame)
	}
	if v := d.u8(); v != protocolVersion {
		return g, fmt.Errorf("protocol version is %d, this program speaks %d", v, protocolVersion)
	}
	g.class = class(d.u8())
	g.instance = d.u64()
	for _, s := range []*string{&g.cluster, &g.from, &g.to} {
		*s = string(d.bytes(int(d.u8())))
	}
	return g, d.end()
}

// dial connects to a peer and greets it.
func (t *Transport) dial(ctx context.Context, id string, cl class) (*conn, error) {
	addr, err := t.s.Resolve(id)
	if err != nil {
		return nil, fmt.Errorf("cannot resolve %q: %w", id, err)
	}
	ctx, cancel := context.WithTimeout(ctx, handshakeTimeout)
	defer cancel()
	began := t.since()
	nc, err := t.s.Dial(ctx, addr)
	if err != nil {
		return nil, fmt.Errorf("cannot dial %s at %s: %w", id, addr, err)
	}
	if t.s.ClientTLS != nil {
		nc = tls.Client(nc, t.clientTLS(addr))
	}
	c := newConn(t, nc, cl)
	stop := context.AfterFunc(ctx, func() { nc.Close() })
	welcome, err := c.greet(greeting{cl, t.s.Cluster, t.s.ID, id, t.instance})
	if !stop() && err == nil {
		err = ctx.Err()
	}
	if err != nil {
		c.close(err)
		if ctx.Err() != nil {
			err = errors.Join(errUngreeted, err)
		}
		return nil, fmt.Errorf("cannot greet %s at %s: %w", id, addr, err)
	}
	c.peer, c.instance, c.greeted = id, welcome.instance, began
	return c, nil
}

// clientTLS has the name of the host checked that is dialled, unless the settings name another.
func (t *Transport) clientTLS(addr string) *tls.Config {
	host, _, err := net.SplitHostPort(addr)
	if err != nil || t.s.ClientTLS.ServerName != "" {
		return t.s.ClientTLS
	}
	c := t.s.ClientTLS.Clone()
	c.ServerName = host
	return c
}

func (c *conn) greet(g greeting) (greeting, error) {
	if err := c.w.send(header{kind: kindHello}, urgent, g.append); err != nil {
		return greeting{}, err
	}
	h, body, err := readFrame(c.r, maxHello)
	if err != nil {
		return greeting{}, err
	}
	if h.kind != kindWelcome || h.flags&flagError != 0 {
		return greeting{}, fmt.Errorf("%w: %s", errRefused, body)
	}
	return parseGreeting(body)
}

// welcome reads the greeting of who has dialled, and answers it.
func (c *conn) welcome() error {
	_ = c.SetDeadline(time.Now().Add(handshakeTimeout))
	h, body, err := readFrame(c.r, maxHello)
	if err != nil {
		return err
	}
	if h.kind != kindHello {
		return fmt.Errorf("frame of kind %d instead of a greeting: %w", h.kind, errFrame)
	}
	g, err := parseGreeting(body)
	if err == nil {
		err = c.t.admit(g)
	}
	if err != nil {
		_ = c.w.send(header{kind: kindWelcome, flags: flagError}, urgent, func(dst []byte) []byte { return append(dst, err.Error()...) })
		return err
	}
	c.t.mu.Lock() // the connection may be ended at this moment; when the node is muted, serveRaft ends it
	c.class, c.peer, c.instance, c.greeted = g.class, g.from, g.instance, c.t.since()
	c.t.mu.Unlock()
	if err := c.w.send(header{kind: kindWelcome}, urgent, greeting{g.class, c.t.s.Cluster, c.t.s.ID, g.from, c.t.instance}.append); err != nil {
		return err
	}
	return c.SetReadDeadline(time.Time{})
}

// admit says why somebody is not let in.
func (t *Transport) admit(g greeting) error {
	switch {
	case g.cluster != t.s.Cluster:
		return fmt.Errorf("this is cluster %q, not %q", t.s.Cluster, g.cluster)
	case g.to != t.s.ID:
		return fmt.Errorf("this is %q, not %q", t.s.ID, g.to)
	case g.class < classRaft || g.class > classProbe:
		return fmt.Errorf("unknown class of connection %d", g.class)
	case t.muted.Load() && g.class != classCalls:
		return errMuted
	}
	return nil
}
