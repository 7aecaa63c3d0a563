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

// crowd is the shards under test. What one has to tell another arrives at once.
type crowd struct {
	t       *rapid.T
	tb      testing.TB
	shards  []*Shard
	program *recipe.Program
	decoder *event.Decoder
	offset  int64
}

func newCrowd(t *rapid.T, tb testing.TB, shards int) *crowd {
	c := &crowd{t: t, tb: tb}
	for i := range shards {
		s := testSettings()
		s.Compile = func([]recipe.Source) (*recipe.Program, []recipe.Diagnostic) { return c.program, nil }
		if s.Self = i; shards > 1 {
			s.Home = func(hash uint64) int { hi, _ := bits.Mul64(hash, uint64(shards)); return int(hi) }
		}
		c.shards = append(c.shards, New(s))
	}
	return c
}

func (c *crowd) close() {
	for _, s := range c.shards {
		s.Close()
	}
}

// all applies an entry everywhere, and what follows from it.
func (c *crowd) all(entry []byte, now int64) {
	for _, s := range c.shards {
		c.accept(s.Apply(entry))
	}
	c.deliver(now)
}

func (c *crowd) accept(r *Result) {
	if r.Outcome != Accepted {
		c.t.Fatalf("%s: %s", r.Outcome, r.Detail)
	}
}

func (c *crowd) use(text string, now int64) {
	sources := readInline("random.yml", text)
	program, found := recipe.Compile(sources)
	if program == nil {
		c.t.Fatalf("%v\n%s", found, text)
	}
	c.program, c.decoder = program, event.NewDecoder(program.Schema, event.DefaultLimits)
	c.all(AppendCookbook(nil, now, sources), now)
}

func (c *crowd) tick(now int64) { c.all(AppendTick(nil, now), now) }

// deedText is the message of a deed of the people of one round.
func deedText(d deed, round string) string {
	who := []string{`"userId":"u%[2]s%[1]d"`, `"anonymousId":"a%[2]s%[1]d"`, `"userId":"u%[2]s%[1]d","anonymousId":"a%[2]s%[1]d"`,
		`"userId":"u%[2]s%[1]d","context":{"traits":{"email":"family%[2]s@example.com"}}`}[d.as]
	return fmt.Sprintf(`{"type":"track","event":%q,%s,"timestamp":%q,"properties":{"total":%d}}`, d.what, fmt.Sprintf(who, d.who, round),
		time.UnixMilli(d.at).UTC().Format(time.RFC3339Nano), d.total)
}

func (c *crowd) apply(now int64, deeds ...deed) {
	var texts []string
	for _, d := range deeds {
		texts = append(texts, deedText(d, ""))
	}
	c.feed(now, texts...)
}

// feed gives every shard the messages of those who are at home there.
func (c *crowd) feed(now int64, texts ...string) {
	last := c.offset + int64(len(texts)) - 1
	for i, s := range c.shards {
		var b Batch
		var e event.Event
		b.Begin(c.program.Hash, Stream{Topic: [16]byte{9}}, c.offset-1)
		for k, text := range texts {
			if err := c.decoder.Decode([]byte(text), now, &e); err != nil {
				c.t.Fatal(err)
			}
			if len(c.shards) == 1 || s.settings.Home(e.Hash) == i {
				b.Add(c.offset+int64(k), &e)
			}
		}
		c.accept(s.Apply(b.Seal(last, now)))
	}
	c.offset = last + 1
	c.deliver(now)
}

// deliver takes messages to where they belong until there are none.
func (c *crowd) deliver(now int64) {
	for under := true; under; {
		under = false
		for i, s := range c.shards {
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
				m.Begin(i, c.program.Hash, w.first)
				s.EachMessage(w.to, w.first, func(_ uint64, message []byte) bool { m.Add(message); return true })
				c.accept(c.shards[w.to].Apply(bytes.Clone(m.Seal(now))))
				c.accept(s.Apply(AppendPeerAcks(nil, now, PeerAck{Peer: w.to, Position: c.shards[w.to].PeerMark(i)})))
			}
		}
	}
}

// restart restores one of the shards from a snapshot.
func (c *crowd) restart() {
	i := rapid.IntRange(0, len(c.shards)-1).Draw(c.t, "restarted")
	restored := restoreCopy(c.tb, c.shards[i])
	c.shards[i].Close()
	c.shards[i] = restored
}

func (c *crowd) transitions() (seen []string) {
	for _, s := range c.shards {
		seen = append(seen, transitionsOf(c.t, s, "")...)
	}
	return seen
}

// transitionsOf are those that wait in a shard, of the people of one round.
func transitionsOf(t interface{ Fatal(...any) }, s *Shard, round string) (seen []string) {
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

func (c *crowd) check() {
	for _, s := range c.shards {
		if err := s.Check(); err != nil {
			c.t.Fatal(err)
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
