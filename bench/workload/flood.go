package workload

import (
	"context"
	"errors"
	"time"

	benchload "dashi/bench/load"
	"dashi/bench/order"
	"dashi/bench/process"
	"dashi/bench/result"
)

// idleLimit is how long dashi may take to catch up with a load.
const idleLimit = 4 * time.Minute

// mostAhead is how far the load may be ahead of dashi. Without a bound a load that is faster takes a growing share of the
// cores and of the disk; with one, it is as fast as dashi is after a while, and what is measured can be sustained.
const mostAhead = 1_000_000

// system is what is under load: a node, or a cluster.
type system interface {
	Status(context.Context) (*process.Status, error)
	Usage() (process.Usage, error)
}

// keepAhead bounds the sender by what dashi has applied, until ctx is done.
func keepAhead(ctx context.Context, d system, s *benchload.Sender) error {
	for {
		st, err := d.Status(ctx)
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil:
			return err
		}
		s.Bound(int64(st.Events.Applied) + mostAhead)
		if sleep(ctx, 20*time.Millisecond) != nil {
			return nil
		}
	}
}

// sleep waits, or until ctx is done.
func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}

// during runs fn while the sender sends with send, then stops it and waits until everything is acknowledged.
func during(send func(stop <-chan struct{}) error, fn func() error) error {
	stop, sent := make(chan struct{}), make(chan error, 1)
	go func() { sent <- send(stop) }()
	err := fn()
	close(stop)
	return errors.Join(err, <-sent)
}

// moment is dashi at one time.
type moment struct {
	at     time.Time
	sent   int64
	status *process.Status
	usage  process.Usage
}

// load measures with the usual activations, which is what counts, and with all.
func load(ctx context.Context, e *Env) error {
	usual, loud, err := e.cookbooks()
	if err != nil {
		return err
	}
	if err := e.flood(ctx, usual, "data", "", result.AtLeast(150_000)); err != nil {
		return err
	}
	return e.flood(ctx, loud, "again", "all audiences activating, ", nil)
}

// flood: one producer in this process, as fast as it goes but no more than mostAhead. What counts is what dashi applied while it was under way, after a
// warm-up in which the profiles are made.
func (e *Env) flood(ctx context.Context, c cookbook, data, name string, target *result.Target) (err error) {
	people := e.size(1_000_000, 100_000)
	d, err := e.start(ctx, c, e.dir(data))
	if err != nil {
		return err
	}
	defer stop(d, &err)
	s, err := benchload.NewSender([]string{d.Kafka}, order.Settings{Seed: 2, Prefix: "load", People: people, Shapes: order.MaxShapes})
	if err != nil {
		return err
	}
	defer s.Close()
	from, to, err := e.flooded(ctx, d, s, name)
	if err != nil {
		return err
	}
	e.Say("%swaiting until all of it is applied", name)
	end, err := d.WaitIdle(ctx, idleLimit)
	if err != nil {
		return err
	}
	if err := mustCount(end, s.Sent()); err != nil {
		return err
	}
	return e.reportFlood(name, target, from, to, result.Settings{"warm_up_seconds": e.warmUp().Seconds(), "people": people, "shapes": order.MaxShapes,
		"partitions": partitions, "compression": benchload.Compression, "most_ahead": mostAhead, "cookbook": c.name, "version": end.Version, "sent": s.Sent()})
}

// warmUp is how long a flood lasts before it counts.
func (e *Env) warmUp() time.Duration { return time.Duration(e.size(5, 1)) * time.Second }

// flooded sends as fast as it goes for the time of the warm-up and the window, and says how d was at the beginning and the end of the window.
func (e *Env) flooded(ctx context.Context, d system, s *benchload.Sender, name string) (from, to moment, err error) {
	warm, window := e.warmUp(), time.Duration(e.size(20, 3))*time.Second
	s.Bound(mostAhead)
	keeping, done := context.WithCancel(ctx)
	kept := make(chan error, 1)
	go func() { kept <- keepAhead(keeping, d, s) }()
	e.Say("%ssending for %v, of which %v count", name, warm+window, window)
	err = during(func(stop <-chan struct{}) error { return s.Flood(ctx, stop) }, func() error {
		if err := sleep(ctx, warm); err != nil {
			return err
		}
		if from, err = look(ctx, d, s); err != nil {
			return err
		}
		if err := sleep(ctx, window); err != nil {
			return err
		}
		to, err = look(ctx, d, s)
		return err
	})
	done()
	return from, to, errors.Join(err, <-kept)
}

func (e *Env) reportFlood(name string, target *result.Target, from, to moment, settings result.Settings) error {
	seconds := to.at.Sub(from.at).Seconds()
	applied := float64(to.status.Events.Applied - from.status.Events.Applied)
	if applied == 0 {
		return errors.New("no event was applied while the load was under way")
	}
	settings["seconds"] = seconds
	settings["activations_per_event"] = float64(to.status.Activations.Made-from.status.Activations.Made) / applied
	settings["behind_at_end"] = to.sent - int64(to.status.Events.Applied)
	for _, f := range []result.Figure{
		{Metric: "applied", Value: applied / seconds, Unit: "events/s", Target: target},
		{Metric: "sent", Value: float64(to.sent-from.sent) / seconds, Unit: "events/s"},
		{Metric: "from fetched to applied, p50", Value: to.status.Latency.P50, Unit: "ms"},
		{Metric: "from fetched to applied, p99", Value: to.status.Latency.P99, Unit: "ms"},
		{Metric: "processor time with broker", Value: cpuPerEvent(from.usage, to.usage, applied), Unit: "us CPU an event"},
	} {
		f.Metric, f.Settings = name+f.Metric, settings
		if err := e.Report(f); err != nil {
			return err
		}
	}
	return nil
}

func look(ctx context.Context, d system, s *benchload.Sender) (m moment, err error) {
	if m.usage, err = d.Usage(); err != nil {
		return m, err
	}
	m.status, err = d.Status(ctx)
	m.at, m.sent = time.Now(), s.Sent()
	return m, err
}
