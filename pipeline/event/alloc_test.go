package event

import (
	"fmt"
	"math/rand/v2"
	"testing"
)

// I6
func TestAllocations(t *testing.T) {
	msgs := append(messages(4, 64), []byte(goldenMessages[0]), []byte(goldenMessages[1]))
	d := NewDecoder(shop(), DefaultLimits)
	frozen := NewDecoder(shop(), DefaultLimits)
	frozen.frozen = true
	var e, out Event
	buf := make([]byte, 0, 4096)
	none := func(what string, fn func(m []byte)) {
		t.Helper()
		for range 3 {
			for _, m := range msgs {
				fn(m)
			}
		}
		i := 0
		if n := testing.AllocsPerRun(len(msgs)*3, func() { fn(msgs[i%len(msgs)]); i++ }); n != 0 {
			t.Errorf("%s allocates %v times", what, n)
		}
	}
	check := func(err error) {
		if err != nil {
			t.Fatal(err)
		}
	}
	none("Decode", func(m []byte) { check(d.Decode(m, noon, &e)) })
	none("Decode without what it has learnt", func(m []byte) { check(frozen.Decode(m, noon, &e)) })
	none("AppendPacked and Unpack", func(m []byte) {
		check(d.Decode(m, noon, &e))
		_, err := Unpack(AppendPacked(buf, &e), d.schema, &out)
		check(err)
	})
	for i, m := range msgs {
		msgs[i], _, _ = bothForms(parseRaw(m))
	}
	none("DecodeMsgpack", func(m []byte) { check(d.DecodeMsgpack(m, noon, &e)) })
	for i := range msgs {
		msgs[i] = []byte("garbage")
	}
	none("Unpack of garbage", func(m []byte) { Unpack(m, d.schema, &out) })
}

// A producer that never repeats a key must neither grow the atlas without end nor change results, and when it has
// gone the others are learnt anew.
func TestAtlasIsBounded(t *testing.T) {
	d := NewDecoder(shop(), DefaultLimits)
	var e Event
	r := rand.New(rand.NewPCG(3, 4))
	hostile := func() []byte {
		return fmt.Appendf(nil, `{"type":"page","k%d":{"k%d":1,"k%d":[1]},"userId":"u","properties":{"p%d":true,"total":%d}}`, r.Uint32(), r.Uint32(), r.Uint32(), r.Uint32(), r.IntN(100))
	}
	forgot := 0
	for range 60_000 {
		before := d.edges
		if err := d.Decode(hostile(), noon, &e); err != nil {
			t.Fatal(err)
		}
		if d.edges < before {
			forgot++
		}
		if len(d.places) > d.fixedPlaces+maxPlaces || d.edges > maxEdges || d.held > maxText {
			t.Fatalf("%d places, %d edges, %d bytes", len(d.places), d.edges, d.held)
		}
	}
	if forgot == 0 {
		t.Errorf("nothing was forgotten; missed %d", d.missed)
	}
	d.forget()
	if len(d.places) != d.fixedPlaces || d.edges != 0 || d.held != 0 {
		t.Errorf("%d places, %d edges are left", len(d.places), d.edges)
	}
	cold := NewDecoder(shop(), DefaultLimits)
	cold.frozen = true
	for _, m := range messages(50, 100) {
		checkDecode(t, d, cold, m, noon)
	}
}
