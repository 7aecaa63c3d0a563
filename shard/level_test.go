package shard

import (
	"fmt"
	"math"
	"slices"
	"testing"
)

const topRecipe = `
recipe: top
attributes:
  spent: {kind: sum, on: Order Completed, value: properties.total}
audiences:
  best: top(spent, 10)
  loyal: {enter: "top(spent, 10)", leave: "!top(spent, 30)"}
`

// spenders are messages of people who spend 1, 2, 3, ... in some order
func spenders(people int) (values [][]byte) {
	for i := range people {
		values = append(values, fmt.Appendf(nil, `{"type":"track","event":"Order Completed","userId":"u%d","timestamp":"2026-01-01T00:00:00Z","properties":{"total":%d}}`, i, 1+i*37%people))
	}
	return values
}

// levels finds out what a shard by itself gives, a page at a time.
func levels(s *Shard, now int64) (out []float64) {
	v := View{At: now}
	for i := range s.Program().Levels {
		var values []float64
		for from, more := uint32(0), true; more; {
			values, from, more = s.EachNumber(values, &s.Program().Levels[i], from, 7, &v)
		}
		out = append(out, s.Program().Levels[i].Of(values))
	}
	return out
}

// Everybody is measured by the threshold of the hour, wakes when that is another one, and replicas and snapshots agree in the middle of it.
func TestLevels(t *testing.T) {
	const people, hour = 5000, int64(1_800_000_000_000)
	sources := readInline("top.yml", topRecipe)
	program := compile(t, sources)
	f := newFeeder(t, program, spenders(people))
	s, twin := newShard(t, testSettings(), sources), newShard(t, testSettings(), sources)
	apply := func(entry []byte, want Outcome) {
		t.Helper()
		if r := s.Apply(entry); r.Outcome != want {
			t.Fatalf("%s, want %s: %s", r.Outcome, want, r.Detail)
		}
		twin.Apply(entry)
	}
	sizes := func(best, loyal int) {
		t.Helper()
		if err := s.Check(); err != nil {
			t.Error(err)
		}
		if s.AudienceSize(0) != best || s.AudienceSize(1) != loyal {
			t.Errorf("%d and %d in the audiences, want %d and %d", s.AudienceSize(0), s.AudienceSize(1), best, loyal)
		}
		if s.Fingerprint() != twin.Fingerprint() || restoreCopy(t, s).Fingerprint() != s.Fingerprint() {
			t.Error("a replica or a snapshot differs")
		}
	}
	settled := func(now int64) {
		t.Helper()
		for n := 0; s.Wake() == math.MinInt64; n++ {
			apply(AppendTick(nil, now), Accepted)
			apply(AppendAck(nil, now, s.Stats().OutboxNext), Accepted)
		}
	}
	apply(f.batch(-1, people-1, hour+1), Accepted)
	if _, as, wanted := s.Levels(hour + 5); as >= wanted || wanted != hour {
		t.Errorf("levels as of %d, wanted as of %d", as, wanted)
	}
	sizes(0, 0)
	entry := AppendLevels(nil, hour+5, program.Hash, hour, levels(s, hour+5))
	apply(entry, Accepted)
	for s.AudienceSize(0) == 0 && s.Wake() == math.MinInt64 {
		apply(AppendTick(nil, hour+6), Accepted)
	}
	if n := s.AudienceSize(0); n == 0 || n == people/10 {
		t.Errorf("%d people are in at once", n)
	}
	sizes(s.AudienceSize(0), s.AudienceSize(1)) // in the middle
	settled(hour + 7)
	sizes(people/10, people/10)
	woken := s.Stats().Woken
	apply(entry, Accepted)                                                              // again: it is known
	apply(AppendLevels(nil, hour+8, program.Hash, hour+1, levels(s, hour+8)), Accepted) // as of later, and the same
	settled(hour + 8)
	if s.Stats().Woken != woken {
		t.Error("people wake although nothing is another")
	}
	apply(AppendLevels(nil, hour+9, program.Hash, hour+2, []float64{4000, 3000}), Accepted)
	settled(hour + 9)
	sizes(1001, 1001)
	apply(AppendLevels(nil, hour+10, program.Hash, hour+3, []float64{4500, 4100}), Accepted)
	settled(hour + 10)
	sizes(501, 901)
	apply(AppendLevels(nil, 0, program.Hash+1, hour+9, []float64{1, 1}), Stale)
	apply(AppendLevels(nil, 0, program.Hash, hour+9, []float64{1}), Refused)
	apply(AppendLevels(nil, 0, program.Hash, hour+9, nil)[:entryHead+15], Refused)
}

// A cookbook keeps the thresholds that the last one had, and asks for others at once.
func TestLevelsSurviveCookbooks(t *testing.T) {
	const hour = int64(1_800_000_000_000)
	sources := readInline("top.yml", topRecipe)
	s := newShard(t, testSettings(), sources)
	mustAccept(t, s.Apply(AppendLevels(nil, hour, s.Program().Hash, hour, []float64{10, 5})))
	mustAccept(t, s.Apply(AppendCookbook(nil, hour, readInline("top.yml", topRecipe+"  other: spent > 3\n  first: top(spent, 30)\n"))))
	if got, as, _ := s.Levels(hour); !slices.Equal(got, []float64{10, 5}) || as != hour {
		t.Errorf("levels %v as of %d", got, as)
	}
	mustAccept(t, s.Apply(AppendCookbook(nil, hour, readInline("top.yml", topRecipe+"  third: top(spent, 1)\n"))))
	got, as, wanted := s.Levels(hour)
	if len(got) != 3 || got[0] != 10 || got[1] != 5 || !math.IsNaN(got[2]) || as >= wanted {
		t.Errorf("levels %v as of %d, wanted as of %d", got, as, wanted)
	}
}
