package match

// sampledPairs is how many random pairs show how often two people agree by chance.
const sampledPairs = 200_000

// observe counts how all pairs of the file agree: exactly, from how often each value stands in it; in part, from random
// pairs, or all of a small file.
func (t *Table) observe(c *comparer) [][levels]float64 {
	counts := make([][levels]float64, len(t.fields))
	seen := make([]float64, len(t.fields)) // random pairs with two different values
	count := func(a, b int32) {
		p := t.pattern(c, a, b)
		for i := range counts {
			if l := p.at(i); l != missing && l != exact {
				counts[i][l]++
				seen[i]++
			}
		}
	}
	if n := t.records; n*(n-1)/2 <= sampledPairs {
		t.candidates(nil, nil, count)
	} else {
		random := splitMix(1)
		for range sampledPairs {
			a, b := int32(random.below(n)), int32(random.below(n))
			if a != b {
				count(a, b)
			}
		}
	}
	for i := range counts {
		equal, filled := 0.0, 0.0
		for _, n := range t.fields[i].count {
			equal += float64(n) * float64(n-1) / 2
			filled += float64(n)
		}
		unequal := filled*(filled-1)/2 - equal
		for l := range levels {
			if seen[i] > 0 {
				counts[i][l] *= unequal / seen[i]
			}
		}
		counts[i][exact] = equal
	}
	return counts
}

// splitMix is a small generator of random numbers (Steele, Lea and Flood 2014): the same seed, the same sample.
type splitMix uint64

func (s *splitMix) next() uint64 {
	*s += 0x9e3779b97f4a7c15
	return mix(uint64(*s))
}

func mix(z uint64) uint64 {
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

func (s *splitMix) below(n int) int { return int(s.next() % uint64(n)) }
