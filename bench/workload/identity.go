package workload

import (
	"context"
	"fmt"
	"strings"

	"dashi/bench/crowd"
	"dashi/bench/gobench"
	"dashi/bench/result"
	"dashi/pipeline/kafka"

	benchload "dashi/bench/load"
)

// links is what it costs to know who is who: first within one process, then for dashi on a backlog.
func links(ctx context.Context, e *Env) error {
	results, err := e.benchmark(ctx, "./shard", "^Benchmark(Links|IdentifierMemory)$", [2]string{"1x", "1x"}, [2]int{1, 1})
	if err != nil {
		return err
	}
	for i := range results {
		if err := e.linked(&results[i]); err != nil {
			return err
		}
	}
	people := e.size(1_000_000, 20_000)
	usual, _, err := e.cookbooks()
	if err != nil {
		return err
	}
	e.Say("filling the broker with the events of %d people", people)
	data, n := e.dir("data"), 0
	err = withBroker(data, func(b *kafka.Broker) error {
		s, err := benchload.NewSenderOf(b.Settings().Brokers, crowd.New(crowd.Settings{Seed: 1, People: people}))
		if err != nil {
			return err
		}
		defer s.Close()
		err = s.SendAll(ctx)
		n = int(s.Sent())
		return err
	})
	if err != nil {
		return err
	}
	e.Say("reading %d events with dashi", n)
	d, err := e.drained(ctx, usual, data, n)
	if err != nil {
		return err
	}
	if d.profiles < people || d.profiles > people*11/10 {
		return fmt.Errorf("%d profiles of %d people", d.profiles, people)
	}
	settings := result.Settings{"events": n, "people": people, "partitions": partitions, "compression": benchload.Compression,
		"cookbook": d.cookbook, "version": d.version, "seconds": d.seconds, "seconds_to_first": d.first, "seconds_to_idle": d.idle,
		"profiles": d.profiles, "activations": d.made}
	for _, f := range []result.Figure{
		{Metric: "dashi", Value: d.rate, Unit: "events/s", Target: result.AtLeast(100_000)},
		{Metric: "dashi, processor time with broker", Value: d.cpu, Unit: "us CPU an event"},
		{Metric: "dashi, most memory", Value: float64(d.peak >> 20), Unit: "MiB"},
	} {
		f.Settings = settings
		if err := e.Report(f); err != nil {
			return err
		}
	}
	return nil
}

// linked reports what one Go benchmark of identifiers measured.
func (e *Env) linked(r *gobench.Result) error {
	metric, from, unit := "links, "+about(r), "events/cpu-s", "events/s a core"
	var target *result.Target
	if strings.HasPrefix(r.Name, "BenchmarkIdentifierMemory") {
		metric, from, unit, target = "an identifier without state, "+about(r), "bytes/identifier", "bytes", result.AtMost(64)
	}
	f, err := figure(r, metric, from, same, unit, target)
	if err != nil {
		return err
	}
	return e.Report(f)
}
