package wal

import (
	"bytes"
	"errors"
	"fmt"
	"sync"
	"testing"

	"dashi/shard/wal/vfs"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func open(t testing.TB, fs vfs.FS, opts Options) *Log {
	t.Helper()
	opts.FS = fs
	if opts.SegmentSize == 0 {
		opts.SegmentSize = minSegment
	}
	l, err := Open("wal", opts)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func closeLog(t testing.TB, l *Log) {
	t.Helper()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
}

func record(group uint32, index uint64) Record {
	return Record{Index: index, Term: index / 10, Type: uint8(group), Data: []byte(fmt.Sprintf("%d/%d %s", group, index, bytes.Repeat([]byte("x"), int(index*37%300))))}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func fill(t testing.TB, l *Log, group uint32, from, to uint64) {
	t.Helper()
	for i := from; i <= to; i++ {
		must(t, l.Append(group, []Record{record(group, i)}))
	}
}

func check(t testing.TB, l *Log, group uint32, first, last uint64) {
	t.Helper()
	if f, n := l.Bounds(group); f != first || n != last {
		t.Fatalf("group %d has %d to %d, want %d to %d", group, f, n, first, last)
	}
	var buf []byte
	for i := first; i <= last; i++ {
		r, b, err := l.Read(group, i, buf)
		if err != nil {
			t.Fatal(err)
		}
		buf = b
		want := record(group, i)
		if r.Index != i || r.Term != want.Term || r.Type != want.Type || !bytes.Equal(r.Data, want.Data) {
			t.Fatalf("entry %d of group %d is %+v", i, group, r)
		}
	}
	if _, _, err := l.Read(group, last+1, nil); !errors.Is(err, ErrNotFound) {
		t.Fatalf("entry behind the last: %v", err)
	}
}

func TestAppendReadReopen(t *testing.T) {
	for _, mode := range []Mode{Replicated, Fsync} {
		t.Run("mode="+mode.String(), func(t *testing.T) {
			mem := vfs.NewMem()
			l := open(t, mem, Options{Mode: mode})
			var wg sync.WaitGroup
			for g := uint32(0); g < 4; g++ {
				wg.Go(func() { fill(t, l, g, 1, 100) })
			}
			wg.Wait()
			must(t, l.Set(2, "term", []byte("7")))
			for g := uint32(0); g < 4; g++ {
				check(t, l, g, 1, 100)
			}
			if s := l.Stats(); s.Segments < 3 || s.Records != 400 {
				t.Fatalf("stats: %+v", s)
			}
			closeLog(t, l)
			l = open(t, mem, Options{Mode: mode})
			defer closeLog(t, l)
			for g := uint32(0); g < 4; g++ {
				check(t, l, g, 1, 100)
				if l.SyncedIndex(g) != 100 {
					t.Fatalf("synced %d", l.SyncedIndex(g))
				}
			}
			if v, ok := l.Get(2, "term"); !ok || string(v) != "7" {
				t.Fatalf("stable value %q %v", v, ok)
			}
		})
	}
}

func TestTruncations(t *testing.T) {
	mem := vfs.NewMem()
	l := open(t, mem, Options{})
	again := func() {
		t.Helper()
		closeLog(t, l)
		l = open(t, mem, Options{})
	}
	fill(t, l, 1, 1, 50)
	must(t, l.TruncateAfter(1, 40))
	check(t, l, 1, 1, 40)
	fill(t, l, 1, 41, 60)
	again()
	check(t, l, 1, 1, 60)
	must(t, l.TruncateBefore(1, 55))
	must(t, l.TruncateBefore(1, 3)) // already gone
	check(t, l, 1, 55, 60)
	if err := l.TruncateBefore(1, 62); !errors.Is(err, ErrGap) {
		t.Fatal(err)
	}
	if err := l.TruncateAfter(1, 53); !errors.Is(err, ErrGap) {
		t.Fatal(err)
	}
	again()
	check(t, l, 1, 55, 60)
	must(t, l.TruncateBefore(1, 61))
	again()
	check(t, l, 1, 61, 60)
	if err := l.Append(1, []Record{record(1, 62)}); !errors.Is(err, ErrGap) {
		t.Fatal(err)
	}
	must(t, l.Reset(1, 1000)) // a snapshot ahead of the log was installed
	fill(t, l, 1, 1000, 1010)
	again()
	check(t, l, 1, 1000, 1010)
	must(t, l.Drop(1))
	again()
	check(t, l, 1, 1, 0)
	closeLog(t, l)
}

func TestSegmentsAreRecycled(t *testing.T) {
	mem := vfs.NewMem()
	l := open(t, mem, Options{inline: true})
	must(t, l.Set(9, "vote", []byte("ada")))
	for i := uint64(1); i <= 2000; i++ {
		must(t, l.Append(1, []Record{record(1, i)}))
		if i%10 == 0 {
			must(t, l.TruncateBefore(1, i-5))
			must(t, l.Sync())
		}
	}
	s := l.Stats()
	if s.Segments > 4 || s.Recycled < 20 {
		t.Fatalf("segments are not recycled: %+v", s)
	}
	closeLog(t, l)
	l = open(t, mem, Options{inline: true})
	check(t, l, 1, 1995, 2000)
	if v, _ := l.Get(9, "vote"); string(v) != "ada" {
		t.Fatalf("stable value did not outlive its segment: %q", v)
	}
	closeLog(t, l)
}

func TestAppendRefusesTooLargeAndGaps(t *testing.T) {
	l := open(t, vfs.NewMem(), Options{})
	defer closeLog(t, l)
	if err := l.Append(1, []Record{{Index: 1, Data: make([]byte, l.MaxData()+1)}}); !errors.Is(err, ErrTooLarge) {
		t.Fatal(err)
	}
	must(t, l.Append(1, []Record{{Index: 1, Data: make([]byte, l.MaxData())}}))
	if err := l.Append(1, []Record{{Index: 2}, {Index: 4}}); !errors.Is(err, ErrGap) {
		t.Fatal(err)
	}
	if err := l.Set(1, "k", make([]byte, MaxValue+1)); !errors.Is(err, ErrTooLarge) {
		t.Fatal(err)
	}
}

func TestOneProcessOnly(t *testing.T) {
	mem := vfs.NewMem()
	l := open(t, mem, Options{})
	if _, err := Open("wal", Options{FS: mem}); !errors.Is(err, vfs.ErrLocked) {
		t.Fatal(err)
	}
	closeLog(t, l)
	if err := l.Close(); !errors.Is(err, ErrClosed) {
		t.Fatal(err)
	}
	if err := l.Append(1, []Record{{Index: 1}}); !errors.Is(err, ErrClosed) {
		t.Fatal(err)
	}
	if _, _, err := l.Read(1, 1, nil); !errors.Is(err, ErrClosed) {
		t.Fatal(err)
	}

	dir := t.TempDir()
	a, err := Open(dir, Options{SegmentSize: minSegment})
	must(t, err)
	if _, err := Open(dir, Options{}); !errors.Is(err, vfs.ErrLocked) {
		t.Fatal(err)
	}
	closeLog(t, a)
}
