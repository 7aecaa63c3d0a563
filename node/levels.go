package node

import (
	"context"
	"fmt"
	"math"
	"slices"
	"time"

	"dashi/pipeline/recipe"
	"dashi/shard"
)

// levelsInterval is how often it is looked whether an hour has begun.
const levelsInterval = time.Second

// keepLevels has every shard know the thresholds among all profiles, as of each full hour. The node that leads the directory finds them out.
func (n *Node) keepLevels(ctx context.Context) {
	tick := time.NewTicker(levelsInterval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if _, here := n.directory.group.Leader(); here {
			if err := n.findLevels(ctx); err != nil && ctx.Err() == nil {
				n.log.Warn("the thresholds of audiences stay as they are for now", "error", err)
			}
		}
	}
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
	var levels []float64
	as, wanted := int64(math.MinInt64), int64(math.MinInt64)
	behind := make([]int64, len(n.members))
	for i, m := range n.members {
		m.mu.RLock()
		p := m.shard.Program()
		known, of, want := m.shard.Levels(n.now())
		if wanted = max(wanted, want); of > as {
			as, levels = of, slices.Clone(known)
		}
		m.mu.RUnlock()
		if p == nil || p.Hash != program.Hash {
			return nil // the cookbook is being switched: the next time
		}
		behind[i] = of
	}
	if as < wanted {
		as, levels = wanted, n.levelsNow(program)
	}
	for i, m := range n.members {
		if behind[i] >= as {
			continue
		}
		r, err := m.command(ctx, shard.AppendLevels(nil, n.now(), program.Hash, as, levels))
		if err == nil && r.Outcome == shard.Refused {
			err = fmt.Errorf("refused: %s", r.Detail)
		}
		if err != nil {
			return fmt.Errorf("cannot tell shard %d the thresholds of audiences: %w", m.id, err)
		}
	}
	return nil
}

// levelsNow reads all profiles, a page under each hold of a lock.
func (n *Node) levelsNow(program *recipe.Program) []float64 {
	var levels, values []float64
	view := &shard.View{At: n.now()}
	for i := range program.Levels {
		level := &program.Levels[i]
		values = values[:0]
		for _, m := range n.members {
			for from, more := uint32(0), true; more; {
				m.mu.RLock()
				if p := m.shard.Program(); p == nil || p.Hash != program.Hash {
					m.mu.RUnlock()
					break // the shards will not take what comes of it either
				}
				values, from, more = m.shard.EachNumber(values, level, from, scanPage, view)
				m.mu.RUnlock()
			}
		}
		levels = append(levels, level.Of(values))
	}
	return levels
}
