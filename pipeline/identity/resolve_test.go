package identity

import (
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// naive is Resolve as one would write it on a page: sets of members as maps, everything computed from scratch.
type naive struct {
	rules *Rules
	f     *Facts
	sets  []map[int]bool // by member
}

func (n *naive) came(m int) int64 {
	t := never
	for _, l := range n.f.Links {
		if !l.Cut && (l.A == m || l.B == m) {
			t = min(t, l.First)
		}
	}
	return t
}

func (n *naive) verdict(a, b int) Verdict {
	if n.sets[a][b] {
		return Joined
	}
	for _, c := range n.f.Links {
		if c.Cut && (n.sets[a][c.A] && n.sets[b][c.B] || n.sets[a][c.B] && n.sets[b][c.A]) {
			return Cut
		}
	}
	if len(n.sets[a])+len(n.sets[b]) > n.rules.MaxIdentifiers {
		return TooLarge
	}
	for ns, rule := range n.rules.Namespaces {
		var mine, theirs []int64
		for m := range n.f.Members {
			if n.f.Members[m].Namespace == ns && n.sets[a][m] {
				mine = append(mine, n.came(m))
			}
			if n.f.Members[m].Namespace == ns && n.sets[b][m] {
				theirs = append(theirs, n.came(m))
			}
		}
		if rule.Limit == 0 || len(mine) == 0 || len(theirs) == 0 {
			continue
		}
		all := append(mine, theirs...)
		for _, from := range all { // a window that begins at each
			in := 0
			for _, t := range all {
				if t >= from && (rule.Period == 0 || t < from+rule.Period) {
					in++
				}
			}
			if in > rule.Limit {
				return OverLimit
			}
		}
	}
	return Joined
}

func (n *naive) join(a, b int) {
	both := map[int]bool{}
	for m := range n.sets[a] {
		both[m] = true
	}
	for m := range n.sets[b] {
		both[m] = true
	}
	for m := range both {
		n.sets[m] = both
	}
}

func (n *naive) resolve() {
	n.sets = make([]map[int]bool, len(n.f.Members))
	for m := range n.sets {
		n.sets[m] = map[int]bool{m: true}
	}
	policy := func(m int) Shared { return n.rules.Namespaces[n.f.Members[m].Namespace].Shared }
	less := func(vs ...int64) bool { // pairs
		for i := 0; i < len(vs); i += 2 {
			if vs[i] != vs[i+1] {
				return vs[i] < vs[i+1]
			}
		}
		return false
	}
	try := func(i int) Verdict {
		l := &n.f.Links[i]
		if l.Verdict = n.verdict(l.A, l.B); l.Verdict == Joined {
			n.join(l.A, l.B)
		}
		return l.Verdict
	}
	earlier := func(i, j int) bool {
		a, b := n.f.Links[i], n.f.Links[j]
		return less(a.First, b.First, int64(a.A), int64(b.A), int64(a.B), int64(b.B))
	}
	later := func(i, j int) bool {
		a, b := n.f.Links[i], n.f.Links[j]
		return less(b.Last, a.Last, b.First, a.First, int64(a.A), int64(b.A), int64(a.B), int64(b.B))
	}
	pick := func(want func(Link) bool, before func(i, j int) bool) []int {
		var all []int
		for i, l := range n.f.Links {
			if !l.Cut && want(l) {
				all = append(all, i)
			}
		}
		for i := range all { // selection sort
			for j := i + 1; j < len(all); j++ {
				if before(all[j], all[i]) {
					all[i], all[j] = all[j], all[i]
				}
			}
		}
		return all
	}
	oldest := func(m int) bool {
		r := n.rules.Namespaces[n.f.Members[m].Namespace]
		return r.Limit > 0 && r.Excess == Oldest
	}
	held := func(l Link) bool { return oldest(l.A) || oldest(l.B) }
	for _, i := range pick(func(l Link) bool { return policy(l.B) == First && !held(l) }, earlier) {
		try(i)
	}
	for _, i := range pick(func(l Link) bool { return policy(l.B) == First && held(l) }, later) {
		try(i)
	}
	went := func(m int) int64 {
		t := -never
		for _, l := range n.f.Links {
			if !l.Cut && (l.A == m || l.B == m) {
				t = max(t, l.Last)
			}
		}
		return t
	}
	var shared []int
	for m := range n.f.Members {
		if policy(m) != First && len(pick(func(l Link) bool { return l.B == m }, earlier)) > 0 {
			shared = append(shared, m)
		}
	}
	slices.SortFunc(shared, func(a, b int) int {
		first := less(n.came(a), n.came(b), int64(a), int64(b))
		if oldest(a) && oldest(b) {
			first = less(went(b), went(a), int64(a), int64(b))
		} else if oldest(a) || oldest(b) {
			first = oldest(b)
		}
		if first {
			return -1
		}
		return 1
	})
	for _, m := range shared {
		mine := func(l Link) bool { return l.B == m }
		if policy(m) == LastAuthenticated {
			for _, i := range pick(mine, later) {
				try(i)
			}
			continue
		}
		before := slices.Clone(n.sets)
		links := pick(mine, earlier)
		for _, i := range links {
			if try(i) != Joined {
				n.sets = before
				for _, j := range links {
					n.f.Links[j].Verdict = Isolated
				}
				break
			}
		}
	}
	for m := range n.f.Members {
		n.f.Members[m].Profile = m
		for o := range n.sets[m] {
			n.f.Members[m].Profile = min(n.f.Members[m].Profile, o)
		}
	}
}

func drawFacts(t *rapid.T) (*Rules, *Facts) {
	rules := &Rules{MaxIdentifiers: rapid.IntRange(2, 9).Draw(t, "most")}
	for ns := range 4 {
		rules.Namespaces = append(rules.Namespaces, Rule{
			Name:   fmt.Sprint(ns),
			Limit:  rapid.IntRange(0, 3).Draw(t, "limit"),
			Period: rapid.SampledFrom([]int64{0, 0, 3}).Draw(t, "period"),
			Shared: Shared(rapid.IntRange(0, 2).Draw(t, "shared")),
			Excess: Excess(rapid.IntRange(0, 1).Draw(t, "excess")),
		})
	}
	n := rapid.IntRange(2, 12).Draw(t, "members")
	f := &Facts{}
	for range n {
		f.Members = append(f.Members, Member{Namespace: rapid.IntRange(0, 3).Draw(t, "namespace")})
	}
	slices.SortFunc(f.Members, func(a, b Member) int { return a.Namespace - b.Namespace })
	have := map[[2]int]bool{}
	for range rapid.IntRange(1, 20).Draw(t, "links") {
		a := rapid.IntRange(0, n-2).Draw(t, "a")
		b := rapid.IntRange(a+1, n-1).Draw(t, "b")
		if have[[2]int{a, b}] {
			continue
		}
		have[[2]int{a, b}] = true
		first := rapid.Int64Range(0, 8).Draw(t, "first")
		f.Links = append(f.Links, Link{A: a, B: b, First: first, Last: first + rapid.Int64Range(0, 8).Draw(t, "last"), Cut: rapid.IntRange(0, 7).Draw(t, "cut") == 0})
	}
	return rules, f
}

// The resolver is the naive one, and does not depend on the order in which the facts lie.
func TestResolveAgainstNaive(t *testing.T) {
	var r Resolver
	rapid.Check(t, func(t *rapid.T) {
		rules, f := drawFacts(t)
		want := &Facts{Members: slices.Clone(f.Members), Links: slices.Clone(f.Links)}
		(&naive{rules: rules, f: want}).resolve()
		perm := rapid.Permutation(f.Links).Draw(t, "order")
		shuffled := &Facts{Members: slices.Clone(f.Members), Links: slices.Clone(perm)}
		r.Resolve(rules, f)
		r.Resolve(rules, shuffled)
		if !slices.Equal(f.Members, want.Members) || !slices.Equal(f.Members, shuffled.Members) {
			t.Fatalf("members %+v, shuffled %+v, want %+v\nlinks %+v", f.Members, shuffled.Members, want.Members, f.Links)
		}
		if !slices.Equal(f.Links, want.Links) {
			t.Fatalf("links %+v, want %+v", f.Links, want.Links)
		}
	})
}

// Which link joins whom, case by case. Members: u1, u2 (unique), e (first), d (by the policy).
func TestResolvePolicies(t *testing.T) {
	f := func(shared Shared, links []Link, want ...int) {
		t.Helper()
		rules := &Rules{MaxIdentifiers: 10, Namespaces: []Rule{{Limit: 1}, {}, {Shared: shared}}}
		facts := &Facts{Members: []Member{{Namespace: 0}, {Namespace: 0}, {Namespace: 1}, {Namespace: 2}}, Links: links}
		var r Resolver
		r.Resolve(rules, facts)
		var got []int
		for _, m := range facts.Members {
			got = append(got, m.Profile)
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s, %+v: profiles %v, want %v", shared, links, got, want)
		}
	}
	both := []Link{{A: 0, B: 3, First: 1, Last: 5}, {A: 1, B: 3, First: 2, Last: 4}}
	f(First, both, 0, 1, 2, 0)
	f(LastAuthenticated, both, 0, 1, 2, 0)
	both[1].Last = 6
	f(LastAuthenticated, both, 0, 1, 2, 1)
	f(First, both, 0, 1, 2, 0)
	f(Isolate, both, 0, 1, 2, 3)
	f(Isolate, both[:1], 0, 1, 2, 0)
	// A guest's address and the customer who signs in on the same device later are one person.
	guest := []Link{{A: 2, B: 3, First: 1, Last: 1}, {A: 0, B: 3, First: 2, Last: 2}}
	f(LastAuthenticated, guest, 0, 1, 0, 0)
	f(Isolate, guest, 0, 1, 0, 0)
	f(LastAuthenticated, append(guest, Link{A: 0, B: 2, Cut: true}), 0, 1, 2, 0)
}

// A new telephone takes the place of the one that was not used for longest; whose it was before the person keeps, and nobody is kept apart by it.
func TestResolveOldestGoes(t *testing.T) {
	f := func(excess Excess, period int64, links []Link, want ...int) {
		t.Helper()
		rules := &Rules{MaxIdentifiers: 10, Namespaces: []Rule{{Limit: 1}, {Limit: 2, Period: period, Excess: excess}, {}}}
		facts := &Facts{Members: []Member{{Namespace: 0}, {Namespace: 1}, {Namespace: 1}, {Namespace: 1}, {Namespace: 2}}, Links: links}
		var r Resolver
		r.Resolve(rules, facts)
		var got []int
		for _, m := range facts.Members {
			got = append(got, m.Profile)
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s, %+v: profiles %v, want %v", excess, links, got, want)
		}
	}
	phones := []Link{{A: 0, B: 1, First: 1, Last: 1}, {A: 0, B: 2, First: 2, Last: 2}, {A: 0, B: 3, First: 3, Last: 3}}
	f(Refuse, 0, phones, 0, 0, 0, 3, 4)
	f(Oldest, 0, phones, 0, 1, 0, 0, 4)
	f(Oldest, 2, phones, 0, 0, 0, 0, 4) // two in two milliseconds, more in three
	phones[0].Last = 4                  // the first one is used again
	f(Oldest, 0, phones, 0, 0, 2, 0, 4)
	f(Refuse, 0, phones, 0, 0, 0, 3, 4)
	// What was seen with the telephone that goes, and with nobody else, goes with it.
	f(Oldest, 0, []Link{{A: 0, B: 1, First: 1, Last: 1}, {A: 0, B: 2, First: 2, Last: 2}, {A: 0, B: 3, First: 3, Last: 3}, {A: 1, B: 4, First: 1, Last: 1}}, 0, 1, 0, 0, 1)
}

func TestSaturate(t *testing.T) {
	facts := func(partners int) *Facts {
		f := &Facts{}
		for range partners {
			f.Members = append(f.Members, Member{})
		}
		f.Members = append(f.Members, Member{Namespace: 1})
		for i := range partners {
			f.Links = append(f.Links, Link{A: i, B: partners})
		}
		f.Links = append(f.Links, Link{A: 0, B: partners, Cut: true})
		return f
	}
	if f := facts(MaxPartners); Saturate(f) != 0 || len(f.Links) != MaxPartners+1 {
		t.Error("saturated at the limit")
	}
	if f := facts(MaxPartners + 1); Saturate(f) != 1 || len(f.Links) != 1 || !f.Members[MaxPartners+1].Saturated {
		t.Error("not saturated over the limit")
	}
}

func BenchmarkResolve(b *testing.B) {
	rules := &Rules{MaxIdentifiers: 200, Namespaces: []Rule{{Limit: 1}, {}, {}, {Shared: LastAuthenticated}}}
	f := &Facts{Members: []Member{{Namespace: 0}, {Namespace: 1}, {Namespace: 2}, {Namespace: 3}, {Namespace: 3}}}
	for i := 1; i < 5; i++ {
		f.Links = append(f.Links, Link{A: 0, B: i, First: int64(i)})
	}
	var r Resolver
	b.ReportAllocs()
	for b.Loop() {
		r.Resolve(rules, f)
	}
}
