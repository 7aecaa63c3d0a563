package node

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"dashi/node/hub"
	"dashi/pipeline/activation"
	"dashi/pipeline/kafka"
	"dashi/pipeline/say"
	"dashi/shard"
	"dashi/shard/group"
)

// Limits of one transaction: large enough that its fixed cost does not show, small enough to be quick.
const (
	publishEntries = 2000
	publishBytes   = 1 << 20
	publishRetry   = time.Second
	publishKeep    = 24 * time.Hour // brokers forget a position that has not been committed for 7 days
	publishBlock   = 64 << 10       // entries are copied into blocks of this size
)

// publisher sends the outbox of one shard to Kafka, each activation once and in order, and tells the shard what has been acknowledged. All of it runs on
// one goroutine: run.
type publisher struct {
	n       *Node
	h       *shardHost
	outlet  *kafka.Outlet
	entries []kafka.Message
	scratch []byte
	waits   bool // the log has been told that activations wait
	trouble atomic.Pointer[string]
	waiting atomic.Int64  // since when Kafka has not answered, in Unix nanoseconds; 0 when nobody waits for it
	ahead   atomic.Uint64 // position in Kafka, if that was beyond what the shard had made; else 0
}

// publishPatience is how long Kafka may take to answer before the status says so: an outlet tries again for as long as it takes.
const publishPatience = 5 * time.Second

// problem says what keeps activations from leaving; empty when nothing does.
func (p *publisher) problem() string {
	if text := p.trouble.Load(); text != nil {
		return *text
	}
	if since := p.waiting.Load(); since != 0 {
		if d := time.Since(time.Unix(0, since)); d > publishPatience {
			return fmt.Sprintf("activations of shard %d wait: Kafka has not answered for %s", p.h.id, say.Span(d.Round(time.Second)))
		}
	}
	if ahead := p.ahead.Load(); ahead > 0 {
		if _, next := p.bounds(); next < ahead {
			return fmt.Sprintf("Kafka has %s of shard %d more than it has made: as many of those that it makes next do not leave, for they are taken to be these; if its data was lost and Kafka has not "+
				"kept all events either, they are others: deploy/README.md", say.Count(ahead-next, "activation"), p.h.id)
		}
	}
	return ""
}

// send publishes [from, to) and notes that Kafka is being waited for.
func (p *publisher) send(ctx context.Context, from, to uint64, entries []kafka.Message) (uint64, error) {
	p.waiting.Store(time.Now().UnixNano())
	defer p.waiting.Store(0)
	return p.outlet.Publish(ctx, from, to, entries)
}

// run publishes, while this replica leads, until ctx is done. The outlet reads its position from Kafka, so a node that takes the shard over, or
// this one after a crash, goes on exactly after the last transaction that was committed.
func (p *publisher) run(ctx context.Context) {
	for ctx.Err() == nil {
		if !p.h.leads() { // the node that does publishes; opening its outlet fences ours
			p.outlet = nil
			p.goesOn()
			p.ahead.Store(0)
			select {
			case <-ctx.Done():
			case <-p.h.publishes:
			}
			continue
		}
		err := p.publish(ctx)
		if errors.Is(err, group.ErrNotLeader) || errors.Is(err, group.ErrUnknown) {
			continue
		}
		if err == nil {
			p.goesOn()
			select {
			case <-ctx.Done():
			case <-p.h.grew:
			case <-time.After(publishKeep):
				p.keep(ctx)
			}
			continue
		}
		if ctx.Err() != nil {
			return
		}
		p.fails(err)
		p.outlet = nil // opened again: it finds out what became of the last transaction
		select {
		case <-ctx.Done():
		case <-time.After(publishRetry):
		}
	}
}

// fails notes and logs that activations wait, and why. That another node has opened the outlet (ErrFenced) is how a shard changes hands, and only a warning.
func (p *publisher) fails(err error) {
	text := err.Error()
	p.trouble.Store(&text)
	if p.waits {
		return
	}
	p.waits = true
	p.n.unpublished.Add(1)
	level := slog.LevelError
	if errors.Is(err, kafka.ErrFenced) {
		level = slog.LevelWarn
	}
	p.n.kafka.settings.Log.Log(p.n.running, level, "activations wait", "shard", p.h.id, "error", err) // one line for all shards, when it is Kafka
}

// goesOn notes and logs that activations leave again, or that another node is to publish those of this shard.
func (p *publisher) goesOn() {
	p.trouble.Store(nil)
	if !p.waits {
		return
	}
	p.waits = false
	if p.n.unpublished.Add(-1) == 0 {
		p.n.log.Info("activations do not wait any more", "shard", p.h.id)
	}
}

// publish sends everything that is in the outbox.
func (p *publisher) publish(ctx context.Context) error {
	for {
		first, next := p.bounds()
		if first == next || p.h.settling() {
			return nil
		}
		if p.outlet == nil {
			if err := p.open(ctx); err != nil {
				return err
			}
			continue
		}
		from := p.outlet.Position()
		if from < first { // the brokers have forgotten: what is below first was acknowledged once
			if _, err := p.send(ctx, from, first, nil); err != nil {
				return err
			}
			continue
		}
		if from > first { // sent before a crash, and not acknowledged to the shard
			if err := p.acknowledge(from); err != nil {
				return err
			}
			if from >= next {
				return nil
			}
			continue
		}
		to := p.collect(from, next)
		at, err := p.send(ctx, from, to, p.entries)
		if err == nil {
			p.announce()
			err = p.acknowledge(at)
		}
		if err != nil && !errors.Is(err, kafka.ErrMoved) {
			return err
		}
	}
}

// keep commits the position of a quiet shard again, so that the brokers do not forget it.
func (p *publisher) keep(ctx context.Context) {
	if p.outlet == nil {
		return
	}
	at := p.outlet.Position()
	if _, err := p.send(ctx, at, at, nil); err != nil {
		p.outlet = nil // opened again for the next activation: it finds out
	}
}

// bounds are the positions of the oldest entry in the outbox and of the next one.
func (p *publisher) bounds() (first, next uint64) {
	p.h.mu.RLock()
	defer p.h.mu.RUnlock()
	st := p.h.shard.Stats()
	return st.OutboxFirst, st.OutboxNext
}

// open fences whoever published for this shard before, and asks Kafka what it already has.
func (p *publisher) open(ctx context.Context) error {
	p.waiting.Store(time.Now().UnixNano())
	outlet, position, err := p.n.kafka.outlets.Open(ctx, int(p.h.id))
	p.waiting.Store(0)
	if err != nil {
		return err
	}
	p.outlet = outlet
	p.ahead.Store(0)
	if _, next := p.bounds(); position > next {
		p.ahead.Store(position)
		p.n.log.Error("Kafka has more activations of this shard than its log: acknowledged log was lost, and what is made again may differ in order",
			"shard", p.h.id, "published", position, "made", next)
	}
	return nil
}

// collect copies the next entries of the outbox.
func (p *publisher) collect(from, next uint64) (to uint64) {
	p.entries = p.entries[:0]
	bytes := 0
	headers := make([]kafka.Header, 0, min(publishEntries, next-from))
	var block []byte // many entries share one: the hub keeps what it is given
	keep := func(b []byte) []byte {
		if cap(block)-len(block) < len(b) {
			block = make([]byte, 0, max(publishBlock, len(b)))
		}
		n := len(block)
		block = append(block, b...)
		return block[n:len(block):len(block)]
	}
	p.h.mu.RLock()
	defer p.h.mu.RUnlock()
	to = from
	p.h.shard.Outbox(from, func(position uint64, key, payload []byte) bool {
		to = position + 1
		p.scratch = appendOutboxHeader(p.scratch[:0], p.h.id, position)
		headers = append(headers, kafka.Header{Key: headerOutbox, Value: keep(p.scratch)})
		p.entries = append(p.entries, kafka.Message{Key: keep(key), Value: keep(payload), Headers: headers[len(headers)-1:]})
		bytes += len(key) + len(payload)
		return len(p.entries) < publishEntries && bytes < publishBytes
	})
	return to
}

// announce hands what Kafka has acknowledged to the listeners on this node, and to the other nodes that have some.
func (p *publisher) announce() {
	for i := range p.entries {
		id, name, audience := activation.Head(p.entries[i].Value)
		p.n.hub.Publish(id, name, audience, p.entries[i].Value)
	}
	p.n.announce(p.entries)
	p.n.metrics.Published.Add(uint64(len(p.entries)))
}

// acknowledge tells the shard that the sink has everything below position.
func (p *publisher) acknowledge(position uint64) error {
	return p.h.propose(shard.AppendAck(nil, p.n.now(), position))
}

// announce tells the other nodes that have listeners what Kafka has acknowledged. Those that do not answer miss it: Kafka has it for good.
func (n *Node) announce(published []kafka.Message) {
	var body []byte
	for member, p := range n.heard.all() {
		if !p.listening || time.Since(p.at) > peerSilence || len(published) == 0 {
			continue
		}
		if body == nil {
			for i := range published {
				body = hub.AppendPayload(body, published[i].Value)
			}
		}
		ctx, cancel := context.WithTimeout(n.running, tickInterval)
		_, _ = n.transport.Call(ctx, member, callAnnounce, body)
		cancel()
	}
}
