package group

import (
	"errors"
	"fmt"
	"io"
	"time"

	"dashi/shard/snapshot"

	"github.com/hashicorp/raft"
)

// snapshotSoon has a snapshot taken, and written in the background, unless a group is writing one at the moment.
func (g *Group) snapshotSoon() {
	select {
	case g.host.persisting <- struct{}{}:
	default:
		return // the next batch tries again
	}
	g.logged = 0 // after a failure as well: the next attempt is not at once
	ok := g.ask(func() {
		defer g.host.hurry()
		defer func() { <-g.host.persisting }()
		g.tried(g.take())
	})
	if !ok {
		<-g.host.persisting
	}
}

// take has Raft take a snapshot, unless there is nothing new. host.persisting is held for it.
func (g *Group) take() error {
	if g.applied.Load() <= g.snapped.Load() {
		return nil
	}
	return g.takeNow()
}

// errMembersAhead says that this replica has heard of members whose entry is not applied here yet: Raft takes no snapshot before it is.
var errMembersAhead = errors.New("the entry that names the members is not applied yet")

func (g *Group) takeNow() error {
	_ = g.snapshots.reason()
	applied := g.applied.Load()
	err := g.raft.Snapshot().Error()
	if errors.Is(err, raft.ErrNothingNewToSnapshot) {
		return nil
	}
	if why := g.snapshots.reason(); err != nil && why != nil {
		return fmt.Errorf("cannot take snapshot of group %d: %w", g.id, why)
	}
	if _, index := g.Members(); err != nil && index > applied {
		return fmt.Errorf("cannot take snapshot of group %d: %w: %w", g.id, errMembersAhead, err)
	}
	return err
}

// tried notes and logs how an attempt at a snapshot ended whose caller does not get the error.
func (g *Group) tried(err error) {
	if errors.Is(err, errMembersAhead) { // nothing has failed: the next attempt does it
		return
	}
	g.failing.Store(err != nil)
	if err == nil {
		return
	}
	g.host.count(func(s *Stats) { s.SnapshotFailures++ })
	g.host.settings.Log.Error("cannot take snapshot: the log grows until one succeeds", "group", g.id, "error", err)
}

// freeze freezes the state. It runs on the goroutine that applies.
func (g *Group) freeze() (Snapshot, error) {
	g.logged = 0
	frozen, err := g.fsm.Snapshot()
	return frozen, g.snapshots.failed(err)
}

// persisted notes that a snapshot is durable: one that was taken here, or came from the leader.
func (g *Group) persisted(index uint64, size int64, elapsed time.Duration) {
	g.snapped.Store(index)
	g.failing.Store(false)
	g.setThreshold(size)
	g.host.count(func(s *Stats) {
		s.Snapshots++
		s.SnapshotBytes += uint64(size)
		s.SnapshotLast = elapsed
	})
}

func (g *Group) setThreshold(size int64) {
	g.limit.Store(max(g.host.settings.SnapshotBytes, 2*size))
}

// install replaces the state by a snapshot that came from the leader. It runs on the goroutine that applies.
func (g *Group) install(r io.ReadCloser) error {
	w, ok := r.(raft.ReadCloserWrapper)
	if !ok {
		return fmt.Errorf("cannot install snapshot of group %d: unknown reader %T", g.id, r)
	}
	file := w.WrappedReadCloser().(*snapshot.Reader)
	if err := g.fsm.Restore(file); err != nil {
		return err
	}
	if err := file.Drain(); err != nil { // it was written and checked a moment ago
		panic(fmt.Sprintf("group %d was restored from a snapshot that is damaged: %v", g.id, err)) // I5
	}
	g.applied.Store(file.Info().Index)
	g.logged = 0
	return nil
}

// hurry lets go of the log of a group that keeps the whole log of the host from being cut off.
//
// Of a group without new entries it is those between the last two snapshots that are kept (I4). A leader logs one more entry and takes another snapshot. A
// follower cannot do that: it checks that its newest snapshot can be read, and does without the one before. Neither keeps a margin then: should a follower
// with a longer log than the snapshot have to be repaired just now, that waits for the next snapshot.
func (g *Group) hurry() {
	g.ask(func() {
		defer g.host.hurry()
		idle := g.applied.Load() <= g.snapped.Load()
		_, here := g.Leader()
		if idle && here && g.barrier() != nil {
			return
		}
		g.host.persisting <- struct{}{}
		defer func() { <-g.host.persisting }()
		var err error
		if idle && !here {
			err = g.releaseVerified()
		} else if err = g.takeNow(); err == nil {
			err = g.host.log.TruncateBefore(g.id, g.snapshots.before()+1)
		}
		g.tried(err)
	})
}

// releaseVerified cuts off the log up to the newest snapshot, if that can be read.
func (g *Group) releaseVerified() error {
	list, err := g.host.snapshots.List(g.id)
	if err != nil || len(list) == 0 {
		return err
	}
	if err := g.verify(list[0]); err != nil {
		return err
	}
	_, last := g.host.log.Bounds(g.id)
	return g.host.log.TruncateBefore(g.id, min(list[0].Index, last)+1)
}

// Snapshot takes a snapshot and returns when it is durable. Entries are applied meanwhile; those proposed after the call may be in it or not.
// It fails with ErrClosed when the group closes before its turn; closing takes a snapshot anyway.
func (g *Group) Snapshot() error {
	g.host.persisting <- struct{}{} // the caller waits for its turn, not the group
	defer g.host.hurry()
	defer func() { <-g.host.persisting }()
	c := make(chan error, 1)
	if !g.ask(func() { c <- g.take() }) {
		return ErrClosed
	}
	return <-c
}

// lastSnapshot is the snapshot that Close takes. Nothing is applied any more, but for what a leader elsewhere sends.
func (g *Group) lastSnapshot() error {
	if g.host.log.Err() != nil { // Host.Close returns that
		return nil
	}
	g.host.persisting <- struct{}{}
	defer func() { <-g.host.persisting }()
	err := g.take()
	if errors.Is(err, raft.ErrLeadershipTransferInProgress) || errors.Is(err, errMembersAhead) { // Raft takes none then, and none is needed: the log has everything
		return nil
	}
	return err
}
