package shard

import (
	"os"
	"path/filepath"
	"testing"

	"dashi/pipeline/recipe"
	"dashi/shard/profile"
)

// BenchmarkEighteen is decode, pack, apply and evaluate of the demo's traffic with all recipes of deploy/recipes loaded: one core's share
// of draining a backlog.
func BenchmarkEighteen(b *testing.B) {
	files, err := filepath.Glob("../deploy/recipes/*.yml")
	if err != nil {
		b.Fatal(err)
	}
	var sources []recipe.Source
	for _, file := range files {
		if matched, _ := filepath.Match("*.test.yml", filepath.Base(file)); matched {
			continue
		}
		text, err := os.ReadFile(file)
		if err != nil {
			b.Fatal(err)
		}
		sources = append(sources, recipe.Source{Name: filepath.Base(file), Text: text})
	}
	const events, batch = 200_000, 500
	values := traffic(events, 20_000, 1)
	program := compile(b, sources)
	settings := DefaultSettings
	settings.Memory = profile.Heap{}
	settings.Compile = func([]recipe.Source) (*recipe.Program, []recipe.Diagnostic) { return program, nil }
	b.ReportAllocs()
	for b.Loop() {
		s := newShard(b, settings, sources)
		f := newFeeder(b, program, values)
		now, activations := fallback, 0
		for o := int64(-1); o < events-1; o += batch {
			now += batch * 50
			r := s.Apply(f.batch(o, o+batch, now))
			mustAccept(b, r)
			if activations += r.Activations; activations > 0 {
				mustAccept(b, s.Apply(AppendAck(nil, now, uint64(activations))))
			}
		}
		b.ReportMetric(float64(activations)/events, "activations/event")
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/events, "ns/event")
}
