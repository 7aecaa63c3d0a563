package main

import (
	"context"
	"os"
	"runtime"
	"time"

	"dashi/node"
)

// spareThreads is how many threads run Go besides those that apply entries. While a backlog is read there are always more goroutines that could
// run than cores, and each look-up waits behind all of them several times: half of them for 40 ms, and 6 ms with two more threads, among which the
// kernel divides the cores fairly. But that costs a backlog up to a sixth of its speed, so there are none while one is read and nobody asks.
const spareThreads = 2

const (
	// threadsInterval is how often tendThreads looks who wants the processor, and so for how long the first look-up may have no spare thread.
	threadsInterval = 250 * time.Millisecond
	// threadsPatience is after how many looks in a row that see only a backlog the spare threads go.
	threadsPatience = 8
)

// makeRoom gives the process the spare threads, unless GOMAXPROCS says how many it may have.
func makeRoom(o *node.Options) {
	if os.Getenv("GOMAXPROCS") == "" {
		o.Appliers = runtime.GOMAXPROCS(0)
		runtime.GOMAXPROCS(o.Appliers + spareThreads)
	}
}

// tendThreads gives and takes the spare threads until ctx is done; after that the process has them.
func tendThreads(ctx context.Context, appliers int, pressure func() node.Pressure) {
	tick := time.NewTicker(threadsInterval)
	defer tick.Stop()
	r := room{last: pressure(), spare: true}
	for {
		select {
		case <-ctx.Done():
			if !r.spare {
				runtime.GOMAXPROCS(appliers + spareThreads)
			}
			return
		case <-tick.C:
		}
		had := r.spare
		switch r.look(pressure()); {
		case r.spare && !had:
			runtime.GOMAXPROCS(appliers + spareThreads)
		case had && !r.spare:
			runtime.GOMAXPROCS(appliers)
		}
	}
}

// room decides whether there are spare threads.
type room struct {
	last  node.Pressure
	looks int // looks in a row that saw only a backlog
	spare bool
}

// look takes in the pressure at an instant. Most entries wait for their turn when there is a backlog, and hardly any when there is not.
func (r *room) look(now node.Pressure) {
	applied, waited := now.Applied-r.last.Applied, now.Waited-r.last.Waited
	asked := now.Lookups != r.last.Lookups
	r.last = now
	if asked || 2*waited <= applied {
		r.looks, r.spare = 0, true
		return
	}
	if r.looks++; r.looks >= threadsPatience {
		r.spare = false
	}
}
