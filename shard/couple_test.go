package shard

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"dashi/pipeline/event"
	"dashi/pipeline/identity"
)

// couple is two shards whose messages are delivered when the test says so.
type couple struct {
	t          testing.TB
	s          [2]*Shard
	partitions uint32 // of the events so far: each is one
}

const coupleRecipe = `recipe: couple
identity:
  namespaces:
    - {name: user, from: userId, unique: true}
    - {name: email, from: properties.email}
    - {name: phone, from: properties.phone, normalise: exact}
    - {name: card, from: properties.card}
fields: {properties.email: string, properties.phone: string, properties.card: string}
attributes:
  n: {kind: count, on: "*"}
`

// newCouple makes two shards. All identifiers are at home on the second, but for those named.
func newCouple(t testing.TB, recipe string, first ...string) *couple {
	c := &couple{t: t}
	at0 := map[uint64]bool{}
	for _, id := range first {
		ns, v, _ := strings.Cut(id, ":")
		at0[identity.Hash(ns, []byte(v))] = true
	}
	for i := range c.s {
		settings := testSettings()
		settings.Self = i
		settings.Home = func(hash uint64) int {
			if at0[hash] {
				return 0
			}
			return 1
		}
		c.s[i] = newShard(t, settings, readInline("couple.yml", recipe))
	}
	return c
}

// feed gives a shard one event, which happened at an instant and comes at now.
func (c *couple) feed(shard int, now, at time.Time, who, properties string) {
	c.t.Helper()
	s := c.s[shard]
	var e event.Event
	text := fmt.Sprintf(`{"type":"track","event":"Visit",%s,"timestamp":%q,"properties":{%s}}`, who, at.Format(time.RFC3339Nano), properties)
	if err := event.NewDecoder(s.Program().Schema, event.DefaultLimits).Decode([]byte(text), now.UnixMilli(), &e); err != nil {
		c.t.Fatalf("%v in %s", err, text)
	}
	c.partitions++
	var b Batch
	b.Begin(s.Program().Hash, Stream{Topic: [16]byte{7}, Partition: c.partitions}, -1)
	b.Add(0, &e)
	mustAccept(c.t, s.Apply(b.Seal(0, now.UnixMilli())))
}

// deliver brings what one has for the other, and says whether that was anything.
func (c *couple) deliver(from int, now time.Time) (some bool) {
	to := 1 - from
	c.s[from].Outgoing(func(_ int, first, _ uint64) {
		some = true
		var m Messages
		m.Begin(from, c.s[from].Dialect(), first)
		c.s[from].EachMessage(to, first, func(_ uint64, message []byte) bool { m.Add(message); return true })
		mustAccept(c.t, c.s[to].Apply(append([]byte(nil), m.Seal(now.UnixMilli())...)))
	})
	if some {
		mustAccept(c.t, c.s[from].Apply(AppendPeerAcks(nil, now.UnixMilli(), PeerAck{Peer: to, Position: c.s[to].PeerMark(from)})))
	}
	return some
}

func (c *couple) rest(now time.Time) {
	for c.deliver(0, now) || c.deliver(1, now) {
	}
}

// profile is what a shard says of an identifier; empty when it has nobody.
func (c *couple) profile(shard int, namespace, value string) string {
	var v View
	s := c.s[shard]
	if !s.Lookup([]byte(namespace), []byte(value), identity.Hash(namespace, []byte(value)), &v) {
		return ""
	}
	v.Env.Now = s.Now()
	return string(v.AppendJSON(nil))
}

// inOrder are two users, the one whose id is smaller first.
func inOrder(a, b string) (first, second string) {
	if identity.Hash("user", []byte(a)) > identity.Hash("user", []byte(b)) {
		return b, a
	}
	return a, b
}

var coupleStart = time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)

// TestErasedRoot: somebody is erased while a link of theirs is under way, of an event whose time is ahead of the clock, as that of a phone may be. The root of the
// component that comes of it has no state of its own; who takes it in keeps its record, which holds the component.
func TestErasedRoot(t *testing.T) {
	a, b := inOrder("u1", "u3")
	c := newCouple(t, coupleRecipe, "user:u1", "user:u3")
	now := coupleStart
	c.feed(0, now, now.Add(5*time.Minute), `"userId":"`+a+`"`, `"phone":"p1"`)
	mustAccept(t, c.s[0].Apply(AppendErase(nil, now.UnixMilli(), "user", []byte(a))))
	c.rest(now)
	for _, e := range []struct {
		shard           int
		who, properties string
	}{
		{1, `"context":{}`, `"email":"e3@x.com","phone":"p1"`}, {1, `"context":{}`, `"email":"e3@x.com","card":"c2"`},
		{0, `"userId":"` + b + `"`, `"card":"c9"`}, {0, `"userId":"` + b + `"`, `"card":"c2"`},
	} {
		c.feed(e.shard, now, now, e.who, e.properties)
		c.rest(now)
	}
	for _, id := range []string{"c9", "c2"} {
		if p := c.profile(0, "user", b) + c.profile(1, "user", b); !strings.Contains(p, id) {
			t.Errorf("%s is not of %s: %s", id, b, p)
		}
	}
	for _, s := range c.s {
		if err := s.Check(); err != nil {
			t.Error(err)
		}
	}
}

// TestNothingStaysParked: what comes a moment after an erasure meets the pointer that the erasure is about to remove. It goes on to where the erased one
// begins anew, and is neither lost nor kept for ever.
func TestNothingStaysParked(t *testing.T) {
	a, b := inOrder("u1", "u0")
	begin := func(t *testing.T) (*couple, time.Time) {
		c := newCouple(t, coupleRecipe, "user:"+a)
		now := coupleStart
		c.feed(0, now, now, `"userId":"`+a+`"`, `"card":"c1"`) // two people who share a card lie in one place, at the home of a
		c.rest(now)
		now = now.Add(time.Second)
		c.feed(1, now, now, `"userId":"`+b+`"`, `"card":"c1","phone":"p3"`)
		c.rest(now)
		now = now.Add(time.Minute)
		mustAccept(t, c.s[1].Apply(AppendErase(nil, now.UnixMilli(), "user", []byte(b))))
		c.deliver(1, now) // to where b lies; what that says back is under way
		return c, now.Add(20 * time.Millisecond)
	}
	end := func(t *testing.T, c *couple, now time.Time) {
		t.Helper()
		c.rest(now)
		for i, s := range c.s {
			if n := len(s.parked); n > 0 || s.counters.Corrupt > 0 {
				t.Errorf("shard %d keeps %d messages at rest, %d were corrupt", i, n, s.counters.Corrupt)
			}
		}
	}
	t.Run("cut", func(t *testing.T) {
		c, now := begin(t)
		mustAccept(t, c.s[1].Apply(AppendUnlink(nil, now.UnixMilli(), "user", []byte(b), "phone", []byte("p9"))))
		end(t, c, now)
		now = now.Add(time.Minute)
		c.feed(1, now, now, `"userId":"`+b+`"`, `"phone":"p9"`)
		end(t, c, now)
		for i := range c.s {
			if p := c.profile(i, "user", b); strings.Contains(p, "p9") {
				t.Errorf("somebody said that these two are never one person: %s", p)
			}
		}
	})
	t.Run("link", func(t *testing.T) {
		c, now := begin(t)
		c.feed(0, now, now, `"userId":"`+a+`"`, `"phone":"p3"`) // the phone of the erased one, at whose home that is not known yet
		end(t, c, now)
		if p := c.profile(0, "user", a); !strings.Contains(p, "p3") {
			t.Errorf("the phone was seen with %s after the erasure: %s", a, p)
		}
	})
}

// TestAnewWhereItLed: a phone is on its way to an address whose person is erased and begins anew meanwhile, while its pointer leads there still. What is
// about the phone waits for it and goes on to where it came, whether the phone was erased once itself or not.
func TestAnewWhereItLed(t *testing.T) {
	for _, again := range []bool{false, true} {
		for _, what := range []string{"event", "link", "cut", "erasure"} {
			t.Run(fmt.Sprintf("%s/again=%t", what, again), func(t *testing.T) {
				c := newCouple(t, coupleRecipe, "user:u1", "user:u2")
				now := coupleStart
				step := func() time.Time { now = now.Add(time.Second); return now }
				erase := func(shard int, namespace, value string) {
					mustAccept(t, c.s[shard].Apply(AppendErase(nil, step().UnixMilli(), namespace, []byte(value))))
				}
				if again {
					c.feed(1, now, now, `"context":{}`, `"phone":"p1"`)
					erase(1, "phone", "p1")
				}
				step()
				c.feed(0, now, now, `"userId":"u1"`, `"email":"e1@x.com"`)
				c.rest(now)
				step()
				c.feed(1, now, now, `"context":{}`, `"email":"e1@x.com","phone":"p1"`)
				c.deliver(1, now)
				c.deliver(0, now) // the phone sets out for the address, and by way of that for u1
				erase(0, "user", "u1")
				c.deliver(0, now) // the address is nobody's
				step()
				c.feed(1, now, now, `"context":{}`, `"email":"e1@x.com"`) // and begins anew
				switch step(); what {
				case "event":
					c.feed(1, now, now, `"context":{}`, `"phone":"p1"`)
				case "link":
					c.feed(0, now, now, `"userId":"u2"`, `"phone":"p1"`)
					c.deliver(0, now)
				case "cut":
					mustAccept(t, c.s[1].Apply(AppendUnlink(nil, now.UnixMilli(), "user", []byte("u9"), "phone", []byte("p1"))))
				case "erasure":
					erase(1, "phone", "p1")
				}
				step()
				c.feed(1, now, now, `"context":{}`, `"email":"e1@x.com","card":"c1"`) // something moves: what waits is looked at again
				c.rest(now)
				for i, s := range c.s {
					if n := len(s.parked); n > 0 || s.counters.Corrupt > 0 {
						t.Errorf("shard %d keeps %d messages at rest, %d were corrupt", i, n, s.counters.Corrupt)
					}
					if err := s.Check(); err != nil {
						t.Error(err)
					}
				}
				p := c.profile(0, "phone", "p1") + c.profile(1, "phone", "p1")
				switch what {
				case "event":
					if !strings.Contains(p, `"n":1`) {
						t.Errorf("the event of the phone is lost: %q", p)
					}
				case "link":
					if p := c.profile(0, "user", "u2"); !strings.Contains(p, "p1") {
						t.Errorf("the phone was seen with u2 after the erasure: %q", p)
					}
				case "erasure":
					if p != "" {
						t.Errorf("the phone is erased: %s", p)
					}
				}
			})
		}
	}
}

// TestEnteredStaysIn: who is in an audience that is entered by one condition and left by another stays in when they turn out to be somebody else.
func TestEnteredStaysIn(t *testing.T) {
	const recipe = `recipe: sticky
identity:
  namespaces:
    - {name: user, from: userId}
    - {name: device, from: anonymousId}
fields: {properties.total: number}
attributes:
  rush: {kind: count, on: Visit, where: properties.total > 0, window: 6h, bucket: 1h}
  gone: {kind: count, on: Leave}
audiences:
  vip: {enter: rush >= 2, leave: gone > 0, emit: both}
`
	for name, anew := range map[string]bool{"grow": false, "fold anew": true} {
		t.Run(name, func(t *testing.T) {
			c := newCouple(t, recipe)
			s, at := c.s[1], coupleStart
			s.foldAnew = anew
			c.feed(1, at, at, `"userId":"u1"`, ``)
			for range 2 {
				at = at.Add(time.Minute)
				c.feed(1, at, at, `"anonymousId":"d1"`, `"total":1`)
			}
			at = at.Add(10 * time.Hour) // the rush is over, nobody has left
			mustAccept(t, s.Apply(AppendTick(nil, at.UnixMilli())))
			if p := c.profile(1, "device", "d1"); !strings.Contains(p, `"vip":{`) {
				t.Fatalf("before: %s", p)
			}
			c.feed(1, at, at, `"userId":"u1","anonymousId":"d1"`, ``)
			if p := c.profile(1, "user", "u1"); !strings.Contains(p, `"vip":{`) {
				t.Errorf("the visitor was in, has not left, and is not in any more: %s", p)
			}
			s.Outbox(0, func(_ uint64, _, payload []byte) bool {
				if strings.Contains(string(payload), `"transition":"exit"`) {
					t.Errorf("an exit: %s", payload)
				}
				return true
			})
			if err := s.Check(); err != nil {
				t.Error(err)
			}
		})
	}
}
