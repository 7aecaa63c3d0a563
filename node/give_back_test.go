package node

import (
	"testing"
	"time"
)

// A shard is handed to a replica that answers, also its disk, and is not behind. One whose disk is full answers: handed its shards again every second it stopped
// them, and with them all events of the cluster, until there was room.
func TestFit(t *testing.T) {
	now := time.Now()
	f := func(p *peerLevels, want bool) {
		t.Helper()
		if got := p.fit(1, 1000, now); got != want {
			t.Errorf("%+v is fit: %v", p, got)
		}
	}
	level := func(applied uint64) []level { return []level{{}, {applied: applied}} }
	f(nil, false)
	f(&peerLevels{at: now, shards: level(1000)}, true)
	f(&peerLevels{at: now, shards: level(1001)}, true)
	f(&peerLevels{at: now, shards: level(1000 - giveBackLag)}, true)
	f(&peerLevels{at: now, shards: level(1000 - giveBackLag - 1)}, false)
	f(&peerLevels{at: now.Add(-3 * tickInterval), shards: level(1000)}, false)
	f(&peerLevels{at: now, shards: level(1000), stalled: true}, false)
}
