package resp

import (
	"sync/atomic"
	"time"
)

// client is one connection as the server sees it, whatever carries it.
type client struct {
	server  *Server
	session *Session
	carrier carrier
	loop    *loop     // of a socket
	since   time.Time // when it was accepted

	// beat changes with everything the connection does; its lowest bit is set while a write waits. The sweep
	// compares it with the last one it saw: no clock is read and no timer is set for a command.
	beat     atomic.Uint64
	trusted  atomic.Bool
	by       atomic.Pointer[digest] // of the password that let it in; nil: none has
	lastBeat uint64                 // of the sweep
	beatAt   time.Time              // of the sweep
	closed   atomic.Bool

	channels atomic.Pointer[channels]
	queue    chan message
	stop     func()
	gone     bool // it has been told that nothing leaves any more under a name it subscribes to; of the carrier
}

// carrier moves the bytes of a client: a conn with a goroutine of its own, or a socket in an event loop. Its methods are
// called from any goroutine and do not wait.
type carrier interface {
	subscribed() // the client has a queue now; called once
	notify()     // there is a message in the queue
	finish()     // end once the batch under way is answered
	cut()        // end now; called once
}

// message is one activation on its way to a subscriber.
type message struct {
	activation, audience string
	payload              []byte
	gone                 string // in place of the others: a name that nothing leaves under any more
}

// listen is called by the session, inside Handle, and when the connection ends.
func (c *client) listen(ch *channels) {
	before := c.channels.Swap(ch)
	switch {
	case before == nil && ch != nil:
		c.server.shared.subscriberCount.Add(1)
		if c.queue == nil {
			c.queue = make(chan message, c.server.shared.limits.Queue)
			c.carrier.subscribed()
		}
		c.stop = c.server.shared.backend.Subscribe("", c.deliver)
	case before != nil && ch == nil:
		c.server.shared.subscriberCount.Add(-1)
		c.stop()
		c.stop = nil
	}
}

// wake has Handle called again.
func (c *client) wake() { c.carrier.notify() }

// deliver is called by whoever publishes and never waits (I7).
func (c *client) deliver(_, activation, audience string, payload []byte) {
	m := message{activation: activation, audience: audience, payload: payload}
	if !c.channels.Load().wants(&m) {
		return
	}
	select {
	case c.queue <- m:
		c.carrier.notify()
	default:
		if c.kill() {
			c.server.shared.dropped.Add(1)
		}
	}
}

// miss has a subscriber told of, and cut off for, a channel that nothing comes from any more: silence would look like a quiet day. sends says
// whether a name is still one that something leaves under.
func (c *client) miss(sends func(name string) bool) {
	ch := c.channels.Load()
	if ch == nil {
		return
	}
	for name := range ch.names {
		if !sends(name) {
			select {
			case c.queue <- message{gone: name}:
				c.carrier.notify()
			default: // it is being cut off for not reading
			}
			return
		}
	}
}

// appendQueued appends what waits in the queue, pushBytes and one message at most. When it sets gone, the connection has to end behind it.
func (c *client) appendQueued(dst []byte) []byte {
	ch, resp3 := c.session.channels, c.session.resp3
	n := uint64(0)
	for end := len(dst) + pushBytes; len(dst) < end; n++ {
		select {
		case m := <-c.queue:
			if m.gone != "" {
				if ch == nil || !ch.has(m.gone) { // it has been ended since
					continue
				}
				c.gone = true
				dst = appendError(dst, "ERR the channel "+channelPrefix+m.gone+" is gone: nothing leaves under that name any more, since another cookbook is in force")
				break
			}
			dst = appendMessage(dst, resp3, ch, &m)
			continue
		default:
		}
		break
	}
	c.server.shared.pushed.Add(n)
	return dst
}

// noteTrust tells the server whether a password was given, and which, or that it was taken back by RESET.
func (c *client) noteTrust() {
	given := &c.session.by
	if before := c.by.Load(); before == nil && *given != (digest{}) || before != nil && *before != *given {
		by := *given
		c.by.Store(&by)
	}
	if c.session.trusted != c.trusted.Load() {
		c.trusted.Store(c.session.trusted)
	}
}

// kill ends the connection from outside; true the first time.
func (c *client) kill() bool {
	if c.closed.Swap(true) {
		return false
	}
	c.carrier.cut()
	return true
}
