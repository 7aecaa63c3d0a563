package node

import (
	"encoding/binary"
	"slices"
	"testing"
	"time"

	"dashi/shard"
)

// What another node sends for a shard is proposed in order, however much it is: the leader waits for its group where that is full, and the node that sends for
// nobody. An entry that is cut off has no outcome.
func TestProposalsAreTaken(t *testing.T) {
	c := openCluster(t, 3)
	var leader string
	var from *Node
	until(t, "shard 0 has a leader", func() bool {
		leader = leaderOf(c.nodes[0].shards[0].group.Load())
		for _, n := range c.nodes {
			if n.identity.member() != leader {
				from = n
			}
		}
		return leader != ""
	})
	const entries = 600 // more than a group takes at a time
	tick := shard.AppendTick(nil, 1)
	body := binary.LittleEndian.AppendUint32(nil, 0)
	for range entries {
		body = append(binary.LittleEndian.AppendUint32(body, uint32(len(tick))), tick...)
	}
	body = append(binary.LittleEndian.AppendUint32(body, uint32(len(tick))), tick[1:]...)
	answers := make(chan []byte, 1)
	from.transport.Ask(leader, callPropose, time.Minute, body, func(answer []byte, err error) {
		if err != nil {
			t.Error(err)
		}
		answers <- answer
	})
	var indexes []uint64
	for answer := <-answers; len(answer) > 0; {
		o, rest, err := readOutcome(answer)
		if err != nil || o.err != nil || o.result.Outcome != shard.Accepted {
			t.Fatalf("outcome %d: %+v, %v", len(indexes), o, err)
		}
		indexes, answer = append(indexes, o.index), rest
	}
	if len(indexes) != entries || !slices.IsSorted(indexes) {
		t.Errorf("%d outcomes, at %v", len(indexes), indexes)
	}
}
