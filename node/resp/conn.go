package resp

import (
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// Sizes of a connection's buffers. Most commands are below 100 bytes; what a large one needed is given back afterwards.
const (
	readBytes  = 4 << 10  // at first
	keepBytes  = 64 << 10 // at most, between two batches
	pushBytes  = 64 << 10 // written at once by the goroutine of a subscriber
	batchBytes = 16 << 10 // the read buffer of a connection that pipelines
)

// conn is one client: a goroutine that reads, answers and writes.
type conn struct {
	server  *Server
	net     net.Conn
	session *Session
	since   time.Time // when it was accepted

	mu  sync.Mutex // over Handle and write, so that pushes fall between answers
	out []byte

	// beat changes with everything the connection does; its lowest bit is set while a write is under way. The sweep
	// compares it with the last one it saw: no clock is read and no timer is set for a command.
	beat     atomic.Uint64
	trusted  atomic.Bool
	lastBeat uint64    // of the sweep
	beatAt   time.Time // of the sweep
	closed   atomic.Bool

	channels atomic.Pointer[channels]
	queue    chan message
	stop     func()
	done     chan struct{} // closed when the connection ends
}

// message is one activation on its way to a subscriber.
type message struct {
	name    string
	payload []byte
}

func (c *conn) serve() {
	defer c.end()
	in := make([]byte, readBytes)
	have := 0
	for {
		n, err := c.net.Read(in[have:])
		if n > 0 {
			have += n
			c.server.shared.bytesIn.Add(uint64(n))
			used, ok := c.answer(in[:have])
			if !ok {
				return
			}
			full := have == len(in)
			have = copy(in, in[used:have])
			in = resize(in, have, full)
		}
		if err != nil {
			return
		}
	}
}

// resize makes room behind have bytes: twice the buffer when a command does not fit, a larger one for a client that
// fills it, a small one again after a large command. The parser bounds it: a command above Limits.CommandBytes is refused.
func resize(in []byte, have int, full bool) []byte {
	size := len(in)
	switch {
	case have == len(in):
		size = 2 * len(in)
	case full && len(in) < batchBytes:
		size = batchBytes
	case len(in) > keepBytes && have < readBytes:
		size = readBytes
	}
	if size == len(in) {
		return in
	}
	grown := make([]byte, size)
	copy(grown, in[:have])
	return grown
}

// answer handles what was read and writes the answers.
func (c *conn) answer(in []byte) (used int, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for {
		n, out, next := c.session.Handle(in[used:], c.out[:0])
		used += n
		c.out = out
		if len(out) > 0 && !c.write(out) {
			return used, false
		}
		if cap(c.out) > keepBytes {
			c.out = nil
		}
		if next != Again {
			if c.session.trusted != c.trusted.Load() {
				c.trusted.Store(c.session.trusted)
			}
			c.beat.Add(2)
			return used, next == More
		}
	}
}

// write needs c.mu.
func (c *conn) write(b []byte) bool {
	c.beat.Add(3) // from even to odd
	_, err := c.net.Write(b)
	c.beat.Add(1)
	c.server.shared.bytesOut.Add(uint64(len(b)))
	return err == nil
}

// listen is called by the session, inside Handle.
func (c *conn) listen(ch *channels) {
	before := c.channels.Swap(ch)
	switch {
	case before == nil && ch != nil:
		c.server.shared.subscriberCount.Add(1)
		if c.queue == nil {
			c.queue = make(chan message, c.server.shared.limits.Queue)
			c.server.running.Add(1)
			go c.push()
		}
		c.stop = c.server.shared.backend.Subscribe("", c.deliver)
	case before != nil && ch == nil:
		c.server.shared.subscriberCount.Add(-1)
		c.stop()
		c.stop = nil
	}
}

// deliver is called by whoever publishes and never waits (I7).
func (c *conn) deliver(_, name string, payload []byte) {
	if !c.channels.Load().wants(name) {
		return
	}
	select {
	case c.queue <- message{name, payload}:
	default:
		if c.kill() {
			c.server.shared.dropped.Add(1)
		}
	}
}

// push writes what deliver queued, many at once when many wait.
func (c *conn) push() {
	defer c.server.running.Done()
	var buf []byte
	for {
		select {
		case <-c.done:
			return
		case m := <-c.queue:
			var ok bool
			if buf, ok = c.pushBatch(buf[:0], m); !ok {
				c.kill()
				return
			}
			if cap(buf) > keepBytes {
				buf = nil
			}
		}
	}
}

func (c *conn) pushBatch(buf []byte, m message) ([]byte, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	ch, resp3 := c.session.channels, c.session.resp3
	buf = appendMessage(buf, resp3, ch, m)
	n := uint64(1)
	for len(buf) < pushBytes {
		select {
		case m = <-c.queue:
			buf = appendMessage(buf, resp3, ch, m)
			n++
			continue
		default:
		}
		break
	}
	c.server.shared.pushed.Add(n)
	return buf, len(buf) == 0 || c.write(buf)
}

// kill closes the connection from outside; true the first time.
func (c *conn) kill() bool {
	if c.closed.Swap(true) {
		return false
	}
	c.net.Close()
	return true
}

func (c *conn) end() {
	c.kill()
	c.mu.Lock()
	if c.channels.Load() != nil {
		c.listen(nil)
	}
	c.mu.Unlock()
	close(c.done)
	c.server.forget(c)
}
