package node

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"runtime"
	"slices"
	"time"

	"dashi/node/httpapi"
	"dashi/node/status"
	"dashi/pipeline/kafka"
	"dashi/pipeline/say"
)

// Status gathers the state of the node. With hashes it also computes the state hash of every shard, which reads all profiles.
func (n *Node) Status(hashes bool) *status.Status {
	program := n.cookbook.Load()
	st := &status.Status{
		Cluster: n.settings.Cluster,
		Version: n.version,
		Started: n.started,
		Uptime:  say.Span(time.Since(n.started).Round(time.Second)),
		Trouble: []string{},
		Cookbook: status.Cookbook{
			Version: program.Version, Switching: n.switchStatus(n.directory.State()),
			Hash:       fmt.Sprintf("%016x", program.Hash),
			Attributes: len(program.Attributes),
			Audiences:  len(program.AllAudiences()),
		},
		Events: status.Events{Consumed: n.intake.counts.events.Load(), Rejected: n.intake.counts.rejected.all()},
		Memory: status.Memory{Limit: n.settings.Limits.MemoryBytes},
		Kafka: status.Kafka{
			Brokers:  n.kafka.settings.Brokers,
			Dead:     n.settings.Kafka.Dead,
			Embedded: n.kafka.broker != nil,
		},
		Activations: status.Activations{Published: n.metrics.Published.Load()},
	}
	for _, s := range program.Sources {
		st.Cookbook.Recipes = append(st.Cookbook.Recipes, s.Name)
	}
	for _, in := range n.settings.Kafka.Inputs {
		st.Kafka.Inputs = append(st.Kafka.Inputs, in.Topic)
	}
	all, err := n.reports(n.running, readLocal, hashes)
	if err != nil {
		st.Trouble = append(st.Trouble, err.Error())
	}
	st.FillShards(all)
	st.FillClock(all, n.now(), clockOff)
	n.clusterStatus(st)
	n.streamStatus(st)
	n.logStatus(st)
	n.webhookStatus(st)
	if text := *n.doors.noted.Load(); text != "" {
		st.Trouble = append(st.Trouble, text)
	}
	st.FillRecovery(n.directory.State().Recovery, all)
	st.Latency.P50, st.Latency.P99, st.Events.PerSecond = n.metrics.LastMinute()
	st.Lookups.HTTP = n.metrics.HTTP.Get(httpapi.Lookups)
	if n.doors.resp != nil {
		s := n.doors.resp.Stats()
		st.Lookups.RESP = s.Hits + s.Misses
	}
	n.flowTrouble(st)
	st.Ready = n.Ready() == nil
	var mem runtime.MemStats
	runtime.ReadMemStats(&mem)
	st.Memory.Heap = mem.HeapAlloc
	return st
}

// flowTrouble says what keeps events from coming in, activations and messages from leaving, and a cookbook from coming into force.
func (n *Node) flowTrouble(st *status.Status) {
	if why := n.heldBack(time.Now()); why != "" {
		st.Events.HeldBack = why
		st.Trouble = append(st.Trouble, "events are held back: "+why)
	}
	if why := n.inputTrouble(); why != "" {
		st.Trouble = append(st.Trouble, "input: "+why)
	}
	if text := status.LostTrouble(n.metrics.Lost.Load(), time.Unix(0, n.metrics.LostAt.Load()), time.Now()); text != "" {
		st.Trouble = append(st.Trouble, "input: "+text)
	}
	if err := n.kafka.dead.Status(); err != nil {
		st.Trouble = append(st.Trouble, "dead letters wait, and with them the offsets of their events: "+err.Error())
	}
	for _, p := range n.publishers {
		if text := p.problem(); text != "" {
			st.Trouble = append(st.Trouble, text)
			break
		}
	}
	for _, c := range n.couriers {
		if text := c.problem(); text != "" {
			st.Trouble = append(st.Trouble, text)
			break
		}
	}
	if text := n.transition.lag.Load(); text != nil {
		st.Trouble = append(st.Trouble, *text)
	}
}

// streamStatus fills in how far the partitions that this node reads are.
func (n *Node) streamStatus(st *status.Status) {
	for _, in := range n.intake.all() {
		in.mu.Lock()
		ss := status.Stream{Topic: in.stream.Name, Partition: in.stream.Partition, Read: in.read + 1}
		applied, durable := in.read, in.read
		for j := range in.progress {
			applied = min(applied, in.progress[j].mark)
			durable = min(durable, in.progress[j].durable)
		}
		in.mu.Unlock()
		ss.Applied, ss.Durable = applied+1, durable+1
		ss.Lag = n.lag(in.stream, ss.Applied)
		st.Kafka.Streams = append(st.Kafka.Streams, ss)
	}
	slices.SortFunc(st.Kafka.Streams, func(a, b status.Stream) int {
		return cmp.Or(cmp.Compare(a.Topic, b.Topic), cmp.Compare(a.Partition, b.Partition))
	})
}

// idlePoll is how often WaitIdle looks again.
const idlePoll = 5 * time.Millisecond

// WaitIdle returns when everything that was in the input topics at the call has been applied by every shard, and all activations that
// came of it have been acknowledged by Kafka.
func (n *Node) WaitIdle(ctx context.Context) error {
	tick := time.NewTicker(idlePoll)
	defer tick.Stop()
	wait := func(done func() bool, what string) error {
		for !done() {
			select {
			case <-ctx.Done():
				return fmt.Errorf("%s: %w", what, ctx.Err())
			case <-tick.C:
			}
		}
		return nil
	}
	if err := wait(func() bool { return n.knowsDirectory(ctx) }, "the directory of this node is behind, or has no leader"); err != nil {
		return err
	}
	if err := wait(func() bool { return !n.switching() }, "a cookbook is coming into force"); err != nil {
		return err
	}
	var ends map[kafka.Stream]int64
	var silent error // why Kafka does not say what it has: it is away, or the source has only just begun
	err := wait(func() bool { ends, silent = n.kafka.source.EndOffsets(ctx); return silent == nil }, "Kafka does not say what it has")
	if err != nil {
		return fmt.Errorf("%w: %w", silent, err)
	}
	for stream, end := range ends {
		err := wait(func() bool { n.intake.levelAll(); return n.applied(ctx, stream, end) }, fmt.Sprintf("%s has not been applied up to offset %d", stream, end))
		if err != nil {
			return err
		}
	}
	if err := wait(func() bool { return n.awake(ctx) }, "timers are due"); err != nil {
		return err
	}
	if err := n.settled(ctx, wait); err != nil {
		return err
	}
	var made []*status.Report
	if err := wait(func() bool { made, err = n.reports(ctx, readLeader, false); return err == nil }, "some shards do not answer"); err != nil {
		return err
	}
	return wait(func() bool {
		now, err := n.reports(ctx, readLeader, false)
		for i := 0; err == nil && i < len(made); i++ {
			if now[i].Shard.OutboxFirst < made[i].Shard.OutboxNext {
				return false
			}
		}
		return err == nil
	}, "shards have activations that Kafka has not taken")
}

// applied says whether every shard has everything of the stream below end.
func (n *Node) applied(ctx context.Context, s kafka.Stream, end int64) bool {
	return slices.Min(n.marks(ctx, streamID(s))) >= end-1 && n.kafka.dead.Floor(s, end) == end
}

// awake says whether no timer of any shard is due.
func (n *Node) awake(ctx context.Context) bool {
	all, err := n.reports(ctx, readLocal, false)
	return err == nil && !slices.ContainsFunc(all, func(r *status.Report) bool { return r.Wake == math.MinInt64 })
}

// messageHops bounds how often WaitIdle waits for messages that messages have made: what comes of an event takes a handful of steps at most, but while
// events keep coming there are always some.
const messageHops = 12

// road is the way from one shard to another.
type road struct{ from, to int }

// settled waits until the messages that now are on their way between shards, and those that they make, have been applied.
func (n *Node) settled(ctx context.Context, wait func(done func() bool, what string) error) error {
	for range messageHops {
		var ends map[road]positions
		var err error
		if err := wait(func() bool { ends, err = n.roads(ctx); return err == nil }, "some shards do not answer"); err != nil {
			return err
		}
		if len(ends) == 0 {
			return nil
		}
		err = wait(func() bool {
			now, err := n.roads(ctx)
			for r, o := range now {
				if end, asked := ends[r]; asked && o.first < end.next {
					return false
				}
			}
			return err == nil
		}, "shards have messages for each other")
		if err != nil {
			return err
		}
	}
	return nil
}

// positions are those of the oldest message that waits on a road, and of the next one that will be sent.
type positions struct{ first, next uint64 }

// roads are those on which messages wait. What a message makes is in an outbox before the message leaves its own. The shards are looked at one after the
// other, so that nothing slips past, "none" counts only if two looks in a row see the same.
func (n *Node) roads(ctx context.Context) (map[road]positions, error) {
	for {
		first, some, err := n.lookAtRoads(ctx)
		if err != nil || len(some) > 0 {
			return some, err
		}
		if again, _, err := n.lookAtRoads(ctx); err != nil || first == again {
			return some, err
		}
	}
}

func (n *Node) lookAtRoads(ctx context.Context) (sent uint64, some map[road]positions, err error) {
	all, err := n.reports(ctx, readLocal, false)
	if err != nil {
		return 0, nil, err
	}
	some = map[road]positions{}
	for i, r := range all {
		for _, o := range r.Roads {
			some[road{i, o.To}] = positions{o.First, o.Next}
		}
		sent += r.Shard.Sent
	}
	return sent, some, nil
}

// applications is the number of events applied and of profiles held on all shards; for shards that are not here, as the nodes that have them said last.
func (n *Node) applications() (events uint64, profiles int) {
	heard := n.heard.all()
	for i, h := range n.shards {
		l := h.reach()
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
