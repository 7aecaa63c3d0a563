package node

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"sync"

	"dashi/ring/gossip"
	"dashi/ring/meta"
	"dashi/shard"
	"dashi/shard/group"
	"dashi/shard/transport"
)

// replicaSurvey is what a member says is left of its replica of a shard.
type replicaSurvey struct {
	group.Survey
	by meta.Replica
}

// errTooShort says that a replica's log does not begin early enough to go back to where it would have to.
var errTooShort = errors.New("its log does not go back far enough")

// surveyAll asks every member that is there what is left of its replicas. It is an error as long as one of them still runs its shards or does not answer,
// or less than a majority of the replicas of a shard is known: an entry that was acknowledged may be on the others.
func (n *Node) surveyAll(ctx context.Context, s *meta.State) ([][]replicaSurvey, error) {
	all := make([][]replicaSurvey, len(s.Shards))
	for i := range s.Members {
		m := &s.Members[i]
		r := meta.Replica{Member: m.ID, Incarnation: m.Incarnation}
		if g, ok := n.gossiped(m.ID); r != n.self() && (!ok || g.State != gossip.Alive || g.Meta.Incarnation != m.Incarnation) {
			continue
		}
		surveys, err := n.askSurvey(ctx, r)
		if err != nil {
			return nil, fmt.Errorf("node %s does not say yet what it has: %w", m.ID, err)
		}
		for shard, x := range surveys {
			if shard < len(all) && slices.Contains(s.Shards[shard].Replicas, r) {
				all[shard] = append(all[shard], replicaSurvey{x, r})
			}
		}
	}
	for i := range all {
		if replicas := s.Shards[i].Replicas; len(all[i]) <= len(replicas)/2 {
			var missing []string
			for _, r := range replicas {
				if !slices.ContainsFunc(all[i], func(x replicaSurvey) bool { return x.by == r }) {
					missing = append(missing, r.Member)
				}
			}
			return nil, fmt.Errorf("shard %d has %d of %d replicas: waiting for %s", i, len(all[i]), len(replicas), missing)
		}
	}
	return all, nil
}

// askSurvey asks one member.
func (n *Node) askSurvey(ctx context.Context, r meta.Replica) (surveys map[int]group.Survey, err error) {
	if r == n.self() {
		return n.surveys()
	}
	limited, cancel := context.WithTimeout(ctx, askPatience)
	defer cancel()
	answer, err := n.transport.Call(limited, groupMember(r.Member, r.Incarnation), callSurvey, nil)
	if err == nil {
		err = json.Unmarshal(answer, &surveys)
	}
	return surveys, err
}

// surveys says what is left of the replicas here, when all are closed for a recovery.
func (n *Node) surveys() (map[int]group.Survey, error) {
	s := n.directory.State()
	if !n.recovery.stopped.Load() || !s.Recovering() || len(s.Recovery.Cuts) > 0 {
		return nil, errors.New("it has not closed its shards")
	}
	all := map[int]group.Survey{}
	for i := range s.Shards {
		if !slices.Contains(s.Shards[i].Replicas, n.self()) {
			continue
		}
		x, err := n.host.Survey(groupOf(i, s.Generation))
		if err != nil {
			return nil, err
		}
		all[i] = x
	}
	return all, nil
}

func (n *Node) answerSurvey(context.Context, *transport.Call) ([]byte, error) {
	all, err := n.surveys()
	if err != nil {
		return nil, err
	}
	return json.Marshal(all)
}

// within is the body of callWithin, as JSON.
type within struct {
	Shard  int
	Bounds shard.Bounds
}

// askWithin asks the source of a shard for its last standing within bounds.
func (n *Node) askWithin(ctx context.Context, s *meta.State, source meta.Replica, i int, b *shard.Bounds) (at shard.Standing, err error) {
	if source == n.self() {
		return n.recovery.traces.within(n, s, i, b)
	}
	body, err := json.Marshal(within{i, *b})
	if err != nil {
		return at, err
	}
	answer, err := n.transport.Call(ctx, groupMember(source.Member, source.Incarnation), callWithin, body)
	var remote *transport.RemoteError
	switch {
	case errors.As(err, &remote) && remote.Code == codeTooShort:
		return at, fmt.Errorf("shard %d on node %s: %w", i, source.Member, errTooShort)
	case err != nil:
		return at, err
	}
	return at, json.Unmarshal(answer, &at)
}

func (n *Node) answerWithin(_ context.Context, c *transport.Call) ([]byte, error) {
	var q within
	s := n.directory.State()
	if err := json.Unmarshal(c.Body, &q); err != nil || q.Shard < 0 || q.Shard >= len(s.Shards) ||
		len(q.Bounds.Sent) != len(s.Shards) || len(q.Bounds.Taken) != len(s.Shards) {
		return nil, errAnswer
	}
	if !n.recovery.stopped.Load() {
		return nil, errors.New("it has not closed its shards")
	}
	at, err := n.recovery.traces.within(n, s, q.Shard, &q.Bounds)
	if errors.Is(err, errTooShort) {
		return nil, &transport.RemoteError{Code: codeTooShort, Text: err.Error()}
	}
	if err != nil {
		return nil, err
	}
	return json.Marshal(at)
}

// traces holds the traces of the replicas here. Each is made when it is first asked for, by going through the log once.
type traces struct {
	mu         sync.Mutex
	generation uint64 // that the replicas are of
	by         map[int]*shard.Trace
}

func (t *traces) within(n *Node, s *meta.State, i int, b *shard.Bounds) (at shard.Standing, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.generation != s.Generation {
		t.generation, t.by = s.Generation, nil
	}
	trace := t.by[i]
	if trace == nil {
		h := n.detached(i)
		defer func() { h.shard.Close() }()
		err := n.host.Replay(groupOf(i, s.Generation), h, math.MaxUint64, func(index uint64) {
			if trace == nil {
				trace = shard.NewTrace(len(s.Shards), index, h.shard)
			} else {
				trace.Note(index, h.shard)
			}
		})
		if err != nil {
			return at, err
		}
		if t.by == nil {
			t.by = map[int]*shard.Trace{}
		}
		t.by[i] = trace
	}
	at, ok := trace.Within(b)
	if !ok {
		return at, fmt.Errorf("shard %d: %w", i, errTooShort)
	}
	return at, nil
}
