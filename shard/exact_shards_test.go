package shard

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/bits"
	"slices"
	"sort"
	"strings"
	"testing"
	"time"

	"dashi/pipeline/event"
	"dashi/pipeline/recipe"

	"pgregory.net/rapid"
)

// fleet is the shards under test. What one has to tell another arrives at once.
type fleet struct {
	t       checker
	tb      testing.TB
	round   string // in the names of people: with another their homes are others
	shards  []*Shard
	program *recipe.Program
	decoder *event.Decoder
	offset  int64
}

// checker is a *rapid.T or a *testing.T.
type checker interface {
	Fatal(...any)
	Fatalf(string, ...any)
}

func newFleet(t checker, tb testing.TB, shards int) *fleet {
	f := &fleet{t: t, tb: tb}
	for i := range shards {
		s := testSettings()
		s.Compile = func([]recipe.Source) (*recipe.Program, []recipe.Diagnostic) { return f.program, nil }
		if s.Self = i; shards > 1 {
			s.Home = func(hash uint64) int { hi, _ := bits.Mul64(hash, uint64(shards)); return int(hi) }
		}
		f.shards = append(f.shards, New(s))
	}
	return f
}

func (f *fleet) close() {
	for _, s := range f.shards {
		s.Close()
	}
}

// all applies an entry everywhere, and what follows from it.
func (f *fleet) all(entry []byte, now int64) {
	for _, s := range f.shards {
		f.accept(s.Apply(entry))
	}
	f.deliver(now)
}

func (f *fleet) accept(r *Result) {
	if r.Outcome != Accepted {
		f.t.Fatalf("%s: %s", r.Outcome, r.Detail)
	}
}

func (f *fleet) use(text string, now int64) {
	sources := readInline("random.yml", text)
	program, found := recipe.Compile(sources)
	if program == nil {
		f.t.Fatalf("%v\n%s", found, text)
	}
	f.program, f.decoder = program, event.NewDecoder(program.Schema, event.DefaultLimits)
	f.all(AppendCookbook(nil, now, sources), now)
}

func (f *fleet) tick(now int64) { f.all(AppendTick(nil, now), now) }

// deedText is the message of a deed of the people of one round.
func deedText(d deed, round string) string {
	who := []string{`"userId":"u%[2]s%[1]d"`, `"anonymousId":"a%[2]s%[1]d"`, `"userId":"u%[2]s%[1]d","anonymousId":"a%[2]s%[1]d"`,
		`"userId":"u%[2]s%[1]d","context":{"traits":{"email":"family%[2]s@example.com"}}`}[d.as]
	return fmt.Sprintf(`{"type":"track","event":%q,%s,"timestamp":%q,"properties":{"total":%d}}`, d.what, fmt.Sprintf(who, d.who, round),
		time.UnixMilli(d.at).UTC().Format(time.RFC3339Nano), d.total)
}

func decodeDeed(decoder *event.Decoder, d deed, round string, e *event.Event) error {
	return decoder.Decode([]byte(deedText(d, round)), d.now, e)
}

func (f *fleet) apply(now int64, deeds ...deed) {
	var texts []string
	for _, d := range deeds {
		texts = append(texts, deedText(d, f.round))
	}
	f.feed(now, texts...)
}

// feed gives every shard the messages of those who are at home there.
func (f *fleet) feed(now int64, texts ...string) {
	last := f.offset + int64(len(texts)) - 1
	for i, s := range f.shards {
		var b Batch
		var e event.Event
		b.Begin(f.program.Hash, Stream{Topic: [16]byte{9}}, f.offset-1)
		for k, text := range texts {
			if err := f.decoder.Decode([]byte(text), now, &e); err != nil {
				f.t.Fatal(err)
			}
			if len(f.shards) == 1 || s.settings.Home(e.Hash) == i {
				b.Add(f.offset+int64(k), &e)
			}
		}
		f.accept(s.Apply(b.Seal(last, now)))
	}
	f.offset = last + 1
	f.deliver(now)
}

// deliver takes messages to where they belong until there are none.
func (f *fleet) deliver(now int64) {
	for under := true; under; {
		under = false
		for i, s := range f.shards {
			type way struct {
				to    int
				first uint64
			}
			var ways []way
			s.Outgoing(func(to int, first, next uint64) {
				if first < next {
					ways = append(ways, way{to, first})
				}
			})
			for _, w := range ways {
				under = true
				var m Messages
				m.Begin(i, f.program.Hash, w.first)
				s.EachMessage(w.to, w.first, func(_ uint64, message []byte) bool { m.Add(message); return true })
				f.accept(f.shards[w.to].Apply(bytes.Clone(m.Seal(now))))
				f.accept(s.Apply(AppendPeerAcks(nil, now, PeerAck{Peer: w.to, Position: f.shards[w.to].PeerMark(i)})))
			}
		}
	}
}

// restart restores one of the shards from a snapshot.
func (f *fleet) restart(t *rapid.T) {
	i := rapid.IntRange(0, len(f.shards)-1).Draw(t, "restarted")
	restored := restoreCopy(f.tb, f.shards[i])
	f.shards[i].Close()
	f.shards[i] = restored
}

func (f *fleet) transitions() (seen []string) {
	for _, s := range f.shards {
		seen = append(seen, transitionsOf(f.t, s, f.round)...)
	}
	return seen
}

// transitionsOf are those that wait in a shard, of the people of one round.
func transitionsOf(t checker, s *Shard, round string) (seen []string) {
	s.Outbox(0, func(_ uint64, _, payload []byte) bool {
		var a struct {
			Profile, Audience, Transition string
			EventTime                     time.Time `json:"event_time"`
		}
		if err := json.Unmarshal(payload, &a); err != nil {
			t.Fatal(err)
		}
		_, who, _ := strings.Cut(a.Profile, ":")
		name, of := who[:1]+who[len(who)-1:], who[1:len(who)-1]
		if a.Audience == "" || of != round { // a merge, or somebody of a round before
			return true
		}
		seen = append(seen, transitionText(name, a.Audience, a.Transition == "enter", a.EventTime.UnixMilli()))
		return true
	})
	return seen
}

func (f *fleet) check() {
	for _, s := range f.shards {
		if err := s.Check(); err != nil {
			f.t.Fatal(err)
		}
	}
}

func sameSets(t *rapid.T, got, want []string, recipe string) {
	t.Helper()
	sort.Strings(got)
	sort.Strings(want)
	if !slices.Equal(got, want) {
		t.Fatalf("transitions\n%s\nwant\n%s\nof\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"), recipe)
	}
}
