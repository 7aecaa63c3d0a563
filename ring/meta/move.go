package meta

import (
	"cmp"
	"slices"
)

func (c *Begin) apply(s *State, now int64) *Rejection {
	if int(c.Shard) >= len(s.Shards) || !s.Shards[c.Shard].Formed {
		return reject(Unknown, "shard %d has not been formed", c.Shard)
	}
	if s.Recovering() {
		return reject(Busy, "the shards are going back to a cut")
	}
	if _, ok := s.Move(int(c.Shard)); ok {
		return reject(Busy, "shard %d is being moved", c.Shard)
	}
	have := s.Shards[c.Shard].Replicas
	adds, removes := c.Add != Replica{}, c.Remove != Replica{}
	switch {
	case !adds && !removes:
		return reject(Invalid, "a move of nothing")
	case removes && !slices.Contains(have, c.Remove):
		return reject(Unknown, "member %q of incarnation %x holds no replica of shard %d", c.Remove.Member, c.Remove.Incarnation, c.Shard)
	case removes && !adds && len(have) == 1:
		return reject(Invalid, "the last replica of shard %d", c.Shard)
	case adds && !s.Present(c.Add):
		return reject(Unknown, "there is no member %q of incarnation %x", c.Add.Member, c.Add.Incarnation)
	case adds && slices.Contains(have, c.Add):
		return reject(Invalid, "member %q holds shard %d already", c.Add.Member, c.Shard)
	case adds && !removes && len(have) >= MaxReplicas:
		return reject(Invalid, "shard %d has %d replicas", c.Shard, len(have))
	}
	m := Move{Shard: c.Shard, Step: Planned, Since: now, Add: c.Add, Remove: c.Remove}
	if !adds {
		m.Step = Voting
	}
	i, _ := slices.BinarySearchFunc(s.Moves, c.Shard, func(m Move, shard uint32) int { return cmp.Compare(m.Shard, shard) })
	s.Moves = slices.Insert(slices.Clone(s.Moves), i, m)
	return nil
}

func (c *Advance) apply(s *State, _ int64) *Rejection {
	m, ok := s.Move(int(c.Shard))
	if !ok {
		return reject(Unknown, "shard %d is not being moved", c.Shard)
	}
	if c.To != m.Step+1 {
		return reject(Invalid, "the move of shard %d is at %q, it cannot come to %q", c.Shard, m.Step, c.To)
	}
	s.Moves = slices.Clone(s.Moves)
	m, _ = s.Move(int(c.Shard))
	m.Step = c.To
	s.Shards = slices.Clone(s.Shards)
	sh := &s.Shards[c.Shard]
	over := m.Remove == Replica{}
	switch c.To {
	case Voting:
		sh.Replicas = append(slices.Clone(sh.Replicas), m.Add)
		s.Placed = s.Epoch
	case Left:
		if over {
			return reject(Invalid, "the move of shard %d removes nobody", c.Shard)
		}
		sh.Replicas = slices.DeleteFunc(slices.Clone(sh.Replicas), func(r Replica) bool { return r == m.Remove })
		s.Placed = s.Epoch
		over = true
	default:
		over = false
	}
	if over {
		s.drop(c.Shard)
	}
	return nil
}

func (c *Abandon) apply(s *State, _ int64) *Rejection {
	m, ok := s.Move(int(c.Shard))
	if !ok {
		return reject(Unknown, "shard %d is not being moved", c.Shard)
	}
	if m.Step >= Voting && m.Add != (Replica{}) {
		return reject(Invalid, "the move of shard %d has come to %q: it must end", c.Shard, m.Step)
	}
	s.drop(c.Shard)
	return nil
}

// drop ends the move of a shard.
func (s *State) drop(shard uint32) {
	s.Moves = slices.DeleteFunc(slices.Clone(s.Moves), func(m Move) bool { return m.Shard == shard })
}
