package workload

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"time"

	benchload "dashi/bench/load"
	"dashi/bench/order"
	"dashi/bench/process"
	"dashi/bench/result"
	"dashi/bench/stat"
)

const (
	askRate   = 2_000  // GET a second
	eventRate = 20_000 // events a second meanwhile
	// askers bounds how many requests are under way: 64 at 2,000/s are enough as long as one takes less than 32 ms.
	askers = 64
)

// pages: look-ups of random people at a fixed rate, open-loop, while events come in.
func pages(ctx context.Context, e *Env) (err error) {
	warm, window := time.Duration(e.size(3, 1))*time.Second, e.size(30, 3)
	people := e.size(100_000, 10_000)
	d, err := e.start(ctx, e.twelve(), e.dir("data"))
	if err != nil {
		return err
	}
	defer stop(d, &err)
	e.Say("giving %d people an order each", people)
	if err := populate(ctx, d, people); err != nil {
		return err
	}
	s, err := benchload.NewSender([]string{d.Kafka}, order.Settings{Seed: 4, Prefix: "then", People: people, Shapes: order.MaxShapes})
	if err != nil {
		return err
	}
	defer s.Close()
	e.Say("asking for %d s", window)
	var answers *benchload.Latencies
	var from, to moment
	err = during(func(stop <-chan struct{}) error { return s.Pace(ctx, eventRate, stop) }, func() error {
		if err := sleep(ctx, warm); err != nil {
			return err
		}
		if from, err = look(ctx, d, s); err != nil {
			return err
		}
		answers = benchload.OpenLoop(ctx, benchload.Requests{PerSecond: askRate, Total: askRate * window, Workers: askers}, get(ctx, always(d), people))
		to, err = look(ctx, d, s)
		return err
	})
	if err != nil {
		return err
	}
	end, err := d.WaitIdle(ctx, idleLimit)
	if err != nil {
		return err
	}
	if err := mustCount(end, s.Sent()+int64(people)); err != nil {
		return err
	}
	if len(answers.All) < askRate*window {
		return fmt.Errorf("%d of %d requests were made: %w", len(answers.All), askRate*window, ctx.Err())
	}
	return e.reportPages(answers, from, to, people, end.Version)
}

func (e *Env) reportPages(answers *benchload.Latencies, from, to moment, people int, version string) error {
	seconds := to.at.Sub(from.at).Seconds()
	settings := result.Settings{"requests": len(answers.All), "per_second": askRate, "workers": askers, "people": people, "version": version,
		"events_per_second": float64(to.status.Events.Applied-from.status.Events.Applied) / seconds, "cookbook": e.twelve().name}
	ms := func(sorted []time.Duration, q float64) float64 { return stat.Milliseconds(stat.Quantile(sorted, q)) }
	for _, f := range []result.Figure{
		{Metric: "from due to answered, p50", Value: ms(answers.All, 0.5), Unit: "ms"},
		{Metric: "from due to answered, p99", Value: ms(answers.All, 0.99), Unit: "ms"},
		{Metric: "from due to answered, p99.9", Value: ms(answers.All, 0.999), Unit: "ms"},
		{Metric: "the load's own lateness, p99", Value: ms(answers.Late, 0.99), Unit: "ms"},
		{Metric: "failed requests", Value: float64(answers.Failed), Unit: "", Target: result.AtMost(0)},
	} {
		f.Settings = settings
		if err := e.Report(f); err != nil {
			return err
		}
	}
	if answers.First != nil {
		e.Say("the first request that failed: %v", answers.First)
	}
	return nil
}

// always asks the same node.
func always(d *process.Dashi) func(i int) *process.Dashi {
	return func(int) *process.Dashi { return d }
}

// get asks for a random person's profile, request i of the node that pick names.
func get(ctx context.Context, pick func(i int) *process.Dashi, people int) func(worker, i int) error {
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: askers, MaxConnsPerHost: askers, DisableCompression: true}, Timeout: 10 * time.Second}
	rnd := make([]*rand.Rand, askers)
	for w := range rnd {
		rnd[w] = rand.New(rand.NewPCG(5, uint64(w)))
	}
	return func(w, i int) error {
		r, err := http.NewRequestWithContext(ctx, "GET", "http://"+pick(i).HTTP+"/v1/profiles/"+user(rnd[w].IntN(people)), nil)
		if err != nil {
			return err
		}
		answer, err := client.Do(r)
		if err != nil {
			return err
		}
		defer answer.Body.Close()
		if _, err := io.Copy(io.Discard, answer.Body); err != nil {
			return err
		}
		if answer.StatusCode != http.StatusOK {
			return fmt.Errorf("%s for %s", answer.Status, r.URL)
		}
		return nil
	}
}
