package shard

import (
	"fmt"
	"reflect"
	"slices"
	"testing"

	"dashi/pipeline/identity"

	"pgregory.net/rapid"
)

// A component is read as it was written, whatever is in it, and what was cut off is an error.
func TestComponentBytes(t *testing.T) {
	values := []string{"u1", "0af1", "abc", "AB", "550e8400-e29b-41d4-a716-446655440000", "550E8400-e29b-41d4-a716-446655440000",
		"550e8400-e29b-41d4-a716-44665544000g", "550e8400-e29b-41d4-a716_446655440000", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", "ada@example.com"}
	rapid.Check(t, func(t *rapid.T) {
		var c component
		n := rapid.IntRange(1, 8).Draw(t, "identifiers")
		times := rapid.Int64Range(-3, 5)
		for i := range n {
			d := ident{key: key{ns: rapid.Uint8Range(0, 3).Draw(t, "ns"), value: []byte(rapid.SampledFrom(values).Draw(t, "value"))}}
			d.state, d.saturated, d.unseen = rapid.Bool().Draw(t, "state"), rapid.Bool().Draw(t, "saturated"), rapid.Bool().Draw(t, "unseen")
			d.first = 1_000_000*times.Draw(t, "first") + times.Draw(t, "more")
			d.last = d.first + max(0, times.Draw(t, "last"))
			d.profile = rapid.IntRange(0, n-1).Draw(t, "profile")
			c.idents = append(c.idents, d)
			for a := range i {
				if rapid.IntRange(0, 2).Draw(t, "link") > 0 {
					continue
				}
				l := identity.Link{A: a, B: i, First: d.first + times.Draw(t, "after"), ID: rapid.Uint32().Draw(t, "id"), Verdict: identity.Verdict(rapid.IntRange(0, len(identity.Verdicts)-1).Draw(t, "verdict"))}
				if rapid.Bool().Draw(t, "plain") {
					l.First, l.Verdict = d.first, identity.Joined
				}
				l.Last = l.First + d.last - d.first
				c.add(l)
				if rapid.IntRange(0, 3).Draw(t, "cut") == 0 {
					c.add(identity.Link{A: a, B: i, Cut: true, First: d.last, Last: d.last, ID: l.ID})
				}
			}
		}
		if rapid.Bool().Draw(t, "message") {
			roundTrip(t, &c, func(dst []byte, ns uint8) []byte { return append(dst, ns, 9) }, func(src []byte) (uint8, []byte, error) {
				if len(src) < 2 {
					return 0, nil, errShort
				}
				return src[0], src[2:], nil
			})
			return
		}
		roundTrip(t, &c, nil, nil)
	})
}

func roundTrip(t *rapid.T, c *component, appendNumber func([]byte, uint8) []byte, number readNumber) {
	root := c.idents[0].key
	b := c.append(nil, appendNumber)
	var got component
	rest, err := got.read(append(slices.Clone(b), 7), number, root)
	if err != nil || len(rest) != 1 || fmt.Sprint(got.idents) != fmt.Sprint(c.idents) || !reflect.DeepEqual(append([]identity.Link{}, got.facts.Links...), append([]identity.Link{}, c.facts.Links...)) {
		t.Fatalf("%v\ngot  %v %v\nwant %v %v", err, got.idents, got.facts.Links, c.idents, c.facts.Links)
	}
	for k := range b {
		if _, err := got.read(b[:k:k], number, root); err == nil {
			t.Fatalf("%d of %d bytes are read", k, len(b))
		}
	}
}

// What most identifiers cost: a device that was linked once, by an event that is all that is known of it.
func TestIdentifierBytes(t *testing.T) {
	c := component{idents: []ident{{key: key{value: []byte("u00000001")}, first: 1_767_000_000_000, last: 1_767_003_000_000, state: true}}}
	before := len(c.append(nil, nil))
	c.idents = append(c.idents, ident{key: key{ns: 3, value: []byte("550e8400-e29b-41d4-a716-446655440000")}, first: 1_767_000_900_000, last: 1_767_000_900_000})
	c.add(identity.Link{A: 0, B: 1, First: 1_767_000_900_000, Last: 1_767_000_900_000, ID: 7})
	if n := len(c.append(nil, nil)) - before; n > 26 {
		t.Errorf("%d bytes", n)
	}
}
