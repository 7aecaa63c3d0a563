package expr

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"dashi/pipeline/attribute"
	"dashi/pipeline/zone"
	"pgregory.net/rapid"
)

// noon is close to the borders of a minute, an hour, a day, a month and a year somewhere: 2026-01-01T00:00Z.
const noon = 1_767_225_600_000

// timely is a world with derived attributes that move.
func timely() *world {
	w := newWorld()
	w.scope.Event, w.scope.Item = false, false
	w.add("cart_at", fakeKind{t: attribute.Time})
	for i, d := range []string{"now - last_order > duration(\"700ms\")", "(now - last_order).getSeconds() / 2 - 1", "now - last_order + duration(\"1s\") > duration(\"2s\") ? last_order : cart_at", "now"} {
		x, err := Compile(d, w.scope, AnyType)
		if err != nil {
			panic(err)
		}
		a := AttributeRef{Index: 50 + i, Num: x.Num, Truth: x.Bool, Reads: x.Attributes, UsesNow: true, Clock: x.Clock}
		a.Type = attribute.Bool
		switch x.Type {
		case NumberType:
			a.Type = attribute.Number
		case TimeType:
			a.Type = attribute.Time
			t := x.Time
			a.Num = func(env *Env) (float64, bool) { ms, ok := t(env); return float64(ms), ok }
		}
		w.scope.Attributes[fmt.Sprint("d", i)] = a
	}
	return w
}

// clockwork writes random conditions on time.
type clockwork struct{ t *rapid.T }

func (g clockwork) pick(choices ...string) string {
	return rapid.SampledFrom(choices).Draw(g.t, "pick")
}

func (g clockwork) order() string { return g.pick(" < ", " <= ", " > ", " >= ", " == ", " != ") }

func (g clockwork) instant(depth int) string {
	if depth <= 0 {
		return g.pick("now", "now", "last_order", "cart_at", "d2", "d3", `timestamp("2026-01-01T00:00:00.300Z")`, `timestamp("2025-12-31T23:59:59.100Z")`)
	}
	switch rapid.IntRange(0, 4).Draw(g.t, "instant") {
	case 0:
		return "(" + g.instant(depth-1) + g.pick(" + ", " - ") + g.span(depth-1) + ")"
	case 1:
		return "coalesce(" + g.instant(depth-1) + ", " + g.instant(depth-1) + ")"
	case 2:
		return "(" + g.bool(depth-1) + " ? " + g.instant(depth-1) + " : " + g.instant(depth-1) + ")"
	}
	return g.instant(0)
}

func (g clockwork) span(depth int) string {
	if depth <= 0 {
		return g.pick(`duration("1s")`, `duration("-350ms")`, `duration("90ms")`, `duration("2500ms")`, `duration("1d")`, "(now - last_order)", "(cart_at - now)", `duration("106000d")`)
	}
	if rapid.Bool().Draw(g.t, "difference") {
		return "(" + g.instant(depth-1) + " - " + g.instant(depth-1) + ")"
	}
	return "(" + g.span(depth-1) + g.pick(" + ", " - ") + g.span(depth-1) + ")"
}

func (g clockwork) number(depth int) string {
	if depth <= 0 {
		return g.pick("d1", "orders", "lifetime_value", "0", "1", "-1", "2.5", "1")
	}
	switch rapid.IntRange(0, 6).Draw(g.t, "number") {
	case 0:
		return g.span(depth-1) + g.pick(".getSeconds()", ".getMinutes()", ".getHours()")
	case 1:
		return g.instant(depth-1) + g.pick(".getMinutes()", ".getHours(\"-03:30\")", ".getDate(\"+09:00\")", ".getMonth()", ".getFullYear()", ".getDayOfWeek()", ".getSeconds()")
	case 2:
		return "(" + g.number(depth-1) + g.pick(" + ", " - ", " * ", " / ") + g.number(0) + ")"
	case 3:
		return g.pick("floor(", "round(", "-(", "abs(") + g.number(depth-1) + ")"
	case 4:
		return "min(" + g.number(depth-1) + ", " + g.number(depth-1) + ")"
	}
	return g.number(0)
}

func (g clockwork) bool(depth int) string {
	if depth <= 0 {
		return g.pick("vip", "member", "d0", "consent.ads", "(orders > 2)")
	}
	d := depth - 1
	switch rapid.IntRange(0, 11).Draw(g.t, "bool") {
	case 0, 1:
		return "(" + g.bool(d) + g.pick(" && ", " || ") + g.bool(d) + ")"
	case 2:
		return "!" + g.bool(d)
	case 3:
		return "(" + g.bool(d) + " ? " + g.bool(d) + " : " + g.bool(d) + ")"
	case 4:
		return "(" + g.number(d) + g.order() + g.number(d) + ")"
	case 5, 6:
		return "(" + g.instant(d) + g.order() + g.instant(d) + ")"
	case 7, 8:
		return "(" + g.span(d) + g.order() + g.span(d) + ")"
	case 9:
		return "(" + g.bool(d) + g.pick(" == ", " != ") + g.bool(d) + ")"
	case 10:
		return "(" + g.instant(d) + " in [" + g.instant(0) + ", " + g.instant(0) + "])"
	}
	return "known(" + g.pick(g.instant(d), g.span(d), g.number(d)) + ")"
}

// Between now and Next the outcome stays what it is, to the millisecond.
func TestNothingChangesBeforeNext(t *testing.T) {
	w := timely()
	rapid.Check(t, func(t *rapid.T) {
		src := clockwork{t}.bool(rapid.IntRange(1, 4).Draw(t, "depth"))
		x, err := Compile(src, w.scope, BoolType)
		if err != nil {
			if strings.Contains(err.Message, "nest") || strings.Contains(err.Message, "large") {
				return
			}
			t.Fatalf("%s: %v", src, err)
		}
		if x.Unscheduled != nil {
			return
		}
		near := rapid.Int64Range(-3000, 3000)
		v := values{now: noon + near.Draw(t, "now"), attrs: map[string]any{"orders": float64(rapid.IntRange(0, 4).Draw(t, "orders")), "member": true}}
		for _, name := range []string{"last_order", "cart_at"} {
			if rapid.IntRange(0, 4).Draw(t, "there") > 0 {
				v.attrs[name] = noon + near.Draw(t, name) + rapid.SampledFrom([]int64{0, 0, 0, -maxDuration, 86400_000, -106000 * 86400_000}).Draw(t, "far")
			}
		}
		env := w.env(v)
		now, was := env.Now, x.Bool(env)
		next := Never
		if x.Next != nil {
			next = x.Next(env)
		}
		if (x.Watch == nil) != (x.Next == nil) {
			t.Fatalf("%s: of Watch and Next there is one", src)
		}
		if x.Watch != nil {
			if outcome, until := x.Watch(env); outcome != was || until != next {
				t.Fatalf("%s with %v: at %d Watch says %v until %d, and Bool and Next say %v until %d", src, v.attrs, now, outcome, until, was, next)
			}
		}
		if next <= now {
			t.Fatalf("%s: at %d the next change is %d", src, now, next)
		}
		for ms := now + 1; ms < min(next, now+4000); ms++ {
			if env.Now = ms; x.Bool(env) != was {
				t.Fatalf("%s with %v: %v at %d, %v at %d, but the next change is said to be at %d", src, v.attrs, was, now, x.Bool(env), ms, next)
			}
		}
	})
}

// Next is not only safe: for what people write it is the very instant.
func TestNext(t *testing.T) {
	w := timely()
	const day = 86400_000
	v := ada()
	last := v.attrs["last_order"].(int64) // 31 days before now
	f := func(src string, want int64) {
		t.Helper()
		x, err := Compile(src, w.scope, BoolType)
		if err != nil || x.Unscheduled != nil {
			t.Fatalf("%s: %v %v", src, err, x)
		}
		got := Never
		if x.Next != nil {
			got = x.Next(w.env(v))
		}
		if got != want {
			show := func(ms int64) string { return time.UnixMilli(ms).UTC().Format(time.RFC3339Nano) }
			t.Errorf("%s: the next change is at %s, want %s", src, show(got), show(want))
		}
	}
	f(`orders > 3`, Never)
	f(`now - last_order > duration("720h")`, Never)
	f(`now - last_order > duration("40d")`, last+40*day+1)
	f(`now - last_order >= duration("40d")`, last+40*day)
	f(`now - last_order == duration("40d")`, last+40*day)
	f(`!(now - last_order < duration("40d"))`, last+40*day)
	f(`duration("40d") <= now - last_order`, last+40*day)
	f(`now > last_order + duration("40d")`, last+40*day+1)
	f(`last_order + duration("40d") - now < duration("2d")`, last+38*day+1)
	f(`now < timestamp("2026-02-01")`, 1769904000000)
	f(`now.getDate() == 1`, noon+day)
	f(`now.getDate() == 3`, noon+2*day)
	f(`now.getHours() >= 9 && now.getHours() < 17`, noon+9*3600_000)
	f(`now.getHours("+09:00") >= 9`, noon+15*3600_000)
	f(`now.getHours("Europe/Berlin") >= 9`, noon+8*3600_000)
	f(`now.getMonth("Europe/Berlin") == 3`, 1774994400000) // 2026-03-31T22:00Z, with the clocks set forward on the 29th
	f(`now.getDayOfWeek() in [0, 6]`, noon+day)
	f(`(now - last_order).getHours() / 24 > 40`, last+40*day+3600_000)
	f(`(now - last_order).getHours() / 24 >= 40`, last+40*day)
	// A part that settles the outcome lets the others move.
	f(`city == "Rome" && now - last_order > duration("40d")`, Never)
	f(`orders > 3 || now - last_order > duration("40d")`, Never)
	f(`now < timestamp("2025-01-01") || now - last_order > duration("40d")`, last+40*day+1)
	f(`now - last_order > duration("40d") && now - last_order < duration("60d")`, last+40*day+1)
	f(`coalesce(cart_at, last_order) + duration("40d") < now`, last+40*day+1)
	f(`known(cart_at) ? now > cart_at : now > last_order + duration("50d")`, last+50*day+1)
	f(`cart_at < now`, Never)
}

// A part of a time in a zone stays what it is throughout its period, and the period goes on until it is another or clocks are set.
func TestPeriodsInZones(t *testing.T) {
	for _, name := range []string{"Europe/Berlin", "America/St_Johns", "Australia/Lord_Howe", "Pacific/Apia", "UTC"} {
		z, err := zone.Load(name)
		if err != nil {
			t.Fatal(err)
		}
		rapid.Check(t, func(t *rapid.T) {
			in := hours{zone: z}
			ms := rapid.Int64Range(0, 4_000_000_000_000).Draw(t, "ms")
			if _, _, to := z.Period(ms); rapid.Bool().Draw(t, "near a change") && to < maxTime {
				ms = to + rapid.Int64Range(-40*86400_000, 40*86400_000).Draw(t, "off")
			}
			p := rapid.SampledFrom(timeParts[:8]).Draw(t, "part")
			start, end := p.period(ms, in)
			if start > ms || end <= ms {
				t.Fatalf("%s %s: %d is not in [%d, %d)", name, p.name, ms, start, end)
			}
			at := rapid.Int64Range(start, end-1).Draw(t, "at")
			if x, y := p.at(ms, in), p.at(at, in); x != y {
				t.Fatalf("%s %s: %v at %d and %v at %d, in [%d, %d)", name, p.name, x, ms, y, at, start, end)
			}
			wall := time.UnixMilli(ms).In(z.Location())
			if want := float64(p.of(wall)); p.at(ms, in) != want {
				t.Fatalf("%s %s at %d: %v, want %v", name, p.name, ms, p.at(ms, in), want)
			}
			_, _, to := z.Period(ms)
			if end != to && p.at(end, in) == p.at(ms, in) {
				t.Fatalf("%s %s at %d: still %v at its end %d", name, p.name, ms, p.at(ms, in), end)
			}
		})
	}
}

// What changes all the time is refused, at its place and with something to write instead.
func TestUnscheduled(t *testing.T) {
	w := timely()
	f := func(src, want string) {
		t.Helper()
		x, err := Compile(src, w.scope, BoolType)
		if err != nil {
			t.Fatalf("%s: %v", src, err)
		}
		got := ""
		if x.Unscheduled != nil {
			got = x.Unscheduled.Error()
		}
		if !strings.HasPrefix(got, want) || (want == "") != (got == "") {
			t.Errorf("%s: %q, want %q", src, got, want)
		}
	}
	f(`(now - last_order).getSeconds() > 90`, "")
	f(`d1 > 45`, "")
	f(`orders > 1 && string(now).endsWith("7Z")`, "1:15: `string(now)` changes every millisecond")
	f(`now.getSeconds() == 30`, "1:1: `now.getSeconds()` changes every second")
	f(`abs(d1) > 2`, "1:5: `(now - last_order).getSeconds()` changes every second")
	f(`recent.exists(p, now > last_order && p == "a")`, "1:1: it cannot be computed when")
}

func TestNextDoesNotAllocate(t *testing.T) {
	w := timely()
	env := w.env(ada())
	for _, src := range []string{`orders > 3 && now - last_order > duration("40d")`, `now.getHours() >= 9 && now.getHours() < 17`, `(now - last_order).getHours() / 24 > 40`} {
		x, err := Compile(src, w.scope, BoolType)
		if err != nil {
			t.Fatal(err)
		}
		if n := testing.AllocsPerRun(100, func() { x.Next(env); x.Watch(env) }); n != 0 {
			t.Errorf("%s: %v allocations", src, n)
		}
	}
}

func BenchmarkNext(b *testing.B) {
	w := timely()
	env := w.env(ada())
	for name, src := range map[string]string{"difference": `now - last_order > duration("40d")`, "three": `orders > 3 && lifetime_value > 10 && now - last_order > duration("40d")`,
		"hours": `now.getHours() >= 9 && now.getHours() < 17`, "days": `(now - last_order).getHours() / 24 > 40`} {
		b.Run("condition="+name, func(b *testing.B) {
			x, err := Compile(src, w.scope, BoolType)
			if err != nil {
				b.Fatal(err)
			}
			for b.Loop() {
				x.Next(env)
			}
		})
	}
}
