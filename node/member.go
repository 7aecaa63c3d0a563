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

// member is one shard as this node knows it. If the node has a replica, it is the state machine behind its lock, hosted by its group; if not, the state
// machine is empty, and the leader and the other replicas are on other nodes.
//
// The group's goroutine is the only writer: it holds mu for writing around every Apply. Look-ups hold it for
// reading, for as long as they use what they found.
type member struct {
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
	turns *turns // of all members

	due     atomic.Int64  // shard.Wake after the last entry
	ticking atomic.Bool   // a tick is on its way
	sooner  chan struct{} // of all members: has one token when somebody's due may have come closer

	held   atomic.Bool   // the shard is held for another cookbook
	turned chan struct{} // of all members: see Node.turned
}

func newMember(id uint32, settings shard.Settings, turns *turns, sooner, turned chan struct{}) *member {
	m := &member{id: id, settings: settings, shard: shard.New(settings), turns: turns, sooner: sooner, turned: turned}
	m.grew, m.talks, m.publishes, m.delivers = make(chan struct{}, 1), make(chan struct{}, 1), make(chan struct{}, 1), make(chan struct{}, 1)
	m.due.Store(m.shard.Wake())
	return m
}

// Apply, Snapshot and Restore make it a group.FSM.
func (m *member) Apply(_ uint64, entry []byte) any {
	m.turns.take()
	defer m.turns.give()
	m.mu.Lock()
	version := m.shard.Version()
	r := m.shard.Apply(entry)
	due, held, load := m.shard.Wake(), m.shard.Held() > 0, m.shard.Load()
	turned := r.Report != nil || m.shard.Version() != version
	m.mu.Unlock()
	m.load.set(load)
	m.setDue(due)
	if m.held.Store(held); turned {
		wake(m.turned)
	}
	if r.Activations > 0 {
		wake(m.grew)
	}
	if r.Messages > 0 {
		wake(m.talks)
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
func (m *member) Snapshot() (group.Snapshot, error) {
	m.mu.Lock() // the table's page protection is a write
	defer m.mu.Unlock()
	return persister{m.shard.Snapshot()}, nil
}

type persister struct{ *shard.Snapshot }

func (p persister) Persist(w io.Writer) error {
	_, err := p.WriteTo(w)
	return err
}

// Restore replaces the state.
func (m *member) Restore(r io.Reader) error {
	restored, err := shard.Restore(r, m.settings)
	if err != nil {
		return err
	}
	m.mu.Lock()
	old := m.shard
	m.shard = restored
	m.mu.Unlock()
	m.load.set(restored.Load())
	m.setDue(restored.Wake())
	m.held.Store(restored.Held() > 0)
	wake(m.turned)
	old.Close()
	return nil
}

// There are several ways to have an entry applied, each built on the one before:
//
//	propose   only if this replica leads; waits until the entry has been applied
//	submit    wherever the shard is led; calls back (lane.go)
//	ask       submit, and waits for the result
//	command   ask, until a leader has taken the entry
//	patient   command, until no cookbook is being switched

// propose puts an entry into the shard's log, if this replica leads, and waits until it has been applied.
func (m *member) propose(entry []byte) error {
	g := m.group.Load()
	if g == nil {
		return &group.NotLeaderError{Group: m.id}
	}
	_, err := propose(g, entry)
	return err
}

// ask proposes an entry to the shard's leader, wherever that is, and waits for its result.
func (m *member) ask(entry []byte) (*shard.Result, error) {
	type answer struct {
		result *shard.Result
		err    error
	}
	c := make(chan answer, 1)
	err := m.submit(entry, func(_ uint64, result any, err error) {
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
func (m *member) command(ctx context.Context, entry []byte) (*shard.Result, error) {
	for {
		r, err := m.ask(entry)
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
func (m *member) patient(ctx context.Context, entry func() []byte) (*shard.Result, error) {
	for {
		r, err := m.command(ctx, entry())
		if err != nil || r.Outcome != shard.Held {
			return r, err
		}
		if pause(ctx, switchPause); ctx.Err() != nil {
			return nil, ctx.Err()
		}
	}
}

// leads says whether this replica leads its group.
func (m *member) leads() bool {
	g := m.group.Load()
	if g == nil {
		return false
	}
	_, here := g.Leader()
	return here
}

// reach is how far the replica here is; zero when there is none.
func (m *member) reach() (l reach) {
	if g := m.group.Load(); g != nil {
		m.mu.RLock()
		st := m.shard.Stats()
		l.answers = m.answers
		m.mu.RUnlock()
		l.leads, l.applied, l.durable = m.leads(), g.Applied(), g.Durable()
		l.events, l.profiles = st.Events, uint64(st.Profiles)
	}
	return l
}

// leaderless says whether a batch has just found no leader, or one that does not answer: there is one again in a moment.
func (m *member) leaderless(now time.Time) bool {
	return now.UnixNano()-m.stalled.Load() < int64(leaderPause)
}

// waitShown is for how long after a batch found no leader the status says that the shard's leader is waited for, until a batch is accepted: in between two
// attempts, of which there are some in a second, nothing holds the intake back.
const waitShown = 2 * time.Second

// awaited says whether the intake waits for a leader of the shard.
func (m *member) awaited(now time.Time) bool {
	return now.UnixNano()-m.waitedFor.Load() < int64(waitShown)
}

// leaderOf is the member that leads a group as far as its replica here knows; empty when it knows none.
func leaderOf(g *group.Group) string { return g.Progress().Leader }
