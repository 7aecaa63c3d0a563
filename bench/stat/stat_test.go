package stat

import (
	"math"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestMedian(t *testing.T) {
	f := func(want float64, in ...float64) {
		t.Helper()
		before := slices.Clone(in)
		if got := Median(in); got != want {
			t.Errorf("Median(%v) = %v, want %v", in, got, want)
		}
		if !slices.Equal(in, before) {
			t.Errorf("%v became %v", before, in)
		}
	}
	f(3, 3)
	f(2, 9, 1, 2)
	f(2.5, 4, 1, 2, 3)
	if !math.IsNaN(Median(nil)) {
		t.Error("the median of nothing is a number")
	}
}

func TestQuantile(t *testing.T) {
	f := func(want time.Duration, q float64, in ...time.Duration) {
		t.Helper()
		if got := Quantile(in, q); got != want {
			t.Errorf("Quantile(%v, %v) = %v, want %v", in, q, got, want)
		}
	}
	f(0, 0.5)
	f(7, 0.99, 7)
	f(1, 0, 1, 2, 3)
	f(2, 0.5, 1, 2, 3, 4)
	f(4, 1, 1, 2, 3, 4)
	f(4, 0.76, 1, 2, 3, 4)
}

// What a quantile promises, counted one by one.
func TestQuantileCounts(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := rapid.SliceOfN(rapid.Map(rapid.IntRange(0, 50), func(i int) time.Duration { return time.Duration(i) }), 1, 200).Draw(t, "in")
		q := rapid.Float64Range(0.001, 1).Draw(t, "q")
		slices.Sort(in)
		got := Quantile(in, q)
		covered := func(d time.Duration) (n int) {
			for _, v := range in {
				if v <= d {
					n++
				}
			}
			return n
		}
		if !slices.Contains(in, got) || float64(covered(got)) < q*float64(len(in)) || float64(covered(got-1)) >= q*float64(len(in)) {
			t.Fatalf("%v of %v is not %v", q, in, got)
		}
	})
}
