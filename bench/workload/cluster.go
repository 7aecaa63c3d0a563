package workload

import (
	"context"
	"errors"
	"fmt"
	"time"

	benchload "dashi/bench/load"
	"dashi/bench/order"
	"dashi/bench/process"
	"dashi/bench/result"
	"dashi/bench/stat"
	"dashi/pipeline/kafka"
)

// A cluster as it is measured: each shard has three replicas, durability is the default. The broker is in this process, so that a node can be killed
// without it; nodes, broker and load share the machine.
const (
	clusterNodes  = 3
	clusterShards = 32
)

// onCluster calls fn with a cluster that reads from a broker of its own, and checks at the end that nothing was lost: sent says how many events there were.
func (e *Env) onCluster(ctx context.Context, c cookbook, sent *int64, fn func(*process.Cluster, []string) error) error {
	return withBroker(e.dir("broker"), func(b *kafka.Broker) (err error) {
		brokers := b.Settings().Brokers
		nodes, err := process.StartCluster(ctx, process.ClusterSettings{Program: e.program(), Dir: e.dir("nodes"), Brokers: brokers, Recipes: c.path, Nodes: clusterNodes, Shards: clusterShards})
		if err != nil {
			return err
		}
		defer stop(nodes, &err)
		if err := fn(nodes, brokers); err != nil {
			return err
		}
		e.Say("comparing the replicas")
		return e.agree(ctx, nodes, *sent)
	})
}

// agree waits until all nodes have applied everything, and checks that they counted every event once and that replicas at the same index have the same state.
func (e *Env) agree(ctx context.Context, c *process.Cluster, sent int64) error {
	running := c.Running()
	for _, d := range running {
		st, err := d.WaitIdle(ctx, idleLimit)
		if err != nil {
			return fmt.Errorf("node %s: %w", d.ID, err)
		}
		if err := mustCount(st, sent); err != nil {
			return fmt.Errorf("node %s: %w", d.ID, err)
		}
	}
	ctx, cancel := context.WithTimeout(ctx, idleLimit)
	defer cancel()
	compared := map[int]bool{}
	for len(compared) < clusterShards {
		var all []*process.Status
		for _, d := range running {
			st, err := d.StatusWithHashes(ctx)
			if err != nil {
				return fmt.Errorf("%d of %d shards have been compared: %w", len(compared), clusterShards, err)
			}
			all = append(all, st)
		}
		if err := compareHashes(running, all, compared); err != nil {
			return err
		}
	}
	return e.Report(result.Figure{Metric: "shards whose replicas are equal at equal indexes", Value: float64(len(compared)), Target: result.AtLeast(clusterShards),
		Settings: result.Settings{"events": sent, "nodes": len(running)}})
}

// compareHashes compares the replicas of all shards, each as its own node sees it, and notes those that could be: which are at the same index everywhere.
func compareHashes(nodes []*process.Dashi, all []*process.Status, compared map[int]bool) error {
	for i := range all[0].Shards {
		var first *process.ShardStatus
		same := true
		for k, st := range all {
			s := &st.Shards[i]
			switch {
			case !s.Holds(nodes[k].ID): // what it says it has from another node
			case first == nil:
				first = s
			case s.Index != first.Index:
				same = false
			case s.Hash != first.Hash || s.Hash == "":
				return fmt.Errorf("two replicas of shard %d differ at entry %d: their state hashes are %q and %q", s.ID, s.Index, first.Hash, s.Hash)
			}
		}
		if same && first != nil {
			compared[i] = true
		}
	}
	return nil
}

// cluster: what three nodes cost that do nothing, how soon they have an event on a majority of the replicas, and how many they take.
func cluster(ctx context.Context, e *Env) error {
	usual, _, err := e.cookbooks()
	if err != nil {
		return err
	}
	var sent int64
	return e.onCluster(ctx, usual, &sent, func(c *process.Cluster, brokers []string) error {
		if err := e.idle(ctx, c); err != nil {
			return err
		}
		people := e.size(1_000_000, 100_000)
		steady, err := benchload.NewSteady(brokers, order.Settings{Seed: 6, Prefix: "steady", People: people, Shapes: order.MaxShapes})
		if err != nil {
			return err
		}
		defer steady.Close()
		settings := result.Settings{"nodes": clusterNodes, "replicas": clusterNodes, "shards": clusterShards, "durability": "replicated", "people": people,
			"shapes": order.MaxShapes, "partitions": partitions, "compression": benchload.Compression, "cookbook": usual.name}
		for _, p := range []struct {
			rate     int
			p50, p99 *result.Target
		}{
			{2_000, result.AtMost(0.5), result.AtMost(1)},
			{20_000, nil, result.AtMost(2)},
		} {
			if err := e.paced(ctx, c, steady, p.rate, p.p50, p.p99, settings); err != nil {
				return err
			}
		}
		s, err := benchload.NewSender(brokers, order.Settings{Seed: 7, Prefix: "cluster", People: people, Shapes: order.MaxShapes})
		if err != nil {
			return err
		}
		defer s.Close()
		s.Inherit(steady)
		defer func() { sent = s.Sent() }()
		return e.clusterFlood(ctx, c, s, settings)
	})
}

// idle measures the nodes while there is nothing to do.
func (e *Env) idle(ctx context.Context, c *process.Cluster) error {
	settle, window := time.Duration(e.size(10, 3))*time.Second, time.Duration(e.size(20, 5))*time.Second
	if err := c.Whole(ctx, clusterNodes); err != nil {
		return err
	}
	e.Say("idle for %v, of which %v count", settle+window, window)
	if err := sleep(ctx, settle); err != nil {
		return err
	}
	shares, err := e.shares(ctx, c, window)
	if err != nil {
		return err
	}
	most := 0.0
	for _, s := range shares {
		most = max(most, s)
	}
	return e.Report(result.Figure{Metric: "at rest, processor time of the node that uses most", Value: most, Unit: "% of a core", Target: result.AtMost(5),
		Settings: result.Settings{"nodes": clusterNodes, "shards": clusterShards, "seconds": window.Seconds(), "percent_by_node": shares}})
}

// shares are how much of a core each node uses for the time of the window, in per cent.
func (e *Env) shares(ctx context.Context, c *process.Cluster, window time.Duration) (shares []float64, err error) {
	var before []process.Usage
	start := time.Now()
	for _, d := range c.Nodes {
		u, err := d.Usage()
		if err != nil {
			return nil, err
		}
		before = append(before, u)
	}
	if err := sleep(ctx, window); err != nil {
		return nil, err
	}
	for i, d := range c.Nodes {
		u, err := d.Usage()
		if err != nil {
			return nil, err
		}
		shares = append(shares, 100*float64(u.CPU-before[i].CPU)/float64(time.Since(start)))
	}
	return shares, nil
}

// instant is a cluster at one time.
type instant struct {
	moment
	latency stat.Histogram // of all nodes
}

func observe(ctx context.Context, c *process.Cluster, s *benchload.Sender) (i instant, err error) {
	if i.moment, err = look(ctx, c, s); err != nil {
		return i, err
	}
	i.latency, err = clusterLatency(ctx, c)
	return i, err
}

// clusterLatency sums the histograms of all nodes: each has the events that it fetched.
func clusterLatency(ctx context.Context, c *process.Cluster) (sum stat.Histogram, err error) {
	for _, d := range c.Running() {
		h, err := d.Latency(ctx)
		if err != nil {
			return nil, err
		}
		sum = sum.Plus(h)
	}
	return sum, nil
}

// paced measures how soon events are applied at a rate.
func (e *Env) paced(ctx context.Context, c *process.Cluster, s *benchload.Sender, rate int, p50, p99 *result.Target, common result.Settings) error {
	warm, window := time.Duration(e.size(5, 2))*time.Second, time.Duration(e.size(30, 5))*time.Second
	e.Say("%d events a second for %v, of which %v count", rate, warm+window, window)
	var from, to instant
	err := during(func(stop <-chan struct{}) error { return s.Pace(ctx, rate, stop) }, func() (err error) {
		if err := sleep(ctx, warm); err != nil {
			return err
		}
		if from, err = observe(ctx, c, s); err != nil {
			return err
		}
		if err := sleep(ctx, window); err != nil {
			return err
		}
		to, err = observe(ctx, c, s)
		return err
	})
	if err != nil {
		return err
	}
	return e.reportLatency(fmt.Sprintf("at %d events/s, ", rate), from, to, p50, p99, common)
}

// clusterFlood measures how many events the cluster takes from a producer that is as fast as it can be, as flood does with one node.
func (e *Env) clusterFlood(ctx context.Context, c *process.Cluster, s *benchload.Sender, common result.Settings) error {
	before, err := clusterLatency(ctx, c)
	if err != nil {
		return err
	}
	from, to, err := e.flooded(ctx, c, s, "")
	if err != nil {
		return err
	}
	after, err := clusterLatency(ctx, c)
	if err != nil {
		return err
	}
	seconds := to.at.Sub(from.at).Seconds()
	applied := float64(to.status.Events.Applied - from.status.Events.Applied)
	if err := e.Report(result.Figure{Metric: "under load, applied", Value: applied / seconds, Unit: "events/s", Target: result.AtLeast(80_000), Settings: common.With(
		result.Settings{"seconds": seconds, "warm_up_seconds": e.warmUp().Seconds(), "most_ahead": mostAhead, "behind_at_end": to.sent - int64(to.status.Events.Applied)})}); err != nil {
		return err
	}
	return e.reportLatency("under load, ", instant{from, before}, instant{to, after}, nil, nil, common)
}

// reportLatency reports what lies between two instants.
func (e *Env) reportLatency(name string, from, to instant, p50, p99 *result.Target, common result.Settings) error {
	seconds := to.at.Sub(from.at).Seconds()
	applied := float64(to.status.Events.Applied - from.status.Events.Applied)
	h := to.latency.Since(from.latency)
	if applied == 0 || h.Total() == 0 {
		return errors.New("no event was applied")
	}
	settings := common.With(result.Settings{"seconds": seconds, "events_per_second": applied / seconds, "measured": h.Total(), "version": to.status.Version})
	for _, f := range []result.Figure{
		{Metric: "from fetched to applied on a majority, p50", Value: h.Quantile(0.5) * 1000, Unit: "ms", Target: p50},
		{Metric: "from fetched to applied on a majority, p99", Value: h.Quantile(0.99) * 1000, Unit: "ms", Target: p99},
		{Metric: "processor time of the nodes", Value: cpuPerEvent(from.usage, to.usage, applied), Unit: "us CPU an event"},
		{Metric: "events an entry of the log", Value: applied / float64(to.status.Entries()-from.status.Entries())},
	} {
		f.Metric, f.Settings = name+f.Metric, settings
		if err := e.Report(f); err != nil {
			return err
		}
	}
	return nil
}

// backlog: the events are there before the nodes are.
func backlog(ctx context.Context, e *Env) error {
	usual, _, err := e.cookbooks()
	if err != nil {
		return err
	}
	sent, people := int64(e.size(3_000_000, 300_000)), e.size(1_000_000, 100_000)
	e.Say("filling the broker with %d events", sent)
	err = withBroker(e.dir("broker"), func(b *kafka.Broker) error {
		return fill(ctx, b.Settings().Brokers, order.Settings{Seed: 7, Prefix: "backlog", People: people, Shapes: order.MaxShapes}, int(sent))
	})
	if err != nil {
		return err
	}
	e.Say("reading them with %d nodes", clusterNodes)
	return e.onCluster(ctx, usual, &sent, func(c *process.Cluster, _ []string) error {
		ready := time.Now()
		before, err := c.Usage()
		if err != nil {
			return err
		}
		st, err := c.Status(ctx)
		if err != nil {
			return err
		}
		early := st.Events.Applied // between the first node that was ready and our look
		if st, err = c.Nodes[0].WaitApplied(ctx, uint64(sent)); err != nil {
			return err
		}
		took := time.Since(ready).Seconds()
		after, err := c.Usage()
		if err != nil {
			return err
		}
		rest := float64(sent) - float64(early)
		settings := result.Settings{"events": sent, "early": early, "seconds": took, "people": people, "nodes": clusterNodes, "replicas": clusterNodes, "shards": clusterShards,
			"durability": "replicated", "partitions": partitions, "compression": benchload.Compression, "cookbook": usual.name, "version": st.Version}
		for _, f := range []result.Figure{
			{Metric: "applied", Value: rest / took, Unit: "events/s", Target: result.AtLeast(120_000)},
			{Metric: "processor time of the nodes", Value: cpuPerEvent(before, after, rest), Unit: "us CPU an event"},
			{Metric: "events an entry of the log", Value: float64(sent) / float64(st.Entries())},
			{Metric: "most memory of the nodes together", Value: float64(after.Peak >> 20), Unit: "MiB"},
		} {
			f.Settings = settings
			if err := e.Report(f); err != nil {
				return err
			}
		}
		return nil
	})
}
