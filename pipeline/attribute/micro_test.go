package attribute

import (
	"math"
	"math/big"
	"testing"

	"pgregory.net/rapid"
)

func TestToMicro(t *testing.T) {
	f := func(v float64, want int64) {
		t.Helper()
		if got := toMicro(v); got != want {
			t.Errorf("%v: %d, want %d", v, got, want)
		}
		if got := toMicro(-v); got != -want {
			t.Errorf("%v: %d, want %d", -v, got, -want)
		}
	}
	f(0, 0)
	f(0.1, 100_000)
	f(19.99, 19_990_000)
	f(9e12, 9e18)
	f(0.0000005, 0)     // the float64 nearest to the half lies a little below it
	f(0.0000015, 2)     // and here a little above
	f(0.5/1024/1024, 0) // 0.4768
	f(1.5/1024/1024, 1) // 1.4305
	f(1.0/128, 7812)    // 7812.5: half to even
	f(3.0/128, 23438)   // 23437.5
	f(8e12+1.0/128, 8e18+7812)
	f(4e9+1.0/128, 4e15+7812) // 7812.5
	f(5e-324, 0)
	f(1e-300, 0)
	f(math.Nextafter(5e-7, 1), 1)
}

func TestToMicroAgainstRationals(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		v := rapid.OneOf(
			rapid.Float64Range(-MaxNumber, MaxNumber), rapid.Float64Range(-1, 1), rapid.Float64Range(-1e-5, 1e-5),
			rapid.Custom(func(t *rapid.T) float64 { // many exact halves
				return math.Ldexp(float64(rapid.Int64Range(-1<<40, 1<<40).Draw(t, "m")), rapid.IntRange(-30, 2).Draw(t, "e"))
			}),
		).Draw(t, "v")
		if !InRange(v) {
			return
		}
		if got, want := toMicro(v), microRat(v); !want.IsInt64() || got != want.Int64() {
			t.Fatalf("%v: %d, want %d", v, got, want)
		}
	})
}

func TestInRange(t *testing.T) {
	f := func(v float64, want bool) {
		t.Helper()
		if InRange(v) != want {
			t.Errorf("%v: %v", v, !want)
		}
	}
	f(0, true)
	f(MaxNumber, true)
	f(-MaxNumber, true)
	f(math.Nextafter(MaxNumber, math.Inf(1)), false)
	f(math.Inf(-1), false)
	f(math.NaN(), false)
}

// over is correctly rounded for all 128-bit integers and 64-bit divisors.
func TestOverAgainstRationals(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		x := int128{rapid.Uint64().Draw(t, "hi"), rapid.Uint64().Draw(t, "lo")}
		shift := rapid.UintRange(0, 127).Draw(t, "shift")
		for ; shift > 0; shift-- { // all magnitudes, arithmetically
			x = int128{uint64(int64(x.hi) >> 1), x.hi<<63 | x.lo>>1}
		}
		d := rapid.OneOf(rapid.Just[uint64](micro), rapid.Uint64Range(1, math.MaxUint64), rapid.Uint64Range(1, 1000)).Draw(t, "d")
		n := new(big.Int).Lsh(big.NewInt(int64(x.hi)), 64)
		n.Add(n, new(big.Int).SetUint64(x.lo))
		want, _ := new(big.Rat).SetFrac(n, new(big.Int).SetUint64(d)).Float64()
		if got := x.over(d); got != want {
			t.Fatalf("%v / %d = %v, want %v", n, d, got, want)
		}
	})
}

func TestInt128Compare(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		v := func() (int128, *big.Int) {
			hi := rapid.Int64Range(-2, 2).Draw(t, "hi")
			lo := rapid.Uint64().Draw(t, "lo")
			n := new(big.Int).Lsh(big.NewInt(hi), 64)
			return int128{uint64(hi), lo}, n.Add(n, new(big.Int).SetUint64(lo))
		}
		x, bx := v()
		y, by := v()
		if x.compare(y) != bx.Cmp(by) {
			t.Fatalf("%v %v: %d", bx, by, x.compare(y))
		}
	})
}
