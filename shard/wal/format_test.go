package wal

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"dashi/shard/wal/vfs"
)

var update = flag.Bool("update", false, "write the golden files")

// TestGolden: the bytes of FORMAT.md do not change.
func TestGolden(t *testing.T) {
	mem := vfs.NewMem()
	l, err := openInline(mem, Replicated)
	must(t, err)
	must(t, l.Append(7, []Record{{Index: 1, Term: 2, Commit: 0, Type: 3, Data: []byte("first")}, {Index: 2, Term: 2, Commit: 1, Data: []byte("second")}}))
	must(t, l.Set(7, "term", []byte{2}))
	must(t, l.TruncateBefore(7, 2))
	must(t, l.Append(8, []Record{{Index: 1, Data: nil}, {Index: 2}, {Index: 3}}))
	must(t, l.TruncateAfter(8, 1))
	must(t, l.Reset(8, 100))
	must(t, l.Set(9, "vote", []byte("ada")))
	must(t, l.Drop(9))
	want := text(t, l)
	must(t, l.Close())
	l, err = openInline(mem, Replicated) // writes the states
	must(t, err)
	must(t, l.Close())
	const name = "wal/0000000001.log"
	got := bytes.TrimRight(files(t, mem)[name], "\x00")
	got = append(got, make([]byte, -len(got)&7)...)

	golden := filepath.Join("testdata", "golden.log")
	if *update {
		must(t, os.MkdirAll("testdata", 0o750))
		must(t, os.WriteFile(golden, got, 0o640))
	}
	b, err := os.ReadFile(golden)
	must(t, err)
	if !bytes.Equal(got, b) {
		t.Fatalf("the format has changed:\n%x\nwant\n%x", got, b)
	}
	l, err = openInline(disk(t, map[string][]byte{name: append(b, make([]byte, minSegment-len(b))...)}), Replicated)
	must(t, err)
	if again := text(t, l); again != want {
		t.Fatalf("the golden file reads as\n%s\nwant\n%s", again, want)
	}
}

// TestFrameBytes spells one frame out, independently of the code that makes it.
func TestFrameBytes(t *testing.T) {
	want := []byte{
		0, 0, 0, 0, 'd', 'g', 1, 3, // checksum, magic, kind, type
		2, 0, 0, 0, 7, 0, 0, 0, // length, group
		1, 0, 0, 0, 0, 0, 0, 0, // index
		2, 0, 0, 0, 0, 0, 0, 0, // term
		9, 0, 0, 0, 0, 0, 0, 0, // commit
		0x20, 0, 0, 0, 5, 0, 0, 0, // synced: segment 5, offset 32
		'h', 'i', 0, 0, 0, 0, 0, 0,
	}
	seed := uint32(0)
	seed = crc(seed, []byte{5, 0, 0, 0, 0, 0, 0, 0})
	sum := crc(seed, want[4:50])
	want[0], want[1], want[2], want[3] = byte(sum), byte(sum>>8), byte(sum>>16), byte(sum>>24)
	f := frame{kind: kindEntry, typ: 3, group: 7, index: 1, term: 2, commit: 9, synced: makePosition(5, 32), data: []byte("hi")}
	if got := appendFrame(nil, &f, segmentSeed(5)); !bytes.Equal(got, want) {
		t.Fatalf("%x\nwant\n%x", got, want)
	}
}

// crc is CRC-32C, bit by bit.
func crc(sum uint32, b []byte) uint32 {
	sum = ^sum
	for _, c := range b {
		sum ^= uint32(c)
		for range 8 {
			sum = sum>>1 ^ 0x82f63b78&-(sum&1)
		}
	}
	return ^sum
}

func TestMarkTellsWhatARestartMayHaveLost(t *testing.T) {
	mem := vfs.NewMem()
	f := func(boot string, fresh bool, want Cleanness) *Mark {
		t.Helper()
		m, err := Opened(mem, "d", boot, fresh)
		must(t, err)
		if m.Clean != want || m.Reason == "" {
			t.Fatalf("%v (%s), want %v", m.Clean, m.Reason, want)
		}
		return m
	}
	f("boot-1", true, Clean)
	f("boot-1", false, Clean) // killed
	for range 2 {             // power cut, and nobody has acted on that before the next start
		if m := f("boot-2", false, Dirty); !m.Restarted {
			t.Fatal("it was the restart of the machine")
		}
	}
	must(t, f("boot-2", false, Dirty).Acted())
	m := f("boot-2", false, Clean)
	must(t, m.Closed())
	f("boot-3", false, Clean)    // closed in order
	m = f("boot-3", true, Dirty) // somebody deleted the log
	must(t, m.Closed())
	f("boot-3", false, Clean)
	f("", false, Dirty)
	must(t, f("", false, Dirty).Acted()) // a system without boot ids may have restarted
	file, err := mem.Open("d/" + markName)
	must(t, err)
	_, err = file.WriteAt([]byte{'x'}, 3)
	must(t, err)
	for range 2 {
		if m := f("boot-3", false, Dirty); m.Restarted { // unreadable
			t.Fatal("that is not all")
		}
	}
	must(t, mem.Remove("d/"+markName))
	f("boot-3", false, Dirty) // missing, and there is data
}

func FuzzMark(f *testing.F) {
	f.Add("dashi 1 open boot\n00000000\n")
	f.Fuzz(func(t *testing.T, text string) {
		state, _, err := parseMark(text)
		if (err == nil) != slices.Contains([]string{"open", "closed", "dirty", "restarted"}, state) {
			t.Fatalf("%q gave %q, %v", text, state, err)
		}
	})
}
