package group

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"

	"dashi/shard/wal"
)

// Group is one state machine on the log. Here it has one replica, so it always leads.
type Group struct {
	id   uint32
	host *Host
	fsm  FSM

	mu      sync.Mutex
	room    sync.Cond // pending is shorter
	work    sync.Cond // pending is not empty, or the group closes
	pending []proposal
	bytes   int          // of the entries in pending
	asked   []chan error // who wants a snapshot, and holds host.persisting for it
	hurried bool         // the log wants one
	closed  bool

	applied  atomic.Uint64
	snapped  atomic.Uint64 // index of the newest durable snapshot
	limit    atomic.Int64  // bytes logged after which the next snapshot is taken
	finished chan struct{} // run has returned

	// What follows belongs to run.
	records []wal.Record
	batch   []proposal
	logged  int64          // bytes since the last snapshot was taken
	writing sync.WaitGroup // the goroutine that persists
}

type proposal struct {
	entry   []byte
	done    func(index uint64, result any, err error)
	barrier bool // there is no entry, only done
}

// Types of records in the log.
const (
	typeEntry   = 0
	typeNothing = 1 // only moves the index on, see Group.moveOn
)

// Limits of one append: enough to share a write, not so much that the first waits for the last.
const (
	batchEntries = 64
	batchBytes   = 4 << 20
)

// term is that of the only leader there is.
const term = 1

// ID is the group's number.
func (g *Group) ID() uint32 { return g.id }

// Leader says who leads the group: always this replica.
func (g *Group) Leader() (term uint64, here bool) { return 1, true }

// Applied is the index of the last entry that was applied.
func (g *Group) Applied() uint64 { return g.applied.Load() }

// Durable is the index up to which nothing is lost in a power cut: synced in the log, or in a durable snapshot.
func (g *Group) Durable() uint64 {
	return min(max(g.host.log.SyncedIndex(g.id), g.snapped.Load()), g.applied.Load())
}

// Propose hands an entry to the group, which owns it until it calls done: once, on the group's goroutine, in the order of the calls.
// Propose blocks while Settings.Pending entries, or entries of Settings.PendingBytes, wait. After an error (ErrClosed, ErrTooLarge) done is not called.
//
// done must not wait for anything, so it must not call Propose either: a full group would wait for itself. It may start a
// goroutine that does.
func (g *Group) Propose(entry []byte, done func(index uint64, result any, err error)) error {
	if most := g.host.log.MaxData(); len(entry) > most {
		return fmt.Errorf("cannot propose %d bytes to group %d, at most %d: %w", len(entry), g.id, most, ErrTooLarge)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	for g.full(len(entry)) && !g.closed {
		g.room.Wait()
	}
	if g.closed {
		return ErrClosed
	}
	g.pending = append(g.pending, proposal{entry: entry, done: done})
	g.bytes += len(entry)
	g.work.Signal()
	return nil
}

// full says that an entry of this many bytes must wait. One fits always, whatever its size. mu is held.
func (g *Group) full(size int) bool {
	n := len(g.pending)
	return n >= g.host.settings.Pending || n > 0 && g.bytes+size > g.host.settings.PendingBytes
}

// Barrier returns when everything that was proposed before has been applied: a read after it sees that. It logs nothing, and does not
// wait for room. It fails with ErrClosed, with the error of ctx, or with that of a log that has failed.
func (g *Group) Barrier(ctx context.Context) error {
	c := make(chan error, 1)
	g.mu.Lock()
	if g.closed {
		g.mu.Unlock()
		return ErrClosed
	}
	g.pending = append(g.pending, proposal{barrier: true, done: func(_ uint64, _ any, err error) { c <- err }})
	g.work.Signal()
	g.mu.Unlock()
	select {
	case err := <-c:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// run is the group's goroutine.
func (g *Group) run() {
	defer close(g.finished)
	for {
		asked, hurried, ok := g.take()
		if !ok {
			return
		}
		if len(g.batch) > 0 {
			g.commit()
		}
		for _, c := range asked {
			g.freeze(func(err error) { c <- err })
		}
		if hurried {
			g.moveOn()
		}
		if hurried || g.logged >= g.limit.Load() {
			g.snapshotSoon()
		}
	}
}

// take waits for work and moves a batch of proposals to g.batch. ok is false when the group is closed and nothing is left.
func (g *Group) take() (asked []chan error, hurried, ok bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for len(g.pending) == 0 && len(g.asked) == 0 && !g.hurried {
		if g.closed {
			return nil, false, false
		}
		g.work.Wait()
	}
	g.batch = g.batch[:0]
	bytes := 0
	for _, p := range g.pending {
		if len(g.batch) == batchEntries || bytes > 0 && bytes+len(p.entry) > batchBytes {
			break
		}
		g.batch = append(g.batch, p)
		bytes += len(p.entry)
	}
	g.bytes -= bytes
	left := copy(g.pending, g.pending[len(g.batch):])
	clear(g.pending[left:])
	g.pending = g.pending[:left]
	g.room.Broadcast()
	asked, g.asked = g.asked, nil
	hurried, g.hurried = g.hurried, false
	return asked, hurried, true
}

// hurry asks for a snapshot because the log cannot go on without.
func (g *Group) hurry() {
	g.mu.Lock()
	g.hurried = !g.closed
	g.work.Signal()
	g.mu.Unlock()
}

// moveOn makes sure that there is something to take a snapshot of. Of a group without new entries, those between the last two
// snapshots hold back the log (I4); after another snapshot they do not.
func (g *Group) moveOn() {
	index := g.applied.Load()
	if index != g.snapped.Load() {
		return
	}
	if g.host.log.Append(g.id, []wal.Record{{Index: index + 1, Term: term, Commit: index, Type: typeNothing}}) == nil {
		g.applied.Store(index + 1)
	}
}

// commit appends the batch to the log, waits until that is acknowledged, and applies it.
func (g *Group) commit() {
	index := g.applied.Load()
	g.records = g.records[:0]
	for _, p := range g.batch {
		if !p.barrier {
			g.records = append(g.records, wal.Record{Index: index + 1 + uint64(len(g.records)), Term: term, Commit: index, Data: p.entry})
		}
	}
	err := g.host.log.Err()
	if len(g.records) > 0 {
		err = g.host.log.Append(g.id, g.records)
	}
	if err != nil {
		err = fmt.Errorf("cannot log entries of group %d: %w", g.id, err)
		for _, p := range g.batch {
			p.done(0, nil, err)
		}
		return
	}
	for i := range g.batch {
		p := &g.batch[i]
		var result any
		if !p.barrier {
			index++
			result = g.fsm.Apply(index, p.entry)
			g.applied.Store(index)
			g.logged += int64(len(p.entry))
		}
		p.done(index, result, nil)
		*p = proposal{}
	}
	clear(g.records)
}

// close ends the group: what was proposed is applied, then a last snapshot is taken.
func (g *Group) close() error {
	g.mu.Lock()
	g.closed = true
	g.work.Signal()
	g.room.Broadcast()
	g.mu.Unlock()
	<-g.finished
	g.writing.Wait()
	if g.applied.Load() == g.snapped.Load() || g.host.log.Err() != nil { // Host.Close returns that
		return nil
	}
	return g.lastSnapshot()
}

// Snapshot takes a snapshot and returns when it is durable. Entries are applied meanwhile; those proposed after the call may be in it or not.
// It fails with ErrClosed when the group closes before its turn; closing takes a snapshot anyway.
func (g *Group) Snapshot() error {
	g.host.persisting <- struct{}{} // the caller waits for its turn, not the group
	c := make(chan error, 1)
	g.mu.Lock()
	if g.closed {
		g.mu.Unlock()
		<-g.host.persisting
		return ErrClosed
	}
	g.asked = append(g.asked, c)
	g.work.Signal()
	g.mu.Unlock()
	return <-c
}
