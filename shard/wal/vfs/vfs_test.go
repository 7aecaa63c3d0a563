package vfs

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"path/filepath"
	"testing"
)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func content(t testing.TB, fsys FS, name string) []byte {
	t.Helper()
	f, err := fsys.Open(name)
	must(t, err)
	defer f.Close()
	size, err := f.Size()
	must(t, err)
	b := make([]byte, size)
	if size > 0 {
		_, err = f.ReadAt(b, 0)
		must(t, err)
	}
	return b
}

// TestMemIsLikeOS does the same random operations to both.
func TestMemIsLikeOS(t *testing.T) {
	for seed := range uint64(20) {
		rng := rand.New(rand.NewPCG(seed, 0))
		root := t.TempDir()
		mem, system := NewMem(), OS{}
		must(t, mem.MakeDir("d"))
		must(t, system.MakeDir(filepath.Join(root, "d")))
		both := func(do func(fsys FS, dir string) error) {
			t.Helper()
			a, b := do(mem, "d"), do(system, filepath.Join(root, "d"))
			if (a == nil) != (b == nil) || errors.Is(a, fs.ErrNotExist) != errors.Is(b, fs.ErrNotExist) {
				t.Fatalf("seed %d: in memory %v, on disk %v", seed, a, b)
			}
		}
		for range 60 {
			name, other := fmt.Sprint(rng.IntN(4)), fmt.Sprint(rng.IntN(4))
			at, size, n := int64(rng.IntN(2000)), int64(rng.IntN(3000)), rng.IntN(8)
			data := make([]byte, rng.IntN(700))
			for i := range data {
				data[i] = byte(rng.Uint32())
			}
			both(func(fsys FS, dir string) error {
				path := filepath.Join(dir, name)
				switch n {
				case 0:
					f, err := fsys.Create(path)
					if err != nil {
						return err
					}
					return f.Close()
				case 1:
					return fsys.Remove(path)
				case 2:
					if name == other {
						return nil
					}
					return fsys.Rename(path, filepath.Join(dir, other))
				}
				f, err := fsys.Open(path)
				if err != nil {
					return err
				}
				defer f.Close()
				switch n {
				case 3:
					return f.Truncate(size)
				case 4:
					return f.Preallocate(size)
				case 5:
					return f.Sync()
				}
				_, err = f.WriteAt(data, at)
				return err
			})
		}
		names, err := mem.List("d")
		must(t, err)
		onDisk, err := system.List(filepath.Join(root, "d"))
		must(t, err)
		if fmt.Sprint(names) != fmt.Sprint(onDisk) {
			t.Fatalf("seed %d: %v in memory, %v on disk", seed, names, onDisk)
		}
		for _, name := range names {
			if a, b := content(t, mem, "d/"+name), content(t, system, filepath.Join(root, "d", name)); !bytes.Equal(a, b) {
				t.Fatalf("seed %d: %q differs: %d bytes in memory, %d on disk", seed, name, len(a), len(b))
			}
		}
	}
}

// TestCrash: what was synced survives (I1, I2); what was not is sometimes there, sometimes not, sometimes half (I3).
func TestCrash(t *testing.T) {
	seen := map[string]bool{}
	for seed := range uint64(300) {
		m := NewMem()
		must(t, m.MakeDir("d"))
		f, err := m.Create("d/kept")
		must(t, err)
		old := bytes.Repeat([]byte("o"), 2*sector)
		_, err = f.WriteAt(old, 0)
		must(t, err)
		must(t, f.Sync())
		must(t, m.SyncDir("d"))
		_, err = f.WriteAt(bytes.Repeat([]byte("n"), 2*sector), 0)
		must(t, err)
		g, err := m.Create("d/new")
		must(t, err)
		must(t, g.Sync()) // the content, not the name
		must(t, m.Rename("d/kept", "d/renamed"))

		m2 := m.Crash(rand.New(rand.NewPCG(seed, 0)))
		if _, err := f.Size(); !errors.Is(err, ErrCrashed) {
			t.Fatalf("old handle: %v", err)
		}
		if _, err := m.List("d"); !errors.Is(err, ErrCrashed) {
			t.Fatalf("old file system: %v", err)
		}
		names, err := m2.List("d")
		must(t, err)
		seen[fmt.Sprint("names ", names)] = true
		name := "d/kept"
		for _, n := range names {
			if n == "renamed" {
				name = "d/renamed"
			}
		}
		b := content(t, m2, name)
		switch n := bytes.Count(b, []byte("n")); {
		case len(b) != 2*sector:
			t.Fatalf("%d bytes", len(b))
		case n == 0 || n == len(b):
			seen[fmt.Sprint("new ", n > 0)] = true
		case n == sector:
			seen[fmt.Sprint("sector at ", bytes.IndexByte(b, 'n'))] = true
		default:
			seen["torn"] = true
		}
	}
	for _, want := range []string{
		"names [kept]", "names [kept new]", "names [new renamed]",
		"new true", "new false", "sector at 0", "sector at 512", "torn",
	} {
		if !seen[want] {
			t.Errorf("never seen: %q; seen: %v", want, seen)
		}
	}
}

// TestKill: a killed process loses nothing but its locks.
func TestKill(t *testing.T) {
	m := NewMem()
	must(t, m.MakeDir("d"))
	_, err := m.Lock("d/lock")
	must(t, err)
	if _, err := m.Lock("d/lock"); !errors.Is(err, ErrLocked) {
		t.Fatal(err)
	}
	f, err := m.Create("d/f")
	must(t, err)
	_, err = f.WriteAt([]byte("hello"), 3)
	must(t, err)
	m2 := m.Kill()
	_, err = m2.Lock("d/lock")
	must(t, err)
	if got := content(t, m2, "d/f"); string(got) != "\x00\x00\x00hello" {
		t.Fatalf("%q", got)
	}
	if _, err := f.WriteAt([]byte("x"), 0); !errors.Is(err, ErrCrashed) {
		t.Fatal(err)
	}
}

// TestFaulty: the hook sees every operation, and a failed write leaves its first half.
func TestFaulty(t *testing.T) {
	broken := errors.New("broken")
	var ops []Kind
	mem := NewMem()
	f := NewFaulty(mem, func(op Op) error {
		if op.N != len(ops) {
			t.Errorf("operation %d has number %d", len(ops), op.N)
		}
		ops = append(ops, op.Kind)
		if op.Kind == OpWrite {
			return broken
		}
		return nil
	})
	must(t, f.MakeDir("d"))
	file, err := f.Create("d/f")
	must(t, err)
	if n, err := file.WriteAt([]byte("abcdef"), 0); n != 3 || !errors.Is(err, broken) {
		t.Fatalf("%d, %v", n, err)
	}
	must(t, file.Sync())
	must(t, file.Truncate(2))
	must(t, f.Rename("d/f", "d/g"))
	must(t, f.SyncDir("d"))
	if got := content(t, f, "d/g"); string(got) != "ab" {
		t.Fatalf("%q", got)
	}
	must(t, f.Remove("d/g"))
	want := []Kind{OpMakeDir, OpCreate, OpWrite, OpSync, OpTruncate, OpRename, OpSyncDir, OpOpen, OpRead, OpRemove}
	if fmt.Sprint(ops) != fmt.Sprint(want) {
		t.Fatalf("%v\nwant\n%v", ops, want)
	}
}

func TestLockHasOneHolder(t *testing.T) {
	dir := t.TempDir()
	must(t, OS{}.MakeDir(filepath.Join(dir, "a", "b")))
	must(t, OS{}.MakeDir(filepath.Join(dir, "a", "b")))
	name := filepath.Join(dir, "a", "b", "lock")
	l, err := OS{}.Lock(name)
	must(t, err)
	if _, err := (OS{}).Lock(name); !errors.Is(err, ErrLocked) {
		t.Fatal(err)
	}
	must(t, l.Close())
	l, err = OS{}.Lock(name)
	must(t, err)
	must(t, l.Close())
}
