package group

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"dashi/shard/snapshot"
	"dashi/shard/transport"
	"dashi/shard/wal"
	"dashi/shard/wal/vfs"
)

// FSM is a deterministic state machine: the same entries give the same state.
type FSM interface {
	// Apply applies one entry. Indexes grow, not always by one. The entry is not kept. What it returns is handed to done.
	Apply(index uint64, entry []byte) any
	// Snapshot freezes the state between two Applies; it takes no longer than an Apply.
	Snapshot() (Snapshot, error)
	// Restore replaces the state by what Persist wrote. After an error the state is as it was before.
	// A lagging replica is given the leader's, so it may be called at any time between two Applies.
	Restore(r io.Reader) error
}

// Snapshot is a frozen state. Persist may run concurrently with later Applies; Release is called once, in any case.
type Snapshot interface {
	Persist(w io.Writer) error
	Release()
}

// Settings of a host. Zero fields have their defaults.
type Settings struct {
	Dir  string
	FS   vfs.FS   // default: the operating system's
	Mode wal.Mode // default: wal.Replicated
	// Synced are groups whose entries are synced before they count, whatever the mode: small ones that must survive what the others may not.
	Synced []uint32
	// SnapshotBytes is how much a group logs before it takes a snapshot, at least: it waits for twice the size of the last
	// snapshot if that is more, so that large states are not written over and over. Default 16 MiB.
	SnapshotBytes int64
	// ID is the name of this node as a member of groups: "node/incarnation". Default "node/1".
	ID string
	// Pending bounds the entries of a group whose outcome is open; Propose blocks beyond. Default 64, at most 128.
	Pending int
	// PendingBytes bounds them too, but for one that waits alone. Default 8 MiB.
	PendingBytes int
	// Transport connects this node with those that have the other replicas, under the same ID. Nil when there are none. It is closed after the host.
	Transport *transport.Transport
	Log       *slog.Logger // default: discards

	segmentSize int64         // of the log, default 64 MiB; for tests
	bootID      string        // of the machine; for tests
	rankAfter   time.Duration // default rankAfter; for tests
}

// Host is the place of all groups of a node: one log, one store of snapshots.
type Host struct {
	settings  Settings
	log       *wal.Log
	snapshots *snapshot.Store
	mark      *wal.Mark
	transport *transport.Transport
	mute      atomic.Bool // the disk does not answer, so peers take over
	tending   chan struct{}
	kick      chan struct{} // has a token when peers may have changed
	tended    sync.WaitGroup
	leaving   sync.Once
	logClosed func() error // closes the log, once

	mu      sync.Mutex
	groups  map[uint32]*Group // nil for one that is being opened
	opening sync.WaitGroup
	closed  bool

	persisting chan struct{} // has room for one: the group that writes its snapshot
	statsMu    sync.Mutex
	stats      Stats
}

// Stats are counters since OpenHost, and gauges.
type Stats struct {
	Log              wal.Stats
	Snapshots        uint64
	SnapshotBytes    uint64
	SnapshotLast     time.Duration
	SnapshotFailures uint64
	SnapshotsFailing []uint32 // groups whose last snapshot failed, ascending
	SnapshotsCorrupt uint64   // found when groups were opened, and passed over
	Replayed         uint64   // entries applied from the log when groups were opened
	Campaigns        uint64   // elections that this node stood in because a leader was found dead
	Stalls           uint64   // times that the node went mute because its disk did not answer
}

// OpenHost opens the log and the snapshots below Settings.Dir. One process at a time has a directory.
func OpenHost(s Settings) (*Host, error) {
	if s.FS == nil {
		s.FS = vfs.OS{}
	}
	if s.SnapshotBytes == 0 {
		s.SnapshotBytes = 16 << 20
	}
	if s.Pending == 0 {
		s.Pending = 64
	}
	s.Pending = min(s.Pending, maxPending)
	if s.ID == "" {
		s.ID = "node/1"
	}
	if s.bootID == "" {
		s.bootID = wal.BootID()
	}
	if s.PendingBytes == 0 {
		s.PendingBytes = 8 << 20
	}
	if s.rankAfter == 0 {
		s.rankAfter = rankAfter
	}
	if s.segmentSize == 0 {
		s.segmentSize = 64 << 20
	}
	if s.Log == nil {
		s.Log = slog.New(slog.DiscardHandler)
	}
	logDir := filepath.Join(s.Dir, "log")
	names, err := s.FS.List(logDir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("cannot list %q: %w", logDir, err)
	}
	log, err := wal.Open(logDir, wal.Options{FS: s.FS, Mode: s.Mode, SegmentSize: s.segmentSize, OnStall: func(op string, d time.Duration) {
		s.Log.Error(stallText(op), "operation", op, "for", d.Round(time.Second))
	}})
	if err != nil {
		return nil, err
	}
	h := &Host{settings: s, log: log, logClosed: sync.OnceValue(log.Close), transport: s.Transport, groups: map[uint32]*Group{}, persisting: make(chan struct{}, 1),
		tending: make(chan struct{}), kick: make(chan struct{}, 1)}
	// The mark is read with the log's lock held: nobody else has the directory.
	if h.mark, err = wal.Opened(s.FS, s.Dir, s.bootID, len(names) == 0); err == nil {
		err = h.distrust()
	}
	if err == nil {
		h.snapshots, err = snapshot.New(s.FS, filepath.Join(s.Dir, "snapshots"))
	}
	if err == nil && h.transport == nil {
		h.transport, err = transport.Open(transport.Settings{ID: s.ID})
	}
	if err != nil {
		return nil, errors.Join(err, log.Close())
	}
	if s.Transport != nil {
		h.transport.OnDown(h.peerDown)
		h.transport.OnUp(h.peerUp)
		h.transport.Handle(typeProgress, progressHandler{h})
		h.tended.Go(h.tend)
	}
	return h, nil
}

// Cleanness says whether acknowledged entries may be missing since the directory was last open, and why.
func (h *Host) Cleanness() (wal.Cleanness, string) { return h.mark.Clean, h.mark.Reason }

// Stats is a copy of the counters.
func (h *Host) Stats() Stats {
	h.statsMu.Lock()
	s := h.stats
	h.statsMu.Unlock()
	s.Log = h.log.Stats()
	h.mu.Lock()
	defer h.mu.Unlock()
	for id, g := range h.groups {
		if g != nil && g.failing.Load() {
			s.SnapshotsFailing = append(s.SnapshotsFailing, id)
		}
	}
	slices.Sort(s.SnapshotsFailing)
	return s
}

func (h *Host) count(f func(*Stats)) {
	h.statsMu.Lock()
	f(&h.stats)
	h.statsMu.Unlock()
}

// hurry asks the group that keeps most of the log from being deleted for a snapshot, if that is more than its share. A group that is hardly used would
// otherwise keep what all the others have logged since its last entry.
func (h *Host) hurry() {
	s := h.log.Stats()
	h.mu.Lock()
	defer h.mu.Unlock()
	var share int64
	for _, g := range h.groups {
		if g != nil {
			share += g.limit.Load()
		}
	}
	// What lies between a group's last two snapshots stays (I4): with equal load that is twice everybody's limit. Only a group that keeps twice that
	// again, and a few segments, is asked.
	if int64(s.OldestSegments)*h.settings.segmentSize <= 4*share+4*h.settings.segmentSize {
		return
	}
	if g := h.groups[s.OldestGroup]; g != nil {
		g.hurry()
	}
}

// stallText says what is wrong with the disk when an operation of the log takes too long.
func stallText(op string) string {
	if op == "space" {
		return "disk is full: the log waits for room"
	}
	return "disk does not answer"
}

// Stalled is how long the disk has not answered, or has been full, for; 0 while it answers in time. Meanwhile the node is mute: others lead.
func (h *Host) Stalled() time.Duration { return h.log.Stalled() }

// Err is why the log takes nothing more; nil while it works.
func (h *Host) Err() error { return h.log.Err() }

// Closing says that Close is about to be called. From now on nobody waits for room on a disk that is full: the log is closed as it is, and what waits fails
// with ErrClosed. Nobody was told that it is in the log, and the next start finds what is. A last snapshot would not have room either.
func (h *Host) Closing() {
	h.leaving.Do(func() { h.tended.Go(h.giveUp) })
}

// giveUp closes the log when it waits for room.
func (h *Host) giveUp() {
	tick := time.NewTicker(tendEvery)
	defer tick.Stop()
	for {
		if h.log.Stats().Full {
			h.settings.Log.Warn("closing with a full disk: what waits for room is given up, nothing of it was acknowledged")
			_ = h.logClosed() // Close returns it
			return
		}
		select {
		case <-h.tending:
			return
		case <-tick.C:
		}
	}
}

// Close applies what was proposed, takes a last snapshot of every group that has changed since its last, and closes the log. What is
// proposed meanwhile fails with ErrClosed.
func (h *Host) Close() error {
	h.Closing()
	h.mu.Lock()
	if h.closed {
		h.mu.Unlock()
		return nil
	}
	h.closed = true
	h.mu.Unlock()
	h.opening.Wait() // from now on groups does not change
	h.mu.Lock()
	groups := make([]*Group, 0, len(h.groups))
	for _, g := range h.groups {
		groups = append(groups, g)
	}
	h.mu.Unlock()
	errs := make([]error, len(groups))
	var wait sync.WaitGroup
	for i, g := range groups {
		wait.Go(func() { errs[i] = g.close() })
	}
	wait.Wait()
	close(h.tending)
	h.tended.Wait()
	err := errors.Join(errs...)
	if h.settings.Transport == nil {
		err = errors.Join(err, h.transport.Close())
	}
	if closeErr := h.logClosed(); closeErr != nil {
		return errors.Join(err, fmt.Errorf("cannot close log: %w", closeErr))
	}
	return errors.Join(err, h.mark.Closed())
}
