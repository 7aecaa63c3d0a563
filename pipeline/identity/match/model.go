package match

import "math"

// Model says how much each level of each field speaks for one person (Fellegi and Sunter 1969): the shares of pairs of one
// person, and of pairs of two, that agree so. Fields count as independent given what kind of pair it is, which would be wrong for
// families: who shares a name and a house agrees in many fields at once. So there are three kinds of pair: of one
// person, of two people of one household, and of any two people.
type Model struct {
	fields []fieldModel
	// match and home are the shares of all pairs of records that are of one person, and of one household.
	match, home float64
}

type fieldModel struct {
	match, other, home [levels]float64
	shared             bool // among people of one household; otherwise home is other
	// rare is for exact agreement: by value, what is added to the weight because the value is rarer than usual, or
	// taken from it because it is common. Nil before it is known.
	rare []float64
}

// How far the usual shares are trusted: like so many pairs that were seen.
const (
	priorMatches = 20
	priorOthers  = 200
)

// rounds of expectation and maximisation. It converges long before, or is left where it is.
const (
	mostRounds = 100
	settled    = 1e-7
)

// mostPrior keeps a tiny file from taking nothing for evidence.
const mostPrior = 0.1

// sample is what a model is learnt from.
type sample struct {
	pairs    []samplePair
	scale    float64           // pairs are one in so many candidates
	all      float64           // pairs of records in the file
	observed [][levels]float64 // by field: how many of all pairs agree so
}

type samplePair struct {
	levels pattern
	rare   rareness
	a      int32 // one of the records
}

// rareness is what the values that a pair shares add to its weight, against any two people and against a household.
type rareness struct{ other, home float64 }

// newModel begins with the usual shares, and one match for each record.
func newModel(t *Table) *Model {
	one := 1 / float64(max(t.records, 2))
	m := &Model{fields: make([]fieldModel, len(t.fields)), match: min(one, mostPrior), home: min(one, mostPrior) / 2}
	for i := range t.fields {
		fm, u := &m.fields[i], usualOf(t.fields[i].kind)
		fm.match, fm.other = u.match, u.other
		if fm.home, fm.shared = atHome[t.fields[i].kind]; !fm.shared {
			fm.home = fm.other
		}
	}
	return m
}

// weights are logarithms: of match over other, and of match over home, by field and level.
type weights struct {
	other, home           [][levels]float64
	priorOther, priorHome float64
}

func (m *Model) weights() *weights {
	w := &weights{other: make([][levels]float64, len(m.fields)), home: make([][levels]float64, len(m.fields))}
	w.priorOther = math.Log(m.match) - math.Log(1-m.match-m.home)
	w.priorHome = math.Log(m.match) - math.Log(m.home)
	for i := range m.fields {
		f := &m.fields[i]
		for l := range levels {
			if f.match[l] > 0 && f.other[l] > 0 && f.home[l] > 0 {
				w.other[i][l] = math.Log(f.match[l]) - math.Log(f.other[l])
				w.home[i][l] = math.Log(f.match[l]) - math.Log(f.home[l])
			}
		}
	}
	return w
}

// odds are the logarithms of how much likelier a pair is of one person than of two, and than of one household.
func (w *weights) odds(p pattern, rare rareness) (other, home float64) {
	other, home = w.priorOther+rare.other, w.priorHome+rare.home
	for i := range w.other {
		if l := p.at(i); l != missing {
			other += w.other[i][l]
			home += w.home[i][l]
		}
	}
	return other, home
}

// logit is the logarithm of the odds that a pair is of one person, against both.
func (w *weights) logit(p pattern, rare rareness) float64 {
	other, home := w.odds(p, rare)
	low, high := min(other, home), max(other, home)
	return low - math.Log1p(math.Exp(low-high))
}

func probability(logit float64) float64 { return 1 / (1 + math.Exp(-logit)) }

// expected is what a round of expectation finds: pairs of one person and of one household, in all and by field and level.
type expected struct {
	match, home [][levels]float64
	matches     float64
	homes       float64
}

// learn fits the model by expectation and maximisation (Dempster, Laird and Rubin 1977). It sees no labels. All pairs of the file
// are the population: those that are no candidates count as pairs of two people, which is what blocking means, so the shares are
// not distorted by the keys. The usual shares act as a prior (Dirichlet), for levels that are hardly seen.
func (m *Model) learn(t *Table, s *sample) {
	e := expected{match: make([][levels]float64, len(m.fields)), home: make([][levels]float64, len(m.fields))}
	for range mostRounds {
		m.expect(s, &e)
		if m.maximise(t, s, &e) < settled {
			return
		}
	}
}

func (m *Model) expect(s *sample, e *expected) {
	w := m.weights()
	clear(e.match)
	clear(e.home)
	e.matches, e.homes = 0, 0
	for i := range s.pairs {
		p := &s.pairs[i]
		other, home := w.odds(p.levels, p.rare)
		// One person : any two : one household = 1 : exp(-other) : exp(-home).
		match := probability(w.logit(p.levels, p.rare))
		share := s.scale * match
		family := s.scale * math.Exp(-home) / (1 + math.Exp(-other) + math.Exp(-home))
		if home < -500 { // beyond what a double holds
			family = s.scale / (1 + math.Exp(home-other))
		}
		e.matches += share
		e.homes += family
		for f := range e.match {
			if l := p.levels.at(f); l != missing {
				e.match[f][l] += share
				e.home[f][l] += family
			}
		}
	}
}

// maximise moves the shares to what was expected, and says how far.
func (m *Model) maximise(t *Table, s *sample, e *expected) float64 {
	moved := 0.0
	for f := range m.fields {
		fm, u := &m.fields[f], usualOf(t.fields[f].kind)
		var match, other [levels]float64
		for l := range levels {
			match[l] = e.match[f][l] + float64(priorMatches*u.match[l])
			other[l] = max(s.observed[f][l]-e.match[f][l]-e.home[f][l], 0) + float64(priorOthers*u.other[l])
		}
		normalise(&match)
		normalise(&other)
		limitDiffers(&match, other[differs])
		if u.lasts {
			limitDiffers(&match, mostLasting)
		}
		for l := range levels {
			moved = max(moved, math.Abs(match[l]-fm.match[l]))
		}
		fm.match, fm.other, fm.home = match, other, other
		if fm.shared {
			usual := atHome[t.fields[f].kind]
			for l := range levels {
				fm.home[l] = e.home[f][l] + float64(priorMatches*usual[l])
			}
			normalise(&fm.home)
		}
	}
	match := min((e.matches+1)/(s.all+2), mostPrior)
	moved = max(moved, math.Abs(match-m.match)/match)
	m.match, m.home = match, min((e.homes+0.5)/(s.all+2), mostPrior)
	return moved
}

// mostLasting is how many pairs of one person may differ in what a person has for life. Without it expectation and maximisation may take for one person
// whoever have a name in common, if addresses are made of names: the most striking pattern in the file then is not that of records of one person.
const mostLasting = 0.2

// limitDiffers takes what is above most from the share of pairs that differ, and gives it to the other levels in their proportion. To differ never speaks for
// one person.
func limitDiffers(shares *[levels]float64, most float64) {
	if shares[differs] <= most {
		return
	}
	more := (1 - most) / (1 - shares[differs])
	for l := range shares {
		shares[l] *= more
	}
	shares[differs] = most
}

func normalise(shares *[levels]float64) {
	sum := 0.0
	for _, s := range shares {
		sum += s
	}
	for l := range shares {
		shares[l] /= sum
	}
}

// rarity is how much of a value's own frequency counts; the rest is the field's usual share. A value that was seen with
// one person only may still be another's.
const rarity = 0.8

// weighValues learns how common each value is among people. groups gives each record its person, as far as is known: the
// records of one person must not make her name look common.
func (m *Model) weighValues(t *Table, groups []int32, people int) {
	for i := range t.fields {
		f, fm := &t.fields[i], &m.fields[i]
		having, owners := ownersOf(f, groups)
		average := 0.0
		for _, n := range owners {
			average += float64(n) * float64(n-1)
		}
		filled := float64(max(having, 2))
		average = (average + float64(priorOthers*usualOf(f.kind).other[exact])) / (float64(filled*(filled-1)) + priorOthers)
		fm.rare = make([]float64, len(f.values))
		for v, n := range owners {
			own := float64(rarity*float64(n-1)/(filled-1)) + float64((1-rarity)*average)
			fm.rare[v] = math.Log(average) - math.Log(own)
		}
	}
}

// ownersOf counts, for each value, the people who have it, and the people who have any.
func ownersOf(f *field, groups []int32) (having int, owners []int) {
	type pair struct{ value, group int32 }
	seen := make(map[pair]struct{}, len(f.values))
	people := make(map[int32]struct{})
	owners = make([]int, len(f.values))
	for r, v := range f.of {
		if v == 0 {
			continue
		}
		people[groups[r]] = struct{}{}
		k := pair{v - 1, groups[r]}
		if _, ok := seen[k]; !ok {
			seen[k] = struct{}{}
			owners[v-1]++
		}
	}
	return len(people), owners
}

// rareOf sums what the values of a pair that agree exactly add to its weight.
func (m *Model) rareOf(t *Table, p pattern, a int32) rareness {
	var sum rareness
	for i := range m.fields {
		f := &m.fields[i]
		if f.rare == nil || p.at(i) != exact {
			continue
		}
		rare := f.rare[t.fields[i].of[a]-1]
		sum.other += rare
		if !f.shared {
			sum.home += rare
		}
	}
	return sum
}

// Bits is what a field adds to the evidence for one person, against any two, by the word for the level. Levels that the kind of
// field does not give are left out.
func (m *Model) Bits(t *Table, field int) map[string]float64 {
	f, bits := &m.fields[field], map[string]float64{}
	usual := usuals[t.fields[field].kind]
	for l := range levels {
		if usual.match[l] > 0 {
			bits[l.String()] = math.Log2(f.match[l] / f.other[l])
		}
	}
	return bits
}

// LevelNames are the words for the levels, the best first.
func LevelNames() []string {
	names := make([]string, 0, levels)
	for l := int(levels) - 1; l >= 0; l-- {
		names = append(names, levelNames[l])
	}
	return names
}
