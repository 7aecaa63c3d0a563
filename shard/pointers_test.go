package shard

import (
	"fmt"
	"testing"
)

// I7 of this package: pointers are what they were told last, through growth, compaction and restores.
func TestPointers(t *testing.T) {
	w := newTown(t, linkedRecipe)
	s := w.s
	p := pointers{s: s}
	of := func(ns string, i int) key {
		value := []byte(fmt.Sprint("value-", i))
		switch i % 3 {
		case 1: // a UUID
			value = fmt.Appendf(nil, "%08x-1234-4abc-8def-%012x", i, 7*i)
		case 2:
			value = fmt.Appendf(nil, "%016x", i)
		}
		if ns == "user_id" && i%7 == 0 {
			return s.key(uint8(i%2*5+3), value)
		}
		return s.key(uint8(s.namespaceNumber([]byte(ns))), value)
	}
	for len(s.namespaces) < 10 { // so that numbers are wide, too
		s.namespaces = append(s.namespaces, fmt.Sprint("more", len(s.namespaces)))
	}
	want, text := map[int]int{}, []byte(nil)
	for i := range 30_000 {
		k := i * 7919 % 5000
		p.set(of("anonymous_id", k), of("user_id", i))
		want[k] = i
	}
	if p.used != len(want) || 2*p.garbage > p.bytes+pointerChunk {
		t.Errorf("%d of %d, garbage %d of %d", p.used, len(want), p.garbage, p.bytes)
	}
	restored := pointers{s: s}
	if rest, err := restored.restore(appendPointers(nil, p.freeze())); err != nil || len(rest) > 0 || restored.hash() != p.hash() {
		t.Fatal(err, len(rest))
	}
	for k, i := range want {
		for _, q := range []*pointers{&p, &restored} {
			if root, ok := q.find(of("anonymous_id", k), &text); !ok || !root.is(of("user_id", i)) {
				t.Fatalf("%d: %q, want %d", k, root.value, i)
			}
		}
	}
	if _, ok := p.find(of("anonymous_id", 5001), &text); ok {
		t.Error("found what was never set")
	}
	other := of("anonymous_id", 1) // another identifier of the same hash is another one
	other.value = []byte("value-x")
	if p.has(other) {
		t.Error("the hash alone decides")
	}
}
