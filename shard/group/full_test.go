package group

import (
	"errors"
	"fmt"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"dashi/shard/wal/vfs"
)

// closeWait is how long a close may take that waits for nothing but what it has at hand.
const closeWait = 5 * time.Second

// withoutRoom is a disk that has no room for new files while full is true.
func withoutRoom(disk vfs.FS, full *atomic.Bool) vfs.FS {
	return vfs.NewFaulty(disk, func(op vfs.Op) error {
		if full.Load() && (op.Kind == vfs.OpTruncate || op.Kind == vfs.OpCreate) {
			return fmt.Errorf("cannot write: %w", syscall.ENOSPC)
		}
		return nil
	})
}

// TestCloseWhenFull: a host whose log waits for room is closed at once, and so is who waits for the room to propose; what was applied before is there
// when it is opened again. It used to wait until somebody made room.
func TestCloseWhenFull(t *testing.T) {
	mem := vfs.NewMem()
	var full atomic.Bool
	s := Settings{FS: withoutRoom(mem, &full), Dir: "shards", segmentSize: 64 << 10}
	h := openHost(t, s)
	g, _ := openGroup(t, h, 1)
	propose(t, g, 1, 10, 1000)
	var applied atomic.Uint64
	applied.Store(10)
	full.Store(true)
	refused := make(chan error, 1)
	go func() {
		for n := uint64(11); ; n++ {
			if err := g.Propose(entry(n, 1000), func(index uint64, _ any, err error) {
				if err == nil {
					applied.Store(n)
				}
			}); err != nil {
				refused <- err
				return
			}
		}
	}()
	eventually(t, "the log waits for room", func() bool { return h.log.Stats().Full })
	h.Closing()
	select { // a node waits for those who propose before it closes the host
	case err := <-refused:
		if !errors.Is(err, ErrClosed) && !errors.Is(err, ErrNotLeader) { // Raft may hear of it first
			t.Errorf("refused with %v", err)
		}
	case <-time.After(closeWait):
		t.Fatal("whoever proposes still waits for room")
	}
	closed := make(chan error, 1)
	go func() { closed <- h.Close() }()
	select {
	case err := <-closed:
		if !errors.Is(err, syscall.ENOSPC) { // of the mark that it was closed
			t.Error(err)
		}
	case <-time.After(closeWait):
		t.Fatal("the host still waits for room")
	}
	full.Store(false)
	h = openHost(t, s)
	g, c := openGroup(t, h, 1)
	propose(t, g, 1<<40, 1<<40, 10)
	have := c.numbers[:len(c.numbers)-1]
	if uint64(len(have)) < applied.Load() {
		t.Errorf("%d were applied before, %d are there", applied.Load(), len(have))
	}
	for i, n := range have {
		if n != uint64(i)+1 {
			t.Fatalf("entry %d is %d", i, n)
		}
	}
	must(t, h.Close())
}
