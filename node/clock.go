package node

import (
	"context"
	"fmt"
	"math"
	"sync/atomic"
	"time"

	"dashi/node/httpapi"
	"dashi/shard"
)

// clock is what time it is for the shards: see also clock_skew.go.
type clock struct {
	wall      func() time.Time
	anchor    atomic.Pointer[anchor] // of the time of day by the clocks of most nodes; nil: fewer than three are known
	corrected atomic.Int64           // what that adds to the clock of this node, a time.Duration
	sooner    chan struct{}          // see shardHost
	turn      atomic.Int64           // of keepTime: the shard that is looked at first
}

// longestSleep bounds how long keepTime sleeps: the time of day may be set while it does.
const longestSleep = time.Second

// rest is how long a shard rests between two ticks while more is due than one works off, after one that took so long. So the timers of a million people leave a
// third of the processor to look-ups: p99 5 in place of 9 ms, while it takes 0.9 s in place of 0.6 until all are worked off.
func rest(took time.Duration) time.Duration { return min(took*3/2, 2*time.Millisecond) }

// keepTime proposes an entry to a shard when one of its timers is due and no other entry has come by then: a shard that nothing
// is due in logs nothing.
func (n *Node) keepTime(ctx context.Context) {
	sleep := time.NewTimer(0)
	defer sleep.Stop()
	for {
		now := n.now()
		first := n.keepTimeOnce(now)
		sleep.Reset(time.Duration(max(first-now, 1)) * time.Millisecond)
		select {
		case <-ctx.Done():
			return
		case <-sleep.C:
		case <-n.clock.sooner:
		}
	}
}

// keepTimeOnce proposes what is due at now, and says when to look again. When many timers are due all shards want entry after entry: then no more are
// under way than twice as many as may be applied at once (Options.Appliers), and the shards take turns, so that a look-up does not queue behind all.
func (n *Node) keepTimeOnce(now int64) (next int64) {
	next = now + longestSleep.Milliseconds()
	room := 2 * cap(n.turns.room)
	for _, h := range n.shards {
		if h.ticking.Load() {
			room--
		}
	}
	first := int(n.clock.turn.Load())
	for i := range n.shards {
		k := (first + i) % len(n.shards)
		h := n.shards[k]
		if h.ticking.Load() || !h.leads() {
			continue // the end of its tick makes keepTime look again, or another node leads it
		}
		if due := h.due.Load(); due > now {
			next = min(next, due)
		} else if room > 0 {
			room--
			n.clock.turn.Store(int64(k + 1))
			h.tick(now)
		} // else the end of another shard's tick makes keepTime look again
	}
	return next
}

// tick proposes an entry that does nothing but move the clock.
func (h *shardHost) tick(now int64) {
	g := h.group.Load()
	if g == nil {
		return
	}
	h.ticking.Store(true)
	began := time.Now()
	err := g.Propose(shard.AppendTick(nil, now), func(uint64, any, error) {
		if h.due.Load() > now {
			h.ticked()
			return
		}
		time.AfterFunc(rest(time.Since(began)), h.ticked)
	})
	if err != nil { // the node closes, or the log has failed, which holdBack reports
		h.ticking.Store(false)
	}
}

// ticked lets the shard have its next tick.
func (h *shardHost) ticked() {
	h.ticking.Store(false)
	h.call()
}

// setDue notes when the shard needs an entry.
func (h *shardHost) setDue(due int64) {
	if was := h.due.Swap(due); due < was {
		h.call()
	}
}

// call makes keepTime look again.
func (h *shardHost) call() {
	select {
	case h.sooner <- struct{}{}:
	default:
	}
}

// openClock makes the shards follow event times, if the settings say so. The other way round it does nothing: `dashi replay
// --clock event` sets the clock of a node whose settings do not.
func (n *Node) openClock() error {
	if n.settings.Clock != "event" {
		return nil
	}
	_, err := n.SetClock(true, math.MinInt64)
	if err != nil {
		return fmt.Errorf("cannot follow event times (clock: event): %w", err)
	}
	return nil
}

// SetClock makes all shards follow event times, or the time of day, and brings them to the same instant, which it returns: the latest that any of them
// has come to, or to if that is later. It is httpapi.ErrClockFixed if the clock would have to change and there are profiles.
func (n *Node) SetClock(byEvents bool, to int64) (now int64, err error) {
	all, err := n.reports(n.running, readLeader, false)
	if err != nil {
		return 0, err
	}
	for _, r := range all {
		if same := r.Shard.ByEvents == byEvents; same {
			to = max(to, r.Shard.Now)
		} else if r.Shard.Profiles+r.Shard.Accounts > 0 {
			return 0, httpapi.ErrClockFixed
		}
	}
	for _, h := range n.shards {
		r, err := h.patient(n.running, func() []byte { return shard.AppendClock(nil, n.now(), byEvents, to) })
		if err != nil {
			return 0, err
		}
		if r.Outcome != shard.Accepted {
			return 0, httpapi.ErrClockFixed
		}
	}
	return to, n.findLevels(n.running)
}
