package shard

import (
	"strings"
	"testing"
	"time"

	"dashi/pipeline/expr"
)

const expireRecipe = `recipe: expire
attributes:
  visits: {kind: count, on: Visit}
audiences:
  visitors: visits > 0
`

// A visitor goes 30 days after the last event, and leaves; who is known by name, or has been linked with one, stays.
func TestVisitorsExpire(t *testing.T) {
	sources := readInline("expire.yml", expireRecipe)
	s := newShard(t, testSettings(), sources)
	start := time.Date(2025, 11, 1, 0, 0, 0, 0, time.UTC)
	at := func(days int) int64 { return start.AddDate(0, 0, days).UnixMilli() }
	stream := uint32(0)
	visit := func(days int, who string) {
		t.Helper()
		f := newFeeder(t, s.Program(), [][]byte{[]byte(`{"type":"track","event":"Visit",` + who + `,"timestamp":"` + time.UnixMilli(at(days)).UTC().Format(time.RFC3339) + `"}`)})
		f.stream.Partition, stream = stream, stream+1
		mustAccept(t, s.Apply(f.batch(-1, 0, at(days))))
	}
	people := func(days, want int, expired uint64) {
		t.Helper()
		mustAccept(t, s.Apply(AppendTick(nil, at(days))))
		if err := s.Check(); err != nil {
			t.Fatal(err)
		}
		if st := s.Stats(); st.Profiles != want || st.Expired != expired || s.AudienceSize(0) != want {
			t.Fatalf("after %d days %d profiles, %d expired, %d visitors; want %d and %d", days, st.Profiles, st.Expired, s.AudienceSize(0), want, expired)
		}
	}
	visit(0, `"anonymousId":"a1"`)
	visit(0, `"anonymousId":"a2"`)
	visit(0, `"userId":"u1"`)
	visit(0, `"anonymousId":"a3"`)
	visit(1, `"userId":"u3","anonymousId":"a3"`)
	visit(20, `"anonymousId":"a2"`)
	people(29, 4, 0)
	s = restoreCopy(t, s)
	mustAccept(t, s.Apply(AppendCookbook(nil, at(29), readInline("expire.yml", expireRecipe+"  many: visits > 5\n"))))
	people(30, 3, 1) // a1
	if left := describe(s); strings.Contains(left, `"a1"`) || !strings.Contains(left, `"a2"`) {
		t.Fatal(left)
	}
	visit(60, `"anonymousId":"a2"`) // gone at day 50: this is somebody new
	people(60, 3, 2)
	people(89, 3, 2)
	people(91, 2, 3)
	if s.Wake() != expr.Never {
		t.Errorf("something is due at %d", s.Wake())
	}
	exits := 0
	s.Outbox(0, func(_ uint64, _, payload []byte) bool {
		if strings.Contains(string(payload), `"transition":"exit"`) {
			exits++
		}
		return true
	})
	if exits != 3 {
		t.Errorf("%d exits, want 3", exits)
	}
}

// A new cookbook's time of silence holds for those who are silent already: a shorter one from the switch on, a longer one from the last event.
func TestExpiryOfANewCookbook(t *testing.T) {
	text := func(expire string) string {
		return "identity: {namespaces: [{name: user_id, from: userId}, {name: anonymous_id, from: anonymousId, expire: " + expire + "}]}\n" + expireRecipe
	}
	start := time.Date(2025, 11, 1, 0, 0, 0, 0, time.UTC)
	at := func(days int) int64 { return start.AddDate(0, 0, days).UnixMilli() }
	for _, c := range []struct {
		before, after string
		gone          int // days after the last event; the switch is on day 1
	}{{"30d", "2d", 3}, {"30d", "40d", 40}, {"5d", "30d", 30}, {"30d", "30d", 30}} {
		s := newShard(t, testSettings(), readInline("expire.yml", text(c.before)))
		f := newFeeder(t, s.Program(), [][]byte{[]byte(`{"type":"track","event":"Visit","anonymousId":"a1","timestamp":"2025-11-01T00:00:00Z"}`)})
		mustAccept(t, s.Apply(f.batch(-1, 0, at(0))))
		mustAccept(t, s.Apply(AppendCookbook(nil, at(1), readInline("expire.yml", text(c.after)))))
		mustAccept(t, s.Apply(AppendTick(nil, at(c.gone)-1)))
		if n := s.Stats().Profiles; n != 1 {
			t.Errorf("%s, then %s: gone before day %d", c.before, c.after, c.gone)
		}
		for range 2 { // the first may find out only that it is not time yet
			mustAccept(t, s.Apply(AppendTick(nil, at(c.gone)+1)))
		}
		if n := s.Stats().Profiles; n != 0 {
			t.Errorf("%s, then %s: not gone on day %d", c.before, c.after, c.gone)
		}
	}
}
