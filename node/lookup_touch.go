package node

import (
	"bytes"
	"sync"

	"dashi/ring"
)

// touchKeys is how many look-ups are prepared at once: some for each shard, and few enough for the processor's second-level cache.
const touchKeys = 256

// ahead is the scratch space of one Touch.
type ahead struct {
	value  []byte
	hashes [touchKeys]uint64
	shards [touchKeys]uint32
	sorted [touchKeys]uint64
	ends   []int32 // in sorted, by shard
}

var aheads = sync.Pool{New: func() any { return new(ahead) }}

// Touch reads the memory that look-ups of these keys, namespace:value, will need: many cache misses at once cost little more than
// one. Keys of no profile do no harm.
func (n *Node) Touch(keys [][]byte) {
	a := aheads.Get().(*ahead)
	defer aheads.Put(a)
	for len(keys) > 0 {
		k := min(len(keys), touchKeys)
		n.touch(a, keys[:k])
		keys = keys[k:]
	}
}

// touch sorts the hashes of the keys by shard, so that each shard's lock is held once.
func (n *Node) touch(a *ahead, keys [][]byte) {
	if len(a.ends) != len(n.shards) {
		a.ends = make([]int32, len(n.shards))
	}
	clear(a.ends)
	count := 0
	for _, key := range keys {
		colon := bytes.IndexByte(key, ':')
		if colon < 0 {
			continue
		}
		if _, hash, ok := n.normalise(&a.value, key[:colon], key[colon+1:]); ok {
			shard := ring.Shard(hash, len(n.shards))
			a.hashes[count], a.shards[count] = hash, uint32(shard)
			a.ends[shard]++
			count++
		}
	}
	before := int32(0)
	for shard, k := range a.ends {
		a.ends[shard] = before // the start, until the next loop has moved it
		before += k
	}
	for i, shard := range a.shards[:count] {
		a.sorted[a.ends[shard]] = a.hashes[i]
		a.ends[shard]++
	}
	from := int32(0)
	for shard, end := range a.ends {
		if end-from > 1 {
			h := n.shards[shard]
			h.mu.RLock()
			h.shard.Touch(a.sorted[from:end])
			h.mu.RUnlock()
		}
		from = end
	}
}
