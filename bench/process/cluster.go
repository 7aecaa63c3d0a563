package process

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// ClusterSettings are those of a Cluster.
type ClusterSettings struct {
	Program Program
	Dir     string   // what the nodes keep goes below it
	Brokers []string // of the Kafka that they have in common
	Recipes string
	Nodes   int // that found it
	Shards  int
}

// Cluster is some `dashi serve` on this machine. Its Kafka belongs to somebody else.
type Cluster struct {
	Nodes    []*Dashi // by number; who was killed or has left keeps its place
	settings ClusterSettings
	gossip   []string // addresses of the founders
}

// StartCluster starts the nodes and returns when all of them are ready.
func StartCluster(ctx context.Context, s ClusterSettings) (*Cluster, error) {
	c := &Cluster{settings: s}
	var err error
	if c.gossip, err = lowAddrs(s.Nodes); err != nil {
		return nil, err
	}
	for i := range s.Nodes {
		if err := c.add(ctx, c.gossip[i]); err != nil {
			return nil, errors.Join(err, c.Stop())
		}
	}
	for _, d := range c.Nodes {
		if err := d.awaitReady(ctx); err != nil {
			c.Stop() // err says more
			return nil, err
		}
	}
	return c, nil
}

// Join starts one more node and returns when it is ready; its replicas are brought to it after that.
func (c *Cluster) Join(ctx context.Context) (*Dashi, error) {
	addr, err := lowAddrs(1)
	if err != nil {
		return nil, err
	}
	if err := c.add(ctx, addr[0]); err != nil {
		return nil, err
	}
	d := c.Nodes[len(c.Nodes)-1]
	return d, d.awaitReady(ctx)
}

// add starts the next node.
func (c *Cluster) add(ctx context.Context, gossip string) error {
	addrs, err := lowAddrs(3)
	if err != nil {
		return err
	}
	d := &Dashi{ID: fmt.Sprintf("n%d", len(c.Nodes)+1), HTTP: addrs[0], RESP: addrs[1], Kafka: c.settings.Brokers[0], client: &http.Client{}, profiles: c.settings.Program.Profiles}
	settings, err := json.Marshal(map[string]any{ // JSON is YAML
		"data": c.dir(d), "recipes": []string{c.settings.Recipes}, "shards": c.settings.Shards,
		"http": map[string]any{"listen": d.HTTP, "debug": true}, "resp": map[string]any{"listen": d.RESP},
		"kafka":  map[string]any{"brokers": c.settings.Brokers},
		"node":   map[string]any{"id": d.ID, "listen": addrs[2]},
		"gossip": map[string]any{"listen": gossip, "join": c.gossip, "expect": c.settings.Nodes},
	})
	if err != nil {
		return err
	}
	if err := os.MkdirAll(c.dir(d), 0o755); err != nil {
		return fmt.Errorf("cannot make data directory: %w", err)
	}
	if err := os.WriteFile(c.config(d), settings, 0o644); err != nil {
		return fmt.Errorf("cannot write settings: %w", err)
	}
	if err := c.launch(ctx, d); err != nil {
		return err
	}
	c.Nodes = append(c.Nodes, d)
	return nil
}

func (c *Cluster) dir(d *Dashi) string    { return filepath.Join(c.settings.Dir, d.ID) }
func (c *Cluster) config(d *Dashi) string { return filepath.Join(c.dir(d), "dashi.yml") }

func (c *Cluster) launch(ctx context.Context, d *Dashi) (err error) {
	d.Child, err = StartWith(ctx, c.share(), c.settings.Program.Path, "serve", "--config", c.config(d), "--log", "warn")
	return err
}

// share is in the environment of each node: its part of the processors, as nodes on one machine should have it (deploy/README.md).
func (c *Cluster) share() []string {
	if os.Getenv("GOMAXPROCS") != "" {
		return nil
	}
	return []string{fmt.Sprintf("GOMAXPROCS=%d", max(1, runtime.NumCPU()/c.settings.Nodes))}
}

// Restart starts a node again that was killed, on what it had, and returns when it is ready.
func (c *Cluster) Restart(ctx context.Context, d *Dashi) error {
	if err := c.launch(ctx, d); err != nil {
		return err
	}
	return d.awaitReady(ctx)
}

// Drain empties a node and returns when its process has ended.
func (c *Cluster) Drain(ctx context.Context, by, d *Dashi) error {
	drain, err := Start(ctx, c.settings.Program.Path, "drain", d.ID, "--addr", "http://"+by.HTTP)
	if err != nil {
		return err
	}
	if err := drain.Wait(ctx); err != nil {
		return err
	}
	return d.Wait(ctx)
}

// Running are the nodes whose processes run.
func (c *Cluster) Running() []*Dashi {
	return slices.DeleteFunc(slices.Clone(c.Nodes), func(d *Dashi) bool { return d.Exited() != nil })
}

// Stop ends all nodes that run, at once.
func (c *Cluster) Stop() error {
	var stopping sync.WaitGroup
	running := c.Running()
	errs := make([]error, len(running))
	for i, d := range running {
		stopping.Go(func() { errs[i] = d.Stop() })
	}
	stopping.Wait()
	return errors.Join(errs...)
}

// Status asks the first node that runs.
func (c *Cluster) Status(ctx context.Context) (*Status, error) {
	running := c.Running()
	if len(running) == 0 {
		return nil, errors.New("no node runs")
	}
	return running[0].Status(ctx)
}

// Usage is what all nodes have used together. Of one that was killed it counts what its present process has.
func (c *Cluster) Usage() (sum Usage, err error) {
	for _, d := range c.Running() {
		u, err := d.Usage()
		if err != nil {
			return sum, err
		}
		sum.CPU, sum.Resident, sum.Peak = sum.CPU+u.CPU, sum.Resident+u.Resident, sum.Peak+u.Peak
	}
	return sum, nil
}

// Whole returns when every shard has so many replicas, all heard of lately and hardly behind, a leader, and no move is under way.
func (c *Cluster) Whole(ctx context.Context, replicas int) error {
	const near = 64 // entries
	for {
		st, err := c.Status(ctx)
		if err != nil {
			return err
		}
		whole := len(st.Directory.Moves) == 0 && !slices.ContainsFunc(st.Shards, func(s ShardStatus) bool {
			for _, r := range s.Replicas {
				if r.Silent || r.Lag > near {
					return true
				}
			}
			return len(s.Replicas) != replicas || s.Leader == ""
		})
		if whole {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("not all shards have their replicas, %d moves are under way: %w", len(st.Directory.Moves), ctx.Err())
		case <-time.After(10 * pollInterval):
		}
	}
}

// nextPort counts through the ports of lowAddrs: none is given twice, be it free for a moment because its node is not up yet.
var nextPort atomic.Uint32

func init() { nextPort.Store(rand.Uint32N(12_000)) }

// lowAddrs are n loopback addresses that nobody listened on just now, below the ports that systems give to outgoing connections: a node that was killed finds
// its own free again.
func lowAddrs(n int) (addrs []string, err error) {
	for range 100 * n {
		addr := net.JoinHostPort("127.0.0.1", strconv.Itoa(20_000+int(nextPort.Add(1)%12_000)))
		if l, err := net.Listen("tcp", addr); err == nil {
			defer l.Close() // held until all are found, so that no two are equal
			if addrs = append(addrs, addr); len(addrs) == n {
				return addrs, nil
			}
		}
	}
	return nil, errors.New("cannot find a free port between 20000 and 32000")
}
