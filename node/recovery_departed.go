package node

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"time"

	"dashi/pipeline/activation"
	"dashi/pipeline/kafka"
	"dashi/ring/meta"
	"dashi/shard"
)

// A shard that has gone back makes activations again that have left already. Before it takes anything else it is told which (shard/recovered.go): those in
// Kafka whose positions in its outbox are beyond what it has made. Each activation in the topic has its position in a header.

// headerOutbox is the header of an activation that says where in which outbox it was: the number of the shard, uint32, and the position, uint64, little-endian.
const headerOutbox = "dashi-outbox"

const outboxBytes = 4 + 8

func appendOutboxHeader(dst []byte, shard uint32, position uint64) []byte {
	return binary.LittleEndian.AppendUint64(binary.LittleEndian.AppendUint32(dst, shard), position)
}

// settleMargin is how much earlier than the clocks of the shards the topic is read: the clocks of nodes differ.
const settleMargin = 10 * time.Minute

// settlePause is between two looks at whether a shard here has to be told what has left.
const settlePause = 100 * time.Millisecond

// keepSettled tells shards that have gone back, as long as this node leads some, what has left.
func (n *Node) keepSettled(ctx context.Context) {
	for ; ctx.Err() == nil; pause(ctx, settlePause) {
		waiting := n.unsettled()
		if len(waiting) == 0 {
			if n.settlingOver() {
				return
			}
			continue
		}
		err := n.settle(ctx, waiting)
		if errors.Is(err, errMoreWait) {
			continue
		}
		if err != nil && ctx.Err() == nil {
			n.log.Warn("cannot find out which activations have left", "error", err)
			pause(ctx, publishRetry)
		}
		text := ""
		if err != nil {
			text = "after a power loss events wait until it is known which activations have left: " + err.Error()
		}
		n.note(text)
	}
}

// unsettled are the shards that this node leads and that wait to be told what has left.
func (n *Node) unsettled() (waiting []*shardHost) {
	for _, h := range n.shards {
		if h.settling() && h.leads() {
			waiting = append(waiting, h)
		}
	}
	return waiting
}

// settlingOver says whether no shard will have to be told: there never was a recovery. After one, this node may still come to lead a shard that waits.
func (n *Node) settlingOver() bool { return n.recovery.generation == 0 }

func (h *shardHost) settling() bool {
	h.mu.RLock()
	defer h.mu.RUnlock()
	return h.shard.Settling()
}

// errMoreWait says that more shards wait to be told what has left than were fenced.
var errMoreWait = errors.New("more shards wait")

// unless calls fn, and ends its context as soon as cond holds: then it returns the error that it is given, whatever fn does.
func unless(ctx context.Context, cond func() bool, with error, fn func(context.Context) error) error {
	ctx, stop := context.WithCancelCause(ctx)
	var looking sync.WaitGroup
	looking.Go(func() {
		for ; ctx.Err() == nil; pause(ctx, settlePause) {
			if cond() {
				stop(with)
			}
		}
	})
	err := fn(ctx)
	stop(nil)
	looking.Wait()
	if errors.Is(context.Cause(ctx), with) {
		return with
	}
	return err
}

// settle fences whoever published for these shards, reads what they have published, and tells the shards.
func (n *Node) settle(ctx context.Context, waiting []*shardHost) error {
	r := n.directory.State().Recovery
	if r == nil || len(r.Cuts) != len(n.shards) {
		return nil
	}
	positions, keys := map[uint32]uint64{}, map[uint32][][2]uint64{}
	from, behind := int64(0), false
	for _, h := range waiting {
		_, position, err := n.kafka.outlets.Open(ctx, int(h.id))
		if err != nil {
			return err
		}
		cut := &r.Cuts[h.id]
		positions[h.id] = position
		if position > cut.Made {
			if !behind || cut.Now < from {
				from = cut.Now
			}
			behind = true
		}
	}
	if behind {
		// A shard that this node comes to lead only now may have left a transaction open. Reading waits until that ends, by itself after a minute; the fence
		// of the next round ends it at once.
		more := func() bool { return len(n.unsettled()) > len(waiting) }
		err := unless(ctx, more, errMoreWait, func(ctx context.Context) error { return n.departed(ctx, r, from, positions, keys) })
		if err != nil {
			return err
		}
	}
	for _, h := range waiting {
		entry := shard.AppendDeparted(nil, n.now(), n.recovery.generation, positions[h.id], keys[h.id])
		if err := h.propose(entry); err != nil {
			return err
		}
		n.log.Warn("a shard goes on with what was left of it", "shard", h.id, "entry", r.Cuts[h.id].Index, "entries_gone", r.Cuts[h.id].Gone, "activations_left", len(keys[h.id]))
		wake(h.grew)
		wake(h.talks)
	}
	return nil
}

// departed reads the topic of activations since the instant from, and appends to keys, by shard, the key of each activation that the shard had published
// beyond its cut, below the position in positions.
func (n *Node) departed(ctx context.Context, r *meta.Recovery, from int64, positions map[uint32]uint64, keys map[uint32][][2]uint64) error {
	since := kafka.TailFrom{After: time.UnixMilli(from).Add(-settleMargin)}
	if n.settings.Clock == "event" || from <= 0 {
		since = kafka.TailFrom{Start: true} // the shards' clock is not that of Kafka
	}
	return kafka.HistorySince(ctx, n.kafka.settings, n.settings.Kafka.Activations, since, func(_ int32, record *kafka.Record) error {
		for _, h := range record.Headers {
			if h.Key != headerOutbox || len(h.Value) != outboxBytes {
				continue
			}
			id, position := binary.LittleEndian.Uint32(h.Value), binary.LittleEndian.Uint64(h.Value[4:])
			if end, asked := positions[id]; !asked || position < r.Cuts[id].Made || position >= end {
				continue
			}
			k, err := activation.KeyOf(bytes.Clone(record.Value))
			if err != nil {
				return fmt.Errorf("activation of shard %d at %d: %w", id, position, err)
			}
			keys[id] = append(keys[id], k)
		}
		return nil
	})
}
