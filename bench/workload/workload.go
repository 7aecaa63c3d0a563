package workload

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"dashi/bench/process"
	"dashi/bench/result"
)

// Workload is one benchmark.
type Workload struct {
	Name   string
	About  string // one line
	Binary bool   // it measures bin/dashi
	Limit  time.Duration
	run    func(context.Context, *Env) error
}

// Env is what a workload is given.
type Env struct {
	Root     string // of the module
	Binary   string // dashi
	Profiles string // a directory for processor profiles of what is measured; empty: none are taken
	Temp     string // an empty directory
	Quick    bool   // smaller sizes
	Kills    int    // of failover; 0: its default
	Say      func(format string, args ...any)
	Report   func(result.Figure) error
}

// Run runs the workload within its limit. An error that wraps process.ErrMissing means that it cannot be run here.
func (w *Workload) Run(ctx context.Context, env *Env) error {
	ctx, cancel := context.WithTimeout(ctx, w.Limit)
	defer cancel()
	inner := *env
	inner.Report = func(f result.Figure) error {
		f.Workload = w.Name
		return env.Report(f)
	}
	if err := w.run(ctx, &inner); err != nil {
		return fmt.Errorf("cannot measure %s: %w", w.Name, err)
	}
	return nil
}

// All workloads, in the order in which they run: those within one process first.
func All() []Workload {
	return []Workload{
		{Name: "decode", About: "decode a 505-byte message into 12 fields, in one process", Limit: 5 * time.Minute, run: decode},
		{Name: "apply", About: "apply and evaluate packed events: 10 attributes, 50 audiences, in one process", Limit: 15 * time.Minute, run: apply},
		{Name: "path", About: "decode, pack, apply and evaluate from memory, in one thread", Limit: 15 * time.Minute, run: path},
		{Name: "memory", About: "resident memory of 1,000,000 profiles of 12 attributes", Limit: 10 * time.Minute, run: memory},
		{Name: "gc", About: "a forced garbage collection with 5,000,000 profiles", Limit: 10 * time.Minute, run: collect},
		{Name: "drain", About: "a backlog of 5,000,000 events in the embedded broker, until it is applied", Binary: true, Limit: 20 * time.Minute, run: drain},
		{Name: "recipes", About: "a backlog of 2,000,000 events of the demo, with the 18 recipes", Binary: true, Limit: 10 * time.Minute, run: eighteen},
		{Name: "load", About: "events as fast as a producer on the same machine makes them and dashi takes them, for 20 s", Binary: true, Limit: 10 * time.Minute, run: load},
		{Name: "identity", About: "1,000,000 people with 1 to 6 identifiers: links in one process, and a backlog of their events in the embedded broker", Binary: true, Limit: 40 * time.Minute, run: links},
		{Name: "resp", About: "HGETALL and SISMEMBER over RESP, side by side with redis-server", Binary: true, Limit: 15 * time.Minute, run: lookups},
		{Name: "timers", About: "1,000,000 timers that are due at one instant, while profiles are looked up at 2,000 a second", Binary: true, Limit: 10 * time.Minute, run: timers},
		{Name: "http", About: "GET /v1/profiles at 2,000 a second, open-loop, while 20,000 events a second come in", Binary: true, Limit: 5 * time.Minute, run: pages},
		{Name: "cluster", About: "three nodes: at rest, at 2,000 and 20,000 events a second, and with as many as they take, for 20 s", Binary: true, Limit: 15 * time.Minute, run: cluster},
		{Name: "backlog", About: "three nodes on a backlog of 3,000,000 events, until it is applied", Binary: true, Limit: 10 * time.Minute, run: backlog},
		{Name: "failover", About: "three nodes, one of which is killed 10 times (-kills), while events come in", Binary: true, Limit: 30 * time.Minute, run: failover},
		{Name: "grow", About: "a fourth node joins three that are asked and take events, then one is drained", Binary: true, Limit: 10 * time.Minute, run: grow},
	}
}

// size is full, or quick in a quick run.
func (e *Env) size(full, quick int) int {
	if e.Quick {
		return quick
	}
	return full
}

// twelve is the cookbook of look-ups.
func (e *Env) twelve() cookbook {
	return cookbook{"bench/twelve", filepath.Join(e.Root, "bench", "twelve")}
}

// start starts dashi with a cookbook on a data directory.
func (e *Env) start(ctx context.Context, c cookbook, data string) (*process.Dashi, error) {
	return process.StartDashi(ctx, e.program(), data, c.path)
}

func (e *Env) program() process.Program { return process.Program{Path: e.Binary, Profiles: e.Profiles} }

// dir is a directory below Temp.
func (e *Env) dir(name string) string { return filepath.Join(e.Temp, name) }

// stop ends a process after its workload and adds what went wrong then to err.
func stop(p interface{ Stop() error }, err *error) { *err = errors.Join(*err, p.Stop()) }

// mustCount is I3.
func mustCount(st *process.Status, sent int64) error {
	if lost := st.Lost(); lost != "" || int64(st.Events.Applied) != sent {
		return fmt.Errorf("%d events were sent and %d applied (%s)", sent, st.Events.Applied, lost)
	}
	return nil
}

// cpuPerEvent is what a process has used an event, in microseconds; 0 where the system does not say.
func cpuPerEvent(before, after process.Usage, events float64) float64 {
	return float64((after.CPU - before.CPU).Nanoseconds()) / 1000 / events
}
