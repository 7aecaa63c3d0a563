package transport

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/hashicorp/raft"
)

// maxConns bounds the connections that are accepted: three a peer and some snapshots, for more nodes than a cluster has.
const maxConns = 1024

// accept takes connections until the listener closes.
func (t *Transport) accept() {
	for {
		nc, err := t.s.Listener.Accept()
		if err != nil {
			if t.ctx.Err() != nil || errors.Is(err, net.ErrClosed) {
				return
			}
			t.s.Log.Error("cannot accept connection of a peer", "error", err)
			select { // too many open files, say
			case <-time.After(100 * time.Millisecond):
			case <-t.ctx.Done():
				return
			}
			continue
		}
		if t.s.ServerTLS != nil {
			nc = tls.Server(nc, t.s.ServerTLS)
		}
		c := newConn(t, nc, 0)
		if !t.admitted(c) {
			nc.Close()
			continue
		}
		if !t.run(func() { t.serve(c) }) {
			c.close(ErrClosed)
		}
	}
}

// admitted keeps book of a connection that was accepted.
func (t *Transport) admitted(c *conn) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed || len(t.accepted) >= maxConns {
		return false
	}
	t.accepted[c] = struct{}{}
	c.closed = t.gone
	return true
}

func (t *Transport) gone(c *conn) {
	t.mu.Lock()
	delete(t.accepted, c)
	greeted := c.peer != ""
	t.mu.Unlock()
	if greeted {
		t.parted(c)
	}
}

// serve greets who has dialled and does what it asks.
func (t *Transport) serve(c *conn) {
	err := c.welcome()
	if err != nil {
		c.close(err)
		return
	}
	switch c.class {
	case classRaft:
		err = t.serveRaft(c)
	case classCalls:
		err = t.serveCalls(c)
	case classSnapshot:
		err = t.serveSnapshot(c)
	case classProbe:
	}
	c.close(err)
}

// serveRaft reads Raft's requests. It never waits for a group. A greeting may have lain here since before its sender died: who was found dead is raised by what comes after
// our answer to it.
func (t *Transport) serveRaft(c *conn) error {
	met := !t.Down(c.peer) && t.met(c)
	for {
		h, body, err := readFrame(c.r, maxFrame)
		if err != nil {
			return err
		}
		if met = met || t.met(c); !met {
			return ErrDown
		}
		if t.muted.Load() {
			return errMuted
		}
		t.heard(c.peer)
		switch h.kind {
		case kindPing:
			_ = c.w.send(header{kind: kindPong, id: h.id}, urgent, nil)
		case kindRequest:
			request, err := decodeRequest(h.typ, body, c.peer)
			if err != nil {
				return err
			}
			if err := t.deliver(c, h, request); err != nil {
				t.stats.rejected.Add(1)
				c.respond(h, raft.RPCResponse{Error: err})
			}
		default:
			return fmt.Errorf("frame of kind %d from who has dialled: %w", h.kind, errFrame)
		}
	}
}

func (t *Transport) deliver(c *conn, h header, request any) error {
	t.mu.Lock()
	g := t.groups[h.group]
	t.mu.Unlock()
	if g == nil {
		return ErrNoGroup
	}
	return g.enqueue(c, h, request)
}
