package recipe

import (
	"fmt"
	"testing"

	"dashi/pipeline/attribute"
	"dashi/pipeline/event"
)

// A whole number counts in every notation that the grammar takes: one that it takes and that is then passed over would silently be the default.
func TestWholeNumbers(t *testing.T) {
	for n, want := range map[string]int{"3": 3, "3.0": 3, "3e0": 3, "30e-1": 3, "+3": 3, "1_0": 10} {
		text := fmt.Sprintf(`recipe: a
fields: {properties.w: string}
attributes:
  s: {kind: set, add: {on: x, value: properties.w}, limit: %[1]s}
  t: {kind: tally, on: x, value: properties.w, top: %[1]s}
  f: {kind: first_at, on: x, nth: %[1]s}
  q: {kind: sequence, steps: [{on: x, times: %[1]s}, {on: y}]}
`, n)
		p, found := Compile([]Source{{Name: "a.yml", Text: []byte(text)}})
		if p == nil {
			t.Fatalf("%s: %v", n, found)
		}
		s := p.Attributes[0].Kind
		fixed, segment := make([]byte, s.FixedSize()), []byte(nil)
		for w := range byte(20) {
			in := attribute.Input{Time: 1, By: 1}
			in.Value.Kind, in.Value.Str = event.String, []byte{'a' + w}
			segment = append([]byte(nil), s.Update(fixed, segment, &in, nil)...)
		}
		if got := s.Len(fixed, segment, 0); got != want {
			t.Errorf("limit: %s keeps %d of 20", n, got)
		}
	}
	for _, n := range []string{"0x3", "0b11", "0o3", "3.5", "three"} {
		if p, _ := Compile([]Source{{Name: "a.yml", Text: []byte("recipe: a\nfields: {properties.w: string}\nattributes:\n  s: {kind: set, add: {on: x, value: properties.w}, limit: " + n + "}\n")}}); p != nil {
			t.Errorf("limit: %s is taken", n)
		}
	}
}
