package wal

import "fmt"

// Append appends records to a group and returns when they are acknowledged in the sense of the mode. The caller
// may reuse the records and their data then. One goroutine appends to a group at a time; many may append to
// different groups, and share writes and syncs.
//
// The first record must follow the last one of the group (ErrGap). After an error the records may or may not be
// found at the next Open.
func (l *Log) Append(group uint32, records []Record) error {
	p, err := l.Submit(group, records)
	if err != nil {
		return err
	}
	return l.Wait(p)
}

// Submit is the first half of Append: it copies the records and returns the position to Wait for. Records are on
// their way when it returns, so that the caller can do other work meanwhile.
func (l *Log) Submit(group uint32, records []Record) (Position, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.check(group, records); err != nil {
		return 0, err
	}
	for i := range records {
		r := &records[i]
		if err := l.reserve(frameSize(len(r.Data))); err != nil {
			return 0, err
		}
		g := l.group(group)
		g.entries.push(location{l.end.segment(), l.end.offset(), uint32(len(r.Data))}, &l.pool)
		g.commit = max(g.commit, r.Commit)
		l.add(&frame{kind: kindEntry, typ: r.Type, group: group, index: r.Index, term: r.Term, commit: r.Commit, data: r.Data})
		l.stats.Bytes += uint64(len(r.Data))
	}
	l.stats.Appends++
	l.stats.Records += uint64(len(records))
	return l.submitted(l.opts.Mode == Fsync), l.err
}

// check looks at a batch before any of it is taken. mu is held.
func (l *Log) check(id uint32, records []Record) error {
	if l.err != nil {
		return l.err
	}
	if l.closed {
		return ErrClosed
	}
	next := uint64(1)
	if g := l.groups[id]; g != nil {
		next = g.entries.next()
	}
	for i := range records {
		if records[i].Index != next+uint64(i) {
			return fmt.Errorf("cannot append entry %d to group %d, whose next is %d: %w", records[i].Index, id, next+uint64(i), ErrGap)
		}
		if n := len(records[i].Data); n > l.MaxData() {
			return fmt.Errorf("cannot append entry of %d bytes, at most %d fit: %w", n, l.MaxData(), ErrTooLarge)
		}
	}
	return nil
}

// MaxData is the most bytes that one record can hold: just less than half a segment, so that one always fits beside
// the state that a segment begins with, which has the other half.
func (l *Log) MaxData() int { return int(l.opts.SegmentSize/2) - 4*frameHeader }

// reserve returns when a frame of this size fits into the buffer and into the segment. mu is held, and is released
// meanwhile.
func (l *Log) reserve(size int) error {
	for l.err == nil {
		switch {
		case l.closed:
			return ErrClosed
		case l.rolling:
			l.wait()
		case int64(l.end.offset())+int64(size)+frameHeader > l.active().size:
			l.roll()
		case len(l.buf) > 0 && len(l.buf)+size > l.opts.MaxBuffer:
			if l.writing {
				l.wait()
			} else {
				l.flush()
			}
		default:
			return nil
		}
	}
	return l.err
}

// wait waits for wrote. mu is held.
func (l *Log) wait() {
	l.waiters++
	l.wrote.Wait()
	l.waiters--
}

// add puts a frame into the buffer; its place was reserved. mu is held.
func (l *Log) add(f *frame) {
	f.synced = l.durable
	n := len(l.buf)
	l.buf = appendFrame(l.buf, f, l.active().seed)
	l.end += Position(len(l.buf) - n)
}

// submitted starts a write if none is under way, and a sync if one is needed. mu is held.
func (l *Log) submitted(sync bool) Position {
	p := l.end
	if sync {
		l.want = max(l.want, p)
	}
	if !l.writing {
		l.flush()
	}
	return p
}

// flush writes the buffer. mu is held, is released during the write, and nobody else is writing.
//
// The naive ways are a write for each append, which under load pays the system call for every group, and a writer
// goroutine, which costs two switches (10 us here) for every append when there is no load. So whoever comes first
// writes, and who comes meanwhile fills the other buffer. When the writer is done and somebody is waiting for that
// other buffer, he writes it; otherwise (Submit without Wait yet) the writer goes on. So no frame is left behind,
// and no caller works for the others for ever.
func (l *Log) flush() {
	for len(l.buf) > 0 && l.err == nil {
		l.buf, l.out = l.out[:0], l.buf
		seg, at, end := l.active(), l.bufAt, l.end
		l.bufAt += int64(len(l.out))
		l.outEnd, l.waitBuf = end, 0
		l.writing = true
		out := l.out
		l.mu.Unlock()
		start := l.writes.begin()
		_, err := seg.file.WriteAt(out, at)
		elapsed := l.writes.end(start)
		l.mu.Lock()
		l.writing = false
		if cap(l.out) > 2*l.opts.MaxBuffer {
			l.out = nil // one huge batch must not cost its size for ever
		}
		if err != nil {
			l.fail(fmt.Errorf("cannot write log segment %q: %w", seg.name, err))
			return
		}
		l.written = end
		l.stats.wrote(elapsed)
		handOver := l.waitBuf > 0
		l.waitBuf = 0
		if l.waiters > 0 {
			l.wrote.Broadcast()
		}
		if l.want > l.durable {
			kick(l.kickSync)
		}
		if handOver {
			return
		}
	}
}

// Wait returns when everything before p is acknowledged in the sense of the mode.
func (l *Log) Wait(p Position) error {
	if l.opts.Mode == Fsync {
		return l.WaitSynced(p)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.waitWritten(p)
}

// waitWritten returns when everything before p is in the page cache. mu is held.
func (l *Log) waitWritten(p Position) error {
	for l.written < p {
		if l.err != nil {
			return l.err
		}
		if !l.writing {
			l.flush()
			continue
		}
		if p > l.outEnd {
			l.waitBuf++
		}
		l.wait()
	}
	return nil
}

func kick(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
