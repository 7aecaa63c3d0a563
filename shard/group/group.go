package group

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"dashi/shard/transport"
	"dashi/shard/wal"

	"github.com/hashicorp/raft"
)

// Group is one replica of a state machine.
type Group struct {
	id        uint32
	host      *Host
	fsm       FSM
	raft      *raft.Raft
	logs      *logStore
	snapshots *snapshotStore
	view      *transport.Group
	logger    *logger

	mu      sync.Mutex
	room    sync.Cond // signalled when the queue has become shorter
	turn    sync.Cond // signalled when the queue has another head, or its head may be told its outcome, or the group closes
	queue   queue
	telling bool // a done is being called
	closed  bool
	asking  sync.WaitGroup // goroutines that wait for an answer of Raft; they are started with mu held

	applied atomic.Uint64
	snapped atomic.Uint64 // index of the newest durable snapshot
	failing atomic.Bool   // the last attempt at a snapshot failed
	limit   atomic.Int64  // bytes logged after which the next snapshot is taken
	leading atomic.Uint64 // the term in which this replica leads and has applied everything from before
	alone   atomic.Bool   // nobody else is a member, so nothing is replicated
	waiting atomic.Int32  // goroutines in WaitApplied

	lastLeader atomic.Value // string: the last one that was known
	campaigned atomic.Int64 // when the detector last had this replica stand, in Unix nanoseconds

	membersMu sync.Mutex
	members   [2]membership // the last one in the log, and the one before it

	started chan struct{} // closed when raft is set
	first   chan struct{} // closed when leading is set for the first time
	changed chan struct{} // has a token when who leads may have changed
	closing chan struct{} // closed when closed is set
	watched chan struct{} // watch has returned

	// What follows belongs to Raft's goroutine that applies.
	results []any
	logged  int64 // bytes since the last snapshot was taken
}

// membership is a list of members, and the index of the entry that has it.
type membership struct {
	raft.Configuration
	at uint64
}

// maxPending bounds Settings.Pending. Raft's own queue has room for all of them, so handing one over never blocks.
const maxPending = 128

// ID is the group's number.
func (g *Group) ID() uint32 { return g.id }

// Leader says in which term this replica leads, if it does: here is true once it has applied everything that was committed before its term.
func (g *Group) Leader() (term uint64, here bool) {
	term = g.raft.CurrentTerm()
	return term, g.raft.State() == raft.Leader && g.leading.Load() == term && !g.host.mute.Load()
}

// Changed has a token whenever who leads, or whether this replica does, may have changed since the last one was taken. It has one receiver.
func (g *Group) Changed() <-chan struct{} { return g.changed }

func (g *Group) kickChanged() {
	select {
	case g.changed <- struct{}{}:
	default:
	}
}

// Applied is the index up to which everything is applied. When nothing is under way it is the same on all replicas.
func (g *Group) Applied() uint64 {
	// Entries of Raft's own do not come to the state machine. Those behind the last one that does are applied when Raft has passed them on. The order of
	// these lines matters: what Raft has passed on was in the log before.
	all := g.raft.AppliedIndex()
	visible := g.logs.visible.Load()
	if index := g.applied.Load(); index < visible || index > all {
		return index
	}
	return all
}

// Durable is the index up to which nothing is lost in a power cut of this node: synced in the log, or in a durable snapshot.
func (g *Group) Durable() uint64 {
	return min(max(g.host.log.SyncedIndex(g.id), g.snapped.Load()), g.Applied())
}

// Propose hands an entry to the group, which owns it until it calls done: once, in the order of the calls, on a goroutine of the group. For an
// entry that is applied that is right after its Apply and before the next one. Propose blocks while the outcome of Settings.Pending entries, or of entries
// of Settings.PendingBytes, is open; but a node whose disk does not answer refuses what others could take. After an error (ErrClosed, ErrTooLarge,
// ErrNotLeader, or that of a log that has failed) done is not called.
//
// An error that done gets is ErrNotLeader when the entry will never be applied, and ErrUnknown when it may be or may have been: then the proposer
// must find out from the state, and must not simply repeat.
//
// done must not wait for anything, so it must not call Propose either: a full group would wait for itself. It may start a
// goroutine that does.
func (g *Group) Propose(entry []byte, done func(index uint64, result any, err error)) error {
	return g.propose(entry, done, true)
}

// Offer is Propose for who cannot wait: where that would block it fails with ErrFull.
func (g *Group) Offer(entry []byte, done func(index uint64, result any, err error)) error {
	return g.propose(entry, done, false)
}

func (g *Group) propose(entry []byte, done func(index uint64, result any, err error), wait bool) error {
	if most := g.host.log.MaxData(); len(entry) > most {
		return fmt.Errorf("cannot propose %d bytes to group %d, at most %d: %w", len(entry), g.id, most, ErrTooLarge)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	for g.full(len(entry)) && !g.closed {
		if g.host.mute.Load() && !g.alone.Load() { // others lead, and nobody knows when the disk makes room
			return g.notLeader()
		}
		if !wait {
			return ErrFull
		}
		g.room.Wait()
	}
	if g.closed {
		return ErrClosed
	}
	if err := g.logError(); err != nil {
		return err
	}
	if g.raft.State() != raft.Leader {
		return g.notLeader()
	}
	p := &proposal{entry: entry, done: done}
	if !g.alone.Load() { // it may still be on its way to others when the caller has it back
		p.entry, p.tag[0] = bytes.Clone(entry), tagKept
	}
	p.future = g.raft.ApplyLog(raft.Log{Data: p.entry, Extensions: p.tag[:]}, 0)
	g.queue.push(p)
	g.turn.Broadcast()
	return nil
}

// full says that an entry of this many bytes must wait. A single entry always fits, whatever its size. mu is held.
func (g *Group) full(size int) bool {
	n := g.queue.proposals
	return n >= g.host.settings.Pending || n > 0 && g.queue.bytes+size > g.host.settings.PendingBytes
}

// Barrier returns when the outcome of everything that was proposed here before is known: a read after it sees what was applied. It logs nothing, and
// does not wait for room. It fails with ErrClosed, with the error of ctx, or with that of a log that has failed.
func (g *Group) Barrier(ctx context.Context) error {
	c := make(chan error, 1)
	g.mu.Lock()
	if g.closed {
		g.mu.Unlock()
		return ErrClosed
	}
	g.queue.push(&proposal{done: func(uint64, any, error) { c <- g.host.log.Err() }})
	g.turn.Broadcast()
	g.mu.Unlock()
	select {
	case err := <-c:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// apply applies a batch of committed entries. It runs on Raft's goroutine.
func (g *Group) apply(logs []*raft.Log) []any {
	<-g.started // a leader may be quicker than raft.NewRaft returns
	for _, l := range logs {
		if l.Type != raft.LogCommand { // the members, which logStore has seen already
			g.applied.Store(l.Index)
			continue
		}
		result := g.fsm.Apply(l.Index, l.Data)
		g.applied.Store(l.Index)
		g.logged += int64(len(l.Data))
		if len(l.Extensions) > 0 {
			g.succeeded(&l.Extensions[0], l.Index, result)
		}
	}
	g.tellFollowers()
	g.wakeReaders()
	if g.logged >= g.limit.Load() {
		g.snapshotSoon()
	}
	for len(g.results) < len(logs) {
		g.results = append(g.results, nil)
	}
	return g.results[:len(logs)] // Raft wants as many; nobody looks at them
}

// succeeded calls done of the proposal that has this tag. Those before it in the queue must have failed, or their outcome would have been known before;
// watch tells them first.
func (g *Group) succeeded(tag *byte, index uint64, result any) {
	g.mu.Lock()
	for g.telling || g.queue.head() == nil || &g.queue.head().tag[0] != tag {
		g.turn.Wait()
	}
	g.tell(index, result, nil)
	g.mu.Unlock()
}

// tell takes the head off the queue and calls its done. mu is held and released meanwhile, and telling was false.
func (g *Group) tell(index uint64, result any, err error) {
	p := g.queue.pop()
	g.room.Broadcast()
	g.telling = true
	g.mu.Unlock()
	p.done(index, result, err)
	g.mu.Lock()
	g.telling = false
	g.turn.Broadcast()
}

// watch tells the proposals that are not applied here, and the barriers. Raft answers each proposal through a future that can only be waited for, so
// watch waits for that of the head; the goroutine that applies does not wait for watch.
func (g *Group) watch() {
	defer close(g.watched)
	g.mu.Lock()
	defer g.mu.Unlock()
	for {
		p := g.queue.head()
		switch {
		case p == nil && g.closed:
			return
		case p == nil || g.telling:
			g.turn.Wait()
		case p.future == nil:
			g.tell(0, nil, nil)
		default:
			g.mu.Unlock()
			err := p.future.Error()
			g.mu.Lock()
			for g.telling || err == nil && g.queue.head() == p {
				g.turn.Wait()
			}
			if err != nil {
				g.tell(0, nil, g.outcome(err))
			}
		}
	}
}

// outcome turns Raft's error of a proposal that was not applied here into ours.
func (g *Group) outcome(err error) error {
	switch {
	case errors.Is(err, raft.ErrNotLeader), errors.Is(err, raft.ErrLeadershipTransferInProgress):
		if logErr := g.logError(); logErr != nil {
			return logErr
		}
		return g.notLeader()
	default:
		return fmt.Errorf("group %d: %w: %w", g.id, ErrUnknown, err)
	}
}

// logError is why the log takes nothing; nil while it does.
func (g *Group) logError() error {
	err := g.host.log.Err()
	switch {
	case err == nil:
		return nil
	case errors.Is(err, wal.ErrClosed): // on a full disk it is closed first
		return ErrClosed
	}
	return fmt.Errorf("cannot log entries of group %d: %w", g.id, err)
}

func (g *Group) notLeader() error {
	_, id := g.raft.LeaderWithID()
	return &NotLeaderError{Group: g.id, Leader: string(id)}
}

// ask runs f, which waits for an answer of Raft, on a goroutine of its own, unless the group is closed: Raft does not answer after it was shut down.
func (g *Group) ask(f func()) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		return false
	}
	g.asking.Go(f)
	return true
}

// Close ends this replica, as Host.Close does with all. It can be opened again.
func (g *Group) Close() error {
	if !g.host.release(g) {
		return ErrClosed
	}
	return g.close()
}

// close ends the group: the outcome of what was proposed is told, then a last snapshot is taken.
func (g *Group) close() error {
	g.end()
	<-g.watched
	g.asking.Wait()
	err := g.lastSnapshot()
	return errors.Join(err, g.shutdown())
}

// end has the group take no more proposals.
func (g *Group) end() {
	g.mu.Lock()
	g.closed = true
	close(g.closing)
	g.turn.Broadcast()
	g.room.Broadcast()
	g.mu.Unlock()
}

// shutdown ends Raft. What it has under way with peers fails first: it waits for that.
func (g *Group) shutdown() error {
	ended := g.raft.Shutdown()
	return errors.Join(g.view.Close(), ended.Error())
}
