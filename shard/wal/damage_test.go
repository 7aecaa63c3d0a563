package wal

import (
	"errors"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"dashi/shard/wal/vfs"
)

// files reads all segments.
func files(t testing.TB, fs vfs.FS) map[string][]byte {
	t.Helper()
	names, err := fs.List("wal")
	must(t, err)
	all := map[string][]byte{}
	for _, name := range names {
		if !strings.HasSuffix(name, segmentSuffix) {
			continue
		}
		f, err := fs.Open("wal/" + name)
		must(t, err)
		size, err := f.Size()
		must(t, err)
		b := make([]byte, size)
		_, err = f.ReadAt(b, 0)
		must(t, err)
		must(t, f.Close())
		all["wal/"+name] = b
	}
	return all
}

// disk makes a file system with these files.
func disk(t testing.TB, all map[string][]byte) *vfs.Mem {
	t.Helper()
	mem := vfs.NewMem()
	must(t, mem.MakeDir("wal"))
	for name, b := range all {
		f, err := mem.Create(name)
		must(t, err)
		_, err = f.WriteAt(b, 0)
		must(t, err)
		must(t, f.Sync())
		must(t, f.Close())
	}
	must(t, mem.SyncDir("wal"))
	return mem
}

// closedLog makes a log of several segments, with everything in it, and closes it.
func closedLog(t testing.TB) (map[string][]byte, *driver) {
	mem := vfs.NewMem()
	d := run(t, mem, Replicated, 11, 0)
	for range 40 {
		must(t, d.do())
	}
	must(t, d.l.Set(2, "term", []byte("9")))
	d.model.group(2).stable["term"] = "9"
	must(t, d.l.Close())
	return files(t, mem), d
}

// TestDamage flips a bit of every byte of a log that was closed in order: nothing is lost in silence (I3), whatever
// was synced when.
func TestDamage(t *testing.T) {
	all, d := closedLog(t)
	if len(all) < 3 {
		t.Fatalf("only %d segments", len(all))
	}
	want := d.model.text()
	stride := 1
	if testing.Short() {
		stride = 13
	}
	refused, unharmed := 0, 0
	for _, name := range slices.Sorted(maps.Keys(all)) {
		for i := 0; i < len(all[name]); i += stride {
			damaged := maps.Clone(all)
			damaged[name] = slices.Clone(all[name])
			damaged[name][i] ^= 1 << (i % 8)
			l, err := openInline(disk(t, damaged), Replicated)
			switch {
			case err == nil && text(t, l) == want: // behind the end, or the end itself
				unharmed++
			case err == nil:
				t.Fatalf("byte %d of %q: opened as\n%s\nwas\n%s", i, name, text(t, l), want)
			case errors.Is(err, ErrCorrupt) && strings.Contains(err.Error(), "wal"):
				refused++
			case i >= 8 && i < 12 && strings.Contains(err.Error(), "version"):
			default:
				t.Fatalf("byte %d of %q: %v", i, name, err)
			}
		}
	}
	if refused < unharmed {
		t.Fatalf("%d refused, %d unharmed", refused, unharmed)
	}
	for _, name := range slices.Sorted(maps.Keys(all)) {
		for _, size := range []int{0, 8, segmentHeader + 8, 1000, minSegment - 1} {
			damaged := maps.Clone(all)
			damaged[name] = all[name][:size]
			l, err := openInline(disk(t, damaged), Replicated)
			if !errors.Is(err, ErrCorrupt) && (err != nil || text(t, l) != want) {
				t.Fatalf("%q cut to %d: %v", name, size, err)
			}
		}
	}
	names := slices.Sorted(maps.Keys(all))
	for _, name := range names[1 : len(names)-1] {
		damaged := maps.Clone(all)
		delete(damaged, name)
		if _, err := openInline(disk(t, damaged), Replicated); !errors.Is(err, ErrCorrupt) || !strings.Contains(err.Error(), "missing") {
			t.Fatalf("without %q: %v", name, err)
		}
	}
}

// TestTornTail damages what a killed process had not synced: that may go, from the first damaged frame on, and
// nothing else.
func TestTornTail(t *testing.T) {
	mem := vfs.NewMem()
	l, err := openInline(mem, Replicated)
	must(t, err)
	fill(t, l, 1, 1, 6)
	must(t, l.Sync())
	synced := l.durable.offset()
	fill(t, l, 1, 7, 10)
	end := l.end.offset()
	if l.active().seq != 1 {
		t.Fatal("expected one segment")
	}
	all, was := files(t, mem), text(t, l)
	const name = "wal/0000000001.log"
	for i := segmentHeader; i < int(end)+8; i++ {
		damaged := map[string][]byte{name: slices.Clone(all[name])}
		damaged[name][i] ^= 0x10
		l, err := openInline(disk(t, damaged), Replicated)
		if i < int(synced) {
			if err == nil && text(t, l) == was { // padding
				continue
			}
			if !errors.Is(err, ErrCorrupt) || !strings.Contains(err.Error(), "durable up to 1:") {
				t.Fatalf("byte %d, which was synced: %v", i, err)
			}
			continue
		}
		if err != nil {
			t.Fatalf("byte %d: %v", i, err)
		}
		_, last := l.Bounds(1)
		if last < 6 || i >= int(end) && last != 10 {
			t.Fatalf("byte %d: last is %d", i, last)
		}
		check(t, l, 1, 1, last)
		if torn := l.Stats().TornBytes; (last < 10) != (torn > 0) && i < int(end) {
			t.Fatalf("byte %d: last is %d, torn %d", i, last, torn)
		}
		fill(t, l, 1, last+1, last+3)
		check(t, l, 1, 1, last+3)
	}
}

// TestOldFramesDoNotCount fills a recycled segment half and cuts the power: frames of its last life lie right behind.
func TestOldFramesDoNotCount(t *testing.T) {
	mem := vfs.NewMem()
	l, err := openInline(mem, Replicated)
	must(t, err)
	data := make([]byte, 100) // frames of both lives begin at the same places
	var i uint64
	for l.Stats().Recycled < 5 {
		i++
		must(t, l.Append(1, []Record{{Index: i, Data: data}}))
		must(t, l.TruncateBefore(1, i))
		must(t, l.Sync())
	}
	mem = mem.Crash(rand.New(rand.NewPCG(1, 1)))
	l, err = openInline(mem, Replicated)
	must(t, err)
	if first, last := l.Bounds(1); first != i || last != i {
		t.Fatalf("%d to %d, want %d", first, last, i)
	}
}

func FuzzOpen(f *testing.F) {
	all, _ := closedLog(f)
	for _, name := range slices.Sorted(maps.Keys(all)) {
		f.Add(all[name])
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) > 64<<10 {
			return
		}
		mem := disk(t, map[string][]byte{"wal/0000000001.log": b})
		l, err := openInline(mem, Replicated)
		if err != nil {
			return
		}
		was := text(t, l)
		must(t, l.Close())
		if l, err = openInline(mem, Replicated); err != nil {
			t.Fatal(err)
		}
		if again := text(t, l); again != was {
			t.Fatalf("opened again it is\n%s\nand was\n%s", again, was)
		}
		must(t, l.Close())
	})
}

func FuzzFrame(f *testing.F) {
	f.Add(appendFrame(nil, &frame{kind: kindEntry, group: 1, index: 2, term: 3, data: []byte("hello")}, 7))
	f.Fuzz(func(t *testing.T, b []byte) {
		got, size, err := decodeFrame(b, 7)
		if err != nil {
			return
		}
		again := appendFrame(nil, &got, 7)
		if len(again) != size {
			t.Fatalf("size %d, was %d", len(again), size)
		}
		n := frameHeader + len(got.data)
		if string(again[:n]) != string(b[:n]) {
			t.Fatalf("%x\nwas\n%x", again[:n], b[:n])
		}
	})
}
