package event

import (
	"bytes"
	"encoding/hex"
	"math"
	"os"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// genEvent draws an event that Decode could have made.
func genEvent(t *rapid.T, s *Schema) *Event {
	e := &Event{}
	e.Reset(s)
	e.Type = rapid.IntRange(0, len(s.Types)).Draw(t, "type")
	if e.Type > 0 {
		e.Name = []byte(s.Types[e.Type-1])
	} else {
		e.Name = []byte(rapid.StringN(1, 10, 200).Draw(t, "name"))
	}
	e.Time = rapid.Int64Range(0, maxMillis).Draw(t, "time")
	e.Hash = rapid.Uint64().Draw(t, "hash")
	if rapid.Bool().Draw(t, "has id") {
		e.ID = [2]uint64{rapid.Uint64().Draw(t, "id"), 1}
	}
	first := rapid.IntRange(0, len(s.Namespaces)-1).Draw(t, "strongest")
	for ns := first; ns < len(s.Namespaces); ns++ {
		e.Identifiers = append(e.Identifiers, Identifier{uint8(ns), []byte(rapid.StringN(1, 20, 200).Draw(t, "identifier"))})
	}
	for a := range e.Lens {
		e.Lens[a] = rapid.IntRange(0, 3).Draw(t, "len")
	}
	for i, f := range s.Fields {
		if f.Array == 0 {
			e.Values[i] = genField(t, f.Kind)
			continue
		}
		for range e.Lens[f.Array-1] {
			e.Items[i] = append(e.Items[i], genField(t, f.Kind))
		}
	}
	return e
}

func genField(t *rapid.T, kind Kind) Value {
	if rapid.IntRange(0, 3).Draw(t, "present") == 0 {
		return Value{}
	}
	v := Value{Kind: kind}
	switch kind {
	case Bool:
		v.Bits = uint64(rapid.IntRange(0, 1).Draw(t, "bool"))
	case Number:
		v.Bits = math.Float64bits(rapid.OneOf(rapid.Float64(), rapid.Map(rapid.IntRange(-3, 300), func(i int) float64 { return float64(i) }),
			rapid.SampledFrom([]float64{math.Copysign(0, -1), wholeLimit, wholeLimit - 1, -wholeLimit, 1 - wholeLimit, 0.5, math.MaxFloat64})).Draw(t, "number"))
		if v.Bits>>52&0x7ff == 0x7ff {
			v.Bits = 0
		}
	case Time:
		v.Bits = uint64(rapid.Int64Range(minMillis, maxMillis).Draw(t, "time"))
	case String:
		v.Str = []byte(rapid.String().Draw(t, "string"))
	}
	return v
}

// wide is a schema with gaps that need more than a tag.
func wide() *Schema {
	s := shop()
	for i := range 100 {
		s.Fields = append(s.Fields, Field{Path: []string{"properties", "w" + strings.Repeat("x", i)}, Kind: Kind(i%4 + 1)})
	}
	return s
}

// I5
func TestPackedRoundTrip(t *testing.T) {
	var out Event // reused, so that what is left of one event would show in the next
	schemas := []*Schema{shop(), wide(), benchShop()}
	rapid.Check(t, func(t *rapid.T) {
		s := schemas[rapid.IntRange(0, len(schemas)-1).Draw(t, "schema")]
		e := genEvent(t, s)
		packed := AppendPacked([]byte("before"), e)[len("before"):]
		if n := PackedLen(packed); n != len(packed) {
			t.Fatalf("PackedLen = %d, want %d", n, len(packed))
		}
		if h := le64(packed[4:]); h != e.Hash {
			t.Fatalf("the hash in it is %x, want %x", h, e.Hash)
		}
		rest, err := Unpack(append(packed, "after"...), s, &out)
		if err != nil || string(rest) != "after" {
			t.Fatalf("rest %q, error %v", rest, err)
		}
		if !sameEvent(e, &out) {
			t.Fatalf("packed\n%+v, unpacked\n%+v", normal(e), normal(&out))
		}
		if again := AppendPacked(nil, &out); !bytes.Equal(again, packed) {
			t.Fatalf("packed again it is\n%x, not\n%x", again, packed)
		}
	})
}

func TestUnpackTruncated(t *testing.T) {
	d := NewDecoder(shop(), DefaultLimits)
	var e, out Event
	if err := d.Decode(messages(1, 1)[0], noon, &e); err != nil {
		t.Fatal(err)
	}
	packed := AppendPacked(nil, &e)
	for n := range packed {
		if rest, err := Unpack(packed[:n], d.schema, &out); err == nil || len(rest) != n {
			t.Errorf("accepted the first %d bytes of %d", n, len(packed))
		}
		// A length that is wrong too.
		short := append([]byte(nil), packed[:n]...)
		if n >= 4 {
			short[0], short[1] = byte(n), byte(n>>8)
			Unpack(short, d.schema, &out)
		}
	}
}

func FuzzUnpack(f *testing.F) {
	s := shop()
	d := NewDecoder(s, DefaultLimits)
	var e Event
	for _, m := range append(messages(3, 5), []byte(goldenMessages[0])) {
		if err := d.Decode(m, noon, &e); err != nil {
			f.Fatal(err)
		}
		f.Add(AppendPacked(nil, &e))
	}
	var out Event
	f.Fuzz(func(t *testing.T, src []byte) {
		rest, err := Unpack(src, s, &out)
		if err != nil {
			if _, ok := err.(*Rejected); !ok || len(rest) != len(src) {
				t.Fatalf("error %v, rest %d of %d", err, len(rest), len(src))
			}
			return
		}
		if len(rest) != len(src)-PackedLen(src) || out.Hash != le64(src[4:]) || len(out.Identifiers) == 0 {
			t.Fatalf("rest %d of %d, %+v", len(rest), len(src), out)
		}
		// What was accepted is an event, though perhaps not in its shortest form: packed again it stays the same.
		var again Event
		if _, err := Unpack(AppendPacked(nil, &out), s, &again); err != nil || !sameEvent(&out, &again) {
			t.Fatalf("%v:\n%+v\n%+v", err, normal(&out), normal(&again))
		}
	})
}

var goldenMessages = []string{
	`{"type":"track","event":"Order Completed","messageId":"m-1","timestamp":"2024-06-01T11:59:59.999Z","userId":"u1","anonymousId":"a1","context":{"traits":{"email":"Ada@Example.com"}},
	  "properties":{"order_id":"O-1","total":12.5,"revenue":-3,"coupon":"caf\u00e9","is_gift":true,"ordered_at":1717243200,"tags":["a","","b"],
	  "products":[{"product_id":"p1","price":1e300},{"product_id":2,"meta":{"sold_at":"2024-01-01T00:00:00+01:00"}},null],"lines":[1,2]}}`,
	`{"type":"track","event":"Something Else","anonymousId":"a1"}`,
	`{"type":"page","userId":42,"properties":{"is_gift":false,"total":-0.0,"quantity":2147483648}}`,
}

// The file is what FORMAT.md says. It changes only with the version.
func TestPackedGolden(t *testing.T) {
	d := NewDecoder(shop(), DefaultLimits)
	var got bytes.Buffer
	var all []byte
	for _, m := range goldenMessages {
		var e Event
		if err := d.Decode([]byte(m), noon, &e); err != nil {
			t.Fatal(err)
		}
		packed := AppendPacked(nil, &e)
		all = append(all, packed...)
		got.WriteString(hex.Dump(packed) + "\n")
	}
	want, err := os.ReadFile("testdata/packed.golden")
	if err != nil {
		t.Fatal(err)
	}
	if got.String() != string(want) {
		t.Errorf("packed events are\n%s, golden file has\n%s", got.String(), want)
	}
	var e Event
	for i := range goldenMessages {
		if all, err = Unpack(all, d.schema, &e); err != nil {
			t.Fatalf("event %d: %v", i, err)
		}
	}
	if len(all) != 0 {
		t.Errorf("%d bytes are left", len(all))
	}
}
