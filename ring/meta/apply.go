package meta

import (
	"slices"
	"strings"

	"dashi/ring"
)

func (c *Found) apply(s *State, _ int64) *Rejection {
	switch {
	case c.Cluster == "":
		return reject(Invalid, "the cluster has no id")
	case c.Settings.Shards < 1 || c.Settings.Replicas < 1:
		return reject(Invalid, "%d shards with %d replicas", c.Settings.Shards, c.Settings.Replicas)
	case len(c.Members) == 0:
		return reject(Invalid, "nobody founds it")
	}
	s.Cluster, s.Settings = c.Cluster, c.Settings
	s.Shards = make([]Shard, c.Settings.Shards)
	s.Placed = s.Epoch
	for _, m := range c.Members {
		if r := (&Join{m}).apply(s, 0); r != nil {
			return r
		}
	}
	return nil
}

func (c *Join) apply(s *State, _ int64) *Rejection {
	m := c.Member
	switch {
	case m.ID == "" || m.Node == "":
		return reject(Invalid, "a member needs an id and an address")
	case m.Weight < 1 || m.Weight > ring.MaxWeight:
		return reject(Invalid, "weight %d of member %q is not between 1 and %d", m.Weight, m.ID, ring.MaxWeight)
	}
	i, known := slices.BinarySearchFunc(s.Members, m.ID, func(m Member, id string) int { return strings.Compare(m.ID, id) })
	if known {
		m.Draining = s.Members[i].Draining
		s.Members = slices.Clone(s.Members)
		s.Members[i] = m
		return nil
	}
	if len(s.Members) == MaxMembers {
		return reject(Invalid, "there are %d members already", MaxMembers)
	}
	m.Draining = false
	s.Members = slices.Insert(slices.Clone(s.Members), i, m)
	return nil
}

func (c *Forget) apply(s *State, _ int64) *Rejection {
	if _, ok := s.Member(c.Member); !ok {
		return reject(Unknown, "there is no node %q", c.Member)
	}
	if s.Holding(c.Member) {
		return reject(Busy, "node %q holds replicas: drain it first", c.Member)
	}
	s.Members = slices.DeleteFunc(slices.Clone(s.Members), func(m Member) bool { return m.ID == c.Member })
	return nil
}

func (c *Drain) apply(s *State, _ int64) *Rejection {
	if _, ok := s.Member(c.Member); !ok {
		return reject(Unknown, "there is no node %q", c.Member)
	}
	s.Members = slices.Clone(s.Members)
	m, _ := s.Member(c.Member)
	m.Draining = c.Draining
	return nil
}

func (c *Place) apply(s *State, _ int64) *Rejection {
	if len(c.Shards) == 0 {
		return reject(Invalid, "no shard is named")
	}
	s.Shards = slices.Clone(s.Shards)
	for _, p := range c.Shards {
		if int(p.Shard) >= len(s.Shards) {
			return reject(Unknown, "there is no shard %d", p.Shard)
		}
		if len(s.Shards[p.Shard].Replicas) > 0 {
			return reject(Busy, "shard %d has been placed", p.Shard)
		}
		if r := s.fit(p.Replicas); r != nil {
			return r
		}
		s.Shards[p.Shard] = Shard{Replicas: p.Replicas}
	}
	s.Placed = s.Epoch
	return nil
}

// fit says what is wrong with a set of replicas.
func (s *State) fit(replicas []Replica) *Rejection {
	if len(replicas) == 0 || len(replicas) > MaxReplicas {
		return reject(Invalid, "a shard with %d replicas; it has 1 to %d", len(replicas), MaxReplicas)
	}
	for i, r := range replicas {
		if !s.Present(r) {
			return reject(Unknown, "there is no member %q of incarnation %x", r.Member, r.Incarnation)
		}
		for _, other := range replicas[:i] {
			if other.Member == r.Member {
				return reject(Invalid, "member %q is named twice", r.Member)
			}
		}
	}
	return nil
}

func (c *Formed) apply(s *State, now int64) *Rejection {
	if len(c.Shards) == 0 {
		return reject(Invalid, "no shard is named")
	}
	s.Shards = slices.Clone(s.Shards)
	for _, i := range c.Shards {
		if int(i) >= len(s.Shards) || len(s.Shards[i].Replicas) == 0 {
			return reject(Unknown, "shard %d has not been placed", i)
		}
		s.Shards[i].Formed = true
	}
	s.recovered(now)
	return nil
}

func (c *Prefer) apply(s *State, _ int64) *Rejection {
	if len(c.Shards) == 0 {
		return reject(Invalid, "no shard is named")
	}
	s.Shards = slices.Clone(s.Shards)
	for _, p := range c.Shards {
		if int(p.Shard) >= len(s.Shards) {
			return reject(Unknown, "there is no shard %d", p.Shard)
		}
		sh := &s.Shards[p.Shard]
		if len(p.Replicas) != len(sh.Replicas) {
			return reject(Invalid, "shard %d has %d replicas, not %d", p.Shard, len(sh.Replicas), len(p.Replicas))
		}
		for i, r := range p.Replicas {
			if !slices.Contains(sh.Replicas, r) || slices.Contains(p.Replicas[:i], r) {
				return reject(Invalid, "shard %d: that is not another order of its replicas", p.Shard)
			}
		}
		sh.Replicas = p.Replicas
	}
	s.Placed = s.Epoch
	return nil
}

func (c *PutCookbook) apply(s *State, now int64) *Rejection {
	size := 0
	for _, src := range c.Sources {
		size += len(src.Name) + len(src.Text)
	}
	if len(c.Sources) == 0 || size > MaxCookbookBytes {
		return reject(Invalid, "a cookbook of %d recipes and %d bytes; it has one or more, of %d bytes at most", len(c.Sources), size, MaxCookbookBytes)
	}
	last := s.Cookbook()
	open := last != nil && last.Version != s.Switched // on its way
	next := Cookbook{Version: c.Above + 1, At: now, Sources: c.Sources}
	if last != nil {
		next.Version = max(next.Version, last.Version+1)
	}
	kept := s.Cookbooks
	switch {
	case c.Refused != "" && !open:
		return reject(Invalid, "no cookbook is on its way")
	case c.Refused != "":
		s.Refused = Refusal{last.Version, c.Refused}
		kept = kept[:len(kept)-1]
	case open && c.Above <= last.Version:
		return reject(Busy, "cookbook version %d is on its way", last.Version)
	}
	kept = kept[max(0, len(kept)-KeepCookbooks+1):]
	s.Cookbooks = append(slices.Clone(kept), next)
	return nil
}

func (c *CookbookSwitched) apply(s *State, _ int64) *Rejection {
	last := s.Cookbook()
	if last == nil || last.Version != c.Version {
		return reject(Unknown, "cookbook version %d is not the last", c.Version)
	}
	s.Switched = c.Version
	return nil
}

func (c *SetReplicas) apply(s *State, _ int64) *Rejection {
	if c.Replicas < 1 || c.Replicas > MaxReplicas {
		return reject(Invalid, "%d replicas is not between 1 and %d", c.Replicas, MaxReplicas)
	}
	s.Settings.Replicas = c.Replicas
	return nil
}
