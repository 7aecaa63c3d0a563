package stat

import (
	"cmp"
	"math"
	"slices"
)

// Histogram counts values as Prometheus does: each bucket has all values up to its bound. Buckets are in ascending order, and the last bound is +Inf.
type Histogram []Bucket

// Bucket is one bound.
type Bucket struct {
	Bound float64
	Count float64
}

// Plus is a histogram with another one's values among its own. They have the same bounds, or one of them is empty.
func (h Histogram) Plus(other Histogram) Histogram { return h.combine(other, 1) }

// Since is what came after an earlier copy of the same histogram.
func (h Histogram) Since(earlier Histogram) Histogram { return h.combine(earlier, -1) }

func (h Histogram) combine(other Histogram, sign float64) Histogram {
	if len(h) == 0 {
		h = make(Histogram, len(other))
		for i := range h {
			h[i].Bound = other[i].Bound
		}
	}
	sum := slices.Clone(h)
	for i := range other {
		sum[i].Count += sign * other[i].Count
	}
	return sum
}

// Total is the number of values.
func (h Histogram) Total() float64 {
	if len(h) == 0 {
		return 0
	}
	return h[len(h)-1].Count
}

// Quantile is the value that the share q of all do not exceed, taken to be spread evenly within their bucket, as histogram_quantile of Prometheus has it. It is NaN
// of no values, and the last finite bound when it lies beyond.
func (h Histogram) Quantile(q float64) float64 {
	if h.Total() == 0 {
		return math.NaN()
	}
	rank := q * h.Total()
	i, _ := slices.BinarySearchFunc(h, rank, func(b Bucket, rank float64) int { return cmp.Compare(b.Count, rank) })
	var below Bucket
	if i > 0 {
		below = h[i-1]
	}
	if math.IsInf(h[i].Bound, 1) {
		return below.Bound
	}
	return below.Bound + (h[i].Bound-below.Bound)*(rank-below.Count)/(h[i].Count-below.Count)
}
