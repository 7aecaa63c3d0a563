package node

import (
	"log/slog"
	"testing"
	"time"

	"dashi/node/metrics"
	"dashi/shard"
	"dashi/shard/group"
)

// A shard without a leader was named in one look at the status and not in the next: between two attempts nothing holds the intake back.
func TestHeldBackIsSteady(t *testing.T) {
	n := &Node{log: slog.New(slog.DiscardHandler), directory: newDirectory(), metrics: new(metrics.Measures), shards: []*shardHost{{id: 0}, {id: 1}}}
	n.intake = newIntake(n)
	in := &input{progress: make([]progress, 2), failed: make([]bool, 2)}
	batch := func(shard int, result any, err error) {
		p := n.intake.pool.Get().(*proposal)
		p.in, p.host = in, n.shards[shard]
		p.applied(1, result, err)
	}
	f := func(after time.Duration, want string) {
		t.Helper()
		if got := n.heldBack(time.Now().Add(after)); got != want {
			t.Errorf("after %s: %q, want %q", after, got, want)
		}
	}
	f(0, "")
	const why = "shard 1 has no leader that takes events"
	batch(1, nil, group.ErrNotLeader)
	f(0, why)
	f(leaderPause, why)
	f(time.Second, why)
	f(time.Minute, "") // nobody tries any more: this node does not consume the stream
	batch(0, &shard.Result{Outcome: shard.Accepted}, nil)
	f(time.Second, why)
	batch(1, &shard.Result{Outcome: shard.Full}, nil)
	f(time.Second, why)
	batch(1, &shard.Result{Outcome: shard.Accepted}, nil)
	f(0, "")
}
