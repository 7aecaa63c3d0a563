package node

import (
	"context"
	"errors"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"dashi/shard"
	"dashi/shard/group"
)

// shardHost is one shard as this node knows it. If the node has a replica, it is the state machine behind its lock, hosted by its group; if not, the state
// machine is empty, and the leader and the other replicas are on other nodes.
//
// The group's goroutine is the only writer: it holds mu for writing around every Apply. Look-ups hold it for
// reading, for as long as they use what they found.
type shardHost struct {
	id       uint32
	settings shard.Settings

	mu      sync.RWMutex
	shard   *shard.Shard
	answers bool // the replica here is one of the voters, and has what they have: look-ups may be answered from it

	group     atomic.Pointer[group.Group] // nil: there is no replica here
	route     atomic.Pointer[route]       // where the shard is by the word of another node; nil: nobody knew better
	hint      atomic.Pointer[string]      // who leads it by the word of another node; nil: nobody said
	lane      *lane                       // to the leader on another node
	stalled   atomic.Int64                // when a batch last found no leader, in Unix nanoseconds
	waitedFor atomic.Int64                // the same as stalled until a batch is accepted, then 0
	grew      chan struct{}               // has one token when the outbox may have grown
	talks     chan struct{}               // has one token when there may be messages for other shards
	// publishes and delivers have one token each while this replica leads, for its publisher and its courier: see tellLeaders.
	publishes, delivers chan struct{}

	load  load   // of the shard after the last entry
	turns *turns // of all hosts

	due     atomic.Int64  // shard.Wake after the last entry
	ticking atomic.Bool   // a tick is on its way
	sooner  chan struct{} // of all hosts: has one token when somebody's due may have come closer

	held   atomic.Bool   // the shard is held for another cookbook
	turned chan struct{} // of all hosts: see transition
}

func newShardHost(id uint32, settings shard.Settings, turns *turns, sooner, turned chan struct{}) *shardHost {
	h := &shardHost{id: id, settings: settings, shard: shard.New(settings), turns: turns, sooner: sooner, turned: turned}
	h.grew, h.talks, h.publishes, h.delivers = make(chan struct{}, 1), make(chan struct{}, 1), make(chan struct{}, 1), make(chan struct{}, 1)
	h.due.Store(h.shard.Wake())
	return h
}

// Apply, Snapshot and Restore make it a group.FSM.
func (h *shardHost) Apply(_ uint64, entry []byte) any {
	h.turns.take()
	defer h.turns.give()
	h.mu.Lock()
	version := h.shard.Version()
	r := h.shard.Apply(entry)
	due, held, load := h.shard.Wake(), h.shard.Held() > 0, h.shard.Load()
	turned := r.Report != nil || h.shard.Version() != version
	h.mu.Unlock()
	h.load.set(load)
	h.setDue(due)
	if h.held.Store(held); turned {
		wake(h.turned)
	}
	if r.Activations > 0 {
		wake(h.grew)
	}
	if r.Messages > 0 {
		wake(h.talks)
	}
	return r
}

// load is a shard.Load that is read without the lock: each number by itself.
type load struct{ profiles, outbox, peers atomic.Int64 }

func (l *load) set(now shard.Load) {
	l.profiles.Store(now.Profiles)
	l.outbox.Store(now.Outbox)
	l.peers.Store(now.Peers)
}

// wake puts a token into a channel of one, if there is none.
func wake(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// Snapshot freezes the state.
func (h *shardHost) Snapshot() (group.Snapshot, error) {
	h.mu.Lock() // the table's page protection is a write
	defer h.mu.Unlock()
	return persister{h.shard.Snapshot()}, nil
}

type persister struct{ *shard.Snapshot }

func (p persister) Persist(w io.Writer) error {
	_, err := p.WriteTo(w)
	return err
}

// Restore replaces the state.
func (h *shardHost) Restore(r io.Reader) error {
	restored, err := shard.Restore(r, h.settings)
	if err != nil {
		return err
	}
	h.mu.Lock()
	old := h.shard
	h.shard = restored
	h.mu.Unlock()
	h.load.set(restored.Load())
	h.setDue(restored.Wake())
	h.held.Store(restored.Held() > 0)
	wake(h.turned)
	old.Close()
	return nil
}

// There are several ways to have an entry applied, each built on the one before:
//
//	propose   only if this replica leads; waits until the entry has been applied
//	submit    wherever the shard is led; calls back (shard_lane.go)
//	ask       submit, and waits for the result
//	command   ask, until a leader has taken the entry
//	patient   command, until no cookbook is being switched

// propose puts an entry into the shard's log, if this replica leads, and waits until it has been applied.
func (h *shardHost) propose(entry []byte) error {
	g := h.group.Load()
	if g == nil {
		return &group.NotLeaderError{Group: h.id}
	}
	_, err := propose(g, entry)
	return err
}

// ask proposes an entry to the shard's leader, wherever that is, and waits for its result.
func (h *shardHost) ask(entry []byte) (*shard.Result, error) {
	type answer struct {
		result *shard.Result
		err    error
	}
	c := make(chan answer, 1)
	err := h.submit(entry, func(_ uint64, result any, err error) {
		a := answer{err: err}
		if r, ok := result.(*shard.Result); ok {
			kept := *r
			a.result = &kept
		}
		c <- a
	})
	if err != nil {
		return nil, err
	}
	a := <-c
	return a.result, a.err
}

// command is ask, again and again until a leader has taken the entry. It must do no harm if the entry is applied twice.
func (h *shardHost) command(ctx context.Context, entry []byte) (*shard.Result, error) {
	for {
		r, err := h.ask(entry)
		if !errors.Is(err, group.ErrNotLeader) && !errors.Is(err, group.ErrUnknown) {
			return r, err
		}
		select {
		case <-ctx.Done():
			return nil, err
		case <-time.After(changePause):
		}
	}
}

// patient is command, again and again while a cookbook is being switched.
func (h *shardHost) patient(ctx context.Context, entry func() []byte) (*shard.Result, error) {
	for {
		r, err := h.command(ctx, entry())
		if err != nil || r.Outcome != shard.Held {
			return r, err
		}
		if pause(ctx, switchPause); ctx.Err() != nil {
			return nil, ctx.Err()
		}
	}
}

// leads says whether this replica leads its group.
func (h *shardHost) leads() bool {
	g := h.group.Load()
	if g == nil {
		return false
	}
	_, here := g.Leader()
	return here
}

// reach is how far the replica here is; zero when there is none.
func (h *shardHost) reach() (l reach) {
	if g := h.group.Load(); g != nil {
		h.mu.RLock()
		st := h.shard.Stats()
		l.answers = h.answers
		h.mu.RUnlock()
		l.leads, l.applied, l.durable = h.leads(), g.Applied(), g.Durable()
		l.events, l.profiles = st.Events, uint64(st.Profiles)
	}
	return l
}

// leaderless says whether a batch has just found no leader, or one that does not answer: there is one again in a moment.
func (h *shardHost) leaderless(now time.Time) bool {
	return now.UnixNano()-h.stalled.Load() < int64(leaderPause)
}

// waitShown is for how long after a batch found no leader the status says that the shard's leader is waited for, until a batch is accepted: in between two
// attempts, of which there are some in a second, nothing holds the intake back.
const waitShown = 2 * time.Second

// awaited says whether the intake waits for a leader of the shard.
func (h *shardHost) awaited(now time.Time) bool {
	return now.UnixNano()-h.waitedFor.Load() < int64(waitShown)
}

// leaderOf is the member of groups that leads a group as far as its replica here knows; empty when it knows none.
func leaderOf(g *group.Group) string { return g.Progress().Leader }
