package group

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"sync"
	"time"

	"dashi/shard/snapshot"
	"dashi/shard/wal"

	"github.com/hashicorp/raft"
)

// A snapshot file begins with who was a member; FORMAT.md has the bytes.
const (
	preludeMagic   = "dashimem"
	preludeVersion = 1
	preludeHead    = 24
	maxMembership  = 64 << 10
)

// snapshotStore is Raft's view of the snapshots of one group.
type snapshotStore struct {
	g     *Group
	store *snapshot.Store

	writing sync.Mutex // from Create to the end of the sink: the group's own snapshot and one that is installed take turns

	mu       sync.Mutex
	virtual  *raft.SnapshotMeta // while Raft starts: what the state machine has, see Group.start
	last     uint64             // index of the newest
	lastTerm uint64             // and its term
	previous uint64             // of the one before it
	failure  error              // why the last attempt failed: Raft hands on the words only
}

// failed notes an error for reason, and returns it.
func (s *snapshotStore) failed(err error) error {
	if err != nil {
		s.mu.Lock()
		s.failure = err
		s.mu.Unlock()
	}
	return err
}

// reason is the error that failed has noted since the last call; nil if none.
func (s *snapshotStore) reason() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	err := s.failure
	s.failure = nil
	return err
}

// margin is how far behind the newest snapshot the log begins at least. A follower's log may differ from the leader's in no more entries than can be
// proposed at a time; so it always finds the place where the two still agree in the leader's log, and is never repaired by a snapshot that lies
// within its own longer log, which Raft cannot do (hashicorp/raft issue 697).
const margin = 4 * maxPending

func (s *snapshotStore) newest() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.last
}

// termAt is the term of the newest snapshot, if it ends with that entry.
func (s *snapshotStore) termAt(index uint64) (term uint64, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.lastTerm, index == s.last && index > 0
}

// before is the index of the snapshot before the newest.
func (s *snapshotStore) before() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.previous
}

// keepFrom is the first entry that the log must keep (I4).
func (s *snapshotStore) keepFrom() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	from := s.previous + 1
	if !s.g.alone.Load() {
		from = min(from, max(s.last, margin)-margin+1)
	}
	return from
}

// found notes the snapshots that there were when the group was opened: the one that was restored, and older ones.
func (s *snapshotStore) found(meta *raft.SnapshotMeta, older []snapshot.Info) {
	at := *meta
	s.virtual, s.last, s.lastTerm = &at, meta.Index, meta.Term
	s.g.membersAre(meta.Configuration, meta.ConfigurationIndex)
	if len(older) > 0 {
		s.previous = older[0].Index
	}
}

// reached moves the virtual snapshot, which Raft is told of when it starts, on to this record, up to which the state machine has applied the log.
func (s *snapshotStore) reached(r wal.Record) error {
	if s.virtual == nil {
		s.virtual = &raft.SnapshotMeta{Version: raft.SnapshotVersionMax}
	}
	if raft.LogType(r.Type) == raft.LogConfiguration {
		members, err := decodeMembers(r.Data)
		if err != nil {
			return err
		}
		s.virtual.Configuration, s.virtual.ConfigurationIndex = members, r.Index
		s.g.membersAre(members, r.Index)
	}
	s.virtual.Term, s.virtual.Index = r.Term, r.Index
	return nil
}

// started drops the virtual snapshot: Raft has started, and from now on there are only real ones.
func (s *snapshotStore) started() {
	s.mu.Lock()
	s.virtual = nil
	s.mu.Unlock()
}

// taken notes a new snapshot.
func (s *snapshotStore) taken(index, term uint64) {
	s.mu.Lock()
	if index > s.last {
		s.previous, s.last, s.lastTerm = s.last, index, term
	}
	s.mu.Unlock()
}

// Create begins a snapshot.
func (s *snapshotStore) Create(_ raft.SnapshotVersion, index, term uint64, members raft.Configuration, membersAt uint64, _ raft.Transport) (raft.SnapshotSink, error) {
	s.writing.Lock()
	w, err := s.store.Create(snapshot.Info{Group: s.g.id, Term: term, Index: index})
	if err == nil {
		_, err = w.Write(appendPrelude(nil, members, membersAt))
		if err != nil {
			w.Abort()
		}
	}
	if err != nil {
		s.writing.Unlock()
		return nil, s.failed(err)
	}
	return &sink{store: s, w: w, id: snapshotID(term, index), index: index, term: term, start: time.Now(), members: members, membersAt: membersAt}, nil
}

// List names the snapshots, newest first. One whose beginning cannot be read is passed over.
func (s *snapshotStore) List() ([]*raft.SnapshotMeta, error) {
	s.mu.Lock()
	virtual := s.virtual
	s.mu.Unlock()
	if virtual != nil {
		return []*raft.SnapshotMeta{virtual}, nil
	}
	infos, err := s.store.List(s.g.id)
	if err != nil {
		return nil, err
	}
	var list []*raft.SnapshotMeta
	for _, info := range infos {
		meta, r, err := s.open(info)
		if err != nil {
			s.g.host.settings.Log.Error("snapshot cannot be read", "group", s.g.id, "index", info.Index, "error", err)
			continue
		}
		r.Close()
		list = append(list, meta)
	}
	return list, nil
}

// Open opens the snapshot that List gave this id.
func (s *snapshotStore) Open(id string) (*raft.SnapshotMeta, io.ReadCloser, error) {
	term, index, err := parseSnapshotID(id)
	if err != nil {
		return nil, nil, err
	}
	meta, r, err := s.open(snapshot.Info{Group: s.g.id, Term: term, Index: index})
	if err != nil {
		return nil, nil, err
	}
	return meta, r, nil
}

// open opens a snapshot behind its prelude.
func (s *snapshotStore) open(info snapshot.Info) (*raft.SnapshotMeta, *snapshot.Reader, error) {
	r, err := s.store.Open(info)
	if err != nil {
		return nil, nil, err
	}
	members, at, size, err := readPrelude(r)
	if err != nil {
		r.Close()
		if r.Err() != nil {
			err = r.Err()
		}
		return nil, nil, fmt.Errorf("cannot read members in snapshot of group %d at %d: %w", info.Group, info.Index, err)
	}
	return &raft.SnapshotMeta{Version: raft.SnapshotVersionMax, ID: snapshotID(info.Term, info.Index), Index: info.Index, Term: info.Term,
		Configuration: members, ConfigurationIndex: at, Size: r.Length() - int64(size)}, r, nil
}

// sink is a snapshot that is being written.
type sink struct {
	store     *snapshotStore
	w         *snapshot.Writer
	id        string
	index     uint64
	term      uint64
	start     time.Time
	members   raft.Configuration
	membersAt uint64
	ended     bool
}

func (k *sink) ID() string { return k.id }

func (k *sink) Write(p []byte) (int, error) {
	n, err := k.w.Write(p)
	return n, k.store.failed(err)
}

// Close makes the snapshot durable.
func (k *sink) Close() error {
	if k.ended {
		return nil
	}
	size := k.w.Size()
	err := k.store.g.host.log.Sync() // I8
	if err == nil {
		err = k.w.Commit()
	} else {
		k.w.Abort()
	}
	if err == nil {
		k.store.g.membersAre(k.members, k.membersAt)
		k.store.taken(k.index, k.term)
		k.store.g.persisted(k.index, size, time.Since(k.start))
	}
	k.end()
	return k.store.failed(err)
}

// Cancel gives the snapshot up. After Close it does nothing.
func (k *sink) Cancel() error {
	if !k.ended {
		k.w.Abort()
		k.end()
	}
	return nil
}

func (k *sink) end() {
	k.ended = true
	k.store.writing.Unlock()
}

func snapshotID(term, index uint64) string {
	return strconv.FormatUint(term, 10) + "-" + strconv.FormatUint(index, 10)
}

func parseSnapshotID(id string) (term, index uint64, err error) {
	a, b, _ := strings.Cut(id, "-")
	term, err = strconv.ParseUint(a, 10, 64)
	if err == nil {
		index, err = strconv.ParseUint(b, 10, 64)
	}
	if err != nil {
		return 0, 0, fmt.Errorf("%q is not the name of a snapshot", id)
	}
	return term, index, nil
}

func appendPrelude(dst []byte, members raft.Configuration, at uint64) []byte {
	b := raft.EncodeConfiguration(members)
	dst = append(dst, preludeMagic...)
	dst = binary.LittleEndian.AppendUint32(dst, preludeVersion)
	dst = binary.LittleEndian.AppendUint32(dst, uint32(len(b)))
	dst = binary.LittleEndian.AppendUint64(dst, at)
	return append(dst, b...)
}

var errPrelude = errors.New("it does not begin with the members of the group")

// readPrelude reads the members from the beginning of a snapshot, whose checksums the reader checks. size is how many bytes it read.
func readPrelude(r io.Reader) (members raft.Configuration, at uint64, size int, err error) {
	head := make([]byte, preludeHead)
	if _, err := io.ReadFull(r, head); err != nil {
		return members, 0, 0, err
	}
	if string(head[:8]) != preludeMagic {
		return members, 0, 0, errPrelude
	}
	if v := binary.LittleEndian.Uint32(head[8:]); v != preludeVersion {
		return members, 0, 0, fmt.Errorf("list of members has format version %d, this program reads %d", v, preludeVersion)
	}
	n := binary.LittleEndian.Uint32(head[12:])
	if n > maxMembership {
		return members, 0, 0, fmt.Errorf("list of members has %d bytes", n)
	}
	b := make([]byte, n)
	if _, err := io.ReadFull(r, b); err != nil {
		return members, 0, 0, err
	}
	members, err = decodeMembers(b)
	return members, binary.LittleEndian.Uint64(head[16:]), preludeHead + int(n), err
}

// decodeMembers decodes a configuration. Raft's own function panics when it cannot.
func decodeMembers(b []byte) (c raft.Configuration, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("list of members is damaged: %v", r)
		}
	}()
	return raft.DecodeConfiguration(b), nil
}
