package match

import (
	"cmp"
	"math"
	"slices"
)

// Pair is two records, a < b, and how they compare.
type Pair struct {
	A, B int32 // records, in the order in which they were added
	// Weight is the evidence in bits that they are one person: 1 doubles the odds.
	Weight      float64
	Probability float64
	levels      pattern
}

// Level is the word for how the two agree in a field.
func (p Pair) Level(field int) string { return p.levels.at(field).String() }

// groups is a union-find of records, with the members of each group in a ring.
type groups struct {
	parent, next []int32
	size         []int32
	split        int // pairs that were not joined because the group would have been too large
}

func newGroups(n int) *groups {
	g := &groups{parent: make([]int32, n), next: make([]int32, n), size: make([]int32, n)}
	for i := range int32(n) {
		g.parent[i], g.next[i], g.size[i] = i, i, 1
	}
	return g
}

func (g *groups) find(a int32) int32 {
	for g.parent[a] != a {
		g.parent[a] = g.parent[g.parent[a]]
		a = g.parent[a]
	}
	return a
}

// join makes one group of two; the smaller number stands for it.
func (g *groups) join(a, b int32) {
	a, b = g.find(a), g.find(b)
	if a == b {
		return
	}
	if a > b {
		a, b = b, a
	}
	g.parent[b] = a
	g.size[a] += g.size[b]
	g.next[a], g.next[b] = g.next[b], g.next[a]
}

// all gives each record its group.
func (g *groups) all() (of []int32, count int) {
	of = make([]int32, len(g.parent))
	for i := range of {
		if of[i] = g.find(int32(i)); of[i] == int32(i) {
			count++
		}
	}
	return of, count
}

// strongest bounds what one pair may say about two groups, in units of logit: beyond it a pair is as good as certain, and should
// not outvote several others.
const strongest = 8

// mostVotes is how many pairs of two large groups are compared.
const mostVotes = 256

// cluster joins groups along the pairs, best first, when the pairs between the two groups speak for it on the whole: one
// good pair must not chain together what other pairs hold apart.
func (x *scorer) cluster(pairs []Pair, threshold float64) *groups {
	order := slices.Clone(pairs)
	slices.SortFunc(order, func(p, q Pair) int {
		return cmp.Or(cmp.Compare(q.Weight, p.Weight), cmp.Compare(p.A, q.A), cmp.Compare(p.B, q.B))
	})
	g := newGroups(x.t.records)
	for _, p := range order {
		if p.Probability < threshold {
			break
		}
		a, b := g.find(p.A), g.find(p.B)
		switch {
		case a == b:
		case g.size[a]+g.size[b] > LargestGroup:
			g.split++
		case g.size[a] == 1 && g.size[b] == 1 || x.vote(g, a, b) > 0:
			g.join(a, b)
		}
	}
	return g
}

// vote sums what the pairs between two groups say.
func (x *scorer) vote(g *groups, a, b int32) float64 {
	total := int(g.size[a]) * int(g.size[b])
	step := (total + mostVotes - 1) / mostVotes
	sum, i := 0.0, 0
	for m := a; ; {
		for n := b; ; {
			if i%step == 0 {
				sum += min(max(x.logit(min(m, n), max(m, n)), -strongest), strongest)
			}
			i++
			if n = g.next[n]; n == b {
				break
			}
		}
		if m = g.next[m]; m == a {
			break
		}
	}
	return sum
}

// scorer compares pairs by a model.
type scorer struct {
	t       *Table
	m       *Model
	c       *comparer
	weights *weights
}

func (x *scorer) logit(a, b int32) float64 {
	p := x.t.pattern(x.c, a, b)
	return x.weights.logit(p, x.m.rareOf(x.t, p, a))
}

// pair scores two records.
func (x *scorer) pair(a, b int32) Pair {
	p := x.t.pattern(x.c, a, b)
	l := x.weights.logit(p, x.m.rareOf(x.t, p, a))
	return Pair{A: a, B: b, Weight: l / math.Ln2, Probability: probability(l), levels: p}
}

// Join makes people of pairs of n records, and lists the records of each who has more than one, in order.
func Join(n int, pairs [][2]int32) [][]int32 {
	g := newGroups(n)
	for _, p := range pairs {
		g.join(p[0], p[1])
	}
	var people [][]int32
	for a := range int32(n) {
		if g.find(a) != a || g.size[a] == 1 {
			continue
		}
		members := []int32{a}
		for b := g.next[a]; b != a; b = g.next[b] {
			members = append(members, b)
		}
		slices.Sort(members)
		people = append(people, members)
	}
	return people
}
