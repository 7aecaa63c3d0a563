// Package stat has the few statistics that the benchmarks need. It is pure, and its functions are safe for concurrent use.
//
// Quantiles are by nearest rank: always a value that was measured, never one between two.
package stat

import (
	"math"
	"slices"
	"time"
)

// Median of values; of an even number, the mean of the two in the middle. NaN of none. values keeps its order.
func Median(values []float64) float64 {
	if len(values) == 0 {
		return math.NaN()
	}
	v := slices.Clone(values)
	slices.Sort(v)
	if n := len(v); n%2 == 0 {
		return (v[n/2-1] + v[n/2]) / 2
	}
	return v[len(v)/2]
}

// Quantile is the smallest duration that at least the share q (0 to 1) of them does not exceed; 0 of none. sorted is
// in ascending order.
func Quantile(sorted []time.Duration, q float64) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	rank := int(math.Ceil(q * float64(len(sorted))))
	return sorted[min(max(rank, 1), len(sorted))-1]
}

// Milliseconds of d, with its fraction.
func Milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
