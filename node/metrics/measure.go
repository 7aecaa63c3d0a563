package metrics

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// Measures are what a node counts besides what its parts count themselves, and its last minutes second by second. The zero value is ready; it is safe for
// concurrent use.
type Measures struct {
	Latency   Histogram     // from fetched to applied, an event each
	Published atomic.Uint64 // activations acknowledged by Kafka
	Lost      atomic.Uint64 // events that Kafka deleted before they were read
	LostAt    atomic.Int64  // when it was last found out, in Unix nanoseconds
	HTTP      Doors         // what the HTTP interface counts

	mu      sync.Mutex
	samples []Sample  // a ring, one a second
	at      int       // where the next one goes
	minute  []*Counts // latency, a copy every second of the last minute
	rate    float64
}

// Sample is one second of the node's life.
type Sample struct {
	At          time.Time `json:"at"`
	Events      float64   `json:"events"`      // applied a second
	Activations float64   `json:"activations"` // published a second
	P50         float64   `json:"p50_ms"`      // fetched to applied
	P99         float64   `json:"p99_ms"`
	Profiles    int       `json:"profiles"`
}

// historySeconds is how far back the console's plots go.
const historySeconds = 600

// Applied notes that n events were applied d after they were fetched.
func (m *Measures) Applied(d time.Duration, n int) {
	if n > 0 {
		m.Latency.Observe(d, n)
	}
}

// Run takes a sample every second until ctx is done. totals says how many events have been applied, and how many profiles are held.
func (m *Measures) Run(ctx context.Context, totals func() (events uint64, profiles int)) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	var events, published uint64
	last := m.Latency.Counts()
	before := time.Now()
	first := true
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		now := time.Now()
		seconds := now.Sub(before).Seconds()
		total, profiles := totals()
		sent := m.Published.Load()
		counts := m.Latency.Counts()
		window := counts.Since(last)
		s := Sample{At: now.UTC().Truncate(time.Millisecond), Profiles: profiles, P50: millis(window.Quantile(0.5)), P99: millis(window.Quantile(0.99))}
		if !first {
			s.Events = float64(total-events) / seconds
			s.Activations = float64(sent-published) / seconds
		}
		first, before, events, published, last = false, now, total, sent, counts
		m.add(s, counts)
	}
}

func (m *Measures) add(s Sample, c *Counts) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.rate = s.Events
	if len(m.samples) < historySeconds {
		m.samples = append(m.samples, s)
	} else {
		m.samples[m.at] = s
		m.at = (m.at + 1) % historySeconds
	}
	m.minute = append(m.minute, c)
	if len(m.minute) > 61 {
		m.minute = append(m.minute[:0], m.minute[1:]...)
	}
}

// History is the samples after an instant, of the last ten minutes, oldest first.
func (m *Measures) History(after time.Time) []Sample {
	m.mu.Lock()
	defer m.mu.Unlock()
	all := append(append([]Sample{}, m.samples[m.at:]...), m.samples[:m.at]...)
	for len(all) > 0 && !all[0].At.After(after) {
		all = all[1:]
	}
	return all
}

// LastMinute is the latency of the last minute, in milliseconds, and the events of the last second.
func (m *Measures) LastMinute() (p50, p99, rate float64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var earlier *Counts
	if len(m.minute) > 0 {
		earlier = m.minute[0]
	}
	c := m.Latency.Counts().Since(earlier)
	return millis(c.Quantile(0.5)), millis(c.Quantile(0.99)), m.rate
}

func millis(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
