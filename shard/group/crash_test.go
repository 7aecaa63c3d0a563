package group

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync/atomic"
	"testing"

	"dashi/shard/wal"
	"dashi/shard/wal/vfs"
)

var errInjected = errors.New("injected")

// life runs two groups until the disk fails or all is done, and says what was promised.
type life struct {
	proposed, acked [2]uint64 // by group: the last number
	durable         [2]uint64 // the last of those that Durable said are
}

// run proposes 40 entries to each of two groups, with snapshots on the way.
func (f *life) run(t testing.TB, s Settings) (operationsFailed bool) {
	h, err := OpenHost(s)
	if err != nil {
		if !errors.Is(err, errInjected) {
			t.Fatal(err)
		}
		return true
	}
	var groups []*Group
	for id := range uint32(2) {
		g, err := h.Open(id, &chain{})
		if err != nil {
			if !errors.Is(err, errInjected) {
				t.Fatal(err)
			}
			_ = h.Close()
			return true
		}
		groups = append(groups, g)
	}
	var indexes [2][]uint64 // in the log, of the numbers: the group may log entries of its own
	var failed atomic.Bool
	for n := uint64(1); n <= 40 && !failed.Load(); n++ {
		for id, g := range groups {
			answer := make(chan error, 1)
			f.proposed[id] = n
			if err := g.Propose(entry(n, 60), func(index uint64, _ any, err error) {
				indexes[id] = append(indexes[id], index)
				answer <- err
			}); err != nil {
				answer <- err
			}
			if err := <-answer; err != nil {
				if !errors.Is(err, errInjected) || !errors.Is(err, wal.ErrFailed) || h.Err() == nil {
					t.Fatalf("done got %v, Err says %v", err, h.Err())
				}
				failed.Store(true)
				continue
			}
			f.acked[id] = n
			f.promised(g, id, indexes[id])
		}
	}
	if failed.Load() {
		for _, g := range groups { // nothing hangs, and everybody is told
			answer := make(chan error, 1)
			if err := g.Propose(entry(99, 60), func(_ uint64, _ any, err error) { answer <- err }); err != nil {
				answer <- err
			}
			if err := <-answer; !errors.Is(err, errInjected) {
				t.Fatalf("after the failure done got %v", err)
			}
		}
		if err := h.Close(); !errors.Is(err, errInjected) {
			t.Fatalf("Close gave %v", err)
		}
		return true
	}
	for id, g := range groups {
		f.promised(g, id, indexes[id])
	}
	err = h.Close()
	if err != nil && !errors.Is(err, errInjected) {
		t.Fatal(err)
	}
	return err != nil
}

// promised asks what is durable.
func (f *life) promised(g *Group, id int, indexes []uint64) {
	durable := g.Durable()
	for n, index := range indexes {
		if index > 0 && index <= durable {
			f.durable[id] = uint64(n) + 1
		}
	}
}

func crashSettings(fs vfs.FS, mode wal.Mode) Settings {
	s := settings(fs)
	s.Mode, s.SnapshotBytes = mode, 700
	return s
}

// TestCrashEverywhere lets the disk fail for good at every operation, then kills the process or cuts the power there.
func TestCrashEverywhere(t *testing.T) {
	stride := 1
	if testing.Short() {
		stride = 5
	}
	for _, mode := range []wal.Mode{wal.Replicated, wal.Fsync} {
		for n, done := 0, false; !done; n += stride {
			for _, power := range []bool{false, true} {
				what := fmt.Sprintf("mode %v, operation %d, power cut %v", mode, n, power)
				mem := vfs.NewMem()
				var f life
				done = !f.run(t, crashSettings(vfs.NewFaulty(mem, func(op vfs.Op) error {
					if op.N >= n {
						return errInjected
					}
					return nil
				}), mode))
				rng := rand.New(rand.NewPCG(uint64(n), 5))
				var h *Host
				for again := range 2 { // and once more after recovery
					if power {
						mem = mem.Crash(rng)
					} else {
						mem = mem.Kill()
					}
					if h != nil { // the process that was killed: its goroutines end
						_ = h.Close()
					}
					var err error
					if h, err = OpenHost(crashSettings(mem, mode)); err != nil {
						t.Fatalf("%s: %v", what, err)
					}
					for id := range uint32(2) {
						g, c := openGroup(t, h, id)
						if names, _ := mem.List(fmt.Sprintf("data/snapshots/%d", id)); strings.Contains(fmt.Sprint(names), ".tmp") {
							t.Fatalf("%s: left behind: %v", what, names)
						}
						f.survived(t, fmt.Sprintf("%s, time %d, group %d", what, again, id), g, c, int(id), mode, power)
						next := uint64(len(c.numbers)) + 1
						propose(t, g, next, next+2, 60)
						c.check(t, next+2)
						f.proposed[id], f.acked[id], f.durable[id] = next+2, next+2, next-1
					}
				}
				must(t, h.Close())
			}
		}
	}
}

// survived checks what a group came back with.
func (f *life) survived(t testing.TB, what string, g *Group, c *chain, id int, mode wal.Mode, power bool) {
	t.Helper()
	c.intact(t)
	got, from := uint64(len(c.numbers)), f.acked[id]
	if power && mode == wal.Replicated {
		from = f.durable[id]
	}
	if got < from || got > f.proposed[id] {
		t.Fatalf("%s: %d entries are back; %d were proposed, %d acknowledged, %d durable", what, got, f.proposed[id], f.acked[id], f.durable[id])
	}
	if g.Applied() < got {
		t.Fatalf("%s: applied %d, has %d", what, g.Applied(), got)
	}
}

// TestDiskFailsOnce: one operation fails, the others work.
func TestDiskFailsOnce(t *testing.T) {
	stride := 1
	if testing.Short() {
		stride = 7
	}
	for n, past := 0, false; !past; n += stride {
		mem := vfs.NewMem()
		past = true
		var f life
		var broken atomic.Bool
		f.run(t, crashSettings(vfs.NewFaulty(mem, func(op vfs.Op) error {
			if op.N == n {
				broken.Store(true)
				return errInjected
			}
			return nil
		}), wal.Replicated))
		past = !broken.Load()
		h := openHost(t, crashSettings(mem.Kill(), wal.Replicated))
		for id := range uint32(2) {
			g, c := openGroup(t, h, id)
			f.survived(t, fmt.Sprintf("operation %d, group %d", n, id), g, c, int(id), wal.Replicated, false)
		}
		must(t, h.Close())
	}
}

// TestSnapshotSyncsLog is I8.
func TestSnapshotSyncsLog(t *testing.T) {
	h := openHost(t, settings(vfs.NewMem()))
	defer h.Close()
	told, _ := openGroup(t, h, 0)
	teller, _ := openGroup(t, h, 1)
	for n := uint64(1); n <= 20; n++ {
		var said uint64
		for _, g := range []*Group{teller, told} {
			done := make(chan uint64, 1)
			must(t, g.Propose(entry(n, 60), func(index uint64, _ any, err error) {
				if err != nil {
					t.Error(err)
				}
				done <- index
			}))
			if index := <-done; g == teller {
				said = index
			}
		}
		must(t, told.Snapshot())
		if got := h.log.SyncedIndex(teller.ID()); got < said {
			t.Fatalf("entry %d is synced up to %d only, and there is a snapshot that has heard of it", said, got)
		}
	}
}
