package stat

import (
	"math"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

func histogram(values ...float64) Histogram {
	h := Histogram{{Bound: 1}, {Bound: 2}, {Bound: 4}, {Bound: 8}, {Bound: math.Inf(1)}}
	for i := range h {
		for _, v := range values {
			if v <= h[i].Bound {
				h[i].Count++
			}
		}
	}
	return h
}

func TestHistogramQuantile(t *testing.T) {
	f := func(want float64, q float64, in ...float64) {
		t.Helper()
		if got := histogram(in...).Quantile(q); got != want {
			t.Errorf("%v of %v is %v, want %v", q, in, got, want)
		}
	}
	f(1, 1, 0.5)
	f(3, 0.5, 3, 3)
	f(3.5, 0.75, 3, 3)
	f(1.5, 0.25, 2, 2, 7, 7)
	f(8, 0.99, 1, 100)
	if !math.IsNaN(histogram().Quantile(0.5)) || !math.IsNaN(Histogram(nil).Quantile(0.5)) {
		t.Error("a quantile of nothing is a number")
	}
}

// A quantile lies in the bucket of the value that sorting finds.
func TestHistogramAgainstSorting(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := rapid.SliceOfN(rapid.Float64Range(0, 8), 1, 50).Draw(t, "in")
		q := rapid.Float64Range(0.01, 1).Draw(t, "q")
		got := histogram(in...).Quantile(q)
		slices.Sort(in)
		want := in[min(max(int(math.Ceil(q*float64(len(in)))), 1), len(in))-1]
		low := 0.0
		for _, b := range histogram() {
			if want <= b.Bound {
				if got < low || got > b.Bound {
					t.Fatalf("%v of %v is %v, sorting says %v", q, in, got, want)
				}
				return
			}
			low = b.Bound
		}
	})
}

func TestHistogramSums(t *testing.T) {
	a, b := histogram(0.5, 3), histogram(3, 5, 9)
	both := histogram(0.5, 3, 3, 5, 9)
	if got := a.Plus(b); !slices.Equal(got, both) || a.Total() != 2 {
		t.Errorf("%v", got)
	}
	if got := both.Since(a); !slices.Equal(got, b) {
		t.Errorf("%v", got)
	}
	if got := Histogram(nil).Plus(a); !slices.Equal(got, a) || got.Total() != 2 {
		t.Errorf("%v", got)
	}
}
