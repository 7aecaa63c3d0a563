package transport

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"sync/atomic"
	"syscall"
	"time"
)

// The failure detector looks at nodes, not at groups: one ping a node ten times a second instead of a heartbeat of every group. It is there for speed; Raft's
// own time-outs are behind it. A false alarm deposes a leader that lives, so it is slow to believe:
//
//   - A connection that ends is no proof: only a dial that is refused right afterwards is, or one that leads to another process. One that is cut off is tried again.
//   - Silence is no proof: a dial and greeting within confirmTimeout must fail as well, and no other peer may have heard of the silent one. A dial that fails
//     otherwise than refused proves nothing without silence.
//   - Who takes the dial and does not greet is there: its machine lives and it has not been ended. It may have come to a stop, but more often all processors are
//     busy, and it may be silent for as long as standstill.
//   - A node that was not scheduled itself for some time does not blame others for it.
const (
	pingEvery      = 100 * time.Millisecond
	silence        = 500 * time.Millisecond
	standstill     = 1500 * time.Millisecond
	confirmTimeout = 250 * time.Millisecond

	// dyingFirst is how soon a peer that has cut off a dial is dialled again, within confirmTimeout; dyingMost how long the pauses become.
	dyingFirst = time.Millisecond
	dyingMost  = 20 * time.Millisecond
)

// typeHeard is the call that asks how long ago a node was heard of.
const typeHeard = 1

// peer is what this node knows of another that it watches.
type peer struct {
	id       string
	lastSeen atomic.Int64  // of any frame, in nanoseconds since the transport's start
	instance atomic.Uint64 // of the process that was greeted last

	// What follows is guarded by Transport.mu.
	state      peerState
	greeted    int64 // when the connection had come from which instance is known
	buried     int64 // when the peer was found dead last
	confirming bool
	calm       int64 // when suspicion of its silence was found wrong
}

type peerState uint8

const (
	peerUnknown peerState = iota // never met
	peerUp
	peerDown
)

func (s *Settings) detectDefaults() {
	if s.pingEvery == 0 {
		s.pingEvery = pingEvery
	}
	if s.silence == 0 {
		s.silence = silence
	}
	if s.standstill == 0 {
		s.standstill = standstill
	}
	if s.confirmTimeout == 0 {
		s.confirmTimeout = confirmTimeout
	}
}

// since is the time in nanoseconds since the transport was opened.
func (t *Transport) since() int64 { return int64(time.Since(t.opened)) }

// Watch says which peers are pinged: all of these, and no others.
func (t *Transport) Watch(ids []string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	peers := make(map[string]*peer, len(ids))
	for _, id := range ids {
		if id == t.s.ID {
			continue
		}
		if peers[id] = t.peers[id]; peers[id] == nil {
			peers[id] = &peer{id: id}
		}
	}
	t.peers = peers
}

// Healthy says that a peer was heard of a moment ago.
func (t *Transport) Healthy(id string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	p := t.peers[id]
	return p != nil && p.state == peerUp && t.since()-p.lastSeen.Load() < int64(t.s.silence)
}

// Down says that a peer was found dead, and has not been met since.
func (t *Transport) Down(id string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	p := t.peers[id]
	return p != nil && p.state == peerDown
}

func (t *Transport) peer(id string) *peer {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.peers[id]
}

// heard notes that a frame of a peer has come.
func (t *Transport) heard(id string) {
	if p := t.peer(id); p != nil {
		p.lastSeen.Store(t.since())
	}
}

// met notes that a peer was greeted, and says whether that is news: a connection that may have been greeted before the peer was found dead, or by the process before the one
// that is known, is no sign of life, and is to be closed.
func (t *Transport) met(c *conn) bool {
	if c.class != classRaft {
		return true
	}
	t.mu.Lock()
	p := t.peers[c.peer]
	if p == nil {
		t.mu.Unlock()
		return true
	}
	before := p.instance.Load()
	if c.greeted < p.buried || before != c.instance && c.greeted < p.greeted {
		t.mu.Unlock()
		return false
	}
	p.instance.Store(c.instance)
	restarted := before != 0 && before != c.instance && p.state == peerUp
	p.state = peerUp
	p.greeted = max(p.greeted, c.greeted)
	p.lastSeen.Store(t.since())
	t.mu.Unlock()
	if restarted {
		t.down(p.id, "it was started anew")
	}
	return true
}

// up tells that a peer can be sent to.
func (t *Transport) up(id string) {
	t.mu.Lock()
	tell := t.onUp
	if t.peers[id] == nil {
		tell = nil
	}
	t.mu.Unlock()
	for _, f := range tell {
		t.run(func() { f(id) })
	}
}

// parted looks after a peer whose connection has ended.
func (t *Transport) parted(c *conn) {
	if c.class != classRaft || errors.Is(c.err, ErrClosed) || errors.Is(c.err, errMuted) {
		return
	}
	t.mu.Lock()
	p := t.peers[c.peer]
	t.mu.Unlock()
	if p != nil && p.instance.Load() == c.instance {
		t.suspect(p, "its connection was lost")
	}
}

// detect pings, and finds who is silent.
func (t *Transport) detect() {
	tick := time.NewTicker(t.s.pingEvery)
	defer tick.Stop()
	last := t.since()
	for {
		select {
		case <-t.ctx.Done():
			return
		case <-tick.C:
		}
		now := t.since()
		slept := now - last - int64(t.s.pingEvery)
		last = now
		t.mu.Lock()
		peers := make([]*peer, 0, len(t.peers))
		for _, p := range t.peers {
			peers = append(peers, p)
		}
		t.mu.Unlock()
		if slept > int64(t.s.silence)/4 { // what this node did not see while it was not scheduled is not for its peers to answer for
			t.stats.starved.Add(1)
			for _, p := range peers {
				if seen := p.lastSeen.Load(); seen < now {
					p.lastSeen.CompareAndSwap(seen, min(seen+slept, now))
				}
			}
		}
		for _, p := range peers {
			t.look(p, now)
		}
	}
}

// look pings one peer and suspects it when it is silent.
func (t *Transport) look(p *peer, now int64) {
	if c := t.link(p.id, classRaft).poke(); c != nil {
		t.run(func() { _ = c.w.send(header{kind: kindPing}, urgent, nil) }) // a peer that takes nothing holds up the write
	}
	t.mu.Lock()
	up, calm := p.state == peerUp, p.calm
	t.mu.Unlock()
	if up && now-max(p.lastSeen.Load(), calm) > int64(t.s.silence) {
		t.suspect(p, "it is silent")
	}
}

// suspect starts to confirm that a peer is dead.
func (t *Transport) suspect(p *peer, why string) {
	t.mu.Lock()
	busy := p.confirming || p.state != peerUp
	if !busy {
		p.confirming = true
	}
	t.mu.Unlock()
	if busy {
		return
	}
	ok := t.run(func() {
		t.confirm(p, why)
		t.mu.Lock()
		p.confirming = false
		t.mu.Unlock()
	})
	if !ok {
		t.mu.Lock()
		p.confirming = false
		t.mu.Unlock()
	}
}

// confirm decides.
func (t *Transport) confirm(p *peer, why string) {
	t.stats.suspected.Add(1)
	began := t.since()
	ctx, cancel := context.WithTimeout(t.ctx, t.s.confirmTimeout)
	c, err := t.dial(ctx, p.id, classProbe)
	for wait := dyingFirst; cutOff(err) && ctx.Err() == nil; wait = min(2*wait, dyingMost) { // a process that is killed loses its connections first, then its port
		select {
		case <-ctx.Done():
		case <-time.After(wait):
			c, err = t.dial(ctx, p.id, classProbe)
		}
	}
	cancel()
	if err == nil {
		c.close(ErrClosed)
		if before := p.instance.Load(); before != c.instance {
			t.bury(p, why+", and another process answers in its place")
			return
		}
		p.lastSeen.Store(t.since())
		return
	}
	if t.ctx.Err() != nil || t.muted.Load() {
		return
	}
	refused := errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, errRefused)
	patience := int64(t.s.silence)
	if errors.Is(err, errUngreeted) {
		patience = int64(t.s.standstill)
	}
	if !refused && t.since()-p.lastSeen.Load() < patience {
		return // look suspects it again if it stays silent
	}
	if !refused && (p.lastSeen.Load() > began || t.othersHear(p)) {
		t.stats.contradicted.Add(1)
		t.mu.Lock()
		p.calm = t.since() // and looked at again after another time of silence
		t.mu.Unlock()
		return
	}
	t.bury(p, why+", and "+err.Error())
}

// cutOff says whether a peer took a connection and ended it without a word.
func cutOff(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}

// othersHear asks the other peers whether they have heard of one.
func (t *Transport) othersHear(p *peer) bool {
	t.mu.Lock()
	var others []string
	for id := range t.peers {
		if id != p.id {
			others = append(others, id)
		}
	}
	t.mu.Unlock()
	ctx, cancel := context.WithTimeout(t.ctx, t.s.confirmTimeout)
	defer cancel()
	answers := make(chan bool, len(others))
	for _, id := range others {
		if !t.Healthy(id) {
			answers <- false
			continue
		}
		ok := t.run(func() {
			b, err := t.Call(ctx, id, typeHeard, []byte(p.id))
			answers <- err == nil && len(b) == 8 && binary.LittleEndian.Uint64(b) < uint64(t.s.silence)
		})
		if !ok {
			answers <- false
		}
	}
	for range others {
		if <-answers {
			return true
		}
	}
	return false
}

// heardHandler answers how many nanoseconds ago a node was heard of.
type heardHandler struct{ t *Transport }

func (h heardHandler) Serve(_ context.Context, call *Call) ([]byte, error) {
	ago := ^uint64(0)
	if p := h.t.peer(string(call.Body)); p != nil && p.instance.Load() != 0 {
		ago = uint64(max(0, h.t.since()-p.lastSeen.Load()))
	}
	return binary.LittleEndian.AppendUint64(nil, ago), nil
}

// bury notes that a peer is dead and tells.
func (t *Transport) bury(p *peer, why string) {
	t.mu.Lock()
	was := p.state
	p.state, p.buried = peerDown, t.since()
	t.mu.Unlock()
	if was == peerUp {
		t.link(p.id, classRaft).drop(ErrDown)
		t.link(p.id, classCalls).drop(ErrDown)
		t.down(p.id, why)
	}
}

func (t *Transport) down(id, why string) {
	t.stats.downs.Add(1)
	t.s.Log.Warn("peer is down", "peer", id, "why", why)
	t.mu.Lock()
	tell := t.onDown
	t.mu.Unlock()
	for _, f := range tell {
		t.run(func() { f(id, why) })
	}
}
