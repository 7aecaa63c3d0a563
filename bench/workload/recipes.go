package workload

import (
	"context"
	"path/filepath"
	"time"

	"dashi/bench/result"
	"dashi/bench/shop"
	"dashi/pipeline/kafka"

	benchload "dashi/bench/load"
)

const (
	// demoPeople and demoPace are those of the demo of dashi dev.
	demoPeople = 20_000
	demoPace   = 5 * time.Millisecond
)

// demoTraffic is n messages of the demo, of which the last happens about now.
type demoTraffic struct {
	town *shop.Shop
	now  time.Time
	left int
}

func newDemoTraffic(n int) *demoTraffic {
	return &demoTraffic{town: shop.New(1, demoPeople), now: time.Now().Add(-time.Duration(n) * demoPace), left: n}
}

func (t *demoTraffic) Append(dst []byte) (out []byte, keyAt int, more bool) {
	if t.left == 0 {
		return dst, len(dst), false
	}
	t.left--
	t.now = t.now.Add(demoPace)
	m := t.town.Next(t.now)
	dst = append(dst, m.Value...)
	return append(dst, m.Key...), len(dst), true
}

// eighteen: a backlog of the demo's traffic, with the cookbook that dashi comes with.
func eighteen(ctx context.Context, e *Env) error {
	n := e.size(2_000_000, 200_000)
	e.Say("filling the broker with %d events of the demo", n)
	data := e.dir("data")
	err := withBroker(data, func(b *kafka.Broker) error {
		s, err := benchload.NewSenderOf(b.Settings().Brokers, newDemoTraffic(n))
		if err != nil {
			return err
		}
		defer s.Close()
		return s.SendAll(ctx)
	})
	if err != nil {
		return err
	}
	e.Say("reading them with dashi")
	d, err := e.drained(ctx, cookbook{"deploy/recipes", filepath.Join(e.Root, "deploy", "recipes")}, data, n)
	if err != nil {
		return err
	}
	return e.reportDrained("dashi", d, result.AtLeast(150_000), result.Settings{"events": n, "people": demoPeople, "partitions": partitions,
		"compression": benchload.Compression})
}
