package node

import (
	"testing"
	"time"
)

// A shard is handed to a replica that answers, also its disk, and is not behind. One whose disk is full answers: handed its shards again every second it stopped
// them, and with them all events of the cluster, until there was room.
func TestFit(t *testing.T) {
	now := time.Now()
	f := func(p *peerReach, want bool) {
		t.Helper()
		if got := p.fit(1, 1000, now); got != want {
			t.Errorf("%+v is fit: %v", p, got)
		}
	}
	reached := func(applied uint64) []reach { return []reach{{}, {applied: applied}} }
	f(nil, false)
	f(&peerReach{at: now, shards: reached(1000)}, true)
	f(&peerReach{at: now, shards: reached(1001)}, true)
	f(&peerReach{at: now, shards: reached(1000 - giveBackLag)}, true)
	f(&peerReach{at: now, shards: reached(1000 - giveBackLag - 1)}, false)
	f(&peerReach{at: now.Add(-3 * tickInterval), shards: reached(1000)}, false)
	f(&peerReach{at: now, shards: reached(1000), stalled: true}, false)
}
