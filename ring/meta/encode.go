package meta

import "encoding/binary"

func appendU64(dst []byte, v uint64) []byte { return binary.LittleEndian.AppendUint64(dst, v) }

func appendUint(dst []byte, v uint64) []byte { return binary.AppendUvarint(dst, v) }

func appendText(dst []byte, s string) []byte {
	return append(appendUint(dst, uint64(len(s))), s...)
}

func appendBool(dst []byte, b bool) []byte {
	if b {
		return append(dst, 1)
	}
	return append(dst, 0)
}

// appendAll appends the number of items, then each.
func appendAll[T any](dst []byte, items []T, one func([]byte, *T) []byte) []byte {
	dst = appendUint(dst, uint64(len(items)))
	for i := range items {
		dst = one(dst, &items[i])
	}
	return dst
}

func appendSettings(dst []byte, s *Settings) []byte {
	dst = appendUint(dst, uint64(s.Shards))
	dst = appendUint(dst, uint64(s.Replicas))
	dst = appendText(dst, s.Durability)
	dst = appendText(dst, s.Clock)
	dst = appendUint(dst, s.OutboxBytes)
	dst = appendUint(dst, s.RecentMillis)
	return appendUint(dst, s.RecentIDs)
}

func appendMember(dst []byte, m *Member) []byte {
	dst = appendText(dst, m.ID)
	dst = appendU64(dst, m.Incarnation)
	dst = appendText(dst, m.Node)
	dst = appendText(dst, m.HTTP)
	dst = appendText(dst, m.Zone)
	dst = appendUint(dst, uint64(m.Weight))
	return appendBool(dst, m.Draining)
}

func appendReplica(dst []byte, r *Replica) []byte {
	return appendU64(appendText(dst, r.Member), r.Incarnation)
}

func appendShard(dst []byte, s *Shard) []byte {
	return appendAll(appendBool(dst, s.Formed), s.Replicas, appendReplica)
}

func appendPlacement(dst []byte, p *Placement) []byte {
	return appendAll(appendUint(dst, uint64(p.Shard)), p.Replicas, appendReplica)
}

func appendMove(dst []byte, m *Move) []byte {
	dst = append(appendUint(dst, uint64(m.Shard)), byte(m.Step))
	dst = appendU64(dst, uint64(m.Since))
	return appendReplica(appendReplica(dst, &m.Add), &m.Remove)
}

func appendSource(dst []byte, s *Source) []byte {
	return appendText(appendText(dst, s.Name), string(s.Text))
}

func appendCookbook(dst []byte, c *Cookbook) []byte {
	dst = appendUint(dst, c.Version)
	dst = appendU64(dst, uint64(c.At))
	return appendAll(dst, c.Sources, appendSource)
}

func appendNumber(dst []byte, n *uint32) []byte { return appendUint(dst, uint64(*n)) }

func (c *Found) appendTo(dst []byte) []byte {
	return appendAll(appendSettings(appendText(dst, c.Cluster), &c.Settings), c.Members, appendMember)
}
func (c *Join) appendTo(dst []byte) []byte    { return appendMember(dst, &c.Member) }
func (c *Forget) appendTo(dst []byte) []byte  { return appendText(dst, c.Member) }
func (c *Drain) appendTo(dst []byte) []byte   { return appendBool(appendText(dst, c.Member), c.Draining) }
func (c *Place) appendTo(dst []byte) []byte   { return appendAll(dst, c.Shards, appendPlacement) }
func (c *Formed) appendTo(dst []byte) []byte  { return appendAll(dst, c.Shards, appendNumber) }
func (c *Abandon) appendTo(dst []byte) []byte { return appendUint(dst, uint64(c.Shard)) }
func (c *Prefer) appendTo(dst []byte) []byte  { return appendAll(dst, c.Shards, appendPlacement) }
func (c *Begin) appendTo(dst []byte) []byte {
	return appendReplica(appendReplica(appendUint(dst, uint64(c.Shard)), &c.Add), &c.Remove)
}
func (c *Advance) appendTo(dst []byte) []byte {
	return append(appendUint(dst, uint64(c.Shard)), byte(c.To))
}
func (c *PutCookbook) appendTo(dst []byte) []byte {
	return appendText(appendUint(appendAll(dst, c.Sources, appendSource), c.Above), c.Refused)
}

func (c *CookbookSwitched) appendTo(dst []byte) []byte { return appendUint(dst, c.Version) }
func (c *SetReplicas) appendTo(dst []byte) []byte      { return appendUint(dst, uint64(c.Replicas)) }
