package workload

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	benchload "dashi/bench/load"
	"dashi/bench/order"
	"dashi/bench/process"
	"dashi/bench/result"
	"dashi/bench/stat"
)

// timers: everybody is due at one instant. How long it takes until all have been evaluated, and what look-ups wait meanwhile, first without
// activations, which is what counts, then with one each.
func timers(ctx context.Context, e *Env) error {
	path := filepath.Join(e.Root, "bench", "timers", "timers.yml")
	if err := e.due(ctx, cookbook{"bench/timers", path}, "data", "", true); err != nil {
		return err
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	loud := cookbook{"bench/timers, emit: both", filepath.Join(e.Temp, "loud.yml")}
	if err := os.WriteFile(loud.path, []byte(strings.Replace(string(text), "emit: none", "emit: both", 1)), 0o644); err != nil {
		return err
	}
	return e.due(ctx, loud, "again", "all activating, ", false)
}

// appointments are messages that say when their people are due.
type appointments struct {
	due  time.Time
	next int
	of   int
}

func (a *appointments) Append(dst []byte) (out []byte, keyAt int, more bool) {
	if a.next == a.of {
		return dst, 0, false
	}
	person := a.next
	a.next++
	dst = append(order.AppendUser(append(dst, `{"type":"track","event":"Order Completed","userId":"`...), person), `","timestamp":"2026-01-01T00:00:00Z","properties":{"due":"`...)
	dst = append(a.due.AppendFormat(dst, time.RFC3339Nano), `"}}`...)
	return order.AppendUser(dst, person), len(dst), true
}

// due gives everybody an appointment at one instant, and measures what happens then.
func (e *Env) due(ctx context.Context, c cookbook, data, name string, counts bool) (err error) {
	people, lead := e.size(1_000_000, 20_000), time.Duration(e.size(90, 8))*time.Second
	d, err := e.start(ctx, c, e.dir(data))
	if err != nil {
		return err
	}
	defer stop(d, &err)
	due := time.Now().Add(lead).Truncate(time.Second)
	s, err := benchload.NewSenderOf([]string{d.Kafka}, &appointments{due: due.UTC(), of: people})
	if err != nil {
		return err
	}
	defer s.Close()
	e.Say("%sgiving %d people an appointment in %v", name, people, lead)
	if err := s.SendAll(ctx); err != nil {
		return err
	}
	st, err := d.WaitIdle(ctx, idleLimit)
	if err != nil {
		return err
	}
	if err := mustCount(st, int64(people)); err != nil {
		return err
	}
	// A snapshot that begins meanwhile would be measured too: those after the load are over in a second.
	if left := time.Until(due); left < 2*time.Second || st.Clock.Timers != people {
		return fmt.Errorf("%d of %d timers wait %v before they are due", st.Clock.Timers, people, left)
	}
	if err := sleep(ctx, time.Until(due)-time.Second); err != nil {
		return err
	}
	ask := get(ctx, always(d), people)
	e.Say("%sasking", name)
	benchload.OpenLoop(ctx, benchload.Requests{PerSecond: askRate, Total: askRate / 2, Workers: askers}, ask) // connections
	before, err := d.Usage()
	if err != nil {
		return err
	}
	if err := sleep(ctx, time.Until(due)); err != nil {
		return err
	}
	answers := make(chan *benchload.Latencies, 1)
	go func() {
		answers <- benchload.OpenLoop(ctx, benchload.Requests{PerSecond: askRate, Total: askRate, Workers: askers}, ask)
	}()
	took, err := worked(ctx, d, people, due)
	if err != nil {
		return err
	}
	meanwhile := <-answers
	after, err := d.Usage()
	if err != nil {
		return err
	}
	end, err := d.WaitIdle(ctx, idleLimit)
	if err != nil {
		return err
	}
	if made := int(end.Activations.Made); made != 0 && made != people || (made == 0) != counts {
		return fmt.Errorf("%d activations of %d people", made, people)
	}
	settings := result.Settings{"timers": people, "requests": len(meanwhile.All), "per_second": askRate, "workers": askers, "cookbook": c.name, "version": end.Version}
	figures := []result.Figure{
		{Metric: "from due to the last evaluated", Value: took.Seconds(), Unit: "s", Target: result.AtMost(1)},
		{Metric: "look-ups meanwhile, from due to answered, p99", Value: stat.Milliseconds(stat.Quantile(meanwhile.All, 0.99)), Unit: "ms", Target: result.AtMost(5)},
		{Metric: "look-ups meanwhile, from due to answered, p50", Value: stat.Milliseconds(stat.Quantile(meanwhile.All, 0.5)), Unit: "ms"},
		{Metric: "the load's own lateness, p99", Value: stat.Milliseconds(stat.Quantile(meanwhile.Late, 0.99)), Unit: "ms"},
		{Metric: "processor time with broker and look-ups", Value: cpuPerEvent(before, after, float64(people)), Unit: "us CPU a timer"},
		{Metric: "look-ups that failed", Value: float64(meanwhile.Failed), Target: result.AtMost(0)},
	}
	for i := range figures {
		f := figures[i]
		if f.Metric, f.Settings = name+f.Metric, settings; !counts {
			f.Target = nil
		}
		if err := e.Report(f); err != nil {
			return err
		}
	}
	return nil
}

// worked waits until no timer is left, and says how long that took since they were due.
func worked(ctx context.Context, d *process.Dashi, people int, due time.Time) (time.Duration, error) {
	for {
		st, err := d.Status(ctx)
		if err != nil {
			return 0, err
		}
		if st.Clock.Timers == 0 {
			return time.Since(due), nil
		}
		if err := sleep(ctx, 5*time.Millisecond); err != nil {
			return 0, fmt.Errorf("%d of %d timers are left: %w", st.Clock.Timers, people, err)
		}
	}
}
