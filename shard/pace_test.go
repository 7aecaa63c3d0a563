package shard

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"dashi/pipeline/activation"

	"pgregory.net/rapid"
)

// story plays deeds against a recipe. Each is "minute [who] event [text]", at that minute of 2026-03-01 in UTC. What leaves is
// "minute activation [who]".
func story(t testing.TB, recipe string, deeds ...string) (left []string, s *Shard) {
	t.Helper()
	sources := readInline("story.yml", recipe)
	s = newShard(t, testSettings(), sources)
	end := 0
	for i, d := range deeds {
		var minute int
		words := strings.SplitN(d, " ", 3)
		fmt.Sscan(words[0], &minute)
		at := midnight.Add(time.Duration(minute) * time.Minute)
		name, note, _ := strings.Cut(words[1], "=")
		text := fmt.Sprintf(`{"type":"track","event":%q,"userId":"u1","timestamp":%q,"properties":{"cart_id":%q},"context":{"timezone":%q}}`, name, at.Format(time.RFC3339), note, strings.Join(words[2:], ""))
		f := newFeeder(t, s.Program(), [][]byte{[]byte(text)})
		f.stream.Partition = uint32(i)
		mustAccept(t, s.Apply(f.batch(-1, 0, at.UnixMilli())))
		end = minute
	}
	mustAccept(t, s.Apply(AppendTick(nil, midnight.Add(time.Duration(end)*time.Minute+10*24*time.Hour).UnixMilli())))
	s.Outbox(0, func(_ uint64, _, payload []byte) bool {
		var a struct {
			Activation string
			At         time.Time
		}
		if err := json.Unmarshal(payload, &a); err != nil {
			t.Fatal(err)
		}
		left = append(left, fmt.Sprintf("%d %s", int(a.At.Sub(midnight).Minutes()), a.Activation))
		return true
	})
	if err := s.Check(); err != nil {
		t.Fatal(err)
	}
	return left, s
}

var midnight = time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)

const storyHead = `recipe: story
purposes: {mail: properties.mail}
fields: {properties.mail: bool, context.timezone: string}
attributes:
  carts: {kind: last_at, on: Cart}
  orders: {kind: last_at, on: Order}
  visits: {kind: count, on: Visit}
  visits_15m: {kind: count, on: Visit, window: 15m, bucket: 5m}
  in_stay: {kind: in_session, session: stay}
  stay_began: {kind: session_start, session: stay}
  timezone: {kind: last, on: Cart, value: context.timezone}
  forgotten: {kind: sequence, steps: [{on: Cart}, {not: Order, within: 10m}]}
sessions:
  stay: {on: Visit, gap: 30m}
  short: {on: Visit, gap: 10m, longest: 20m}
audiences:
  staying: {when: in_stay, emit: none}
  left_cart: {when: '(known(carts) && coalesce(orders < carts, true))', emit: none}
activations:
`

// When activations leave: one line a rule.
func TestPace(t *testing.T) {
	f := func(activations, deeds, want string, suppressed ...activation.Reason) {
		t.Helper()
		left, s := story(t, storyHead+activations, strings.Split(deeds, ", ")...)
		if got := strings.Join(left, ", "); got != want {
			t.Errorf("%s after %s\nleft   %s\nwanted %s", activations, deeds, got, want)
		}
		var counted [activation.Reasons]uint64
		for _, r := range suppressed {
			counted[r-1]++
		}
		if s.counters.Suppressed != counted {
			t.Errorf("%s after %s\nsuppressed %v, want %v", activations, deeds, s.counters.Suppressed, counted)
		}
	}
	// A delay, with the trigger checked again.
	f(`  a: {on: {enter: left_cart}, delay: 1h}`, "5 Cart", "65 a")
	f(`  a: {on: {enter: left_cart}, delay: 1h}`, "5 Cart, 40 Order", "", activation.Recheck)
	f(`  a: {on: {enter: left_cart}, delay: 1h}`, "5 Cart, 40 Order, 50 Cart", "110 a", activation.Replaced)
	f(`  a: {on: {exit: left_cart}, delay: 1h}`, "5 Cart, 40 Order, 50 Cart", "", activation.Recheck)
	f(`  a: {on: {event: Visit}, delay: {for: 1h, if: left_cart}}`, "5 Cart, 6 Visit", "66 a")
	f(`  a: {on: {event: Visit}, delay: {for: 1h, if: left_cart}}`, "6 Visit", "", activation.Recheck)
	f(`  a: {on: {event: Visit}, delay: 1h, where: visits < 2}`, "5 Visit, 10 Visit", "", activation.Recheck)
	// Held until something is true, by an event or by time.
	f(`  a: {on: {event: Cart}, hold: {until: visits >= 2, at_most: 1d}}`, "5 Cart, 6 Visit, 30 Visit", "30 a")
	f(`  a: {on: {event: Cart}, hold: {until: visits >= 2, at_most: 1h}}`, "5 Cart, 6 Visit", "", activation.Held)
	f(`  a: {on: {event: Cart}, hold: {until: visits >= 2, at_most: 1h, then: send}}`, "5 Cart, 6 Visit", "65 a")
	f(`  a: {on: {event: Cart}, hold: {until: 'now - carts >= duration("20m")', at_most: 1h}}`, "5 Cart", "25 a")
	// Once, and once for each key.
	f(`  a: {on: {event: Cart}, once: profile}`, "5 Cart, 6 Cart, 7 Cart", "5 a", activation.Again, activation.Again)
	f(`  a: {on: {event: Cart}, key: properties.cart_id}`, "5 Cart=x, 6 Cart=y, 7 Cart=x", "5 a, 6 a", activation.Again)
	f(`  a: {on: {event: Cart}, key: properties.cart_id, delay: 1h}`, "5 Cart=x, 6 Cart=y, 10 Cart=x", "66 a, 70 a", activation.Replaced)
	f(`  a: {on: {event: Visit}, key: timezone}`, "5 Visit", "", activation.Keyless)
	// No more than so many in a period.
	f(`  a: {on: {event: Cart}, cap: {count: 2, period: 1h}}`, "5 Cart, 10 Cart, 15 Cart, 65 Cart, 66 Cart", "5 a, 10 a, 65 a", activation.Capped, activation.Capped)
	// A window is another number when time passes, too.
	f(`  a: {on: {change: visits_15m}}`, "5 Visit, 11 Visit", "5 a, 11 a, 20 a, 25 a")
	// A session begins and ends; once in each.
	f(`  a: {on: {enter: staying}}
  b: {on: {exit: staying}}
  c: {on: {event: Visit}, key: string(stay_began)}`, "5 Visit, 25 Visit, 100 Visit", "5 a, 5 c, 55 b, 100 a, 100 c, 130 b", activation.Again)
	f(`  a: {on: {session_start: stay}}
  b: {on: {session_end: stay}}
  c: {on: {event: Visit}, once: stay}
  d: {on: {event: Cart}, once: stay}`, "5 Visit, 10 Cart, 11 Cart, 25 Visit, 100 Visit, 135 Cart, 600 Cart",
		"5 a, 5 c, 10 d, 55 b, 100 a, 100 c, 130 b, 135 d", activation.Again, activation.Again, activation.Again)
	f(`  a: {on: {session_start: stay}, delay: 10m}
  b: {on: {session_end: stay}, delay: 10m, where: visits > 1}
  c: {on: {session_start: stay}, once: profile}`, "5 Visit, 60 Visit, 95 Visit", "5 c, 15 a, 70 a, 105 a, 135 b", activation.Again, activation.Again, activation.Recheck)
	f(`  d: {on: {event: Cart}, once: stay}`, "5 Cart", "", activation.Keyless)
	// One that is cut at its greatest length, 20 minutes, counted from midnight.
	f(`  a: {on: {session_start: short}}
  b: {on: {session_end: short}}
  c: {on: {event: Visit}, once: short}`, "5 Visit, 14 Visit, 23 Visit, 32 Visit", "5 a, 5 c, 32 b, 32 a, 32 c, 42 b", activation.Again, activation.Again)
	// Groups: the higher priority first, and it alone.
	group := `  a: {on: {event: Cart}, cooldown: {group: g, period: 1h, priority: 1}}
  b: {on: {event: Cart}, cooldown: {group: g, period: 1h, priority: 5}}
  c: {on: {event: Visit}, cooldown: {group: g, period: 30m, priority: 9}}`
	f(group, "5 Cart", "5 b", activation.Cooling)
	// A higher one that leaves meanwhile ends its own wait at 50, not that of b, which goes on until 65.
	f(group, "5 Cart, 20 Visit, 60 Cart", "5 b, 20 c", activation.Cooling, activation.Cooling, activation.Cooling)
	f(group, "5 Cart, 20 Visit, 65 Cart", "5 b, 20 c, 65 b", activation.Cooling, activation.Cooling)
	f(`  x: {on: {event: Cart}, cooldown: {group: g, period: 24h, priority: 1}}
  y: {on: {event: Visit}, cooldown: {group: g, period: 30m, priority: 9}}
  z: {on: {event: Order}, cooldown: {group: g, period: 1h, priority: 1}}`, "0 Cart, 60 Visit, 120 Order", "0 x, 60 y", activation.Cooling)
	f(group, "5 Visit, 20 Cart", "5 c", activation.Cooling, activation.Cooling)
	// Quiet hours in the person's zone, or that of the recipe.
	quiet := `  a: {on: {event: Cart}, quiet: {from: "21:00", to: "08:00", zone: Europe/Berlin, zone_from: timezone%s}}`
	f(fmt.Sprintf(quiet, ""), "5 Cart", "420 a") // 01:05 in Berlin; it is eight there at 07:00 UTC
	f(fmt.Sprintf(quiet, ""), "720 Cart", "720 a")
	f(fmt.Sprintf(quiet, ""), "5 Cart Asia/Tokyo", "5 a") // 09:05
	f(fmt.Sprintf(quiet, ""), "800 Cart Asia/Tokyo", "1380 a")
	f(fmt.Sprintf(quiet, ""), "5 Cart Nowhere", "420 a")
	f(fmt.Sprintf(quiet, ", then: drop"), "5 Cart", "", activation.Asleep)
	// Without consent it does not count as sent.
	f(`  a: {on: {event: Cart}, once: profile, requires: mail}`, "5 Cart", "")
}

// Whether the clock ticks or jumps, whatever is restored in between, and whether all lie in one shard or move between three with all that
// waits, the same leaves at the same instants.
func TestPaceWhateverTheEntries(t *testing.T) {
	const recipe = storyHead + `  a: {on: {enter: left_cart}, delay: 7m, cap: {count: 3, period: 40m}}
  b: {on: {event: Cart}, hold: {until: 'visits % 3 == 0 || now - carts > duration("9m")', at_most: 15m, then: send}, cooldown: {group: g, period: 20m, priority: 1}}
  c: {on: {event: Visit}, delay: {for: 3m, if: left_cart}, cooldown: {group: g, period: 5m}, quiet: {from: "00:30", to: "00:50"}}
  d: {on: {exit: left_cart}, delay: 2m, once: profile}
  e: {on: {session_start: short}}
  f: {on: {session_end: short}, delay: 1m, once: session}
  g: {on: {event: Cart}, once: stay}
  h: {on: {change: forgotten}}
`
	rapid.Check(t, func(rt *rapid.T) {
		a, b := newFleet(rt, t, 1), newFleet(rt, t, rapid.SampledFrom([]int{1, 3}).Draw(rt, "shards"))
		defer a.close()
		defer b.close()
		a.round = rapid.SampledFrom([]string{"", "x", "y", "z"}).Draw(rt, "round")
		b.round = a.round
		a.use(recipe, 1)
		b.use(recipe, 1)
		minute := 0
		at := func() int64 { return midnight.Add(time.Duration(minute) * time.Minute).UnixMilli() }
		tick := func(to int) {
			for ; minute < to; minute++ {
				a.tick(at())
				if rapid.IntRange(0, 19).Draw(rt, "tick") == 0 {
					b.tick(at())
				}
			}
		}
		for range rapid.IntRange(1, 20).Draw(rt, "events") {
			tick(minute + rapid.IntRange(0, 12).Draw(rt, "wait"))
			d := deed{who: rapid.IntRange(1, 3).Draw(rt, "who"), what: rapid.SampledFrom([]string{"Cart", "Order", "Visit"}).Draw(rt, "what"), at: at(),
				as: rapid.SampledFrom([]int{asUser, asUser, asVisitor, asBoth, asFamily}).Draw(rt, "as")}
			a.apply(at(), d)
			b.apply(at(), d)
			b.check()
			if rapid.IntRange(0, 5).Draw(rt, "restore") == 0 {
				b.restart(rt)
			}
		}
		tick(minute + 60)
		a.tick(at())
		b.tick(at())
		x, y := a.left(), b.left()
		if !slices.Equal(x, y) {
			rt.Fatalf("with a tick a minute\n%s\nwith few\n%s", strings.Join(x, "\n"), strings.Join(y, "\n"))
		}
		if s, o := a.suppressed(), b.suppressed(); s != o {
			rt.Fatalf("suppressed %v and %v", s, o)
		}
	})
}

func (f *fleet) suppressed() (n [activation.Reasons]uint64) {
	for _, s := range f.shards {
		for i, k := range s.counters.Suppressed {
			n[i] += k
		}
	}
	return n
}

// left is what waits to be sent, by whom it is about and what.
func (f *fleet) left() (left []string) {
	for _, s := range f.shards {
		left = append(left, leftOf(s)...)
	}
	slices.Sort(left)
	return left
}

func leftOf(s *Shard) (left []string) {
	s.Outbox(0, func(_ uint64, key, payload []byte) bool {
		var a struct {
			ID, Activation string
			At             time.Time
			Sequence       int
		}
		_ = json.Unmarshal(payload, &a)
		left = append(left, fmt.Sprintf("%s %s %s %d %s", key, a.Activation, a.At.Format("15:04:05.000"), a.Sequence, a.ID))
		return true
	})
	slices.Sort(left)
	return left
}
