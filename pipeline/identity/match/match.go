package match

import (
	"cmp"
	"slices"
)

// Settings of Run. The zero value is good.
type Settings struct {
	// Threshold is the probability from which a pair may join two people. 0: the one that the model expects to give
	// the best balance of false and missed pairs.
	Threshold float64
	// Progress is told what is being done, and how much of it. It may be nil.
	Progress func(step string, done, total int)
}

// Result is what Run found.
type Result struct {
	Model     *Model
	Threshold float64
	// Groups gives each record its person: the first record of the same person.
	Groups []int32
	People int
	// Pairs are those that were accepted, all pairs of records of one person; then, in Doubtful, those that look like
	// one person and were not: below the threshold, or outvoted by the rest of their groups. Best first.
	Pairs, Doubtful []Pair
	Passes          []PassReport
	Compared        int // pairs
	// Dropped counts likely pairs that were beyond MostLikely and MostDoubtful: the least likely.
	Dropped int
	// Split counts the pairs that would have made a group larger than LargestGroup.
	Split int
}

// PassReport says what a pass of blocking did.
type PassReport struct {
	Name  string
	Pairs int // comparisons it asked for; some were asked for by another pass too
	Cut   int // blocks too large to compare in full
}

// Bounds of Run.
const (
	MostRecords  = 5_000_000
	MostLikely   = 10_000_000 // pairs that are held while groups are made
	MostDoubtful = 1_000_000  // pairs in Result.Doubtful
	LargestGroup = 50         // records of one person
	// sampledCandidates is how many candidates a model is learnt from.
	sampledCandidates = 200_000
	// doubtful is the probability from which a pair is worth a look.
	doubtful = 0.05
	// leastThreshold: whatever it is good for on balance, what is less likely is not proposed unasked.
	leastThreshold = 0.3
)

// Run finds the records of the same person.
func Run(t *Table, s Settings) *Result {
	if s.Progress == nil {
		s.Progress = func(string, int, int) {}
	}
	r := &run{t: t, s: s, c: &comparer{nicknames: newNicknames()}}
	return r.run()
}

type run struct {
	t      *Table
	s      Settings
	c      *comparer
	passes []pass
	result Result
}

func (r *run) run() *Result {
	t := r.t
	if t.records > smallFile {
		r.s.Progress("making keys", 0, t.records)
		r.passes = t.plan()
		for i := range r.passes {
			p := &r.passes[i]
			r.result.Passes = append(r.result.Passes, PassReport{p.name, p.work(), p.cutBlocks()})
		}
	}
	smp := r.sample()
	m := newModel(t)
	m.learn(t, smp)
	// A first grouping shows how many people have each value; then rare values can count for more.
	first := newGroups(t.records)
	x := &scorer{t, m, r.c, m.weights()}
	t.candidates(r.passes, r.at("grouping"), func(a, b int32) {
		if x.logit(a, b) > 0 {
			first.join(a, b)
		}
	})
	of, people := first.all()
	m.weighValues(t, of, people)
	r.learnAgain(m, smp)
	r.score(m)
	return &r.result
}

func (r *run) at(step string) func(int) {
	return func(done int) { r.s.Progress(step, done, r.t.records) }
}

// sample takes candidates, all or one in so many, and what is known of all pairs.
func (r *run) sample() *sample {
	n := 0
	r.t.candidates(r.passes, r.at("counting pairs"), func(_, _ int32) { n++ })
	r.result.Compared = n
	one := uint64((n + sampledCandidates - 1) / sampledCandidates)
	s := &sample{all: float64(r.t.records) * float64(r.t.records-1) / 2, observed: r.t.observe(r.c)}
	r.t.candidates(r.passes, r.at("learning"), func(a, b int32) {
		if one <= 1 || mix(uint64(a)<<32|uint64(b))%one == 0 {
			s.pairs = append(s.pairs, samplePair{levels: r.t.pattern(r.c, a, b), a: a})
		}
	})
	s.scale = float64(n) / float64(max(len(s.pairs), 1))
	return s
}

// learnAgain fits the model once more, with rare and common values told apart.
func (r *run) learnAgain(m *Model, s *sample) {
	for i := range s.pairs {
		p := &s.pairs[i]
		p.rare = m.rareOf(r.t, p.levels, p.a)
	}
	m.learn(r.t, s)
}

// score compares all candidates, chooses the threshold and makes the groups.
func (r *run) score(m *Model) {
	x := &scorer{r.t, m, r.c, m.weights()}
	res := &r.result
	var likely []Pair
	var all histogram
	least := doubtful
	r.t.candidates(r.passes, r.at("scoring"), func(a, b int32) {
		p := x.pair(a, b)
		all.add(p.Probability)
		switch {
		case p.Probability < least:
			if p.Probability >= doubtful {
				res.Dropped++
			}
			return
		case len(likely) == MostLikely && least < 0.5:
			least = 0.5
			likely = slices.DeleteFunc(likely, func(q Pair) bool { return q.Probability < least })
			res.Dropped += MostLikely - len(likely)
		}
		if len(likely) == MostLikely {
			res.Dropped++
			return
		}
		likely = append(likely, p)
	})
	res.Model, res.Threshold = m, r.s.Threshold
	if res.Threshold == 0 {
		res.Threshold = all.balance()
	}
	g := x.cluster(likely, res.Threshold)
	res.Split = g.split
	res.Groups, res.People = g.all()
	r.report(x, g, likely)
}

// report lists the pairs.
func (r *run) report(x *scorer, g *groups, likely []Pair) {
	res := &r.result
	for a := range int32(r.t.records) {
		for b := g.next[a]; b != a; b = g.next[b] {
			if b > a {
				res.Pairs = append(res.Pairs, x.pair(a, b))
			}
		}
	}
	for _, p := range likely {
		if res.Groups[p.A] != res.Groups[p.B] {
			res.Doubtful = append(res.Doubtful, p)
		}
	}
	best := func(p, q Pair) int {
		return cmp.Or(cmp.Compare(q.Weight, p.Weight), cmp.Compare(p.A, q.A), cmp.Compare(p.B, q.B))
	}
	slices.SortFunc(res.Pairs, best)
	slices.SortFunc(res.Doubtful, best)
	if n := len(res.Doubtful); n > MostDoubtful {
		res.Dropped += n - MostDoubtful
		res.Doubtful = res.Doubtful[:MostDoubtful]
	}
}

// histogram counts pairs by their probability, finely enough to choose a threshold.
type histogram struct {
	pairs, matches [1000]float64
}

func (h *histogram) add(p float64) {
	i := min(int(p*float64(len(h.pairs))), len(h.pairs)-1)
	h.pairs[i]++
	h.matches[i] += p
}

// balance is the threshold with the highest F1 that the model expects: the pairs above it and their probabilities say how
// many are right; the probabilities of all say how many there are.
func (h *histogram) balance() float64 {
	total := 0.0
	for _, m := range h.matches {
		total += m
	}
	best, first, last := -1.0, 0, 0
	pairs, right := 0.0, 0.0
	for i := len(h.pairs) - 1; i >= int(leastThreshold*float64(len(h.pairs))); i-- {
		pairs += h.pairs[i]
		right += h.matches[i]
		f := 2 * right / max(pairs+total, 1e-9)
		if f > best+1e-12 {
			best, first = f, i
		}
		if f >= best-1e-12 {
			last = i
		}
	}
	// Where nothing lies between them, the middle is as far as can be from both.
	return float64(first+last) / 2 / float64(len(h.pairs))
}
