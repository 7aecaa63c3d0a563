package sim

import (
	"cmp"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"dashi/pipeline/event"
	"dashi/pipeline/expr"
	"dashi/pipeline/recipe"
	"dashi/shard"
	"dashi/shard/profile"
)

// A cookbook with other rules of identity comes into force in the middle of a history: everybody ends as the oracle says under these rules.
func TestSwitch(t *testing.T) {
	text := strings.NewReplacer("max_identifiers: 7", "max_identifiers: 4", "count: 2}}", "count: 1}}", "busy: events >= 3", "busy: {when: events > 2}").Replace(cookbook)
	first, next := compile(t, sources()), compile(t, []recipe.Source{{Name: "sim.yml", Text: []byte(text)}})
	memory := profile.NewMemory()
	run := func(seed uint64) {
		settings, facts := draw(seed)
		settings.Program, settings.Next, settings.Memory = first, next, memory
		history(t, settings, facts, oracle(next, facts))
	}
	if *oneSeed != 0 {
		run(*oneSeed)
		return
	}
	n := histories / 30
	if testing.Short() {
		n /= 5
	}
	for base := rand.Uint64(); n > 0; n-- {
		run(base + uint64(n))
	}
}

// The next cookbook has a namespace above all others, which earlier events name too: it decides where events go from then on. Every event is counted once
// nevertheless, whichever cookbook it is read under.
func TestSwitchToAStrongerNamespace(t *testing.T) {
	text := strings.Replace(cookbook, "  namespaces:\n", "  namespaces:\n    - {name: member, from: properties.member}\n", 1)
	first, next := compile(t, sources()), compile(t, []recipe.Source{{Name: "sim.yml", Text: []byte(text)}})
	memory := profile.NewMemory()
	n := 100
	if testing.Short() {
		n /= 5
	}
	for base := rand.Uint64(); n > 0; n-- {
		settings, _ := draw(base + uint64(n))
		settings.Program, settings.Next, settings.Memory = first, next, memory
		w, r := New(settings), rand.New(rand.NewPCG(settings.Seed, 2))
		events := 1 + r.IntN(60)
		d1, d2 := event.NewDecoder(first.Schema, event.DefaultLimits), event.NewDecoder(next.Schema, event.DefaultLimits)
		for i := range events {
			raw := fmt.Appendf(nil, `{"type":"track","event":"look","messageId":"m%d","timestamp":"2001-01-01T00:00:00Z","userId":"u%d","properties":{"member":"m%d"}}`, i, r.IntN(20), r.IntN(20))
			var e1, e2 event.Event
			if err := cmp.Or(d1.Decode(raw, 1<<40, &e1), d2.Decode(raw, 1<<40, &e2)); err != nil {
				t.Fatal(err)
			}
			w.Feed(r.IntN(settings.Partitions), e1, e2)
		}
		if err := w.Run(); err != nil {
			t.Fatal(err)
		}
		if got := w.total(t); got != events {
			t.Fatalf("seed %d, %d shards: %d events are counted, want %d", settings.Seed, settings.Shards, got, events)
		}
		w.Close()
	}
}

// total is the sum of the attribute events of all profiles.
func (w *World) total(t *testing.T) (n int) {
	var v shard.View
	for _, p := range w.shards {
		p.shard.Scan(func(*expr.Env) expr.Truth { return expr.True }, 0, 1<<20, &v, func(v *shard.View) bool {
			var profile struct{ Attributes struct{ Events int } }
			if err := json.Unmarshal(v.AppendJSON(nil), &profile); err != nil {
				t.Fatal(err)
			}
			n += profile.Attributes.Events
			return true
		})
	}
	return n
}
