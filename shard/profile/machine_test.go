package profile

import (
	"bytes"
	"encoding/binary"
	"errors"
	"flag"
	"os"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// gate is a writer that lets one Write through per token. The first one is the header, so a snapshot can wait there
// before it has read any page.
type gate struct {
	tokens chan struct{}
	bytes.Buffer
}

func (g *gate) Write(b []byte) (int, error) {
	<-g.tokens
	return g.Buffer.Write(b)
}

// writing is a snapshot that is being written on its own goroutine.
type writing struct {
	snapshot *Snapshot
	gate     *gate
	done     chan struct{}
	err      error // once done
	want     oracle
	hash     uint64
	released bool
}

// machine is a table, its oracle, and snapshots under way.
type machine struct {
	mem       *guard
	tab       *Table
	want      oracle
	keys      []modelKey // of want, in order of insertion, so that rapid can repeat a run
	snapshots []*writing
}

func (m *machine) any(t *rapid.T) *model {
	if len(m.keys) == 0 {
		t.Skip("empty")
	}
	return m.want[m.keys[rapid.IntRange(0, len(m.keys)-1).Draw(t, "which")]]
}

func (m *machine) insert(t *rapid.T) {
	layout := m.tab.Layout()
	for range rapid.SampledFrom([]int{1, 1, 1, 30}).Draw(t, "count") {
		k := modelKey{
			hash:      rapid.SampledFrom([]uint64{0, 1, 1 << 63, rapid.Uint64().Draw(t, "hash")}).Draw(t, "collide"),
			namespace: rapid.Uint8Range(0, 3).Draw(t, "namespace"),
			key:       rapid.StringOfN(rapid.RuneFrom([]rune("abc")), 0, 12, -1).Draw(t, "key"),
		}
		if _, ok := m.tab.Find(k.hash, k.namespace, []byte(k.key)); ok != (m.want[k] != nil) {
			t.Fatalf("Find %v gives %v", k, ok)
		} else if ok {
			continue
		}
		ordinal := m.want.lowest()
		r := m.tab.Insert(k.hash, k.namespace, []byte(k.key))
		m.want[k] = &model{
			hash: k.hash, namespace: k.namespace, key: k.key, ordinal: ordinal,
			fixed: make([]byte, layout.Fixed), segments: make([][]byte, layout.Segments), ref: r,
		}
		m.keys = append(m.keys, k)
		m.want[k].compare(t, m.tab.Record(r))
	}
}

func (m *machine) edit(t *rapid.T) {
	w := m.any(t)
	r := m.tab.Edit(w.ref)
	w.first, w.last = rapid.Int64().Draw(t, "first"), rapid.Int64().Draw(t, "last")
	w.version, w.sequence = rapid.Uint64().Draw(t, "version"), rapid.Uint32().Draw(t, "sequence")
	r.SetFirst(w.first)
	r.SetLast(w.last)
	r.SetVersion(w.version)
	r.SetSequence(w.sequence)
	if len(w.fixed) > 0 {
		i := rapid.IntRange(0, len(w.fixed)-1).Draw(t, "at")
		w.fixed[i]++
		r.Fixed()[i]++
	}
}

// setSegment replaces a segment with bytes of any length, or of the same one in place.
func (m *machine) setSegment(t *rapid.T) {
	if m.tab.Layout().Segments == 0 {
		t.Skip("no segments")
	}
	w := m.any(t)
	i := rapid.IntRange(0, len(w.segments)-1).Draw(t, "segment")
	if len(w.segments[i]) > 0 && rapid.Bool().Draw(t, "in place") {
		s := m.tab.Edit(w.ref).Segment(i)
		s[0]++
		w.segments[i][0]++
		if r := m.tab.SetSegment(w.ref, i, s); r != w.ref {
			t.Fatalf("a segment that was edited in place moves the record")
		}
		return
	}
	n := rapid.OneOf(rapid.IntRange(0, 40), rapid.IntRange(0, 2000), rapid.SampledFrom([]int{
		len(w.segments[i]) + 1, max(len(w.segments[i])-1, 0), maxSmall - 100, maxSmall + 1, 40_000, 120_000,
	})).Draw(t, "length")
	b := make([]byte, n)
	if n > 0 {
		fill(b, rapid.Byte().Draw(t, "byte"))
		b[n-1]++
	}
	w.segments[i] = b
	w.ref = m.tab.SetSegment(w.ref, i, b)
}

// setSegments replaces all segments at once, those of an equal content too.
func (m *machine) setSegments(t *rapid.T) {
	w := m.any(t)
	var dir, data []byte
	for i := range w.segments {
		if rapid.Bool().Draw(t, "change") {
			n := rapid.OneOf(rapid.IntRange(0, 100), rapid.SampledFrom([]int{2000, maxSmall, 40_000})).Draw(t, "length")
			w.segments[i] = bytes.Repeat([]byte{rapid.Byte().Draw(t, "byte")}, n)
		}
		data = append(data, w.segments[i]...)
		dir = binary.LittleEndian.AppendUint32(dir, uint32(len(data)))
	}
	w.ref = m.tab.SetSegments(w.ref, dir, data)
}

func (m *machine) delete(t *rapid.T) {
	for range rapid.SampledFrom([]int{1, 1, 20}).Draw(t, "count") {
		w := m.any(t)
		k := modelKey{w.hash, w.namespace, w.key}
		m.tab.Delete(w.ref)
		delete(m.want, k)
		m.keys = slices.DeleteFunc(m.keys, func(o modelKey) bool { return o == k })
		if _, ok := m.tab.Find(k.hash, k.namespace, []byte(k.key)); ok {
			t.Fatalf("%v is still found after Delete", k)
		}
	}
}

func (m *machine) snapshot(t *rapid.T) {
	if len(m.snapshots) == 3 {
		t.Skip("enough")
	}
	w := &writing{
		snapshot: m.tab.Snapshot(), gate: &gate{tokens: make(chan struct{})}, done: make(chan struct{}),
		want: m.want.clone(), hash: m.tab.Hash(),
	}
	go func() {
		_, w.err = w.snapshot.WriteTo(w.gate)
		close(w.done)
	}()
	m.snapshots = append(m.snapshots, w)
}

// step lets one snapshot write one more block.
func (m *machine) step(t *rapid.T) {
	if len(m.snapshots) == 0 {
		t.Skip("none")
	}
	w := rapid.SampledFrom(m.snapshots).Draw(t, "snapshot")
	select {
	case w.gate.tokens <- struct{}{}:
	case <-w.done:
	}
}

func (m *machine) release(t *rapid.T) {
	if len(m.snapshots) == 0 {
		t.Skip("none")
	}
	w := rapid.SampledFrom(m.snapshots).Draw(t, "snapshot")
	w.snapshot.Release()
	w.released = true
	if rapid.Bool().Draw(t, "finish") {
		m.finish(t, slices.Index(m.snapshots, w))
	}
}

// finish lets a snapshot come to its end and compares what it wrote.
func (m *machine) finish(t *rapid.T, i int) {
	w := m.snapshots[i]
	m.snapshots = slices.Delete(m.snapshots, i, i+1)
	close(w.gate.tokens)
	<-w.done
	w.snapshot.Release()
	if w.released && errors.Is(w.err, ErrReleased) {
		return
	}
	if w.err != nil {
		t.Fatal(w.err)
	}
	tab, err := Read(&w.gate.Buffer, m.mem)
	if err != nil {
		t.Fatal(err)
	}
	defer tab.Close()
	w.want.compare(t, tab, false)
	check(t, tab)
	if tab.Hash() != w.hash {
		t.Fatalf("the hash is %x after Read, want %x (I4, I7)", tab.Hash(), w.hash)
	}
}

// restore goes on with a table that went through a stream.
func (m *machine) restore(t *rapid.T) {
	s := m.tab.Snapshot()
	var b bytes.Buffer
	if _, err := s.WriteTo(&b); err != nil {
		t.Fatal(err)
	}
	if _, err := s.WriteTo(&b); !errors.Is(err, ErrWritten) {
		t.Fatalf("a second WriteTo gives %v", err)
	}
	s.Release()
	hash := m.tab.Hash()
	m.tab.Close() // other snapshots may be under way
	tab, err := Read(&b, m.mem)
	if err != nil {
		t.Fatal(err)
	}
	if tab.Hash() != hash {
		t.Fatalf("the hash is %x after Read, want %x (I7)", tab.Hash(), hash)
	}
	m.tab = tab
	for k, w := range m.want {
		w.ref, _ = tab.Find(k.hash, k.namespace, []byte(k.key))
	}
}

// TestMain makes the runs of TestTableMachine longer than rapid does by itself.
func TestMain(m *testing.M) {
	if err := flag.Set("rapid.steps", "100"); err != nil {
		panic(err)
	}
	os.Exit(m.Run())
}

func TestTableMachine(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		layout := rapid.SampledFrom([]Layout{{0, 0}, {8, 1}, {160, 3}, {0, 12}, {2000, 2}}).Draw(t, "layout")
		m := &machine{mem: newGuard(t), want: oracle{}}
		m.tab = New(layout, m.mem)
		t.Repeat(map[string]func(*rapid.T){
			"insert": m.insert, "insert2": m.insert, "edit": m.edit, "set": m.setSegment, "set2": m.setSegment, "set all": m.setSegments, "delete": m.delete,
			"snapshot": m.snapshot, "step": m.step, "release": m.release, "restore": m.restore,
			"finish": func(t *rapid.T) {
				if len(m.snapshots) == 0 {
					t.Skip("none")
				}
				m.finish(t, rapid.IntRange(0, len(m.snapshots)-1).Draw(t, "snapshot"))
			},
			"": func(t *rapid.T) { check(t, m.tab) },
		})
		m.want.compare(t, m.tab, true)
		// Half of the runs close the table before its snapshots have come to their end.
		early := rapid.Bool().Draw(t, "close early")
		if early {
			m.tab.Close()
		}
		for len(m.snapshots) > 0 {
			m.finish(t, 0)
		}
		m.tab.Close()
		if n := m.mem.inUse(); n != 0 {
			t.Fatalf("%d bytes are in use after Close and Release", n)
		}
		m.mem.verify()
	})
}
