package attribute

import (
	"fmt"
	"math"
	"slices"
	"testing"
)

// chance is a small generator with a seed, so that failures repeat.
type chance uint64

func (c *chance) intn(n int) int {
	*c = chance(mix(uint64(*c)))
	return int(uint64(*c) >> 1 % uint64(n))
}

func (c *chance) shuffle(ins []Input) []Input {
	out := slices.Clone(ins)
	for i := len(out) - 1; i > 0; i-- {
		j := c.intn(i + 1)
		out[i], out[j] = out[j], out[i]
	}
	return out
}

// crowd is many inputs over many strings, far more than the limits below.
func crowd(c *chance, n, words int) []Input {
	ins := make([]Input, n)
	for i := range ins {
		ins[i] = at(int64(c.intn(n/4)), text(fmt.Sprintf("item-%d", c.intn(words))))
		ins[i].By = float64(c.intn(1000)) / 100
	}
	return ins
}

// The limits with tables of realistic size: I1 and I2 to the byte, and the oracle.
func TestLimits(t *testing.T) {
	for _, spec := range []Spec{
		{Kind: "set", Limit: 100}, {Kind: "set", Limit: 500}, {Kind: "set"},
		{Kind: "tally", Limit: 100}, {Kind: "tally", Limit: 500}, {Kind: "tally", Limit: 1000},
		{Kind: "list"}, {Kind: "list", Limit: 300}, {Kind: "list", Limit: 300, Unique: true},
		{Kind: "distinct"}, {Kind: "distinct", Precision: 14},
		{Kind: "tally", Window: "6h", Bucket: "1m", Limit: 100}, {Kind: "tally", Window: "6h", Bucket: "1m", Limit: 700},
		{Kind: "sequence", Limit: 100, Sequence: &SequenceSpec{Steps: []StepSpec{{}, {Not: true, Within: 40}}, Keyed: true}},
		{Kind: "sequence", Limit: 700, Sequence: &SequenceSpec{Steps: []StepSpec{{}, {Within: 40}}, Keyed: true}},
	} {
		t.Run(fmt.Sprintf("%s/limit=%d", spec.Kind, spec.Limit), func(t *testing.T) {
			k := mustNew(t, spec)
			seeds := 2
			if testing.Short() {
				seeds = 1
			}
			for seed := range seeds {
				c := chance(seed)
				ins := crowd(&c, 1200, 600)
				if spec.Kind == "set" {
					for i := range ins {
						ins[i].Op = Op(c.intn(4) / 3)
					}
				}
				for i := range ins {
					ins[i].Step = uint8(c.intn(2))
					if spec.Window != "" { // so many buckets
						ins[i].Time += 59_999 * (ins[i].Time - noon)
					}
				}
				want := foldAll(k, ins)
				got := string(k.AppendJSON(nil, want.fixed, want.seg, noon+dayMs))
				if oracle := variantOracle(spec)(spec, ins); !isAnything(oracle) && got != toJSON(oracle) {
					t.Fatalf("seed %d: %s, want %s", seed, got, toJSON(oracle))
				}
				for parts := 1; parts < 9; parts += 3 {
					mixed := c.shuffle(ins)
					total := newState(k)
					for len(mixed) > 0 {
						n := min(len(mixed), 1+c.intn(2*len(ins)/parts))
						part := foldAll(k, mixed[:n])
						mixed = mixed[n:]
						if c.intn(2) == 0 {
							part, total = total, part
						}
						total.merge(k, part, 1<<15)
					}
					if !total.equal(want) {
						t.Fatalf("seed %d, parts %d: I2", seed, parts)
					}
				}
			}
		})
	}
}

func variantOracle(spec Spec) func(Spec, []Input) any {
	if spec.Window != "" {
		return func(Spec, []Input) any { return anything }
	}
	switch spec.Kind {
	case "sequence":
		return func(spec Spec, ins []Input) any { return sequenceOracle(spec, ins, noon+dayMs) }
	case "set":
		return setOracle
	case "tally":
		return tallyOracle
	case "list":
		return listOracle
	}
	return func(Spec, []Input) any { return anything }
}

// Truncated says exactly whether there were more different strings than the limit, in any order.
func TestTruncated(t *testing.T) {
	for _, spec := range []Spec{{Kind: "set", Limit: 20}, {Kind: "tally", Limit: 20}} {
		for words := 18; words < 24; words++ {
			k := mustNew(t, spec)
			c := chance(words)
			ins := crowd(&c, 400, words)
			a, b := foldAll(k, ins[:200]), foldAll(k, ins[200:])
			a.merge(k, b, 1000)
			if got, want := Truncated(k, a.fixed, a.seg, 0), words > 20; got != want {
				t.Errorf("%s of %d words: truncated %v", spec.Kind, words, got)
			}
			if n := k.Len(nil, a.seg, 0); n != min(words, 20) {
				t.Errorf("%s of %d words: Len %d", spec.Kind, words, n)
			}
		}
	}
	if k := mustNew(t, Spec{Kind: "list", Limit: 1}); Truncated(k, nil, foldAll(k, []Input{at(0, text("a")), at(1, text("b"))}).seg, 0) {
		t.Error("a list is never truncated")
	}
}

// What a full tally keeps is counted completely: the number of every key that is left is its number without a limit.
func TestTruncatedTallyIsExact(t *testing.T) {
	c := chance(1)
	ins := crowd(&c, 3000, 500)
	small, big := mustNew(t, Spec{Kind: "tally", Limit: 50}), mustNew(t, Spec{Kind: "tally", Limit: 1000})
	s, b := foldAll(small, ins), foldAll(big, ins)
	for e := small.Elements(nil, s.seg, 0); e.Next(); {
		if want, ok := big.Find(nil, b.seg, e.Value, 0); !ok || e.Number != want {
			t.Errorf("%s: %v, want %v", e.Value, e.Number, want)
		}
	}
}

// distinct is exact up to 2^precision/8 - 1 and within its stated error beyond: the root mean square error of
// many counts is near 1.04/sqrt(2^precision), and no single one is off by five times that.
func TestDistinctError(t *testing.T) {
	for precision := MinPrecision; precision <= MaxPrecision; precision += 2 {
		k := mustNew(t, Spec{Kind: "distinct", Precision: precision})
		stated := 1.04 / math.Sqrt(float64(int(1)<<precision))
		exact := 1<<precision/8 - 1
		var squares float64
		counts := 0
		for run := range max(2, 16-precision) {
			s := newState(k)
			scratch := make([]byte, 0, 1<<precision+tallies)
			for i := 1; i <= 8<<precision; i++ {
				out := k.Update(s.fixed, s.seg, &Input{Value: number(float64(run*10_000_000 + i))}, scratch)
				s.seg = append(s.seg[:0], out...)
				v, _ := k.Num(s.fixed, s.seg, 0)
				if i <= exact && v != float64(i) {
					t.Fatalf("precision %d: %v of %d", precision, v, i)
				}
				if i == exact+1 && len(s.seg) != 1<<precision+tallies {
					t.Fatalf("precision %d: %d bytes after %d values", precision, len(s.seg), i)
				}
				if i == exact*2 || i == 1<<precision || i == 8<<precision {
					e := v/float64(i) - 1
					if math.Abs(e) > 5*stated {
						t.Errorf("precision %d: %v of %d", precision, v, i)
					}
					squares += e * e
					counts++
				}
			}
		}
		if rms := math.Sqrt(squares / float64(counts)); rms > 1.3*stated {
			t.Errorf("precision %d: error %.4f, stated %.4f", precision, rms, stated)
		}
	}
}

// The estimate is monotone where the representation changes, and does not fail on impossible registers.
func TestEstimateEdges(t *testing.T) {
	k := mustNew(t, Spec{Kind: "distinct", Precision: 8})
	s := newState(k)
	last := 0.0
	for i := range 2000 {
		s.update(k, at(0, number(float64(i))), 512)
		v, _ := k.Num(s.fixed, s.seg, 0)
		if v < last {
			t.Fatalf("%v after %v", v, last)
		}
		last = v
	}
	for value := range 64 {
		for _, n := range []byte{1, 255} {
			counts := make([]byte, tallies)
			counts[2*value], counts[2*value+1] = n-1, n // 256 or 65534 registers
			if e := estimate(counts, 8); math.IsNaN(e) || e < 0 {
				t.Errorf("%d registers of %d: %v", n, value, e)
			}
		}
	}
}
