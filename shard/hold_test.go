package shard

import (
	"bytes"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

const heldRecipe = `
recipe: held
attributes:
  visits: {kind: count, on: Visit}
  last: {kind: last_at, on: Visit}
audiences:
  fresh: {when: 'now - last < duration("10s")', emit: both}
`

// TestHold takes one shard through a switch: held, given a limit, written and restored, tried, given up for a later version, switched, and told once more
// what it has done already. At each step only what may change does.
func TestHold(t *testing.T) {
	sources := readInline("held.yml", heldRecipe)
	more := readInline("held.yml", heldRecipe+"  many: visits > 1\n")
	start := time.Date(2026, 3, 1, 10, 0, 0, 0, time.UTC).UnixMilli()
	visit := func(who string) []byte {
		return []byte(`{"type":"track","event":"Visit","userId":"` + who + `","timestamp":"2026-03-01T10:00:00Z"}`)
	}
	s := newShard(t, testSettings(), sources)
	f := newFeeder(t, compile(t, sources), [][]byte{visit("u1"), visit("u2"), visit("u1")})
	mustAccept(t, s.Apply(f.batch(-1, 0, start)))
	hold := func(now int64, version uint64, limits ...Limit) *Report {
		t.Helper()
		r := s.Apply(AppendHold(nil, now, version, limits))
		mustAccept(t, r)
		return r.Report
	}
	is := func(r *Result, want Outcome) {
		t.Helper()
		if r.Outcome != want {
			t.Errorf("%s %s, want %s", r.Outcome, r.Detail, want)
		}
	}
	is(s.Apply(AppendSwitch(nil, start, 2, false, more)), Stale) // nobody has held it

	// Held: what was due has happened, the clock stands, and nothing new begins.
	hold(start+11_000, 2)
	left := false
	s.Outbox(0, func(_ uint64, _, payload []byte) bool {
		left = left || strings.Contains(string(payload), `"exit"`)
		return true
	})
	if !left {
		t.Error("what was due when it was held has not happened")
	}
	if s.Wake() != math.MaxInt64 {
		t.Errorf("a held shard wants to be woken at %d", s.Wake())
	}
	is(s.Apply(f.batch(0, 1, start+12_000)), Held)
	is(s.Apply(f.batch(-1, 0, start+12_000)), Accepted) // it has that
	is(s.Apply(AppendUnlink(nil, start, "user_id", []byte("a"), "user_id", []byte("b"))), Held)
	is(s.Apply(AppendClock(nil, start, false, start+99_000)), Held)

	// With a limit: events up to it come in, and no others.
	limit := Limit{f.stream, 1}
	hold(start+13_000, 2, limit)
	is(s.Apply(f.batch(0, 2, start+14_000)), Held)
	is(s.Apply(f.batch(0, 1, start+14_000)), Accepted)
	if got := hold(start+15_000, 2); !reflect.DeepEqual(got, &Report{Version: 1, Held: 2, Marks: []Limit{limit}}) {
		t.Errorf("%+v", got)
	}
	if now := s.Now() - start; now != 11_000 {
		t.Errorf("the clock of a held shard went on to %d", now)
	}

	// A snapshot keeps that.
	snap := s.Snapshot()
	var b bytes.Buffer
	if _, err := snap.WriteTo(&b); err != nil {
		t.Fatal(err)
	}
	snap.Release()
	restored, err := Restore(&b, testSettings())
	if err != nil {
		t.Fatal(err)
	}
	defer restored.Close()
	if restored.Fingerprint() != s.Fingerprint() || restored.Held() != 2 || restored.Limit(f.stream) != 1 {
		t.Errorf("restored: held %d, limit %d", restored.Held(), restored.Limit(f.stream))
	}

	// Trying changes nothing but that it was tried.
	hash := s.Hash()
	is(s.Apply(AppendSwitch(nil, start, 2, true, more)), Accepted)
	if s.Hash() != hash || s.Version() != 1 || s.ready() != 2 {
		t.Error("a try changed more than that it was tried")
	}
	before := s.Fingerprint()
	is(s.Apply(AppendSwitch(nil, start, 2, true, more)), Accepted)
	is(s.Apply(AppendSwitch(nil, start, 2, true, readInline("held.yml", "recipe: held\naudiences: {a: nothing}\n"))), Refused)
	if s.Fingerprint() != before {
		t.Error("a try changed the state")
	}

	// Version 2 is given up for 3: what is said of 2 comes too late.
	hold(start+15_000, 3)
	is(s.Apply(AppendHold(nil, start, 2, nil)), Stale)
	is(s.Apply(AppendSwitch(nil, start, 2, false, more)), Stale)
	if s.Limit(f.stream) != -1 {
		t.Error("the limits of another version hold")
	}

	// Switched and released; the same once more does nothing.
	is(s.Apply(AppendSwitch(nil, start+16_000, 3, false, more)), Accepted)
	if s.Held() != 0 || s.Version() != 3 || s.Limit(f.stream) != math.MaxInt64 || len(s.program.Audiences) != 2 {
		t.Errorf("held %d, version %d", s.Held(), s.Version())
	}
	is(s.Apply(AppendSwitch(nil, start+17_000, 3, false, sources)), Accepted) // late: it has been switched
	hold(start+17_000, 3)
	if s.Held() != 0 || len(s.program.Audiences) != 2 {
		t.Error("a late entry did something")
	}

	// Damaged entries.
	for _, entry := range [][]byte{AppendHold(nil, 1, 9, nil)[:12], append(AppendHold(nil, 1, 9, []Limit{limit}), 0), AppendSwitch(nil, 1, 9, false, nil)[:15]} {
		is(s.Apply(entry), Refused)
	}
}

func TestReportsTravel(t *testing.T) {
	r := &Report{Version: 3, Held: 4, Waiting: true, Sent: 5, Marks: []Limit{{Stream{[16]byte{1}, 2}, 7}, {Stream{[16]byte{2}, 0}, -1}}}
	b := r.Append(nil)
	if got, err := ReadReport(b); err != nil || !reflect.DeepEqual(got, r) {
		t.Errorf("%+v, %v", got, err)
	}
	for i := range b {
		if _, err := ReadReport(b[:i]); err == nil {
			t.Errorf("%d of %d bytes are enough", i, len(b))
		}
	}
}

func TestSwitchSteps(t *testing.T) {
	a, b := Stream{Partition: 1}, Stream{Partition: 2}
	at := func(version, held, sent uint64, marks ...Limit) *Report {
		return &Report{Version: version, Held: held, Sent: sent, Marks: marks}
	}
	waits := at(1, 2, 0)
	waits.Waiting = true
	all := func(Stream) bool { return true }
	w := &Switch{Version: 2}
	f := func(live func(Stream) bool, want Step, limits []Limit, reports ...*Report) {
		t.Helper()
		if step, got := w.Next(reports, live); step != want || !slices.Equal(got, limits) {
			t.Errorf("%s %v, want %s %v", step, got, want, limits)
		}
	}
	f(all, ToHold, nil, at(1, 2, 0), at(1, 0, 0))
	f(all, ToHold, []Limit{{a, 5}, {b, 3}}, at(1, 2, 0, Limit{a, 5}), at(1, 2, 0, Limit{a, 4}, Limit{b, 3}))
	f(all, ToHold, nil, waits, at(1, 2, 0))
	f(all, ToHold, nil, at(1, 2, 7), at(1, 2, 0)) // the first look at rest
	f(all, ToHold, nil, at(1, 2, 8), at(1, 2, 0)) // it was none: a message has been sent
	f(all, ToTry, nil, at(1, 2, 8), at(1, 2, 0))
	w = &Switch{Version: 2}
	dead := func(s Stream) bool { return s != b }
	one, other := at(1, 2, 0, Limit{a, 5}, Limit{b, 3}), at(1, 2, 0, Limit{a, 5})
	f(dead, ToHold, []Limit{{a, 5}, {b, 3}}, one, other)
	f(dead, ToTry, nil, one, other)
	f(all, ToSwitch, nil, at(2, 0, 0), at(1, 2, 0))
	f(all, Switched, nil, at(2, 0, 0), at(2, 0, 0))
	f(all, Overtaken, nil, at(2, 0, 0), at(1, 4, 0))
	if w.Known != 4 {
		t.Errorf("known: %d", w.Known)
	}
}
