package node

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"dashi/ring/meta"
	"dashi/shard"
	"dashi/shard/group"
)

// What a node does, before it opens its shards, if its log may have lost its end because the machine has restarted without the node being closed. The
// directory's own log is always synced, so that has lost nothing, and every such node says in it that it suspects its log. If each shard here is led by
// another node, the others have all that was acknowledged: this node comes back as a new incarnation, and is brought everything (renounce). If a shard has
// lost its majority, all shards go back to a cut (shard/cut.go), from the longest logs that are left: meta.Recovery says in which steps. What Kafka still
// has is read again from the marks.

// ErrReopen says that the node has to be opened anew: Wait returns it, and Open then begins again by itself. Errors that say why wrap it.
var ErrReopen = errors.New("the node has to be opened again")

// recovery is what a node knows of power losses.
type recovery struct {
	generation uint64      // of the shards here
	stopped    atomic.Bool // none of them is open yet
	traces     traces      // for whoever looks for the cut
}

// errGoesBack: the shards of the cluster go back to a cut, so whatever the node knows of them is void.
var errGoesBack = fmt.Errorf("the shards go back to a state before a power loss: %w", ErrReopen)

// recoverPause is the time between two attempts of the directory's leader to find the cut.
const recoverPause = 200 * time.Millisecond

// groupOf is the number of a shard's group. Every generation has its own, so a replica of an earlier generation that comes back finds nobody to vote with.
func groupOf(shard int, generation uint64) uint32 {
	return uint32(shard) + uint32(generation)*meta.MaxShards
}

// recoverShards returns when the shards may be opened.
func (n *Node) recoverShards(ctx context.Context) error {
	n.recovery.stopped.Store(true)
	defer n.recovery.stopped.Store(false)
	defer n.note("")
	tick := time.NewTicker(governInterval)
	defer tick.Stop()
	for {
		changed := n.directory.Changed()
		done, err := n.recoverStep(ctx, n.directory.State())
		if done || err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("not open: %s: %w", *n.doors.noted.Load(), ctx.Err())
		case <-changed:
		case <-tick.C:
		}
	}
}

// recoverStep does what is to be done next, and says whether nothing is left to do.
func (n *Node) recoverStep(ctx context.Context, s *meta.State) (done bool, err error) {
	_, leads := n.directory.group.Leader()
	self := n.self()
	n.recovery.generation = s.Generation
	switch {
	case s.Recovering() && len(s.Recovery.Cuts) > 0:
		n.note("recovering from power loss: the shards begin anew with what was left")
		return false, n.seed(ctx, s)
	case s.Recovering():
		if text := *n.doors.noted.Load(); !leads || text == "" {
			n.note("recovering from power loss: looking for what is left of the shards")
		}
		if leads {
			err := n.reform(ctx, s)
			if err != nil && ctx.Err() == nil {
				if text := "recovering from power loss: " + err.Error(); text != *n.doors.noted.Load() {
					n.note(text)
					n.log.Warn("the shards cannot go back yet", "why", err)
				}
				pause(ctx, recoverPause)
			}
		}
		return false, nil
	case !n.suspects(s):
		return true, n.dropOld()
	case !slices.Contains(s.Suspects, self):
		n.note("the log may have lost its end: waiting for the directory")
		return false, n.try(ctx, func(s *meta.State) (meta.Command, error) {
			if slices.Contains(s.Suspects, self) || !s.Present(self) {
				return nil, errNoCommand
			}
			return &meta.Suspect{Member: self}, nil
		})
	case len(s.Lost()) > 0:
		if leads {
			return false, n.try(ctx, beginRecovery)
		}
		return false, nil
	}
	n.poll(ctx)
	waits := n.unled(s)
	if waits == "" {
		return false, fmt.Errorf("%s: %w", n.suspicion(), group.ErrDirty)
	}
	n.note("the log may have lost its end: waiting for " + waits)
	return false, nil
}

// try is change, but a change that cannot be committed within moveTimeout is left for later, without an error.
func (n *Node) try(ctx context.Context, next func(*meta.State) (meta.Command, error)) error {
	limited, cancel := context.WithTimeout(ctx, moveTimeout)
	defer cancel()
	if err := n.change(limited, next); err != nil && limited.Err() == nil {
		return err
	}
	return nil
}

// beginRecovery is the command that begins a recovery, if one is needed.
func beginRecovery(s *meta.State) (meta.Command, error) {
	if s.Recovering() || len(s.Lost()) == 0 {
		return nil, errNoCommand
	}
	return &meta.Recover{}, nil
}

// suspects says whether a replica that this node should have may have lost what it acknowledged.
func (n *Node) suspects(s *meta.State) bool {
	for i := range s.Shards {
		if s.Holds(n.self(), i) && n.host.Dirty(groupOf(i, s.Generation)) {
			return true
		}
	}
	return false
}

func (n *Node) suspicion() string {
	_, why := n.host.Cleanness()
	return why
}

// unled says in words which shards of this node no other node leads; empty if each has a leader elsewhere.
func (n *Node) unled(s *meta.State) string {
	var waits []string
	heard := n.heard.all()
	for i := range s.Shards {
		if !s.Holds(n.self(), i) {
			continue
		}
		led := false
		for _, p := range heard {
			led = led || p.shards[i].leads && time.Since(p.at) < peerSilence
		}
		if !led {
			waits = append(waits, fmt.Sprint(i))
		}
	}
	if len(waits) == 0 {
		return ""
	}
	return "a leader of shard " + strings.Join(waits, ", ")
}

// reform finds the cut, and commits it. The leader of the directory does it.
func (n *Node) reform(ctx context.Context, s *meta.State) error {
	surveys, err := n.surveyAll(ctx, s)
	if err != nil {
		return err
	}
	term := uint64(0)
	for _, of := range surveys {
		for _, x := range of {
			term = max(term, x.Term, x.LastTerm)
		}
	}
	sources, cut, err := n.findCut(ctx, s, surveys)
	if err != nil {
		return err
	}
	c := &meta.Reform{Switched: ^uint64(0)}
	for i := range cut {
		at, source := &cut[i], &sources[i]
		c.Switched = min(c.Switched, at.Version)
		gone := source.LastIndex - min(at.Index, source.LastIndex)
		c.Cuts = append(c.Cuts, meta.Cut{Source: source.by, Term: term + 1, Index: at.Index, Gone: gone, Made: at.Made, Now: at.Now})
	}
	return n.change(ctx, func(now *meta.State) (meta.Command, error) {
		if !now.Recovering() || len(now.Recovery.Cuts) > 0 {
			return nil, errNoCommand
		}
		return c, nil
	})
}

// findCut finds the cut in the longest log of each shard, or in the next longest of one whose longest does not begin early enough. sources says by shard
// whose log that is. surveys has at least one of each shard.
func (n *Node) findCut(ctx context.Context, s *meta.State, surveys [][]replicaSurvey) (sources []replicaSurvey, cut []shard.Standing, err error) {
	left := make([][]replicaSurvey, len(surveys))
	sources = make([]replicaSurvey, len(surveys))
	for i := range surveys {
		left[i] = slices.Clone(surveys[i])
		sources[i] = longest(left[i])
	}
	for {
		short := -1
		cut, err = shard.Cut(len(sources), func(i int, b *shard.Bounds) (at shard.Standing, err error) {
			at, err = n.askWithin(ctx, s, sources[i].by, i, b)
			if errors.Is(err, errTooShort) {
				short = i
			}
			return at, err
		})
		if err == nil || short < 0 {
			return sources, cut, err
		}
		left[short] = slices.DeleteFunc(left[short], func(x replicaSurvey) bool { return x.by == sources[short].by })
		if len(left[short]) == 0 {
			return nil, nil, fmt.Errorf("no replica of shard %d can go back to a state that the other shards agree with: see shard/DESIGN.md, power loss", short)
		}
		sources[short] = longest(left[short])
	}
}

// longest is the replica with the longest log, the first of several.
func longest(of []replicaSurvey) replicaSurvey {
	best := of[0]
	for _, x := range of[1:] {
		if x.Longer(best.Survey) {
			best = x
		}
	}
	return best
}

// seed begins the groups of the new generation whose source this node is, and commits that they are formed.
func (n *Node) seed(ctx context.Context, s *meta.State) error {
	var formed []uint32
	for i := range s.Shards {
		cut := &s.Recovery.Cuts[i]
		if cut.Source != n.self() || s.Shards[i].Formed {
			continue
		}
		if err := n.seedShard(i, s.Generation, cut); err != nil {
			return err
		}
		formed = append(formed, uint32(i))
	}
	if len(formed) == 0 {
		return nil
	}
	return n.try(ctx, func(now *meta.State) (meta.Command, error) {
		if now.Generation != s.Generation || !now.Recovering() || now.Shards[formed[0]].Formed {
			return nil, errNoCommand
		}
		return &meta.Formed{Shards: formed}, nil
	})
}

// seedShard makes the state of shard i at its cut, from the log of the generation before, and begins the group of the new generation with it.
func (n *Node) seedShard(i int, generation uint64, cut *meta.Cut) error {
	h := n.detached(i)
	defer func() { h.shard.Close() }()
	if err := n.host.Replay(groupOf(i, generation-1), h, cut.Index, func(uint64) {}); err != nil {
		return err
	}
	h.shard.Recover(generation)
	state, err := h.Snapshot()
	if err != nil {
		return err
	}
	return n.host.Seed(groupOf(i, generation), cut.Term, max(cut.Index, 1), state)
}

// detached is a host that is not one of n.shards, for looking at what a replica was.
func (n *Node) detached(i int) *shardHost {
	return newShardHost(uint32(i), n.shards[i].settings, n.turns, make(chan struct{}, 1), make(chan struct{}, 1))
}

// dropOld deletes what is left of earlier generations: nobody will go back to them.
func (n *Node) dropOld() error {
	for _, id := range n.host.Groups() {
		if id < directoryGroup && uint64(id/meta.MaxShards) < n.recovery.generation {
			if err := n.host.Drop(id); err != nil {
				return err
			}
		}
	}
	return nil
}

// outdated says whether the shards have gone back, or are about to, since this node opened its own.
func (n *Node) outdated() bool {
	s := n.directory.State()
	return s.Recovering() || s.Generation != n.recovery.generation
}
