package attribute

import (
	"math"
	"math/big"
	"testing"

	"pgregory.net/rapid"
)

// What a person has summed up, in micro-units, against rationals: rounded half to even, and exact up to MaxTotal.
func TestToWideMicroAgainstRationals(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		v := rapid.OneOf(
			rapid.Float64Range(-MaxTotal, MaxTotal), rapid.Float64Range(-MaxNumber, MaxNumber), rapid.Float64Range(MaxNumber, 1<<54),
			rapid.Custom(func(t *rapid.T) float64 { // around MaxNumber many are halves
				return math.Ldexp(float64(rapid.Int64Range(-1<<53, 1<<53).Draw(t, "m")), rapid.IntRange(-10, 37).Draw(t, "e"))
			}),
		).Draw(t, "v")
		got := toWideMicro(v)
		n := new(big.Int).Lsh(big.NewInt(int64(got.hi)), 64)
		n.Add(n, new(big.Int).SetUint64(got.lo))
		if want := microRat(v); n.Cmp(want) != 0 {
			t.Fatalf("%v: %v, want %v", v, n, want)
		}
	})
}

// Sums and means over people go beyond what single inputs may be; ten thousand of the greatest fit.
func TestTotals(t *testing.T) {
	f := func(name, want string, times int, values ...float64) {
		t.Helper()
		k, ok := Total(name)
		if !ok || k.Name() != name {
			t.Fatalf("%s: kind %v", name, k)
		}
		var ins []Input
		for range times {
			for _, v := range values {
				ins = append(ins, at(0, number(v)))
			}
		}
		if got := foldAll(k, ins).json(k); got != want {
			t.Errorf("%s of %d times %v: %s, want %s", name, times, values, got, want)
		}
	}
	f("sum", "16000000000001.5", 1, 1.6e13, 1.5)
	f("sum", "-16000000000000", 1, -3.2e13, 1.6e13)
	f("avg", "16000000000000", 3, 1.6e13)
	f("avg", "8000000000000.25", 1, 1.6e13, 0.5)
	f("sum", "null", 1, math.Inf(1), math.NaN(), MaxTotal*1.5)
	f("avg", "null", 1, math.Inf(-1), -MaxTotal*1.5)
	f("sum", string(AppendNumber(nil, 10_000*MaxTotal)), 10_000, MaxTotal)
	f("sum", string(AppendNumber(nil, -10_000*MaxTotal)), 10_000, -MaxTotal)
	f("avg", string(AppendNumber(nil, MaxTotal)), 10_000, MaxTotal)
}
