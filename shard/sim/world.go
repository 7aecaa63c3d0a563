package sim

import (
	"bytes"
	"fmt"
	"math/bits"
	"math/rand/v2"

	"dashi/pipeline/event"
	"dashi/pipeline/identity"
	"dashi/pipeline/recipe"
	"dashi/shard"
	"dashi/shard/profile"
)

// Settings of a world.
type Settings struct {
	Seed       uint64
	Shards     int
	Partitions int
	Program    *recipe.Program
	Next       *recipe.Program // that comes into force at some time; nil: none does
	// Of a hundred steps so many lose a delivery, repeat one, delay one, crash a shard or take a snapshot of one.
	Lose, Repeat, Delay, Crash, Snapshot int
	// Of a thousand steps so many take the power from all shards at once. With any, activations leave as well.
	Power  int
	Memory profile.Memory // of all shards
}

// World is shards and what is under way between them.
type World struct {
	settings   Settings
	random     *rand.Rand
	shards     []*process
	partitions [][]fed   // with offsets from 0
	fed        [][]int64 // by partition and shard: the last offset that was sent
	change     shard.Switch
	network    []delivery
	steps      int
	failure    error
	generation uint64 // power cuts
	lost       int    // entries that they took
}

// fed is one event, as both programs read it.
type fed struct{ now, next event.Event }

// process is a shard with its log.
type process struct {
	shard    *shard.Shard
	settings shard.Settings
	snapshot []byte
	log      [][]byte // since the snapshot
	cut      []uint64 // by peer: up to where messages have been handed to the network

	synced    int         // entries of the log that a power cut leaves
	published uint64      // position behind the last activation that has left
	topic     []published // all that have
}

// delivery is an entry on its way: messages of from, or a batch when from is -1.
type delivery struct {
	from, to int
	entry    []byte
}

// New makes a world of empty shards with the cookbook in force.
func New(s Settings) *World {
	w := &World{settings: s, random: rand.New(rand.NewPCG(s.Seed, 1))}
	for i := range s.Shards {
		settings := shard.DefaultSettings
		settings.Self, settings.Memory = i, s.Memory
		settings.Compile = func(sources []recipe.Source) (*recipe.Program, []recipe.Diagnostic) {
			if s.Next != nil && bytes.Equal(sources[0].Text, s.Next.Sources[0].Text) {
				return s.Next, nil
			}
			return s.Program, nil
		}
		settings.Home = func(hash uint64) int { hi, _ := bits.Mul64(hash, uint64(s.Shards)); return int(hi) }
		p := &process{settings: settings, shard: shard.New(settings), cut: make([]uint64, s.Shards)}
		w.shards = append(w.shards, p)
		w.apply(i, shard.AppendCookbook(nil, 1, s.Program.Sources))
	}
	w.sync()
	w.partitions = make([][]fed, s.Partitions)
	for range s.Partitions {
		fed := make([]int64, s.Shards)
		for i := range fed {
			fed[i] = -1
		}
		w.fed = append(w.fed, fed)
	}
	return w
}

// Close gives the memory of the shards back.
func (w *World) Close() {
	for _, p := range w.shards {
		p.shard.Close()
	}
}

// Feed appends an event, as Program and Next read it, to a partition. It must own its bytes.
func (w *World) Feed(partition int, now, next event.Event) {
	w.partitions[partition] = append(w.partitions[partition], fed{now, next})
}

// Unlink cuts two identifiers apart.
func (w *World) Unlink(namespaceA, valueA, namespaceB, valueB string) {
	home := w.shards[0].settings.Home(identity.Hash(namespaceA, []byte(valueA)))
	w.apply(home, shard.AppendUnlink(nil, int64(w.steps)+1, namespaceA, []byte(valueA), namespaceB, []byte(valueB)))
	w.sync() // it is answered when it is durable: Kafka does not have it
}

// Erase takes the person of an identifier out, at an instant of the shard's clock.
func (w *World) Erase(now int64, namespace, value string) {
	home := w.shards[0].settings.Home(identity.Hash(namespace, []byte(value)))
	w.apply(home, shard.AppendErase(nil, now, namespace, []byte(value)))
	w.sync()
}

// EraseAccount takes an account out, as of an instant; the clocks of the shards are there or a little later.
func (w *World) EraseAccount(now int64, name string) {
	for i := range w.shards {
		w.apply(i, shard.AppendEraseAccount(nil, now+int64(i), []byte(name), now))
	}
}

func (w *World) fail(format string, args ...any) {
	if w.failure == nil {
		w.failure = fmt.Errorf("seed %d, step %d: %s", w.settings.Seed, w.steps, fmt.Sprintf(format, args...))
	}
}

// apply is what a shard's log does with an entry.
func (w *World) apply(i int, entry []byte) *shard.Result {
	p := w.shards[i]
	p.log = append(p.log, bytes.Clone(entry))
	return p.shard.Apply(entry)
}

func (w *World) percent(n int) bool { return w.random.IntN(100) < n }

// Steps lets a few things happen.
func (w *World) Steps(n int) {
	for ; n > 0 && w.failure == nil && w.busy(); n-- {
		w.steps++
		w.step()
	}
}

// Run lets everything happen until nothing is under way.
func (w *World) Run() error {
	for w.failure == nil && w.busy() {
		w.steps++
		w.step()
		if limit := 1_000_000; w.steps > limit {
			w.fail("it does not come to rest: %d deliveries under way", len(w.network))
		}
	}
	for i, p := range w.shards {
		if n := p.shard.Stats().Parked; n > 0 {
			w.fail("shard %d keeps %d messages for components that do not come", i, n)
		}
		if n := p.shard.Stats().Corrupt; n > 0 {
			w.fail("shard %d met %d things that it could not read or place", i, n)
		}
		if err := p.shard.Check(); err != nil {
			w.fail("shard %d: %v", i, err)
		}
	}
	return w.failure
}

// busy says whether anything is left to do.
func (w *World) busy() bool {
	if len(w.network) > 0 {
		return true
	}
	for _, p := range w.shards {
		if w.settings.Next != nil && p.shard.Version() < 2 {
			return true
		}
		waits := false
		p.shard.Outgoing(func(int, uint64, uint64) { waits = true })
		if waits {
			return true
		}
	}
	for k, events := range w.partitions {
		for i := range w.shards {
			if w.fed[k][i] < int64(len(events))-1 {
				return true
			}
		}
	}
	return false
}

// step lets a few things happen.
func (w *World) step() {
	if w.settings.Power > 0 {
		if w.percent(10) {
			w.publish(w.random.IntN(len(w.shards)))
		}
		if w.percent(2) {
			w.sync()
		}
		if w.random.IntN(1000) < w.settings.Power {
			w.powerCut()
			return
		}
	}
	if i := w.random.IntN(len(w.shards)); w.percent(w.settings.Crash) {
		w.crash(i)
	} else if w.percent(w.settings.Snapshot) {
		w.takeSnapshot(i)
	}
	if w.settings.Next != nil && w.percent(10) {
		w.switchOver()
	}
	if w.random.IntN(2) == 0 || len(w.network) == 0 {
		w.feed()
	}
	for i := range w.shards {
		if w.percent(50) {
			w.send(i)
		}
	}
	for range 1 + w.random.IntN(2*len(w.shards)) {
		w.deliver()
	}
}

// feed sends the next run of one partition to one shard.
func (w *World) feed() {
	type place struct{ partition, shard int }
	var open []place
	for k, events := range w.partitions {
		for i := range w.shards {
			if w.fed[k][i] < int64(len(events))-1 {
				open = append(open, place{k, i})
			}
		}
	}
	if len(open) == 0 {
		return
	}
	at := open[w.random.IntN(len(open))]
	events, prev := w.partitions[at.partition], w.fed[at.partition][at.shard]
	last := min(prev+1+int64(w.random.IntN(8)), int64(len(events))-1)
	stream := shard.Stream{Topic: [16]byte{1}, Partition: uint32(at.partition)}
	knows := w.shards[w.random.IntN(len(w.shards))].shard // which cookbook is in force, and up to where events may go
	if last = min(last, knows.Limit(stream)); last <= prev {
		return
	}
	var b shard.Batch
	b.Begin(knows.Program().Hash, stream, prev)
	for o := prev + 1; o <= last; o++ {
		e := &events[o].now
		if knows.Version() > 1 {
			e = &events[o].next
		}
		if w.shards[0].settings.Home(e.Hash) == at.shard {
			b.Add(o, e)
		}
	}
	w.fed[at.partition][at.shard] = last
	w.put(delivery{from: -1, to: at.shard, entry: bytes.Clone(b.Seal(last, int64(w.steps)))})
}

// put gives something to the network, which may repeat it.
func (w *World) put(d delivery) {
	w.network = append(w.network, d)
	if w.percent(w.settings.Repeat) {
		w.network = append(w.network, d)
	}
}

// send cuts the messages that wait for a peer into a delivery, from where they were cut last.
func (w *World) send(i int) {
	p := w.shards[i]
	p.shard.Outgoing(func(to int, first, next uint64) {
		from := max(first, p.cut[to])
		if w.percent(20) { // nobody knows what became of the earlier ones: again from the oldest
			from = first
		}
		if from >= next {
			return
		}
		var m shard.Messages
		m.Begin(i, p.shard.Dialect(), from)
		left := 1 + w.random.IntN(5)
		p.shard.EachMessage(to, from, func(_ uint64, message []byte) bool {
			m.Add(message)
			left--
			return left > 0
		})
		p.cut[to] = m.Next()
		w.put(delivery{from: i, to: to, entry: bytes.Clone(m.Seal(int64(w.steps)))})
	})
}

// deliver lets one delivery arrive, get lost, or wait on.
func (w *World) deliver() {
	if len(w.network) == 0 {
		return
	}
	k := 0
	if w.percent(w.settings.Delay) {
		k = w.random.IntN(len(w.network))
	}
	d := w.network[k]
	w.network = append(w.network[:k], w.network[k+1:]...)
	if w.percent(w.settings.Lose) {
		if d.from < 0 {
			w.rewind(d.to)
		}
		return
	}
	r := w.apply(d.to, d.entry)
	switch {
	case d.from < 0 && r.Outcome == shard.Accepted:
	case d.from < 0 && (r.Outcome == shard.Gap || r.Outcome == shard.Full || r.Outcome == shard.Stale || r.Outcome == shard.Held):
		w.rewind(d.to)
	case d.from >= 0 && (r.Outcome == shard.Accepted || r.Outcome == shard.Gap):
		if mark := w.shards[d.to].shard.PeerMark(d.from); mark > 0 && !w.percent(w.settings.Lose) {
			w.apply(d.from, shard.AppendPeerAcks(nil, int64(w.steps), shard.PeerAck{Peer: d.to, Position: mark}))
		}
	case d.from >= 0 && r.Outcome == shard.Stale: // one of the two has switched
		clear(w.shards[d.from].cut)
	default:
		w.fail("%s: %s", r.Outcome, r.Detail)
	}
}

// rewind starts every stream of a shard again from its mark.
func (w *World) rewind(i int) {
	for k := range w.partitions {
		w.fed[k][i] = w.shards[i].shard.Mark(shard.Stream{Topic: [16]byte{1}, Partition: uint32(k)})
	}
}

func (w *World) takeSnapshot(i int) {
	p := w.shards[i]
	snap := p.shard.Snapshot()
	defer snap.Release()
	var b bytes.Buffer
	if _, err := snap.WriteTo(&b); err != nil {
		w.fail("cannot write a snapshot: %v", err)
	}
	p.snapshot, p.log = b.Bytes(), nil
	w.sync() // a snapshot is durable when all that it may depend on is
}

// crash kills a shard and starts it again.
func (w *World) crash(i int) {
	p := w.shards[i]
	want := p.shard.Fingerprint()
	p.shard.Close()
	p.shard = w.restore(i)
	for _, entry := range p.log {
		p.shard.Apply(entry)
	}
	if got := p.shard.Fingerprint(); got != want {
		w.fail("shard %d is another after a crash: %x, was %x", i, got, want)
	}
	clear(p.cut)
}

// restore makes the state of a shard's snapshot.
func (w *World) restore(i int) *shard.Shard {
	p := w.shards[i]
	if p.snapshot == nil {
		return shard.New(p.settings)
	}
	s, err := shard.Restore(bytes.NewReader(p.snapshot), p.settings)
	if err != nil {
		w.fail("cannot restore shard %d: %v", i, err)
		return shard.New(p.settings)
	}
	return s
}

// Profile calls fn with the profile of an identifier and says whether there is one. hops is how many shards were asked besides its home.
func (w *World) Profile(namespace, value string, v *shard.View) (found bool, hops int) {
	ns, val, hash := []byte(namespace), []byte(value), identity.Hash(namespace, []byte(value))
	at := w.shards[w.shards[0].settings.Home(hash)].shard
	if at.Lookup(ns, val, hash, v) {
		return true, 0
	}
	for v.Next.Known {
		if hops++; hops > len(w.shards)+1 {
			w.fail("pointers of %s:%s go in circles", namespace, value)
			return false, hops
		}
		at = w.shards[w.shards[0].settings.Home(v.Next.Hash)].shard
		next := v.Next
		next.Value = bytes.Clone(next.Value)
		if at.LookupVia(&next, ns, val, hash, v) {
			return true, hops
		}
	}
	return false, hops
}
