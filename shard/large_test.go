package shard

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"testing"

	"dashi/pipeline/attribute"
	"dashi/pipeline/event"
	"dashi/shard/profile"

	"github.com/cespare/xxhash/v2"
)

// largeRecipe has 24 sets of up to 5 MB: 120 MB together. Compile refuses it today; a cookbook that is in force stays.
func largeRecipe() string {
	b := "recipe: large\nidentity: {namespaces: [{name: user_id, from: userId}, {name: email, from: traits.email}]}\nattributes:\n  n: {kind: count, on: \"*\"}\n"
	for i := range 24 {
		on := "other"
		if i%12 == 0 {
			on = "buy"
		}
		b += fmt.Sprintf("  s%d: {kind: set, limit: 10000, add: {on: %s, value: properties.product_id}}\n", i, on)
	}
	return b
}

// fullSet is the state of a set of 10,000 strings of 512 bytes.
func fullSet(k attribute.Kind) []byte {
	var parts [][]byte
	for i := range 100 {
		var seg []byte
		for j := range 100 {
			in := attribute.Input{Value: event.Value{Kind: event.String, Str: fmt.Appendf(nil, "%05d%s", 100*i+j, strings.Repeat("x", attribute.MaxElement-5))}, Time: fallback, Now: fallback}
			seg = k.Update(nil, seg, &in, nil)
		}
		parts = append(parts, seg)
	}
	for len(parts) > 1 {
		var next [][]byte
		for i := 0; i < len(parts); i += 2 {
			if i+1 == len(parts) {
				next = append(next, parts[i])
			} else {
				next = append(next, k.Merge(nil, parts[i], nil, parts[i+1], nil))
			}
		}
		parts = next
	}
	return parts[0]
}

// fill makes some of the sets of a profile full.
func (w *town) fill(id string, from, to int) {
	w.t.Helper()
	s := w.s
	var full []byte
	var ref profile.Ref
	s.table.Each(func(r profile.Ref, rec profile.Record) bool {
		if string(rec.Key()) == id[strings.Index(id, ":")+1:] {
			ref = r
		}
		return true
	})
	for i := range s.program.Attributes {
		a := &s.program.Attributes[i]
		var n int
		if _, err := fmt.Sscanf(a.Name, "s%d", &n); err != nil || n < from || n >= to {
			continue
		}
		if full == nil {
			full = fullSet(a.Kind)
		}
		ref = s.table.SetSegment(ref, a.Slot.Segment, full)
	}
}

// size is how many bytes the segments of the largest record take.
func (w *town) size() (n int) {
	w.s.table.Each(func(_ profile.Ref, rec profile.Record) bool { n = max(n, len(rec.Data())); return true })
	return n
}

// A profile as large as may be takes no more in, by events or by a merge. That is counted, and is no panic.
func TestTooLarge(t *testing.T) {
	w := newTown(t, largeRecipe())
	w.event("0 buy a 0 user_id:u")
	w.event("1 buy b 0 user_id:v")
	w.fill("user_id:u", 0, 12) // 63 MB
	w.fill("user_id:v", 12, 24)
	for i, id := range []string{"user_id:u", "user_id:u email:e@x.example", "user_id:v email:e@x.example"} {
		w.event(fmt.Sprintf("%d buy %s 0 %s", 2+i, strings.Repeat("y", 500), id))
	}
	merges := w.s.Stats().TooLarge
	w.fill("user_id:u", 12, 13)
	w.event("5 buy " + strings.Repeat("z", 500) + " 0 user_id:u")
	if n := w.s.Stats().TooLarge; merges == 0 || n == merges {
		t.Errorf("%d merges and %d updates were left out", merges, n-merges)
	}
	if n := w.size(); n < 60<<20 || n > MaxProfile+8<<20 {
		t.Errorf("a record of %d bytes", n)
	}
	p := w.profile("user_id:u")
	if p != w.profile("user_id:v") || !strings.Contains(p, `"n":6`) { // what has no elements goes on
		t.Errorf("not one person of 6 events: %.200s", p)
	}
	w.s = restoreCopy(t, w.s)
	w.unlink("user_id:u", "user_id:v")
	if a, b := w.profile("user_id:u"), w.profile("user_id:v"); a == b {
		t.Error("they do not come apart")
	}
	if n := w.s.Stats().TooLarge; n == 0 {
		t.Error("the count is lost")
	}
}

// A component whose identifiers are as long as may be fills up before it is too large for its record.
func TestComponentOfLongNames(t *testing.T) {
	w := newTown(t, unlinkRecipe)
	w.event("0 look x 0 user_id:u")
	w.event("1 look x 0 user_id:u email:e@x.example")
	s := w.s
	a, email := &s.apply, uint8(slices.Index(s.namespaces, "email"))
	k := s.key(uint8(slices.Index(s.namespaces, "user_id")), []byte("u"))
	ref, _ := s.table.Find(k.hash, k.ns, k.value)
	a.load(ref)
	for i := range 256 {
		k := s.key(email, fmt.Appendf(nil, "%d%s", i, strings.Repeat("a", maxIdentifier-10)))
		a.comp.idents = append(a.comp.idents, ident{key: k, unseen: true, profile: len(a.comp.idents)})
	}
	a.fillHashes(&a.comp)
	slices.SortFunc(a.comp.idents[2:], func(x, y ident) int { return s.compare(x.key, y.key) })
	for i := range a.comp.idents[2:] {
		a.comp.idents[2+i].profile = 2 + i
	}
	a.store()
	for what, do := range map[string]func(){
		"a link": func() { w.event("2 look x 0 user_id:u email:other@x.example") },
		"a cut": func() {
			s.Apply(AppendUnlink(nil, s.now, "user_id", []byte("u"), "email", []byte("third@x.example")))
		},
	} {
		before := s.Stats().ComponentFull
		if do(); s.Stats().ComponentFull == before {
			t.Errorf("%s was taken", what)
		}
	}
	if p := w.profile("user_id:u"); strings.Contains(p, "other") || !strings.Contains(p, `"n":3`) {
		t.Errorf("%.300s", p)
	}
}

// A snapshot of before the count of that is read as well.
func TestSnapshotWithoutTooLarge(t *testing.T) {
	w := newTown(t, linkedRecipe)
	w.event("0 look a 0 user_id:u")
	w.s.counters.TooLarge = 0x1122334455667788
	want := w.profile("user_id:u")
	var b bytes.Buffer
	snap := w.s.Snapshot()
	defer snap.Release()
	if _, err := snap.WriteTo(&b); err != nil {
		t.Fatal(err)
	}
	head := len(snapshotMagic) + 1 + 16
	all := b.Bytes()
	body := all[head : head+int(le64(all[head-16:]))]
	at := bytes.Index(body, binary.LittleEndian.AppendUint64(nil, w.s.counters.TooLarge))
	if at < 0 {
		t.Fatal("the count is not there")
	}
	old := append(slices.Clone(snapshotMagic), oldestSnapshot)
	short := slices.Concat(body[:at], body[at+8:])
	old = binary.LittleEndian.AppendUint64(binary.LittleEndian.AppendUint64(old, uint64(len(short))), xxhash.Sum64(short))
	old = append(append(old, short...), all[head+len(body):]...)
	s, err := Restore(bytes.NewReader(old), testSettings())
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	w.s = s
	w.want(w.profile("user_id:u"), want)
	if got := s.Stats(); got.TooLarge != 0 || got.Events != 1 {
		t.Errorf("%d too large of %d events", got.TooLarge, got.Events)
	}
}
