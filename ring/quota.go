package ring

// zones are the members by zone.
type zones struct {
	of   []int // by member: its zone
	size []int // by zone: members
	cap  int   // replicas of one shard that one zone may hold
}

// zoned finds how far replicas can be spread: the smallest cap with which there are enough places for a shard.
func zoned(members []Member, replicas int) zones {
	z := zones{of: make([]int, len(members))}
	index := map[string]int{}
	for i, m := range members {
		k, ok := index[m.Zone]
		if !ok {
			k = len(z.size)
			index[m.Zone] = k
			z.size = append(z.size, 0)
		}
		z.of[i] = k
		z.size[k]++
	}
	for z.cap = 1; ; z.cap++ {
		places := 0
		for _, n := range z.size {
			places += min(n, z.cap)
		}
		if places >= replicas {
			return z
		}
	}
}

// quotas deals out all replicas one by one, each to the member that would then have the least for its weight (d'Hondt), so that
// everybody's share is exact to one replica. No member holds a shard twice, no zone more of it than the cap: these are the only
// reasons for less than a share. Between equals the one that holds more now goes first: it need not give anything away.
func quotas(members []Member, z zones, shards, replicas int, held []int) []int {
	quota := make([]int, len(members))
	inZone := make([]int, len(z.size))
	for range shards * replicas {
		best := -1
		for i := range members {
			k := z.of[i]
			if quota[i] == shards || inZone[k] == shards*z.cap {
				continue
			}
			if best < 0 || sooner(members, quota, held, i, best) {
				best = i
			}
		}
		quota[best]++
		inZone[z.of[best]]++
	}
	return quota
}

// sooner says whether member a gets the next replica before member b.
func sooner(members []Member, quota, held []int, a, b int) bool {
	x, y := (quota[a]+1)*members[b].Weight, (quota[b]+1)*members[a].Weight
	if x != y {
		return x < y
	}
	return held[a]-quota[a] > held[b]-quota[b]
}
