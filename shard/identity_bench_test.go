package shard

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"testing"

	"dashi/pipeline/event"
	"dashi/pipeline/identity"
	"dashi/shard/profile"
)

// BenchmarkLinks is what identity costs a node: people with one to six identifiers each, one device in twenty used by several of them, first
// anonymous, then known; 16 shards, messages between them delivered as a node does. It reports events a second of CPU and the
// memory of each identifier beyond the first of a person, fragments and all. Use -benchtime=1x.
func BenchmarkLinks(b *testing.B) {
	people := 1_000_000
	if testing.Short() {
		people = 50_000
	}
	b.Run(fmt.Sprintf("people=%d/identifiers=1-6/shared=5%%", people), func(b *testing.B) {
		for b.Loop() {
			benchLinks(b, people)
		}
	})
}

func benchLinks(b *testing.B, people int) {
	const count, size = 16, 256
	sources := readRecipe(b, benchRecipe)
	program := compile(b, sources)
	shards := make([]*Shard, count)
	settings := DefaultSettings
	settings.Memory, settings.OutboxBytes = profile.NewMemory(), 1<<40
	settings.Home = func(hash uint64) int { return int(hash >> 60) }
	for i := range shards {
		settings.Self = i
		shards[i] = newShard(b, settings, sources)
	}
	rank := map[string]uint8{}
	for i, ns := range program.Schema.Namespaces {
		rank[ns.Name] = uint8(i)
	}
	order := 1 + event.Event{}.Type // the first type that the cookbook names
	e := event.Event{Type: order, Name: []byte(program.Schema.Types[0]), Values: make([]event.Value, len(program.Schema.Fields)),
		Items: make([][]event.Value, len(program.Schema.Fields)), Lens: make([]int, len(program.Schema.Arrays))}
	random := rand.New(rand.NewPCG(1, 1))
	batches, prev, offset := make([]Batch, count), int64(-1), int64(-1)
	begin := func() {
		for i := range batches {
			batches[i].Begin(program.Hash, Stream{Partition: 1}, prev)
		}
	}
	deliver := func() {
		for i, s := range shards {
			mustAccept(b, s.Apply(batches[i].Seal(offset, 1)))
			s.Apply(AppendAck(nil, 1, ^uint64(0)))
		}
		for busy := true; busy; {
			busy = exchange(b, shards, program.Hash)
		}
		prev = offset
		begin()
	}
	begin()
	identifiers, at := 0, fallback
	put := func(ids ...event.Identifier) {
		e.Identifiers = ids
		e.Hash = identity.Hash(program.Schema.Namespaces[ids[0].Namespace].Name, ids[0].Value)
		at += 7
		e.Time = at
		offset++
		batches[settings.Home(e.Hash)].Add(offset, &e)
		if offset-prev == size*count {
			deliver()
		}
	}
	device := func(p, k int) event.Identifier {
		if random.IntN(20) == 0 { // one of those around
			p, k = p/8*8, 0
		}
		return event.Identifier{Namespace: rank["anonymous_id"], Value: fmt.Appendf(nil, "device-%08d-%d", p, k)}
	}
	start := cpuTime()
	for p := range people {
		user := event.Identifier{Namespace: rank["user_id"], Value: fmt.Appendf(nil, "u%08d", p)}
		n := random.IntN(6)
		identifiers += n
		put(user)
		if n > 4 {
			put(user, event.Identifier{Namespace: rank["email"], Value: fmt.Appendf(nil, "person%08d@mail.example", p)})
			n--
		}
		for k := range n {
			d := device(p, k)
			put(d) // still anonymous
			put(user, d)
			put(d)
		}
	}
	deliver()
	cpu := cpuTime() - start
	var bytes, profiles, pointers int64
	var sum Counters
	for _, s := range shards {
		st := s.Stats()
		bytes += st.Bytes
		profiles += int64(st.Profiles)
		pointers += s.pointers.held()
		sum.Merges += st.Merges
		sum.Forwarded += st.Forwarded
		if st.Corrupt > 0 || st.Parked > 0 || st.PeerBytes > 0 {
			b.Fatalf("%+v", st)
		}
	}
	if profiles < int64(people) || profiles > int64(people)*11/10 {
		b.Fatalf("%d profiles of %d people", profiles, people)
	}
	b.ReportMetric(float64(offset+1)/cpu.Seconds(), "events/cpu-s")
	b.ReportMetric(float64(pointers)/float64(identifiers), "pointer-bytes/identifier")
	b.ReportMetric(float64(bytes)/float64(people), "bytes/person")
	b.ReportMetric(float64(identifiers)/float64(people), "extra-identifiers/person")
	b.ReportMetric(float64(sum.Merges)/float64(people), "merges/person")
	for _, s := range shards {
		s.Close()
	}
}

// exchange delivers what waits between the shards, and says whether there was anything.
func exchange(t testing.TB, shards []*Shard, program uint64) (some bool) {
	for i, s := range shards {
		type parcel struct {
			to    int
			entry []byte
			next  uint64
		}
		var parcels []parcel
		s.Outgoing(func(to int, first, _ uint64) {
			var m Messages
			m.Begin(i, program, first)
			s.EachMessage(to, first, func(_ uint64, message []byte) bool { m.Add(message); return true })
			parcels = append(parcels, parcel{to, bytes.Clone(m.Seal(1)), m.Next()})
		})
		for _, p := range parcels {
			some = true
			mustAccept(t, shards[p.to].Apply(p.entry))
			s.Apply(AppendPeerAcks(nil, 1, PeerAck{p.to, p.next}))
			shards[p.to].Apply(AppendAck(nil, 1, ^uint64(0)))
		}
	}
	return some
}
