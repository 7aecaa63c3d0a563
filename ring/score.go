package ring

import (
	"cmp"
	"encoding/binary"
	"slices"

	"github.com/cespare/xxhash/v2"
)

// score is the rendezvous score of a member for a shard: the greatest of as many hashes as the member has weight, so that it wins
// with a chance in proportion to that (Thaler and Ravishankar 1998, with replicas in place of logarithms: integers are the same on
// every machine).
func score(shard int, m Member, buf []byte) (uint64, []byte) {
	var top uint64
	for unit := range m.Weight {
		buf = binary.LittleEndian.AppendUint32(buf[:0], uint32(shard))
		buf = binary.LittleEndian.AppendUint32(buf, uint32(unit))
		buf = append(buf, m.ID...)
		top = max(top, xxhash.Sum64(buf))
	}
	return top, buf
}

// ranking is, by shard, all members from the one that wants the shard most, as indexes into members.
func ranking(shards int, members []Member) [][]int {
	all := make([][]int, shards)
	scores := make([]uint64, len(members))
	var buf []byte
	for s := range all {
		order := make([]int, len(members))
		for i := range members {
			order[i] = i
			scores[i], buf = score(s, members[i], buf)
		}
		slices.SortFunc(order, func(a, b int) int {
			return cmp.Or(cmp.Compare(scores[b], scores[a]), cmp.Compare(a, b))
		})
		all[s] = order
	}
	return all
}
