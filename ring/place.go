package ring

import "slices"

// Place gives the table that should be: replicas copies of every shard on these members, by weight and spread over zones, and as near as
// can be to the old table. A nil or shorter old table means that its missing shards are new: they go where their rendezvous hashes say,
// as far as the balance allows. With fewer members than replicas every member holds everything. Without members the table is empty.
//
// Its cost grows with shards * members * moves: a millisecond for 64 shards on 5 members, 15 for 256 on 20; a minute for 4096 on 100.
func Place(old Table, shards, replicas int, members []Member) Table {
	members = slices.Clone(members)
	slices.SortFunc(members, byID)
	replicas = min(replicas, len(members))
	if replicas <= 0 {
		return make(Table, shards)
	}
	p := &placing{members: members, shards: shards, replicas: replicas, rank: ranking(shards, members)}
	p.zones = zoned(members, replicas)
	p.wish(old)
	p.quota = quotas(members, p.zones, shards, replicas, p.held)
	chosen := p.replicaSets()
	return p.ordered(old, chosen)
}

// placing is one call of Place.
type placing struct {
	members  []Member // by id
	shards   int
	replicas int
	rank     [][]int // by shard: members, the one that wants it most first
	zones    zones
	want     [][]int // by shard: members that hold it, or of a new shard: those that would by hash alone
	held     []int   // by member: how many of the old table's
	quota    []int
}

// wish fills want and held.
func (p *placing) wish(old Table) {
	index := make(map[string]int, len(p.members))
	for i, m := range p.members {
		index[m.ID] = i
	}
	p.want, p.held = make([][]int, p.shards), make([]int, len(p.members))
	for s := range p.want {
		if s < len(old) && len(old[s]) > 0 {
			for _, id := range old[s] {
				if m, ok := index[id]; ok && !slices.Contains(p.want[s], m) {
					p.want[s] = append(p.want[s], m)
					p.held[m]++
				}
			}
			continue
		}
		taken := make([]int, len(p.zones.size))
		for _, m := range p.rank[s] {
			if z := p.zones.of[m]; len(p.want[s]) < p.replicas && taken[z] < p.zones.cap {
				taken[z]++
				p.want[s] = append(p.want[s], m)
			}
		}
	}
}

// replicaSets chooses the members of every shard: within quotas and zones, with the fewest that are not wanted (I4). A flow from every
// shard through its zones to the members; what is wanted is cheaper. There always is one that is full: every share, divided evenly over
// all shards, is one with fractions, and a network of whole capacities then has one without.
func (p *placing) replicaSets() [][]int {
	n, z := len(p.members), len(p.zones.size)
	source, sink := 0, 1
	member := func(m int) int { return 2 + m }
	shard := func(s int) int { return 2 + n + s*(1+z) }
	f := newFlow(2 + n + p.shards*(1+z))
	toSink := make([]int, n)
	for m := range p.members {
		toSink[m] = f.add(member(m), sink, p.quota[m], 0)
	}
	edges := make([][]int, p.shards)
	for s := range p.shards {
		in := f.add(source, shard(s), p.replicas, 0)
		zone := make([]int, z)
		for k := range zone {
			zone[k] = f.add(shard(s), shard(s)+1+k, p.zones.cap, 0)
		}
		edges[s] = make([]int, n)
		for _, m := range p.rank[s] {
			k, cost := p.zones.of[m], 0
			wanted := slices.Contains(p.want[s], m)
			if wanted {
				cost = -1
			}
			e := f.add(shard(s)+1+k, member(m), 1, cost)
			edges[s][m] = e
			// What is wanted and fits is kept at once: nothing that sends as much can be cheaper.
			if path := []int{in, zone[k], e, toSink[m]}; wanted && f.fits(path) {
				for _, e := range path {
					f.push(e)
				}
			}
		}
	}
	f.fill(source, sink)
	chosen := make([][]int, p.shards)
	for s := range chosen {
		for _, m := range p.rank[s] {
			if f.used(edges[s][m]) {
				chosen[s] = append(chosen[s], m)
			}
		}
	}
	return chosen
}

// fits says whether every edge of a path has room.
func (f *flow) fits(path []int) bool {
	for _, e := range path {
		if f.edges[e].room == 0 {
			return false
		}
	}
	return true
}

// ordered names the members of every shard, the one that should lead first, the others by rank.
func (p *placing) ordered(old Table, chosen [][]int) Table {
	leaders := p.leaders(old, chosen)
	t := make(Table, p.shards)
	for s, members := range chosen {
		t[s] = append(make([]string, 0, len(members)), p.members[leaders[s]].ID)
		for _, m := range members {
			if m != leaders[s] {
				t[s] = append(t[s], p.members[m].ID)
			}
		}
	}
	return t
}

// leaders chooses one of the members of every shard (I5): a flow in which everybody's fair share, rounded down, is worth more than
// all leaders that stay.
func (p *placing) leaders(old Table, chosen [][]int) []int {
	n := len(p.members)
	source, sink := 0, 1
	f := newFlow(2 + n + p.shards)
	load := make([]int, n)
	for _, members := range chosen {
		for _, m := range members {
			load[m]++
		}
	}
	share := make([]int, n)
	for m := range p.members {
		share[m] = f.add(2+m, sink, load[m]/p.replicas, -p.shards-1)
		f.add(2+m, sink, (load[m]+p.replicas-1)/p.replicas-load[m]/p.replicas, 0)
	}
	edges := make([][]int, p.shards)
	for s, members := range chosen {
		in := f.add(source, 2+n+s, 1, 0)
		for i, m := range members {
			stays, cost := i == 0, 0 // of a new shard: the one that wants it most
			if s < len(old) && len(old[s]) > 0 {
				stays = old[s][0] == p.members[m].ID
			}
			if stays {
				cost = -1
			}
			e := f.add(2+n+s, 2+m, 1, cost)
			edges[s] = append(edges[s], e)
			// One that stays within the share is the cheapest path there is, so it is taken at once.
			if path := []int{in, e, share[m]}; stays && f.fits(path) {
				for _, e := range path {
					f.push(e)
				}
			}
		}
	}
	f.fill(source, sink)
	leaders := make([]int, p.shards)
	for s, members := range chosen {
		for i, m := range members {
			if f.used(edges[s][i]) {
				leaders[s] = m
			}
		}
	}
	return leaders
}
