package workload

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"dashi/bench/gobench"
	"dashi/bench/result"
)

// benchmark runs Go benchmarks. times is -benchtime and count how often, full and quick.
func (e *Env) benchmark(ctx context.Context, pkg, pattern string, times [2]string, counts [2]int) ([]gobench.Result, error) {
	r := gobench.Request{Root: e.Root, Package: pkg, Pattern: pattern, Time: times[0], Count: counts[0], Short: e.Quick, Limit: 15 * time.Minute,
		PGO: filepath.Join(e.Root, "cmd", "dashi", "default.pgo")} // as dashi is built
	if e.Quick {
		r.Time, r.Count = times[1], counts[1]
	}
	if e.Profiles != "" {
		r.Profile = filepath.Join(e.Profiles, filepath.Base(e.Temp)+".pprof")
	}
	e.Say("go %s", strings.Join(r.Args(), " "))
	return gobench.Run(ctx, r)
}

// figure makes a figure of one unit of a benchmark, converted by value.
func figure(r *gobench.Result, metric, from string, value func(float64) float64, unit string, target *result.Target) (result.Figure, error) {
	v, ok := r.Median(from)
	if !ok {
		return result.Figure{}, fmt.Errorf("%s does not report %s", r.Name, from)
	}
	runs := make([]float64, len(r.Runs[from]))
	for i, run := range r.Runs[from] {
		runs[i] = value(run)
	}
	s := result.Settings{"benchmark": r.Name, "runs": runs}
	for reported := range r.Runs { // bytes/event, activations/event, B/op, ...
		if median, ok := r.Median(reported); ok && reported != from {
			s[reported] = median
		}
	}
	return result.Figure{Metric: metric, Value: value(v), Unit: unit, Target: target, Settings: s}, nil
}

func same(v float64) float64      { return v }
func fromNanos(v float64) float64 { return v / 1000 }
func perSecond(v float64) float64 { return 1e9 / v }

// about is the sub-benchmark's name: shapes=4, profiles=1000000.
func about(r *gobench.Result) string {
	_, rest, _ := strings.Cut(r.Name, "/")
	return strings.ReplaceAll(strings.TrimSuffix(rest, "/decoder=dashi"), "/", " ")
}

// each reports one figure of every result, and the most allocations that one of them makes an event.
func (e *Env) each(results []gobench.Result, from string, value func(float64) float64, unit string, target *result.Target) error {
	for i := range results {
		f, err := figure(&results[i], about(&results[i]), from, value, unit, target)
		if err != nil {
			return err
		}
		if err := e.Report(f); err != nil {
			return err
		}
	}
	return e.allocations(results)
}

func (e *Env) allocations(results []gobench.Result) error {
	worst := result.Figure{Value: -1}
	for i := range results {
		f, err := figure(&results[i], "allocations, "+about(&results[i]), "allocs/op", same, "an event", result.AtMost(0))
		if err != nil {
			return err
		}
		if f.Value > worst.Value {
			worst = f
		}
	}
	return e.Report(worst)
}

func decode(ctx context.Context, e *Env) error {
	results, err := e.benchmark(ctx, "./pipeline/event", "^BenchmarkDecode$/^shapes=/^decoder=dashi$", [2]string{"1s", "100ms"}, [2]int{5, 1})
	if err != nil {
		return err
	}
	return e.each(results, "cpu-ns/op", fromNanos, "us CPU", result.AtMost(0.8))
}

// A benchmark of the shard takes seconds to set up, and does so again for each guess of how many events fill a second:
// their number is given.
var (
	shardEvents = [2]string{"3000000x", "100000x"}
	shardCounts = [2]int{3, 1}
)

func apply(ctx context.Context, e *Env) error {
	results, err := e.benchmark(ctx, "./shard", "^BenchmarkApply$", shardEvents, shardCounts)
	if err != nil {
		return err
	}
	return e.each(results, "cpu-ns/event", fromNanos, "us CPU", result.AtMost(0.8))
}

func path(ctx context.Context, e *Env) error {
	results, err := e.benchmark(ctx, "./shard", "^BenchmarkPath$", shardEvents, shardCounts)
	if err != nil {
		return err
	}
	// A core's worth of processor time, whatever share of the core the benchmark got.
	return e.each(results, "cpu-ns/event", perSecond, "events/s a core", result.AtLeast(700_000))
}

func memory(ctx context.Context, e *Env) error {
	results, err := e.benchmark(ctx, "./shard", "^BenchmarkMemory$", [2]string{"1x", "1x"}, [2]int{1, 1})
	if err != nil {
		return err
	}
	for i := range results {
		r := &results[i]
		// The target is for 12 attributes with a value each. More orders put more into the set and the tally among them.
		var target *result.Target
		if strings.HasSuffix(r.Name, "/orders=1") {
			target = result.AtMost(350)
		}
		f, err := figure(r, about(r), "resident-bytes/profile", same, "bytes a profile", target)
		if err != nil {
			return err
		}
		if err := e.Report(f); err != nil {
			return err
		}
	}
	return nil
}

func collect(ctx context.Context, e *Env) error {
	results, err := e.benchmark(ctx, "./shard", "^BenchmarkGC$", [2]string{"1x", "1x"}, [2]int{1, 1})
	if err != nil {
		return err
	}
	r := &results[0]
	median, err := figure(r, "median of 5, "+about(r), "gc-ms", same, "ms", result.AtMost(50))
	if err != nil {
		return err
	}
	if err := e.Report(median); err != nil {
		return err
	}
	worst, err := figure(r, "longest of 5, "+about(r), "gc-max-ms", same, "ms", nil)
	if err != nil {
		return err
	}
	return e.Report(worst)
}
