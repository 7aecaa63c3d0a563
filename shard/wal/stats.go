package wal

import (
	"sync/atomic"
	"time"
)

// Stats are counters since Open, and gauges.
type Stats struct {
	Appends, Records, Bytes     uint64 // Submit and Append; bytes of data
	Writes                      uint64
	WriteTotal, WriteMax        time.Duration
	Syncs                       uint64
	SyncTotal, SyncMax          time.Duration
	Stalls                      uint64 // disk operations that took longer than Options.StallAfter
	Recycled                    uint64 // segments kept for reuse
	PrepareFailures             uint64 // a next segment could not be made ready in time of plenty
	Segments, FreeSegments      int
	DiskBytes                   int64 // of all segments
	Groups                      int
	TornBytes                   int64  // cut off the tail by Open; in a recycled segment also what its last life left
	ReplayedRecords             uint64 // frames read by Open
	Full                        bool   // the disk has no room for the next segment, and appends wait for it
	Unsynced                    bool   // something is written and not yet durable
	OldestGroup, OldestSegments uint32 // the group with the oldest entry, and how many segments it alone may hold back
}

func (s *Stats) wrote(d time.Duration) {
	s.Writes++
	s.WriteTotal += d
	s.WriteMax = max(s.WriteMax, d)
}

func (s *Stats) synced(d time.Duration) {
	s.Syncs++
	s.SyncTotal += d
	s.SyncMax = max(s.SyncMax, d)
}

// Stats is a copy of the counters.
func (l *Log) Stats() Stats {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.stats
	s.Stalls = l.writes.stalls.Load() + l.syncs.stalls.Load() + l.space.stalls.Load()
	s.Full = l.space.started.Load() != 0
	s.Segments, s.FreeSegments, s.Groups = len(l.segments), len(l.free), len(l.groups)
	for _, seg := range l.segments {
		s.DiskBytes += seg.size
	}
	for _, seg := range l.free {
		s.DiskBytes += seg.size
	}
	if l.spare != nil {
		s.DiskBytes += l.spare.size
	}
	s.Unsynced = l.written > l.durable
	if len(l.segments) > 0 {
		id, seq := l.oldest()
		s.OldestGroup, s.OldestSegments = id, l.active().seq-seq
	}
	return s
}

// watch is a kind of disk operation of which one at most is under way, for the watchdog to see.
type watch struct {
	base    time.Time
	started atomic.Int64 // nanoseconds since base, plus one; 0 when none is under way
	seen    atomic.Int64 // the started of the last stall that was reported
	stalls  atomic.Uint64
}

func (w *watch) begin() time.Duration {
	now := time.Since(w.base)
	w.started.Store(int64(now) + 1)
	return now
}

func (w *watch) end(start time.Duration) time.Duration {
	w.started.Store(0)
	return time.Since(w.base) - start
}

// running is how long the operation under way has taken, 0 if there is none, and its mark.
func (w *watch) running() (time.Duration, int64) {
	started := w.started.Load()
	if started == 0 {
		return 0, 0
	}
	return time.Since(w.base) - time.Duration(started-1), started
}

// runWatch is the watchdog: a disk that hangs does not return an error, so somebody else has to look.
func (l *Log) runWatch() {
	tick := time.NewTicker(l.opts.StallAfter / 4)
	defer tick.Stop()
	for {
		select {
		case <-l.stop:
			return
		case <-tick.C:
			l.look("write", &l.writes)
			l.look("sync", &l.syncs)
			l.look("space", &l.space)
		}
	}
}

func (l *Log) look(op string, w *watch) {
	d, mark := w.running()
	if d > l.opts.StallAfter && w.seen.Swap(mark) != mark {
		w.stalls.Add(1)
		l.opts.OnStall(op, d)
	}
}

// Stalled is how long the disk has been hanging in one operation, or has been full; 0 below Options.StallAfter.
func (l *Log) Stalled() time.Duration {
	w, _ := l.writes.running()
	s, _ := l.syncs.running()
	f, _ := l.space.running()
	if d := max(w, s, f); d > l.opts.StallAfter {
		return d
	}
	return 0
}
