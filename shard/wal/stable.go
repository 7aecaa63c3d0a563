package wal

import (
	"fmt"
	"slices"
)

// Pair is a stable value and its key.
type Pair struct {
	Key   string
	Value []byte
}

// Set stores a small value of the group under a key: terms and votes. More of them are stored in the same step: after
// a crash all are there or none. They are durable when Set returns, in every mode; callers for different groups share
// the sync.
func (l *Log) Set(group uint32, key string, value []byte, more ...Pair) error {
	pairs := append([]Pair{{key, value}}, more...)
	for _, p := range pairs {
		if len(p.Key) > MaxKey || len(p.Value) > MaxValue {
			return fmt.Errorf("cannot set %q of group %d to %d bytes: %w", p.Key, group, len(p.Value), ErrTooLarge)
		}
	}
	l.mu.Lock()
	p, err := l.set(group, pairs)
	l.mu.Unlock()
	if err != nil {
		return err
	}
	return l.WaitSynced(p)
}

func (l *Log) set(group uint32, pairs []Pair) (Position, error) {
	var data []byte
	for _, p := range pairs {
		data = appendPair(data, p.Key, p.Value)
	}
	if err := l.reserve(frameSize(len(data))); err != nil {
		return 0, err
	}
	for _, p := range pairs {
		l.group(group).set(p.Key, p.Value)
	}
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
