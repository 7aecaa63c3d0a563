package metrics

import (
	"math"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestBucketsCoverEverything(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		ns := rapid.Uint64Range(0, math.MaxInt64).Draw(t, "ns")
		b := bucketOf(ns)
		if ns >= upperOf(b) || b > 0 && ns < upperOf(b-1) {
			t.Fatalf("%d is in bucket %d, [%d, %d)", ns, b, upperOf(b-1), upperOf(b))
		}
	})
}

func TestQuantileAgainstSorting(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		all := rapid.SliceOfN(rapid.Int64Range(0, int64(time.Hour)), 1, 200).Draw(t, "durations")
		q := rapid.Float64Range(0.01, 1).Draw(t, "q")
		var h Histogram
		for _, d := range all {
			h.Observe(time.Duration(d), 1)
		}
		slices.Sort(all)
		want := all[max(int(math.Ceil(q*float64(len(all)))), 1)-1]
		got := int64(h.Counts().Quantile(q))
		if got < want || got > want+want/8+1 {
			t.Fatalf("quantile %v is %d, sorting says %d", q, got, want)
		}
	})
}

func TestPrometheusBuckets(t *testing.T) {
	var h Histogram
	for _, d := range []time.Duration{500, 2000, time.Millisecond, time.Second, time.Minute} {
		h.Observe(d, 2)
	}
	count, sum, cumulative := h.Prometheus()
	if count != 10 || math.Abs(sum-2*(60+1+0.001+0.0000025)) > 1e-6 {
		t.Errorf("count %d, sum %v", count, sum)
	}
	for bound, want := range map[float64]uint64{1.024e-6: 2, 2.048e-6: 4, 1.073741824: 8, 17.179869184: 8} {
		if got := cumulative[bound]; got != want {
			t.Errorf("up to %v s: %d, want %d", bound, got, want)
		}
	}
}

// What Prometheus is told is what was counted, for every bound, and the bounds are fine where the targets lie.
func TestPrometheusCountsAtItsBounds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		all := rapid.SliceOfN(rapid.Int64Range(0, int64(20*time.Millisecond)), 1, 200).Draw(t, "durations")
		var h Histogram
		for _, d := range all {
			h.Observe(time.Duration(d), 1)
		}
		_, _, cumulative := h.Prometheus()
		for bound, got := range cumulative {
			want := uint64(0)
			for _, d := range all {
				if float64(d) < math.Round(bound*1e9) {
					want++
				}
			}
			if got != want {
				t.Fatalf("up to %v s: %d, want %d", bound, got, want)
			}
		}
	})
	all := bounds()
	for i := 1; i < len(all); i++ {
		if wide := float64(all[i]) / float64(all[i-1]); wide > 2 || all[i-1] >= 1<<16 && all[i] <= 1<<24 && wide > 1.25 {
			t.Errorf("from %d to %d ns is one bucket", all[i-1], all[i])
		}
	}
}

func TestObserveDoesNotAllocate(t *testing.T) {
	var h Histogram
	if n := testing.AllocsPerRun(100, func() { h.Observe(time.Millisecond, 3) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
