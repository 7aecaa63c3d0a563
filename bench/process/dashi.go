package process

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// Dashi is a running node: `dashi dev`, or one of a Cluster.
type Dashi struct {
	*Child
	ID     string // in a cluster
	HTTP   string // host:port
	RESP   string
	Kafka  string
	client *http.Client

	profiles string // as of Program
}

// startLimit is how long dashi may take until it is ready: it opens a broker with gigabytes in it.
const startLimit = time.Minute

// Program is the dashi that is measured.
type Program struct {
	Path     string
	Profiles string // a directory for processor profiles of its nodes; empty: none are taken
}

// StartDashi starts it on a data directory, with the recipes and without demo traffic, and returns when it is ready.
func StartDashi(ctx context.Context, p Program, data, recipes string) (*Dashi, error) {
	addrs, err := freeAddrs(3)
	if err != nil {
		return nil, err
	}
	d := &Dashi{HTTP: addrs[0], RESP: addrs[1], Kafka: addrs[2], client: &http.Client{}, profiles: p.Profiles}
	args := []string{"dev", "--demo", "0", "--data", data, "--recipes", recipes, "--http", d.HTTP, "--resp", d.RESP, "--kafka", d.Kafka}
	if p.Profiles != "" {
		args = append(args, "--debug")
	}
	d.Child, err = Start(ctx, p.Path, args...)
	if err != nil {
		return nil, err
	}
	if err := d.awaitReady(ctx); err != nil {
		d.Stop() // err says more
		return nil, err
	}
	return d, nil
}

// awaitReady returns when the node is ready. From then on its profiles are taken, if they are.
func (d *Dashi) awaitReady(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	err := d.until(ctx, "not ready", func() bool {
		r, err := d.client.Get("http://" + d.HTTP + "/readyz")
		if err != nil {
			return false
		}
		r.Body.Close()
		return r.StatusCode == http.StatusOK
	})
	if err == nil && d.profiles != "" {
		go d.profile(d.profiles)
	}
	return err
}

// KafkaDir is where a data directory keeps the embedded broker's topics.
func KafkaDir(data string) string { return filepath.Join(data, "kafka") }

// Status is what the benchmarks read of GET /v1/status.
type Status struct {
	Version  string   `json:"version"`
	Trouble  []string `json:"trouble"`
	Profiles int      `json:"profiles"`
	Events   struct {
		Applied  uint64            `json:"applied"`
		Repeated uint64            `json:"repeated"`
		Rejected map[string]uint64 `json:"rejected"`
		HeldBack string            `json:"held_back"`
	} `json:"events"`
	Activations struct {
		Made      uint64 `json:"made"`
		Published uint64 `json:"published"`
		Waiting   uint64 `json:"waiting"`
	} `json:"activations"`
	Clock struct {
		Timers int `json:"timers"`
	} `json:"clock"`
	Latency struct {
		P50 float64 `json:"p50_ms"`
		P99 float64 `json:"p99_ms"`
	} `json:"latency"`
	Cookbook struct {
		Attributes int `json:"attributes"`
		Audiences  int `json:"audiences"`
	} `json:"cookbook"`
	Nodes []struct {
		ID       string `json:"id"`
		Replicas int    `json:"replicas"`
	} `json:"nodes"`
	Directory struct {
		Moves []any `json:"moves"`
	} `json:"directory"`
	Shards []ShardStatus `json:"shards"`
}

// ShardStatus is one shard: of the replica on the node that answers, if it has one.
type ShardStatus struct {
	ID       int             `json:"id"`
	Leader   string          `json:"leader"` // a node; empty: none is known
	Index    uint64          `json:"index"`  // of the last entry applied
	Hash     string          `json:"hash"`   // of the state, when it was asked for
	Replicas []ReplicaStatus `json:"replicas"`
}

// ReplicaStatus is one replica of a shard.
type ReplicaStatus struct {
	Node   string `json:"node"`
	Lag    uint64 `json:"lag"`    // entries that it is behind the leader
	Silent bool   `json:"silent"` // its node does not answer
}

// Holds says whether a node has a replica of the shard.
func (s *ShardStatus) Holds(node string) bool {
	for _, r := range s.Replicas {
		if r.Node == node {
			return true
		}
	}
	return false
}

// Entries is how many log entries the shards have applied.
func (s *Status) Entries() (n uint64) {
	for i := range s.Shards {
		n += s.Shards[i].Index
	}
	return n
}

// Lost says how many events did not count, and why; empty when all did.
func (s *Status) Lost() string {
	var lost []string
	if s.Events.Repeated > 0 {
		lost = append(lost, fmt.Sprintf("%d repeated", s.Events.Repeated))
	}
	for _, reason := range slices.Sorted(maps.Keys(s.Events.Rejected)) {
		if n := s.Events.Rejected[reason]; n > 0 {
			lost = append(lost, fmt.Sprintf("%d rejected: %s", n, reason))
		}
	}
	return strings.Join(lost, ", ")
}

// Status asks for it.
func (d *Dashi) Status(ctx context.Context) (*Status, error) { return d.status(ctx, "") }

// StatusWithHashes asks for it with the state hash of every shard, for which the node reads all its profiles.
func (d *Dashi) StatusWithHashes(ctx context.Context) (*Status, error) {
	return d.status(ctx, "?hashes=true")
}

// WaitIdle returns when everything that was in Kafka has been applied and sent, or after the limit with an error.
func (d *Dashi) WaitIdle(ctx context.Context, limit time.Duration) (*Status, error) {
	return d.status(ctx, "?wait=idle&timeout="+limit.String())
}

func (d *Dashi) status(ctx context.Context, query string) (*Status, error) {
	r, err := http.NewRequestWithContext(ctx, "GET", "http://"+d.HTTP+"/v1/status"+query, nil)
	if err != nil {
		return nil, err
	}
	answer, err := d.client.Do(r)
	if err != nil {
		if ended := d.Exited(); ended != nil {
			return nil, ended
		}
		return nil, fmt.Errorf("cannot ask dashi for its status: %w", err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		return nil, fmt.Errorf("cannot read dashi's status: %w", err)
	}
	if answer.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("dashi answers %s to /v1/status%s: %s", answer.Status, query, strings.TrimSpace(string(body)))
	}
	st := &Status{}
	if err := json.Unmarshal(body, st); err != nil {
		return nil, fmt.Errorf("cannot read dashi's status: %w", err)
	}
	return st, nil
}

// WaitApplied polls until n events have been applied since the data directory was made. A look costs the node a millisecond: there are some while most
// is still to come, and one each four pollIntervals towards the end.
func (d *Dashi) WaitApplied(ctx context.Context, n uint64) (*Status, error) {
	for begin, first := time.Now(), uint64(0); ; {
		st, err := d.Status(ctx)
		if err != nil {
			return nil, err
		}
		if st.Events.Applied >= n {
			return st, nil
		}
		if lost := st.Lost(); lost != "" {
			return nil, fmt.Errorf("events do not count: %s", lost)
		}
		if first == 0 {
			begin, first = time.Now(), st.Events.Applied
		}
		left := time.Duration(0) // at the pace so far
		if done := st.Events.Applied - first; first > 0 && done > 0 {
			left = time.Duration(float64(time.Since(begin)) * float64(n-st.Events.Applied) / float64(done))
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("%d of %d events applied: %w", st.Events.Applied, n, ctx.Err())
		case <-time.After(min(max(4*pollInterval, left/4), time.Second)):
		}
	}
}
