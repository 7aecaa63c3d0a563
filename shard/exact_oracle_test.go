package shard

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"pgregory.net/rapid"
)

const second = 1000

// begin is on the border of a day in one zone and of an hour in all.
var begin = time.Date(2026, 3, 1, 14, 59, 0, 0, time.UTC).UnixMilli()

// What people do, as the oracle sees it: every event, at its instant.
type deed struct {
	who   int
	as    int // asUser, asVisitor, or asBoth: then the two are one from there on; or asFamily
	what  string
	at    int64 // event time
	now   int64 // when it arrives
	total int
}

const (
	asUser = iota
	asVisitor
	asBoth
	asFamily // as a user with the address that all users share: they lie in one place then, and stay themselves
)

// past is one person at one instant, for the oracle: it looks at everything that has arrived.
type past struct {
	deeds []deed
	now   int64
	in    map[string]bool // audiences evaluated so far
}

func drawHistory(t *rapid.T, late, merges bool) []deed {
	var deeds []deed
	now := begin
	for range rapid.IntRange(1, 14).Draw(t, "events") {
		now += rapid.Int64Range(0, 30).Draw(t, "wait") * second
		d := deed{who: rapid.IntRange(1, 3).Draw(t, "who"), now: now, at: now, total: rapid.IntRange(0, 9).Draw(t, "total"), what: rapid.SampledFrom([]string{"Order Completed", "Order Completed", "Product Added", "Visit"}).Draw(t, "what")}
		if merges && rapid.Bool().Draw(t, "visitor") {
			d.as = rapid.SampledFrom([]int{asVisitor, asVisitor, asBoth, asFamily}).Draw(t, "as")
		}
		if late && rapid.IntRange(0, 4).Draw(t, "late") == 0 {
			d.at -= rapid.Int64Range(1, 50).Draw(t, "by") * second
		}
		deeds = append(deeds, d)
	}
	return deeds
}

// book is a cookbook of random audiences.
type book struct {
	names []string
	rules map[string]rule
}

func drawBook(t *rapid.T) *book {
	b := &book{rules: map[string]rule{}}
	for i := range rapid.IntRange(1, 6).Draw(t, "audiences") {
		name := fmt.Sprint("a", i)
		b.rules[name] = drawRule(t, b.names, rapid.IntRange(0, 3).Draw(t, "depth"))
		b.names = append(b.names, name)
	}
	return b
}

func (b *book) recipe() string {
	var s strings.Builder
	s.WriteString(`recipe: random
sessions:
  visit: {gap: 20s, longest: 100s}
attributes:
  in_visit: {kind: in_session, session: visit}
  visits: {kind: session_count, session: visit, window: 60s}
  abandoned: {kind: sequence, steps: [{on: Product Added}, {not: Order Completed, within: 15s}]}
  orders: {kind: count, on: Order Completed}
  last_order: {kind: last_at, on: Order Completed}
  last_cart: {kind: last_at, on: Product Added}
  rush: {kind: count, on: Order Completed, window: 20s, bucket: 10s}
  dearest: {kind: max, on: Order Completed, value: properties.total, window: 40s, bucket: 20s}
  minutes: {kind: derived, value: (now - last_cart).getMinutes()}
audiences:
`)
	for _, name := range b.names {
		fmt.Fprintf(&s, "  %s: '%s'\n", name, b.rules[name].source)
	}
	return s.String()
}

// oracle evaluates everything, again and again.
type oracle struct {
	book   *book
	people map[string]*past
	one    map[int]bool // users whose visitor is known
	seen   []string     // transitions
}

func newOracle(b *book) *oracle {
	return &oracle{book: b, people: map[string]*past{}, one: map[int]bool{}}
}

// evaluate evaluates all audiences of one person; silent says of which nothing is said.
func (o *oracle) evaluate(who string, at int64, silent func(name string) bool) {
	p := o.people[who]
	was := p.in
	p.in = map[string]bool{}
	for _, name := range o.book.names {
		p.in[name] = o.book.rules[name].holds(p) == yes
	}
	for _, name := range o.book.names {
		if p.in[name] != was[name] && !silent(name) {
			o.seen = append(o.seen, transitionText(who, name, p.in[name], at))
		}
	}
}

func transitionText(who string, name string, in bool, at int64) string {
	word := "exit"
	if in {
		word = "enter"
	}
	return fmt.Sprintf("%s %s %s %s", who, name, word, time.UnixMilli(at).UTC().Format("15:04:05.000"))
}

func loud(string) bool { return false }

// pass lets time go from one instant to another, both whole seconds: outcomes change there, or a millisecond later.
func (o *oracle) pass(from, to int64) {
	for now := from; now < to; now += second {
		for _, at := range []int64{now + 1, now + second} {
			for who, p := range o.people {
				p.now = at
				o.evaluate(who, at, loud)
			}
		}
	}
}

func (o *oracle) apply(d deed) {
	user, visitor := fmt.Sprint("u", d.who), fmt.Sprint("a", d.who)
	name := user
	if d.as == asVisitor && !o.one[d.who] {
		name = visitor
	}
	p := o.people[name]
	if p == nil {
		p = &past{}
		o.people[name] = p
	}
	p.deeds, p.now = append(p.deeds, d), d.now
	o.evaluate(name, d.at, loud)
	if d.as != asBoth || o.one[d.who] {
		return
	}
	// The visitor turns out to be the user: whoever was in an audience as either stays in as long as the condition holds.
	o.one[d.who] = true
	v := o.people[visitor]
	if v == nil {
		return
	}
	delete(o.people, visitor)
	p.deeds = append(p.deeds, v.deeds...)
	for name, in := range v.in {
		p.in[name] = p.in[name] || in
	}
	o.evaluate(user, d.at, loud)
}

func (o *oracle) change(b *book, now int64) {
	old := o.book
	o.book = b
	for who, p := range o.people {
		p.now = now
		o.evaluate(who, now, func(name string) bool { return !slices.Contains(old.names, name) })
		for name := range p.in {
			if !slices.Contains(b.names, name) {
				delete(p.in, name)
			}
		}
	}
}
