package workload

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"sync"
	"time"

	benchload "dashi/bench/load"
	"dashi/bench/order"
	"dashi/bench/process"
	"dashi/bench/result"
	"dashi/bench/stat"
	"dashi/pipeline/identity"
	"dashi/ring"
)

const (
	failoverRate = 2_000 // events a second meanwhile
	probePause   = 2 * time.Millisecond
)

// failover: the node that leads most shards is killed, again and again, while events come in. How long it takes until each of the shards that it led takes
// writes again: until a linearizable read of it is answered by way of a node that lives. For that the new leader has logged and applied an entry of its own term
// and asked a majority; and unlike the answer to an erasure it does not wait for disks, which takes up to 100 ms without any failure.
func failover(ctx context.Context, e *Env) error {
	usual, _, err := e.cookbooks()
	if err != nil {
		return err
	}
	var sent int64
	return e.onCluster(ctx, usual, &sent, func(c *process.Cluster, brokers []string) error {
		s, err := benchload.NewSender(brokers, order.Settings{Seed: 8, Prefix: "failover", People: e.size(100_000, 10_000), Shapes: order.MaxShapes})
		if err != nil {
			return err
		}
		defer s.Close()
		defer func() { sent = s.Sent() }()
		w := newProbe()
		var usually, after []time.Duration
		kills := e.Kills
		if kills == 0 {
			kills = e.size(10, 2)
		}
		e.Say("killing a leader %d times", kills)
		err = during(func(stop <-chan struct{}) error { return s.Pace(ctx, failoverRate, stop) }, func() error {
			for range kills {
				before, took, err := w.kill(ctx, c)
				if err != nil {
					return err
				}
				usually, after = append(usually, before...), append(after, took...)
			}
			return nil
		})
		if err != nil {
			return err
		}
		slices.Sort(usually)
		slices.Sort(after)
		settings := result.Settings{"kills": kills, "shards_measured": len(after), "nodes": clusterNodes, "shards": clusterShards, "events_per_second": failoverRate,
			"cookbook": usual.name}
		ms := func(sorted []time.Duration, q float64) float64 { return stat.Milliseconds(stat.Quantile(sorted, q)) }
		for _, f := range []result.Figure{
			{Metric: "from kill -9 to the next linearizable answer of a shard, p50", Value: ms(after, 0.5), Unit: "ms"},
			{Metric: "from kill -9 to the next linearizable answer of a shard, p99", Value: ms(after, 0.99), Unit: "ms", Target: result.AtMost(100)},
			{Metric: "from kill -9 to the next linearizable answer of a shard, longest", Value: ms(after, 1), Unit: "ms"},
			{Metric: "the same read before, p50", Value: ms(usually, 0.5), Unit: "ms"},
			{Metric: "the same read before, p99", Value: ms(usually, 0.99), Unit: "ms"},
		} {
			f.Settings = settings
			if err := e.Report(f); err != nil {
				return err
			}
		}
		return nil
	})
}

// probe asks shards for somebody whom nobody knows.
type probe struct {
	client *http.Client
	nobody []string // by shard: an identifier whose home it is
}

func newProbe() *probe {
	return &probe{nobody: homes("nobody"), client: &http.Client{Timeout: 20 * time.Second,
		Transport: &http.Transport{MaxIdleConnsPerHost: clusterShards, DisableCompression: true}}}
}

// homes are an identifier for each shard whose home that is.
func homes(prefix string) []string {
	ids, found := make([]string, clusterShards), 0
	for i := 0; found < clusterShards; i++ {
		value := fmt.Sprint(prefix, i)
		if at := ring.Shard(identity.Hash("user_id", []byte(value)), clusterShards); ids[at] == "" {
			ids[at] = "user_id:" + value
			found++
		}
	}
	return ids
}

// ask asks a shard by way of a node, once.
func (w *probe) ask(ctx context.Context, d *process.Dashi, shard int) error {
	r, err := http.NewRequestWithContext(ctx, "GET", "http://"+d.HTTP+"/v1/profiles/"+w.nobody[shard]+"?read=linearizable", nil)
	if err != nil {
		return err
	}
	answer, err := w.client.Do(r)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err == nil && answer.StatusCode != http.StatusNotFound {
		err = fmt.Errorf("%s for GET %s: %.200s", answer.Status, r.URL, text)
	}
	return err
}

// kill kills the node that leads most shards, asks those at once until each has answered, and starts the node again. before is how long the same took
// when it lived.
func (w *probe) kill(ctx context.Context, c *process.Cluster) (before, after []time.Duration, err error) {
	whole, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	if err := c.Whole(whole, clusterNodes); err != nil {
		return nil, nil, err
	}
	st, err := c.Status(ctx)
	if err != nil {
		return nil, nil, err
	}
	led := map[string][]int{}
	for i := range st.Shards {
		led[st.Shards[i].Leader] = append(led[st.Shards[i].Leader], i)
	}
	victim := slices.MaxFunc(c.Nodes, func(a, b *process.Dashi) int { return len(led[a.ID]) - len(led[b.ID]) })
	shards := led[victim.ID]
	others := slices.DeleteFunc(slices.Clone(c.Nodes), func(d *process.Dashi) bool { return d == victim })
	if before, err = w.all(ctx, others, shards); err != nil { // connections, too
		return nil, nil, err
	}
	if err := victim.Kill(); err != nil {
		return nil, nil, err
	}
	after, err = w.all(ctx, others, shards)
	victim.Gone()
	return before, after, errors.Join(err, c.Restart(ctx, victim))
}

// all asks all these shards at once, by way of these nodes by turns, again and again until each has answered, and says how long that took.
func (w *probe) all(ctx context.Context, nodes []*process.Dashi, shards []int) ([]time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	took, errs := make([]time.Duration, len(shards)), make([]error, len(shards))
	start := time.Now()
	var asking sync.WaitGroup
	for i, shard := range shards {
		asking.Go(func() {
			for {
				err := w.ask(ctx, nodes[i%len(nodes)], shard)
				if took[i] = time.Since(start); err == nil {
					return
				}
				if sleep(ctx, probePause) != nil {
					errs[i] = fmt.Errorf("shard %d does not answer: %w", shard, err)
					return
				}
			}
		})
	}
	asking.Wait()
	return took, errors.Join(errs...)
}
