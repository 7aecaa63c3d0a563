package load

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Requests says how many requests to make, and how fast.
type Requests struct {
	PerSecond int
	Total     int
	Workers   int // how many may be under way at once; more are due and wait, which counts
}

// Latencies are what came of them.
type Latencies struct {
	All    []time.Duration // from due to answered, ascending; failed requests too
	Late   []time.Duration // from due to sent, of the requests that a worker was free for: the load's own lateness; ascending
	Failed int
	First  error // of the failed ones
}

// OpenLoop makes the requests: do(worker, i) is request i.
func OpenLoop(ctx context.Context, r Requests, do func(worker, i int) error) *Latencies {
	var (
		next    atomic.Int64
		workers sync.WaitGroup
		mu      sync.Mutex
		sum     Latencies
	)
	interval := time.Second / time.Duration(r.PerSecond)
	start := time.Now()
	for w := range r.Workers {
		workers.Go(func() {
			var own Latencies
			for ctx.Err() == nil {
				i := int(next.Add(1) - 1)
				if i >= r.Total {
					break
				}
				due := start.Add(time.Duration(i) * interval)
				if wait := time.Until(due); wait > 0 {
					time.Sleep(wait)
					own.Late = append(own.Late, time.Since(due))
				}
				err := do(w, i)
				own.All = append(own.All, time.Since(due)) // I2
				if err != nil {
					own.Failed++
					own.First = err
				}
			}
			mu.Lock()
			defer mu.Unlock()
			sum.All, sum.Late = append(sum.All, own.All...), append(sum.Late, own.Late...)
			sum.Failed += own.Failed
			if sum.First == nil {
				sum.First = own.First
			}
		})
	}
	workers.Wait()
	slices.Sort(sum.All)
	slices.Sort(sum.Late)
	return &sum
}
