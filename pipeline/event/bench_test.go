package event

import (
	"encoding/json"
	"fmt"
	"slices"
	"testing"
	"time"
)

// run times fn on one input after another, in batches that are shorter than a time slice. Besides the mean, which other work
// on the machine spoils, it reports the first decile of the batches, what fn costs while nobody
// disturbs it, and the processor time.
func run(b *testing.B, inputs [][]byte, fn func(in []byte)) {
	const batch = 64
	b.ReportAllocs()
	times := make([]time.Duration, 0, 1<<16)
	i, begin, used := 0, time.Now(), cpuTime()
	for b.Loop() {
		fn(inputs[i%len(inputs)])
		if i++; i%batch == 0 {
			if now := time.Now(); len(times) < cap(times) {
				times = append(times, now.Sub(begin))
				begin = now
			}
		}
	}
	b.ReportMetric(float64(cpuTime()-used)/float64(b.N), "cpu-ns/op")
	if len(times) > 0 {
		slices.Sort(times)
		b.ReportMetric(float64(times[len(times)/10])/batch, "p10-ns/op")
	}
}

// BenchmarkDecode: the shapes are permutations of keys, the worst kind; message size and the twelve fields are those
// of PERF.md. dashi-unlearnt learns nothing, which leaves the plain walk of the trie.
func BenchmarkDecode(b *testing.B) {
	for _, shapes := range []int{1, 4, 100} {
		msgs := messages(shapes, 4096)
		size := 0
		for _, m := range msgs {
			size += len(m)
		}
		compare := func(name string, decode func(m []byte)) {
			b.Run(fmt.Sprintf("shapes=%d/%s", shapes, name), func(b *testing.B) {
				run(b, msgs, decode)
				b.ReportMetric(float64(size/len(msgs)), "bytes/event")
			})
		}
		d := NewDecoder(benchShop(), DefaultLimits)
		var e Event
		compare("decoder=dashi", func(m []byte) {
			if err := d.Decode(m, noon, &e); err != nil {
				b.Fatal(err)
			}
		})
		plain := NewDecoder(benchShop(), DefaultLimits)
		plain.frozen = true
		compare("decoder=dashi-unlearnt", func(m []byte) {
			if err := plain.Decode(m, noon, &e); err != nil {
				b.Fatal(err)
			}
		})
		compare("decoder=encoding-json-struct", func(m []byte) {
			var v segment
			if err := json.Unmarshal(m, &v); err != nil {
				b.Fatal(err)
			}
		})
		if shapes == 4 {
			compare("decoder=encoding-json-map", func(m []byte) {
				var v map[string]any
				if err := json.Unmarshal(m, &v); err != nil {
					b.Fatal(err)
				}
			})
		}
	}
}

// segment is what one writes by hand for the fields of benchShop.
type segment struct {
	Type, Event, MessageID, Timestamp, UserID, AnonymousID string
	Properties                                             struct {
		OrderID   string  `json:"order_id"`
		Total     float64 `json:"total"`
		Revenue   float64 `json:"revenue"`
		Currency  string  `json:"currency"`
		Coupon    string  `json:"coupon"`
		IsGift    bool    `json:"is_gift"`
		ProductID string  `json:"product_id"`
		Price     float64 `json:"price"`
		Quantity  float64 `json:"quantity"`
		OrderedAt string  `json:"ordered_at"`
	}
	Context struct {
		Page     struct{ Path string }
		Campaign struct{ Source string }
		Traits   struct{ Email string }
	}
}

// BenchmarkUnpack reads the same messages in packed form; the hash alone is what look-ahead costs.
func BenchmarkUnpack(b *testing.B) {
	d := NewDecoder(benchShop(), DefaultLimits)
	var e Event
	var packed [][]byte
	size := 0
	for _, m := range messages(4, 4096) {
		if err := d.Decode(m, noon, &e); err != nil {
			b.Fatal(err)
		}
		packed = append(packed, AppendPacked(nil, &e))
		size += len(packed[len(packed)-1])
	}
	runPacked := func(name string, fn func(p []byte)) {
		b.Run(name, func(b *testing.B) {
			run(b, packed, fn)
			b.ReportMetric(float64(size/len(packed)), "bytes/event")
		})
	}
	runPacked("fields=12", func(p []byte) {
		if _, err := Unpack(p, d.schema, &e); err != nil {
			b.Fatal(err)
		}
	})
	buf := make([]byte, 0, 1024)
	runPacked("append", func(p []byte) { buf = AppendPacked(buf[:0], &e) })
}
