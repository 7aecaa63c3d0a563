package node

import (
	"testing"
	"testing/synctest"

	"dashi/shard"
)

// Only so many shards apply entries at the same time; the others wait without a lock, so that they can be asked.
func TestApplyByTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		turns := newTurns(1)
		h := newShardHost(0, shard.DefaultSettings, turns, make(chan struct{}, 1), make(chan struct{}, 1))
		defer h.shard.Close()
		turns.take() // another one does
		applied := make(chan struct{})
		go func() {
			h.Apply(1, shard.AppendTick(nil, 1000))
			close(applied)
		}()
		synctest.Wait()
		select {
		case <-applied:
			t.Fatal("applied out of turn")
		default:
		}
		if !h.mu.TryRLock() {
			t.Fatal("cannot be asked while it waits")
		}
		h.mu.RUnlock()
		turns.give()
		<-applied
		if len(turns.room) != 0 || turns.applied.Load() != 2 || turns.waited.Load() != 1 {
			t.Errorf("%d keep their turn, %d of %d have waited", len(turns.room), turns.waited.Load(), turns.applied.Load())
		}
	})
}
