package event

import (
	"encoding/json"
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// reading is the schema s when events of type t read nothing but these fields and arrays: the others are left out.
func reading(s *Schema, r Reads) *Schema {
	only := &Schema{Types: s.Types, Namespaces: s.Namespaces}
	arrays := make([]int, len(s.Arrays))
	for a := range s.Arrays {
		if slices.Contains(r.Arrays, a) || slices.ContainsFunc(r.Fields, func(f int) bool { return s.Fields[f].Array == a+1 }) {
			only.Arrays = append(only.Arrays, s.Arrays[a])
			arrays[a] = len(only.Arrays)
		}
	}
	for _, f := range r.Fields {
		field := s.Fields[f]
		if field.Array > 0 {
			field.Array = arrays[field.Array-1]
		}
		only.Fields = append(only.Fields, field)
	}
	return only
}

// drawMessage makes a message in which any value may be of a wrong type.
func drawMessage(t *rapid.T) []byte {
	value := func(what string) any {
		return rapid.SampledFrom([]any{nil, "x", 3, true, "2026-01-01T00:00:00Z", []any{1}, map[string]any{"a": 1}, "4"}).Draw(t, what)
	}
	items := func(what string, item func() any) any {
		if rapid.IntRange(0, 3).Draw(t, what) == 0 {
			return value(what)
		}
		list := []any{}
		for range rapid.IntRange(0, 5).Draw(t, what) {
			list = append(list, item())
		}
		return list
	}
	properties := map[string]any{
		"order_id": value("order_id"), "total": value("total"), "is_gift": value("is_gift"), "price": value("price"), "ordered_at": value("ordered_at"),
		"tags": items("tags", func() any { return value("tag") }),
		"products": items("products", func() any {
			if rapid.IntRange(0, 3).Draw(t, "product") == 0 {
				return value("product")
			}
			return map[string]any{"product_id": value("id"), "price": value("price"), "meta": value("meta")}
		}),
	}
	m := map[string]any{"type": "track", "event": rapid.SampledFrom([]string{"Order Completed", "Product Viewed", "Other"}).Draw(t, "event"),
		"userId": "u1", "properties": properties, "context": value("context")}
	if rapid.IntRange(0, 5).Draw(t, "flat") == 0 {
		m["properties"] = value("properties")
	}
	b, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestFaultsOfOthers: what events of a type do not read can be anything. The oracle is a schema without it.
func TestFaultsOfOthers(t *testing.T) {
	limits := DefaultLimits
	limits.Items = 4
	rapid.Check(t, func(t *rapid.T) {
		s := shop()
		for range 1 + len(s.Types) {
			var r Reads
			for f := range s.Fields {
				if rapid.IntRange(0, 2).Draw(t, "field") == 0 {
					r.Fields = append(r.Fields, f)
				}
			}
			for a := range s.Arrays {
				if rapid.IntRange(0, 2).Draw(t, "array") == 0 {
					r.Arrays = append(r.Arrays, a)
				}
			}
			s.Reads = append(s.Reads, r)
		}
		d := NewDecoder(s, limits)
		for range 4 {
			m := drawMessage(t)
			var all, some Event
			err := d.Decode(m, noon, &all)
			kind := slices.Index(s.Types, nameOf(m)) + 1
			only := reading(s, s.Reads[kind])
			want := NewDecoder(only, limits).Decode(m, noon, &some)
			if fmt.Sprint(err) != fmt.Sprint(want) {
				t.Fatalf("%s\ngives %v\nwant  %v\nreads %v", m, err, want, s.Reads[kind])
			}
			if err == nil {
				compareRead(t, s.Reads[kind], &all, &some)
				if rest, err := Unpack(AppendPacked(nil, &all), s, &some); err != nil || len(rest) > 0 {
					t.Fatalf("%s cannot be unpacked: %v", m, err)
				}
			}
		}
	})
}

func nameOf(m []byte) string {
	var head struct{ Event string }
	if err := json.Unmarshal(m, &head); err != nil {
		panic(err)
	}
	return head.Event
}

// compareRead compares the fields that are read; in some they are numbered in their order.
func compareRead(t *rapid.T, r Reads, all, some *Event) {
	for i, f := range r.Fields {
		a, b := all.Values[f], some.Values[i]
		if fmt.Sprint(a, all.Items[f]) != fmt.Sprint(b, some.Items[i]) {
			t.Fatalf("field %d is %v %v, want %v %v", f, a, all.Items[f], b, some.Items[i])
		}
	}
}

// TestFaultDoesNotAllocate: that a producer sends nonsense in a field that nobody reads costs nothing.
func TestFaultDoesNotAllocate(t *testing.T) {
	s := shop()
	s.Reads = make([]Reads, 1+len(s.Types))
	d := NewDecoder(s, DefaultLimits)
	m := []byte(`{"type":"track","event":"Order Completed","userId":"u","properties":{"total":"much","price":[],"products":7}}`)
	var e Event
	if n := testing.AllocsPerRun(100, func() {
		if err := d.Decode(m, noon, &e); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
