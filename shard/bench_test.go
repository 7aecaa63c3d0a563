package shard

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"runtime"
	"strconv"
	"testing"
	"time"

	"dashi/pipeline/event"
	"dashi/shard/profile"
)

const benchRecipe = "../bench/recipes/bench.yml"

// orders makes Order Completed messages of about 505 bytes in that many shapes (orders of keys), each for a random
// one of so many people.
func orders(n, people, shapes int) [][]byte {
	rnd := rand.New(rand.NewPCG(1, 2))
	values := make([][]byte, n)
	for i := range values {
		id := fmt.Sprintf(`"messageId":"m-%09d"`, i)
		user := fmt.Sprintf(`"userId":"u%07d"`, rnd.IntN(people))
		price := func() string { return strconv.FormatFloat(float64(500+rnd.IntN(9000))/100, 'f', 2, 64) }
		product := func() string {
			p := rnd.IntN(60)
			return fmt.Sprintf(`{"product_id":"P%d","sku":"S%d","category":%q,"price":%s,"quantity":%d}`,
				p, p, []string{"shoes", "bags", "hats", "coats"}[p%4], price(), 1+p%2)
		}
		properties := fmt.Sprintf(`"properties":{"order_id":"o%d","total":%s,"discount":%s,"coupon":"C%d","products":[%s]}`,
			i, price(), strconv.Itoa(rnd.IntN(3)), rnd.IntN(5), product())
		context := `"context":{"library":{"name":"analytics.js","version":"2.1.0"},"ip":"203.0.113.7","locale":"en-GB","page":{"path":"/checkout","url":"https://shop.example/checkout","title":"Checkout"}}`
		event := `"type":"track","event":"Order Completed"`
		at := `"timestamp":"` + time.UnixMilli(fallback+int64(i)).UTC().Format("2006-01-02T15:04:05.000Z") + `"`
		parts := [][]string{
			{event, id, at, user, context, properties},
			{id, event, user, at, properties, context},
			{user, event, properties, id, at, context},
			{context, event, id, properties, user, at},
		}[i%shapes]
		b := []byte{'{'}
		for k, p := range parts {
			if k > 0 {
				b = append(b, ',')
			}
			b = append(b, p...)
		}
		values[i] = append(b, '}')
	}
	return contiguous(values)
}

// contiguous puts messages behind one another, as the client library hands over what it has fetched.
func contiguous(values [][]byte) [][]byte {
	all := bytes.Join(values, nil)
	for i, v := range values {
		values[i], all = all[:len(v):len(v)], all[len(v):]
	}
	return values
}

// populations are whom events are about: so many people, of whom most have had so many orders before.
var populations = []struct {
	name           string
	people, orders int
}{
	{"profiles=10000", 10_000, 20},
	{"profiles=1000000", 1_000_000, 1}, // a young shop: records grow, and every fourth event activates somebody
	{"profiles=1000000/orders=10", 1_000_000, 10},
}

// renumber makes a batch one of another stream, so that it is not skipped as known.
func renumber(batch []byte, stream uint32) {
	binary.LittleEndian.PutUint32(batch[entryHead+8+16:], stream)
}

// BenchmarkApply is apply and evaluate from packed batches: 10 attributes, 50 audiences. The events have no message ids, so that
// the same batches can be applied again; BenchmarkPath has them.
func BenchmarkApply(b *testing.B) {
	for _, p := range populations {
		b.Run("attributes=10/audiences=50/"+p.name, func(b *testing.B) { benchPath(b, p.people, p.orders, false) })
	}
}

// BenchmarkPath is decode, pack, apply and evaluate, in one thread, of messages in four shapes.
func BenchmarkPath(b *testing.B) {
	for _, p := range populations {
		b.Run("attributes=10/audiences=50/"+p.name+"/shapes=4", func(b *testing.B) { benchPath(b, p.people, p.orders, true) })
	}
}

func benchPath(b *testing.B, people, before int, decode bool) {
	settings := DefaultSettings
	settings.Memory = profile.NewMemory()
	settings.OutboxBytes = 1 << 40
	sources := readRecipe(b, benchRecipe)
	s := newShard(b, settings, sources)
	n := max(200_000, people)
	passes := max(1, before*people/n)
	if testing.Short() {
		n = 50_000
	}
	f := newFeeder(b, compile(b, sources), orders(n, people, 4))
	f.noIDs = true
	const size = 256
	var batches [][]byte
	for mark := int64(-1); mark < int64(n-1); mark += size {
		batches = append(batches, f.batch(mark, min(mark+size, int64(n-1)), 1))
	}
	f.noIDs = !decode
	for pass := range passes { // so the people are known; the last pass fills the window of message ids
		for i, batch := range batches {
			if pass == passes-1 && decode {
				first := int64(i) * size
				batch = f.batch(first-1, min(first+size, int64(n))-1, 1)
			}
			renumber(batch, uint32(pass))
			mustAccept(b, s.Apply(batch))
			s.Apply(AppendAck(nil, 1, ^uint64(0)))
		}
	}
	bytes := 0
	for _, v := range f.values[:1000] {
		bytes += len(v)
	}
	made := s.counters.Activations
	runtime.GC()
	// The same events again as another stream; their message ids are changed so that none counts as a repetition.
	stream, at := uint32(100), len(batches)
	var e event.Event
	var batch Batch
	applied := 0
	b.ReportAllocs()
	b.ResetTimer()
	start := cpuTime()
	for applied < b.N {
		if at == len(batches) {
			at = 0
			stream++
		}
		first := at * size
		last := min(first+size, n)
		var entry []byte
		if decode {
			batch.Begin(f.program.Hash, Stream{Partition: stream}, int64(first)-1)
			for o := first; o < last; o++ {
				if err := f.decoder.Decode(f.values[o], fallback, &e); err != nil {
					b.Fatal(err)
				}
				e.ID[0] ^= uint64(stream)
				e.ID[1] ^= uint64(stream) * 0x9e3779b97f4a7c15 // as another hash would: this half finds it
				batch.Add(int64(o), &e)
			}
			entry = batch.Seal(int64(last)-1, 1)
		} else {
			entry = batches[at]
			renumber(entry, stream)
		}
		r := s.Apply(entry)
		if r.Outcome != Accepted || r.Repeated > 0 {
			b.Fatalf("%+v", r)
		}
		s.Apply(AppendAck(entry[:0:0], 1, ^uint64(0)))
		applied += last - first
		at++
	}
	cpu := cpuTime() - start
	b.StopTimer()
	b.ReportMetric(float64(cpu.Nanoseconds())/float64(applied), "cpu-ns/event")
	b.ReportMetric(float64(applied)/b.Elapsed().Seconds(), "events/s")
	b.ReportMetric(float64(s.counters.Activations-made)/float64(applied), "activations/event")
	b.ReportMetric(float64(bytes)/1000, "bytes/event")
}
