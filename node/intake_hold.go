package node

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// noLeader says why a shard takes no batch.
func (n *Node) noLeader(h *shardHost) string {
	if n.switching() {
		return "a cookbook is coming into force"
	}
	return fmt.Sprintf("shard %d has no leader that takes events", h.id)
}

// heldBack is why the intake is held back, for the status: unlike holdBack it does not flicker between two attempts.
func (n *Node) heldBack(now time.Time) string {
	if why := n.intake.counts.holding.Load(); why != nil {
		return *why
	}
	for _, h := range n.shards {
		if h.awaited(now) {
			return n.noLeader(h)
		}
	}
	return ""
}

// holdBack says why no events may come in at the moment; empty when they may.
func (n *Node) holdBack() string {
	if err := n.host.Err(); err != nil { // the log has failed for good: look-ups go on, and somebody has to look at the disk
		return "the log takes nothing more: " + err.Error()
	}
	var bytes int64
	now := time.Now()
	for _, h := range n.shards {
		if h.leaderless(now) {
			return n.noLeader(h)
		}
		bytes += h.load.profiles.Load()
		if held := h.load.peers.Load(); held > n.settings.Limits.OutboxBytes/2 {
			return fmt.Sprintf("shard %d holds %d KiB of messages that other shards have not taken", h.id, held>>10)
		}
		if held := h.load.outbox.Load(); held > n.settings.Limits.OutboxBytes/2 {
			return fmt.Sprintf("the outbox of shard %d holds %d KiB of activations that Kafka has not taken", h.id, held>>10)
		}
	}
	if bytes > n.settings.Limits.MemoryBytes {
		return fmt.Sprintf("profiles take %d MiB, the limit (limits.memory_bytes) is %d MiB", bytes>>20, n.settings.Limits.MemoryBytes>>20)
	}
	return ""
}

// throttleInterval is how often an intake that is held back looks again.
const throttleInterval = 5 * time.Millisecond

// holdInterval is how often an intake that is not held back looks: a look asks every shard, which would cost a small batch more than decoding it.
const holdInterval = time.Millisecond

// hold waits while a limit says that no more events may come in. It is false when the node closes.
func (k *intake) hold(ctx context.Context) bool {
	start := time.Now()
	if start.UnixNano()-k.free.Load() < int64(holdInterval) {
		return ctx.Err() == nil
	}
	k.free.Store(start.UnixNano())
	why := k.n.holdBack()
	if why == "" {
		return ctx.Err() == nil
	}
	k.free.Store(0)
	tick := time.NewTicker(throttleInterval)
	defer tick.Stop()
	defer func() {
		k.counts.held.Add(int64(time.Since(start)))
		k.counts.holding.Store(nil)
		k.stretches.end(time.Now())
	}()
	for why != "" {
		reason := why
		k.counts.holding.Store(&reason)
		k.stretches.begin(time.Now(), reason)
		select {
		case <-ctx.Done():
			return false
		case <-tick.C:
			why = k.n.holdBack()
		}
	}
	return true
}

const (
	// holdLogAfter is how long the intake is held back before the log says so: under load a full outbox holds it back for some
	// milliseconds now and then, which is how pushing back works.
	holdLogAfter = time.Second
	// holdWindow is the time of which the intake must be held back for more than half, in stretches however short, before the log says so; and for less
	// than half before the log says that it is over.
	holdWindow = 10 * time.Second
)

// stretches keeps account of the stretches of time for which the intake was held back, so that the log tells of many short ones too.
type stretches struct {
	mu     sync.Mutex
	window time.Time     // when the present window began
	since  time.Time     // when the present stretch began; zero: it is not held back
	why    string        // why it is held back, or was last
	held   time.Duration // within the window, by stretches that are over
	total  time.Duration // held back, in all, since shortly before the log was told
	told   bool          // the log has been told
}

// heldLine is what the log is to be told.
type heldLine struct {
	over bool
	why  string
	held time.Duration // if over: in all; else within the last of
	of   time.Duration
}

// begin notes that the intake is held back at now. It may be called again within a stretch.
func (s *stretches) begin(now time.Time, why string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.why = why; s.since.IsZero() {
		s.since = now
	}
}

// end notes that it is no longer held back.
func (s *stretches) end(now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.count(now)
	s.since = time.Time{}
}

// count adds what has passed of the present stretch. mu is held.
func (s *stretches) count(now time.Time) {
	if s.since.IsZero() {
		return
	}
	s.held += now.Sub(later(s.since, s.window))
	if s.told {
		s.total += now.Sub(later(s.since, s.window))
	}
}

// look says what the log is to be told at now, if anything: that the intake is held back, once it was for a second on end or for most of a window, and
// that it is over, once it was for less than half of one.
func (s *stretches) look(now time.Time) *heldLine {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.window.IsZero() {
		s.window = now
	}
	if d := now.Sub(s.since); !s.told && !s.since.IsZero() && d > holdLogAfter {
		s.told, s.total = true, now.Sub(s.since)-now.Sub(later(s.since, s.window))
		return &heldLine{why: s.why, held: d, of: d}
	}
	of := now.Sub(s.window)
	if of < holdWindow {
		return nil
	}
	s.count(now)
	held, most := s.held, 2*s.held > of
	s.window, s.held = now, 0
	switch {
	case most && !s.told:
		s.told, s.total = true, held
		return &heldLine{why: s.why, held: held, of: of}
	case !most && s.told && s.since.IsZero():
		s.told = false
		return &heldLine{over: true, held: s.total}
	}
	return nil
}

func later(a, b time.Time) time.Time {
	if a.Before(b) {
		return b
	}
	return a
}

// tellHeld logs what look says.
func (k *intake) tellHeld(now time.Time) {
	line := k.stretches.look(now)
	switch {
	case line == nil:
	case line.over:
		k.log.Info("intake goes on", "held", line.held.Round(time.Millisecond))
	default:
		k.log.Warn("intake held back", "why", line.why, "held", line.held.Round(time.Millisecond), "of", line.of.Round(time.Millisecond))
	}
}
