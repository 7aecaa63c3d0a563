package group

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"slices"
	"sync"
	"testing"

	"dashi/shard/wal"
	"dashi/shard/wal/vfs"

	"github.com/cespare/xxhash/v2"
	"go.uber.org/goleak"
)

// chain is a toy state machine: a hash chain over the entries and the list of them. Entries are 8 bytes of a number,
// and padding.
type chain struct {
	mu      sync.Mutex // only for tests that look while the group works
	hash    uint64
	index   uint64
	numbers []uint64

	apply    func(number uint64) // called within Apply, if not nil
	persist  func()              // called within Persist, if not nil
	released int
	fails    error // of Snapshot
}

func entry(number uint64, size int) []byte {
	b := binary.LittleEndian.AppendUint64(make([]byte, 0, max(size, 8)), number)
	return b[:cap(b)]
}

func link(hash, number uint64) uint64 {
	b := binary.LittleEndian.AppendUint64(nil, hash)
	return xxhash.Sum64(binary.LittleEndian.AppendUint64(b, number))
}

func (c *chain) Apply(index uint64, entry []byte) any {
	number := binary.LittleEndian.Uint64(entry)
	if c.apply != nil {
		c.apply(number)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if index <= c.index {
		panic(fmt.Sprintf("entry %d after %d", index, c.index))
	}
	c.index = index
	c.hash = link(c.hash, number)
	c.numbers = append(c.numbers, number)
	return c.hash
}

type frozen struct {
	c       *chain
	hash    uint64
	index   uint64
	numbers []uint64 // shared with the chain, which only appends
}

func (c *chain) Snapshot() (Snapshot, error) {
	return &frozen{c, c.hash, c.index, c.numbers}, c.fails
}

func (f *frozen) Persist(w io.Writer) error {
	if f.c.persist != nil {
		f.c.persist()
	}
	b := binary.LittleEndian.AppendUint64(nil, f.hash)
	b = binary.LittleEndian.AppendUint64(b, f.index)
	b = binary.LittleEndian.AppendUint64(b, uint64(len(f.numbers)))
	for _, n := range f.numbers {
		b = binary.LittleEndian.AppendUint64(b, n)
	}
	_, err := w.Write(b)
	return err
}

func (f *frozen) Release() {
	f.c.mu.Lock()
	f.c.released++
	f.c.mu.Unlock()
}

func (c *chain) Restore(r io.Reader) error {
	head := make([]byte, 24)
	if _, err := io.ReadFull(r, head); err != nil {
		return err
	}
	b := make([]byte, 8*binary.LittleEndian.Uint64(head[16:]))
	if _, err := io.ReadFull(r, b); err != nil { // and not up to the end of r
		return err
	}
	c.hash, c.index, c.numbers = binary.LittleEndian.Uint64(head), binary.LittleEndian.Uint64(head[8:]), nil
	for ; len(b) > 0; b = b[8:] {
		c.numbers = append(c.numbers, binary.LittleEndian.Uint64(b))
	}
	return nil
}

// check says that the chain has the numbers from 1 to last, each once and in order.
func (c *chain) check(t testing.TB, last uint64) {
	t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	if uint64(len(c.numbers)) != last {
		t.Fatalf("%d entries, want %d", len(c.numbers), last)
	}
	c.intact(t)
}

// intact says that the numbers are 1, 2, 3, ... and the hash is theirs.
func (c *chain) intact(t testing.TB) {
	t.Helper()
	hash := uint64(0)
	for i, n := range c.numbers {
		if n != uint64(i)+1 {
			t.Fatalf("entry %d is number %d", i+1, n)
		}
		hash = link(hash, n)
	}
	if hash != c.hash {
		t.Fatal("hash differs")
	}
}

func TestMain(m *testing.M) {
	child()
	goleak.VerifyTestMain(m)
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func settings(fs vfs.FS) Settings {
	return Settings{Dir: "data", FS: fs, SnapshotBytes: 1 << 20, segmentSize: 4 << 10}
}

func openHost(t testing.TB, s Settings) *Host {
	t.Helper()
	h, err := OpenHost(s)
	must(t, err)
	return h
}

func openGroup(t testing.TB, h *Host, id uint32) (*Group, *chain) {
	t.Helper()
	c := &chain{}
	g, err := h.Open(id, c)
	must(t, err)
	return g, c
}

// propose proposes the numbers from first to last and waits until they are applied.
func propose(t testing.TB, g *Group, first, last uint64, size int) {
	t.Helper()
	done := make(chan error, last-first+1)
	for n := first; n <= last; n++ {
		must(t, g.Propose(entry(n, size), func(_ uint64, _ any, err error) { done <- err }))
	}
	for range last - first + 1 {
		must(t, <-done)
	}
}

func snapshots(t testing.TB, h *Host, id uint32) (indexes []uint64) {
	t.Helper()
	list, err := h.snapshots.List(id)
	must(t, err)
	for _, info := range list {
		indexes = append(indexes, info.Index)
	}
	return indexes
}

// snapshotFile is the name of a group's newest snapshot, or of the one that many before it.
func snapshotFile(t testing.TB, h *Host, id uint32, before int) string {
	t.Helper()
	list, err := h.snapshots.List(id)
	must(t, err)
	return fmt.Sprintf("data/snapshots/%d/%d-%d.snap", id, list[before].Term, list[before].Index)
}

// damage changes a byte in the middle of a file.
func damage(t testing.TB, fs vfs.FS, name string) {
	t.Helper()
	f, err := fs.Open(name)
	must(t, err)
	size, err := f.Size()
	must(t, err)
	b := make([]byte, 1)
	_, err = f.ReadAt(b, size/2)
	must(t, err)
	b[0] ^= 0xff
	_, err = f.WriteAt(b, size/2)
	must(t, err)
	must(t, f.Close())
}

func TestDoneInOrderOfCalls(t *testing.T) {
	for _, mode := range []wal.Mode{wal.Replicated, wal.Fsync} {
		s := settings(vfs.NewMem())
		s.Mode, s.segmentSize, s.SnapshotBytes = mode, 64<<10, 8<<10
		h := openHost(t, s)
		const groups, proposers, entries = 4, 4, 200
		var wg sync.WaitGroup
		var chains []*chain
		for id := range uint32(groups) {
			g, c := openGroup(t, h, id)
			chains = append(chains, c)
			var mu sync.Mutex
			next, hash, seen, last := uint64(0), uint64(0), uint64(0), uint64(0)
			for range proposers {
				wg.Go(func() {
					for range entries {
						mu.Lock() // so that the order of the calls is known
						next++
						number := next
						err := g.Propose(entry(number, 100), func(index uint64, result any, err error) {
							after := index > last
							last = g.Applied() // an entry of Raft's own that follows counts as soon as it is passed on; one of ours does not before its turn
							seen++             // on the group's goroutine
							hash = link(hash, number)
							if err != nil || !after || index < number || seen != number || result != any(hash) || last < index {
								t.Errorf("group %d, entry %d: done with %d, %v, %v; applied %d", id, number, index, result, err, last)
							}
						})
						mu.Unlock()
						if err != nil {
							t.Error(err)
						}
					}
				})
			}
			defer func() {
				if seen != proposers*entries {
					t.Errorf("done was called %d times", seen)
				}
			}()
		}
		wg.Wait()
		must(t, h.Close())
		for _, c := range chains {
			c.check(t, proposers*entries)
		}
		h = openHost(t, s)
		for id := range uint32(groups) {
			g, c := openGroup(t, h, id)
			c.check(t, proposers*entries)
			if g.Applied() < proposers*entries || g.Durable() < proposers*entries {
				t.Fatalf("applied %d, durable %d", g.Applied(), g.Durable())
			}
		}
		if n := h.Stats().Replayed; n != 0 {
			t.Fatalf("%d entries replayed after an orderly close", n)
		}
		must(t, h.Close())
	}
}

func TestChainNoticesChanges(t *testing.T) { // the oracle is not blind
	c := &chain{}
	c.Apply(1, entry(1, 8))
	c.Apply(2, entry(2, 8))
	var b bytes.Buffer
	f, _ := c.Snapshot()
	must(t, f.Persist(&b))
	d := &chain{}
	must(t, d.Restore(&b))
	if d.hash != c.hash || !slices.Equal(d.numbers, c.numbers) || link(link(0, 2), 1) == c.hash {
		t.Fatal("the toy is broken")
	}
}
