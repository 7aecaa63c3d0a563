package resp

import (
	"net"
	"sync"
	"time"
)

// Sizes of a connection's buffers. Most commands are below 100 bytes; what a large one needed is given back afterwards.
const (
	readBytes  = 4 << 10  // at first
	keepBytes  = 64 << 10 // at most, between two batches
	pushBytes  = 64 << 10 // of activations, written at once
	batchBytes = 16 << 10 // the read buffer of a connection that pipelines
)

// conn carries a client over any net.Conn: a goroutine that reads, answers and writes, and one that pushes.
type conn struct {
	*client
	net net.Conn

	mu   sync.Mutex // over Handle and write, so that pushes fall between answers
	out  []byte
	woke chan struct{} // has a token when there is something in the queue
	done chan struct{} // closed when the connection ends
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
		c.noteTrust() // before the client reads that it is let in, and the sweep comes
		if next != Again {
			c.beat.Add(2)
		}
		if len(out) > 0 && !c.write(out) {
			return used, false
		}
		if cap(c.out) > keepBytes {
			c.out = nil
		}
		if next != Again {
			return used, next == More
		}
		switch {
		case c.session.fetching():
			<-c.session.fetch.came
		case !c.session.waiting.IsZero():
			time.Sleep(movePause)
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

func (c *conn) subscribed() {
	c.server.running.Add(1)
	go c.push()
}

func (c *conn) notify() {
	select {
	case c.woke <- struct{}{}:
	default:
	}
}

// movePause is how long a profile that moves is left alone.
const movePause = time.Millisecond

func (c *conn) finish() { c.net.SetReadDeadline(time.Unix(1, 0)) }

func (c *conn) cut() { c.net.Close() }

// push writes what deliver queued, many at once when many wait.
func (c *conn) push() {
	defer c.server.running.Done()
	var buf []byte
	for {
		select {
		case <-c.done:
			return
		case <-c.woke:
		}
		for len(c.queue) > 0 {
			var ok bool
			if buf, ok = c.pushBatch(buf[:0]); !ok {
				c.kill()
				return
			}
			if cap(buf) > keepBytes {
				buf = nil
			}
		}
	}
}

func (c *conn) pushBatch(buf []byte) ([]byte, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	buf = c.appendQueued(buf)
	return buf, (len(buf) == 0 || c.write(buf)) && !c.gone
}

func (c *conn) end() {
	c.kill()
	c.mu.Lock()
	if c.channels.Load() != nil {
		c.listen(nil)
	}
	c.mu.Unlock()
	close(c.done)
	c.server.forget(c.client)
}
