package simulate

import (
	"slices"

	"dashi/pipeline/identity"
)

// Resolve decides who is whom. progress, which may be nil, is told how many identifiers are done.
func (s *Simulation) Resolve(progress func(done, total int)) *Report {
	if progress == nil {
		progress = func(int, int) {}
	}
	r := &Report{Events: s.events, Identifiers: len(s.members), Links: len(s.links),
		Refused: map[string]map[string]int{}, Shared: map[string]int{}}
	links := s.sortedLinks()
	links = s.saturate(links, r)
	groups, of := s.together(links, r)
	var resolver identity.Resolver
	done := 0
	for i, g := range groups {
		s.resolve(&resolver, g, of[i], r)
		if done += len(g); i%1000 == 0 {
			progress(done, len(s.members))
		}
	}
	s.summarise(r)
	return r
}

// saturate takes the links of identifiers out that were seen with too many others to be anybody's.
func (s *Simulation) saturate(links []*identity.Link, r *Report) []*identity.Link {
	type partners struct {
		member    int
		namespace uint8
	}
	count := map[partners]int{}
	saturated := map[int]bool{}
	for _, l := range links {
		k := partners{l.B, s.members[l.A].namespace}
		if count[k]++; count[k] == identity.MaxPartners+1 && !saturated[l.B] {
			saturated[l.B] = true
			r.Saturated = append(r.Saturated, s.identifier(int32(l.B)))
		}
	}
	return slices.DeleteFunc(links, func(l *identity.Link) bool { return saturated[l.B] })
}

// together finds the identifiers that hang together by links, in the order of ids, and their links.
func (s *Simulation) together(links []*identity.Link, r *Report) (groups [][]int32, of [][]*identity.Link) {
	parent, size := make([]int32, len(s.members)), make([]int32, len(s.members))
	for i := range parent {
		parent[i], size[i] = int32(i), 1
	}
	find := func(m int32) int32 {
		for parent[m] != m {
			parent[m] = parent[parent[m]]
			m = parent[m]
		}
		return m
	}
	kept := links[:0]
	for _, l := range links {
		a, b := find(int32(l.A)), find(int32(l.B))
		if a != b && size[a]+size[b] > MostTogether {
			r.Overlong++
			continue
		}
		kept = append(kept, l)
		if a != b {
			parent[b] = a
			size[a] += size[b]
		}
	}
	number := map[int32]int{}
	for m := range int32(len(s.members)) {
		root := find(m)
		n, ok := number[root]
		if !ok {
			n = len(groups)
			number[root] = n
			groups = append(groups, nil)
		}
		groups[n] = append(groups[n], m)
	}
	of = make([][]*identity.Link, len(groups))
	for _, l := range kept {
		n := number[find(int32(l.A))]
		of[n] = append(of[n], l)
	}
	return groups, of
}

// resolve decides about identifiers that hang together.
func (s *Simulation) resolve(resolver *identity.Resolver, group []int32, links []*identity.Link, r *Report) {
	if len(group) == 1 {
		return
	}
	slices.SortFunc(group, s.order)
	at := make(map[int]int, len(group))
	f := &identity.Facts{}
	for i, m := range group {
		at[int(m)] = i
		f.Members = append(f.Members, identity.Member{Namespace: int(s.members[m].namespace)})
	}
	for _, l := range links {
		here := *l
		here.A, here.B = at[l.A], at[l.B]
		f.Links = append(f.Links, here)
	}
	slices.SortFunc(f.Links, func(x, y identity.Link) int { return (x.A-y.A)*2*MostTogether + x.B - y.B })
	resolver.Resolve(s.rules, f)
	for i, m := range group {
		s.members[m].profile = group[f.Members[i].Profile]
	}
	s.count(group, f, r)
}
