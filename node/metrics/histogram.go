// Package metrics is what a node measures itself: durations, cheaply, by a histogram that many goroutines add to without a lock, with quantiles for people and
// buckets for Prometheus (histogram.go); what its doors count (doors.go); and its last minutes, second by second (measure.go).
//
// What the parts of a node count themselves stays there: node reads it when Prometheus asks.
package metrics

import (
	"math"
	"math/bits"
	"sync/atomic"
	"time"
)

// Every power of two of nanoseconds is cut into 8 buckets: a quantile is at most 1/8 too high.
const (
	subBits = 3
	buckets = 64 << subBits
)

// Histogram counts durations. The zero value is ready; it is safe for concurrent use.
type Histogram struct {
	counts [buckets]atomic.Uint64
	sum    atomic.Int64 // nanoseconds
	total  atomic.Uint64
}

func bucketOf(ns uint64) int {
	if ns < 1<<subBits {
		return int(ns)
	}
	e := bits.Len64(ns) - 1 - subBits
	return (e+1)<<subBits + int(ns>>e)&(1<<subBits-1)
}

// upperOf is the first duration beyond a bucket, in nanoseconds.
func upperOf(bucket int) uint64 {
	if bucket < 1<<subBits {
		return uint64(bucket) + 1
	}
	e := bucket>>subBits - 1
	return (uint64(bucket&(1<<subBits-1)) + 1<<subBits + 1) << e
}

// Observe adds n durations of d each. Negative ones count as 0.
func (h *Histogram) Observe(d time.Duration, n int) {
	d = max(d, 0)
	h.counts[bucketOf(uint64(d))].Add(uint64(n))
	h.sum.Add(int64(d) * int64(n))
	h.total.Add(uint64(n))
}

// Counts is a copy of a histogram, for differences over time.
type Counts [buckets]uint64

// Counts copies the histogram. Durations that are added meanwhile may be missing.
func (h *Histogram) Counts() *Counts {
	c := new(Counts)
	for i := range c {
		c[i] = h.counts[i].Load()
	}
	return c
}

// Since is what came after an earlier copy; nil for everything.
func (c *Counts) Since(earlier *Counts) *Counts {
	d := *c
	if earlier != nil {
		for i := range d {
			d[i] -= earlier[i]
		}
	}
	return &d
}

// Total is the number of durations.
func (c *Counts) Total() (n uint64) {
	for _, k := range c {
		n += k
	}
	return n
}

// Quantile is the duration that a share q of all did not exceed, rounded up to its bucket; 0 when there are none.
func (c *Counts) Quantile(q float64) time.Duration {
	total := c.Total()
	if total == 0 {
		return 0
	}
	rank := max(uint64(math.Ceil(q*float64(total))), 1)
	for i, k := range c {
		if k >= rank {
			return time.Duration(upperOf(i) - 1)
		}
		rank -= k
	}
	return time.Duration(math.MaxInt64)
}

// Powers of two of nanoseconds between which Prometheus is given bounds: from about 1 us to 17 s, and between 65 us and 17 ms, where the targets
// lie, four of them for each power in place of one.
const (
	leastPower, mostPower         = 10, 34
	leastFinePower, mostFinePower = 16, 24
	finePart                      = 4
)

// bounds are those of Prometheus, in nanoseconds, ascending. Each is one of the buckets' own, so nothing is counted on the wrong side of it.
func bounds() (all []uint64) {
	for p := leastPower; p <= mostPower; p++ {
		all = append(all, 1<<p)
		for k := uint64(1); k < finePart && p >= leastFinePower && p < mostFinePower; k++ {
			all = append(all, 1<<p+k<<p/finePart)
		}
	}
	return all
}

// Prometheus gives the count, the sum in seconds, and cumulative counts by upper bound in seconds.
func (h *Histogram) Prometheus() (count uint64, sum float64, cumulative map[float64]uint64) {
	c := h.Counts()
	cumulative = map[float64]uint64{}
	all, next := bounds(), 0
	for i, k := range c {
		for next < len(all) && upperOf(i) > all[next] {
			cumulative[float64(all[next])/1e9] = count
			next++
		}
		count += k
	}
	return count, float64(h.sum.Load()) / 1e9, cumulative
}
