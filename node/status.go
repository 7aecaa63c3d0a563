package node

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"runtime"
	"slices"
	"time"

	"dashi/node/httpapi"
	"dashi/pipeline/activation"
	"dashi/pipeline/kafka"
	"dashi/pipeline/say"
)

// Status is what GET /v1/status answers and what `dashi status` and the console show.
type Status struct {
	Cluster  string    `json:"cluster"`
	Node     string    `json:"node"` // the one that answers
	Version  string    `json:"version"`
	Started  time.Time `json:"started"`
	Uptime   string    `json:"uptime"`
	Ready    bool      `json:"ready"`
	Trouble  []string  `json:"trouble"`            // what a person should look at; empty when all is well
	Recovery string    `json:"recovery,omitempty"` // what was or is being recovered, in words
	// PowerLoss is the last time that shards had to go back; nil: there was none.
	PowerLoss *RecoveryStatus `json:"power_loss,omitempty"`

	Cookbook    CookbookStatus   `json:"cookbook"`
	Clock       ClockStatus      `json:"clock"`
	Events      EventStatus      `json:"events"`
	Profiles    int              `json:"profiles"`
	Accounts    int              `json:"accounts"`
	Expired     uint64           `json:"expired"` // profiles that went because nothing was heard of them
	Erased      uint64           `json:"erased"`  // profiles that were erased
	Memory      MemoryStatus     `json:"memory"`
	Latency     LatencyStatus    `json:"latency"`
	Lookups     LookupStatus     `json:"lookups"`
	Activations ActivationStatus `json:"activations"`
	Webhooks    []WebhookStatus  `json:"webhooks"`
	Kafka       KafkaStatus      `json:"kafka"`
	Nodes       []NodeStatus     `json:"nodes"`
	Directory   DirectoryStatus  `json:"directory"`
	Shards      []ShardStatus    `json:"shards"`
	Log         LogStatus        `json:"log"`
}

// CookbookStatus says what is in force.
type CookbookStatus struct {
	Version    uint64             `json:"version"`
	Switching  *httpapi.Switching `json:"switching,omitempty"` // to another version, that is coming into force
	Hash       string             `json:"hash"`
	Recipes    []string           `json:"recipes"`
	Attributes int                `json:"attributes"`
	Audiences  int                `json:"audiences"`
}

// ClockStatus says what time it is for the shards, and what waits for it.
type ClockStatus struct {
	Follows    string    `json:"follows"` // wall, or event: the times of events
	Now        time.Time `json:"now"`     // the latest of all shards: with clock wall, of their last entries
	Timers     int       `json:"timers"`  // profiles that wake at an instant
	TimerBytes int64     `json:"timer_bytes"`
	Woken      uint64    `json:"woken"`        // profiles that have woken since the data directory was made
	Late       float64   `json:"late_seconds"` // by how much the first timer that is due is late
}

// EventStatus counts events.
type EventStatus struct {
	Applied   uint64            `json:"applied"`  // since the data directory was made
	Repeated  uint64            `json:"repeated"` // dropped because their message id had been seen
	Consumed  uint64            `json:"consumed"` // records read since the start of the process
	Rejected  map[string]uint64 `json:"rejected"` // sent to the dead topic, by reason, since the start of the process
	PerSecond float64           `json:"per_second"`
	HeldBack  string            `json:"held_back,omitempty"` // why no events are consumed at the moment
}

// MemoryStatus is in bytes.
type MemoryStatus struct {
	Profiles int64  `json:"profiles"`
	Limit    int64  `json:"limit"`
	Recent   int64  `json:"recent"` // message ids
	Heap     uint64 `json:"heap"`   // of the Go runtime
}

// LatencyStatus is the time from fetched to applied over the last minute, in milliseconds.
type LatencyStatus struct {
	P50 float64 `json:"p50_ms"`
	P99 float64 `json:"p99_ms"`
}

// LookupStatus counts profiles that this node was asked for since its start, whether they were there or not.
type LookupStatus struct {
	HTTP uint64 `json:"http"`
	RESP uint64 `json:"resp"`
}

// ActivationStatus counts activations.
type ActivationStatus struct {
	Made      uint64 `json:"made"`      // put into the outboxes since the data directory was made
	Withheld  uint64 `json:"withheld"`  // stopped by a missing consent
	Shortened uint64 `json:"shortened"` // left without their attributes, which would have made them too long
	// Suppressed are those that were triggered and did not leave, by reason: see deploy/recipes/README.md.
	Suppressed map[string]uint64 `json:"suppressed,omitempty"`
	Published  uint64            `json:"published"` // acknowledged by Kafka since the start of the process
	Waiting    uint64            `json:"waiting"`
}

// KafkaStatus says where events come from and how far they have been read.
type KafkaStatus struct {
	Brokers  []string       `json:"brokers"`
	Inputs   []string       `json:"inputs"`
	Dead     string         `json:"dead"` // topic of what could not be understood
	Embedded bool           `json:"embedded"`
	Streams  []StreamStatus `json:"streams"`
}

// StreamStatus is one partition that this node consumes.
type StreamStatus struct {
	Topic     string `json:"topic"`
	Partition int32  `json:"partition"`
	Read      int64  `json:"read"`    // next offset to read
	Applied   int64  `json:"applied"` // every shard has everything below
	Durable   int64  `json:"durable"` // and would still have it after a power cut
	// Lag is how many records before the end of the partition, as Kafka said within the last seconds, are not applied; nil: Kafka has not said it yet.
	Lag *int64 `json:"lag,omitempty"`
}

// ShardStatus is one shard.
type ShardStatus struct {
	ID            uint32 `json:"id"`
	Profiles      int    `json:"profiles"`
	Bytes         int64  `json:"bytes"`
	Events        uint64 `json:"events"`
	Index         uint64 `json:"index"`
	Durable       uint64 `json:"durable"`
	OutboxEntries uint64 `json:"outbox_entries"`
	OutboxBytes   int64  `json:"outbox_bytes"`
	RecentIDs     int    `json:"recent_ids"`
	// RecentSince is since when every message id is remembered; the zero time: since the beginning.
	RecentSince time.Time `json:"recent_since,omitzero"`
	Hash        string    `json:"hash,omitempty"`
	// Unreachable says that no node that has the shard could be asked: the figures are not there.
	Unreachable bool `json:"unreachable,omitempty"`
	// Leader is the node that leads the shard; empty: none is known. The other figures are those of the replica on this node, or of another if there is none.
	Leader   string          `json:"leader"`
	Replicas []ReplicaStatus `json:"replicas"`
}

// LogStatus is the log on disk.
type LogStatus struct {
	Durability string `json:"durability"`
	Bytes      int64  `json:"bytes"`
	Snapshots  uint64 `json:"snapshots"` // taken since the start
	Replayed   uint64 `json:"replayed"`  // entries applied from the log at the start
	Error      string `json:"error,omitempty"`
	// Stalled is for how many seconds the disk has not answered, or has been full (Full), at the moment; Stalls how often that was since the start.
	Stalled float64 `json:"stalled_seconds,omitempty"`
	Full    bool    `json:"full,omitempty"`
	Stalls  uint64  `json:"stalls"`
}

// Status gathers the state of the node. With hashes it also computes the state hash of every shard, which reads all profiles.
func (n *Node) Status(hashes bool) *Status {
	program := n.cookbook.Load()
	st := &Status{
		Cluster: n.settings.Cluster,
		Version: n.version,
		Started: n.started,
		Uptime:  say.Span(time.Since(n.started).Round(time.Second)),
		Trouble: []string{},
		Cookbook: CookbookStatus{
			Version: program.Version, Switching: n.switchStatus(n.directory.State()),
			Hash:       fmt.Sprintf("%016x", program.Hash),
			Attributes: len(program.Attributes),
			Audiences:  len(program.AllAudiences()),
		},
		Events: EventStatus{Consumed: n.intake.counts.events.Load(), Rejected: n.intake.counts.rejected.all()},
		Memory: MemoryStatus{Limit: n.settings.Limits.MemoryBytes},
		Kafka: KafkaStatus{
			Brokers:  n.kafka.Brokers,
			Dead:     n.settings.Kafka.Dead,
			Embedded: n.broker != nil,
		},
		Activations: ActivationStatus{Published: n.metrics.Published.Load()},
	}
	for _, s := range program.Sources {
		st.Cookbook.Recipes = append(st.Cookbook.Recipes, s.Name)
	}
	for _, in := range n.settings.Kafka.Inputs {
		st.Kafka.Inputs = append(st.Kafka.Inputs, in.Topic)
	}
	all, err := n.reports(n.running, readLocal, hashes)
	if err != nil {
		st.Trouble = append(st.Trouble, err.Error())
	}
	st.shards(all)
	st.clock(all, n.now())
	n.clusterStatus(st)
	n.streamStatus(st)
	n.logStatus(st)
	n.webhookStatus(st)
	n.recoveryStatus(st, all)
	st.Latency.P50, st.Latency.P99, st.Events.PerSecond = n.metrics.LastMinute()
	st.Lookups.HTTP = n.metrics.HTTP.Get(httpapi.Lookups)
	if n.resp != nil {
		s := n.resp.Stats()
		st.Lookups.RESP = s.Hits + s.Misses
	}
	n.flowTrouble(st)
	st.Ready = n.Ready() == nil
	var mem runtime.MemStats
	runtime.ReadMemStats(&mem)
	st.Memory.Heap = mem.HeapAlloc
	return st
}

// flowTrouble says what keeps events from coming in, activations and messages from leaving, and a cookbook from coming into force.
func (n *Node) flowTrouble(st *Status) {
	if why := n.heldBack(time.Now()); why != "" {
		st.Events.HeldBack = why
		st.Trouble = append(st.Trouble, "no events are consumed: "+why)
	}
	if why := n.inputTrouble(); why != "" {
		st.Trouble = append(st.Trouble, "input: "+why)
	}
	if text := lostTrouble(n.metrics.Lost.Load(), time.Unix(0, n.metrics.LostAt.Load()), time.Now()); text != "" {
		st.Trouble = append(st.Trouble, "input: "+text)
	}
	if err := n.dead.Status(); err != nil {
		st.Trouble = append(st.Trouble, "dead letters wait, and with them the offsets of their events: "+err.Error())
	}
	for _, p := range n.publishers {
		if text := p.problem(); text != "" {
			st.Trouble = append(st.Trouble, text)
			break
		}
	}
	for _, c := range n.couriers {
		if text := c.problem(); text != "" {
			st.Trouble = append(st.Trouble, text)
			break
		}
	}
	if text := n.switchLag.Load(); text != nil {
		st.Trouble = append(st.Trouble, *text)
	}
}

// shards fills in what the reports of all shards say; nil stands for a shard that could not be asked.
func (st *Status) shards(all []*report) {
	for i, r := range all {
		if r == nil {
			st.Shards = append(st.Shards, ShardStatus{ID: uint32(i), Unreachable: true})
			continue
		}
		s := &r.Shard
		sh := ShardStatus{
			ID: uint32(i), Profiles: s.Profiles, Bytes: s.Bytes, Events: s.Events,
			Index: r.Index, Durable: r.Durable, Hash: r.Hash,
			OutboxEntries: s.OutboxEntries, OutboxBytes: s.OutboxBytes, RecentIDs: s.RecentIDs,
		}
		if s.RecentSince > 0 {
			sh.RecentSince = time.UnixMilli(s.RecentSince).UTC()
		}
		st.Shards = append(st.Shards, sh)
		st.Profiles += s.Profiles
		st.Accounts += s.Accounts
		st.Expired += s.Expired
		st.Erased += s.Erased
		st.Memory.Profiles += s.Bytes
		st.Memory.Recent += s.RecentBytes
		st.Events.Applied += s.Events
		st.Events.Repeated += s.Repeated
		st.Activations.Made += s.Activations
		st.Activations.Withheld += s.Withheld
		st.Activations.Shortened += s.Shortened
		st.Activations.Waiting += s.OutboxEntries
		for i, n := range s.Suppressed {
			if n > 0 {
				if st.Activations.Suppressed == nil {
					st.Activations.Suppressed = map[string]uint64{}
				}
				st.Activations.Suppressed[activation.Reason(i+1).String()] += n
			}
		}
		if s.Corrupt > 0 {
			st.Trouble = append(st.Trouble, fmt.Sprintf("shard %d met %s that it could not read back", i, say.Count(s.Corrupt, "event")))
		}
	}
}

// streamStatus fills in how far the partitions that this node reads are.
func (n *Node) streamStatus(st *Status) {
	for _, in := range n.intake.all() {
		in.mu.Lock()
		ss := StreamStatus{Topic: in.stream.Name, Partition: in.stream.Partition, Read: in.read + 1}
		applied, durable := in.read, in.read
		for j := range in.progress {
			applied = min(applied, in.progress[j].mark)
			durable = min(durable, in.progress[j].durable)
		}
		in.mu.Unlock()
		ss.Applied, ss.Durable = applied+1, durable+1
		ss.Lag = n.lag(in.stream, ss.Applied)
		st.Kafka.Streams = append(st.Kafka.Streams, ss)
	}
	slices.SortFunc(st.Kafka.Streams, func(a, b StreamStatus) int {
		return cmp.Or(cmp.Compare(a.Topic, b.Topic), cmp.Compare(a.Partition, b.Partition))
	})
}

// idlePoll is how often WaitIdle looks again.
const idlePoll = 5 * time.Millisecond

// WaitIdle returns when everything that was in the input topics at the call has been applied by every shard, and all activations that
// came of it have been acknowledged by Kafka.
func (n *Node) WaitIdle(ctx context.Context) error {
	tick := time.NewTicker(idlePoll)
	defer tick.Stop()
	wait := func(done func() bool, what string) error {
		for !done() {
			select {
			case <-ctx.Done():
				return fmt.Errorf("%s: %w", what, ctx.Err())
			case <-tick.C:
			}
		}
		return nil
	}
	if err := wait(func() bool { return !n.switching() }, "a cookbook is coming into force"); err != nil {
		return err
	}
	var ends map[kafka.Stream]int64
	var silent error // why Kafka does not say what it has: it is away, or the source has only just begun
	err := wait(func() bool { ends, silent = n.source.EndOffsets(ctx); return silent == nil }, "Kafka does not say what it has")
	if err != nil {
		return fmt.Errorf("%w: %w", silent, err)
	}
	for stream, end := range ends {
		err := wait(func() bool { n.intake.levelAll(); return n.applied(ctx, stream, end) }, fmt.Sprintf("%s has not been applied up to offset %d", stream, end))
		if err != nil {
			return err
		}
	}
	if err := wait(func() bool { return n.awake(ctx) }, "timers are due"); err != nil {
		return err
	}
	if err := n.settled(ctx, wait); err != nil {
		return err
	}
	var made []*report
	if err := wait(func() bool { made, err = n.reports(ctx, readLeader, false); return err == nil }, "some shards do not answer"); err != nil {
		return err
	}
	return wait(func() bool {
		now, err := n.reports(ctx, readLeader, false)
		for i := 0; err == nil && i < len(made); i++ {
			if now[i].Shard.OutboxFirst < made[i].Shard.OutboxNext {
				return false
			}
		}
		return err == nil
	}, "shards have activations that Kafka has not taken")
}

// applied says whether every shard has everything of the stream below end.
func (n *Node) applied(ctx context.Context, s kafka.Stream, end int64) bool {
	return slices.Min(n.marks(ctx, streamID(s))) >= end-1 && n.dead.Floor(s, end) == end
}

// awake says whether no timer of any shard is due.
func (n *Node) awake(ctx context.Context) bool {
	all, err := n.reports(ctx, readLocal, false)
	return err == nil && !slices.ContainsFunc(all, func(r *report) bool { return r.Wake == math.MinInt64 })
}

// messageHops bounds how often WaitIdle waits for messages that messages have made: what comes of an event takes a handful of steps at most, but while
// events keep coming there are always some.
const messageHops = 12

// road is the way from one shard to another.
type road struct{ from, to int }

// settled waits until the messages that now are on their way between shards, and those that they make, have been applied.
func (n *Node) settled(ctx context.Context, wait func(done func() bool, what string) error) error {
	for range messageHops {
		var ends map[road]positions
		var err error
		if err := wait(func() bool { ends, err = n.roads(ctx); return err == nil }, "some shards do not answer"); err != nil {
			return err
		}
		if len(ends) == 0 {
			return nil
		}
		err = wait(func() bool {
			now, err := n.roads(ctx)
			for r, o := range now {
				if end, asked := ends[r]; asked && o.first < end.next {
					return false
				}
			}
			return err == nil
		}, "shards have messages for each other")
		if err != nil {
			return err
		}
	}
	return nil
}

// positions are those of the oldest message that waits on a road, and of the next one that will be sent.
type positions struct{ first, next uint64 }

// roads are those on which messages wait. What a message makes is in an outbox before the message leaves its own. The shards are looked at one after the
// other, so that nothing slips past, "none" counts only if two looks in a row see the same.
func (n *Node) roads(ctx context.Context) (map[road]positions, error) {
	for {
		first, some, err := n.lookAtRoads(ctx)
		if err != nil || len(some) > 0 {
			return some, err
		}
		if again, _, err := n.lookAtRoads(ctx); err != nil || first == again {
			return some, err
		}
	}
}

func (n *Node) lookAtRoads(ctx context.Context) (sent uint64, some map[road]positions, err error) {
	all, err := n.reports(ctx, readLocal, false)
	if err != nil {
		return 0, nil, err
	}
	some = map[road]positions{}
	for i, r := range all {
		for _, o := range r.Roads {
			some[road{i, o.To}] = positions{o.First, o.Next}
		}
		sent += r.Shard.Sent
	}
	return sent, some, nil
}

// applications is the number of events applied and of profiles held on all shards; for shards that are not here, as the nodes that have them said last.
func (n *Node) applications() (events uint64, profiles int) {
	heard := n.heard.all()
	for i, m := range n.members {
		l := m.reach()
		if !l.answers {
			for _, p := range heard {
				if p.shards[i].applied > l.applied {
					l = p.shards[i]
				}
			}
		}
		events += l.events
		profiles += int(l.profiles)
	}
	return events, profiles
}
