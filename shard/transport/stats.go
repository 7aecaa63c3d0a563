package transport

import "sync/atomic"

// Stats are counters since Open, and gauges.
type Stats struct {
	Rejected      uint64 // requests, calls and snapshots that found a queue full or no group
	Suspected     uint64 // times that a peer was looked after
	Contradicted  uint64 // times that another peer had heard of a silent one
	Downs         uint64 // times that a peer was found dead
	Starved       uint64 // times that this node was not scheduled for so long that it could not judge others
	SnapshotBytes uint64 // sent
	Peers, Up     int
}

type counters struct {
	rejected, suspected, contradicted, downs, starved, snapshotBytes atomic.Uint64
}

// Stats is a copy of the counters.
func (t *Transport) Stats() Stats {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := Stats{Rejected: t.stats.rejected.Load(), Suspected: t.stats.suspected.Load(), Contradicted: t.stats.contradicted.Load(), Downs: t.stats.downs.Load(),
		Starved: t.stats.starved.Load(), SnapshotBytes: t.stats.snapshotBytes.Load(), Peers: len(t.peers)}
	for _, p := range t.peers {
		if p.state == peerUp {
			s.Up++
		}
	}
	return s
}
