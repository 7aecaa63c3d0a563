package shard

import (
	"os"
	"testing"
	"time"

	"dashi/bench/shop"
	"dashi/pipeline/event"
	"dashi/pipeline/recipe"
	"dashi/shard/profile"
)

func testSettings() Settings {
	s := DefaultSettings
	s.Memory = profile.Heap{}
	return s
}

func readRecipe(t testing.TB, path string) []recipe.Source {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return []recipe.Source{{Name: path, Text: text}}
}

func compile(t testing.TB, sources []recipe.Source) *recipe.Program {
	t.Helper()
	p, diagnostics := recipe.Compile(sources)
	if p == nil {
		t.Fatalf("cannot compile: %v", diagnostics)
	}
	return p
}

// newShard makes a shard with a cookbook in force.
func newShard(t testing.TB, settings Settings, sources []recipe.Source) *Shard {
	t.Helper()
	s := New(settings)
	t.Cleanup(s.Close)
	mustAccept(t, s.Apply(AppendCookbook(nil, 1, sources)))
	return s
}

func mustAccept(t testing.TB, r *Result) {
	t.Helper()
	if r.Outcome != Accepted {
		t.Fatalf("%s: %s", r.Outcome, r.Detail)
	}
}

// traffic is a run of encoded shop messages, as they would lie in one partition.
func traffic(n, people int, seed uint64) [][]byte {
	town := shop.New(seed, people)
	now := time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC)
	values := make([][]byte, n)
	for i := range values {
		now = now.Add(50 * time.Millisecond)
		values[i] = append([]byte(nil), town.Next(now).Value...)
	}
	return values
}

const fallback = int64(1_772_400_000_000)

// feeder makes batches of a run of messages.
type feeder struct {
	t       testing.TB
	program *recipe.Program
	decoder *event.Decoder
	values  [][]byte
	stream  Stream
	e       event.Event

	noIDs bool // leave the message ids out
}

func newFeeder(t testing.TB, p *recipe.Program, values [][]byte) *feeder {
	return &feeder{t: t, program: p, decoder: event.NewDecoder(p.Schema, event.DefaultLimits), values: values, stream: Stream{Topic: [16]byte{1}, Partition: 3}}
}

// batch is the entry for the messages in (prev, last].
func (f *feeder) batch(prev, last, now int64) []byte {
	var b Batch
	b.Begin(f.program.Hash, f.stream, prev)
	for o := prev + 1; o <= last; o++ {
		if err := f.decoder.Decode(f.values[o], fallback, &f.e); err != nil {
			f.t.Fatalf("%v in %s", err, f.values[o])
		}
		if f.noIDs {
			f.e.ID = [2]uint64{}
		}
		b.Add(o, &f.e)
	}
	return append([]byte(nil), b.Seal(last, now)...)
}

func readInline(name, text string) []recipe.Source {
	return []recipe.Source{{Name: name, Text: []byte(text)}}
}

// describe is every profile as JSON, in the order of ordinals.
func describe(s *Shard) string {
	var b []byte
	var v View
	s.table.Each(func(_ profile.Ref, rec profile.Record) bool {
		s.view(rec, &v)
		b = append(v.AppendJSON(b), '\n')
		return true
	})
	return string(b)
}
