package node

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"sync"
	"time"

	"dashi/shard/group"
	"dashi/shard/transport"
)

// How fresh an answer must be: ?read= of whatever is read over HTTP. Every node has a replica of every shard, so it is never asked elsewhere: a read that must be
// fresh waits until the replicas here have what their leaders had when it came.
const (
	readLocal        = "local"        // as the replicas here are, the default
	readLeader       = "leader"       // as those were that say that they lead
	readLinearizable = "linearizable" // the same, after a majority has confirmed each: nothing that was acknowledged before is missing
)

// Headers of answers.
const (
	headerNode   = "Dashi-Node"   // who answered
	headerRead   = "Dashi-Read"   // local, leader or linearizable
	headerBehind = "Dashi-Behind" // of a local read: by how many entries the shard here that lags most is known to be behind its leader
)

// freshTimeout is how long a read waits for replicas to be as fresh as it wants.
const freshTimeout = 5 * time.Second

// consistent sees to it that what h reads is as fresh as was asked for.
func (n *Node) consistent(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mode := readLocal
		if r.URL.RawQuery != "" {
			if asked := r.URL.Query().Get("read"); asked != "" {
				mode = asked
			}
		}
		switch mode {
		case readLocal:
			if n.gossip != nil {
				w.Header().Set(headerBehind, strconv.FormatUint(n.behindMost(), 10))
			}
		case readLeader, readLinearizable:
			ctx, cancel := context.WithTimeout(r.Context(), freshTimeout)
			err := n.freshen(ctx, mode == readLinearizable)
			cancel()
			if err != nil {
				refuse(w, http.StatusServiceUnavailable, "unavailable", "read="+mode+": "+err.Error())
				return
			}
		default:
			refuse(w, http.StatusBadRequest, "bad_request", fmt.Sprintf("read=%s is neither %s, %s nor %s", mode, readLocal, readLeader, readLinearizable))
			return
		}
		w.Header().Set(headerRead, mode)
		w.Header().Set(headerNode, n.identity.Node)
		h.ServeHTTP(w, r)
	})
}

// refuse answers with an error in the form of the HTTP interface.
func refuse(w http.ResponseWriter, status int, code, text string) {
	body, _ := json.Marshal(map[string]any{"error": map[string]string{"code": code, "message": text}})
	w.Header().Set("Content-Type", "application/json")
	if status == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", "1")
	}
	w.WriteHeader(status)
	_, _ = w.Write(append(body, '\n'))
}

// freshen waits until the replicas here have everything that their leaders have now. With confirm, a majority of each group has said that its leader
// leads. A shard whose leadership is changing hands is waited for.
func (n *Node) freshen(ctx context.Context, confirm bool) error {
	for {
		err := n.freshenOnce(ctx, confirm)
		if !errors.Is(err, group.ErrNotLeader) {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(leaderPause):
		}
	}
}

func (n *Node) freshenOnce(ctx context.Context, confirm bool) error {
	want := make([]uint64, len(n.members))
	led := make([]bool, len(n.members))
	var mu sync.Mutex
	note := func(levels []level) {
		mu.Lock()
		defer mu.Unlock()
		for i, l := range levels {
			if l.leads {
				led[i], want[i] = true, max(want[i], l.applied)
			}
		}
	}
	var wait sync.WaitGroup
	for _, member := range n.others() {
		wait.Go(func() {
			answer, err := n.transport.Call(ctx, member, callFresh, []byte{bit(confirm)})
			if err != nil {
				return // what it leads, another leads soon, or has not answered for
			}
			if p, err := readLevels(answer, len(n.members)); err == nil {
				note(p.shards)
			}
		})
	}
	note(n.freshLevels(ctx, confirm))
	wait.Wait()
	for i, m := range n.members {
		if !led[i] {
			return &group.NotLeaderError{Group: m.id}
		}
		if err := m.group.WaitApplied(ctx, want[i]); err != nil {
			return fmt.Errorf("shard %d: %w", i, err)
		}
	}
	return nil
}

// freshLevels are those of the shards that this node leads; with confirm, of those whose groups agree.
func (n *Node) freshLevels(ctx context.Context, confirm bool) []level {
	levels := n.levels()
	if !confirm {
		return levels
	}
	var wait sync.WaitGroup
	for i := range levels {
		if l := &levels[i]; l.leads {
			wait.Go(func() {
				l.leads = n.members[i].group.Read(ctx) == nil
				l.applied = n.members[i].group.Applied()
			})
		}
	}
	wait.Wait()
	return levels
}

// answerFresh answers callFresh.
func (n *Node) answerFresh(ctx context.Context, call *transport.Call) ([]byte, error) {
	if len(call.Body) != 1 {
		return nil, errors.New("a byte says whether to confirm")
	}
	return appendLevels([]byte{bit(n.hub.listening())}, n.freshLevels(ctx, call.Body[0] == 1)), nil
}

// behind is how many entries this replica is behind what its leader last said.
func (n *Node) behind(m *member) uint64 {
	if m.leads() {
		return 0
	}
	leader, applied := leaderOf(m.group), m.group.Applied()
	n.heard.mu.Lock()
	defer n.heard.mu.Unlock()
	if p := n.heard.by[leader]; p != nil && p.shards[m.id].applied > applied {
		return p.shards[m.id].applied - applied
	}
	return 0
}

func (n *Node) behindMost() (most uint64) {
	for _, m := range n.members {
		most = max(most, n.behind(m))
	}
	return most
}
