package wal

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"dashi/shard/wal/vfs"
)

// roll moves to the next segment, which begins with the state of every group (I5). mu is held, and is released
// meanwhile; nobody else is rolling. Frames of the old segment may still be unsynced afterwards: they are synced
// before those of the new one count as durable, and recovery knows (I3).
func (l *Log) roll() {
	l.rolling = true
	defer func() {
		l.rolling = false
		l.wrote.Broadcast()
	}()
	l.drain()
	if l.err != nil {
		return
	}
	if !l.ended {
		l.add(&frame{kind: kindEnd})
		l.ended = true
	}
	l.drain()
	for l.spare == nil && l.err == nil && !l.closed {
		if l.opts.inline {
			l.tend()
			continue
		}
		kick(l.kickTend)
		l.wait()
	}
	if l.err != nil || l.spare == nil {
		return
	}
	l.enter(l.spare)
	l.spare = nil
	l.addStates()
	if l.opts.inline {
		l.tend()
	}
	kick(l.kickTend)
}

// drain writes everything in the buffer. mu is held.
func (l *Log) drain() {
	for (len(l.buf) > 0 || l.writing) && l.err == nil {
		if l.writing {
			l.wait()
		} else {
			l.flush()
		}
	}
}

// enter makes s the segment that is written to. mu is held, the buffer is empty.
func (l *Log) enter(s *segment) {
	l.segments = append(l.segments, s)
	l.ended = false
	l.bufAt = segmentHeader
	l.end = makePosition(s.seq, segmentHeader)
	l.written = l.end // the header, which prepare made durable
}

// addStates puts the state of every group into the buffer. mu is held. With everything there, no older segment is
// needed for anything but its entries.
func (l *Log) addStates() {
	data := make([]byte, 0, 256)
	for _, id := range l.ids {
		g := l.groups[id]
		data = data[:0]
		for _, key := range g.keys {
			data = appendPair(data, key, g.stable[key])
		}
		if int64(l.end.offset())+int64(frameSize(len(data)))+frameHeader > l.active().size/2 {
			l.fail(fmt.Errorf("cannot write the state of %d groups to a segment of %d bytes: %w", len(l.ids), l.active().size, ErrTooLarge))
			return
		}
		l.add(&frame{kind: kindState, group: id, index: g.entries.next(), commit: g.commit, data: data})
	}
	l.stated = l.end
}

// runTend keeps a segment ready and recycles dead ones, away from the writers.
func (l *Log) runTend() {
	for {
		var again <-chan time.Time
		if l.space.started.Load() != 0 {
			again = time.After(spaceAgain)
		}
		select {
		case <-l.stop:
			return
		case <-l.kickTend:
		case <-again:
		}
		l.mu.Lock()
		l.tend()
		l.mu.Unlock()
	}
}

// spaceAgain is how often a full disk is tried again.
const spaceAgain = 200 * time.Millisecond

// tend does one round of housekeeping. mu is held, and is released during disk operations; nobody else tends.
func (l *Log) tend() {
	for l.err == nil {
		if s := l.dead(); s != nil {
			l.retire(s)
			continue
		}
		break
	}
	if l.err != nil || l.spare != nil {
		return
	}
	seq := l.active().seq + 1
	var old *segment
	if n := len(l.free); n > 0 {
		old = l.free[n-1]
		l.free = l.free[:n-1]
	}
	l.mu.Unlock()
	s, err := prepare(l.opts.FS, l.dir, seq, l.opts.SegmentSize, old)
	l.mu.Lock()
	if err != nil {
		// With room left in the segment there is hope yet (somebody may make room on the disk); without, there is none.
		l.stats.PrepareFailures++
		switch {
		case !l.rolling:
		case errors.Is(err, syscall.ENOSPC) && !l.opts.inline:
			// Nothing is lost or in doubt: whoever appends waits until there is room, and the watchdog says so.
			if l.space.started.Load() == 0 {
				l.space.begin()
			}
		default:
			l.fail(err)
		}
		return
	}
	l.space.end(0)
	l.spare = s
	l.wrote.Broadcast()
}

// dead takes the oldest segment off the list if nothing needs it any more. mu is held.
//
// Only the oldest may go: a frame in a later one may say that entries in an earlier one are gone. And only when the
// frames that made it dead, and the state that repeats its stable values, are durable.
func (l *Log) dead() *segment {
	s := l.segments[0]
	if s == l.active() || s.refs > 0 || l.stated.segment() <= s.seq || l.durable < l.stated || l.durable < l.cut {
		return nil
	}
	if _, seq := l.oldest(); seq <= s.seq {
		return nil
	}
	l.segments = l.segments[1:]
	return s
}

// oldest is the group with the oldest entry and the segment that this entry lies in. mu is held.
func (l *Log) oldest() (id uint32, seq uint32) {
	seq = l.active().seq
	for _, i := range l.ids {
		e := &l.groups[i].entries
		if e.n > 0 {
			if s := e.at(e.first).segment; s < seq {
				id, seq = i, s
			}
		}
	}
	return id, seq
}

// retire renames or removes the file of a dead segment. mu is held, and is released meanwhile. The directory is
// synced each time, so that segments disappear in order and the old content is out of the log before it is
// overwritten.
func (l *Log) retire(s *segment) {
	keep := len(l.free) < l.opts.KeepFree && s.size == l.opts.SegmentSize
	l.mu.Unlock()
	err := func() error {
		if !keep {
			if err := s.file.Close(); err != nil {
				return err
			}
			if err := l.opts.FS.Remove(s.name); err != nil {
				return err
			}
			return l.opts.FS.SyncDir(l.dir)
		}
		name := strings.TrimSuffix(s.name, segmentSuffix) + freeSuffix
		if err := l.opts.FS.Rename(s.name, name); err != nil {
			return err
		}
		s.name = name
		return l.opts.FS.SyncDir(l.dir)
	}()
	l.mu.Lock()
	if err != nil {
		if keep {
			s.file.Close()
		}
		l.fail(fmt.Errorf("cannot retire log segment %q: %w", s.name, err))
		return
	}
	if keep {
		l.free = append(l.free, s)
		l.stats.Recycled++
	}
}

// prepare makes segment seq, empty and durable, out of an old file or a new one. It has its final name only when
// its header is durable.
func prepare(fs vfs.FS, dir string, seq uint32, size int64, old *segment) (_ *segment, err error) {
	s := old
	if s == nil {
		s = &segment{size: size, name: filepath.Join(dir, fmt.Sprintf("%010d%s", seq, freeSuffix))}
		if s.file, err = fs.Create(s.name); err != nil {
			return nil, fmt.Errorf("cannot create log segment %q: %w", s.name, err)
		}
	}
	err = func() error {
		if err := s.file.Preallocate(size); err != nil {
			return err
		}
		if _, err := s.file.WriteAt(appendSegmentHeader(nil, seq, size), 0); err != nil {
			return err
		}
		if err := s.file.Sync(); err != nil {
			return err
		}
		name := segmentName(dir, seq)
		if err := fs.Rename(s.name, name); err != nil {
			return err
		}
		s.name = name
		return fs.SyncDir(dir)
	}()
	if err != nil {
		s.file.Close()
		return nil, fmt.Errorf("cannot prepare log segment %q: %w", s.name, err)
	}
	s.seq, s.seed = seq, segmentSeed(seq)
	return s, nil
}
