package wal

import (
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"dashi/shard/wal/vfs"
)

// Mode says what an acknowledgement of Append means.
type Mode uint8

// The modes.
const (
	Replicated Mode = iota // written to the page cache; synced in the background every Options.SyncInterval
	Fsync                  // written and synced
)

// String is the word used in settings.
func (m Mode) String() string {
	if m == Fsync {
		return "fsync"
	}
	return "replicated"
}

// Errors that callers test for. A failed disk is reported as an error that wraps ErrFailed and the cause.
var (
	ErrClosed   = errors.New("log is closed")
	ErrFailed   = errors.New("log has failed and takes nothing more")
	ErrCorrupt  = errors.New("log is corrupt")
	ErrNotFound = errors.New("not found")
	ErrGap      = errors.New("index does not follow the last one")
	ErrTooLarge = errors.New("too large")
)

// Limits.
const (
	// MaxKey and MaxValue bound the stable values, because every segment begins with all of them.
	MaxKey   = 255
	MaxValue = 4 << 10
	// maxSegment keeps offsets and the recovery buffer small.
	maxSegment = 1 << 30
	minSegment = 4 << 10
)

// Options are the settings of a log. The zero value of each means its default.
type Options struct {
	FS           vfs.FS        // default vfs.OS
	Mode         Mode          // default Replicated
	SegmentSize  int64         // bytes; default 64 MiB, at least 4 KiB, at most 1 GiB
	MaxBuffer    int           // bytes that wait to be written before Append blocks; default 4 MiB
	SyncInterval time.Duration // of the background sync; default 100 ms
	StallAfter   time.Duration // a disk operation that takes longer is a stall; default 2 s
	KeepFree     int           // dead segments kept for reuse; default 2
	// OnStall is called by the watchdog once for each operation that exceeds StallAfter, while it still hangs: "write", "sync", or "space" when the
	// disk is full.
	OnStall func(op string, elapsed time.Duration)

	// inline does without goroutines: the caller syncs and prepares segments itself. For tests that need the
	// same order of disk operations each time.
	inline bool
}

func (o *Options) setDefaults() {
	if o.FS == nil {
		o.FS = vfs.OS{}
	}
	if o.SegmentSize == 0 {
		o.SegmentSize = 64 << 20
	}
	o.SegmentSize = min(max(o.SegmentSize, minSegment), maxSegment) &^ (frameAlign - 1)
	if o.MaxBuffer == 0 {
		o.MaxBuffer = 4 << 20
	}
	if o.SyncInterval == 0 {
		o.SyncInterval = 100 * time.Millisecond
	}
	if o.StallAfter == 0 {
		o.StallAfter = 2 * time.Second
	}
	if o.KeepFree == 0 {
		o.KeepFree = 2
	}
	if o.OnStall == nil {
		o.OnStall = func(string, time.Duration) {}
	}
}

// Record is one entry of a group.
type Record struct {
	Index  uint64 // 1, 2, 3, ... without gaps, but see Reset
	Term   uint64
	Commit uint64 // the highest index that the caller knows to be committed; kept as Log.Commit
	Type   uint8  // the caller's
	Data   []byte
}

// Log is one log on one disk, shared by many groups.
type Log struct {
	opts Options
	dir  string
	lock io.Closer

	mu     sync.Mutex
	groups map[uint32]*groupState
	ids    []uint32 // the keys of groups, sorted
	pool   chunkPool

	segments []*segment // by seq, without gaps; the last one is written to
	spare    *segment   // the next one, ready
	free     []*segment // dead ones, to be reused
	rolling  bool       // somebody is moving to the next segment
	ended    bool       // the last segment has its kindEnd, and nothing may follow it there

	buf     []byte   // frames that wait to be written, all for the last segment
	out     []byte   // the other buffer: being written, or empty
	bufAt   int64    // offset of buf in the segment
	outEnd  Position // where out ends
	end     Position // where buf ends
	written Position // everything before it is in the page cache
	durable Position // everything before it survives a power cut
	want    Position // somebody waits for this to be durable
	stated  Position // after the last complete set of kindState frames
	cut     Position // after the last frame that removed something
	writing bool     // out is being written
	waiters int      // goroutines that wait on wrote
	waitBuf int      // those of them whose frames are in buf: one of them will write it
	wrote   sync.Cond
	synced  sync.Cond
	closed  bool
	err     error // sticky
	failed  chan struct{}

	kickSync chan struct{}
	kickTend chan struct{}
	stop     chan struct{}
	done     sync.WaitGroup

	stats  Stats
	writes watch
	syncs  watch
	space  watch // the disk is full, and an append needs the next segment
}

// groupState is what the log knows about a group.
type groupState struct {
	entries entries
	commit  uint64
	stable  map[string][]byte
	keys    []string // of stable, sorted
	// inherited is for recovery only: entries.first comes from a state frame, and there may have been entries before
	// it when that was written, in segments that are gone.
	inherited bool
}

// Open recovers the log in dir, or starts one there. It fails with ErrCorrupt when something is missing that was
// durable; a torn tail is repaired.
func Open(dir string, opts Options) (*Log, error) {
	opts.setDefaults()
	if err := opts.FS.MakeDir(dir); err != nil {
		return nil, fmt.Errorf("cannot make directory %q: %w", dir, err)
	}
	lock, err := opts.FS.Lock(filepath.Join(dir, "lock"))
	if err != nil {
		return nil, fmt.Errorf("cannot lock log %q: %w", dir, err)
	}
	l := &Log{
		opts:     opts,
		dir:      dir,
		lock:     lock,
		groups:   map[uint32]*groupState{},
		failed:   make(chan struct{}),
		kickSync: make(chan struct{}, 1),
		kickTend: make(chan struct{}, 1),
		stop:     make(chan struct{}),
	}
	l.wrote.L, l.synced.L = &l.mu, &l.mu
	l.writes.base = time.Now()
	l.syncs.base, l.space.base = l.writes.base, l.writes.base
	if err := l.recover(); err != nil {
		l.closeFiles()
		return nil, fmt.Errorf("cannot open log %q: %w", dir, err)
	}
	if !opts.inline {
		l.done.Go(l.runSync)
		l.done.Go(l.runTend)
		l.done.Go(l.runWatch)
	}
	return l, nil
}

// Close writes and syncs what was appended and releases the files. Calls under way fail with ErrClosed, or with
// the error that the log failed with, which Close returns too.
func (l *Log) Close() error {
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		return ErrClosed
	}
	l.closed = true
	l.wrote.Broadcast()
	for l.rolling { // needs the housekeeper
		l.wait()
	}
	end := l.end
	l.mu.Unlock()
	if l.WaitSynced(end) == nil {
		l.claim()
	}
	close(l.stop)
	l.done.Wait()
	l.mu.Lock()
	defer l.mu.Unlock()
	for l.writing {
		l.wait()
	}
	err := l.err
	if err == nil {
		l.fail(ErrClosed)
	}
	if cerr := l.closeFiles(); err == nil {
		err = cerr
	}
	return err
}

// claim writes a frame that says how far the log is durable, so that damage to the last entries is told from a torn
// tail at the next Open (I3). Close calls it when everything else is done.
func (l *Log) claim() {
	l.mu.Lock()
	if l.ended { // the disk was full, and there is no next one
		l.mu.Unlock()
		return
	}
	k := kindSynced
	if int64(l.end.offset())+2*frameHeader > l.active().size { // the last place is for the end
		k = kindEnd
	}
	l.add(&frame{kind: k})
	l.drain()
	end := l.end
	l.mu.Unlock()
	_ = l.WaitSynced(end) // Close returns the error that it leaves
}

func (l *Log) closeFiles() (err error) {
	keep := func(e error) {
		if err == nil {
			err = e
		}
	}
	for _, s := range l.segments {
		keep(s.file.Close())
	}
	for _, s := range l.free {
		keep(s.file.Close())
	}
	if l.spare != nil {
		keep(l.spare.file.Close())
	}
	keep(l.lock.Close())
	l.segments, l.free, l.spare = nil, nil, nil
	return err
}

// fail makes err the fate of everything that is not acknowledged yet and of all that comes (I6). mu is held.
func (l *Log) fail(err error) {
	if l.err != nil {
		return
	}
	if err == ErrClosed {
		l.err = err
	} else {
		l.err = fmt.Errorf("%w: %w", ErrFailed, err)
		close(l.failed)
	}
	l.wrote.Broadcast()
	l.synced.Broadcast()
}

// Failed is closed when the disk has failed.
func (l *Log) Failed() <-chan struct{} { return l.failed }

// Err is nil until the disk has failed or the log is closed.
func (l *Log) Err() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.err
}

// group finds a group, or makes it. mu is held.
func (l *Log) group(id uint32) *groupState {
	g := l.groups[id]
	if g == nil {
		g = &groupState{entries: entries{first: 1}, stable: map[string][]byte{}}
		l.groups[id] = g
		k, _ := slices.BinarySearch(l.ids, id)
		l.ids = slices.Insert(l.ids, k, id)
	}
	return g
}

// dropGroup forgets a group. mu is held.
func (l *Log) dropGroup(id uint32) {
	g := l.groups[id]
	if g == nil {
		return
	}
	g.entries.reset(1, &l.pool)
	delete(l.groups, id)
	k, _ := slices.BinarySearch(l.ids, id)
	l.ids = slices.Delete(l.ids, k, k+1)
}

func (g *groupState) set(key string, value []byte) {
	k, found := slices.BinarySearch(g.keys, key)
	if !found {
		g.keys = slices.Insert(g.keys, k, key)
	}
	g.stable[key] = append(g.stable[key][:0], value...)
}

// segment finds an open segment, nil if it is gone. mu is held.
func (l *Log) segment(seq uint32) *segment {
	if len(l.segments) == 0 || seq < l.segments[0].seq || seq-l.segments[0].seq >= uint32(len(l.segments)) {
		return nil
	}
	return l.segments[seq-l.segments[0].seq]
}

func (l *Log) active() *segment { return l.segments[len(l.segments)-1] }
