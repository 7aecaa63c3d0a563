package node

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"dashi/node/cookbook"
	"dashi/pipeline/event"
	"dashi/pipeline/kafka"
	"dashi/ring"
	"dashi/shard"
	"dashi/shard/group"
)

// Limits of one batch: small enough that a look-up never waits long for the shard's lock (a batch takes about
// 0.2 ms to apply), large enough that the cost of an entry does not show.
const (
	batchEvents = 256
	batchBytes  = 64 << 10
)

// A shard for which a stream has no events is told by an empty batch which offsets it is past: after levelSilence while other shards have some, and at the
// next tick when none have come at all for streamSilence.
const (
	levelSilence  = time.Second
	streamSilence = 100 * time.Millisecond
)

// intake turns Kafka records into batches for the shards. It is the source's Handler: its calls never overlap.
type intake struct {
	n      *Node
	log    *slog.Logger
	batch  []*proposal // by shard: the batch being filled; nil for none
	sent   []int64     // by shard: of the stream that Records is at
	event  event.Event
	calls  sync.Mutex // held while Records runs, and by whoever rewinds instead of it
	mu     sync.Mutex // guards inputs, the map
	inputs map[kafka.Stream]*input
	pool   sync.Pool    // of *proposal
	free   atomic.Int64 // when hold last found nothing that holds the intake back, in Unix nanoseconds; 0: look again, for a batch was not accepted
	counts counts
	// stretches of time for which it was held back, for the log.
	stretches stretches
}

// counts are the intake's metrics.
type counts struct {
	events, bytes atomic.Uint64
	rejected      rejections
	resent        atomic.Uint64 // rewinds: gaps, full outboxes, changed cookbooks
	held          atomic.Int64  // nanoseconds held back
	holding       atomic.Pointer[string]
}

// rejections counts dead letters by reason.
type rejections struct {
	mu sync.Mutex
	by map[event.Reason]uint64
}

func (r *rejections) add(reason event.Reason) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.by == nil {
		r.by = map[event.Reason]uint64{}
	}
	r.by[reason]++
}

func (r *rejections) all() map[string]uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	all := make(map[string]uint64, len(r.by))
	for reason, n := range r.by {
		all[string(reason)] = n
	}
	return all
}

// input is one stream that this node consumes.
type input struct {
	stream kafka.Stream
	id     shard.Stream
	format *cookbook.Format

	mu       sync.Mutex
	read     int64       // last offset handed over by the source
	seen     int64       // the greatest value that read has had: what is at or below has been counted, and its dead letters written
	came     time.Time   // when the source last handed something over
	sent     []int64     // by shard: last offset of the newest batch proposed
	told     []time.Time // by shard: when that batch was proposed
	progress []progress
	resend   bool   // start again from the marks of the shards in failed
	failed   []bool // by shard: a batch was not accepted, so those that follow it are not either
	limit    int64  // the last offset that the shards take, when that was last looked at: see steer
}

// progress is how far one shard is with one stream.
type progress struct {
	mark    int64     // applied
	durable int64     // survives a power cut
	pending []applied // not known to be durable, oldest first
}

// applied is a mark, and the log index of the entry that set it.
type applied struct {
	index uint64
	mark  int64
}

// proposal is a batch on its way. It is reused: buffers are large.
type proposal struct {
	shard.Batch
	in      *input
	host    *shardHost
	fetched time.Time
	done    func(index uint64, result any, err error) // p.applied, bound once
	events  int
	intake  *intake
}

func newIntake(n *Node) *intake {
	k := &intake{n: n, log: n.log, batch: make([]*proposal, len(n.shards)), sent: make([]int64, len(n.shards)), inputs: map[kafka.Stream]*input{}}
	k.pool.New = func() any {
		p := &proposal{intake: k}
		p.done = p.applied
		return p
	}
	return k
}

// Assigned prepares for streams that this node consumes from now on; next are the offsets at which the consumer group goes on. If a shard has less than the
// group has committed (its log has lost its end, or the data directory is new), the stream begins where that shard is. A shard that cannot be asked is taken
// to have what was committed: if that is wrong, it answers the first batch with its mark.
func (k *intake) Assigned(streams []kafka.Stream, next []int64) {
	for i, s := range streams {
		id := streamID(s)
		in := &input{
			stream:   s,
			id:       id,
			format:   k.n.kafka.formats[s.Name],
			sent:     make([]int64, len(k.n.shards)),
			told:     make([]time.Time, len(k.n.shards)),
			failed:   make([]bool, len(k.n.shards)),
			progress: make([]progress, len(k.n.shards)),
		}
		from := next[i]
		for j, mark := range k.n.marks(k.n.running, id) {
			if mark == markUnknown {
				mark = next[i] - 1
			}
			from = min(from, mark+1)
			in.progress[j] = progress{mark: mark, durable: min(mark, next[i]-1)}
			if l := k.n.shards[j].reach(); mark >= 0 && l.answers {
				in.progress[j].pending = append(in.progress[j].pending, applied{l.applied, mark})
			}
		}
		in.read, in.seen = from-1, from-1
		for j := range in.sent {
			in.sent[j] = from - 1
		}
		in.limit = k.limit(in)
		if from < next[i] {
			k.n.kafka.source.Seek(s, from)
		}
		if in.read >= in.limit {
			k.n.kafka.source.Pause(s)
		}
		k.mu.Lock()
		k.inputs[s] = in
		k.mu.Unlock()
		in.mu.Lock()
		if limit := k.limit(in); limit != in.limit { // since it was looked at, and steer did not know of this stream
			in.limit = limit
			in.failAll()
		}
		in.mu.Unlock()
		k.log.Info("consuming", "stream", s.String(), "from", from, "committed", next[i])
	}
}

// fail notes that a batch for shard j was not accepted. in.mu is held.
func (in *input) fail(j uint32) { in.failed[j], in.resend = true, true }

// failAll has every shard sent to again from its mark. in.mu is held.
func (in *input) failAll() {
	for j := range in.failed {
		in.fail(uint32(j))
	}
}

// Revoked forgets streams. Batches in flight still arrive, which the marks make harmless. First all shards are brought to the same mark, so that a
// cookbook that routes events to other shards, after a restart, finds nothing half applied.
func (k *intake) Revoked(streams []kafka.Stream) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, s := range streams {
		if in := k.inputs[s]; in != nil {
			k.level(in)
			in.mu.Lock()
			in.advance(k.n)
			in.commit(k.n)
			in.mu.Unlock()
		}
		delete(k.inputs, s)
	}
}

func (k *intake) input(s kafka.Stream) *input {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.inputs[s]
}

// Records decodes a run of records and proposes one batch or more to every shard concerned.
func (k *intake) Records(ctx context.Context, s kafka.Stream, prev, last int64, records []kafka.Record) {
	fetched := time.Now()
	in := k.input(s)
	if in == nil || !k.hold(ctx) {
		return
	}
	k.calls.Lock()
	defer k.calls.Unlock()
	in.mu.Lock()
	read, seen, resend, limit := in.read, in.seen, in.resend, in.limit
	copy(k.sent, in.sent)
	in.mu.Unlock()
	switch {
	case resend:
		k.rewind(ctx, in)
		return
	case read >= limit:
		k.n.kafka.source.Pause(s) // until steer
		return
	case prev > read: // the source went on while we rewound
		k.n.kafka.source.Seek(s, read+1)
		return
	}

	last = min(last, limit)
	program := k.n.cookbook.Load()
	decoder := in.format.Decoder(program.Program)
	for i := range records {
		r := &records[i]
		if r.Offset <= read {
			continue
		}
		if r.Offset > limit {
			break
		}
		again := r.Offset <= seen
		if !again {
			k.counts.events.Add(1)
			k.counts.bytes.Add(uint64(len(r.Value)))
		}
		if err := decoder.Decode(r.Value, r.Millis, &k.event); err != nil {
			if !again {
				k.reject(ctx, in, r, err)
			}
			continue
		}
		j := ring.Shard(k.event.Hash, len(k.batch))
		if r.Offset <= k.sent[j] { // read again for another shard's sake
			continue
		}
		p := k.batch[j]
		if p == nil {
			p = k.begin(in, j, program.Hash, fetched)
		}
		p.Add(r.Offset, &k.event)
		if p.Events() >= batchEvents || p.Len() >= batchBytes {
			k.send(p, j, r.Offset)
		}
	}
	for j, p := range k.batch {
		if p != nil {
			k.send(p, j, last)
		}
	}
	in.mu.Lock()
	in.came = fetched
	in.read = max(in.read, last) // only now: level may tell shards without events about offsets up to read
	in.seen = max(in.seen, last)
	in.mu.Unlock()
	if last == limit { // the other shards need not wait for the next tick
		k.n.kafka.source.Pause(s)
		k.level(in)
	}
}

// limit is the last offset of a stream up to which events come in for now; -1: none do, because the cookbook in force has no decoder for them (another one
// is about to have it).
func (k *intake) limit(in *input) int64 {
	if cookbook.CheckDecoder(in.format.Name, k.n.cookbook.Load().Program) != nil {
		return -1
	}
	return k.n.limit(in.id)
}

// steer makes the streams stop where the shards take no more, because a cookbook is being switched, and go on when they do again.
func (k *intake) steer() {
	for _, in := range k.all() {
		k.calls.Lock()
		limit := k.limit(in)
		in.mu.Lock()
		changed := limit != in.limit
		in.limit = limit
		if changed {
			in.failAll()
		}
		in.mu.Unlock()
		if changed {
			k.rewind(k.n.running, in)
		}
		k.calls.Unlock()
	}
}

// begin opens a batch for shard j.
func (k *intake) begin(in *input, j int, program uint64, fetched time.Time) *proposal {
	in.mu.Lock()
	prev := in.sent[j]
	in.mu.Unlock()
	p := k.proposal(in, j, program, prev, fetched)
	k.batch[j] = p
	return p
}

func (k *intake) proposal(in *input, j int, program uint64, prev int64, fetched time.Time) *proposal {
	p := k.pool.Get().(*proposal)
	p.in, p.host, p.fetched = in, k.n.shards[j], fetched
	p.Begin(program, in.id, prev)
	return p
}

// send proposes the batch of shard j: everything for it up to last.
func (k *intake) send(p *proposal, j int, last int64) {
	k.batch[j] = nil
	p.in.mu.Lock()
	p.in.sent[j] = max(p.in.sent[j], last)
	p.in.told[j] = p.fetched
	p.in.mu.Unlock()
	k.propose(p, last)
}

func (k *intake) propose(p *proposal, last int64) {
	p.events = p.Events()
	if err := p.host.submit(p.Seal(last, k.n.now()), p.done); err != nil {
		p.applied(0, nil, err)
	}
}

// applied runs on the shard's goroutine when the batch has been applied, or will not be.
func (p *proposal) applied(index uint64, result any, err error) {
	k, in := p.intake, p.in
	in.mu.Lock()
	r, _ := result.(*shard.Result)
	switch {
	case err != nil:
		in.fail(p.host.id)
		k.free.Store(0)
		switch {
		case errors.Is(err, group.ErrNotLeader), errors.Is(err, group.ErrUnknown): // another replica takes over: the marks tell what it has
			now := time.Now().UnixNano()
			p.host.stalled.Store(now)
			p.host.waitedFor.Store(now)
		case !errors.Is(err, group.ErrClosed):
			k.log.Error("shard did not take a batch", "shard", p.host.id, "stream", in.stream.String(), "error", err)
		}
	case r.Outcome == shard.Accepted:
		p.host.waitedFor.Store(0)
		pr := &in.progress[p.host.id]
		pr.mark = max(pr.mark, r.Mark)
		pr.pending = append(pr.pending, applied{index, r.Mark})
		k.n.metrics.Applied(time.Since(p.fetched), p.events)
	case r.Outcome == shard.Refused:
		k.log.Error("shard refused a batch", "shard", p.host.id, "stream", in.stream.String(), "detail", r.Detail)
		in.fail(p.host.id)
	default:
		in.fail(p.host.id)
		k.free.Store(0)
		if r.Outcome == shard.Held || r.Outcome == shard.Stale { // wait a little: this node is about to hear of another cookbook
			p.host.stalled.Store(time.Now().UnixNano())
		}
	}
	in.mu.Unlock()
	k.pool.Put(p)
}

// rewind starts a stream again from the lowest mark of the shards that failed. What the others were sent is on its way to them, and they are not sent it
// again: a leader that changes costs the log of one shard. If a shard that failed cannot be asked, that is left for later. calls is held.
func (k *intake) rewind(ctx context.Context, in *input) {
	marks := k.n.marks(ctx, in.id)
	in.mu.Lock()
	defer in.mu.Unlock()
	from := in.read + 1
	for j, mark := range marks {
		if !in.failed[j] {
			continue
		}
		if mark == markUnknown {
			return
		}
		from = min(from, mark+1)
	}
	for j, mark := range marks {
		if in.failed[j] {
			in.progress[j].mark, in.sent[j], in.failed[j] = mark, mark, false
		}
	}
	in.read, in.resend = from-1, false
	k.counts.resent.Add(1)
	if in.read < in.limit {
		k.n.kafka.source.Resume(in.stream, from)
	} else {
		k.n.kafka.source.Pause(in.stream)
	}
}

// skip makes the shards pass over offsets below next that the broker has deleted: nobody will ever send them.
func (k *intake) skip(s kafka.Stream, next int64) {
	in := k.input(s)
	if in == nil {
		return
	}
	in.mu.Lock()
	in.read = max(in.read, next-1)
	in.seen = max(in.seen, in.read)
	in.mu.Unlock()
	k.level(in)
}

// reject sends an undecodable record to the dead topic. Its offset is not committed before that is acknowledged.
func (k *intake) reject(ctx context.Context, in *input, r *kafka.Record, err error) {
	reason, detail := event.Malformed, err.Error()
	var rejected *event.Rejected
	if errors.As(err, &rejected) {
		reason, detail = rejected.Reason, rejected.Detail
	}
	k.counts.rejected.add(reason)
	// An error means that the node closes: the offset stays uncommitted, and the record is read again.
	_ = k.n.kafka.dead.Put(ctx, kafka.DeadLetter{
		Reason: string(reason), Detail: detail,
		Stream: in.stream, Offset: r.Offset, Key: r.Key, Value: r.Value,
	})
}

// tick moves the marks of shards that had no events, finds out what is durable, and commits that.
func (k *intake) tick() {
	k.tellHeld(time.Now())
	for _, in := range k.all() {
		if k.calls.TryLock() { // otherwise Records is at work and sees to it
			in.mu.Lock()
			resend := in.resend
			in.mu.Unlock()
			if resend {
				k.rewind(k.n.running, in)
			}
			k.calls.Unlock()
		}
		k.levelSilent(in)
		in.mu.Lock()
		in.advance(k.n)
		in.commit(k.n)
		in.mu.Unlock()
	}
}

// all lists the streams that this node consumes.
func (k *intake) all() []*input {
	k.mu.Lock()
	defer k.mu.Unlock()
	return slices.Collect(maps.Values(k.inputs))
}

// levelAll brings the marks of all shards up to what has been read.
func (k *intake) levelAll() {
	for _, in := range k.all() {
		k.level(in)
	}
}

// level sends an empty batch, which moves the mark, to every shard that was told of less than has been read. A batch that Records is filling at the
// moment begins below that mark and ends above it, so the shard takes it as well.
func (k *intake) level(in *input) {
	for j := range k.n.shards {
		k.levelShard(in, j, 0)
	}
}

// levelSilent is level, but while events come it leaves out shards that were told something a moment ago and will be again in another: an empty batch
// costs as much as one with an event.
func (k *intake) levelSilent(in *input) {
	in.mu.Lock()
	silence := levelSilence
	if time.Since(in.came) > streamSilence {
		silence = 0
	}
	in.mu.Unlock()
	for j := range k.n.shards {
		k.levelShard(in, j, silence)
	}
}

// levelShard levels one shard, unless it was told something within the last silence.
func (k *intake) levelShard(in *input, j int, silence time.Duration) {
	now := time.Now()
	in.mu.Lock()
	prev, read := in.sent[j], min(in.read, in.limit)
	if in.resend || prev >= read || now.Sub(in.told[j]) < silence {
		in.mu.Unlock()
		return
	}
	in.sent[j], in.told[j] = read, now // under the same lock as they were read: a rewind that comes later sets sent back for good
	in.mu.Unlock()
	k.propose(k.proposal(in, j, 0, prev, now), read)
}

// advance finds out which marks would survive a power cut by now. in.mu is held.
func (in *input) advance(n *Node) {
	for j := range in.progress {
		pr := &in.progress[j]
		durable := n.durable(n.shards[j])
		done := 0
		for done < len(pr.pending) && pr.pending[done].index <= durable {
			pr.durable = max(pr.durable, pr.pending[done].mark)
			done++
		}
		pr.pending = append(pr.pending[:0], pr.pending[done:]...)
	}
}

// commit commits the offset up to which every shard has everything durably, and the dead topic has acknowledged its letters. in.mu is held.
func (in *input) commit(n *Node) {
	upTo := in.read
	for j := range in.progress {
		upTo = min(upTo, in.progress[j].durable)
	}
	n.kafka.source.Commit(in.stream, n.kafka.dead.Floor(in.stream, upTo+1))
}
