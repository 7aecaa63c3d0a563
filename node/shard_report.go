package node

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"

	"dashi/node/status"
	"dashi/pipeline/kafka"
	"dashi/pipeline/say"
	"dashi/shard"
)

// reports are those of all shards, each asked once. With hashes they have the hashes of the states, for which all profiles are read. A shard that could
// not be asked has a nil report, and the error names it.
func (n *Node) reports(ctx context.Context, level readLevel, hashes bool) ([]*status.Report, error) {
	questions := n.toAll(askReport, []byte{bit(hashes)})
	ctx, cancel := context.WithTimeout(ctx, freshTimeout)
	defer cancel()
	err := n.inquire(ctx, level, questions)
	all := make([]*status.Report, len(questions))
	for i, q := range questions {
		if q.err == nil {
			all[i] = &status.Report{}
			if bad := json.Unmarshal(q.answer, all[i]); bad != nil {
				return nil, bad
			}
		}
	}
	return all, err
}

// answerReport answers askReport: a byte that says whether with the hash; the report as JSON.
func (h *shardHost) answerReport(body []byte) ([]byte, error) {
	l := h.reach()
	r := status.Report{Index: l.applied, Durable: l.durable}
	h.mu.RLock()
	r.Shard, r.Wake = h.shard.Stats(), h.shard.Wake()
	h.shard.Outgoing(func(to int, first, next uint64) {
		r.Roads = append(r.Roads, status.RoadEnd{To: to, First: first, Next: next})
	})
	if len(body) == 1 && body[0] == 1 {
		r.Hash = fmt.Sprintf("%016x", h.shard.Hash())
	}
	h.mu.RUnlock()
	return say.JSON(&r)
}

// markUnknown is the mark of a shard that could not be asked.
const markUnknown = math.MinInt64

// marks are the marks of all shards for a stream; markUnknown for a shard that could not be asked. They may be lower than those of the leaders, which does
// no harm: what comes again is skipped.
func (n *Node) marks(ctx context.Context, id shard.Stream) []int64 {
	all := make([]int64, len(n.shards))
	var far []*question
	body := binary.LittleEndian.AppendUint32(append([]byte(nil), id.Topic[:]...), id.Partition)
	for i, h := range n.shards {
		if !n.canAnswer(h, readLocal) {
			all[i] = markUnknown
			far = append(far, &question{kind: askMarks, shard: i, body: body})
			continue
		}
		h.mu.RLock()
		all[i] = h.shard.Mark(id)
		h.mu.RUnlock()
	}
	if len(far) == 0 {
		return all
	}
	ctx, cancel := context.WithTimeout(ctx, askPatience)
	defer cancel()
	_ = n.inquire(ctx, readLocal, far) // each question has its own error
	for _, q := range far {
		if q.err == nil && len(q.answer) == 8 {
			all[q.shard] = int64(binary.LittleEndian.Uint64(q.answer))
		}
	}
	return all
}

// answerMarks answers askMarks: topic id, partition; the mark.
func (h *shardHost) answerMarks(body []byte) ([]byte, error) {
	if len(body) != 20 {
		return nil, errAnswer
	}
	id := shard.Stream{Topic: [16]byte(body), Partition: binary.LittleEndian.Uint32(body[16:])}
	h.mu.RLock()
	defer h.mu.RUnlock()
	return binary.LittleEndian.AppendUint64(nil, uint64(h.shard.Mark(id))), nil
}

// streamID is a stream as shards know it.
func streamID(s kafka.Stream) shard.Stream {
	return shard.Stream{Topic: s.Topic, Partition: uint32(s.Partition)}
}
