package shard

import (
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"dashi/bench/order"
	"dashi/pipeline/event"
	"dashi/shard/profile"
)

const memoryRecipe = "../bench/twelve/twelve.yml"

// resident is the memory of this process that is in RAM, huge pages among it.
func resident(b *testing.B) int64 {
	b.Helper()
	runtime.GC()
	debug.FreeOSMemory()
	text, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		b.Skipf("the system does not say how much memory is resident: %v", err)
	}
	pages, err := strconv.ParseInt(strings.Fields(string(text))[1], 10, 64)
	if err != nil {
		b.Fatal(err)
	}
	return pages * int64(os.Getpagesize())
}

// populate makes the shards of one node with so many profiles, each of 12 attributes with values and in 3 or 4 audiences,
// by so many orders each without message ids.
func populate(b *testing.B, people, orders int) []*Shard {
	b.Helper()
	const count, size = 16, 256 // a shard owns the hashes with the same top four bits, as in a node
	settings := DefaultSettings
	settings.Memory = profile.NewMemory()
	sources := readRecipe(b, memoryRecipe)
	program := compile(b, sources)
	decoder := event.NewDecoder(program.Schema, event.DefaultLimits)
	shards, batches, prev := make([]*Shard, count), make([]Batch, count), int64(-1)
	for i := range shards {
		shards[i] = newShard(b, settings, sources)
	}
	generator := order.New(order.Settings{Seed: 1, People: people, Shapes: order.MaxShapes, InTurn: true, NoIDs: true})
	var e event.Event
	var message []byte
	for total := int64(people) * int64(orders); prev < total-1; {
		last := min(prev+size*count, total-1)
		for i := range batches {
			batches[i].Begin(program.Hash, Stream{Partition: 1}, prev)
		}
		for o := prev + 1; o <= last; o++ {
			message, _ = generator.Append(message[:0])
			if err := decoder.Decode(message, fallback, &e); err != nil {
				b.Fatal(err)
			}
			batches[e.Hash>>60].Add(o, &e)
		}
		for i, s := range shards {
			mustAccept(b, s.Apply(batches[i].Seal(last, 1)))
			s.Apply(AppendAck(nil, 1, ^uint64(0))) // activations wait nowhere
		}
		prev = last
	}
	profiles := 0
	for _, s := range shards {
		profiles += s.Stats().Profiles
	}
	if profiles != people {
		b.Fatalf("%d profiles, want %d", profiles, people)
	}
	return shards
}

// mustBeTwelve fails when a profile lacks an attribute or is in fewer than 3 audiences.
func mustBeTwelve(b *testing.B, s *Shard) {
	b.Helper()
	var v View
	s.table.Each(func(_ profile.Ref, rec profile.Record) bool {
		s.view(rec, &v)
		text := string(v.AppendJSON(nil))
		for i := range v.Fields() {
			if !strings.Contains(text, fmt.Sprintf("%q:", v.FieldName(i))) {
				b.Fatalf("%s has no %s", text, v.FieldName(i))
			}
		}
		if v.Fields() != 12 || strings.Count(text, `"since"`) < 3 {
			b.Fatalf("%s has not 12 attributes and 3 audiences", text)
		}
		return false // they are all alike
	})
}

// BenchmarkMemory is resident memory: tables, indexes, bitmaps of audiences, and what the allocators keep beside them. Use -benchtime=1x.
func BenchmarkMemory(b *testing.B) {
	people := 1_000_000
	if testing.Short() {
		people = 100_000
	}
	for _, orders := range []int{1, 3} {
		b.Run(fmt.Sprintf("profiles=%d/attributes=12/audiences=3/orders=%d", people, orders), func(b *testing.B) {
			for b.Loop() {
				before := resident(b)
				shards := populate(b, people, orders)
				after := resident(b)
				mustBeTwelve(b, shards[0])
				var counted int64
				for _, s := range shards {
					counted += s.Stats().Bytes
					s.Close()
				}
				b.ReportMetric(float64(after-before)/float64(people), "resident-bytes/profile")
				b.ReportMetric(float64(counted)/float64(people), "counted-bytes/profile")
			}
		})
	}
}

// BenchmarkGC is a forced garbage collection while so many profiles are there. Use -benchtime=1x.
func BenchmarkGC(b *testing.B) {
	people := 5_000_000
	if testing.Short() {
		people = 200_000
	}
	b.Run(fmt.Sprintf("profiles=%d", people), func(b *testing.B) {
		for b.Loop() {
			shards := populate(b, people, 1)
			runtime.GC() // what populate left behind
			var times []time.Duration
			for range 5 {
				start := time.Now()
				runtime.GC()
				times = append(times, time.Since(start))
			}
			slices.Sort(times)
			b.ReportMetric(float64(times[2])/float64(time.Millisecond), "gc-ms")
			b.ReportMetric(float64(times[4])/float64(time.Millisecond), "gc-max-ms")
			for _, s := range shards {
				s.Close()
			}
		}
	})
}
