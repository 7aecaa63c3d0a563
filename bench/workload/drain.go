package workload

import (
	"context"
	"fmt"
	"maps"
	"os"
	"time"

	"dashi/bench/order"
	"dashi/bench/process"
	"dashi/bench/result"
	"dashi/pipeline/kafka"

	benchload "dashi/bench/load"
)

// partitions are those that dashi makes for itself.
const partitions = 8

// withBroker calls fn with the broker of a data directory, in this process, and closes it again: dashi will find it there.
func withBroker(data string, fn func(*kafka.Broker) error) (err error) {
	b, err := kafka.OpenBroker(kafka.BrokerSettings{
		Addr:       "127.0.0.1:0",
		Dir:        process.KafkaDir(data),
		Partitions: partitions,
		Topics:     []kafka.Topic{{Name: benchload.Topic, Partitions: partitions}},
		Retention:  kafka.Retention{Bytes: -1, Age: -1},
	})
	if err != nil {
		return err
	}
	defer func() {
		if closed := b.Close(); err == nil {
			err = closed
		}
	}()
	return fn(b)
}

// drain: the backlog is there before dashi is. The bare client reads it first, from a broker that was opened afresh as
// dashi's is, so both find the data in the page cache.
func drain(ctx context.Context, e *Env) error {
	usual, loud, err := e.cookbooks()
	if err != nil {
		return err
	}
	n, people := e.size(5_000_000, 300_000), e.size(1_000_000, 100_000)
	orders := order.Settings{Seed: 1, Prefix: "drain", People: people, Shapes: order.MaxShapes}
	data, again := e.dir("data"), e.dir("again")
	e.Say("filling the broker with %d events", n)
	err = withBroker(data, func(b *kafka.Broker) error { return fill(ctx, b.Settings().Brokers, orders, n) })
	if err != nil {
		return err
	}
	if err := os.CopyFS(process.KafkaDir(again), os.DirFS(process.KafkaDir(data))); err != nil {
		return fmt.Errorf("cannot copy the backlog: %w", err)
	}
	e.Say("reading them with the bare client")
	var took time.Duration
	err = withBroker(data, func(b *kafka.Broker) error {
		took, err = benchload.Drain(ctx, b.Settings(), n)
		return err
	})
	if err != nil {
		return err
	}
	settings := result.Settings{"events": n, "people": people, "shapes": order.MaxShapes, "partitions": partitions, "compression": benchload.Compression}
	bare := float64(n) / took.Seconds()
	if err := e.Report(result.Figure{Metric: "bare client", Value: bare, Unit: "records/s", Settings: settings}); err != nil {
		return err
	}
	e.Say("reading them with dashi")
	first, err := e.drained(ctx, usual, data, n)
	if err != nil {
		return err
	}
	if err := e.reportDrained("dashi", first, result.AtLeast(300_000), settings); err != nil {
		return err
	}
	if err := e.Report(result.Figure{Metric: "dashi, to bare client", Value: first.rate / bare, Unit: "x", Settings: settings}); err != nil {
		return err
	}
	e.Say("reading them with dashi, all audiences activating")
	second, err := e.drained(ctx, loud, again, n)
	if err != nil {
		return err
	}
	return e.reportDrained("dashi, all audiences activating", second, nil, settings)
}

func (e *Env) reportDrained(who string, d drained, target *result.Target, common result.Settings) error {
	settings := maps.Clone(common)
	maps.Copy(settings, result.Settings{"cookbook": d.cookbook, "version": d.version, "seconds": d.seconds, "seconds_to_first": d.first,
		"seconds_to_idle": d.idle, "profiles": d.profiles, "activations": d.made})
	for _, f := range []result.Figure{
		{Metric: who, Value: d.rate, Unit: "events/s", Target: target},
		{Metric: who + ", processor time with broker", Value: d.cpu, Unit: "us CPU an event"},
		{Metric: who + ", most memory", Value: float64(d.peak >> 20), Unit: "MiB"},
	} {
		f.Settings = settings
		if err := e.Report(f); err != nil {
			return err
		}
	}
	return nil
}

// fill sends n messages.
func fill(ctx context.Context, brokers []string, orders order.Settings, n int) error {
	s, err := benchload.NewSender(brokers, orders)
	if err != nil {
		return err
	}
	defer s.Close()
	return s.Send(ctx, n)
}

type drained struct {
	cookbook string
	version  string
	rate     float64 // events a second, from ready until everything is applied
	seconds  float64
	first    float64 // seconds from ready to the first event applied
	idle     float64 // and until all activations were acknowledged
	cpu      float64 // until applied, microseconds an event
	peak     int64
	profiles int
	made     uint64 // activations
}

// drained starts dashi on the backlog and times it.
func (e *Env) drained(ctx context.Context, c cookbook, data string, n int) (r drained, err error) {
	d, err := e.start(ctx, c, data)
	if err != nil {
		return r, err
	}
	defer stop(d, &err)
	ready := time.Now()
	before, err := d.Usage()
	if err != nil {
		return r, err
	}
	st, err := d.Status(ctx)
	if err != nil {
		return r, err
	}
	if st.Cookbook.Audiences < 50 {
		return r, fmt.Errorf("the cookbook has %d audiences, want 50 at least", st.Cookbook.Audiences)
	}
	early := st.Events.Applied // between ready and our look
	if _, err = d.WaitApplied(ctx, 1); err != nil {
		return r, err
	}
	r.first = time.Since(ready).Seconds()
	if _, err = d.WaitApplied(ctx, uint64(n)); err != nil {
		return r, err
	}
	took := time.Since(ready)
	after, err := d.Usage()
	if err != nil {
		return r, err
	}
	if st, err = d.WaitIdle(ctx, idleLimit); err != nil {
		return r, err
	}
	return drained{
		cookbook: c.name, version: st.Version, profiles: st.Profiles, made: st.Activations.Made,
		rate: float64(uint64(n)-early) / took.Seconds(), seconds: took.Seconds(), first: r.first, idle: time.Since(ready).Seconds(),
		cpu: cpuPerEvent(before, after, float64(n)), peak: after.Peak,
	}, mustCount(st, int64(n))
}
