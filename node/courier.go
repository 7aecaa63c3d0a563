package node

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"dashi/shard"
	"dashi/shard/group"
)

// peers is how messages reach the other shards.
type peers interface {
	// deliver hands an entry of messages to a shard and returns its answer once it has been applied, or an error when the shard
	// cannot be reached: then it may have been applied all the same, which the rule of marks makes harmless. It owns the entry.
	deliver(ctx context.Context, to int, entry []byte) (*shard.Result, error)
}

// leaders delivers to the leaders of shards, on this node or another.
type leaders struct{ n *Node }

func (p leaders) deliver(_ context.Context, to int, entry []byte) (*shard.Result, error) {
	return p.n.shards[to].ask(entry)
}

// Limits of one delivery: a shard's lock is held for no longer than for a batch of events.
const (
	courierBytes = 64 << 10
	courierRetry = 100 * time.Millisecond
)

// errSwitching says that another shard has another cookbook than the messages were written under, which passes in a moment.
var errSwitching = errors.New("a cookbook is being switched")

// courier brings the messages of one shard to the others while this replica leads it, each once and in order, and tells the shard what has arrived. All of
// it runs on one goroutine: run.
type courier struct {
	n       *Node
	h       *shardHost
	peers   peers
	trouble atomic.Pointer[string]
	parcels []parcel
	acks    []shard.PeerAck
}

// parcel is a delivery to one shard.
type parcel struct {
	to    int
	entry []byte
	r     *shard.Result
	err   error
}

// run delivers until ctx is done.
func (c *courier) run(ctx context.Context) {
	for ctx.Err() == nil {
		if !c.h.leads() {
			c.trouble.Store(nil)
			select {
			case <-ctx.Done():
			case <-c.h.delivers:
			}
			continue
		}
		more, err := c.round(ctx)
		switch {
		case errors.Is(err, group.ErrNotLeader) || errors.Is(err, group.ErrUnknown): // this shard, or the other, is about to have another leader
			pause(ctx, governInterval)
		case errors.Is(err, errSwitching):
			pause(ctx, switchPause)
		case err != nil:
			text := fmt.Sprintf("messages of shard %d wait: %v", c.h.id, err)
			if c.trouble.Swap(&text) == nil && ctx.Err() == nil {
				c.n.log.Error("messages between shards wait", "shard", c.h.id, "error", err)
			}
			select {
			case <-ctx.Done():
			case <-time.After(courierRetry):
			}
		case !more:
			c.trouble.Store(nil)
			select {
			case <-ctx.Done():
			case <-c.h.talks:
			}
		}
	}
}

// round delivers what waits, to all shards at once, and acknowledges what has arrived. more says that there was anything.
func (c *courier) round(ctx context.Context) (more bool, err error) {
	c.collect()
	if len(c.parcels) == 0 {
		return false, nil
	}
	var wait sync.WaitGroup
	for i := 1; i < len(c.parcels); i++ {
		p := &c.parcels[i]
		wait.Go(func() { p.r, p.err = c.peers.deliver(ctx, p.to, p.entry) })
	}
	first := &c.parcels[0]
	first.r, first.err = c.peers.deliver(ctx, first.to, first.entry)
	wait.Wait()
	c.acks = c.acks[:0]
	for i := range c.parcels {
		p := &c.parcels[i]
		switch {
		case p.err != nil:
			err = fmt.Errorf("cannot deliver to shard %d: %w", p.to, p.err)
		case p.r.Outcome == shard.Accepted:
			c.acks = append(c.acks, shard.PeerAck{Peer: p.to, Position: uint64(p.r.Mark)})
		case p.r.Outcome == shard.Stale || p.r.Outcome == shard.Held: // one of the two has another cookbook already, or waits to go on after a recovery
			err = errSwitching
		default:
			err = fmt.Errorf("shard %d does not take them: %s %s", p.to, p.r.Outcome, p.r.Detail)
		}
	}
	if len(c.acks) > 0 {
		if failed := c.h.propose(shard.AppendPeerAcks(nil, c.n.now(), c.acks...)); failed != nil {
			err = failed
		}
	}
	return true, err
}

// collect copies the oldest messages for every shard.
func (c *courier) collect() {
	c.parcels = c.parcels[:0]
	c.h.mu.RLock()
	defer c.h.mu.RUnlock()
	if c.h.shard.Program() == nil || c.h.shard.Settling() {
		return
	}
	c.h.shard.Outgoing(func(to int, first, _ uint64) {
		var b shard.Messages
		b.Begin(int(c.h.id), c.h.shard.Dialect(), first)
		c.h.shard.EachMessage(to, first, func(_ uint64, message []byte) bool {
			b.Add(message)
			return b.Len() < courierBytes
		})
		c.parcels = append(c.parcels, parcel{to: to, entry: b.Seal(c.n.now())})
	})
}

// problem says what keeps messages from arriving; empty when nothing does.
func (c *courier) problem() string {
	if text := c.trouble.Load(); text != nil {
		return *text
	}
	return ""
}
