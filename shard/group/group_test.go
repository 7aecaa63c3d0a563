package group

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"dashi/shard/wal"
	"dashi/shard/wal/vfs"

	"github.com/hashicorp/raft"
)

// TestProposeBlocks: a slow state machine holds Propose back at Settings.Pending, and Close lets go.
func TestProposeBlocks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := settings(vfs.NewMem())
		s.Pending = 5
		h := openHost(t, s)
		gate := make(chan struct{})
		c := &chain{apply: func(uint64) { <-gate }}
		g, err := h.Open(1, c)
		must(t, err)
		var taken, refused atomic.Int64
		var results [2]atomic.Int64 // without and with error
		var wg sync.WaitGroup
		wg.Go(func() {
			for n := uint64(1); n <= 20; n++ {
				err := g.Propose(entry(n, 8), func(_ uint64, _ any, err error) {
					if err != nil {
						results[1].Add(1)
					} else {
						results[0].Add(1)
					}
				})
				switch {
				case err == nil:
					taken.Add(1)
				case errors.Is(err, ErrClosed):
					refused.Add(1)
				default:
					t.Error(err)
				}
			}
		})
		synctest.Wait()
		held := taken.Load()
		if held < 5 || held > 5+5 { // those that wait, and those that are in hand
			t.Fatalf("%d were taken", held)
		}
		if err := g.Offer(entry(1, 8), nil); !errors.Is(err, ErrFull) {
			t.Fatal(err)
		}
		gate <- struct{}{}
		synctest.Wait()
		wg.Go(func() {
			if err := h.Close(); err != nil {
				t.Error(err)
			}
		})
		synctest.Wait()
		close(gate)
		wg.Wait()
		if refused.Load() == 0 || taken.Load()+refused.Load() != 20 || results[0].Load() != taken.Load() || results[1].Load() != 0 {
			t.Fatalf("%d taken, %d refused, %d done, %d failed", taken.Load(), refused.Load(), results[0].Load(), results[1].Load())
		}
		c.check(t, uint64(taken.Load())) // Close has drained
		if err := g.Propose(entry(1, 8), nil); !errors.Is(err, ErrClosed) {
			t.Fatal(err)
		}
		if err := g.Snapshot(); !errors.Is(err, ErrClosed) {
			t.Fatal(err)
		}
		if _, err := h.Open(2, &chain{}); !errors.Is(err, ErrClosed) {
			t.Fatal(err)
		}
		must(t, h.Close())
		h = openHost(t, s)
		_, c = openGroup(t, h, 1)
		c.check(t, uint64(taken.Load()))
		if h.Stats().Replayed != 0 {
			t.Fatal("Close took no snapshot")
		}
		must(t, h.Close())
	})
}

// TestSnapshotWhileApplying: a snapshot by bytes is written while the group goes on, by one group at a time, and Close
// waits for the one in flight.
func TestSnapshotWhileApplying(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := settings(vfs.NewMem())
		s.SnapshotBytes, s.segmentSize = 1000, 64<<10
		h := openHost(t, s)
		var persisting, most atomic.Int64
		gate := make(chan struct{})
		persist := func() {
			if n := persisting.Add(1); n > most.Load() {
				most.Store(n)
			}
			<-gate
			persisting.Add(-1)
		}
		a, b := &chain{persist: persist}, &chain{persist: persist}
		ga, err := h.Open(1, a)
		must(t, err)
		gb, err := h.Open(2, b)
		must(t, err)
		propose(t, ga, 1, 30, 100)
		propose(t, gb, 1, 30, 100)
		propose(t, ga, 31, 60, 100)
		synctest.Wait()
		if persisting.Load() != 1 || len(snapshots(t, h, 1)) != 0 {
			t.Fatalf("%d are persisting", persisting.Load())
		}
		if first, _ := h.log.Bounds(1); first != 1 {
			t.Fatal("log was deleted before the snapshot was durable")
		}
		gate <- struct{}{}
		synctest.Wait()
		if len(snapshots(t, h, 1)) != 1 {
			t.Fatal("no snapshot")
		}
		propose(t, gb, 31, 31, 100) // asks again
		synctest.Wait()
		if persisting.Load() != 1 {
			t.Fatalf("%d are persisting", persisting.Load())
		}
		go func() { // others that want one meanwhile
			if err := ga.Snapshot(); !errors.Is(err, ErrClosed) { // its turn does not come any more
				t.Error(err)
			}
		}()
		synctest.Wait()
		closed := make(chan error)
		go func() { closed <- h.Close() }()
		synctest.Wait()
		select {
		case err := <-closed:
			t.Fatalf("Close did not wait for the snapshot in flight: %v", err)
		default:
		}
		close(gate)
		must(t, <-closed)
		if most.Load() != 1 {
			t.Fatalf("%d snapshots at once", most.Load())
		}
		a.check(t, 60)
		b.check(t, 31)
		h = openHost(t, s)
		_, a = openGroup(t, h, 1)
		_, b = openGroup(t, h, 2)
		a.check(t, 60)
		b.check(t, 31)
		must(t, h.Close())
	})
}

// TestSnapshotsGoOn: with small snapshots all the time, memory of the log and of the disk stay bounded, and every frozen
// state is released.
func TestSnapshotsGoOn(t *testing.T) {
	mem := vfs.NewMem()
	s := settings(mem)
	s.SnapshotBytes = 2000
	h := openHost(t, s)
	g, c := openGroup(t, h, 1)
	for n := uint64(1); n <= 2000; n += 100 {
		propose(t, g, n, n+99, 100)
		if n%500 == 1 {
			must(t, g.Snapshot())
		}
	}
	must(t, g.Snapshot())
	must(t, g.Snapshot()) // nothing new: no third
	if list := snapshots(t, h, 1); len(list) != 2 || list[0] < 2000 {
		t.Fatalf("snapshots %v", list)
	}
	list := snapshots(t, h, 1)
	if first, last := h.log.Bounds(1); first != list[1]+1 || last != list[0] {
		t.Fatalf("log has %d to %d, snapshots are %v", first, last, list)
	}
	must(t, h.Close())
	st := h.Stats()
	if c.released < int(st.Snapshots) || st.Snapshots < 4 || st.SnapshotFailures > 0 {
		t.Fatalf("%d released, %+v", c.released, st)
	}
}

// TestCorruptSnapshot: the newest snapshot is unreadable: the one before and the log give the same state (I4), and again
// after that, because the unreadable one does not take the place of a good one.
func TestCorruptSnapshot(t *testing.T) {
	mem := vfs.NewMem()
	s := settings(mem)
	h := openHost(t, s)
	g, _ := openGroup(t, h, 1)
	last := uint64(0)
	for range 3 {
		propose(t, g, last+1, last+50, 50)
		last += 50
		must(t, g.Snapshot())
	}
	propose(t, g, last+1, last+5, 50)
	last += 5
	for round := range 4 {
		newest := snapshotFile(t, h, 1, 0)
		mem = mem.Kill()
		_ = h.Close()
		s.FS = mem
		damage(t, mem, newest)
		h = openHost(t, s)
		var c *chain
		g, c = openGroup(t, h, 1)
		c.check(t, last)
		if h.Stats().SnapshotsCorrupt != 1 {
			t.Fatalf("round %d: %+v", round, h.Stats())
		}
		propose(t, g, last+1, last+7, 50)
		last += 7
		must(t, g.Snapshot())
		if round == 2 { // once with nothing in between
			must(t, h.Close())
			h = openHost(t, s)
			_, c = openGroup(t, h, 1)
			c.check(t, last)
		}
	}
	must(t, h.Close())
}

// TestOnlySnapshotCorrupt: the log reaches back to the beginning, and the state machine must not have been touched.
func TestOnlySnapshotCorrupt(t *testing.T) {
	mem := vfs.NewMem()
	s := settings(mem)
	h := openHost(t, s)
	g, _ := openGroup(t, h, 1)
	propose(t, g, 1, 20, 50)
	must(t, g.Snapshot())
	must(t, h.Close())
	f, err := mem.Open(snapshotFile(t, h, 1, 0))
	must(t, err)
	size, err := f.Size()
	must(t, err)
	_, err = f.WriteAt([]byte{0xff}, size-1) // the very end: everything before is good
	must(t, err)
	h = openHost(t, s)
	_, c := openGroup(t, h, 1)
	c.check(t, 20)
	must(t, h.Close())

	mem2 := vfs.NewMem() // without the log there is no way
	s.FS = mem2
	h = openHost(t, s)
	g, _ = openGroup(t, h, 1)
	for i := range uint64(3) {
		propose(t, g, 10*i+1, 10*i+10, 50)
		must(t, g.Snapshot())
	}
	damage(t, mem2, snapshotFile(t, h, 1, 0))
	damage(t, mem2, snapshotFile(t, h, 1, 1))
	must(t, h.Close())
	h = openHost(t, s)
	if _, err := h.Open(1, &chain{}); err == nil || !strings.Contains(err.Error(), "log begins at") || !strings.Contains(err.Error(), "corrupt") {
		t.Fatalf("opened: %v", err)
	}
	if len(snapshots(t, h, 1)) != 2 {
		t.Fatal("snapshots were removed although nothing replaces them")
	}
	must(t, h.Close())
}

// TestHardlyUsed: a group with one entry now and then does not hold back the log of the others.
func TestHardlyUsed(t *testing.T) {
	mem := vfs.NewMem()
	s := settings(mem)
	s.SnapshotBytes, s.segmentSize = 4<<10, 8<<10
	h := openHost(t, s)
	quiet, qc := openGroup(t, h, 1)
	busy, bc := openGroup(t, h, 2)
	propose(t, quiet, 1, 3, 50)
	most := 0
	for n := uint64(1); n < 4000; n += 50 {
		propose(t, busy, n, n+49, 400)
		if n == 2001 {
			propose(t, quiet, 4, 4, 50)
		}
		must(t, busy.Snapshot())
		must(t, h.log.Sync())
		most = max(most, h.Stats().Log.Segments)
	}
	share := quiet.limit.Load() + busy.limit.Load()
	if int64(most)*s.segmentSize >= 8*share || 4000*400 < 16*share {
		t.Fatalf("the log grew to %d segments, a share is %d bytes: %+v", most, share, h.Stats().Log)
	}
	must(t, h.Close())
	// What the group has logged only to move on is not for the state machine when it comes back from the snapshot before.
	damage(t, mem, snapshotFile(t, h, 1, 0))
	h = openHost(t, s)
	_, last := h.log.Bounds(1)
	if r, _, err := h.log.Read(1, last, nil); err != nil || raft.LogType(r.Type) != raft.LogBarrier && raft.LogType(r.Type) != raft.LogNoop {
		t.Fatalf("the last entry is %+v, %v", r, err)
	}
	quiet, qc2 := openGroup(t, h, 1)
	_, bc2 := openGroup(t, h, 2)
	qc2.check(t, 4)
	bc2.check(t, 4000)
	qc.check(t, 4)
	bc.check(t, 4000)
	propose(t, quiet, 5, 6, 50)
	qc2.check(t, 6)
	must(t, h.Close())
}

func TestLargestEntryAndSecondOpen(t *testing.T) {
	h := openHost(t, settings(vfs.NewMem()))
	g, c := openGroup(t, h, 1)
	if err := g.Propose(make([]byte, 4<<10), nil); !errors.Is(err, ErrTooLarge) {
		t.Fatal(err)
	}
	propose(t, g, 1, 3, h.log.MaxData())
	c.check(t, 3)
	if _, err := h.Open(1, &chain{}); err == nil || !strings.Contains(err.Error(), "open already") {
		t.Fatal(err)
	}
	if g.ID() != 1 {
		t.Fatal(g.ID())
	}
	if term, here := g.Leader(); term == 0 || !here {
		t.Fatal("does not lead")
	}
	if clean, why := h.Cleanness(); clean != wal.Clean || why != "new directory" {
		t.Fatalf("%v: %s", clean, why)
	}
	must(t, h.Close())
	must(t, h.Close())
}

// TestDoneProposes: what follows from an entry may be proposed from a goroutine that done starts, however full the group is.
func TestDoneProposes(t *testing.T) {
	s := settings(vfs.NewMem())
	s.Pending = 2
	h := openHost(t, s)
	var groups []*Group
	for id := range uint32(2) {
		g, _ := openGroup(t, h, id)
		groups = append(groups, g)
	}
	const starts, depth = 50, 20
	var done sync.WaitGroup
	done.Add(starts * (depth + 1))
	var next [2]atomic.Uint64
	var follow func(id, depth int)
	follow = func(id, depth int) {
		err := groups[id].Propose(entry(next[id].Add(1), 30), func(_ uint64, _ any, err error) {
			if err != nil {
				t.Error(err)
			}
			if depth > 0 {
				go follow(1-id, depth-1)
			}
			done.Done()
		})
		if err != nil {
			t.Error(err)
		}
	}
	for range starts {
		go follow(0, depth)
	}
	done.Wait()
	must(t, h.Close())
}

// TestCloseAmongEverything: proposals, snapshots and Close at once end, every done is called once.
func TestCloseAmongEverything(t *testing.T) {
	for range 30 {
		s := settings(vfs.NewMem())
		s.SnapshotBytes, s.Pending = 500, 3
		h := openHost(t, s)
		var taken, done atomic.Int64
		var wg sync.WaitGroup
		started := make(chan struct{}, 3)
		for id := range uint32(3) {
			g, _ := openGroup(t, h, id)
			wg.Go(func() {
				for n := uint64(1); ; n++ {
					err := g.Propose(entry(n, 60), func(_ uint64, _ any, err error) {
						if err != nil {
							t.Error(err)
						}
						done.Add(1)
					})
					if errors.Is(err, ErrClosed) {
						return
					}
					taken.Add(1)
					if n == 5 {
						started <- struct{}{}
					}
				}
			})
			wg.Go(func() {
				for {
					if err := g.Snapshot(); err != nil {
						if !errors.Is(err, ErrClosed) {
							t.Error(err)
						}
						return
					}
				}
			})
		}
		for range 3 {
			<-started
		}
		for range 2 {
			wg.Go(func() {
				if err := h.Close(); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if taken.Load() != done.Load() {
			t.Fatalf("%d taken, %d done", taken.Load(), done.Load())
		}
	}
}

// TestBarrier: it returns when everything before it is applied, and not before; it needs no room and logs nothing.
func TestBarrier(t *testing.T) {
	for _, mode := range []wal.Mode{wal.Replicated, wal.Fsync} {
		synctest.Test(t, func(t *testing.T) {
			s := settings(vfs.NewMem())
			s.Mode, s.Pending = mode, 3
			h := openHost(t, s)
			gate := make(chan struct{})
			c := &chain{apply: func(uint64) { <-gate }}
			g, err := h.Open(1, c)
			must(t, err)
			done := func(uint64, any, error) {}
			must(t, g.Propose(entry(1, 8), done))
			synctest.Wait() // in hand
			must(t, g.Propose(entry(2, 8), done))
			must(t, g.Propose(entry(3, 8), done)) // full
			passed := make(chan error, 1)
			go func() { passed <- g.Barrier(t.Context()) }()
			ctx, cancel := context.WithCancel(t.Context())
			gaveUp := make(chan error, 1)
			go func() { gaveUp <- g.Barrier(ctx) }()
			synctest.Wait()
			cancel()
			if err := <-gaveUp; !errors.Is(err, context.Canceled) {
				t.Fatal(err)
			}
			for range 2 {
				gate <- struct{}{}
				synctest.Wait()
			}
			if len(passed) > 0 {
				t.Fatal("returned while an entry waited")
			}
			gate <- struct{}{}
			must(t, <-passed)
			c.check(t, 3)
			records, applied := h.Stats().Log.Records, g.Applied()
			must(t, g.Barrier(t.Context())) // with nothing to wait for
			if g.Applied() != applied || h.Stats().Log.Records != records {
				t.Fatal("a barrier was logged")
			}
			must(t, h.Close())
			if err := g.Barrier(t.Context()); !errors.Is(err, ErrClosed) {
				t.Fatal(err)
			}
		})
	}
}

// TestPendingBytes: large entries wait for room by their size, and one always fits.
func TestPendingBytes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := settings(vfs.NewMem())
		s.PendingBytes, s.segmentSize = 1008, 64<<10
		h := openHost(t, s)
		gate := make(chan struct{})
		g, err := h.Open(1, &chain{apply: func(uint64) { <-gate }})
		must(t, err)
		var taken atomic.Int64
		done := func(uint64, any, error) {}
		must(t, g.Propose(entry(1, 8), done))
		synctest.Wait()                      // it is in hand
		sizes := []int{600, 400, 8, 5000, 8} // full with the one in hand; no room; more than there ever is; none beside it
		go func() {
			for i, size := range sizes {
				if err := g.Propose(entry(uint64(i)+2, size), done); err != nil {
					t.Error(err)
				}
				taken.Add(1)
			}
		}()
		f := func(want int64) {
			t.Helper()
			synctest.Wait()
			if taken.Load() != want {
				t.Fatalf("%d entries were taken, want %d", taken.Load(), want)
			}
		}
		f(2)
		gate <- struct{}{}
		f(3)
		for range 3 {
			gate <- struct{}{}
		}
		f(4)
		gate <- struct{}{}
		f(5)
		close(gate)
		must(t, h.Close())
	})
}

// TestSnapshotOnDemand: who asks waits, the group does not, neither for its turn nor for the disk.
func TestSnapshotOnDemand(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := openHost(t, settings(vfs.NewMem()))
		gate := make(chan struct{})
		var chains [2]*chain
		var groups [2]*Group
		answers := make(chan error, 2)
		for i := range groups {
			chains[i] = &chain{persist: func() { <-gate }}
			var err error
			groups[i], err = h.Open(uint32(i), chains[i])
			must(t, err)
			propose(t, groups[i], 1, 3, 20)
			go func() { answers <- groups[i].Snapshot() }()
			synctest.Wait()
		}
		for i, g := range groups { // one persists, one waits for its turn
			propose(t, g, 4, 6, 20)
			chains[i].check(t, 6)
		}
		if len(answers) != 0 {
			t.Fatal("answered before it was durable")
		}
		close(gate)
		must(t, <-answers)
		must(t, <-answers)
		if a, b := snapshots(t, h, 0), snapshots(t, h, 1); len(a) != 1 || len(b) != 1 {
			t.Fatalf("snapshots: %v, %v", a, b)
		}
		chains[0].fails = errInjected
		propose(t, groups[0], 7, 7, 20)
		if err := groups[0].Snapshot(); !errors.Is(err, errInjected) {
			t.Fatal(err)
		}
		chains[0].fails = nil
		must(t, groups[0].Snapshot()) // the turn was given back
		must(t, h.Close())
	})
}

// TestFailingSnapshot: that snapshots of a group fail is told for as long as they do, and no longer.
func TestFailingSnapshot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := settings(vfs.NewMem())
		s.SnapshotBytes = 1000
		h := openHost(t, s)
		g, c := openGroup(t, h, 3)
		other, _ := openGroup(t, h, 4)
		failing := func(want ...uint32) {
			t.Helper()
			synctest.Wait()
			if got := h.Stats().SnapshotsFailing; !slices.Equal(got, want) {
				t.Fatalf("failing: %d, want %d", got, want)
			}
		}
		failing()
		c.fails = errInjected
		propose(t, g, 1, 30, 100)
		propose(t, other, 1, 30, 100)
		failing(3)
		synctest.Wait()
		c.fails = nil
		propose(t, g, 31, 60, 100)
		failing()
		if h.Stats().SnapshotFailures == 0 {
			t.Fatal("it never failed")
		}
		must(t, h.Close())
	})
}
