package node

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"dashi/node/metrics"
)

// measures are what the node counts besides what its parts count themselves.
type measures struct {
	latency   metrics.Histogram // from fetched to applied, an event each
	published atomic.Uint64     // activations acknowledged by Kafka
	lost      atomic.Uint64     // events that Kafka deleted before they were read
	lostAt    atomic.Int64      // when it was last found out, in Unix nanoseconds
	http      doorCounts

	mu      sync.Mutex
	samples []Sample          // a ring, one a second
	at      int               // where the next one goes
	minute  []*metrics.Counts // latency, a copy every second of the last minute
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

func newMeasures() *measures { return &measures{} }

// applied notes that n events were applied d after they were fetched.
func (m *measures) applied(d time.Duration, n int) {
	if n > 0 {
		m.latency.Observe(d, n)
	}
}

// run takes a sample every second.
func (m *measures) run(ctx context.Context, n *Node) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	var events, published uint64
	last := m.latency.Counts()
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
		total, profiles := n.applications()
		sent := m.published.Load()
		counts := m.latency.Counts()
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

func (m *measures) add(s Sample, c *metrics.Counts) {
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

// history is the samples after an instant, oldest first.
func (m *measures) history(after time.Time) []Sample {
	m.mu.Lock()
	defer m.mu.Unlock()
	all := append(append([]Sample{}, m.samples[m.at:]...), m.samples[:m.at]...)
	for len(all) > 0 && !all[0].At.After(after) {
		all = all[1:]
	}
	return all
}

// lastMinute is the latency of the last minute and the events of the last second.
func (m *measures) lastMinute() (LatencyStatus, float64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var earlier *metrics.Counts
	if len(m.minute) > 0 {
		earlier = m.minute[0]
	}
	c := m.latency.Counts().Since(earlier)
	return LatencyStatus{P50: millis(c.Quantile(0.5)), P99: millis(c.Quantile(0.99))}, m.rate
}

func millis(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// applications is the number of events applied and of profiles held on all shards; for shards that are not here, as the nodes that have them said last.
func (n *Node) applications() (events uint64, profiles int) {
	heard := n.heard.all()
	for i, m := range n.members {
		l := m.reach()
		if !l.answers {
			for _, p := range heard {
				if p.shards[i].applied > l.applied {
					l = p.shards[i]
				}
			}
		}
		events += l.events
		profiles += int(l.profiles)
	}
	return events, profiles
}
