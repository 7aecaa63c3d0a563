package node

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"dashi/node/httpapi"
	"dashi/pipeline/say"
	"dashi/shard/group"
	"dashi/shard/transport"
)

// question is one thing to be asked about one shard, here or on another node. The function that answers a kind says what its body and its answer are.
type question struct {
	kind  questionKind
	shard int
	body  []byte

	answer []byte
	err    error
	by     string // the member of groups that answered
	behind uint64 // entries that it is known to be behind its leader
	tried  []string
}

type questionKind byte

// The kinds of question. A number is never reused.
const (
	askLook    questionKind = 1  // a profile: lookup_anywhere.go
	askPage    questionKind = 2  // profiles of an audience, or for which a condition is true: lookup_pages.go
	askCount   questionKind = 3  // how many there are: lookup_query.go
	askSizes   questionKind = 4  // sizes of audiences: lookup_counts.go
	askReport  questionKind = 5  // what there is to know about a shard: shard_report.go
	askMarks   questionKind = 6  // how far it is with a stream: shard_report.go
	askLevels  questionKind = 7  // which thresholds of audiences it knows: thresholds.go
	askNumbers questionKind = 8  // the numbers that thresholds are computed from: thresholds.go
	askFlows   questionKind = 9  // what has been counted of an audience: lookup_counts.go
	askMoved   questionKind = 10 // how many entered and left each audience: lookup_counts.go
	askSent    questionKind = 11 // what has been counted of activations: lookup_counts.go
	askRefuses questionKind = 12 // whether it would take another cookbook: cookbook_refuses.go
)

// toAll are questions of one kind, with the same body, about all shards, in order.
func (n *Node) toAll(kind questionKind, body []byte) []*question {
	questions := make([]*question, len(n.shards))
	for i := range questions {
		questions[i] = &question{kind: kind, shard: i, body: body}
	}
	return questions
}

// answerOne answers a question about a shard that the replica here may answer.
func (n *Node) answerOne(ctx context.Context, level readLevel, h *shardHost, q *question) ([]byte, error) {
	switch q.kind {
	case askLook:
		return n.answerLook(ctx, level, q.body)
	case askPage:
		return n.answerPage(ctx, h, q.body)
	case askCount:
		return n.answerCount(ctx, h, q.body)
	case askSizes:
		return h.answerSizes(q.body)
	case askReport:
		return h.answerReport(q.body)
	case askMarks:
		return h.answerMarks(q.body)
	case askFlows:
		return h.answerFlows(q.body)
	case askMoved:
		return h.answerMoved(q.body)
	case askSent:
		return h.answerSent(q.body)
	case askRefuses:
		return h.answerRefuses(q.body)
	case askLevels:
		return n.answerLevels(h)
	case askNumbers:
		return n.answerNumbers(h, q.body)
	}
	return nil, &refusal{"nobody knows such a question"}
}

// Limits of asking.
const (
	askPatience = time.Second            // of one attempt: a node that is stopped is given up, another asked
	askLocally  = 250 * time.Millisecond // of one attempt when any replica will do
	askPause    = 5 * time.Millisecond   // between two attempts when nobody leads
	askBytes    = 3 << 20                // of one call, and of its answer; the rest goes with the next call
	askText     = 200                    // bytes of an error that travel
)

// inquire has every question answered: here if possible, all others in one call for each node. A node that cannot answer says who can; one that does not
// answer is passed over for another replica, until ctx is done. A question that could not be answered has an err, which is httpapi.ErrUnavailable unless a
// node has refused it (refusal); the errors of the first few are returned.
func (n *Node) inquire(ctx context.Context, level readLevel, questions []*question) error {
	open := questions
	for len(open) > 0 {
		calls := map[string][]*question{}
		for _, q := range open {
			to := n.reader(n.shards[q.shard], level, q.tried)
			calls[to] = append(calls[to], q)
		}
		var wait sync.WaitGroup
		for to, some := range calls {
			for _, part := range parcels(some) {
				wait.Go(func() { n.inquireOf(ctx, to, level, part) })
			}
		}
		wait.Wait()
		open = slices.DeleteFunc(slices.Clone(open), (*question).over)
		if ctx.Err() != nil {
			break
		}
		if slices.ContainsFunc(open, func(q *question) bool { return len(q.tried) > 1 }) {
			select { // at least two nodes have been asked in vain: somebody is about to lead
			case <-ctx.Done():
			case <-time.After(askPause):
			}
		}
	}
	var errs []error
	for _, q := range questions {
		if q.err != nil {
			if !q.over() {
				q.err = fmt.Errorf("%w: shard %d: %w", httpapi.ErrUnavailable, q.shard, q.err)
			}
			errs = append(errs, q.err)
		}
	}
	if len(errs) > 3 {
		errs = append(errs[:3], fmt.Errorf("and %s", say.Count(len(errs)-3, "more shard")))
	}
	return errors.Join(errs...)
}

// parcels cuts questions for one node into calls.
func parcels(all []*question) (parts [][]*question) {
	from, bytes := 0, 0
	for i, q := range all {
		if bytes += len(q.body) + 16; bytes > askBytes && i > from {
			parts, from, bytes = append(parts, all[from:i]), i, len(q.body)+16
		}
	}
	return append(parts, all[from:])
}

// Statuses of an answer.
const (
	answered  = 0 // entries behind, length, answer
	notHere   = 1 // length, route as JSON
	notNow    = 2 // length, error: ask again
	cutOff    = 3 // this and all that follow: ask again at once
	refusedIt = 4 // length, error: nobody will answer it
)

// inquireOf asks one node, which may be this one, and notes its answers in the questions.
func (n *Node) inquireOf(ctx context.Context, to string, level readLevel, questions []*question) {
	fail := func(qs []*question, err error) {
		for _, q := range qs {
			q.err = err
			q.tried = append(q.tried, to)
			if to != n.identity.member() && level != readLocal {
				n.astray(n.shards[q.shard], to)
			}
		}
	}
	if to == "" {
		fail(questions, errors.New("no replica is known"))
		return
	}
	var answer []byte
	if to == n.identity.member() {
		answer = n.answerAll(ctx, level, questions)
	} else {
		patience := askPatience
		switch kind := questions[0].kind; {
		case kind == askCount || kind == askReport || kind == askRefuses: // they may read all profiles
			patience = time.Hour
		case kind == askLook && level == readLocal:
			patience = askLocally * time.Duration(1+len(questions[0].tried)) // a profile may be long
		}
		limited, cancel := context.WithTimeout(ctx, patience)
		defer cancel()
		var err error
		if answer, err = n.transport.Call(limited, to, callAsk, appendQuestions([]byte{byte(level)}, questions)); err != nil {
			fail(questions, fmt.Errorf("node %s: %w", nodeOf(to), err))
			return
		}
	}
	for i, q := range questions {
		if len(answer) == 0 {
			fail(questions[i:], errAnswer)
			return
		}
		status := answer[0]
		if status == cutOff {
			for _, q := range questions[i:] {
				q.err = errCutOff
			}
			return
		}
		var body []byte
		var behind uint64
		var err error
		if answer = answer[1:]; status == answered {
			behind, answer, err = readUvarint(answer)
		}
		if err == nil {
			body, answer, err = readBytes(answer)
		}
		if err != nil {
			fail(questions[i:], err)
			return
		}
		n.take(q, to, status, body, behind)
	}
}

var errCutOff = errors.New("the answer was too long")

// take notes one answer.
func (n *Node) take(q *question, by string, status byte, body []byte, behind uint64) {
	h := n.shards[q.shard]
	switch status {
	case answered:
		q.answer, q.err, q.by, q.behind = body, nil, by, behind
		return
	case refusedIt:
		q.err, q.by = &refusal{string(body)}, by
		return
	case notHere:
		var r route
		if json.Unmarshal(body, &r) == nil {
			n.learnRoute(h, r)
		}
		q.err = fmt.Errorf("node %s does not answer for it", nodeOf(by))
	default:
		q.err = fmt.Errorf("node %s: %s", nodeOf(by), body)
	}
	q.tried = append(q.tried, by)
}

// over says whether the question need not be asked again: it has been answered or refused.
func (q *question) over() bool {
	var refused *refusal
	return q.err == nil || errors.As(q.err, &refused)
}

// refusal is an answer that another node would give as well.
type refusal struct{ text string }

func (e *refusal) Error() string { return e.text }

func appendQuestions(dst []byte, questions []*question) []byte {
	for _, q := range questions {
		dst = binary.AppendUvarint(append(dst, byte(q.kind)), uint64(q.shard))
		dst = appendBytes(dst, q.body)
	}
	return dst
}

// answerAsk answers callAsk.
func (n *Node) answerAsk(ctx context.Context, call *transport.Call) ([]byte, error) {
	if len(call.Body) == 0 || readLevel(call.Body[0]) > readLinearizable {
		return nil, errAnswer
	}
	var questions []*question
	for src := call.Body[1:]; len(src) > 0; {
		q := &question{kind: questionKind(src[0])}
		shard, rest, err := readUvarint(src[1:])
		if err != nil || shard >= uint64(len(n.shards)) {
			return nil, errAnswer
		}
		q.shard = int(shard)
		if q.body, src, err = readBytes(rest); err != nil {
			return nil, err
		}
		questions = append(questions, q)
	}
	return n.answerAll(ctx, readLevel(call.Body[0]), questions), nil
}

// answerAll answers questions from the replicas here.
func (n *Node) answerAll(ctx context.Context, level readLevel, questions []*question) (dst []byte) {
	confirmed := n.confirmAll(ctx, level, questions)
	for i, q := range questions {
		h := n.shards[q.shard]
		if i > 0 && len(dst) > askBytes {
			return append(dst, cutOff)
		}
		err := confirmed[q.shard]
		if err == nil && !n.canAnswer(h, level) {
			err = errNotHere
		}
		var answer []byte
		if err == nil {
			answer, err = n.answerOne(ctx, level, h, q)
			if !n.canAnswer(h, level) { // the replica may have gone while it was read: an empty one has no answer
				err = errNotHere
			}
		}
		var refused *refusal
		switch {
		case err == nil:
			dst = binary.AppendUvarint(append(dst, answered), n.behind(h))
			dst = appendBytes(dst, answer)
		case errors.Is(err, errNotHere) || errors.Is(err, group.ErrNotLeader):
			text, _ := json.Marshal(n.routeOf(h)) // it has nothing that cannot be written
			dst = appendBytes(append(dst, notHere), text)
		case errors.As(err, &refused):
			dst = appendBytes(append(dst, refusedIt), []byte(refused.text))
		default:
			text := strings.ToValidUTF8(err.Error(), "")
			dst = appendBytes(append(dst, notNow), []byte(text[:min(len(text), askText)]))
		}
	}
	return dst
}

var errNotHere = errors.New("the shard is not here")

// confirmAll has the groups of all shards in question say that their leaders here lead, if level wants that.
func (n *Node) confirmAll(ctx context.Context, level readLevel, questions []*question) map[int]error {
	if level != readLinearizable {
		return nil
	}
	var shards []int
	for _, q := range questions {
		shards = append(shards, q.shard)
	}
	slices.Sort(shards)
	confirmed := map[int]error{}
	var mu sync.Mutex
	var wait sync.WaitGroup
	for _, shard := range slices.Compact(shards) {
		wait.Go(func() {
			err := n.confirm(ctx, n.shards[shard])
			mu.Lock()
			defer mu.Unlock()
			confirmed[shard] = err
		})
	}
	wait.Wait()
	return confirmed
}

// confirm returns when a read of the replica here is linearizable.
func (n *Node) confirm(ctx context.Context, h *shardHost) error {
	g := h.group.Load()
	if g == nil {
		return errNotHere
	}
	return g.Read(ctx)
}

func appendBytes(dst, b []byte) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(b))), b...)
}

func readUvarint(src []byte) (v uint64, rest []byte, err error) {
	v, k := binary.Uvarint(src)
	if k <= 0 {
		return 0, nil, errAnswer
	}
	return v, src[k:], nil
}

func readBytes(src []byte) (b, rest []byte, err error) {
	size, src, err := readUvarint(src)
	if err != nil || size > uint64(len(src)) {
		return nil, nil, errAnswer
	}
	return src[:size:size], src[size:], nil
}
