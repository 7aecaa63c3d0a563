package sim

import (
	"fmt"
	"slices"
	"sort"
	"strings"

	"dashi/pipeline/identity"
	"dashi/pipeline/recipe"
)

// fact is one event as the tests draw it.
type fact struct {
	ids  []string // "namespace:value", strongest first
	name string
	item string
	n    int
	at   int64
	id   int
	cut  bool // ids are never one person

	account string // that is joined or left
	about   string // account that the event is about
}

// person is what the oracle says of one profile.
type person struct {
	ids   []string
	seen  map[string][2]int64
	count int
	sum   int
	items map[string]bool
}

// oracle recomputes everything from scratch: union-find over all that was seen together, rules, sums.
func oracle(program *recipe.Program, facts []fact) map[string]*person {
	var all []string
	for _, f := range facts {
		for _, id := range f.ids {
			if !slices.Contains(all, id) {
				all = append(all, id)
			}
		}
	}
	rank := func(id string) int {
		ns, _, _ := strings.Cut(id, ":")
		return slices.IndexFunc(program.Identity.Namespaces, func(r identity.Rule) bool { return r.Name == ns })
	}
	hash := func(id string) uint64 { ns, v, _ := strings.Cut(id, ":"); return identity.Hash(ns, []byte(v)) }
	sort.Slice(all, func(i, j int) bool {
		a, b := all[i], all[j]
		if rank(a) != rank(b) {
			return rank(a) < rank(b)
		}
		if hash(a) != hash(b) {
			return hash(a) < hash(b)
		}
		return a < b
	})
	known := &identity.Facts{}
	for _, id := range all {
		known.Members = append(known.Members, identity.Member{Namespace: rank(id)})
	}
	seen := map[string][2]int64{}
	for _, f := range facts {
		for i, id := range f.ids {
			if !f.cut {
				if s, ok := seen[id]; ok {
					seen[id] = [2]int64{min(s[0], f.at), max(s[1], f.at)}
				} else {
					seen[id] = [2]int64{f.at, f.at}
				}
			}
			if i == 0 {
				continue
			}
			a, b := slices.Index(all, f.ids[0]), slices.Index(all, id)
			l := identity.Link{A: min(a, b), B: max(a, b), Cut: f.cut, First: f.at, Last: f.at}
			k := slices.IndexFunc(known.Links, func(o identity.Link) bool { return o.A == l.A && o.B == l.B && o.Cut == l.Cut })
			if k < 0 {
				known.Links = append(known.Links, l)
				continue
			}
			known.Links[k].First, known.Links[k].Last = min(known.Links[k].First, f.at), max(known.Links[k].Last, f.at)
		}
	}
	identity.Saturate(known)
	var r identity.Resolver
	r.Resolve(&program.Identity, known)
	people := make([]*person, len(all))
	for i := range all {
		p := known.Members[i].Profile
		if people[p] == nil {
			people[p] = &person{items: map[string]bool{}, seen: seen}
		}
		people[p].ids = append(people[p].ids, all[i])
	}
	byID := map[string]*person{}
	for i, id := range all {
		byID[id] = people[known.Members[i].Profile]
	}
	done := map[int]bool{}
	for _, f := range facts {
		if f.cut || done[f.id] {
			continue
		}
		done[f.id] = true
		p := byID[f.ids[0]]
		p.count++
		if f.name == "buy" {
			p.sum += f.n
			p.items[f.item] = true
		}
	}
	for id, p := range byID {
		if p.count == 0 {
			byID[id] = nil
		}
	}
	return byID
}

// text is what a profile must look like, but for when it entered audiences.
func (p *person) text() string {
	if p == nil {
		return "none"
	}
	var items []string
	for item := range p.items {
		items = append(items, item)
	}
	sort.Strings(items)
	var ids []string
	for _, id := range p.ids {
		ids = append(ids, fmt.Sprint(id, p.seen[id]))
	}
	var audiences []string
	if p.count >= 3 {
		audiences = append(audiences, "busy", "loyal") // whoever stays in until they leave has entered by what is theirs
	}
	if p.sum > 5 {
		audiences = append(audiences, "rich")
	}
	return fmt.Sprint(ids, p.count, p.sum, items, audiences, p.count)
}
