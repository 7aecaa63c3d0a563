package wal

import (
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"
)

// recover reads the log from the disk and gets it ready for appends.
//
// The log ends at the first place P where no valid frame starts. That is either where the last process stopped, or
// where a power cut tore what was not synced, or damage. To tell damage from a torn tail every frame carries the
// position up to which the log was durable when it was made: if any frame behind P, in this or in a later segment,
// claims more than P, then P was durable once, and we refuse (I3). Otherwise nothing behind P was ever durable, and
// it is cut off.
func (l *Log) recover() error {
	names, err := l.listSegments()
	if err != nil {
		return err
	}
	if len(names) == 0 {
		s, err := prepare(l.opts.FS, l.dir, 1, l.opts.SegmentSize, nil)
		if err != nil {
			return err
		}
		l.enter(s)
		l.durable = l.end
		return nil
	}
	buf, tail, ended, err := l.scanAll(names)
	if err != nil {
		return err
	}
	if err := l.cutTail(buf, tail, names); err != nil {
		return err
	}
	for _, s := range l.segments { // a killed process leaves whole frames that were never synced
		if err := s.file.Sync(); err != nil {
			return err
		}
	}
	l.end, l.written, l.durable, l.outEnd = tail, tail, tail, tail
	l.bufAt = int64(tail.offset())
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.restate(ended)
}

// restate writes the state of every group, so that old segments can go although the last one may have been torn at
// its beginning. mu is held.
func (l *Log) restate(ended bool) error {
	room := int64(2 * frameHeader)
	for _, id := range l.ids {
		size := 0
		for _, key := range l.groups[id].keys {
			size += 1 + len(key) + 4 + len(l.groups[id].stable[key])
		}
		room += int64(frameSize(size))
	}
	if ended || l.bufAt+room > l.active().size/2 {
		if err := l.moveOn(ended); err != nil {
			return err
		}
	}
	l.addStates()
	l.drain()
	if l.err != nil {
		return l.err
	}
	if err := l.active().file.Sync(); err != nil {
		return err
	}
	l.durable = l.written
	return nil
}

// moveOn enters the next segment during Open. mu is held.
func (l *Log) moveOn(ended bool) error {
	if !ended {
		l.add(&frame{kind: kindEnd})
		l.drain()
		if l.err != nil {
			return l.err
		}
		if err := l.active().file.Sync(); err != nil {
			return err
		}
	}
	s, err := prepare(l.opts.FS, l.dir, l.active().seq+1, l.opts.SegmentSize, nil)
	if err != nil {
		return err
	}
	l.enter(s)
	return nil
}

// listSegments removes what was being retired or prepared, and checks that no segment is missing between others.
func (l *Log) listSegments() (names []string, err error) {
	all, err := l.opts.FS.List(l.dir)
	if err != nil {
		return nil, err
	}
	for _, name := range all {
		if strings.HasSuffix(name, freeSuffix) {
			if err := l.opts.FS.Remove(filepath.Join(l.dir, name)); err != nil {
				return nil, err
			}
			continue
		}
		seq, ok := parseSegmentName(name)
		if !ok {
			continue
		}
		if n := len(names); n > 0 {
			if before, _ := parseSegmentName(filepath.Base(names[n-1])); before+1 != seq {
				return nil, fmt.Errorf("segment %d is missing in %q: %w", before+1, l.dir, ErrCorrupt)
			}
		}
		names = append(names, filepath.Join(l.dir, name))
	}
	return names, nil
}

// scanAll reads the segments in order until the tail. buf is the content of the segment with the tail. ended says
// that this segment has its kindEnd.
func (l *Log) scanAll(names []string) (buf []byte, tail Position, ended bool, err error) {
	for _, name := range names {
		s, content, err := l.load(name, buf)
		if err != nil {
			return nil, 0, false, err
		}
		buf = content
		l.segments = append(l.segments, s)
		tail, ended, err = l.scan(s, buf)
		if err != nil {
			return nil, 0, false, fmt.Errorf("%q at %d: %w", name, tail.offset(), err)
		}
		if !ended {
			break
		}
	}
	return buf, tail, ended, nil
}

// load opens and reads a segment.
func (l *Log) load(name string, buf []byte) (_ *segment, _ []byte, err error) {
	file, err := l.opts.FS.Open(name)
	if err != nil {
		return nil, nil, err
	}
	defer func() {
		if err != nil {
			file.Close()
		}
	}()
	size, err := file.Size()
	if err != nil {
		return nil, nil, err
	}
	if size > 2*maxSegment {
		return nil, nil, fmt.Errorf("%q has %d bytes: %w", name, size, ErrCorrupt)
	}
	if int64(cap(buf)) < size {
		buf = make([]byte, size, max(size, l.opts.SegmentSize))
	}
	buf = buf[:size]
	if n, err := file.ReadAt(buf, 0); err != nil && (err != io.EOF || int64(n) != size) {
		return nil, nil, fmt.Errorf("cannot read %q: %w", name, err)
	}
	want, _ := parseSegmentName(filepath.Base(name))
	seq, declared, err := parseSegmentHeader(buf)
	if err == nil && (seq != want || declared < segmentHeader || declared > 2*maxSegment) {
		err = fmt.Errorf("header says segment %d of %d bytes: %w", seq, declared, ErrCorrupt)
	}
	if err != nil {
		if errors.Is(err, errSegmentHeader) {
			err = fmt.Errorf("%w: %w", err, ErrCorrupt)
		}
		return nil, nil, fmt.Errorf("%q: %w", name, err)
	}
	if size < declared { // see cutTail
		buf = append(buf, make([]byte, declared-size)...)
	}
	return &segment{seq: seq, size: declared, seed: segmentSeed(seq), file: file, name: name}, buf[:declared], nil
}

// scan applies the frames of a segment and returns where they end.
func (l *Log) scan(s *segment, buf []byte) (tail Position, ended bool, err error) {
	at := uint32(segmentHeader)
	for {
		tail = makePosition(s.seq, at)
		f, size, err := decodeFrame(buf[at:], s.seed)
		if err != nil {
			return tail, false, nil
		}
		if err := l.replay(&f, tail); err != nil {
			return tail, false, err
		}
		l.stats.ReplayedRecords++
		at += uint32(size)
		if f.kind == kindEnd {
			return makePosition(s.seq, at), true, nil
		}
		if int(at) > len(buf) { // the padding of a last frame that somebody else wrote
			return tail, false, fmt.Errorf("frame reaches beyond the segment: %w", ErrCorrupt)
		}
	}
}

// replay does again what a frame did. Frames that make no sense although their checksum is right are damage of
// another kind, and refused.
func (l *Log) replay(f *frame, at Position) error {
	bad := func(g *groupState) error {
		return fmt.Errorf("frame of kind %d with index %d does not fit group %d with entries %d to %d: %w",
			f.kind, f.index, f.group, g.entries.first, g.entries.next()-1, ErrCorrupt)
	}
	if f.kind == kindEnd || f.kind == kindSynced {
		return nil
	}
	known := l.groups[f.group] != nil
	g := l.group(f.group)
	switch f.kind {
	case kindEntry:
		if f.index != g.entries.next() {
			return bad(g)
		}
		g.entries.push(location{at.segment(), at.offset(), uint32(len(f.data))}, &l.pool)
		g.commit = max(g.commit, f.commit)
		return nil
	case kindState:
		if !known && f.index > 0 {
			g.entries.first = f.index
			g.inherited = f.index > 1
		}
		if f.index != g.entries.next() {
			return bad(g)
		}
		g.commit = max(g.commit, f.commit)
		return replayPairs(g, f.data)
	case kindSet:
		return replayPairs(g, f.data)
	case kindTruncateBefore:
		if f.index > g.entries.next() {
			return bad(g)
		}
		if f.index <= g.entries.first { // the segments of these entries are gone already
			return nil
		}
		g.inherited = false
	case kindTruncateAfter:
		if f.index+1 > g.entries.next() || f.index+1 < g.entries.first && !g.inherited {
			return bad(g)
		}
		if f.index+1 < g.entries.first { // it kept some entries that are gone since, with their segments
			g.entries.reset(f.index+1, &l.pool)
			return nil
		}
	case kindReset:
		if f.index == 0 {
			return bad(g)
		}
		g.inherited = false
	case kindDrop:
	default:
		return bad(g)
	}
	l.apply(f)
	return nil
}

func replayPairs(g *groupState, data []byte) error {
	for len(data) > 0 {
		key, value, rest, err := nextPair(data)
		if err != nil {
			return fmt.Errorf("stable values are damaged: %w", ErrCorrupt)
		}
		g.set(key, value)
		data = rest
	}
	return nil
}

// cutTail makes sure that nothing behind the tail was durable and removes it. buf is the segment with the tail.
//
// A crash in here leaves a file that ends at the tail, for the next Open to extend. A file that ends anywhere else was
// cut by somebody else.
func (l *Log) cutTail(buf []byte, tail Position, names []string) error {
	seg := l.active()
	if size, err := seg.file.Size(); err != nil || size < seg.size && size != int64(tail.offset()) {
		if err == nil {
			err = fmt.Errorf("%q has %d of %d bytes: %w", seg.name, size, seg.size, ErrCorrupt)
		}
		return err
	}
	rest := buf[tail.offset():]
	if err := checkClaims(rest, seg, tail); err != nil {
		return err
	}
	later := names[len(l.segments):]
	for _, name := range later {
		s, content, err := l.load(name, nil)
		if err != nil {
			return err
		}
		err = checkClaims(content, s, tail)
		s.file.Close()
		if err != nil {
			return err
		}
	}
	for k := len(later) - 1; k >= 0; k-- { // the last first: a crash here must not leave a hole
		if err := l.opts.FS.Remove(later[k]); err != nil {
			return err
		}
		if err := l.opts.FS.SyncDir(l.dir); err != nil {
			return err
		}
	}
	if !allZero(rest) {
		l.stats.TornBytes = torn(rest)
		if err := seg.file.Truncate(int64(tail.offset())); err != nil {
			return err
		}
	}
	return seg.file.Preallocate(seg.size)
}

// checkClaims looks for a frame that says that the log was durable beyond tail.
func checkClaims(b []byte, s *segment, tail Position) error {
	for ; len(b) >= frameHeader; b = b[frameAlign:] {
		if b[4] != frameMagic&0xff || b[5] != frameMagic>>8 {
			continue
		}
		f, _, err := decodeFrame(b, s.seed)
		if err == nil && f.synced > tail {
			return fmt.Errorf("frame at %v is damaged, but a later one says that the log was durable up to %v: %w", tail, f.synced, ErrCorrupt)
		}
	}
	return nil
}

func allZero(b []byte) bool {
	for _, c := range b {
		if c != 0 {
			return false
		}
	}
	return true
}

// torn is the number of bytes up to the last that is not zero.
func torn(b []byte) int64 {
	n := len(b)
	for n > 0 && b[n-1] == 0 {
		n--
	}
	return int64(n)
}
