package transport

import (
	"context"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/raft"
)

const (
	// queueLen is how many requests of Raft wait for a group; more are rejected, so that one group that is held up does not hold up the others.
	queueLen = 128
	// requestTimeout is Raft's patience with a peer that is there and does not answer; its election time-out is 2 s.
	requestTimeout = 2 * time.Second
	// awaitPeer is how long a follower that is down is waited for in one go. Raft's own pauses between attempts grow to 10 s, which would be added to
	// every restart; so the attempt waits for the peer instead of failing.
	awaitPeer = 30 * time.Second
)

// Group is a group's raft.Transport.
type Group struct {
	t  *Transport
	id uint32

	rpc     chan raft.RPC
	answers chan raft.RPCResponse // of all in rpc, in that order, because Raft takes one after the other
	tickets chan ticket           // whose they are
	refused chan time.Time        // see Refused

	mu     sync.Mutex // of rpc and tickets together
	ctx    context.Context
	cancel context.CancelFunc

	verifying atomic.Int32 // heartbeats are waited for

	followersMu sync.Mutex
	followers   followers
}

// ticket says where a response goes.
type ticket struct {
	c *conn
	h header
}

// Group makes the view of one group. It takes requests from now on. Close ends it.
func (t *Transport) Group(id uint32) (*Group, error) {
	g := &Group{t: t, id: id, rpc: make(chan raft.RPC, queueLen), answers: make(chan raft.RPCResponse, queueLen+8), tickets: make(chan ticket, queueLen), refused: make(chan time.Time, 1)}
	g.ctx, g.cancel = context.WithCancel(t.ctx)
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return nil, ErrClosed
	}
	if t.groups[id] != nil {
		return nil, fmt.Errorf("group %d is on this node already", id)
	}
	t.groups[id] = g
	if t.s.Listener != nil {
		t.running.Go(g.reply)
	}
	return g, nil
}

// Close makes what is under way fail, and takes nothing more. It is called before the group's Raft is waited for.
func (g *Group) Close() error {
	g.cancel()
	g.t.mu.Lock()
	if g.t.groups[g.id] == g {
		delete(g.t.groups, g.id)
	}
	g.t.mu.Unlock()
	return nil
}

// Refused has a token, with the time, when this replica has refused somebody its vote: its own log may be longer.
func (g *Group) Refused() <-chan time.Time { return g.refused }

// Campaign makes Raft stand for election at once, as a leader's request to take over does. It says whether Raft will hear of it.
func (g *Group) Campaign() bool {
	select {
	case g.rpc <- raft.RPC{Command: &raft.TimeoutNowRequest{RPCHeader: identity(g.t.s.ID)}, RespChan: make(chan raft.RPCResponse, 1)}:
		return true
	default:
		return false
	}
}

// Verifying says whether somebody waits for heartbeats; while somebody does they are not lazy.
func (g *Group) Verifying(on bool) {
	if on {
		g.verifying.Add(1)
	} else {
		g.verifying.Add(-1)
	}
}

// enqueue hands a request to Raft, which answers in the order of the requests.
func (g *Group) enqueue(c *conn, h header, command any) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.ctx.Err() != nil {
		return ErrNoGroup
	}
	if len(g.tickets) == cap(g.tickets) {
		return ErrBusy
	}
	select { // first, because Campaign needs room too
	case g.rpc <- raft.RPC{Command: command, RespChan: g.answers}:
	default:
		return ErrBusy
	}
	g.tickets <- ticket{c, h}
	return nil
}

// reply sends Raft's answers.
func (g *Group) reply() {
	for {
		var k ticket
		select {
		case k = <-g.tickets:
		case <-g.ctx.Done():
			return
		}
		select {
		case r := <-g.answers:
			if v, ok := r.Response.(*raft.RequestVoteResponse); ok && !v.Granted {
				select { // nobody else sends
				case <-g.refused:
				default:
				}
				g.refused <- time.Now()
			}
			k.c.respond(k.h, r)
		case <-g.ctx.Done():
			return
		}
	}
}

// respond sends a response of Raft.
func (c *conn) respond(to header, r raft.RPCResponse) {
	h, u := header{kind: kindResponse, group: to.group, typ: to.typ, id: to.id}, urgent
	if to.flags&flagLazy != 0 {
		u = lazy
	}
	if r.Error != nil {
		h.flags = flagError
		_ = c.w.send(h, u, func(dst []byte) []byte { return append(dst, r.Error.Error()...) })
		return
	}
	_ = c.w.send(h, u, func(dst []byte) []byte { return appendResponse(dst, r.Response) })
}

// What raft.Transport asks for.

func (g *Group) Consumer() <-chan raft.RPC     { return g.rpc }
func (g *Group) LocalAddr() raft.ServerAddress { return raft.ServerAddress(g.t.s.ID) }

// SetHeartbeatHandler ignores the handler: Raft would change its term from two goroutines at a time (hashicorp/raft issue 695).
func (g *Group) SetHeartbeatHandler(func(raft.RPC)) {}

func (g *Group) EncodePeer(_ raft.ServerID, a raft.ServerAddress) []byte { return []byte(a) }
func (g *Group) DecodePeer(b []byte) raft.ServerAddress                  { return raft.ServerAddress(b) }

// RequestVote asks for a vote.
func (g *Group) RequestVote(_ raft.ServerID, to raft.ServerAddress, r *raft.RequestVoteRequest, resp *raft.RequestVoteResponse) error {
	return g.call(string(to), typeVote, 0, urgent, r, resp)
}

// RequestPreVote asks whether a vote would be given.
func (g *Group) RequestPreVote(_ raft.ServerID, to raft.ServerAddress, r *raft.RequestPreVoteRequest, resp *raft.RequestPreVoteResponse) error {
	return g.call(string(to), typePreVote, 0, urgent, r, resp)
}

// TimeoutNow asks a peer to stand for election.
func (g *Group) TimeoutNow(_ raft.ServerID, to raft.ServerAddress, r *raft.TimeoutNowRequest, resp *raft.TimeoutNowResponse) error {
	return g.call(string(to), typeTimeoutNow, 0, urgent, r, resp)
}

// AppendEntries sends entries, or a heartbeat.
func (g *Group) AppendEntries(_ raft.ServerID, to raft.ServerAddress, r *raft.AppendEntriesRequest, resp *raft.AppendEntriesResponse) error {
	if heartbeat(r) { // it says at once that the peer is down
		flags, u := g.laziness(r)
		return g.call(string(to), typeAppend, flags, u, r, resp)
	}
	ctx, cancel := context.WithTimeout(g.ctx, awaitPeer)
	defer cancel()
	if _, err := g.t.link(string(to), classRaft).await(ctx); err != nil {
		return err
	}
	fit(r)
	flags, u := g.laziness(r)
	g.sending(string(to), r)
	err := g.call(string(to), typeAppend, flags, u, r, resp)
	if err == nil && resp.Success {
		g.acknowledged(string(to), r)
	}
	return err
}

// heartbeat says whether an append is there to say that the leader is.
func heartbeat(r *raft.AppendEntriesRequest) bool {
	return r.PrevLogEntry == 0 && r.LeaderCommitIndex == 0 && len(r.Entries) == 0
}

// laziness says how an append is sent.
func (g *Group) laziness(r *raft.AppendEntriesRequest) (uint8, urgency) {
	switch {
	case len(r.Entries) > 0:
		return 0, patient
	case g.verifying.Load() > 0:
		return 0, urgent
	}
	if heartbeat(r) {
		return flagLazy, idle
	}
	return flagLazy, lazy
}

// waiter is a caller who waits for one response.
type waiter chan result

type result struct {
	h    header
	body []byte
	err  error
}

func (w waiter) complete(h header, body []byte, err error) bool {
	select {
	case w <- result{h, body, err}:
	default:
	}
	return false
}

// call is one request and its response.
func (g *Group) call(to string, typ uint16, flags uint8, u urgency, request, response any) error {
	l := g.t.link(to, classRaft)
	ctx, cancel := context.WithTimeout(g.ctx, requestTimeout)
	defer cancel()
	c, err := l.get(ctx)
	if err != nil {
		return err
	}
	w := make(waiter, 1)
	id, err := l.request(c, header{kind: kindRequest, flags: flags, typ: typ, group: g.id}, u, w, func(dst []byte) []byte { return appendRequest(dst, request) })
	if err != nil {
		return err
	}
	select {
	case r := <-w:
		return r.decode(response, to)
	case <-ctx.Done():
		l.forget(id)
		return fmt.Errorf("group %d: %s does not answer: %w", g.id, to, ctx.Err())
	}
}

// decode fills in the response.
func (r result) decode(response any, from string) error {
	switch {
	case r.err != nil:
		return r.err
	case r.h.flags&flagError != 0:
		return fmt.Errorf("%s: %s", from, r.body)
	}
	return decodeResponse(response, r.body, from)
}

// InstallSnapshot streams a snapshot on a connection of its own.
func (g *Group) InstallSnapshot(_ raft.ServerID, to raft.ServerAddress, r *raft.InstallSnapshotRequest, resp *raft.InstallSnapshotResponse, data io.Reader) error {
	return g.sendSnapshot(string(to), r, resp, data)
}
