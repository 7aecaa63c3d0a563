package order

import (
	"encoding/json"
	"testing"
	"time"
)

// decoded is what the recipes of the benchmarks read.
type decoded struct {
	Type, Event, MessageID, UserID string
	Timestamp                      time.Time
	Properties                     struct {
		Total, Discount *float64
		Coupon          string
		Products        []struct {
			ProductID string `json:"product_id"`
			Category  string
			Price     float64
			Quantity  float64
		}
	}
}

func TestMessages(t *testing.T) {
	g := New(Settings{Seed: 1, Prefix: "t", People: 100, Shapes: 4})
	ids := map[string]bool{}
	size, starts := 0, map[byte]bool{}
	var last time.Time
	const n = 10_000
	for range n {
		m, person := g.Append(nil)
		var d decoded
		if err := json.Unmarshal(m, &d); err != nil {
			t.Fatalf("%v in %s", err, m)
		}
		if d.UserID != string(AppendUser(nil, person)) || d.Event != "Order Completed" || ids[d.MessageID] { // I2
			t.Fatalf("%s", m)
		}
		p := d.Properties
		if p.Total == nil || p.Discount == nil || p.Coupon == "" || len(p.Products) != 1 || p.Products[0].Category == "" {
			t.Fatalf("an attribute would not be touched: %s", m)
		}
		if !last.IsZero() && d.Timestamp.Sub(last) != time.Millisecond {
			t.Fatalf("%v after %v", d.Timestamp, last)
		}
		last = d.Timestamp
		ids[d.MessageID] = true
		starts[m[2]] = true
		size += len(m)
	}
	if mean := size / n; mean < 495 || mean > 515 {
		t.Errorf("%d bytes a message, want about 505", mean)
	}
	if len(starts) < 4 {
		t.Errorf("%d shapes", len(starts))
	}
}

func TestInTurn(t *testing.T) {
	g := New(Settings{People: 3, InTurn: true})
	for i := range 9 {
		if _, person := g.Append(nil); person != i%3 {
			t.Errorf("order %d is of person %d", i, person)
		}
	}
}

func TestSameSettingsSameMessages(t *testing.T) { // I1
	s := Settings{Seed: 7, Prefix: "a", People: 50, Shapes: 2}
	a, b := New(s), New(s)
	for range 100 {
		x, _ := a.Append(nil)
		y, _ := b.Append(nil)
		if string(x) != string(y) {
			t.Fatalf("%s\n%s", x, y)
		}
	}
}

func TestAppendAllocatesNothing(t *testing.T) { // I3
	g := New(Settings{People: 1000, Shapes: 4})
	buf, _ := g.Append(nil)
	if n := testing.AllocsPerRun(1000, func() { buf, _ = g.Append(buf[:0]) }); n != 0 {
		t.Errorf("%v allocations a message", n)
	}
}

func BenchmarkAppend(b *testing.B) {
	g := New(Settings{People: 1_000_000, Shapes: 4})
	var buf []byte
	b.ReportAllocs()
	for b.Loop() {
		buf, _ = g.Append(buf[:0])
	}
	b.ReportMetric(float64(len(buf)), "bytes/event")
}
