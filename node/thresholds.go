package node

import (
	"context"
	"encoding/binary"
	"fmt"
	"math"
	"time"

	"dashi/node/httpapi"
	"dashi/pipeline/recipe"
	"dashi/shard"
)

// levelsInterval is how often it is looked whether an hour has begun.
const levelsInterval = time.Second

// keepLevels makes sure, while this node leads the directory, that every shard knows the thresholds among all profiles (shard/level.go) as of each full
// hour.
func (n *Node) keepLevels(ctx context.Context) {
	every(ctx, levelsInterval, func() {
		if _, here := n.directory.group.Leader(); here {
			if err := n.findLevels(ctx); err != nil && ctx.Err() == nil {
				n.log.Warn("the thresholds of audiences stay as they are for now", "error", err)
			}
		}
	})
}

// findLevels tells the shards that do not have the thresholds of this hour: what those that have them say, or, if there are none, what all
// profiles give now.
func (n *Node) findLevels(ctx context.Context) error {
	program := n.cookbook.Load().Program
	if len(program.Levels) == 0 {
		return nil
	}
	n.levelling.Lock()
	defer n.levelling.Unlock()
	questions := n.toAll(askLevels, nil)
	if err := n.inquire(ctx, readLeader, questions); err != nil {
		return err
	}
	var levels []float64
	as, wanted := int64(math.MinInt64), int64(math.MinInt64)
	behind := make([]int64, len(n.shards))
	for i, q := range questions {
		if len(q.answer) < 24 {
			return errAnswer
		}
		of, want := int64(binary.LittleEndian.Uint64(q.answer[8:])), int64(binary.LittleEndian.Uint64(q.answer[16:]))
		if wanted = max(wanted, want); of > as {
			as, levels = of, readNumbers(nil, q.answer[24:])
		}
		if binary.LittleEndian.Uint64(q.answer) != program.Hash {
			return nil // the cookbook is being switched: the next time
		}
		behind[i] = of
	}
	if as < wanted {
		var err error
		if levels, err = n.levelsNow(ctx, program); err != nil {
			return err
		}
		as = wanted
	}
	for i, h := range n.shards {
		if behind[i] >= as {
			continue
		}
		r, err := h.command(ctx, shard.AppendLevels(nil, n.now(), program.Hash, as, levels))
		if err == nil && r.Outcome == shard.Refused {
			err = fmt.Errorf("refused: %s", r.Detail)
		}
		if err != nil {
			return fmt.Errorf("cannot tell shard %d the thresholds of audiences: %w", h.id, err)
		}
	}
	return nil
}

// answerLevels answers askLevels: hash of the cookbook, as of when the shard knows the thresholds, as of when it wants them, the thresholds.
func (n *Node) answerLevels(h *shardHost) ([]byte, error) {
	h.mu.RLock()
	defer h.mu.RUnlock()
	p := h.shard.Program()
	if p == nil {
		return nil, httpapi.ErrSwitching
	}
	known, of, want := h.shard.Levels(n.now())
	answer := binary.LittleEndian.AppendUint64(nil, p.Hash)
	answer = binary.LittleEndian.AppendUint64(answer, uint64(of))
	answer = binary.LittleEndian.AppendUint64(answer, uint64(want))
	return appendNumbers(answer, known), nil
}

// levelsNow computes the thresholds of a program from all profiles.
func (n *Node) levelsNow(ctx context.Context, program *recipe.Program) (levels []float64, err error) {
	for i := range program.Levels {
		var values []float64
		for shard := range n.shards {
			for from, more := uint32(0), true; more; {
				q := &question{kind: askNumbers, shard: shard, body: binary.LittleEndian.AppendUint32(binary.LittleEndian.AppendUint64(binary.AppendUvarint(nil, uint64(i)), program.Hash), from)}
				if err := n.inquire(ctx, readLocal, []*question{q}); err != nil {
					return nil, err
				}
				if len(q.answer) < 5 {
					return nil, errAnswer
				}
				from, more = binary.LittleEndian.Uint32(q.answer), q.answer[4] == 1
				values = readNumbers(values, q.answer[5:])
			}
		}
		levels = append(levels, program.Levels[i].Of(values))
	}
	return levels, nil
}

// answerNumbers answers askNumbers: number of the level, hash of the cookbook, the ordinal from which on; the one to go on from, whether there may be more, the
// numbers of a part of the profiles. A page is read under each hold of the lock.
func (n *Node) answerNumbers(h *shardHost, body []byte) ([]byte, error) {
	i, body, err := readUvarint(body)
	if err != nil || len(body) != 12 {
		return nil, errAnswer
	}
	hash, from, more := binary.LittleEndian.Uint64(body), binary.LittleEndian.Uint32(body[8:]), true
	view := &shard.View{At: n.now()}
	var values []float64
	for more && 8*len(values) < pageBytes {
		h.mu.RLock()
		p := h.shard.Program()
		if p == nil || p.Hash != hash || i >= uint64(len(p.Levels)) {
			h.mu.RUnlock()
			return nil, &refusal{httpapi.ErrSwitching.Error()} // the shards would not take the result either
		}
		values, from, more = h.shard.EachNumber(values, &p.Levels[i], from, scanPage, view)
		h.mu.RUnlock()
	}
	return appendNumbers(append(binary.LittleEndian.AppendUint32(nil, from), bit(more)), values), nil
}

func appendNumbers(dst []byte, values []float64) []byte {
	for _, v := range values {
		dst = binary.LittleEndian.AppendUint64(dst, math.Float64bits(v))
	}
	return dst
}

func readNumbers(dst []float64, src []byte) []float64 {
	for ; len(src) >= 8; src = src[8:] {
		dst = append(dst, math.Float64frombits(binary.LittleEndian.Uint64(src)))
	}
	return dst
}
