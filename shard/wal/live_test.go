package wal

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"dashi/shard/wal/vfs"
)

// TestModes: an acknowledgement needs the write in either mode and the sync only in mode fsync, and whoever waits
// meanwhile shares the next sync.
func TestModes(t *testing.T) {
	for _, mode := range []Mode{Replicated, Fsync} {
		t.Run("mode="+mode.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				const groups = 20
				var syncs atomic.Int64
				var slow atomic.Bool
				gate := make(chan struct{})
				l := open(t, vfs.NewFaulty(vfs.NewMem(), func(op vfs.Op) error {
					if op.Kind == vfs.OpSync {
						syncs.Add(1)
						if slow.Load() {
							<-gate
						}
					}
					return nil
				}), Options{Mode: mode, SegmentSize: 1 << 20})
				must(t, l.Append(0, []Record{record(0, 1)}))
				slow.Store(true)
				before := syncs.Load()
				var acked atomic.Int64
				var wg sync.WaitGroup
				for g := uint32(1); g <= groups; g++ {
					wg.Go(func() {
						if err := l.Append(g, []Record{record(g, 1)}); err != nil {
							t.Error(err)
						}
						acked.Add(1)
					})
				}
				synctest.Wait()
				if mode == Replicated {
					if acked.Load() != groups {
						t.Fatalf("%d of %d acknowledged without a sync", acked.Load(), groups)
					}
					if l.SyncedIndex(5) != 0 {
						t.Fatal("claims to be synced")
					}
				} else if acked.Load() != 0 {
					t.Fatalf("%d acknowledged before the sync", acked.Load())
				}
				slow.Store(false)
				close(gate)
				wg.Wait()
				if n := syncs.Load() - before; mode == Fsync && n > 3 {
					t.Fatalf("%d syncs for %d appends at once", n, groups)
				}
				if mode == Replicated {
					<-time.After(l.opts.SyncInterval + time.Millisecond) // in the bubble's time
				}
				synctest.Wait()
				for g := uint32(1); g <= groups; g++ {
					if l.SyncedIndex(g) != 1 {
						t.Fatalf("group %d is synced to %d", g, l.SyncedIndex(g))
					}
				}
				closeLog(t, l)
			})
		})
	}
}

// TestStall: a disk that hangs is reported while it hangs, once, and Append waits without an error.
func TestStall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var hang atomic.Bool
		gate := make(chan struct{})
		var stalls []string
		l := open(t, vfs.NewFaulty(vfs.NewMem(), func(op vfs.Op) error {
			if op.Kind == vfs.OpWrite && hang.Load() {
				<-gate
			}
			return nil
		}), Options{OnStall: func(op string, d time.Duration) { stalls = append(stalls, op) }})
		must(t, l.Append(1, []Record{record(1, 1)}))
		hang.Store(true)
		done := make(chan error, 1)
		go func() { done <- l.Append(1, []Record{record(1, 2)}) }()
		<-time.After(10 * time.Second) // in the bubble's time
		synctest.Wait()
		if len(stalls) != 1 || stalls[0] != "write" || l.Stats().Stalls != 1 || l.Stalled() < 9*time.Second {
			t.Fatalf("stalls %v, stats %+v, for %v", stalls, l.Stats(), l.Stalled())
		}
		select {
		case err := <-done:
			t.Fatalf("Append returned %v", err)
		default:
		}
		close(gate)
		must(t, <-done)
		if l.Stalled() != 0 {
			t.Fatal("stalled although the disk answers")
		}
		closeLog(t, l)
	})
}

// TestManyAtOnce: appenders, readers, truncations and stable values from many goroutines, with small buffers and segments.
func TestManyAtOnce(t *testing.T) {
	for _, mode := range []Mode{Replicated, Fsync} {
		mem := vfs.NewMem()
		opts := Options{Mode: mode, SegmentSize: 16 << 10, MaxBuffer: 2 << 10, SyncInterval: time.Millisecond}
		l := open(t, mem, opts)
		const groups, entries = 16, 150
		var wg sync.WaitGroup
		for g := uint32(1); g <= groups; g++ {
			wg.Go(func() {
				rng := rand.New(rand.NewPCG(uint64(g), 0))
				for i := uint64(1); i <= entries; {
					n := min(1+rng.Uint64N(4), entries+1-i)
					var batch []Record
					for k := range n {
						batch = append(batch, record(g, i+k))
					}
					i += n
					if err := l.Append(g, batch); err != nil {
						t.Error(err)
						return
					}
					switch rng.IntN(10) {
					case 0:
						if err := l.TruncateBefore(g, i-min(i-1, 20)); err != nil {
							t.Error(err)
						}
					case 1:
						if err := l.Set(g, "term", []byte{byte(i)}); err != nil {
							t.Error(err)
						}
					}
				}
			})
			wg.Go(func() {
				var buf []byte
				for range 100 {
					first, last := l.Bounds(g)
					if last < first {
						runtime.Gosched()
						continue
					}
					r, b, err := l.Read(g, last, buf)
					buf = b
					if err != nil && !errors.Is(err, ErrNotFound) || err == nil && string(r.Data) != string(record(g, last).Data) {
						t.Errorf("group %d, entry %d: %v", g, last, err)
						return
					}
					l.SyncedIndex(g)
					l.Stats()
				}
			})
		}
		wg.Wait()
		want := text(t, l)
		closeLog(t, l)
		l = open(t, mem, opts)
		if got := text(t, l); got != want {
			t.Fatalf("opened again it is\n%s\nwas\n%s", got, want)
		}
		closeLog(t, l)
	}
}

// TestCrashAmongMany crashes while many append: every group has at least what was acknowledged, in order.
func TestCrashAmongMany(t *testing.T) {
	for seed := range uint64(40) {
		rng := rand.New(rand.NewPCG(seed, 9))
		mode, power := Mode(seed%2), seed%4 > 1
		mem := vfs.NewMem()
		once := seed%3 == 0
		faulty, _ := failing(mem, 20+rng.IntN(300), once)
		l, err := Open("wal", Options{FS: faulty, Mode: mode, SegmentSize: minSegment, MaxBuffer: 2 << 10, SyncInterval: time.Millisecond})
		must(t, err)
		const groups = 8
		var acked, synced [groups]uint64
		var wg sync.WaitGroup
		for g := range uint32(groups) {
			wg.Go(func() {
				for i := uint64(1); i <= 300; i++ {
					if err := l.Append(g, []Record{record(g, i)}); err != nil {
						if !errors.Is(err, ErrFailed) {
							t.Error(err)
						}
						return
					}
					acked[g], synced[g] = i, l.SyncedIndex(g)
				}
			})
		}
		wg.Wait()
		if l.Close() == nil && !once {
			t.Fatal("the disk was to fail")
		}
		mem = end(mem, power, rng)
		l, err = openInline(mem, mode)
		if err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		for g := range uint32(groups) {
			first, last := l.Bounds(g)
			atLeast := acked[g]
			if power && mode == Replicated {
				atLeast = synced[g]
			}
			if first != 1 || last < atLeast || last > acked[g]+1 {
				t.Fatalf("seed %d, power cut %v: group %d has %d to %d; %d were acknowledged, %d synced", seed, power, g, first, last, acked[g], synced[g])
			}
			check(t, l, g, first, last)
		}
	}
}

// TestCloseUnderWay: calls under way end when the log is closed.
func TestCloseUnderWay(t *testing.T) {
	for range 50 {
		l := open(t, vfs.NewMem(), Options{MaxBuffer: 1 << 10})
		var wg sync.WaitGroup
		started := make(chan struct{}, 8)
		for g := range uint32(8) {
			wg.Go(func() {
				for i := uint64(1); ; i++ {
					if err := l.Append(g, []Record{record(g, i)}); err != nil {
						if !errors.Is(err, ErrClosed) {
							t.Error(err)
						}
						return
					}
					if i == 1 {
						started <- struct{}{}
					}
				}
			})
		}
		for range 8 {
			<-started
		}
		closeLog(t, l)
		wg.Wait()
	}
}

func TestAppendDoesNotAllocate(t *testing.T) {
	for _, size := range []int{300, 30_000} {
		l, err := Open(t.TempDir(), Options{})
		must(t, err)
		records := []Record{{Data: make([]byte, size)}}
		var i uint64
		appendOne := func() {
			i++
			records[0].Index = i
			if err := l.Append(1, records); err != nil {
				t.Fatal(err)
			}
		}
		for range 2000 { // buffers and chunks of the index
			appendOne()
			if i%100 == 0 {
				must(t, l.TruncateBefore(1, i-50))
			}
		}
		if n := testing.AllocsPerRun(200, appendOne); n > 0 {
			t.Errorf("%d bytes: %v allocations", size, n)
		}
		var buf []byte
		_, buf, _ = l.Read(1, i, buf)
		if n := testing.AllocsPerRun(200, func() { _, buf, _ = l.Read(1, i, buf) }); n > 0 {
			t.Errorf("read %d bytes: %v allocations", size, n)
		}
		closeLog(t, l)
	}
}

func BenchmarkAppend(b *testing.B) {
	for _, mode := range []Mode{Replicated, Fsync} {
		for _, size := range []int{300, 30_000} {
			for _, appenders := range []int{1, 16} {
				b.Run(fmt.Sprintf("mode=%v/bytes=%d/appenders=%d", mode, size, appenders), func(b *testing.B) {
					l, err := Open(b.TempDir(), Options{Mode: mode})
					must(b, err)
					b.SetBytes(int64(size))
					var left atomic.Int64
					left.Store(int64(b.N))
					var wg sync.WaitGroup
					for g := range uint32(appenders) {
						wg.Go(func() {
							records := []Record{{Data: make([]byte, size)}}
							for i := uint64(1); left.Add(-1) >= 0; i++ {
								records[0].Index = i
								must(b, l.Append(g, records))
								if i%1024 == 0 {
									must(b, l.TruncateBefore(g, i-100))
								}
							}
						})
					}
					wg.Wait()
					b.StopTimer()
					s := l.Stats()
					b.ReportMetric(float64(s.Records)/float64(max(s.Writes, 1)), "records/write")
					if mode == Fsync {
						b.ReportMetric(float64(s.Records)/float64(max(s.Syncs, 1)), "records/sync")
					}
					closeLog(b, l)
				})
			}
		}
	}
}

// TestSubmitIsOnItsWay: what was submitted while another write hangs is written after that, though nobody waits for it.
func TestSubmitIsOnItsWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var hang atomic.Bool
		gate := make(chan struct{})
		l := open(t, vfs.NewFaulty(vfs.NewMem(), func(op vfs.Op) error {
			if op.Kind == vfs.OpWrite && hang.Load() {
				<-gate
			}
			return nil
		}), Options{SegmentSize: 1 << 20})
		hang.Store(true)
		var wg sync.WaitGroup
		wg.Go(func() { must(t, l.Append(1, []Record{record(1, 1)})) })
		synctest.Wait()
		p, err := l.Submit(2, []Record{record(2, 1)})
		must(t, err)
		hang.Store(false)
		close(gate)
		wg.Wait()
		synctest.Wait()
		l.mu.Lock()
		written := l.written
		l.mu.Unlock()
		if written < p {
			t.Fatalf("written up to %v, submitted up to %v", written, p)
		}
		must(t, l.Wait(p))
		closeLog(t, l)
	})
}

// TestFull: a disk without room for the next segment holds appends up, and says so; they go on when there is room, and Close does not wait for that.
func TestFull(t *testing.T) {
	for _, room := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			mem := vfs.NewMem()
			var full atomic.Bool
			var stalls []string
			opts := Options{SegmentSize: 4 << 10, OnStall: func(op string, _ time.Duration) { stalls = append(stalls, op) }}
			l := open(t, vfs.NewFaulty(mem, func(op vfs.Op) error {
				if op.Kind == vfs.OpTruncate && full.Load() {
					return fmt.Errorf("cannot preallocate: %w", syscall.ENOSPC)
				}
				return nil
			}), opts)
			full.Store(true)
			appended := atomic.Uint64{}
			done := make(chan error, 1)
			go func() {
				for i := uint64(1); i <= 200; i++ {
					if err := l.Append(1, []Record{record(1, i)}); err != nil {
						done <- err
						return
					}
					appended.Store(i)
				}
				done <- nil
			}()
			<-time.After(5 * time.Second) // in the bubble's time
			synctest.Wait()
			if n := appended.Load(); n == 0 || n == 200 || !l.Stats().Full || l.Stalled() < 2*time.Second || len(stalls) != 1 || stalls[0] != "space" || l.Err() != nil {
				t.Fatalf("%d were appended, full %v, stalled for %v, stalls %v, %v", n, l.Stats().Full, l.Stalled(), stalls, l.Err())
			}
			want := appended.Load()
			if room {
				full.Store(false)
				must(t, <-done)
				want = 200
				if l.Stats().Full || l.Stalled() != 0 {
					t.Fatal("still full")
				}
				closeLog(t, l)
			} else {
				closeLog(t, l)
				if err := <-done; !errors.Is(err, ErrClosed) {
					t.Fatal(err)
				}
			}
			full.Store(false)
			l = open(t, mem, opts)
			if _, last := l.Bounds(1); last != want {
				t.Fatalf("%d entries are back, want %d", last, want)
			}
			must(t, l.Append(1, []Record{record(1, want+1)}))
			closeLog(t, l)
		})
	}
}
