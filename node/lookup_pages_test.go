package node

import (
	"context"
	"testing"
	"time"

	"dashi/pipeline/expr"
	"dashi/shard"
)

// A condition that takes long is asked of few profiles under one hold of a shard's lock, and of all of them in the end.
func TestSlowConditionHoldsNoShard(t *testing.T) {
	n := openNode(t, testSettings(t, t.TempDir()))
	visit(t, n, "first", 300, "a note")
	waitIdle(t, n)
	h := n.shards[0]
	f := func(takes time.Duration, most int) {
		t.Helper()
		asked, longest, all := 0, 0, 0
		p := &selection{audience: -1, program: n.cookbook.Load().Program, is: func(*expr.Env) expr.Truth {
			for begun := time.Now(); time.Since(begun) < takes; {
			}
			asked++
			return expr.True
		}}
		var v shard.View
		for from, more := uint32(0), true; more; {
			asked = 0
			h.mu.RLock()
			var err error
			from, more, _, err = p.page(context.Background(), h.shard, from, &v, func(*shard.View) bool { all++; return true })
			h.mu.RUnlock()
			if err != nil {
				t.Fatal(err)
			}
			longest = max(longest, asked)
		}
		if longest > most || all != h.shard.Stats().Profiles {
			t.Errorf("%s each: %d under one hold, want at most %d; %d of %d asked", takes, longest, most, all, h.shard.Stats().Profiles)
		}
	}
	f(0, scanPage)
	f(scanHold, 1)
	f(scanHold/4, 16) // 1, 2, 4: the last begin within the time
}
