package shard

import (
	"bytes"
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
