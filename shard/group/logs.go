package group

import (
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"dashi/shard/wal"

	"github.com/hashicorp/raft"
)

// logStore is Raft's log of one group: entries and stable values in the log that all groups of the node share.
//
// It is not a raft.MonotonicLogStore: after a snapshot was installed the indexes go on with a gap, which wal.Log.Reset makes good.
type logStore struct {
	id  uint32
	log *wal.Log
	own *snapshotStore // says what the log must keep
	// synced: entries are on the disk before they are acknowledged, whatever the mode.
	synced bool

	mu      sync.Mutex // Raft stores from its main goroutine only; it stages and votes there too. For readers of the window.
	staged  uint64     // the commit index to be written with the next entries
	warm    uint64     // index to which the state machine was brought before Raft started
	unread  error      // the error of a read while Raft started, which Raft does not hand on
	window  window
	records []wal.Record
	visible atomic.Uint64 // index of the last entry that comes to the state machine's side, applied or not
	vote    []byte        // the term of a vote whose candidate has not come yet, see SetUint64
}

// The keys that Raft uses for its stable values.
const (
	keyTerm          = "CurrentTerm"
	keyVoteTerm      = "LastVoteTerm"
	keyVoteCandidate = "LastVoteCand"
)

// errNotFound has the text that Raft looks for.
var errNotFound = errors.New("not found")

// FirstIndex is 0 without entries.
func (s *logStore) FirstIndex() (uint64, error) {
	first, last := s.log.Bounds(s.id)
	if first > last {
		return 0, nil
	}
	return first, nil
}

// LastIndex is 0 without entries.
func (s *logStore) LastIndex() (uint64, error) {
	first, last := s.log.Bounds(s.id)
	if first > last {
		return 0, nil
	}
	return last, nil
}

// GetLog reads an entry. Nothing of it is shared.
//
// If the log begins behind the newest snapshot, of the entry that the snapshot ends with only index and term are true. Raft knows index and term of the
// snapshot that it was told of when it started, which is what the state machine had (Group.start). The snapshot on the disk, which it sends to others, ends
// earlier, and to go on behind that one Raft asks for its term here. It never sends such an entry to anybody, for it would need the one before it as well.
// The first entry of all is the exception: before it is nothing but the beginning.
func (s *logStore) GetLog(index uint64, l *raft.Log) error {
	s.mu.Lock()
	ok := s.window.get(index, l)
	s.mu.Unlock()
	if ok {
		return nil
	}
	r, _, err := s.log.Read(s.id, index, nil)
	if errors.Is(err, wal.ErrNotFound) {
		if term, ok := s.own.termAt(index); ok && index > 1 {
			*l = raft.Log{Index: index, Term: term, Type: raft.LogNoop}
			return nil
		}
		return raft.ErrLogNotFound // the very error that makes Raft send a snapshot
	}
	if err != nil {
		s.mu.Lock()
		s.unread = err
		s.mu.Unlock()
		return err
	}
	*l = raft.Log{Index: r.Index, Term: r.Term, Type: raft.LogType(r.Type), Data: r.Data}
	return nil
}

// StoreLog appends one entry.
func (s *logStore) StoreLog(l *raft.Log) error { return s.StoreLogs([]*raft.Log{l}) }

// StoreLogs appends entries and returns when they are acknowledged in the sense of the log's mode. The first one follows the last in the log, or a
// snapshot that is ahead of the log.
func (s *logStore) StoreLogs(logs []*raft.Log) error {
	if len(logs) == 0 {
		return nil
	}
	if first, last := s.log.Bounds(s.id); logs[0].Index != last+1 {
		if logs[0].Index <= last && first <= last {
			return fmt.Errorf("cannot append entry %d to group %d, which has entries %d to %d: %w", logs[0].Index, s.id, first, last, wal.ErrGap)
		}
		s.forget()
		if err := s.log.Reset(s.id, logs[0].Index); err != nil {
			return fmt.Errorf("cannot log entries of group %d: %w", s.id, err)
		}
	}
	s.mu.Lock()
	commit := s.staged
	s.mu.Unlock()
	s.records = s.records[:0]
	for _, l := range logs {
		s.records = append(s.records, wal.Record{Index: l.Index, Term: l.Term, Commit: min(commit, l.Index), Type: uint8(l.Type), Data: l.Data})
	}
	err := s.log.Append(s.id, s.records)
	clear(s.records)
	if err == nil && s.synced {
		err = s.log.Sync()
	}
	if err != nil {
		return fmt.Errorf("cannot log entries of group %d: %w", s.id, err)
	}
	s.stored(logs)
	return nil
}

// stored notes what has become part of the log.
func (s *logStore) stored(logs []*raft.Log) {
	for _, l := range logs {
		if l.Type == raft.LogConfiguration {
			if c, err := decodeMembers(l.Data); err == nil { // before Raft replicates to anybody new
				s.own.g.membersAre(c, l.Index)
			}
		}
		if l.Type == raft.LogConfiguration || l.Type == raft.LogCommand {
			s.visible.Store(l.Index)
		}
	}
	if s.own.g.alone.Load() {
		s.forget()
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, l := range logs {
		s.window.put(l)
	}
}

func (s *logStore) forget() {
	s.mu.Lock()
	s.window.clear()
	s.mu.Unlock()
}

// DeleteRange is called to compact, from the first entry up to the last one in a snapshot, and to cut off a tail that another leader's entries replace.
// Those were never committed, so they are in no snapshot: that tells the two.
func (s *logStore) DeleteRange(low, high uint64) error {
	first, last := s.log.Bounds(s.id)
	if first > last || high < first || low > last {
		return nil
	}
	if low <= first && high <= s.own.newest() {
		return s.log.TruncateBefore(s.id, min(high+1, max(first, s.own.keepFrom())))
	}
	if high < last {
		return fmt.Errorf("cannot delete entries %d to %d of group %d from the middle of %d to %d", low, high, s.id, first, last)
	}
	s.forget()
	if err := s.log.TruncateAfter(s.id, low-1); err != nil {
		return err
	}
	s.own.g.membersCut(low)
	return s.lookBack(low - 1)
}

// lookBack sets visible to the last entry up to this one that is a command or a change of members, or that was applied.
func (s *logStore) lookBack(index uint64) error {
	applied := s.own.g.applied.Load()
	var l raft.Log
	for ; index > applied; index-- {
		err := s.GetLog(index, &l)
		if err == raft.ErrLogNotFound { // it is in a snapshot
			break
		}
		if err != nil {
			return err
		}
		if l.Type == raft.LogCommand || l.Type == raft.LogConfiguration {
			break
		}
	}
	s.visible.Store(max(index, applied))
	return nil
}

// StageCommitIndex notes what is written with the next entries.
func (s *logStore) StageCommitIndex(index uint64) error {
	s.mu.Lock()
	s.staged = max(s.staged, index)
	s.mu.Unlock()
	return nil
}

// GetCommitIndex is called once, by raft.NewRaft: it must not apply again what Host.Open has applied.
func (s *logStore) GetCommitIndex() (uint64, error) { return s.warm, nil }

// SetUint64 stores a number durably, except the term of a vote, which is stored together with its candidate: Raft stores one after the other, and a crash
// between the two would leave the vote of another term.
//
// Raft takes the process down when it cannot store its term. A log that has failed, or that was closed before Raft because the disk is full, takes no entry
// and no vote any more, so then a term that only this process knows does no harm, no error is returned, and look-ups in the other groups go on. Host.Err and
// every proposal report the failure.
func (s *logStore) SetUint64(key []byte, value uint64) error {
	b := binary.LittleEndian.AppendUint64(nil, value)
	switch string(key) {
	case keyVoteTerm:
		s.vote = b
		return nil
	case keyTerm:
		if have, ok := s.log.Get(s.id, keyTerm); ok && string(have) == string(b) {
			return nil // as at every start
		}
		if err := s.log.Set(s.id, keyTerm, b); err != nil && s.log.Err() == nil && !errors.Is(err, wal.ErrClosed) {
			return err
		}
		return nil
	}
	return s.log.Set(s.id, string(key), b)
}

// Set stores a value durably.
func (s *logStore) Set(key, value []byte) error {
	if string(key) == keyVoteCandidate && s.vote != nil {
		vote := s.vote
		s.vote = nil
		return s.log.Set(s.id, keyVoteTerm, vote, wal.Pair{Key: keyVoteCandidate, Value: value})
	}
	return s.log.Set(s.id, string(key), value)
}

// Get is what Set stored.
func (s *logStore) Get(key []byte) ([]byte, error) {
	v, ok := s.log.Get(s.id, string(key))
	if !ok {
		return nil, errNotFound
	}
	return v, nil
}

// GetUint64 is what SetUint64 stored.
func (s *logStore) GetUint64(key []byte) (uint64, error) {
	v, err := s.Get(key)
	if err != nil {
		return 0, err
	}
	if len(v) != 8 {
		return 0, fmt.Errorf("value %q of group %d has %d bytes", key, s.id, len(v))
	}
	return binary.LittleEndian.Uint64(v), nil
}
