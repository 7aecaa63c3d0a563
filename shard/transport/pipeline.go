package transport

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/hashicorp/raft"
)

// inFlight is how many appends of a group are on their way to a follower at a time. Two hide the round trip; more gain nothing.
const inFlight = 2

var errBroken = errors.New("pipeline is broken")

// pipeline sends appends without waiting for each response. It breaks at the first error, and the first response that is no success: what follows fails
// at once, so that Raft, which has stopped to listen, does not wait for it (hashicorp/raft issue 612).
type pipeline struct {
	g     *Group
	l     *link
	c     *conn
	slots chan struct{}
	done  chan raft.AppendFuture

	id uint64 // under which the link tells it of the end of the connection

	once   sync.Once
	broken chan struct{}
}

// AppendEntriesPipeline begins a pipeline to a peer that is there.
func (g *Group) AppendEntriesPipeline(_ raft.ServerID, to raft.ServerAddress) (raft.AppendPipeline, error) {
	ctx, cancel := context.WithTimeout(g.ctx, requestTimeout)
	defer cancel()
	l := g.t.link(string(to), classRaft)
	c, err := l.get(ctx)
	if err != nil {
		return nil, err
	}
	p := &pipeline{g: g, l: l, c: c, slots: make(chan struct{}, inFlight), done: make(chan raft.AppendFuture, queueLen), broken: make(chan struct{})}
	p.id, err = l.expect(c, p)
	return p, err
}

// complete is called when the connection ends. Raft must be told even if nothing is on its way: it would learn of it by the next append, and count that one
// as sent until its commit time-out. There is no way to tell it that does not look like a sign of life from the peer, once: so a leader that
// is cut off steps down that much later.
func (p *pipeline) complete(_ header, _ []byte, err error) bool {
	a := &appending{p: p, start: time.Now(), request: &raft.AppendEntriesRequest{}, response: &raft.AppendEntriesResponse{}, answered: make(chan struct{}), err: err}
	close(a.answered)
	select {
	case <-p.broken: // it knows already
		return false
	default:
	}
	p.end()
	select {
	case p.done <- a:
	default:
	}
	return false
}

// appending is one append.
type appending struct {
	p        *pipeline
	start    time.Time
	request  *raft.AppendEntriesRequest
	response *raft.AppendEntriesResponse
	answered chan struct{}
	err      error // set before answered is closed
}

// AppendEntries sends one, when less than inFlight are on their way.
func (p *pipeline) AppendEntries(r *raft.AppendEntriesRequest, resp *raft.AppendEntriesResponse) (raft.AppendFuture, error) {
	select {
	case p.slots <- struct{}{}:
	case <-p.broken:
	case <-p.g.ctx.Done():
		return nil, ErrClosed
	}
	select {
	case <-p.broken:
		return nil, errBroken
	default:
	}
	fit(r)
	a := &appending{p: p, start: time.Now(), request: r, response: resp, answered: make(chan struct{})}
	flags, u := p.g.laziness(r)
	p.g.sending(p.l.key.peer, r)
	_, err := p.l.request(p.c, header{kind: kindRequest, flags: flags, typ: typeAppend, group: p.g.id}, u, a, func(dst []byte) []byte { return appendRequest(dst, r) })
	if err != nil {
		p.end()
		return nil, err
	}
	return a, nil
}

// complete takes the response. Raft is told of the first failure as well: it leaves the pipeline for that.
func (a *appending) complete(h header, body []byte, err error) bool {
	a.err = result{h, body, err}.decode(a.response, a.p.l.key.peer)
	if a.err == nil && a.response.Success {
		a.p.g.acknowledged(a.p.l.key.peer, a.request)
	}
	close(a.answered)
	select {
	case <-a.p.broken:
		return false
	default:
	}
	select {
	case a.p.done <- a:
	default: // nobody takes them any more
		a.p.end()
	}
	if a.err != nil || !a.response.Success {
		a.p.end()
	}
	<-a.p.slots
	return false
}

func (p *pipeline) end() { p.once.Do(func() { close(p.broken) }) }

// Consumer gives the responses.
func (p *pipeline) Consumer() <-chan raft.AppendFuture { return p.done }

// Close ends the pipeline.
func (p *pipeline) Close() error {
	p.end()
	p.l.forget(p.id)
	return nil
}

// Error waits for the response.
func (a *appending) Error() error {
	select {
	case <-a.answered:
		return a.err
	case <-a.p.g.ctx.Done():
		return ErrClosed
	}
}

func (a *appending) Start() time.Time                      { return a.start }
func (a *appending) Request() *raft.AppendEntriesRequest   { return a.request }
func (a *appending) Response() *raft.AppendEntriesResponse { return a.response }
