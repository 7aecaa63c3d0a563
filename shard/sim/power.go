package sim

import (
	"bytes"
	"errors"

	"dashi/pipeline/activation"
	"dashi/shard"
)

var errEnd = errors.New("the log begins too late")

// published is an activation in the topic, and where it was in the outbox of its shard.
type published struct {
	position uint64
	payload  []byte
}

// publish sends what waits in the outbox of a shard, and tells the shard unless that gets lost.
func (w *World) publish(i int) {
	p := w.shards[i]
	p.shard.Outbox(p.published, func(position uint64, _, payload []byte) bool {
		p.topic = append(p.topic, published{position, bytes.Clone(payload)})
		p.published = position + 1
		return w.random.IntN(4) > 0
	})
	if !w.percent(w.settings.Lose) {
		w.apply(i, shard.AppendAck(nil, int64(w.steps), p.published))
	}
}

// sync makes the logs of all shards durable.
func (w *World) sync() {
	for _, p := range w.shards {
		p.synced = len(p.log)
	}
}

// powerCut takes the end off the logs of all shards, of each at another place behind what was synced: what the longest replica has left. The shards go
// back to a cut, are told what has left, and everything goes on. What is in the network still arrives.
func (w *World) powerCut() {
	traces := make([]*shard.Trace, len(w.shards))
	for i, p := range w.shards {
		s := w.restore(i)
		traces[i] = shard.NewTrace(len(w.shards), 0, s)
		for k, entry := range p.log[:p.synced+w.random.IntN(len(p.log)-p.synced+1)] {
			s.Apply(entry)
			traces[i].Note(uint64(k)+1, s)
		}
		s.Close()
	}
	cut, err := shard.Cut(len(w.shards), func(i int, b *shard.Bounds) (shard.Standing, error) {
		at, ok := traces[i].Within(b)
		if !ok {
			w.fail("shard %d cannot go back far enough", i)
			return traces[i].At(0), errEnd
		}
		return at, nil
	})
	if err != nil {
		w.fail("%v", err)
		return
	}
	w.generation++
	for i, p := range w.shards {
		p.shard.Close()
		p.shard = w.restore(i)
		for _, entry := range p.log[:cut[i].Index] {
			p.shard.Apply(entry)
		}
		w.lost += len(p.log) - int(cut[i].Index)
		if p.shard.Stats().OutboxNext != cut[i].Made {
			w.fail("shard %d has made %d activations, its standing says %d", i, p.shard.Stats().OutboxNext, cut[i].Made)
		}
		p.shard.Recover(w.generation)
		w.takeSnapshot(i)
		var keys [][2]uint64
		for _, a := range p.topic {
			if a.position >= cut[i].Made {
				k, err := activation.KeyOf(a.payload)
				if err != nil {
					w.fail("%v in %s", err, a.payload)
				}
				keys = append(keys, k)
			}
		}
		w.apply(i, shard.AppendDeparted(nil, int64(w.steps), w.generation, p.published, keys))
		for k := range p.topic { // of another generation: what has this position from now on is another one
			p.topic[k].position = 0
		}
		clear(p.cut)
	}
	for i := range w.shards {
		w.rewind(i)
	}
	w.change = shard.Switch{}
	w.sync()
}
