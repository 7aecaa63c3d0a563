package node

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"dashi/node/httpapi"
	"dashi/pipeline/identity"
	"dashi/ring"
)

// A shard that does not accept a batch is sent it again, and no other shard is sent what it has.
func TestOnlyWhoFailedIsSentAgain(t *testing.T) {
	n := openNode(t, testSettings(t, t.TempDir()))
	visit(t, n, "first", 100, "x")
	waitIdle(t, n)
	for _, in := range n.intake.all() {
		in.mu.Lock()
		in.told[0] = time.Now().Add(time.Hour) // shard 0 is not told that it is past what is for others
		in.mu.Unlock()
	}
	var messages []httpapi.Message
	for i := range 200 {
		who := fmt.Sprintf("u%d", i)
		if ring.Shard(identity.Hash("user_id", []byte(who)), len(n.shards)) != 0 {
			messages = append(messages, httpapi.Message{Key: []byte("k"), Value: fmt.Appendf(nil, `{"type":"track","event":"Visit","userId":%q}`, who)})
		}
	}
	if err := (httpBackend{n}).Produce(testContext(t), messages); err != nil {
		t.Fatal(err)
	}
	applied := uint64(100 + len(messages))
	until(t, "all is applied", func() bool { return n.Status(false).Events.Applied == applied })
	entries := func() (all uint64) {
		for _, h := range n.shards[1:] {
			all += h.reach().applied
		}
		return all
	}
	until(t, "they are told what is for others", func() bool {
		for _, in := range n.intake.all() {
			in.mu.Lock()
			read := in.read
			in.mu.Unlock()
			for _, mark := range n.marks(testContext(t), in.id)[1:] {
				if mark < read {
					return false
				}
			}
		}
		return !slices.ContainsFunc(n.shards, func(h *shardHost) bool { return h.load.outbox.Load()+h.load.peers.Load() > 0 }) // that something has left is an entry too
	})
	before, rewinds := entries(), n.intake.counts.resent.Load()
	for _, in := range n.intake.all() {
		in.mu.Lock()
		read := in.read
		in.fail(0)
		in.mu.Unlock()
		until(t, "all is read again", func() bool {
			in.mu.Lock()
			defer in.mu.Unlock()
			return !in.resend && in.read >= read
		})
	}
	if n.intake.counts.resent.Load() == rewinds {
		t.Error("no stream was read again")
	}
	for _, in := range n.intake.all() {
		in.mu.Lock()
		in.told[0] = time.Time{}
		in.mu.Unlock()
	}
	waitIdle(t, n)
	if after := entries(); after != before {
		t.Errorf("the other shards had %d entries, and have %d", before, after)
	}
	if got := n.Status(false).Events.Applied; got != applied {
		t.Errorf("%d events are applied, want %d", got, applied)
	}
}
