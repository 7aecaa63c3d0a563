package node

import (
	"context"
	"encoding/binary"

	"dashi/node/httpapi"
	"dashi/shard"
)

// Moved is how many have entered and left each audience of the present program, in the order of AllAudiences, in the hours that the shards keep.
func (b httpBackend) Moved(ctx context.Context) ([]httpapi.Moved, error) {
	program := b.cookbook.Load()
	all := make([]httpapi.Moved, len(program.AllAudiences()))
	body := binary.LittleEndian.AppendUint64(nil, program.Hash)
	questions := b.toAll(askMoved, body)
	ctx, cancel := context.WithTimeout(ctx, freshTimeout)
	defer cancel()
	r := readingOf(ctx)
	if err := b.inquire(ctx, r.level, questions); err != nil {
		return nil, err
	}
	for _, q := range questions {
		r.note(q.by, q.behind)
		src := q.answer
		for i := range all {
			for _, n := range []*int64{&all[i].Entered, &all[i].Left} {
				v, rest, err := readUvarint(src)
				if err != nil {
					return nil, err
				}
				*n, src = *n+int64(v), rest
			}
		}
	}
	return all, nil
}

// answerMoved answers askMoved: hash of the cookbook; for each of its audiences how many entered and left.
func (h *shardHost) answerMoved(body []byte) (answer []byte, err error) {
	if len(body) != 8 {
		return nil, errAnswer
	}
	h.mu.RLock()
	defer h.mu.RUnlock()
	if p := h.shard.Program(); p == nil || p.Hash != binary.LittleEndian.Uint64(body) {
		return nil, httpapi.ErrSwitching
	}
	all := make([]httpapi.Moved, len(h.shard.Program().AllAudiences()))
	rest := all
	for _, s := range []*shard.Shard{h.shard, h.shard.Accounts()} {
		if s == nil || s.Program() == nil {
			continue
		}
		sum := rest[:len(s.Program().Audiences)]
		s.EachHour(func(_ int64, audiences []shard.Flow, _ []uint32) {
			for i := range sum {
				sum[i].Entered += int64(audiences[i].Entered)
				sum[i].Left += int64(audiences[i].Left)
			}
		})
		rest = rest[len(sum):]
	}
	for _, moved := range all {
		answer = binary.AppendUvarint(binary.AppendUvarint(answer, uint64(moved.Entered)), uint64(moved.Left))
	}
	return answer, nil
}
