package profile

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"flag"
	"io"
	"os"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/cespare/xxhash/v2"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// goldenTable has every case of the format: empty and full parts, a free ordinal, a large record, two blocks.
func goldenTable(m Memory) *Table {
	t := New(Layout{Fixed: 16, Segments: 2}, m)
	insert := func(hash uint64, namespace uint8, key string) Ref { return t.Insert(hash, namespace, []byte(key)) }
	insert(0x0123456789abcdef, 0, "")
	gap := insert(1, 1, "deleted")
	r := t.SetSegment(insert(2, 7, "ada@example.com"), 1, []byte("second"))
	rec := t.Edit(r)
	rec.SetFirst(-1)
	rec.SetLast(1_700_000_000_000)
	rec.SetVersion(3)
	rec.SetSequence(4)
	copy(rec.Fixed(), "sixteen bytes...")
	t.SetSegment(insert(2, 7, "bob@example.com"), 0, bytes.Repeat([]byte("large"), blockPayload/5))
	t.SetSegment(insert(2, 8, "bob@example.com"), 1, []byte("large, as it is over 16 KiB with this:"+string(make([]byte, maxSmall))))
	t.SetSegment(insert(3, 255, "last"), 0, []byte("first"))
	t.Delete(gap)
	return t
}

func write(tb testing.TB, t *Table) []byte {
	tb.Helper()
	var b bytes.Buffer
	s := t.Snapshot()
	defer s.Release()
	n, err := s.WriteTo(&b)
	if err != nil || n != int64(b.Len()) {
		tb.Fatalf("WriteTo gives %d, %v for %d bytes", n, err, b.Len())
	}
	return b.Bytes()
}

func TestGolden(t *testing.T) {
	tab := goldenTable(Heap{})
	defer tab.Close()
	got := write(t, tab)
	// The large segments are left out of the file so that people can read it.
	text := bytes.Replace(got, bytes.Repeat([]byte("large"), blockPayload/5), []byte("large.."), 1)
	text = []byte(hex.Dump(bytes.Replace(text, make([]byte, maxSmall), []byte("zeros.."), 1)))
	const file = "testdata/v1.hex"
	if *update {
		if err := os.WriteFile(file, text, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(text, want) {
		t.Errorf("the stream is not as in %s (version %d):\n%s", file, version, text)
	}
	back, err := Read(bytes.NewReader(got), Heap{})
	if err != nil {
		t.Fatal(err)
	}
	if back.Hash() != tab.Hash() || back.Hash() != 0xa7b68a8d0a7365f5 {
		t.Errorf("the hash is %#x after Read, %#x before", back.Hash(), tab.Hash())
	}
	if o := back.ordinals.lowest(); o != 1 {
		t.Errorf("the lowest free ordinal is %d after Read, want 1", o)
	}
}

func TestReadStopsAtTheEnd(t *testing.T) {
	tab := goldenTable(Heap{})
	defer tab.Close()
	r := strings.NewReader(string(write(t, tab)) + "what follows")
	back, err := Read(iotest.HalfReader(r), Heap{})
	if err != nil {
		t.Fatal(err)
	}
	rest, _ := io.ReadAll(r)
	if string(rest) != "what follows" || back.Hash() != tab.Hash() {
		t.Errorf("%q is left", rest)
	}
}

// TestReadCorrupt: whatever byte is changed and wherever the stream ends, Read says so (I8) and gives its memory back.
func TestReadCorrupt(t *testing.T) {
	tab := New(Layout{Fixed: 8, Segments: 1}, Heap{})
	defer tab.Close()
	for i := range 3 {
		tab.SetSegment(tab.Insert(uint64(i), 0, []byte("key")), 0, []byte("segment"))
	}
	good := write(t, tab)
	mem := newGuard(t)
	f := func(what string, at int, b []byte) {
		t.Helper()
		back, err := Read(bytes.NewReader(b), mem)
		if err == nil {
			t.Fatalf("%s %d: no error, hash %x", what, at, back.Hash())
		}
		if !errors.Is(err, ErrCorrupt) && !errors.Is(err, ErrVersion) {
			t.Fatalf("%s %d: %v", what, at, err)
		}
		if n := mem.inUse(); n != 0 {
			t.Fatalf("%s %d: %d bytes are in use", what, at, n)
		}
	}
	for at := range good {
		f("cut at", at, good[:at])
		for _, flip := range []byte{1, 0x80, 0xff} {
			b := bytes.Clone(good)
			b[at] ^= flip
			f("changed at", at, b)
		}
	}
	broken := errors.New("the disk is broken")
	if _, err := Read(io.MultiReader(bytes.NewReader(good[:100]), iotest.ErrReader(broken)), mem); !errors.Is(err, broken) {
		t.Errorf("a failing reader gives %v", err)
	}
}

// seal puts right checksums into a stream, so that tests get past them.
func seal(b []byte) []byte {
	b = bytes.Clone(b)
	if len(b) < headerSize {
		return b
	}
	binary.LittleEndian.PutUint64(b[32:], xxhash.Sum64(b[:32]))
	for rest := b[headerSize:]; len(rest) >= blockHead; {
		n := uint64(binary.LittleEndian.Uint32(rest[12:])) + blockHead
		if n > uint64(len(rest)) {
			break
		}
		binary.LittleEndian.PutUint64(rest[16:], blockSum(rest[:n]))
		rest = rest[n:]
	}
	return b
}

// TestReadWrong: content that no table has, under right checksums, is an error as well.
func TestReadWrong(t *testing.T) {
	tab := New(Layout{Fixed: 8, Segments: 2}, Heap{})
	defer tab.Close()
	for i := range 2 {
		r := tab.SetSegment(tab.Insert(uint64(i), 0, []byte("key")), 0, []byte("first"))
		tab.SetSegment(r, 1, []byte("second"))
	}
	good := write(t, tab)
	const record = headerSize + blockHead
	const size = recordHead + minBody + 3 + 8 + 8 + 11
	f := func(want string, at int, b ...byte) {
		t.Helper()
		bad := bytes.Clone(good)
		copy(bad[at:], b)
		_, err := Read(bytes.NewReader(seal(bad)), Heap{})
		if !errors.Is(err, ErrCorrupt) || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", want, err)
		}
	}
	f("it begins with", 0, 'D')
	f("a layout of 9", 12, 9)
	f("2 records, not 3 as the header", 24, 3)
	f("block 5", headerSize+4, 5)
	f("kind 9", headerSize, 9)
	f("bytes are too many", headerSize+12, 0, 0, 0, 0xff)
	f("a record's head is cut off", headerSize+8, 3)
	f("bytes after the last record", headerSize+8, 1)
	f("a record of", record, 0xff, 0xff)
	f("a record's head is malformed", record+recordHead+1, 1)
	f("with a key of 255", record+recordHead+keyLenAt-bodyAt, 255)
	f("segments of 12 bytes in 11", record+size-11-4, 12)
	f("ends at 4, the one before it at 5", record+size-11-4, 4)
	f("is there twice", record+size+recordHead+hashAt-bodyAt, good[record+recordHead+hashAt-bodyAt:][:8]...)
	f("an ordinal of 10737418", record+size+4, 0, 0, 0, 0x40)
	f("ordinal 0 is there twice", record+size+4, 0)
	f("as the last block", len(good)-endSize, 7)
	f("add up to", len(good)-1, good[len(good)-1]+1)

	bad := bytes.Clone(good)
	bad[8] = 2
	if _, err := Read(bytes.NewReader(seal(bad)), Heap{}); !errors.Is(err, ErrVersion) {
		t.Errorf("version 2: %v", err)
	}
}

// failing fails from the n-th write on.
type failing struct{ n int }

func (f *failing) Write(b []byte) (int, error) {
	if f.n--; f.n < 0 {
		return len(b) / 2, io.ErrShortWrite
	}
	return len(b), nil
}

func TestWriteFails(t *testing.T) {
	mem := newGuard(t)
	tab := goldenTable(mem)
	for n := range 5 {
		s := tab.Snapshot()
		_, err := s.WriteTo(&failing{n})
		if wrong := n < 4; wrong != errors.Is(err, io.ErrShortWrite) {
			t.Errorf("failing at write %d gives %v", n, err)
		}
		if _, err := s.WriteTo(io.Discard); !errors.Is(err, ErrWritten) {
			t.Errorf("writing again gives %v", err)
		}
		if n%2 == 0 {
			s.Release() // one that ended without it holds nothing either
		}
	}
	tab.Close()
	if n := mem.inUse(); n != 0 {
		t.Errorf("%d bytes are in use after Close", n)
	}
}

func FuzzRead(f *testing.F) {
	tab := goldenTable(Heap{})
	for _, large := range []uint32{3, 4} {
		r, _ := tab.ByOrdinal(large)
		tab.SetSegment(tab.SetSegment(r, 0, []byte("not so large")), 1, nil)
	}
	good := write(f, tab)
	f.Add(good, false)
	f.Add(good, true)
	f.Add(good[:headerSize], true)
	f.Add(write(f, New(Layout{}, Heap{})), false)
	f.Fuzz(func(t *testing.T, b []byte, reseal bool) {
		if reseal {
			b = seal(b)
		}
		tab, err := Read(bytes.NewReader(b), Heap{})
		if err != nil {
			return
		}
		defer tab.Close()
		check(t, tab)
		back, err := Read(bytes.NewReader(write(t, tab)), Heap{})
		if err != nil || back.Hash() != tab.Hash() {
			t.Fatalf("what was read cannot be written and read again: %v", err)
		}
		tab.Each(func(r Ref, rec Record) bool {
			for i := range tab.Layout().Segments {
				tab.SetSegment(r, i, rec.Segment(i))
			}
			return len(rec.Key())+len(rec.Fixed())+len(rec.Data()) >= 0
		})
	})
}
