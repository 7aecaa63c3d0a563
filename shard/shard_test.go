package shard

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"strings"
	"testing"

	"dashi/pipeline/identity"

	"pgregory.net/rapid"
)

const shopRecipe = "../pipeline/recipe/testdata/shop.yml"

// I2, I6: the same events give the same state, however they are cut into batches, repeated, offered with gaps, and
// interrupted by a snapshot and restore.
func TestBatchesGapsRepeatsAndRestores(t *testing.T) {
	sources := readRecipe(t, shopRecipe)
	p := compile(t, sources)
	values := traffic(1200, 40, 5)
	last := int64(len(values) - 1)
	f := newFeeder(t, p, values)

	reference := newShard(t, testSettings(), sources)
	mustAccept(t, reference.Apply(f.batch(-1, last, 1000)))
	if err := reference.Check(); err != nil {
		t.Fatal(err)
	}
	rapid.Check(t, func(rt *rapid.T) {
		s := newShard(t, testSettings(), sources)
		for mark := int64(-1); mark < last; {
			from := mark - rapid.Int64Range(-2, 20).Draw(rt, "back")
			from = max(from, -1)
			to := min(from+rapid.Int64Range(1, 700).Draw(rt, "size"), last)
			if from >= last {
				continue
			}
			r := s.Apply(f.batch(from, to, 2000))
			switch {
			case from > mark && r.Outcome != Gap:
				rt.Fatalf("batch from %d at mark %d: %s", from, mark, r.Outcome)
			case from <= mark && r.Outcome != Accepted:
				rt.Fatalf("batch from %d at mark %d: %s", from, mark, r.Outcome)
			case from <= mark:
				mark = max(mark, to)
			}
			if r.Mark != mark || s.Mark(f.stream) != mark {
				rt.Fatalf("mark %d, want %d", r.Mark, mark)
			}
			if rapid.IntRange(0, 9).Draw(rt, "restore") == 0 {
				s = restoreCopy(t, s)
			}
		}
		if err := s.Check(); err != nil {
			rt.Fatal(err)
		}
		if s.Hash() != reference.Hash() {
			rt.Fatalf("hash %x, want %x", s.Hash(), reference.Hash())
		}
	})
}

func restoreCopy(t testing.TB, s *Shard) *Shard {
	t.Helper()
	snap := s.Snapshot()
	defer snap.Release()
	var buf bytes.Buffer
	if _, err := snap.WriteTo(&buf); err != nil {
		t.Fatal(err)
	}
	r, err := Restore(&buf, s.settings)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Close)
	if r.Fingerprint() != s.Fingerprint() {
		t.Fatal("a restored shard differs")
	}
	return r
}

// A snapshot holds the state of its moment while the shard goes on.
func TestSnapshotWhileApplying(t *testing.T) {
	sources := readRecipe(t, shopRecipe)
	f := newFeeder(t, compile(t, sources), traffic(4000, 100, 6))
	s := newShard(t, testSettings(), sources)
	mustAccept(t, s.Apply(f.batch(-1, 1999, 1)))
	want := s.Fingerprint()
	snap := s.Snapshot()
	var buf bytes.Buffer
	done := make(chan error)
	go func() {
		_, err := snap.WriteTo(&buf)
		done <- err
	}()
	for o := int64(1999); o < 3999; o += 100 {
		mustAccept(t, s.Apply(f.batch(o, o+100, 2)))
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	snap.Release()
	r, err := Restore(&buf, s.settings)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if r.Fingerprint() != want {
		t.Error("the snapshot changed with the shard")
	}
}

// The oracle: counters, sums and audiences recomputed from the JSON by a page of naive code.
func TestAgainstNaiveCounting(t *testing.T) {
	sources := readRecipe(t, shopRecipe)
	p := compile(t, sources)
	values := traffic(20_000, 300, 7)
	f := newFeeder(t, p, values)
	s := newShard(t, testSettings(), sources)
	mustAccept(t, s.Apply(f.batch(-1, int64(len(values)-1), 1)))

	type person struct {
		Purchases int
		Net       int // cents
	}
	// Whoever is seen together is one person: nobody in this town lends a device.
	parent := map[string]string{}
	var root func(id string) string
	root = func(id string) string {
		if p, ok := parent[id]; ok && p != id {
			return root(p)
		}
		parent[id] = id
		return id
	}
	strongest := make([]string, len(values))
	people := map[string]*person{}
	for pass := range 2 {
		for k, v := range values {
			var e struct {
				Event, UserID, AnonymousID string
				Properties                 struct{ Total float64 }
				Traits                     struct{ Email string }
			}
			if err := json.Unmarshal(v, &e); err != nil {
				t.Fatal(err)
			}
			if pass == 0 {
				for _, id := range []string{"user_id:" + e.UserID, "email:" + e.Traits.Email, "anonymous_id:" + e.AnonymousID} {
					if strings.HasSuffix(id, ":") {
						continue
					}
					if strongest[k] == "" {
						strongest[k] = id
					}
					parent[root(id)] = root(strongest[k])
				}
				continue
			}
			id := root(strongest[k])
			if people[id] == nil {
				people[id] = &person{}
			}
			cents := int(math.Round(e.Properties.Total * 100))
			switch e.Event {
			case "Order Completed", "Store Purchase":
				people[id].Purchases++
				people[id].Net += cents
			case "Order Refunded":
				people[id].Net -= cents
			}
		}
	}
	if got := s.Stats().Profiles; got != len(people) {
		t.Errorf("%d profiles, want %d", got, len(people))
	}
	var v View
	for id := range parent {
		want := people[root(id)]
		ns, value, err := identity.ParseIdentifier(id)
		if err != nil {
			t.Fatal(err)
		}
		if !s.Lookup([]byte(ns), []byte(value), identity.Hash(string(ns), []byte(value)), &v) {
			t.Fatalf("no profile %s", id)
		}
		var got struct {
			ID         string
			Attributes struct {
				Purchases     int
				LifetimeValue float64 `json:"lifetime_value"`
			}
		}
		text := v.AppendJSON(nil)
		if err := json.Unmarshal(text, &got); err != nil {
			t.Fatalf("%v in %s", err, text)
		}
		if root(got.ID) != root(id) || got.Attributes.Purchases != want.Purchases || got.Attributes.LifetimeValue != float64(want.Net)/100 {
			t.Fatalf("%s: %s, want %+v", id, text, want)
		}
	}
}

func TestMarksRule(t *testing.T) {
	sources := readRecipe(t, shopRecipe)
	s := newShard(t, testSettings(), sources)
	stream := Stream{Topic: [16]byte{9}}
	empty := func(prev, last int64) *Result {
		var b Batch
		b.Begin(0, stream, prev)
		return s.Apply(b.Seal(last, 5))
	}
	f := func(prev, last int64, outcome Outcome, mark int64) {
		t.Helper()
		if r := empty(prev, last); r.Outcome != outcome || r.Mark != mark {
			t.Errorf("(%d, %d]: %s, mark %d; want %s, mark %d", prev, last, r.Outcome, r.Mark, outcome, mark)
		}
	}
	f(0, 5, Gap, -1)
	f(-1, 5, Accepted, 5)
	f(-1, 5, Accepted, 5) // again
	f(3, 4, Accepted, 5)  // older
	f(3, 9, Accepted, 9)  // overlapping
	f(10, 12, Gap, 9)
	f(9, 9, Accepted, 9)
	f(12, 10, Refused, 9)
}

// A message id that comes again under another offset is dropped, until it is out of the window.
func TestRepeatedMessageIDs(t *testing.T) {
	sources := readRecipe(t, shopRecipe)
	p := compile(t, sources)
	one := []byte(`{"type":"track","event":"Order Completed","messageId":"m1","userId":"u1","timestamp":"2026-03-01T10:00:00Z","properties":{"total":10}}`)
	settings := testSettings()
	settings.RecentMillis = 1000
	s := newShard(t, settings, sources)
	f := newFeeder(t, p, [][]byte{one, one, one})
	if r := s.Apply(f.batch(-1, 0, 10_000)); r.Applied != 1 {
		t.Fatalf("%+v", r)
	}
	if r := s.Apply(f.batch(0, 1, 10_500)); r.Repeated != 1 || r.Applied != 0 {
		t.Fatalf("%+v", r)
	}
}

func TestOutboxPushesBack(t *testing.T) {
	sources := readRecipe(t, shopRecipe)
	settings := testSettings()
	settings.OutboxBytes = 2000
	f := newFeeder(t, compile(t, sources), traffic(4000, 100, 8))
	s := newShard(t, settings, sources)
	mark := int64(-1)
	pushed := 0
	var published []string
	for mark < 3999 {
		r := s.Apply(f.batch(mark, min(mark+50, 3999), 1))
		switch r.Outcome {
		case Accepted:
			mark = r.Mark
		case Full:
			pushed++
			var upTo uint64
			s.Outbox(0, func(position uint64, key, payload []byte) bool {
				published = append(published, fmt.Sprint(position))
				upTo = position + 1
				return true
			})
			mustAccept(t, s.Apply(AppendAck(nil, 1, upTo)))
		default:
			t.Fatal(r.Outcome)
		}
	}
	if pushed == 0 {
		t.Fatal("the outbox never filled")
	}
	for i, p := range published {
		if p != fmt.Sprint(i) {
			t.Fatalf("position %s at %d: not dense", p, i)
		}
	}
}

// A batch of another cookbook is answered Stale and changes nothing.
func TestStaleBatch(t *testing.T) {
	sources := readRecipe(t, shopRecipe)
	f := newFeeder(t, compile(t, sources), traffic(10, 5, 9))
	s := New(testSettings())
	defer s.Close()
	if r := s.Apply(f.batch(-1, 9, 1)); r.Outcome != Stale || s.Mark(f.stream) != -1 {
		t.Errorf("%s, mark %d", r.Outcome, s.Mark(f.stream))
	}
}

// Switching to the same attributes with one more keeps what was known, to the byte of every shared value.
func TestCookbookSwitchKeepsState(t *testing.T) {
	base := readRecipe(t, shopRecipe)
	more := append(base, readInline("more.yml", `
recipe: more
attributes:
  more_events: {kind: count, on: "*"}
audiences:
  more_regulars: {when: 'orders >= 2', emit: none}
`)...)
	f := newFeeder(t, compile(t, base), traffic(5000, 100, 10))
	s := newShard(t, testSettings(), base)
	mustAccept(t, s.Apply(f.batch(-1, 4999, 1)))
	before := describe(s)
	mustAccept(t, s.Apply(AppendCookbook(nil, 2, more)))
	if err := s.Check(); err != nil {
		t.Fatal(err)
	}
	if i := len(s.program.Audiences); i != len(compile(t, base).Audiences)+1 {
		t.Fatalf("%d audiences", i)
	}
	size := 0
	for i, d := range s.program.Audiences {
		if d.Name == "more_regulars" {
			size = s.AudienceSize(i)
		}
	}
	if size == 0 {
		t.Error("the new audience was not populated")
	}
	mustAccept(t, s.Apply(AppendCookbook(nil, 3, base)))
	if after := describe(s); after != before {
		t.Errorf("there and back changed the profiles:\n%s\n%s", before[:200], after[:200])
	}
}

// Whatever the bytes: Apply answers, and the state stays sound.
func FuzzApply(f *testing.F) {
	sources := readRecipe(f, shopRecipe)
	p := compile(f, sources)
	feed := newFeeder(f, p, traffic(40, 10, 11))
	f.Add(feed.batch(-1, 39, 1))
	f.Add(AppendTick(nil, 5))
	f.Add(AppendAck(nil, 5, 1<<60))
	f.Add(AppendCookbook(nil, 5, sources))
	f.Fuzz(func(t *testing.T, entry []byte) {
		s := newShard(t, testSettings(), sources)
		mustAccept(t, s.Apply(feed.batch(-1, 19, 1)))
		s.Apply(entry)
		if err := s.Check(); err != nil {
			t.Fatal(err)
		}
	})
}
