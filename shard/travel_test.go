package shard

import (
	"bytes"
	"strings"
	"testing"

	"dashi/shard/profile"
)

// What another node reads of a profile is what its own would: linked or not, with every attribute of the shop's recipe.
func TestViewsTravel(t *testing.T) {
	sources := readRecipe(t, "../bench/twelve/twelve.yml")
	s := newShard(t, testSettings(), sources)
	p := compile(t, sources)
	f := newFeeder(t, p, traffic(3000, 200, 5))
	mustAccept(t, s.Apply(f.batch(-1, 2999, 1000)))
	reader := NewReader(p)
	linked := 0
	s.table.Each(func(_ profile.Ref, rec profile.Record) bool {
		if rec.Version() == 0 {
			return true
		}
		var v, far View
		s.view(rec, &v)
		text := AppendView([]byte("x"), &v)[1:]
		if err := reader.Read(text, &far); err != nil {
			t.Fatal(err)
		}
		if len(v.links) > 0 {
			linked++
		}
		if got, want := far.AppendJSON(nil), v.AppendJSON(nil); !bytes.Equal(got, want) {
			t.Fatalf("it reads\n%s, not\n%s", got, want)
		}
		if got, want := far.AppendExplanation(nil), v.AppendExplanation(nil); !bytes.Equal(got, want) {
			t.Fatalf("it explains\n%s, not\n%s", got, want)
		}
		if again := AppendView(nil, &far); !bytes.Equal(again, text) {
			t.Fatal("it does not travel on")
		}
		return true
	})
	if linked == 0 {
		t.Error("nobody is linked")
	}
}

func FuzzReadView(f *testing.F) {
	sources := readRecipe(f, "../bench/twelve/twelve.yml")
	p := compile(f, sources)
	s := newShard(f, testSettings(), sources)
	feed := newFeeder(f, p, traffic(300, 20, 5))
	mustAccept(f, s.Apply(feed.batch(-1, 299, 1000)))
	var v View
	s.table.Each(func(_ profile.Ref, rec profile.Record) bool {
		if rec.Version() > 0 {
			s.view(rec, &v)
			f.Add(AppendView(nil, &v))
		}
		return true
	})
	reader := NewReader(p)
	f.Fuzz(func(t *testing.T, src []byte) {
		var v View
		if reader.Read(src, &v) == nil { // what it takes it can name
			v.AppendID(nil)
			v.EachAudience(func(int, int64) {})
		}
	})
}

// What compares people is explained of a profile of another node as it is there: by that shard's thresholds.
func TestLevelsTravel(t *testing.T) {
	sources := readInline("top.yml", topRecipe)
	s, p := newShard(t, testSettings(), sources), compile(t, sources)
	f := newFeeder(t, p, spenders(100))
	mustAccept(t, s.Apply(f.batch(-1, 99, 1000)))
	reader, far := NewReader(p), View{}
	check := func(known bool) {
		t.Helper()
		in := 0
		s.table.Each(func(_ profile.Ref, rec profile.Record) bool {
			var v View
			s.view(rec, &v)
			if err := reader.Read(AppendView(nil, &v), &far); err != nil {
				t.Fatal(err)
			}
			for i := range p.Audiences {
				parts, err := p.Explain(i)
				if err != nil {
					t.Fatal(err)
				}
				for _, part := range parts {
					if got, want := string(part.AppendJSON(nil, &far.Env)), string(part.AppendJSON(nil, &v.Env)); got != want || strings.HasPrefix(part.Text, "top(") && (got == "null") == known {
						t.Fatalf("%s is %s, here %s", part.Text, got, want)
					} else if i == 0 && got == "true" {
						in++
					}
				}
				next, unknown, reads := far.NextLevels(i)
				if here, no, asks := v.NextLevels(i); next != here || unknown != no || reads != asks || unknown == known {
					t.Fatalf("next at %d, unknown %v; here at %d, %v", next, unknown, here, no)
				}
			}
			return true
		})
		if known && in == 0 {
			t.Error("nobody is among the best")
		}
	}
	check(false)
	now := s.Now()
	mustAccept(t, s.Apply(AppendLevels(nil, now, p.Hash, now, levels(s, now))))
	check(true)
	if err := reader.Read(AppendView(nil, &far)[:20], &View{}); err == nil {
		t.Error("a part is read")
	}
}
