package node

import (
	"context"
	"encoding/binary"
	"slices"

	"dashi/node/httpapi"
	"dashi/pipeline/audience"
)

// AudienceSizes are the numbers of profiles in audiences of the present program, by their indices in AllAudiences, on all shards. Each shard is asked once;
// if one does not answer the error names it.
func (n *Node) AudienceSizes(ctx context.Context, audiences []int) ([]int64, error) {
	all := n.cookbook.Load().AllAudiences()
	var names []byte
	for _, i := range audiences {
		names = appendBytes(names, []byte(all[i].Name))
	}
	sizes := make([]int64, len(audiences))
	r := readingOf(ctx)
	var far []*question
	for i, h := range n.shards {
		h.mu.RLock()
		here := r.level == readLocal && h.answers
		for k, index := range audiences {
			if here {
				sizes[k] += int64(h.shard.AudienceSize(index))
			}
		}
		h.mu.RUnlock()
		if here {
			n.noteHere(r, h)
		} else {
			far = append(far, &question{kind: askSizes, shard: i, body: names})
		}
	}
	ctx, cancel := context.WithTimeout(ctx, freshTimeout)
	defer cancel()
	if err := n.inquire(ctx, r.level, far); err != nil {
		return nil, err
	}
	for _, q := range far {
		r.note(q.by, q.behind)
		for k, src := 0, q.answer; k < len(sizes); k++ {
			size, rest, err := readUvarint(src)
			if err != nil {
				return nil, err
			}
			sizes[k], src = sizes[k]+int64(size), rest
		}
	}
	return sizes, nil
}

// AudienceSize is that of one audience, if all shards are here.
func (n *Node) AudienceSize(i int) (size int64, here bool) {
	for _, h := range n.shards {
		h.mu.RLock()
		if !h.answers {
			h.mu.RUnlock()
			return 0, false
		}
		size += int64(h.shard.AudienceSize(i))
		h.mu.RUnlock()
	}
	return size, true
}

// answerSizes answers askSizes. Body: names of audiences. Answer: the number of profiles in each, 0 for an audience that the shard does not know.
func (h *shardHost) answerSizes(body []byte) (answer []byte, err error) {
	h.mu.RLock()
	defer h.mu.RUnlock()
	program := h.shard.Program()
	if program == nil {
		return nil, httpapi.ErrSwitching
	}
	all := program.AllAudiences()
	for len(body) > 0 {
		var name []byte
		if name, body, err = readBytes(body); err != nil {
			return nil, err
		}
		size := 0
		if i := slices.IndexFunc(all, func(d audience.Definition) bool { return d.Name == string(name) }); i >= 0 {
			size = h.shard.AudienceSize(i)
		}
		answer = binary.AppendUvarint(answer, uint64(size))
	}
	return answer, nil
}
