package node

import (
	"sync/atomic"

	"dashi/node/httpapi"
)

// turns lets only so many shards apply entries at once: see Options.Appliers. The others wait, without holding a lock.
type turns struct {
	room            chan struct{} // has a token for each that applies
	applied, waited atomic.Uint64 // entries, and those of them that waited
}

func newTurns(appliers int) *turns { return &turns{room: make(chan struct{}, appliers)} }

func (t *turns) take() {
	t.applied.Add(1)
	select {
	case t.room <- struct{}{}:
	default:
		t.waited.Add(1)
		t.room <- struct{}{}
	}
}

func (t *turns) give() { <-t.room }

// Pressure says what competes for the processor: counters since the node was opened.
type Pressure struct {
	Applied uint64 // entries
	Waited  uint64 // those that waited because as many shards as may (Options.Appliers) applied others
	Lookups uint64 // of profiles, those for other nodes among them
}

// Pressure reads the counters, which is cheap.
func (n *Node) Pressure() Pressure {
	p := Pressure{Applied: n.turns.applied.Load(), Waited: n.turns.waited.Load(), Lookups: n.metrics.HTTP.Get(httpapi.Lookups) + n.asked.Load()}
	if n.doors.resp != nil {
		s := n.doors.resp.Stats()
		p.Lookups += s.Hits + s.Misses
	}
	return p
}
