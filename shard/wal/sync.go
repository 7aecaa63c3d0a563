package wal

import (
	"fmt"
	"time"
)

// WaitSynced returns when everything before p survives a power cut.
func (l *Log) WaitSynced(p Position) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.want = max(l.want, p)
	for l.durable < p {
		if l.err != nil {
			return l.err
		}
		switch {
		case l.written < p:
			if err := l.waitWritten(p); err != nil {
				return err
			}
		case l.opts.inline:
			l.sync()
		default:
			kick(l.kickSync)
			l.synced.Wait()
		}
	}
	return nil
}

// Sync returns when everything appended so far survives a power cut.
func (l *Log) Sync() error {
	l.mu.Lock()
	p := l.end
	l.mu.Unlock()
	return l.WaitSynced(p)
}

// SyncedIndex is the highest index of the group such that all its entries up to there survive a power cut. For a
// group without entries it is the one before the next.
func (l *Log) SyncedIndex(group uint32) uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	g := l.groups[group]
	if g == nil {
		return 0
	}
	return g.entries.through(l.durable)
}

// runSync syncs when somebody waits for it, and every SyncInterval when there is something to sync.
func (l *Log) runSync() {
	tick := time.NewTicker(l.opts.SyncInterval)
	defer tick.Stop()
	for {
		select {
		case <-l.stop:
			return
		case <-l.kickSync:
		case <-tick.C:
		}
		l.mu.Lock()
		l.sync()
		for l.err == nil && l.want > l.durable && l.written > l.durable {
			l.sync()
		}
		l.mu.Unlock()
	}
}

// sync makes durable what is written. mu is held, is released during the syncs, and nobody else is syncing. Older
// segments go first, so that durable never runs ahead of a hole. A failed sync is final: the kernel may have
// dropped the pages and would report success the next time.
func (l *Log) sync() {
	target := l.written
	if target <= l.durable || l.err != nil {
		return
	}
	first, last := l.durable.segment(), target.segment()
	for seq := first; seq <= last && l.err == nil; seq++ {
		s := l.segment(seq)
		if s == nil {
			continue // dead, and so durable already
		}
		l.mu.Unlock()
		start := l.syncs.begin()
		err := s.file.Sync()
		elapsed := l.syncs.end(start)
		l.mu.Lock()
		l.stats.synced(elapsed)
		if err != nil {
			l.fail(fmt.Errorf("cannot sync log segment %q: %w", s.name, err))
		}
	}
	if l.err != nil {
		return
	}
	l.durable = target
	l.synced.Broadcast()
	if l.opts.inline {
		l.tend()
	} else if l.segments[0] != l.active() {
		kick(l.kickTend)
	}
}
