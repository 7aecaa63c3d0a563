package shard

import (
	"encoding/json"
	"fmt"
	"slices"
	"sort"
	"strings"
	"testing"
	"time"

	"dashi/pipeline/event"

	"pgregory.net/rapid"
)

// What people do, as the oracle sees it: every event, at its instant.
type deed struct {
	who   int
	as    int // asUser, asVisitor, or asBoth: then the two are one from there on
	what  string
	at    int64 // event time
	now   int64 // when it arrives
	total int
}

const (
	asUser = iota
	asVisitor
	asBoth
)

// past is one person at one instant, for the oracle: it looks at everything that has arrived.
type past struct {
	deeds []deed
	now   int64
	in    map[string]bool // audiences evaluated so far
}

// maybe is what CEL makes of something absent.
type maybe int

const (
	no     maybe = 0
	yes    maybe = 1
	absent maybe = -1
)

func maybeOf(b bool) maybe {
	if b {
		return yes
	}
	return no
}

// rule is a condition twice: as a recipe has it, and as the oracle computes it.
type rule struct {
	source string
	holds  func(p *past) maybe
}

type instant struct {
	source string
	at     func(p *past) (int64, bool)
}

const second = 1000

// begin is on the border of a day in one zone and of an hour in all.
var begin = time.Date(2026, 3, 1, 14, 59, 0, 0, time.UTC).UnixMilli()

func latest(what string) func(p *past) (int64, bool) {
	return func(p *past) (at int64, ok bool) {
		for _, d := range p.deeds {
			if d.what == what && (!ok || d.at > at) {
				at, ok = d.at, true
			}
		}
		return at, ok
	}
}

func drawInstant(t *rapid.T) instant {
	known := []instant{{"last_order", latest("Order Completed")}, {"last_cart", latest("Product Added")},
		{"now", func(p *past) (int64, bool) { return p.now, true }},
		{`timestamp("2026-03-01T15:00:00Z")`, func(p *past) (int64, bool) { return begin + 60*second, true }}}
	x := rapid.SampledFrom(known).Draw(t, "instant")
	if rapid.Bool().Draw(t, "moved") {
		s := rapid.Int64Range(-40, 40).Draw(t, "seconds")
		y := x
		x = instant{fmt.Sprintf(`(%s + duration("%ds"))`, y.source, s), func(p *past) (int64, bool) { v, ok := y.at(p); return v + s*second, ok }}
	}
	return x
}

var relations = []string{"<", "<=", "==", "!=", ">=", ">"}

func related(op string, diff int64) maybe {
	return maybeOf(op == "<" && diff < 0 || op == "<=" && diff <= 0 || op == "==" && diff == 0 || op == "!=" && diff != 0 || op == ">=" && diff >= 0 || op == ">" && diff > 0)
}

func drawRule(t *rapid.T, before []string, depth int) rule {
	if depth > 0 {
		a, b := drawRule(t, before, depth-1), drawRule(t, before, depth-1)
		switch rapid.IntRange(0, 4).Draw(t, "join") {
		case 0:
			return rule{"(" + a.source + " && " + b.source + ")", func(p *past) maybe {
				x, y := a.holds(p), b.holds(p)
				switch {
				case x == no || y == no:
					return no
				case x == absent || y == absent:
					return absent
				}
				return yes
			}}
		case 1:
			return rule{"(" + a.source + " || " + b.source + ")", func(p *past) maybe {
				x, y := a.holds(p), b.holds(p)
				switch {
				case x == yes || y == yes:
					return yes
				case x == absent || y == absent:
					return absent
				}
				return no
			}}
		case 2:
			return rule{"!" + a.source, func(p *past) maybe {
				if x := a.holds(p); x != absent {
					return 1 - x
				}
				return absent
			}}
		}
	}
	op := rapid.SampledFrom(relations).Draw(t, "op")
	switch kind := rapid.IntRange(0, 9).Draw(t, "rule"); {
	case kind == 0 && len(before) > 0:
		name := rapid.SampledFrom(before).Draw(t, "nested")
		return rule{"(" + name + ")", func(p *past) maybe { return maybeOf(p.in[name]) }}
	case kind == 1:
		n := rapid.IntRange(0, 3).Draw(t, "n")
		return rule{fmt.Sprintf("(orders %s %d)", op, n), func(p *past) maybe {
			k := 0
			for _, d := range p.deeds {
				if d.what == "Order Completed" {
					k++
				}
			}
			if k == 0 {
				return absent
			}
			return related(op, int64(k-n))
		}}
	case kind == 4:
		n := rapid.IntRange(0, 3).Draw(t, "n")
		return rule{fmt.Sprintf("(rush %s %d)", op, n), func(p *past) maybe {
			k := 0
			for range inWindow(p, "Order Completed", 20*second, 10*second) {
				k++
			}
			if _, ever := latest("Order Completed")(p); !ever {
				return absent
			}
			return related(op, int64(k-n))
		}}
	case kind == 5:
		n := rapid.IntRange(0, 9).Draw(t, "n")
		return rule{fmt.Sprintf("(dearest %s %d)", op, n), func(p *past) maybe {
			most := -1
			for _, d := range inWindow(p, "Order Completed", 40*second, 20*second) {
				most = max(most, d.total)
			}
			if most < 0 {
				return absent
			}
			return related(op, int64(most-n))
		}}
	case kind == 6:
		return rule{"in_visit", func(p *past) maybe {
			if len(p.deeds) == 0 {
				return absent
			}
			runs := visits(p)
			return maybeOf(p.now < runs[len(runs)-1][1]+20*second)
		}}
	case kind == 7:
		n := rapid.IntRange(0, 3).Draw(t, "n")
		return rule{fmt.Sprintf("(visits %s %d)", op, n), func(p *past) maybe {
			k := 0
			for _, run := range visits(p) {
				if run[0] > p.now-60*second {
					k++
				}
			}
			if len(p.deeds) == 0 {
				return absent
			}
			return related(op, int64(k-n))
		}}
	case kind == 8:
		n := rapid.IntRange(0, 2).Draw(t, "n")
		return rule{fmt.Sprintf("(abandoned %s %d)", op, n), func(p *past) maybe {
			_, cart := latest("Product Added")(p)
			_, order := latest("Order Completed")(p)
			if !cart && !order {
				return absent
			}
			return related(op, int64(abandonedCarts(p)-n))
		}}
	case kind == 2:
		n := rapid.IntRange(0, 2).Draw(t, "n")
		return rule{fmt.Sprintf("(minutes %s %d)", op, n), func(p *past) maybe {
			v, ok := latest("Product Added")(p)
			if !ok {
				return absent
			}
			return related(op, (p.now-v)/(60*second)-int64(n))
		}}
	case kind == 3:
		m := rapid.SampledFrom([]int{0, 1, 58, 59}).Draw(t, "minute")
		return rule{fmt.Sprintf("(now.getMinutes() %s %d)", op, m), func(p *past) maybe {
			return related(op, int64(time.UnixMilli(p.now).UTC().Minute()-m))
		}}
	}
	a, b := drawInstant(t), drawInstant(t)
	if rapid.Bool().Draw(t, "difference") {
		s := rapid.Int64Range(-60, 60).Draw(t, "seconds")
		return rule{fmt.Sprintf(`(%s - %s %s duration("%ds"))`, a.source, b.source, op, s), func(p *past) maybe {
			x, ok := a.at(p)
			y, ok2 := b.at(p)
			if !ok || !ok2 {
				return absent
			}
			return related(op, x-y-s*second)
		}}
	}
	return rule{fmt.Sprintf("(%s %s %s)", a.source, op, b.source), func(p *past) maybe {
		x, ok := a.at(p)
		y, ok2 := b.at(p)
		if !ok || !ok2 {
			return absent
		}
		return related(op, x-y)
	}}
}

// inWindow lists what lies in the last so many milliseconds: an event counts as long as the beginning of its bucket does.
func inWindow(p *past, what string, window, bucket int64) (in []deed) {
	for _, d := range p.deeds {
		if d.what == what && p.now-d.at/bucket*bucket < window {
			in = append(in, d)
		}
	}
	return in
}

// visits are the sessions of everything that somebody did, as begin and end: a gap of 20 s, and cut at every 100 s when they last that long.
func visits(p *past) (runs [][2]int64) {
	var times []int64
	for _, d := range p.deeds {
		times = append(times, d.at)
	}
	slices.Sort(times)
	const gap, longest = 20 * second, 100 * second
	for from := 0; from < len(times); {
		to := from + 1
		for to < len(times) && times[to]-times[to-1] < gap {
			to++
		}
		run := times[from:to]
		pieces := [][2]int64{}
		for i, at := range run {
			if i == 0 || at/longest != run[i-1]/longest {
				pieces = append(pieces, [2]int64{at, at})
			}
			pieces[len(pieces)-1][1] = at
		}
		if len(pieces) == 2 && run[len(run)-1]-run[0] < longest {
			pieces = [][2]int64{{run[0], run[len(run)-1]}}
		}
		runs = append(runs, pieces...)
		from = to
	}
	return runs
}

// abandonedCarts counts carts that no order followed within 15 s; a cart within that time of one that counts belongs to it.
func abandonedCarts(p *past) (n int) {
	carts := []int64{}
	for _, d := range p.deeds {
		if d.what == "Product Added" {
			carts = append(carts, d.at)
		}
	}
	slices.Sort(carts)
	next := int64(0)
	for _, at := range carts {
		ordered := slices.ContainsFunc(p.deeds, func(d deed) bool {
			return d.what == "Order Completed" && d.at >= at && d.at < at+15*second
		})
		if at >= next && at+15*second <= p.now && !ordered {
			n++
			next = at + 15*second
		}
	}
	return n
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

// subject is a shard under test.
type subject struct {
	t       *rapid.T
	tb      testing.TB
	s       *Shard
	decoder *event.Decoder
	offset  int64
}

func (u *subject) use(b *book, now int64) {
	sources := readInline("random.yml", b.recipe())
	if r := u.s.Apply(AppendCookbook(nil, now, sources)); r.Outcome != Accepted {
		u.t.Fatalf("%s: %s\n%s", r.Outcome, r.Detail, b.recipe())
	}
	u.decoder = event.NewDecoder(u.s.Program().Schema, event.DefaultLimits)
}

func (u *subject) apply(now int64, deeds ...deed) {
	var b Batch
	var e event.Event
	b.Begin(u.s.Program().Hash, Stream{Topic: [16]byte{9}}, u.offset-1)
	for _, d := range deeds {
		who := []string{`"userId":"u%[1]d"`, `"anonymousId":"a%[1]d"`, `"userId":"u%[1]d","anonymousId":"a%[1]d"`}[d.as]
		text := fmt.Sprintf(`{"type":"track","event":%q,%s,"timestamp":%q,"properties":{"total":%d}}`, d.what, fmt.Sprintf(who, d.who), time.UnixMilli(d.at).UTC().Format(time.RFC3339Nano), d.total)
		if err := u.decoder.Decode([]byte(text), d.at, &e); err != nil {
			u.t.Fatal(err)
		}
		b.Add(u.offset, &e)
		u.offset++
	}
	if r := u.s.Apply(b.Seal(u.offset-1, now)); r.Outcome != Accepted {
		u.t.Fatalf("%s: %s", r.Outcome, r.Detail)
	}
}

func (u *subject) transitions() []string {
	var seen []string
	u.s.Outbox(0, func(_ uint64, _, payload []byte) bool {
		var a struct {
			Profile, Audience, Transition string
			EventTime                     time.Time `json:"event_time"`
		}
		if err := json.Unmarshal(payload, &a); err != nil {
			u.t.Fatal(err)
		}
		if a.Audience == "" {
			return true // a merge
		}
		_, who, _ := strings.Cut(a.Profile, ":")
		seen = append(seen, transitionText(who, a.Audience, a.Transition == "enter", a.EventTime.UnixMilli()))
		return true
	})
	return seen
}

func (u *subject) check() {
	if err := u.s.Check(); err != nil {
		u.t.Fatal(err)
	}
}

func drawHistory(t *rapid.T, late, merges bool) []deed {
	var deeds []deed
	now := begin
	for range rapid.IntRange(1, 14).Draw(t, "events") {
		now += rapid.Int64Range(0, 30).Draw(t, "wait") * second
		d := deed{who: rapid.IntRange(1, 3).Draw(t, "who"), now: now, at: now, total: rapid.IntRange(0, 9).Draw(t, "total"), what: rapid.SampledFrom([]string{"Order Completed", "Order Completed", "Product Added", "Visit"}).Draw(t, "what")}
		if merges && rapid.Bool().Draw(t, "visitor") {
			d.as = rapid.SampledFrom([]int{asVisitor, asVisitor, asBoth}).Draw(t, "as")
		}
		if late && rapid.IntRange(0, 4).Draw(t, "late") == 0 {
			d.at -= rapid.Int64Range(1, 50).Draw(t, "by") * second
		}
		deeds = append(deeds, d)
	}
	return deeds
}

func sameSets(t *rapid.T, got, want []string, recipe string) {
	t.Helper()
	sort.Strings(got)
	sort.Strings(want)
	if !slices.Equal(got, want) {
		t.Fatalf("transitions\n%s\nwant\n%s\nof\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"), recipe)
	}
}

// Exactness: who enters and leaves what at which instant is what an oracle says that evaluates everything all the time, with late events,
// restarts, ticks or none, and the cookbook switched.
func TestTimeAgainstOracle(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		b := drawBook(rt)
		u := &subject{t: rt, tb: t, s: New(testSettings())}
		defer func() { u.s.Close() }()
		u.use(b, begin)
		o := &oracle{book: b, people: map[string]*past{}, one: map[int]bool{}}
		now := begin
		for _, d := range drawHistory(rt, true, true) {
			o.pass(now, d.now)
			now = d.now
			switch rapid.IntRange(0, 9).Draw(rt, "meanwhile") {
			case 0:
				restored := restoreCopy(t, u.s)
				u.s.Close()
				u.s = restored
			case 1, 2:
				mustAccept(t, u.s.Apply(AppendTick(nil, now)))
			case 3:
				b = drawBook(rt)
				u.use(b, now)
				o.change(b, now)
			}
			u.apply(now, d)
			o.apply(d)
			u.check()
		}
		end := now + 150*second
		o.pass(now, end)
		mustAccept(t, u.s.Apply(AppendTick(nil, end)))
		u.check()
		sameSets(rt, u.transitions(), o.seen, b.recipe())
	})
}

// interleave reads the deeds of each person in their order, but those of one long before those of another, as from partitions.
func interleave(t *rapid.T, deeds []deed) []deed {
	left := map[int][]deed{}
	for _, d := range deeds {
		left[d.who] = append(left[d.who], d)
	}
	var out []deed
	for len(out) < len(deeds) {
		who := rapid.IntRange(1, 3).Draw(t, "next")
		if len(left[who]) > 0 {
			out = append(out, left[who][0])
			left[who] = left[who][1:]
		}
	}
	return out
}

// The same history through a clock of stamps that is moved by hand and through the clock of event times, in batches of
// any size and with one partition ahead of another, gives the same transitions at the same instants.
func TestEventClockAndWallClock(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		b := drawBook(rt)
		deeds := drawHistory(rt, false, true)
		end := deeds[len(deeds)-1].now + 150*second
		wall := &subject{t: rt, tb: t, s: New(testSettings())}
		defer wall.s.Close()
		wall.use(b, begin)
		for _, d := range deeds {
			wall.apply(d.now, d)
		}
		mustAccept(t, wall.s.Apply(AppendTick(nil, end)))

		replay := &subject{t: rt, tb: t, s: New(testSettings())}
		defer func() { replay.s.Close() }()
		today := begin + 1000*86400*second
		replay.use(b, today)
		mustAccept(t, replay.s.Apply(AppendClock(nil, today, true, begin)))
		deeds = interleave(rt, deeds)
		for len(deeds) > 0 {
			n := rapid.IntRange(1, len(deeds)).Draw(rt, "batch")
			replay.apply(today, deeds[:n]...)
			deeds = deeds[n:]
			if rapid.IntRange(0, 3).Draw(rt, "restore") == 0 {
				restored := restoreCopy(t, replay.s)
				replay.s.Close()
				replay.s = restored
			}
		}
		if r := replay.s.Apply(AppendClock(nil, today, false, 0)); r.Outcome != Refused {
			rt.Fatalf("the clock was changed while there are people: %s", r.Outcome)
		}
		mustAccept(t, replay.s.Apply(AppendClock(nil, today, true, end)))
		replay.check()
		if wall.s.Now() != end || replay.s.Now() != end {
			rt.Fatalf("clocks at %d and %d, want %d", wall.s.Now(), replay.s.Now(), end)
		}
		sameSets(rt, replay.transitions(), wall.transitions(), b.recipe())
	})
}
