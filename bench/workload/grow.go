package workload

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	benchload "dashi/bench/load"
	"dashi/bench/order"
	"dashi/bench/process"
	"dashi/bench/result"
	"dashi/bench/stat"
)

const (
	growAskRate   = 1_000 // GET a second, of all nodes by turns
	growEventRate = 5_000 // events a second meanwhile
)

// asked are the nodes that are asked by turns. They may be changed while they are.
type asked struct {
	nodes atomic.Pointer[[]*process.Dashi]
}

func (a *asked) are(nodes ...*process.Dashi) { a.nodes.Store(&nodes) }

func (a *asked) pick(i int) *process.Dashi {
	nodes := *a.nodes.Load()
	return nodes[i%len(nodes)]
}

// grow: a fourth node joins three that are asked and take events, and is brought its share of the replicas; then one of the others is drained.
func grow(ctx context.Context, e *Env) error {
	people := e.size(200_000, 10_000)
	sent := int64(people)
	return e.onCluster(ctx, e.twelve(), &sent, func(c *process.Cluster, brokers []string) error {
		e.Say("giving %d people an order each", people)
		orders := order.Settings{Seed: 9, Prefix: "first", People: people, Shapes: order.MaxShapes, InTurn: true}
		if err := fill(ctx, brokers, orders, people); err != nil {
			return err
		}
		for _, d := range c.Nodes {
			if _, err := d.WaitIdle(ctx, idleLimit); err != nil {
				return err
			}
		}
		orders.Seed, orders.Prefix, orders.InTurn = 10, "then", false
		s, err := benchload.NewSender(brokers, orders)
		if err != nil {
			return err
		}
		defer s.Close()
		defer func() { sent += s.Sent() }()
		var to asked
		ask := get(ctx, to.pick, people)
		settings := result.Settings{"people": people, "nodes": clusterNodes, "shards": clusterShards, "replicas": clusterNodes, "requests_per_second": growAskRate,
			"events_per_second": growEventRate, "cookbook": e.twelve().name}
		return during(func(stop <-chan struct{}) error { return s.Pace(ctx, growEventRate, stop) }, func() error {
			old, leaver := c.Nodes[:2], c.Nodes[2]
			to.are(c.Nodes...)
			err := e.asking(ctx, ask, "before, ", nil, settings, func() error { return sleep(ctx, time.Duration(e.size(10, 2))*time.Second) })
			if err != nil {
				return err
			}
			e.Say("a fourth node joins")
			err = e.asking(ctx, ask, "while a fourth node joins, ", result.AtMost(5), settings, func() error {
				d, err := c.Join(ctx)
				if err != nil {
					return err
				}
				to.are(append(old[:2:2], leaver, d)...)
				return settled(ctx, c, d, clusterShards*clusterNodes/(clusterNodes+1))
			})
			if err != nil {
				return err
			}
			e.Say("node %s is drained", leaver.ID)
			to.are(append(old[:2:2], c.Nodes[3])...)
			return e.asking(ctx, ask, "while a node is drained, ", result.AtMost(5), settings, func() error {
				if err := c.Drain(ctx, c.Nodes[0], leaver); err != nil {
					return err
				}
				return c.Whole(ctx, clusterNodes)
			})
		})
	})
}

// settled waits until a node has its share of the replicas, give or take one, and no shard is being moved.
func settled(ctx context.Context, c *process.Cluster, d *process.Dashi, share int) error {
	for {
		if err := c.Whole(ctx, clusterNodes); err != nil {
			return err
		}
		st, err := c.Status(ctx)
		if err != nil {
			return err
		}
		for _, n := range st.Nodes {
			if n.ID == d.ID && n.Replicas >= share-1 {
				return nil
			}
		}
		if err := sleep(ctx, 50*time.Millisecond); err != nil {
			return fmt.Errorf("node %s has not been brought %d replicas: %w", d.ID, share, err)
		}
	}
}

// asking looks profiles up for as long as fn takes, and reports how long the answers took, and fn.
func (e *Env) asking(ctx context.Context, ask func(worker, i int) error, name string, p99 *result.Target, settings result.Settings, fn func() error) error {
	asking, stop := context.WithCancel(ctx)
	answers := make(chan *benchload.Latencies, 1)
	go func() {
		answers <- benchload.OpenLoop(asking, benchload.Requests{PerSecond: growAskRate, Total: 1 << 40, Workers: askers}, ask)
	}()
	start := time.Now()
	err := fn()
	took := time.Since(start)
	stop()
	l := <-answers
	if err != nil {
		return err
	}
	settings = settings.With(result.Settings{"requests": len(l.All)})
	for _, f := range []result.Figure{
		{Metric: "until it is over", Value: took.Seconds(), Unit: "s"},
		{Metric: "look-ups, from due to answered, p50", Value: stat.Milliseconds(stat.Quantile(l.All, 0.5)), Unit: "ms"},
		{Metric: "look-ups, from due to answered, p99", Value: stat.Milliseconds(stat.Quantile(l.All, 0.99)), Unit: "ms", Target: p99},
		{Metric: "the load's own lateness, p99", Value: stat.Milliseconds(stat.Quantile(l.Late, 0.99)), Unit: "ms"},
		{Metric: "look-ups that failed", Value: float64(l.Failed), Target: result.AtMost(0)},
	} {
		f.Metric, f.Settings = name+f.Metric, settings
		if err := e.Report(f); err != nil {
			return err
		}
	}
	if l.First != nil {
		e.Say("the first look-up that failed: %v", l.First)
	}
	return nil
}
