package main

import (
	"testing"

	"dashi/node"
)

// The spare threads go when there has been nothing but a backlog for a while, and are there as soon as somebody asks or the backlog has been read.
func TestSpareThreads(t *testing.T) {
	r := room{spare: true}
	p := node.Pressure{}
	look := func(applied, waited, lookups uint64, want bool) {
		t.Helper()
		p.Applied, p.Waited, p.Lookups = p.Applied+applied, p.Waited+waited, p.Lookups+lookups
		if r.look(p); r.spare != want {
			t.Errorf("after %d looks with nothing else: spare threads %t, want %t", r.looks, r.spare, want)
		}
	}
	backlog := func(want bool) { t.Helper(); look(1000, 900, 0, want) }
	look(0, 0, 0, true)
	for range threadsPatience - 1 {
		backlog(true)
	}
	look(1000, 900, 1, true) // somebody asks: from the beginning
	for range threadsPatience - 1 {
		backlog(true)
	}
	backlog(false)
	backlog(false)
	look(1000, 900, 1, true)
	for range threadsPatience {
		backlog(r.looks+1 < threadsPatience)
	}
	look(100, 3, 0, true) // it has been read
	look(0, 0, 0, true)
}
