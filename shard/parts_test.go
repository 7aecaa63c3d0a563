package shard

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strings"
	"testing"

	"dashi/shard/profile"
)

// parcel is what has the messages of one shard for the other go in entries as a courier makes them. It returns the largest of them.
func (c *couple) parcel(from int) (largest int) {
	to, now := 1-from, coupleStart
	c.s[from].Outgoing(func(_ int, first, next uint64) {
		for first < next {
			var m Messages
			m.Begin(from, c.s[from].Dialect(), first)
			c.s[from].EachMessage(to, first, func(_ uint64, message []byte) bool { m.Add(message); return m.Len() < 64<<10 })
			entry := bytes.Clone(m.Seal(now.UnixMilli()))
			largest = max(largest, len(entry))
			mustAccept(c.t, c.s[to].Apply(entry))
			mustAccept(c.t, c.s[to].Apply(entry)) // as well again
			c.s[to] = restoreCopy(c.t, c.s[to])
			mustAccept(c.t, c.s[from].Apply(AppendPeerAcks(nil, now.UnixMilli(), PeerAck{Peer: to, Position: m.Next()})))
			first = m.Next()
		}
	})
	return largest
}

// A component of more than an entry, a call or a frame may take moves to another shard in parts. Those that have come outlive a snapshot.
func TestLargeComponentMoves(t *testing.T) {
	recipe := coupleRecipe
	for i := range 3 {
		recipe += fmt.Sprintf("  s%d: {kind: set, limit: 10000, add: {on: Visit, value: properties.product_id}}\n", i)
	}
	a, b := inOrder("u1", "u3")
	c := newCouple(t, recipe, "user:"+a)
	now := coupleStart
	c.feed(0, now, now, `"userId":"`+a+`"`, `"card":"c1"`)
	c.feed(1, now, now, `"userId":"`+b+`"`, `"product_id":"p"`)
	c.rest(now)
	s := c.s[1]
	var ref profile.Ref
	s.table.Each(func(r profile.Ref, rec profile.Record) bool {
		if string(rec.Key()) == b {
			ref = r
		}
		return true
	})
	full := fullSet(s.program.Attributes[1].Kind)
	for i := range s.program.Attributes {
		if at := &s.program.Attributes[i]; strings.HasPrefix(at.Name, "s") {
			ref = s.table.SetSegment(ref, at.Slot.Segment, full)
		}
	}
	want := c.profile(1, "user", b)
	c.feed(1, now, now, `"userId":"`+b+`"`, `"card":"c1"`)
	largest, held := 0, int64(0)
	for again := true; again; {
		again = false
		for from := range c.s {
			held = max(held, c.s[from].Load().Peers)
			n := c.parcel(from)
			largest, again = max(largest, n), again || n > 0
		}
	}
	if held < 15e6 {
		t.Errorf("at most %d bytes were on their way", held)
	}
	if largest < maxMessage || largest > maxMessage+128<<10 {
		t.Errorf("an entry has %d bytes", largest)
	}
	got := c.profile(0, "user", b)
	if before, after := strings.Count(want, "\""), strings.Count(got, "\""); before < 2*30000 || after < before {
		t.Errorf("%d strings arrived of %d", after, before)
	}
	if n := c.s[0].Load().Peers + c.s[1].Load().Peers; n != 0 || c.s[0].peer(1).part != nil {
		t.Errorf("%d bytes are still on their way", n)
	}
	for _, s := range c.s {
		if err := s.Check(); err != nil {
			t.Error(err)
		}
		if n := s.Stats().Corrupt; n > 0 {
			t.Errorf("%d corrupt", n)
		}
	}
}

// Snapshots of before there were parts are read as well.
func TestPeersOfOldSnapshots(t *testing.T) {
	s := newShard(t, testSettings(), readInline("parts.yml", coupleRecipe))
	box := outbox{first: 3, next: 3}
	var old []byte
	old = binary.AppendUvarint(old, 1)
	old = binary.AppendUvarint(old, 7)
	old = box.append(old)
	rest, err := s.restorePeers(append(old, 0xee), 17)
	if p := s.peer(0); err != nil || !bytes.Equal(rest, []byte{0xee}) || p.mark != 7 || p.out.next != 3 || p.part != nil {
		t.Errorf("%+v, %x, %v", p, rest, err)
	}
	s.peers[0].part = []byte("half")
	now := appendPeers(nil, s.freezePeers())
	s.peers = nil
	if rest, err := s.restorePeers(now, snapshotVersion); err != nil || len(rest) > 0 || string(s.peer(0).part) != "half" {
		t.Errorf("%+v, %x, %v", s.peer(0), rest, err)
	}
}
