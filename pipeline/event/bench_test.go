package event

import (
	"encoding/json"
	"fmt"
	"testing"
)

// BenchmarkDecode: the shapes are permutations of keys, the worst kind; message size and the twelve fields are those
// of PERF.md. cache=off forgets after each message, which leaves the plain walk of the trie.
func BenchmarkDecode(b *testing.B) {
	for _, shapes := range []int{1, 4, 100} {
		msgs := messages(shapes, 4096)
		size := 0
		for _, m := range msgs {
			size += len(m)
		}
		run := func(name string, decode func(m []byte)) {
			b.Run(fmt.Sprintf("shapes=%d/%s", shapes, name), func(b *testing.B) {
				b.SetBytes(int64(size / len(msgs)))
				b.ReportAllocs()
				i := 0
				for b.Loop() {
					decode(msgs[i&4095])
					i++
				}
			})
		}
		d := NewDecoder(benchShop(), DefaultLimits)
		var e Event
		run("decoder=dashi", func(m []byte) {
			if err := d.Decode(m, noon, &e); err != nil {
				b.Fatal(err)
			}
		})
		plain := NewDecoder(benchShop(), DefaultLimits)
		plain.frozen = true
		run("decoder=dashi/cache=off", func(m []byte) {
			if err := plain.Decode(m, noon, &e); err != nil {
				b.Fatal(err)
			}
		})
		run("decoder=encoding-json-struct", func(m []byte) {
			var v segment
			if err := json.Unmarshal(m, &v); err != nil {
				b.Fatal(err)
			}
		})
		if shapes == 4 {
			run("decoder=encoding-json-map", func(m []byte) {
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
	run := func(name string, fn func(p []byte)) {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			b.ReportMetric(float64(size/len(packed)), "bytes/event")
			i := 0
			for b.Loop() {
				fn(packed[i&4095])
				i++
			}
		})
	}
	run("fields=12", func(p []byte) {
		if _, err := Unpack(p, d.schema, &e); err != nil {
			b.Fatal(err)
		}
	})
	var sum uint64
	run("hash", func(p []byte) { sum += PackedHash(p) })
	buf := make([]byte, 0, 1024)
	run("append", func(p []byte) { buf = AppendPacked(buf[:0], &e) })
}
