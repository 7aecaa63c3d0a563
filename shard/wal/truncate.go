package wal

import (
	"fmt"
	"slices"
)

// Bounds are the first and the last index of the group. Without entries, last is first-1 and first is the next
// index; 1 for a new group.
func (l *Log) Bounds(group uint32) (first, last uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	g := l.groups[group]
	if g == nil {
		return 1, 0
	}
	return g.entries.first, g.entries.next() - 1
}

// Commit is the highest Record.Commit of the group so far.
func (l *Log) Commit(group uint32) uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	if g := l.groups[group]; g != nil {
		return g.commit
	}
	return 0
}

// Groups are the ids of all groups in the log, sorted.
func (l *Log) Groups() []uint32 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.ids)
}

// TruncateBefore removes the entries below index, which is at most the next index, from the head of the group: they
// are in a durable snapshot. Indexes below the first are no error. It does not wait for the disk: should the power
// fail before, the entries are back.
func (l *Log) TruncateBefore(group uint32, index uint64) error {
	return l.change(kindTruncateBefore, group, index, func(g *groupState) (bool, error) {
		if index > g.entries.next() {
			return false, fmt.Errorf("cannot delete entries below %d of group %d, whose next is %d: %w", index, group, g.entries.next(), ErrGap)
		}
		return index > g.entries.first, nil
	})
}

// TruncateAfter removes the entries above index from the tail of the group; index+1 is the next then. It is as
// durable as an Append in this mode when it returns.
func (l *Log) TruncateAfter(group uint32, index uint64) error {
	err := l.change(kindTruncateAfter, group, index, func(g *groupState) (bool, error) {
		if index+1 < g.entries.first {
			return false, fmt.Errorf("cannot delete entries above %d of group %d, whose first is %d: %w", index, group, g.entries.first, ErrGap)
		}
		return index+1 < g.entries.next(), nil
	})
	return l.acknowledge(err)
}

// Reset removes all entries of the group; index is the next one. After a snapshot was installed that is ahead of
// the log, the log goes on behind it. It is as durable as an Append in this mode when it returns.
func (l *Log) Reset(group uint32, index uint64) error {
	if index == 0 {
		return fmt.Errorf("cannot reset group %d to index 0: %w", group, ErrGap)
	}
	err := l.change(kindReset, group, index, func(g *groupState) (bool, error) {
		return g.entries.n > 0 || g.entries.first != index, nil
	})
	return l.acknowledge(err)
}

// Drop removes the group with everything in it, durably when it returns.
func (l *Log) Drop(group uint32) error {
	l.mu.Lock()
	known := l.groups[group] != nil
	l.mu.Unlock()
	if !known {
		return l.Err()
	}
	if err := l.change(kindDrop, group, 0, func(*groupState) (bool, error) { return true, nil }); err != nil {
		return err
	}
	return l.Sync()
}

func (l *Log) acknowledge(err error) error {
	if err != nil {
		return err
	}
	l.mu.Lock()
	p := l.end
	l.mu.Unlock()
	return l.Wait(p)
}

// change logs and applies a frame without data that removes something. needed is asked when there is room for it.
func (l *Log) change(k kind, id uint32, index uint64, needed func(*groupState) (bool, error)) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed && l.err == nil {
		return ErrClosed
	}
	if err := l.reserve(frameHeader); err != nil {
		return err
	}
	g := l.group(id)
	if ok, err := needed(g); !ok || err != nil {
		return err
	}
	f := frame{kind: k, group: id, index: index}
	l.apply(&f)
	l.add(&f)
	l.cut = l.end
	l.submitted(false)
	return l.err
}

// apply does to the groups what a frame of a checked kind says, but for entries and states. mu is held.
func (l *Log) apply(f *frame) {
	g := l.group(f.group)
	switch f.kind {
	case kindTruncateBefore:
		g.entries.truncateBefore(f.index, &l.pool)
	case kindTruncateAfter:
		g.entries.truncateAfter(f.index, &l.pool)
	case kindReset:
		g.entries.reset(f.index, &l.pool)
	case kindDrop:
		l.dropGroup(f.group)
	}
}
