package wal

import (
	"fmt"
	"slices"
)

// Set stores a small value of the group under a key: terms and votes. It is durable when Set returns, in every
// mode; callers for different groups share the sync.
func (l *Log) Set(group uint32, key string, value []byte) error {
	if len(key) > MaxKey || len(value) > MaxValue {
		return fmt.Errorf("cannot set %q of group %d to %d bytes: %w", key, group, len(value), ErrTooLarge)
	}
	l.mu.Lock()
	p, err := l.set(group, key, value)
	l.mu.Unlock()
	if err != nil {
		return err
	}
	return l.WaitSynced(p)
}

func (l *Log) set(group uint32, key string, value []byte) (Position, error) {
	data := appendPair(nil, key, value)
	if err := l.reserve(frameSize(len(data))); err != nil {
		return 0, err
	}
	l.group(group).set(key, value)
	l.add(&frame{kind: kindSet, group: group, data: data})
	return l.submitted(true), l.err
}

// Get is a copy of the value that Set stored. It may be that of a Set under way.
func (l *Log) Get(group uint32, key string) (value []byte, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if g := l.groups[group]; g != nil {
		value, ok = g.stable[key]
	}
	return slices.Clone(value), ok
}
