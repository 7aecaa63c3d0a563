package node

import (
	"context"
	"log/slog"
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

// A node that has just ended is not handed back the shards that others took over: while it does not take one, nothing is committed there, for some
// two and a half seconds. What it said last is fresh for a second after its end.
func TestGiveBackToNobody(t *testing.T) {
	var log logLines
	c := newCluster(t, 3)
	c.options = func(int) Options {
		o := testOptions()
		o.Log = slog.New(slog.NewTextHandler(&log, nil))
		return o
	}
	c.openAll()
	gone := c.nodes[1].identity.member()
	all := c.nodes[0].directory.State().Shards
	c.close(1)
	stay := []*Node{c.nodes[0], c.nodes[2]}
	until(t, "its shards are led by others", func() bool {
		led := 0
		for _, n := range stay {
			for _, h := range n.shards {
				if h.leads() {
					led++
				}
			}
		}
		return led == len(all) && !stay[0].transport.Healthy(gone) && !stay[1].transport.Healthy(gone)
	})
	meant := 0
	for _, n := range stay {
		for i, h := range n.shards {
			if first := all[i].Replicas[0]; h.leads() && groupMember(first.Member, first.Incarnation) == gone {
				meant++
			}
		}
		n.heard.mu.Lock()
		n.heard.by[gone] = &peerReach{at: time.Now(), shards: n.reaches()}
		n.heard.mu.Unlock()
		ctx, cancel := context.WithTimeout(testContext(t), 200*time.Millisecond)
		n.giveBack(ctx)
		cancel()
	}
	if meant == 0 || log.with("shard stays") > 0 {
		t.Errorf("%d shards that it should lead; the log says:\n%s", meant, log.String())
	}
}
