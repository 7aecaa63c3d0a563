package wal

import (
	"fmt"
	"slices"
)

// Read reads one entry. The data of the record aliases the returned buffer, which is buf if that is large enough;
// give it back at the next call to read without allocation.
func (l *Log) Read(group uint32, index uint64, buf []byte) (Record, []byte, error) {
	s, at, err := l.find(group, index)
	if err != nil {
		return Record{}, buf, err
	}
	size := frameHeader + int(at.size)
	buf = slices.Grow(buf[:0], size)[:size]
	_, err = s.file.ReadAt(buf, int64(at.offset))
	l.mu.Lock()
	s.refs--
	l.mu.Unlock()
	if err != nil {
		return Record{}, buf, fmt.Errorf("cannot read entry %d of group %d from log segment %q: %w", index, group, s.name, err)
	}
	f, _, err := decodeFrame(buf, s.seed)
	if err != nil || f.kind != kindEntry || f.group != group || f.index != index {
		return Record{}, buf, fmt.Errorf("cannot read entry %d of group %d from log segment %q at %d: %w", index, group, s.name, at.offset, ErrCorrupt)
	}
	return Record{Index: f.index, Term: f.term, Commit: f.commit, Type: f.typ, Data: f.data}, buf, nil
}

// find finds where an entry lies and holds its segment.
func (l *Log) find(id uint32, index uint64) (*segment, location, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for {
		if len(l.segments) == 0 { // closed
			return nil, location{}, ErrClosed
		}
		g := l.groups[id]
		if g == nil || index < g.entries.first || index >= g.entries.next() {
			return nil, location{}, fmt.Errorf("cannot read entry %d of group %d: %w", index, id, ErrNotFound)
		}
		at := g.entries.at(index)
		if at.end() <= l.written {
			s := l.segment(at.segment)
			s.refs++
			return s, at, nil
		}
		if err := l.waitWritten(at.end()); err != nil {
			return nil, location{}, err
		}
	}
}
