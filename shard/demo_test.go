package shard

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"dashi/bench/shop"
	"dashi/pipeline/event"
	"dashi/pipeline/recipe"
)

// Within two minutes of the demo's traffic, at its 200 events a second, somebody is in every audience of the recipes with a number, people and companies, and every activation
// leaves: so `make run` shows all of them, at every time of day.
func TestDemoTraffic(t *testing.T) {
	hours := []int{0, 4, 9, 15, 22}
	if testing.Short() {
		hours = hours[:1]
	}
	for _, hour := range hours {
		t.Run(fmt.Sprint(hour, " h"), func(t *testing.T) { testDemoTraffic(t, hour) })
	}
}

func testDemoTraffic(t *testing.T, hour int) {
	files, err := filepath.Glob("../deploy/recipes/[0-9][0-9]-*.yml")
	if err != nil {
		t.Fatal(err)
	}
	var sources []recipe.Source
	for _, file := range files {
		if !strings.HasSuffix(file, ".test.yml") {
			sources = append(sources, readRecipe(t, file)...)
		}
	}
	const rate, minutes = 200, 2
	town, now := shop.New(11, 20_000), time.Date(2026, 11, 2, hour, 0, 0, 0, time.UTC)
	values, times := [][]byte{}, []int64{}
	for range rate * 60 * minutes {
		now = now.Add(time.Second / rate)
		values, times = append(values, slices.Clone(town.Next(now).Value)), append(times, now.UnixMilli())
	}
	s := newShard(t, testSettings(), sources)
	decoder := event.NewDecoder(s.Program().Schema, event.DefaultLimits)
	names := map[string]bool{}
	for _, p := range []*recipe.Program{s.Program(), s.Accounts().Program()} {
		for _, a := range p.Activations {
			names[a.Name] = false
		}
	}
	filled := make([]bool, len(s.Program().AllAudiences()))
	acked := uint64(0)
	for o := int64(-1); o < int64(len(values))-1; o += rate {
		var b Batch
		var e event.Event
		b.Begin(s.Program().Hash, Stream{Topic: [16]byte{1}}, o)
		for i := o + 1; i <= o+rate; i++ {
			if err := decoder.Decode(values[i], times[i], &e); err != nil {
				t.Fatalf("%v in %s", err, values[i])
			}
			b.Add(i, &e)
		}
		mustAccept(t, s.Apply(b.Seal(o+rate, times[o+rate])))
		mustAccept(t, s.Apply(AppendTick(nil, times[o+rate]+1)))
		s.Outbox(acked, func(position uint64, _, payload []byte) bool {
			_, rest, _ := strings.Cut(string(payload), `"activation":"`)
			name, _, _ := strings.Cut(rest, `"`)
			names[name], acked = true, position+1
			return true
		})
		mustAccept(t, s.Apply(AppendAck(nil, times[o+rate], acked)))
		for i := range filled {
			filled[i] = filled[i] || s.AudienceSize(i) > 0
		}
	}
	for name, fired := range names {
		if !fired {
			t.Errorf("activation %s does not leave", name)
		}
	}
	for i, d := range s.Program().AllAudiences() {
		if !filled[i] {
			t.Errorf("nobody is in %s", d.Name)
		}
	}
}
