package snapshot

import (
	"bytes"
	"encoding/binary"
	"errors"
	"flag"
	"fmt"
	"hash/crc32"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"

	"dashi/shard/wal/vfs"
)

var update = flag.Bool("update", false, "write the golden files")

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func store(t testing.TB, fsys vfs.FS) *Store {
	t.Helper()
	s, err := New(fsys, "snapshots")
	must(t, err)
	return s
}

// random is n bytes that do not repeat.
func random(n int) []byte {
	b := make([]byte, n)
	rng := rand.NewChaCha8([32]byte{byte(n)})
	_, _ = rng.Read(b)
	return b
}

// write writes data in pieces and commits.
func write(s *Store, info Info, data []byte, piece int) error {
	w, err := s.Create(info)
	if err != nil {
		return err
	}
	for len(data) > 0 {
		n := min(piece, len(data))
		if _, err := w.Write(data[:n]); err != nil {
			w.Abort()
			return err
		}
		data = data[n:]
	}
	return w.Commit()
}

func read(s *Store, info Info) ([]byte, error) {
	r, err := s.Open(info)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return io.ReadAll(r)
}

func TestRoundTrip(t *testing.T) {
	s := store(t, vfs.NewMem())
	f := func(size, piece int) {
		t.Helper()
		data, info := random(size), Info{Group: 3, Term: 1, Index: uint64(size) + 1}
		must(t, write(s, info, data, piece))
		got, err := read(s, info)
		if err != nil || !bytes.Equal(got, data) {
			t.Fatalf("%d bytes in pieces of %d: %d bytes, %v", size, piece, len(got), err)
		}
		r, err := s.Open(info)
		must(t, err)
		must(t, iotest.TestReader(r, data))
		must(t, r.Drain())
		must(t, r.Err())
		must(t, r.Close())
		r, err = s.Open(info)
		must(t, err)
		must(t, r.Drain()) // checks without handing out
		if n, err := r.Read(make([]byte, 1)); n != 0 || err != io.EOF {
			t.Fatalf("read after Drain: %d, %v", n, err)
		}
		must(t, r.Close())
	}
	f(0, 1)
	f(1, 1)
	f(1000, 7)
	f(MaxBlock-1, 1<<16)
	f(MaxBlock, MaxBlock)
	f(MaxBlock+1, 3*MaxBlock)
	f(3*MaxBlock+5, 100_001)
}

// TestEveryByte: no byte of the file can change, go, or be added unnoticed (I3).
func TestEveryByte(t *testing.T) {
	mem := vfs.NewMem()
	s := store(t, mem)
	info, data := Info{Group: 1, Term: 2, Index: 30}, random(700)
	must(t, write(s, info, data, 100))
	name := s.path(info)
	file, err := mem.Open(name)
	must(t, err)
	size, err := file.Size()
	must(t, err)
	good := make([]byte, size)
	_, err = file.ReadAt(good, 0)
	must(t, err)
	f := func(b []byte, what string) {
		t.Helper()
		must(t, file.Truncate(0))
		if len(b) > 0 {
			_, err := file.WriteAt(b, 0)
			must(t, err)
		}
		got, err := read(s, info)
		if !errors.Is(err, ErrCorrupt) || !strings.Contains(err.Error(), name) {
			t.Fatalf("%s: %v", what, err)
		}
		if !bytes.HasPrefix(data, got) {
			t.Fatalf("%s: bytes that were not written", what)
		}
	}
	for i := range good {
		for bit := range 8 {
			b := bytes.Clone(good)
			b[i] ^= 1 << bit
			f(b, fmt.Sprintf("bit %d of byte %d", bit, i))
		}
		f(good[:i], fmt.Sprintf("cut to %d", i))
	}
	f(append(bytes.Clone(good), 0), "a byte too many")
	f(append(bytes.Clone(good), good[headerSize:]...), "everything twice")

	other := Info{Group: 1, Term: 2, Index: 31} // a file under another's name
	must(t, write(s, other, data, 100))
	must(t, mem.Rename(s.path(other), name))
	if _, err := s.Open(info); !errors.Is(err, ErrCorrupt) {
		t.Fatal(err)
	}
}

func TestVersion(t *testing.T) {
	mem := vfs.NewMem()
	s := store(t, mem)
	info := Info{Group: 1, Term: 1, Index: 1}
	must(t, write(s, info, nil, 1))
	f, err := mem.Open(s.path(info))
	must(t, err)
	b := appendHeader(nil, info)
	b[8] = 2
	binary.LittleEndian.PutUint32(b[32:], crc32.Checksum(b[:32], castagnoli))
	_, err = f.WriteAt(b, 0)
	must(t, err)
	if _, err := s.Open(info); err == nil || errors.Is(err, ErrCorrupt) || !strings.Contains(err.Error(), "version is 2") {
		t.Fatalf("a newer version must be refused and not be passed over: %v", err)
	}
}

func TestKeepsTwo(t *testing.T) {
	s := store(t, vfs.NewMem())
	for i := uint64(1); i <= 12; i++ {
		must(t, write(s, Info{Group: 1, Term: 1, Index: i}, random(10), 10))
		must(t, write(s, Info{Group: 2, Term: i, Index: 100 - i}, random(10), 10)) // the index decides, not the age
	}
	f := func(group uint32, want string) {
		t.Helper()
		list, err := s.List(group)
		must(t, err)
		if got := fmt.Sprint(list); got != want {
			t.Fatalf("%s, want %s", got, want)
		}
	}
	f(1, "[{1 1 12} {1 1 11}]")
	f(2, "[{2 1 99} {2 2 98}]")
	f(3, "[]")
	must(t, s.Remove(Info{1, 1, 12}))
	f(1, "[{1 1 11}]")
}

func TestAbortAndMisuse(t *testing.T) {
	mem := vfs.NewMem()
	s := store(t, mem)
	w, err := s.Create(Info{Group: 1, Term: 1, Index: 1})
	must(t, err)
	_, err = w.Write(random(100))
	must(t, err)
	if w.Size() != 100 {
		t.Fatal(w.Size())
	}
	w.Abort()
	w.Abort()
	if err := w.Commit(); !errors.Is(err, errDone) {
		t.Fatal(err)
	}
	if _, err := w.Write(nil); !errors.Is(err, errDone) {
		t.Fatal(err)
	}
	names, err := mem.List("snapshots/1")
	must(t, err)
	if len(names) != 0 {
		t.Fatal(names)
	}
	if _, err := s.Open(Info{Group: 1, Term: 1, Index: 1}); err == nil || errors.Is(err, ErrCorrupt) {
		t.Fatal(err)
	}
}

// TestCrashEverywhere cuts the power at every disk operation of writing the third snapshot: the one before it is
// whole, and so is the third if it is there at all; it is there if Commit said so (I1, I2).
func TestCrashEverywhere(t *testing.T) {
	broken := errors.New("broken")
	for _, once := range []bool{false, true} {
		for n, done := 0, false; !done; n++ {
			for seed := range uint64(6) {
				mem := vfs.NewMem()
				s := store(t, mem)
				for i := uint64(1); i <= 2; i++ {
					must(t, write(s, Info{Group: 1, Term: 1, Index: i}, random(int(i)), 100))
				}
				faulty := vfs.NewFaulty(mem, func(op vfs.Op) error {
					if op.N == n || op.N > n && !once {
						return broken
					}
					return nil
				})
				err := write(&Store{faulty, "snapshots"}, Info{Group: 1, Term: 1, Index: 3}, random(3000), 999)
				if err != nil && !errors.Is(err, broken) {
					t.Fatal(err)
				}
				done = err == nil && !once || n > 30
				if seed > 0 {
					mem = mem.Crash(rand.New(rand.NewPCG(seed, uint64(n))))
				}
				s = store(t, mem)
				must(t, s.Clean(1))
				if names, _ := mem.List("snapshots/1"); strings.Contains(fmt.Sprint(names), tmpSuffix) {
					t.Fatalf("left behind: %v", names)
				}
				list, lerr := s.List(1)
				must(t, lerr)
				if len(list) < 2 && (len(list) == 0 || list[0].Index != 3) || err == nil && list[0].Index != 3 || list[0].Index < 2 {
					t.Fatalf("operation %d, seed %d: Commit gave %v, left are %v", n, seed, err, list)
				}
				for _, info := range list {
					want := random(int(info.Index))
					if info.Index == 3 {
						want = random(3000)
					}
					if got, err := read(s, info); err != nil || !bytes.Equal(got, want) {
						t.Fatalf("operation %d, seed %d: %+v is %d bytes, %v", n, seed, info, len(got), err)
					}
				}
			}
		}
	}
}

// TestGolden: the bytes of FORMAT.md do not change.
func TestGolden(t *testing.T) {
	mem := vfs.NewMem()
	s := store(t, mem)
	info, data := Info{Group: 7, Term: 2, Index: 300}, []byte("the state of group 7")
	must(t, write(s, info, data, 9))
	f, err := mem.Open("snapshots/7/2-300.snap")
	must(t, err)
	size, err := f.Size()
	must(t, err)
	got := make([]byte, size)
	_, err = f.ReadAt(got, 0)
	must(t, err)
	golden := filepath.Join("testdata", "golden.snap")
	if *update {
		must(t, os.MkdirAll("testdata", 0o750))
		must(t, os.WriteFile(golden, got, 0o640))
	}
	want, err := os.ReadFile(golden)
	must(t, err)
	if !bytes.Equal(got, want) || !bytes.Equal(got, byHand(info, data)) {
		t.Fatalf("the format has changed:\n%x\ngolden file\n%x\nby hand\n%x", got, want, byHand(info, data))
	}
}

// byHand follows FORMAT.md, for data of one block.
func byHand(info Info, data []byte) []byte {
	le := binary.LittleEndian
	var b, summed []byte
	sum := func() uint32 { return crc32.Checksum(summed, crc32.MakeTable(crc32.Castagnoli)) }
	b = append(b, "dashisnp\x01\x00\x00\x00"...)
	b = le.AppendUint32(b, info.Group)
	b = le.AppendUint64(b, info.Term)
	b = le.AppendUint64(b, info.Index)
	summed = bytes.Clone(b)
	b = le.AppendUint32(b, sum())
	n := le.AppendUint32(nil, uint32(len(data)))
	summed = append(append(summed, n...), data...)
	b = append(b, n...)
	b = le.AppendUint32(b, sum())
	b = append(b, data...)
	length := le.AppendUint64(nil, uint64(len(data)))
	summed = append(append(summed, 0, 0, 0, 0), length...)
	b = append(b, 0, 0, 0, 0)
	b = le.AppendUint32(b, sum())
	return append(b, length...)
}

func FuzzReader(f *testing.F) {
	info := Info{Group: 1, Term: 1, Index: 1}
	f.Add(byHand(info, []byte("hello")))
	f.Add(appendHeader(nil, info))
	mem := vfs.NewMem()
	s := store(f, mem)
	must(f, write(s, info, nil, 1))
	file, err := mem.Open(s.path(info))
	must(f, err)
	f.Fuzz(func(t *testing.T, b []byte) {
		must(t, file.Truncate(0))
		if len(b) > 0 {
			_, err := file.WriteAt(b, 0)
			must(t, err)
		}
		must(t, file.Sync()) // forgets what was before
		got, err := read(s, info)
		if err == nil && len(got) < MaxBlock && len(got) > 0 && len(b) == headerSize+blockHead+len(got)+endSize && !bytes.Equal(b, byHand(info, got)) {
			t.Fatalf("took %x for %x", b, got)
		}
	})
}
