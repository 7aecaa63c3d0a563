package node

import (
	"context"
	"encoding/binary"
	"fmt"
	"slices"
	"sync"
	"time"

	"dashi/pipeline/say"
	"dashi/ring/gossip"
)

// The entries of every node move the time of every shard, which never goes back: a node whose clock is an hour ahead would end the windows of the last
// hour for everybody, until the time of day has come there. So nodes tell each other their time, and a node whose clock is far off those of most others
// goes by theirs. Two nodes cannot know which of them is right; their status says how far they are apart.

// clockOff is how far a clock may be off the others' without consequences: clocks that are kept in step differ by less.
const clockOff = 10 * time.Second

// anchor is an instant whose time of day is known. What has passed since is measured by the monotonic clock, so setting the clock makes no difference.
type anchor struct {
	at     time.Time
	millis int64
}

// now is the proposer's clock: the only place where the time of day enters a shard.
func (n *Node) now() int64 {
	if a := n.clock.anchor.Load(); a != nil {
		return a.millis + time.Since(a.at).Milliseconds()
	}
	return n.clock.wall().UnixMilli()
}

func (n *Node) appendTime(dst []byte) []byte {
	return binary.LittleEndian.AppendUint64(dst, uint64(n.clock.wall().UnixMilli()))
}

// noteTime reads what appendTime wrote on another node, which was asked for it at the instant asked.
func (n *Node) noteTime(member string, src []byte, asked time.Time) {
	if len(src) != 8 {
		return
	}
	now := n.clock.wall()
	given := now.Add(-now.Sub(asked) / 2).Round(0) // as the clock here went half way
	off := time.UnixMilli(int64(binary.LittleEndian.Uint64(src))).Sub(given)
	n.heard.mu.Lock()
	n.heard.off[member] = off
	n.heard.mu.Unlock()
}

// clockPatience is how long a node that starts waits for the others that are alive, by the gossip, to say what time it is there.
const clockPatience = 10 * time.Second

// hearClocks asks the other nodes what time it is there, before any entry is stamped here.
func (n *Node) hearClocks(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, clockPatience)
	defer cancel()
	var wait sync.WaitGroup
	for _, m := range n.directory.State().Members {
		if m.ID == n.identity.Node {
			continue
		}
		wait.Go(func() {
			member := groupMember(m.ID, m.Incarnation)
			for ctx.Err() == nil {
				if g, ok := n.gossiped(m.ID); !ok || g.State != gossip.Alive {
					return
				}
				asked := n.clock.wall()
				if answer, err := n.transport.Call(ctx, member, callTime, nil); err == nil {
					n.noteTime(member, answer, asked)
					return
				}
				pause(ctx, switchPause)
			}
		})
	}
	wait.Wait()
	n.keepClock()
}

// keepClock compares the clock of this node with those of the others, as they were last heard.
func (n *Node) keepClock() {
	off := []time.Duration{0}
	n.heard.mu.Lock()
	for _, member := range n.others() { // including silent ones: what they said last is better than nothing
		if d, told := n.heard.off[member]; told {
			off = append(off, d)
		}
	}
	n.heard.mu.Unlock()
	if len(off) < 3 {
		n.clock.anchor.Store(nil)
		n.clock.corrected.Store(0)
		return
	}
	by := correction(off)
	n.clock.anchor.Store(&anchor{time.Now(), n.clock.wall().Add(by).UnixMilli()})
	if was := time.Duration(n.clock.corrected.Swap(int64(by))); by != was && (by == 0 || was == 0) {
		if by != 0 {
			n.log.Error("the clock of this node is not that of most others, whose time it goes by: set it", "ahead", -by.Round(time.Millisecond))
		} else {
			n.log.Info("the clock of this node is that of most others again")
		}
	}
}

// correction is what to add to a clock. off is how far each clock is ahead of it, and has a 0 for the clock itself. The result is their median (of two
// middle ones the one nearer to 0), or 0 if that is within clockOff.
func correction(off []time.Duration) time.Duration {
	off = slices.Sorted(slices.Values(off))
	low, high := off[(len(off)-1)/2], off[len(off)/2]
	median := low
	if high.Abs() < low.Abs() {
		median = high
	}
	if median.Abs() <= clockOff {
		return 0
	}
	return median
}

// skewOf is what the status says of the clock of a member, this node or another; nothing if it is right.
func (n *Node) skewOf(id, member string) string {
	by, most := time.Duration(n.clock.corrected.Load()), n.clock.anchor.Load() != nil
	if id == n.identity.Node {
		if by == 0 {
			return ""
		}
		return fmt.Sprintf("the clock of this node is %s those of most others, whose time it goes by: set it", aheadOf(-by))
	}
	n.heard.mu.Lock()
	off := n.heard.off[member]
	n.heard.mu.Unlock()
	switch {
	case (off - by).Abs() <= clockOff:
		return ""
	case most:
		return fmt.Sprintf("node %s: its clock is %s those of most others", id, aheadOf(off-by))
	}
	return fmt.Sprintf("node %s: its clock is %s that of this node; the time of the shards follows the later one", id, aheadOf(off))
}

func aheadOf(d time.Duration) string {
	if d < 0 {
		return say.Span(-d.Round(time.Second)) + " behind"
	}
	return say.Span(d.Round(time.Second)) + " ahead of"
}
