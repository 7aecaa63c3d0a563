package group

import (
	"errors"
	"fmt"
	"time"

	"dashi/shard/snapshot"
)

// snapshotSoon takes a snapshot and has it written next to the work, if no group is writing one at the moment.
func (g *Group) snapshotSoon() {
	select {
	case g.host.persisting <- struct{}{}:
	default:
		return // asked again after the next batch
	}
	g.freeze(func(err error) {
		if err != nil {
			g.failedSnapshot(err)
		}
	})
}

// freeze takes a snapshot, has it written next to the work, and calls end when it is durable or has failed. host.persisting is held
// for it. It runs on the group's goroutine.
func (g *Group) freeze(end func(error)) {
	frozen, err := g.fsm.Snapshot()
	g.logged = 0 // after a failure as well: the next attempt is not at once
	if err != nil {
		<-g.host.persisting
		end(err)
		return
	}
	index := g.applied.Load()
	g.writing.Go(func() {
		err := g.persist(frozen, index)
		<-g.host.persisting
		g.host.hurry()
		end(err)
	})
}

// lastSnapshot takes a snapshot and writes it before it returns. The group's goroutine has ended.
func (g *Group) lastSnapshot() error {
	g.host.persisting <- struct{}{}
	defer func() { <-g.host.persisting }()
	frozen, err := g.fsm.Snapshot()
	if err != nil {
		return err
	}
	return g.persist(frozen, g.applied.Load())
}

func (g *Group) failedSnapshot(err error) {
	g.host.count(func(s *Stats) { s.SnapshotFailures++ })
	g.host.settings.Log.Error("cannot take snapshot: the log grows until one succeeds", "group", g.id, "error", err)
}

// persist writes a frozen state, makes it durable, and deletes the log that no kept snapshot needs.
func (g *Group) persist(frozen Snapshot, index uint64) error {
	defer frozen.Release()
	if index == g.snapped.Load() {
		return nil
	}
	start := time.Now()
	w, err := g.host.snapshots.Create(snapshot.Info{Group: g.id, Term: term, Index: index})
	if err != nil {
		return err
	}
	if err := frozen.Persist(w); err != nil {
		w.Abort()
		return fmt.Errorf("cannot write snapshot of group %d: %w", g.id, err)
	}
	size := w.Size()
	if err := w.Commit(); err != nil {
		return err
	}
	previous := g.snapped.Load()
	g.snapped.Store(index)
	g.setThreshold(size)
	elapsed := time.Since(start)
	g.host.count(func(s *Stats) {
		s.Snapshots++
		s.SnapshotBytes += uint64(size)
		s.SnapshotLast = elapsed
	})
	return g.host.log.TruncateBefore(g.id, previous+1) // I4
}

func (g *Group) setThreshold(size int64) {
	g.limit.Store(max(g.host.settings.SnapshotBytes, 2*size))
}

// Open brings a state machine back: the newest snapshot that can be read, then the log after it. The group takes proposals when it returns.
func (h *Host) Open(id uint32, fsm FSM) (*Group, error) {
	if err := h.reserve(id); err != nil {
		return nil, err
	}
	defer h.opening.Done()
	g := &Group{id: id, host: h, fsm: fsm, finished: make(chan struct{})}
	g.room.L, g.work.L = &g.mu, &g.mu
	g.setThreshold(0)
	err := g.recover()
	h.mu.Lock()
	defer h.mu.Unlock()
	if err != nil {
		delete(h.groups, id)
		return nil, err
	}
	h.groups[id] = g
	go g.run()
	return g, nil
}

// reserve notes that a group is being opened: nobody else opens it, and Close waits.
func (h *Host) reserve(id uint32) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return ErrClosed
	}
	if _, there := h.groups[id]; there {
		return fmt.Errorf("cannot open group %d: it is open already", id)
	}
	h.groups[id] = nil
	h.opening.Add(1)
	return nil
}

func (g *Group) recover() error {
	if err := g.host.snapshots.Clean(g.id); err != nil {
		return err
	}
	unreadable, err := g.restore()
	if err != nil {
		return err
	}
	if err := g.replay(); err != nil {
		return errors.Join(append([]error{err}, unreadable.errs...)...)
	}
	for _, info := range unreadable.infos { // only now that they are not needed; they must not push out good ones (I4)
		if err := g.host.snapshots.Remove(info); err != nil {
			return err
		}
	}
	return nil
}

// unreadable are snapshots that were passed over, and why.
type unreadable struct {
	infos []snapshot.Info
	errs  []error
}

// restore reads the newest good snapshot.
func (g *Group) restore() (bad unreadable, err error) {
	list, err := g.host.snapshots.List(g.id)
	if err != nil {
		return bad, err
	}
	for i, info := range list {
		size, err := g.read(info, i == len(list)-1)
		if err == nil {
			g.applied.Store(info.Index)
			g.snapped.Store(info.Index)
			g.setThreshold(size)
			return bad, nil
		}
		if !errors.Is(err, snapshot.ErrCorrupt) {
			return bad, err
		}
		bad.infos, bad.errs = append(bad.infos, info), append(bad.errs, err)
		g.host.count(func(s *Stats) { s.SnapshotsCorrupt++ })
		g.host.settings.Log.Error("snapshot cannot be read: trying the one before", "group", g.id, "index", info.Index, "error", err)
	}
	return bad, nil
}

// read restores a snapshot. The last one is checked as a whole before: should damage come to light when the state machine
// has taken it, there is no other that would replace it.
func (g *Group) read(info snapshot.Info, last bool) (size int64, err error) {
	if last {
		if err := g.verify(info); err != nil {
			return 0, err
		}
	}
	r, err := g.host.snapshots.Open(info)
	if err != nil {
		return 0, err
	}
	defer r.Close()
	if err := g.fsm.Restore(r); err != nil {
		if r.Err() != nil {
			return 0, r.Err()
		}
		return 0, fmt.Errorf("cannot restore group %d from its snapshot at %d: %w", g.id, info.Index, err)
	}
	return r.Size(), r.Drain()
}

func (g *Group) verify(info snapshot.Info) error {
	r, err := g.host.snapshots.Open(info)
	if err != nil {
		return err
	}
	defer r.Close()
	return r.Drain()
}

// replay applies the log after the snapshot.
func (g *Group) replay() error {
	first, last := g.host.log.Bounds(g.id)
	index := g.applied.Load()
	if last <= index { // the log lost its tail in a power cut, and the snapshot has it
		if last < index {
			return g.host.log.Reset(g.id, index+1)
		}
		return nil
	}
	if first > index+1 {
		return fmt.Errorf("cannot open group %d: its snapshot ends at entry %d and its log begins at %d", g.id, index, first)
	}
	var buf []byte
	for index < last {
		index++
		record, b, err := g.host.log.Read(g.id, index, buf)
		if err != nil {
			return err
		}
		buf = b
		if record.Type == typeEntry {
			g.fsm.Apply(index, record.Data)
		}
		g.logged += int64(len(record.Data))
		g.applied.Store(index)
	}
	g.host.count(func(s *Stats) { s.Replayed += last - g.snapped.Load() })
	return nil
}
