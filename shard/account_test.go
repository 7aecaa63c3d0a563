package shard

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"dashi/pipeline/event"
	"dashi/pipeline/identity"
)

var accountStart = time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)

// tellOne applies one message at an instant, as the only one of a partition.
func tellOne(t testing.TB, s *Shard, partition uint32, now time.Time, text string) {
	t.Helper()
	d := event.NewDecoder(s.Program().Schema, event.DefaultLimits)
	var e event.Event
	if err := d.Decode([]byte(text), now.UnixMilli(), &e); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	var b Batch
	b.Begin(s.Program().Hash, Stream{Topic: [16]byte{7}, Partition: partition}, -1)
	b.Add(0, &e)
	mustAccept(t, s.Apply(b.Seal(0, now.UnixMilli())))
}

// joins is a message by which somebody says to which account they belong, said is one of another event.
func joins(who, account string, at time.Time) string {
	return fmt.Sprintf(`{"type":"group","userId":%q,"groupId":%q,"timestamp":%q}`, who, account, at.Format(time.RFC3339))
}

func said(who, name string, at time.Time, rest string) string {
	return fmt.Sprintf(`{"type":"track","event":%q,"userId":%q,"timestamp":%q%s}`, name, who, at.Format(time.RFC3339), rest)
}

// accountText is an account as a look-up shows it, "" for none.
func accountText(s *Shard, name string) string {
	var v View
	if !s.Lookup([]byte("account"), []byte(name), identity.Hash("account", []byte(name)), &v) {
		return ""
	}
	return string(v.AppendJSON(nil))
}

// Who belongs to an account by an attribute that lapses with time alone leaves the account at that instant, although nothing else of the cookbook
// waits for that attribute.
func TestMembershipLapses(t *testing.T) {
	f := func(name, attributes, memberOf string) {
		t.Helper()
		s := newShard(t, testSettings(), readInline("m.yml", `recipe: m
purposes: {location: properties.ok}
places:
  stores: {latitude: properties.lat, longitude: properties.lon, timeout: 1h, table: {leeds: {latitude: 53.7997, longitude: -1.5492, radius: 120}}}
fields: {properties.lat: number, properties.lon: number, properties.ok: bool, properties.shop: string}
attributes:
  here: {kind: place, places: stores}
`+attributes+`
accounts:
  member_of: `+memberOf+`
  audiences:
    crowded: {when: people.count() >= 1, emit: both}
`))
		tellOne(t, s, 1, accountStart, said("u1", "Visit", accountStart, `,"properties":{"shop":"leeds","lat":53.7997,"lon":-1.5492,"ok":true}`))
		if accountText(s, "leeds") == "" {
			t.Errorf("%s: there is no account", name)
		}
		mustAccept(t, s.Apply(AppendTick(nil, accountStart.Add(time.Hour+time.Minute).UnixMilli())))
		if text := accountText(s, "leeds"); text != "" {
			t.Errorf("%s: a minute after the person has left, the account still has them: %s", name, text)
		}
	}
	f("place", "", "here")
	f("derived of a place", "  shop: {kind: derived, value: 'here == \"leeds\" ? here : \"\"'}", "shop")
	f("keys of a sequence", "  left: {kind: sequence, show: open_keys, key: properties.shop, steps: [{on: Visit}, {on: Exit, within: 1h}]}", "left")
}

// An event of somebody erased, from before that, is not taken in when it comes late: neither is it told to the account that it names, also where
// the person hangs together with others. The event of somebody who is there is told once.
func TestBuriedEventIsNotTold(t *testing.T) {
	s := newShard(t, testSettings(), readInline("b.yml", `recipe: b
attributes:
  company: {kind: set, add: {on: group, value: groupId}}
fields: {properties.email: string}
accounts:
  member_of: company
  attributes:
    orders: {kind: count, on: Order}
    mails: {kind: set, add: {on: Order, value: properties.email}}
`))
	order := func(partition uint32, who, device string, at, now time.Time) {
		t.Helper()
		tellOne(t, s, partition, now, said(who, "Order", at, fmt.Sprintf(`,"anonymousId":%q,"context":{"groupId":"acme"},"properties":{"email":"%s@x.com"}`, device, who)))
	}
	tellOne(t, s, 1, accountStart, joins("ada", "acme", accountStart))
	order(2, "bob", "tablet", accountStart, accountStart)
	order(3, "cleo", "tablet", accountStart, accountStart)
	erased := accountStart.Add(time.Hour)
	for _, who := range []string{"ada", "bob"} {
		mustAccept(t, s.Apply(AppendErase(nil, erased.UnixMilli(), "user_id", []byte(who))))
	}
	before := accountText(s, "acme")
	if !strings.Contains(before, `"orders":2`) {
		t.Fatalf("the account has %s", before)
	}
	for i, who := range []string{"ada", "bob", "bob"} {
		if i == 2 { // he has come again
			order(9, who, "phone", erased.Add(time.Hour), erased.Add(time.Hour))
			if before = accountText(s, "acme"); !strings.Contains(before, `"orders":3`) {
				t.Fatalf("the account has %s", before)
			}
		}
		buried := s.Stats().Buried
		order(10+uint32(i), who, "tablet", accountStart.Add(time.Minute), erased.Add(2*time.Hour))
		if after := accountText(s, "acme"); after != before || s.Stats().Buried == buried {
			t.Errorf("%s: the account has %s, before %s", who, after, before)
		}
	}
}

// From the erasure of an account on only those belong to it who have said so since: what else they do does not bring it back, whatever kind of
// attribute says who belongs.
func TestErasedAccountStaysAway(t *testing.T) {
	f := func(name, attributes string) {
		t.Helper()
		s := newShard(t, testSettings(), readInline("e.yml", `recipe: e
fields: {properties.page: string}
attributes:
  n: {kind: count, on: "*"}
  page: {kind: last, on: Visit, value: properties.page}
  `+attributes+`
accounts:
  member_of: company
  audiences:
    some: people.count() > 0
`))
		defer s.Close()
		tellOne(t, s, 1, accountStart, joins("u1", "acme", accountStart))
		if accountText(s, "acme") == "" {
			t.Errorf("%s: there is no account", name)
		}
		erased := accountStart.Add(time.Hour)
		mustAccept(t, s.Apply(AppendEraseAccount(nil, erased.UnixMilli(), []byte("acme"), erased.UnixMilli())))
		if text := accountText(s, "acme"); text != "" {
			t.Errorf("%s: right after the erasure: %s", name, text)
		}
		at := erased.Add(10 * time.Minute)
		tellOne(t, s, 2, at, said("u1", "Visit", at, `,"properties":{"page":"home"}`))
		if text := accountText(s, "acme"); text != "" {
			t.Errorf("%s: the person has only looked around, and the account is back: %s", name, text)
		}
		at = at.Add(time.Minute)
		tellOne(t, s, 3, at, joins("u1", "acme", at))
		if name != "only counted" && accountText(s, "acme") == "" {
			t.Errorf("%s: the person has joined it again, and there is no account", name)
		}
	}
	const raw = "raw: {kind: last, on: group, value: groupId}\n  "
	f("last", "company: {kind: last, on: group, value: groupId}")
	f("set", "company: {kind: set, add: {on: group, value: groupId}}")
	f("of a session", "company: {kind: last, on: group, value: groupId, session: visit}\nsessions:\n  visit: {gap: 2h}")
	f("derived", raw+"company: {kind: derived, value: raw}")
	f("derived of two", raw+"company: {kind: derived, value: 'n > 0 ? raw : page'}")
	f("derived of derived", raw+"first: {kind: derived, value: raw}\n  company: {kind: derived, value: first}")
	f("only counted", "company: {kind: derived, value: 'n > 0 ? \"acme\" : \"\"'}")
}

// What people have summed up may be more than a single number may be: people.sum and people.avg take it. What no sum can take is counted, once for
// every time that it is told.
func TestPeopleSumsAreWide(t *testing.T) {
	s := newShard(t, testSettings(), readInline("l.yml", `recipe: l
attributes:
  spent: {kind: sum, on: Order, value: properties.total}
  beyond: {kind: derived, value: spent * spent * spent}
  company: {kind: set, add: {on: Order, value: context.groupId}}
accounts:
  member_of: company
  audiences:
    rich: people.sum(spent) > 1 && people.avg(spent) > 1
    sky_high: people.sum(beyond) > 1
`))
	for i := range 2 {
		at := accountStart.Add(time.Duration(i) * time.Minute)
		tellOne(t, s, uint32(i), at, said("u1", "Order", at, `,"context":{"groupId":"acme"},"properties":{"total":8000000000000}`))
	}
	text := accountText(s, "acme")
	for _, want := range []string{`"people.sum(spent)":16000000000000`, `"people.avg(spent)":16000000000000`} {
		if !strings.Contains(text, want) {
			t.Errorf("no %s in %s", want, text)
		}
	}
	if strings.Contains(text, "beyond") {
		t.Errorf("there is a sum of what no sum takes: %s", text)
	}
	if n := s.Stats().OutOfRange; n != 2 {
		t.Errorf("%d numbers out of range, want 2", n)
	}
}
