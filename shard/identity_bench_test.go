package shard

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"dashi/bench/crowd"
	"dashi/pipeline/event"
	"dashi/pipeline/recipe"
	"dashi/shard/profile"
)

// plainRecipe has a state of one size, whatever came: what identifiers take is then the difference.
const plainRecipe = "recipe: plain\nattributes: {events: {kind: count, on: '*'}}\n"

func benchPeople() int {
	if testing.Short() {
		return 50_000
	}
	return 1_000_000
}

// BenchmarkLinks is what identity costs a node: the people of bench/crowd, 16 shards, and messages between them delivered as a node does.
// It reports events a second of processor time, and of time, both without decoding. Use -benchtime=1x.
func BenchmarkLinks(b *testing.B) {
	people := benchPeople()
	b.Run(fmt.Sprintf("people=%d/identifiers=1-6/shared=5%%", people), func(b *testing.B) {
		for b.Loop() {
			v := newVillage(b, readRecipe(b, benchRecipe))
			v.live(crowd.Settings{Seed: 1, People: people})
			sum := v.sum()
			if sum.Profiles < people || sum.Profiles > people*11/10 {
				b.Fatalf("%d profiles of %d people", sum.Profiles, people)
			}
			b.ReportMetric(float64(v.events)/v.cpu.Seconds(), "events/cpu-s")
			b.ReportMetric(float64(v.events)/v.took.Seconds(), "events/s")
			b.ReportMetric(float64(v.events), "events")
			b.ReportMetric(float64(sum.Bytes)/float64(people), "bytes/person")
			b.ReportMetric(float64(v.extra)/float64(people), "extra-identifiers/person")
			b.ReportMetric(float64(sum.Merges)/float64(people), "merges/person")
			b.ReportMetric(float64(sum.Forwarded)/float64(v.events), "forwarded/event")
			v.close()
		}
	})
}

// BenchmarkIdentifierMemory is what an identifier beyond the first of a person takes that is seen together with it only, so that it has no
// state of its own: pointer, and its part of the component. -benchtime=1x.
func BenchmarkIdentifierMemory(b *testing.B) {
	people := benchPeople()
	b.Run(fmt.Sprintf("people=%d", people), func(b *testing.B) {
		for b.Loop() {
			var bytes, pointers [2]int64
			extra := 0
			for i, alone := range []bool{true, false} {
				v := newVillage(b, readInline("plain.yml", plainRecipe))
				v.live(crowd.Settings{Seed: 1, People: people, Quiet: true, Alone: alone})
				bytes[i], extra = v.sum().Bytes, v.extra
				for _, s := range v.shards {
					pointers[i] += s.pointers.held()
				}
				v.close()
			}
			b.ReportMetric(float64(bytes[1]-bytes[0])/float64(extra), "bytes/identifier")
			b.ReportMetric(float64(pointers[1])/float64(extra), "pointer-bytes/identifier")
			b.ReportMetric(float64(bytes[0])/float64(people), "bytes/person-alone")
		}
	})
}

// village is the shards of a node, without the node.
type village struct {
	b       *testing.B
	program *recipe.Program
	decoder *event.Decoder
	shards  []*Shard
	batches []Batch
	prev    int64
	events  int64
	extra   int
	cpu     time.Duration // of applying
	took    time.Duration
	parcels [][]parcel // by the shard that they are of
}

// parcel is what one shard has for another.
type parcel struct {
	to    int
	entry []byte
	next  uint64
}

const (
	villageShards = 16
	villageBatch  = 256 // events for each shard, about
)

func newVillage(b *testing.B, sources []recipe.Source) *village {
	v := &village{b: b, program: compile(b, sources), batches: make([]Batch, villageShards), prev: -1, parcels: make([][]parcel, villageShards)}
	v.decoder = event.NewDecoder(v.program.Schema, event.DefaultLimits)
	settings := DefaultSettings
	settings.Memory, settings.OutboxBytes = profile.NewMemory(), 1<<40
	settings.Home = func(hash uint64) int { return int(hash >> 60) }
	for i := range villageShards {
		settings.Self = i
		v.shards = append(v.shards, newShard(b, settings, sources))
	}
	return v
}

func (v *village) close() {
	for _, s := range v.shards {
		s.Close()
	}
}

// live lets a crowd come by.
func (v *village) live(settings crowd.Settings) {
	g := crowd.New(settings)
	var e event.Event
	var message []byte
	v.begin()
	for {
		var keyAt int
		var more bool
		if message, keyAt, more = g.Append(message[:0]); !more {
			break
		}
		if err := v.decoder.Decode(message[:keyAt], fallback, &e); err != nil {
			v.b.Fatal(err)
		}
		v.batches[e.Hash>>60].Add(v.events, &e)
		if v.events++; v.events-v.prev > villageShards*villageBatch {
			v.deliver()
		}
	}
	v.deliver()
	v.extra = g.Extra()
}

func (v *village) begin() {
	for i := range v.batches {
		v.batches[i].Begin(v.program.Hash, Stream{Partition: 1}, v.prev)
	}
}

func (v *village) deliver() {
	cpu, start := cpuTime(), time.Now()
	v.prev = v.events - 1
	v.each(func(i int, s *Shard) error {
		defer s.Apply(AppendAck(nil, 1, ^uint64(0)))
		return accepted(s.Apply(v.batches[i].Seal(v.prev, 1)))
	})
	for v.exchange() {
	}
	v.cpu += cpuTime() - cpu
	v.took += time.Since(start)
	v.begin()
}

// each calls do for all shards at once, as a node does with its groups.
func (v *village) each(do func(i int, s *Shard) error) {
	var wait sync.WaitGroup
	errs := make([]error, len(v.shards))
	for i, s := range v.shards {
		wait.Go(func() { errs[i] = do(i, s) })
	}
	wait.Wait()
	if err := errors.Join(errs...); err != nil {
		v.b.Fatal(err)
	}
}

func accepted(r *Result) error {
	if r.Outcome != Accepted {
		return fmt.Errorf("%s: %s", r.Outcome, r.Detail)
	}
	return nil
}

// exchange delivers what waits between the shards as couriers do, and says whether there was anything.
func (v *village) exchange() (some bool) {
	v.each(func(i int, s *Shard) error {
		v.parcels[i] = parcels(s, i, v.program.Hash)
		return nil
	})
	v.each(func(to int, s *Shard) error {
		defer s.Apply(AppendAck(nil, 1, ^uint64(0)))
		for _, list := range v.parcels {
			for _, p := range list {
				if p.to != to {
					continue
				}
				if err := accepted(s.Apply(p.entry)); err != nil {
					return err
				}
			}
		}
		return nil
	})
	v.each(func(i int, s *Shard) error {
		var acks []PeerAck
		for _, p := range v.parcels[i] {
			acks = append(acks, PeerAck{p.to, p.next})
		}
		return accepted(s.Apply(AppendPeerAcks(nil, 1, acks...)))
	})
	for _, list := range v.parcels {
		some = some || len(list) > 0
	}
	return some
}

// parcels is what waits in a shard for others.
func parcels(s *Shard, i int, program uint64) (all []parcel) {
	s.Outgoing(func(to int, first, _ uint64) {
		var m Messages
		m.Begin(i, program, first)
		s.EachMessage(to, first, func(_ uint64, message []byte) bool { m.Add(message); return true })
		all = append(all, parcel{to, m.Seal(1), m.Next()})
	})
	return all
}

func (v *village) sum() (sum Stats) {
	for i, s := range v.shards {
		st := s.Stats()
		if st.Corrupt > 0 || st.Parked > 0 || st.PeerBytes > 0 {
			v.b.Fatalf("shard %d: %+v", i, st)
		}
		sum.Profiles += st.Profiles
		sum.Bytes += st.Bytes
		sum.Merges += st.Merges
		sum.Forwarded += st.Forwarded
	}
	return sum
}
