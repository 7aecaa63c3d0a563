package node

import (
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
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
	for len(l.queue) > 0 && l.bytes+len(w.entry) > laneWaiting {
		l.room.Wait()
	}
	l.queue = append(l.queue, w)
	l.bytes += len(w.entry)
	began := !l.running
	l.running = true
	l.mu.Unlock()
	if began {
		l.n.calling.Add(1)
		l.send()
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

// send calls the node that leads the shard with what waits, and goes on when that has answered, until nothing waits.
func (l *lane) send() {
	batch := l.take()
	if len(batch) == 0 {
		l.n.calling.Done()
		return
	}
	leader := l.n.leaderOf(l.h)
	if leader == "" || leader == l.n.identity.member() {
		go func() { // who has added an entry does not expect to be told within that
			l.n.astray(l.h, leader)
			l.tell(batch, nil, &group.NotLeaderError{Group: l.h.id, Leader: leader})
			l.send()
		}()
		return
	}
	size := 4
	for _, w := range batch {
		size += 4 + len(w.entry)
	}
	body := binary.LittleEndian.AppendUint32(make([]byte, 0, size), l.h.id)
	for _, w := range batch {
		body = binary.LittleEndian.AppendUint32(body, uint32(len(w.entry)))
		body = append(body, w.entry...)
	}
	l.n.transport.Ask(leader, callPropose, laneTimeout, body, func(answer []byte, err error) {
		switch {
		case errors.Is(err, transport.ErrTooLarge): // it would be too large the next time as well
			err = fmt.Errorf("cannot send to the leader of shard %d: %w", l.h.id, err)
		case err != nil:
			l.n.astray(l.h, leader)
			err = fmt.Errorf("cannot reach the leader of shard %d: %w", l.h.id, errors.Join(group.ErrUnknown, err))
		}
		l.tell(batch, answer, err)
		l.send()
	})
}

// tell tells what became of a batch.
func (l *lane) tell(batch []waiting, answer []byte, err error) {
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

// takeProposals carries out callPropose: it proposes the entries in order, and the last of which the outcome is known has it answered.
func (n *Node) takeProposals(call *transport.Call) {
	if !n.open.Load() {
		call.Answer(nil, errStarting)
		return
	}
	body := call.Body
	if len(body) < 4 {
		call.Answer(nil, errAnswer)
		return
	}
	id := binary.LittleEndian.Uint32(body)
	if int(id) >= len(n.shards) {
		call.Answer(nil, fmt.Errorf("there is no shard %d here", id))
		return
	}
	h := n.shards[id]
	g := h.group.Load()
	if g == nil {
		call.Answer(nil, n.elsewhere(h))
		return
	}
	p := &proposals{call: call}
	for body = body[4:]; len(body) >= 4; {
		size := binary.LittleEndian.Uint32(body)
		if uint32(len(body)-4) < size {
			break // an entry that is cut off gets no outcome, which the other node notices
		}
		p.entries = append(p.entries, body[4:4+size:4+size])
		body = body[4+size:]
	}
	p.outcomes = make([]outcome, len(p.entries))
	p.open.Store(int32(len(p.entries)) + 1)
	for i, entry := range p.entries {
		err := g.Offer(entry, p.done(i))
		if errors.Is(err, group.ErrFull) {
			n.calling.Go(func() { p.wait(g, i) })
			return
		}
		if err != nil {
			p.settle(i, err)
		}
	}
	p.settled()
}

// proposals are entries that another node has sent for a shard.
type proposals struct {
	call     *transport.Call
	entries  [][]byte
	outcomes []outcome
	open     atomic.Int32 // outcomes that are not known, and one more until all are proposed
}

// wait proposes the entries from one on, where a group must be waited for.
func (p *proposals) wait(g *group.Group, from int) {
	for i := from; i < len(p.entries); i++ {
		if err := g.Propose(p.entries[i], p.done(i)); err != nil {
			p.settle(i, err)
		}
	}
	p.settled()
}

func (p *proposals) done(i int) func(index uint64, result any, err error) {
	return func(index uint64, result any, err error) {
		o := &p.outcomes[i]
		o.index = index
		if r, ok := result.(*shard.Result); ok {
			o.result = *r
		}
		p.settle(i, err)
	}
}

// settle notes that an outcome is known.
func (p *proposals) settle(i int, err error) {
	p.outcomes[i].err = err
	p.settled()
}

func (p *proposals) settled() {
	if p.open.Add(-1) > 0 {
		return
	}
	var answer []byte
	for i := range p.outcomes {
		answer = appendOutcome(answer, &p.outcomes[i])
	}
	p.call.Answer(answer, nil)
}
