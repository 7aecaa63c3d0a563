package shard

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"testing"

	"dashi/shard/profile"
)

const renewRecipe = `recipe: renew
identity: {namespaces: [{name: user_id, from: userId}, {name: email, from: traits.email}]}
attributes:
  wishes: {kind: tally, on: wish, value: properties.product_id, window: 30d}
  left:   {kind: sequence, key: properties.product_id, steps: [{on: wish}, {not: buy, within: 1h}]}
`

// A snapshot of before version 19 is read: its tallies in a window and its sequences get the bytes that are written today.
func TestSnapshotOfEarlierStates(t *testing.T) {
	w := newTown(t, renewRecipe)
	for i := range 40 {
		w.event(fmt.Sprintf("%d wish item-%d %d user_id:u email:u@x.example", 3*i, i%13, i))
	}
	want := w.s.Fingerprint()
	tally, sequence := w.s.program.Attributes[0], w.s.program.Attributes[1]
	for _, table := range []*profile.Table{w.s.table, w.s.fragments} {
		for o := range table.Ordinals() {
			ref, found := table.ByOrdinal(o)
			if !found {
				continue
			}
			rec := table.Edit(ref)
			seg := bytes.Clone(rec.Segment(tally.Slot.Segment))
			if len(seg) == 0 {
				continue
			}
			fixed := rec.Fixed()
			binary.LittleEndian.PutUint16(fixed[tally.Slot.Offset+14:], 0)
			fixed[sequence.Slot.Offset+18]++
			keys, cells := int(binary.LittleEndian.Uint16(seg)), 18*int(binary.LittleEndian.Uint16(seg[2:]))
			front := 4 + 6*keys + int(binary.LittleEndian.Uint32(seg[6*keys:])&(1<<24-1))
			table.SetSegment(ref, tally.Slot.Segment, append(seg[:front:front], seg[len(seg)-cells:]...))
		}
	}
	if w.s.Fingerprint() == want {
		t.Fatal("nothing is as it was")
	}
	var b bytes.Buffer
	snap := w.s.Snapshot()
	defer snap.Release()
	if _, err := snap.WriteTo(&b); err != nil {
		t.Fatal(err)
	}
	old := b.Bytes()
	old[len(snapshotMagic)] = 18
	s, err := Restore(bytes.NewReader(old), testSettings())
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if got := s.Fingerprint(); got != want {
		t.Errorf("%x, want %x", got, want)
	}
}
