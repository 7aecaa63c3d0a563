package node

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"dashi/node/cookbook"
	"dashi/pipeline/kafka"
	"dashi/ring/meta"
	"dashi/shard"
)

// How a cookbook comes into force. Somebody commits it in the directory as the next version; from then on it happens by itself, and whoever leads the
// directory finishes it, however many nodes end on the way. shard/hold.go says what the shards do and why. Of the nodes
//
//   - the leader of the directory asks all shards how far they are, and does what shard.Switch says is next (switchStep);
//   - every node stops the streams that it reads at the limits that its replicas of the shards know (intake.steer), and reads on under the new
//     cookbook once one of them has it: everything before the limits has been applied by then.

// transition is what a node knows of a cookbook that is coming into force.
type transition struct {
	turned chan struct{}          // has one token when a shard here has been held, given limits or switched
	way    shard.Switch           // while this node leads the directory: how far the switch is
	limits versionLimits          // and the limits that it gave out for it
	lag    atomic.Pointer[string] // why the switch waits, as the leader of the directory knows; nil: it does not
}

// switchPause is between two looks at how far the shards are.
const switchPause = 10 * time.Millisecond

// switchAsk bounds how long the shards are waited for in one look: a shard without a leader has one again by the next.
const switchAsk = 5 * time.Second

// tendCookbook puts cookbooks in force while this node leads the directory.
func (n *Node) tendCookbook(ctx context.Context) {
	tick := time.NewTicker(governInterval)
	defer tick.Stop()
	for {
		changed := n.directory.Changed()
		for ctx.Err() == nil {
			_, leads := n.directory.group.Leader()
			if s := n.directory.State(); !leads || s.Cookbook() == nil || s.Cookbook().Version == s.Switched {
				break
			}
			n.noteSwitch(n.switchStep(ctx))
			pause(ctx, switchPause)
		}
		n.transition.lag.Store(nil)
		select {
		case <-ctx.Done():
			return
		case <-changed:
		case <-tick.C:
		}
	}
}

// noteSwitch keeps what a switch waits for, for the status, and logs it once.
func (n *Node) noteSwitch(err error) {
	if err == nil || n.running.Err() != nil {
		n.transition.lag.Store(nil)
		return
	}
	text := "a cookbook does not come into force: " + err.Error()
	if was := n.transition.lag.Swap(&text); was == nil || *was != text {
		n.log.Warn("the switch of the cookbook waits", "error", err)
	}
}

// pause waits for d, or until ctx is done.
func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// switchStep looks how far the shards are with the cookbook that is on its way, and does what is next.
func (n *Node) switchStep(ctx context.Context) error {
	s := n.directory.State()
	c := s.Cookbook()
	if n.transition.way.Version != c.Version {
		n.transition.way = shard.Switch{Version: c.Version}
	}
	limits := n.transition.limits.of(c.Version)
	reports, err := n.holdAll(ctx, c.Version, limits)
	if err != nil {
		return err
	}
	switch step, limits := n.transition.way.Next(reports, n.live(ctx)); step {
	case shard.ToHold:
		n.transition.limits = versionLimits{c.Version, limits}
	case shard.ToTry:
		refused, err := n.switchAll(ctx, c, true)
		if err != nil {
			return err
		}
		if refused != "" {
			return n.withdraw(ctx, c, refused)
		}
		fallthrough
	case shard.ToSwitch:
		refused, err := n.switchAll(ctx, c, false)
		if refused != "" {
			err = errors.New(refused)
		}
		return err
	case shard.Switched:
		n.log.Info("the cookbook is in force", "version", c.Version)
		return n.change(ctx, func(s *meta.State) (meta.Command, error) {
			if s.Switched == c.Version || s.Cookbook().Version != c.Version {
				return nil, errNoCommand
			}
			return &meta.CookbookSwitched{Version: c.Version}, nil
		})
	case shard.Overtaken: // the directory has lost the end of its log in a power cut, the shards have not
		return n.change(ctx, func(s *meta.State) (meta.Command, error) {
			if s.Cookbook().Version != c.Version {
				return nil, errNoCommand
			}
			return &meta.PutCookbook{Sources: c.Sources, Above: n.transition.way.Known}, nil
		})
	}
	return nil
}

// versionLimits are the limits that shards were given for a version of the cookbook.
type versionLimits struct {
	version uint64
	limits  []shard.Limit
}

func (l *versionLimits) of(version uint64) []shard.Limit {
	if l.version != version {
		return nil
	}
	return l.limits
}

// withdraw commits the cookbook that was in force before again, in place of one that a shard refuses.
func (n *Node) withdraw(ctx context.Context, c *meta.Cookbook, why string) error {
	n.log.Error("the cookbook is given up", "version", c.Version, "why", why)
	return n.change(ctx, func(s *meta.State) (meta.Command, error) {
		before := s.InForce()
		if s.Cookbook().Version != c.Version || before == nil {
			return nil, errNoCommand
		}
		return &meta.PutCookbook{Sources: before.Sources, Refused: why[:min(len(why), meta.MaxText)]}, nil
	})
}

// each has every shard apply an entry, calls fn with the results, and returns when all have answered; the error is the first shard's.
func (n *Node) each(ctx context.Context, entry func() []byte, fn func(shard int, r *shard.Result) error) error {
	ctx, cancel := context.WithTimeout(ctx, switchAsk)
	defer cancel()
	errs := make([]error, len(n.shards))
	var wait sync.WaitGroup
	for i, h := range n.shards {
		wait.Go(func() {
			r, err := h.command(ctx, entry())
			if err == nil {
				err = fn(i, r)
			}
			if err != nil {
				errs[i] = fmt.Errorf("shard %d: %w", i, err)
			}
		})
	}
	wait.Wait()
	for _, err := range errs { // one is enough to read
		if err != nil {
			return err
		}
	}
	return nil
}

// holdAll holds every shard, and returns what they say of themselves.
func (n *Node) holdAll(ctx context.Context, version uint64, limits []shard.Limit) ([]*shard.Report, error) {
	reports := make([]*shard.Report, len(n.shards))
	err := n.each(ctx, func() []byte { return shard.AppendHold(nil, n.now(), version, limits) }, func(i int, r *shard.Result) error {
		if reports[i] = r.Report; r.Report == nil {
			return fmt.Errorf("it cannot be held: %s %s", r.Outcome, r.Detail)
		}
		return nil
	})
	return reports, err
}

// switchAll switches every shard, or, to try, asks whether it would. refused is why one does not; empty if all do.
func (n *Node) switchAll(ctx context.Context, c *meta.Cookbook, try bool) (refused string, err error) {
	sources := cookbook.Sources(c)
	var mu sync.Mutex
	err = n.each(ctx, func() []byte { return shard.AppendSwitch(nil, n.now(), c.Version, try, sources) }, func(i int, r *shard.Result) error {
		switch r.Outcome {
		case shard.Accepted:
			return nil
		case shard.Refused:
			mu.Lock()
			refused = r.Detail
			mu.Unlock()
			return nil
		}
		return fmt.Errorf("it does not switch: %s %s", r.Outcome, r.Detail)
	})
	return refused, err
}

// live says whether Kafka can still send something of a stream. As long as Kafka has not said which it has, it can of all.
func (n *Node) live(ctx context.Context) func(shard.Stream) bool {
	var asked bool
	var ends map[kafka.Stream]int64
	return func(s shard.Stream) bool {
		if !asked && n.kafka.source != nil {
			asked = true
			ctx, cancel := context.WithTimeout(ctx, switchAsk)
			defer cancel()
			ends, _ = n.kafka.source.EndOffsets(ctx)
		}
		if ends == nil {
			return true
		}
		for e := range ends {
			if e.Topic == s.Topic && uint32(e.Partition) == s.Partition {
				return true
			}
		}
		return false
	}
}

// followCookbook has this node use the cookbook that its shards have.
func (n *Node) followCookbook(ctx context.Context) {
	for {
		changed := n.directory.Changed()
		n.compile(cookbook.Sources(n.directory.State().Cookbook())) // now, so that no shard has to under its lock
		n.takeNewest()
		n.intake.steer()
		select {
		case <-ctx.Done():
			return
		case <-changed:
		case <-n.transition.turned:
		}
	}
}

// takeNewest has this node use, for reading events and for names, the newest cookbook that a shard here has or that is in force by the directory.
func (n *Node) takeNewest() {
	last, version := n.cookbook.Load(), uint64(0)
	if last != nil {
		version = last.Version
	}
	if c := n.directory.State().InForce(); c != nil && c.Version > version {
		if p, _ := n.compile(cookbook.Sources(c)); p != nil {
			last, version = cookbook.New(p, c.Version), c.Version
			n.cookbook.Store(last)
		}
	}
	for _, h := range n.shards {
		h.mu.RLock()
		p, v := h.shard.Program(), h.shard.Version()
		h.mu.RUnlock()
		if p != nil && v > version {
			last, version = cookbook.New(p, v), v
			n.cookbook.Store(last)
		}
	}
}

// limit is the last offset of a stream that the replicas here take for now; MaxInt64 when no shard is held.
func (n *Node) limit(s shard.Stream) int64 {
	limit := int64(math.MaxInt64)
	for _, h := range n.shards {
		if h.held.Load() {
			h.mu.RLock()
			limit = min(limit, h.shard.Limit(s))
			h.mu.RUnlock()
		}
	}
	return limit
}

// switching says whether a cookbook is on its way.
func (n *Node) switching() bool {
	s := n.directory.State()
	return s.Cookbook() != nil && s.Cookbook().Version != s.Switched
}
