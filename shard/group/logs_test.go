package group

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"testing"

	"dashi/shard/snapshot"
	"dashi/shard/wal"
	"dashi/shard/wal/vfs"

	"github.com/hashicorp/raft"
)

// stores are Raft's stores of group 1 on a log of their own.
type stores struct {
	*logStore
	mem  *vfs.Mem
	host *Host
}

func newStores(t testing.TB, mem *vfs.Mem) *stores {
	t.Helper()
	h := openHost(t, settings(mem))
	g := &Group{id: 1, host: h, logger: newLogger(h.settings.Log, 1)}
	g.snapshots = &snapshotStore{g: g, store: h.snapshots}
	return &stores{&logStore{id: 1, log: h.log, own: g.snapshots}, mem, h}
}

func (s *stores) reopen(t testing.TB) *stores {
	t.Helper()
	mem := s.mem.Kill()
	_ = s.host.Close()
	return newStores(t, mem)
}

func entries(first, last, term uint64) (list []*raft.Log) {
	for i := first; i <= last; i++ {
		list = append(list, &raft.Log{Index: i, Term: term, Data: fmt.Append(nil, "entry ", i, " of ", term)})
	}
	return list
}

// has says that the store has exactly these entries; last < first for none.
func (s *stores) has(t testing.TB, first, last, term uint64) {
	t.Helper()
	f, err := s.FirstIndex()
	must(t, err)
	l, err := s.LastIndex()
	must(t, err)
	if first > last {
		first, last = 0, 0
	}
	if f != first || l != last {
		t.Fatalf("has %d to %d, want %d to %d", f, l, first, last)
	}
	var got raft.Log
	for _, index := range []uint64{first - 1, last + 1} {
		if err := s.GetLog(index, &got); index > 0 && err != raft.ErrLogNotFound { // Raft compares
			t.Fatalf("entry %d: %v", index, err)
		}
	}
	for i := first; i > 0 && i <= last; i++ {
		must(t, s.GetLog(i, &got))
		want := entries(i, i, term)[0]
		if got.Index != i || got.Term != term || got.Type != want.Type || !bytes.Equal(got.Data, want.Data) {
			t.Fatalf("entry %d is %+v", i, got)
		}
	}
}

// TestLogStore: what Raft asks of its log, each step also after a crash.
func TestLogStore(t *testing.T) {
	s := newStores(t, vfs.NewMem())
	step := func(first, last, term uint64) {
		t.Helper()
		s.has(t, first, last, term)
		s = s.reopen(t)
		s.own.last, s.own.previous = 20, 0
		s.has(t, first, last, term)
	}
	step(1, 0, 0)
	must(t, s.StoreLogs(entries(1, 30, 1)))
	step(1, 30, 1)
	must(t, s.DeleteRange(25, 30)) // another leader's follow
	must(t, s.StoreLog(entries(25, 25, 1)[0]))
	step(1, 25, 1)
	must(t, s.DeleteRange(1, 20)) // a compaction, but there is only one snapshot
	step(1, 25, 1)
	s.own.g.alone.Store(true)
	s.own.previous = 10
	must(t, s.DeleteRange(1, 20)) // two
	step(11, 25, 1)
	if err := s.StoreLogs(entries(20, 21, 2)); !errors.Is(err, wal.ErrGap) { // Raft cuts off first
		t.Fatal(err)
	}
	if err := s.DeleteRange(21, 22); err == nil { // a hole
		t.Fatal("made a hole")
	}
	must(t, s.StoreLogs(entries(101, 105, 3))) // behind a snapshot at 100
	step(101, 105, 3)
	must(t, s.DeleteRange(101, 105)) // none of it was committed
	step(1, 0, 0)
	must(t, s.StoreLogs(entries(101, 103, 4)))
	step(101, 103, 4)
	must(t, s.DeleteRange(1, 50))
	must(t, s.DeleteRange(200, 300))
	must(t, s.StoreLogs(nil))
	step(101, 103, 4)
	must(t, s.host.Close())
}

// TestMargin: a group with several members keeps what a follower needs to find the place where the logs agree.
func TestMargin(t *testing.T) {
	s := newStores(t, vfs.NewMem())
	must(t, s.StoreLogs(entries(1, 3*margin, 1)))
	s.own.taken(2*margin, 1)
	s.own.taken(3*margin-10, 1)
	must(t, s.DeleteRange(1, 3*margin-10))
	s.has(t, 2*margin-10+1, 3*margin, 1) // nearer than the snapshot before
	s.own.g.alone.Store(true)
	must(t, s.DeleteRange(1, 3*margin-10))
	s.has(t, 2*margin+1, 3*margin, 1)
	must(t, s.host.Close())
}

// TestStableStore: terms and votes.
func TestStableStore(t *testing.T) {
	s := newStores(t, vfs.NewMem())
	for _, key := range []string{keyTerm, keyVoteTerm, keyVoteCandidate} {
		if _, err := s.GetUint64([]byte(key)); err == nil || err.Error() != "not found" { // Raft compares the text
			t.Fatal(err)
		}
		if _, err := s.Get([]byte(key)); err == nil || err.Error() != "not found" {
			t.Fatal(err)
		}
	}
	vote := func(term uint64, candidate string) {
		must(t, s.SetUint64([]byte(keyVoteTerm), term))
		must(t, s.Set([]byte(keyVoteCandidate), []byte(candidate)))
	}
	is := func(term, voteTerm uint64, candidate string) {
		t.Helper()
		got, err := s.GetUint64([]byte(keyTerm))
		must(t, err)
		voted, err := s.GetUint64([]byte(keyVoteTerm))
		must(t, err)
		votedFor, err := s.Get([]byte(keyVoteCandidate))
		must(t, err)
		if got != term || voted != voteTerm || string(votedFor) != candidate {
			t.Fatalf("term %d, vote in %d for %s", got, voted, votedFor)
		}
	}
	must(t, s.SetUint64([]byte(keyTerm), 5))
	vote(5, "a/1")
	s = s.reopen(t)
	is(5, 5, "a/1")
	syncs := s.host.Stats().Log.Syncs
	must(t, s.SetUint64([]byte(keyTerm), 5))
	if n := s.host.Stats().Log.Syncs - syncs; n != 0 {
		t.Fatalf("the same term was written again: %d syncs", n)
	}
	must(t, s.SetUint64([]byte(keyTerm), 6))
	must(t, s.SetUint64([]byte(keyVoteTerm), 6)) // and a crash before the candidate: as if nobody was given the vote
	s = s.reopen(t)
	is(6, 5, "a/1")
	vote(6, "b/2")
	s = s.reopen(t)
	is(6, 6, "b/2")
	must(t, s.host.Close())
}

// TestStagedCommit: what Raft stages is there after a crash, and never beyond an entry that carries it.
func TestStagedCommit(t *testing.T) {
	s := newStores(t, vfs.NewMem())
	must(t, s.StageCommitIndex(7))
	must(t, s.StoreLogs(entries(1, 3, 1)))
	if c := s.log.Commit(1); c != 3 {
		t.Fatal(c)
	}
	must(t, s.StoreLogs(entries(4, 20, 1)))
	s = s.reopen(t)
	if c := s.log.Commit(1); c != 7 {
		t.Fatal(c)
	}
	must(t, s.host.Close())
}

// TestSnapshotStore: sizes, members and order, and a beginning that cannot be read.
func TestSnapshotStore(t *testing.T) {
	s := newStores(t, vfs.NewMem())
	members := raft.Configuration{Servers: []raft.Server{{ID: "a/1", Address: "a/1"}, {Suffrage: raft.Nonvoter, ID: "b/2", Address: "b/2"}}}
	rng := rand.New(rand.NewPCG(1, 2))
	for i, size := range []int{0, 1, snapshot.MaxBlock - 150, snapshot.MaxBlock, 3*snapshot.MaxBlock + 5} {
		b := make([]byte, size)
		for j := range b {
			b[j] = byte(rng.Uint32())
		}
		k, err := s.own.Create(1, uint64(10+i), 3, members, 2, nil)
		must(t, err)
		_, err = k.Write(b)
		must(t, err)
		must(t, k.Close())
		must(t, k.Cancel()) // Raft does, after some errors
		list, err := s.own.List()
		must(t, err)
		if len(list) == 0 || list[0].Index != uint64(10+i) || list[0].Term != 3 || list[0].Size != int64(size) || list[0].ConfigurationIndex != 2 ||
			len(list[0].Configuration.Servers) != 2 || list[0].Configuration.Servers[1] != members.Servers[1] {
			t.Fatalf("size %d: %+v", size, list[0])
		}
		meta, r, err := s.own.Open(list[0].ID)
		must(t, err)
		got, err := io.ReadAll(r)
		must(t, err)
		must(t, r.Close())
		if !bytes.Equal(got, b) || meta.Size != int64(size) {
			t.Fatalf("size %d: %d bytes are back", size, len(got))
		}
	}
	k, err := s.own.Create(1, 99, 3, members, 2, nil)
	must(t, err)
	must(t, k.Cancel())
	f, err := s.mem.Open(snapshotFile(t, s.host, 1, 0))
	must(t, err)
	_, err = f.WriteAt([]byte{0xff}, 50) // in the prelude
	must(t, err)
	list, err := s.own.List()
	must(t, err)
	if len(list) != 1 || list[0].Index != 13 {
		t.Fatalf("lists %+v", list)
	}
	for _, id := range []string{"", "3", "3-x", "3-9"} {
		if _, _, err := s.own.Open(id); err == nil {
			t.Fatalf("opened %q", id)
		}
	}
	must(t, s.host.Close())
}

// FuzzPrelude: a snapshot that does not begin as it should is an error.
func FuzzPrelude(f *testing.F) {
	f.Add(appendPrelude(nil, raft.Configuration{Servers: []raft.Server{{ID: "a/1", Address: "a/1"}}}, 7))
	f.Add([]byte(preludeMagic))
	f.Fuzz(func(t *testing.T, b []byte) {
		c, _, size, err := readPrelude(bytes.NewReader(b))
		if err == nil && (size > len(b) || len(c.Servers) > len(b)) {
			t.Fatalf("%d servers from %d of %d bytes", len(c.Servers), size, len(b))
		}
	})
}
