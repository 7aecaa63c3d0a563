package shard

import (
	"math"
	"strings"
	"testing"
	"time"
)

const asOfRecipe = `recipe: as-of
identity:
  namespaces:
    - {name: user, from: userId}
    - {name: email, from: traits.email}
attributes:
  n: {kind: count, on: "*"}
  company: {kind: last, on: group, value: groupId}
accounts:
  member_of: company
  audiences:
    some: people.count() > 0
`

// newAsOf are two shards that live by event times. The address e@x.com is at home in the first, which reads no event; all else is in the second.
func newAsOf(t *testing.T) *couple {
	c := newCouple(t, asOfRecipe, "email:e@x.com")
	for _, s := range c.s {
		mustAccept(t, s.Apply(AppendClock(nil, 1, true, math.MinInt64)))
	}
	return c
}

func (c *couple) said(shard int, text string, at time.Time) {
	c.t.Helper()
	c.partitions++
	tellOne(c.t, c.s[shard], 1000+c.partitions, at, text)
	c.rest(at)
}

func identify(who string, at time.Time) string {
	return `{"type":"identify","userId":"` + who + `","traits":{"email":"e@x.com"},"timestamp":"` + at.Format(time.RFC3339) + `"}`
}

// With a clock of event times, a shard that has read no event stands before all history. Who is erased by way of it is erased as of the instant that the entry
// says: what is read later of before does not bring them back.
func TestEraseByEventsAsOf(t *testing.T) {
	c := newAsOf(t)
	c.said(1, identify("u1", coupleStart), coupleStart)
	as := coupleStart.Add(time.Hour)
	mustAccept(t, c.s[0].Apply(AppendAsOf(AppendErase(nil, 1, "email", []byte("e@x.com")), as.UnixMilli())))
	c.rest(as)
	c.said(1, identify("u1", coupleStart.Add(time.Minute)), as)
	if p := c.profile(1, "user", "u1"); p != "" {
		t.Errorf("back: %s", p)
	}
	c.said(1, identify("u1", as.Add(time.Minute)), as)
	if p := c.profile(1, "user", "u1"); !strings.Contains(p, `"n":1`) {
		t.Errorf("of after the erasure: %s", p)
	}
}

// A cut by way of such a shard happens at that instant too.
func TestUnlinkByEventsAsOf(t *testing.T) {
	c := newAsOf(t)
	c.said(1, identify("u1", coupleStart), coupleStart)
	c.said(1, identify("u2", coupleStart.Add(time.Minute)), coupleStart)
	as := coupleStart.Add(time.Hour)
	mustAccept(t, c.s[0].Apply(AppendAsOf(AppendUnlink(nil, 1, "email", []byte("e@x.com"), "user", []byte("u2")), as.UnixMilli())))
	c.rest(as)
	if a, b := c.profile(1, "user", "u1"), c.profile(1, "user", "u2"); a == b {
		t.Errorf("one person: %s", a)
	}
	parted := 0
	c.s[1].Outbox(0, func(_ uint64, _, payload []byte) bool {
		if strings.Contains(string(payload), `"unmerged"`) {
			parted++
			if !strings.Contains(string(payload), `"event_time":"`+as.Format("2006-01-02T15:04")) {
				t.Errorf("not at that instant: %s", payload)
			}
		}
		return true
	})
	if parted == 0 {
		t.Error("nobody has come apart")
	}
}

// Who has come from another shard has brought along how late it is: a shard that reads no event does not stand before all history.
func TestArrivalBringsTheTime(t *testing.T) {
	small, great := inOrder("u1", "u2")
	c := newCouple(t, asOfRecipe, "user:"+small)
	for _, s := range c.s {
		mustAccept(t, s.Apply(AppendClock(nil, 1, true, math.MinInt64)))
	}
	c.said(1, identify(great, coupleStart), coupleStart)
	as := coupleStart.Add(time.Hour)
	mustAccept(t, c.s[0].Apply(AppendAsOf(AppendUnlink(nil, 1, "user", []byte(small), "user", []byte(great)), as.UnixMilli())))
	c.rest(as)
	if c.profile(0, "user", great) == "" {
		t.Fatal("nobody has come")
	}
	if now := c.s[0].Now(); now != as.UnixMilli() {
		t.Errorf("the shard is at %d, want %d", now, as.UnixMilli())
	}
}

// An account is erased as of one instant in every shard, wherever its clock of event times stands.
func TestEraseAccountByEventsAsOf(t *testing.T) {
	for _, marked := range []bool{true, false} {
		c := newAsOf(t)
		c.said(1, joins("u1", "acme", coupleStart), coupleStart)
		as := coupleStart.Add(time.Hour)
		for _, s := range c.s {
			entry := AppendEraseAccount(nil, 1, []byte("acme"), as.UnixMilli())
			if !marked { // as the entries were that are in old logs: not later than the shard's own clock
				entry = entry[:len(entry)-1]
			}
			mustAccept(t, s.Apply(entry))
		}
		c.rest(as)
		c.said(1, joins("u2", "acme", coupleStart.Add(time.Minute)), as)
		if p := accountText(c.s[1], "acme"); (p == "") != marked {
			t.Errorf("marked %v, what was said before: %s", marked, p)
		}
		c.said(1, joins("u3", "acme", as.Add(time.Minute)), as)
		if p := accountText(c.s[1], "acme"); !strings.Contains(p, "u3") || strings.Contains(p, "u1") {
			t.Errorf("marked %v, what was said after it: %s", marked, p)
		}
	}
}

// To erase one account moves no other's clock on: theirs is what their people have lived to.
func TestEraseAccountMovesNobody(t *testing.T) {
	c := newAsOf(t)
	c.said(1, joins("u1", "acme", coupleStart), coupleStart)
	c.said(1, joins("u2", "other", coupleStart), coupleStart)
	as := coupleStart.AddDate(0, 0, 30)
	mustAccept(t, c.s[1].Apply(AppendEraseAccount(nil, 1, []byte("acme"), as.UnixMilli())))
	c.rest(as)
	if now := c.s[1].Now(); now != coupleStart.UnixMilli() {
		t.Errorf("the shard is at %v", time.UnixMilli(now).UTC())
	}
	if p := accountText(c.s[1], "other"); !strings.Contains(p, "u2") {
		t.Errorf("other: %s", p)
	}
}
