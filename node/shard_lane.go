package node

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"time"

	"dashi/shard"
	"dashi/shard/group"
	"dashi/shard/transport"
)

// lane carries batches to the shard's leader on another node: one call at a time, with everything that has gathered meanwhile, so that they
// arrive in order and a call is shared by many.
type lane struct {
	n *Node
	h *shardHost

	mu      sync.Mutex
	room    sync.Cond // waiting has become less
	queue   []waiting
	bytes   int
	running bool
}

type waiting struct {
	entry []byte
	done  func(index uint64, result any, err error)
}

// Limits of what one call carries, and of what may wait for one: as much as a group takes itself.
const (
	laneEntries = 64
	laneBytes   = 1 << 20
	laneWaiting = 8 << 20
	laneTimeout = 10 * time.Second
	leaderPause = 20 * time.Millisecond // how long the intake waits after a batch found no leader
)

func newLane(n *Node, h *shardHost) *lane {
	l := &lane{n: n, h: h}
	l.room.L = &l.mu
	return l
}

// submit proposes an entry to the shard's leader, wherever that is. It is group.Propose, but done is also called with what another node answers.
func (h *shardHost) submit(entry []byte, done func(index uint64, result any, err error)) error {
	if g := h.group.Load(); g != nil {
		err := g.Propose(entry, done)
		if err == nil || !errors.Is(err, group.ErrNotLeader) && !(errors.Is(err, group.ErrClosed) && h.lane.n.running.Err() == nil) {
			return err
		}
	}
	h.lane.add(waiting{entry, done})
	return nil
}

// add queues an entry. It blocks while too much waits.
func (l *lane) add(w waiting) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for len(l.queue) > 0 && l.bytes+len(w.entry) > laneWaiting {
		l.room.Wait()
	}
	l.queue = append(l.queue, w)
	l.bytes += len(w.entry)
	if !l.running {
		l.running = true
		l.n.calling.Go(l.run)
	}
}

// run sends until nothing waits.
func (l *lane) run() {
	var body []byte
	for {
		batch := l.take()
		if len(batch) == 0 {
			return
		}
		body = binary.LittleEndian.AppendUint32(body[:0], l.h.id)
		for _, w := range batch {
			body = binary.LittleEndian.AppendUint32(body, uint32(len(w.entry)))
			body = append(body, w.entry...)
		}
		answer, err := l.send(body)
		for i := range batch {
			var o outcome
			if err == nil {
				if o, answer, err = readOutcome(answer); err == nil {
					l.n.learn(l.h, o.err)
					batch[i].done(o.index, &o.result, o.err)
					continue
				}
			}
			batch[i].done(0, nil, err)
		}
	}
}

// take takes the next entries off the queue, and ends the run when there is none.
func (l *lane) take() []waiting {
	l.mu.Lock()
	defer l.mu.Unlock()
	n, bytes := 0, 0
	for n < len(l.queue) && n < laneEntries && (n == 0 || bytes+len(l.queue[n].entry) <= laneBytes) {
		bytes += len(l.queue[n].entry)
		n++
	}
	batch := append([]waiting(nil), l.queue[:n]...)
	l.queue = append(l.queue[:0], l.queue[n:]...)
	l.bytes -= bytes
	l.running = n > 0
	l.room.Broadcast()
	return batch
}

// send calls the node that leads the shard.
func (l *lane) send(body []byte) ([]byte, error) {
	leader := l.n.leaderOf(l.h)
	if leader == "" || leader == l.n.identity.member() {
		l.n.astray(l.h, leader)
		return nil, &group.NotLeaderError{Group: l.h.id, Leader: leader}
	}
	ctx, cancel := context.WithTimeout(l.n.running, laneTimeout)
	defer cancel()
	answer, err := l.n.transport.Call(ctx, leader, callPropose, body)
	if errors.Is(err, transport.ErrTooLarge) { // it would be too large the next time as well
		return nil, fmt.Errorf("cannot send to the leader of shard %d: %w", l.h.id, err)
	}
	if err != nil {
		l.n.astray(l.h, leader)
		return nil, fmt.Errorf("cannot reach the leader of shard %d: %w", l.h.id, errors.Join(group.ErrUnknown, err))
	}
	return answer, nil
}

// outcome is what became of an entry on another node.
type outcome struct {
	index  uint64
	result shard.Result
	err    error
}

// Codes of an outcome.
const (
	outcomeApplied   = 0
	outcomeNotLeader = 1
	outcomeUnknown   = 2
)

// appendOutcome appends code, index, shard outcome, mark, activations, length of the detail, detail, length of the report, report. With outcomeNotLeader the
// detail is who leads.
func appendOutcome(dst []byte, o *outcome) []byte {
	code, detail := byte(outcomeApplied), o.result.Detail
	var elsewhere *group.NotLeaderError
	switch {
	case errors.As(o.err, &elsewhere):
		code, detail = outcomeNotLeader, elsewhere.Leader
	case o.err != nil:
		code, detail = outcomeUnknown, o.err.Error()
	}
	dst = append(dst, code, byte(o.result.Outcome))
	dst = binary.LittleEndian.AppendUint64(dst, o.index)
	dst = binary.LittleEndian.AppendUint64(dst, uint64(o.result.Mark))
	dst = binary.LittleEndian.AppendUint32(dst, uint32(o.result.Activations))
	dst = append(binary.LittleEndian.AppendUint32(dst, uint32(len(detail))), detail...)
	if o.result.Report == nil {
		return binary.LittleEndian.AppendUint32(dst, 0)
	}
	report := o.result.Report.Append(nil)
	return append(binary.LittleEndian.AppendUint32(dst, uint32(len(report))), report...)
}

var errAnswer = errors.New("the answer of the other node cannot be read")

func readOutcome(src []byte) (o outcome, rest []byte, err error) {
	const head = 2 + 8 + 8 + 4 + 4
	if len(src) < head {
		return o, nil, errAnswer
	}
	n := int(binary.LittleEndian.Uint32(src[22:]))
	if len(src)-head < n {
		return o, nil, errAnswer
	}
	detail := string(src[head : head+n])
	o.index = binary.LittleEndian.Uint64(src[2:])
	o.result = shard.Result{Outcome: shard.Outcome(src[1]), Mark: int64(binary.LittleEndian.Uint64(src[10:])), Activations: int(binary.LittleEndian.Uint32(src[18:]))}
	switch src[0] {
	case outcomeApplied:
		o.result.Detail = detail
	case outcomeNotLeader:
		o.err = &group.NotLeaderError{Leader: detail}
	default:
		o.err = fmt.Errorf("%w: %s", group.ErrUnknown, detail)
	}
	src = src[head+n:]
	if len(src) < 4 || uint32(len(src)-4) < binary.LittleEndian.Uint32(src) {
		return o, nil, errAnswer
	}
	if n = int(binary.LittleEndian.Uint32(src)); n > 0 {
		o.result.Report, err = shard.ReadReport(src[4 : 4+n])
	}
	return o, src[4+n:], err
}

// answerPropose carries out callPropose: it proposes the entries in order and answers when the outcome of all is known.
func (n *Node) answerPropose(body []byte) ([]byte, error) {
	if len(body) < 4 {
		return nil, errAnswer
	}
	id := binary.LittleEndian.Uint32(body)
	if int(id) >= len(n.shards) {
		return nil, fmt.Errorf("there is no shard %d here", id)
	}
	h := n.shards[id]
	g := h.group.Load()
	if g == nil {
		return nil, n.elsewhere(h)
	}
	var outcomes []*outcome
	var wait sync.WaitGroup
	for body = body[4:]; len(body) > 0; {
		if len(body) < 4 || uint32(len(body)-4) < binary.LittleEndian.Uint32(body) {
			break // an entry that is cut off gets no outcome, which the other node notices
		}
		size := 4 + int(binary.LittleEndian.Uint32(body))
		entry := body[4:size:size]
		body = body[size:]
		o := &outcome{}
		outcomes = append(outcomes, o)
		wait.Add(1)
		err := g.Propose(entry, func(index uint64, result any, err error) {
			o.index, o.err = index, err
			if r, ok := result.(*shard.Result); ok {
				o.result = *r
			}
			wait.Done()
		})
		if err != nil {
			o.err = err
			wait.Done()
		}
	}
	wait.Wait()
	var answer []byte
	for _, o := range outcomes {
		answer = appendOutcome(answer, o)
	}
	return answer, nil
}
