package wal

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"testing"

	"dashi/shard/wal/vfs"
)

var errInjected = errors.New("injected")

// failing makes operations fail from the n-th on, or only the n-th.
func failing(fs vfs.FS, n int, once bool) (*vfs.Faulty, *atomic.Int64) {
	count := new(atomic.Int64)
	return vfs.NewFaulty(fs, func(op vfs.Op) error {
		count.Store(int64(op.N) + 1)
		if op.N == n || op.N > n && !once {
			return errInjected
		}
		return nil
	}), count
}

// end cuts the power or kills the process.
func end(mem *vfs.Mem, power bool, rng *rand.Rand) *vfs.Mem {
	if power {
		return mem.Crash(rng)
	}
	return mem.Kill()
}

// run opens a log and does operations until one fails or all are done.
func run(t testing.TB, fs vfs.FS, mode Mode, seed uint64, operations int) *driver {
	l, err := openInline(fs, mode)
	if err != nil {
		if !errors.Is(err, errInjected) {
			t.Fatalf("seed %d: %v", seed, err)
		}
		return nil
	}
	d := newDriver(t, seed, l)
	for range operations {
		if err := d.do(); err != nil {
			if !errors.Is(err, errInjected) || !errors.Is(err, ErrFailed) {
				t.Fatalf("seed %d: %v", seed, err)
			}
			break
		}
	}
	return d
}

// recovered opens what a crash left, first with crashes at random operations of the recovery, and checks that what
// comes back was promised and stays.
func recovered(t testing.TB, d *driver, mem *vfs.Mem, mode Mode, power bool, rng *rand.Rand, what string) (*vfs.Mem, *Log) {
	t.Helper()
	from := d.acked
	if power {
		from = d.durable
	}
	for range 2 {
		faulty, _ := failing(mem, rng.IntN(20), false)
		if _, err := openInline(faulty, mode); err != nil && !errors.Is(err, errInjected) {
			t.Fatalf("%s: %v", what, err)
		}
		mem = end(mem, power, rng)
	}
	l, err := openInline(mem, mode)
	if err != nil {
		t.Fatalf("%s: %v", what, err)
	}
	at := d.match(l, from, what)
	for _, power := range []bool{false, true} { // nothing that was recovered may be lost any more
		mem = end(mem, power, rng)
		if l, err = openInline(mem, mode); err != nil {
			t.Fatalf("%s, opened again: %v", what, err)
		}
		if got := text(t, l); got != d.history[at] {
			t.Fatalf("%s: opened again it is\n%s\nand was\n%s", what, got, d.history[at])
		}
	}
	return mem, l
}

// TestCrashEverywhere stops a run at every disk operation, and cuts the power or kills the process there.
func TestCrashEverywhere(t *testing.T) {
	seeds, operations := uint64(2), 80
	if testing.Short() { // the race detector has nothing to find here
		seeds, operations = 1, 30
	}
	for _, mode := range []Mode{Replicated, Fsync} {
		for seed := range seeds {
			faulty, count := failing(vfs.NewMem(), -2, true)
			run(t, faulty, mode, seed, operations)
			for n := range int(count.Load()) + 1 {
				for _, power := range []bool{false, true} {
					what := fmt.Sprintf("mode %v, seed %d, operation %d, power cut %v", mode, seed, n, power)
					mem := vfs.NewMem()
					faulty, _ := failing(mem, n, false)
					rng := rand.New(rand.NewPCG(seed, uint64(n)))
					d := run(t, faulty, mode, seed, operations)
					if d == nil {
						d = newDriver(t, seed, nil)
					} else {
						d.settle()
					}
					recovered(t, d, end(mem, power, rng), mode, power, rng, what)
				}
			}
		}
	}
}

// TestCrashAgainAndAgain lets one log live through many crashes.
func TestCrashAgainAndAgain(t *testing.T) {
	seeds := uint64(60)
	if testing.Short() {
		seeds = 8
	}
	for seed := range seeds {
		rng := rand.New(rand.NewPCG(seed, 2))
		mode := Mode(seed % 2)
		mem := vfs.NewMem()
		l, err := openInline(mem, mode)
		must(t, err)
		d := newDriver(t, seed, l)
		for life := range 12 {
			for range rng.IntN(60) {
				must(t, d.do())
			}
			d.settle()
			power := rng.IntN(2) == 0
			mem, l = recovered(t, d, end(mem, power, rng), mode, power, rng, fmt.Sprintf("seed %d, life %d, power cut %v", seed, life, power))
			d.goOn(l, d.match(l, 0, "again"), learn(t, l))
		}
	}
}

// TestDiskFailsOnce makes every single operation fail, the others work. Either nobody notices, or the log takes
// nothing more; never is anything lost that was acknowledged (I6).
func TestDiskFailsOnce(t *testing.T) {
	for _, mode := range []Mode{Replicated, Fsync} {
		faulty, count := failing(vfs.NewMem(), -2, true)
		run(t, faulty, mode, 7, 60)
		for n := range int(count.Load()) {
			what := fmt.Sprintf("mode %v, operation %d", mode, n)
			mem := vfs.NewMem()
			faulty, _ := failing(mem, n, true)
			d := run(t, faulty, mode, 7, 60)
			if d == nil {
				d = newDriver(t, 7, nil)
			} else if failed := d.l.Err(); failed != nil {
				sticks(t, d.l, what)
				if err := d.l.Close(); !errors.Is(err, errInjected) {
					t.Fatalf("%s: Close gave %v", what, err)
				}
				if _, _, err := d.l.Read(1, 1, nil); !errors.Is(err, ErrClosed) {
					t.Fatalf("%s: Read after Close gave %v", what, err)
				}
			} else {
				d.settle()
				must(t, d.l.Close())
			}
			power := n%2 == 0
			rng := rand.New(rand.NewPCG(uint64(n), 3))
			recovered(t, d, end(mem, power, rng), mode, power, rng, what)
		}
	}
}

// sticks checks that a failed log takes nothing.
func sticks(t testing.TB, l *Log, what string) {
	t.Helper()
	select {
	case <-l.Failed():
	default:
		t.Fatalf("%s: Failed is not closed", what)
	}
	_, last := l.Bounds(5)
	for name, err := range map[string]error{
		"Append":         l.Append(5, []Record{{Index: last + 1}}),
		"Set":            l.Set(5, "term", nil),
		"Reset":          l.Reset(5, 9),
		"TruncateBefore": l.TruncateBefore(5, 1),
		"Drop":           l.Drop(5),
	} {
		if !errors.Is(err, ErrFailed) || !errors.Is(err, errInjected) {
			t.Fatalf("%s: %s on a failed log gave %v", what, name, err)
		}
	}
}

// TestStateOutlivesItsSegment: a segment without entries goes when the log moves on, but not before the state at
// the beginning of the next one is durable.
func TestStateOutlivesItsSegment(t *testing.T) {
	for seed := range uint64(40) {
		mem := vfs.NewMem()
		l, err := openInline(mem, Replicated)
		must(t, err)
		must(t, l.Set(1, "vote", []byte("ada")))
		for k := uint64(1); ; k++ {
			must(t, l.Append(1, []Record{record(1, k)}))
			if l.active().seq == 2 {
				break // the state of group 1 is written and not synced
			}
			must(t, l.TruncateBefore(1, k+1))
			must(t, l.Sync())
		}
		l, err = openInline(mem.Crash(rand.New(rand.NewPCG(seed, 4))), Replicated)
		must(t, err)
		if vote, _ := l.Get(1, "vote"); string(vote) != "ada" {
			t.Fatalf("seed %d: vote is %q", seed, vote)
		}
		if first, _ := l.Bounds(1); first == 1 {
			t.Fatalf("seed %d: begins at %d", seed, first)
		}
	}
}
