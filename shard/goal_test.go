package shard

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"dashi/pipeline/activation"
	"dashi/pipeline/identity"
	"dashi/shard/profile"
)

const goalRecipe = `
recipe: goals
attributes:
  visits: {kind: count, on: Visit}
audiences:
  visitors: {when: visits > 0, emit: none}
activations:
  letter: {on: {enter: visitors}, goal: {on: [Order, Sale], where: properties.total > 5, within: 60s, hold_back: 50%}}
  note: {on: {event: Visit}, delay: 10s, goal: {on: Order, within: 30s, hold_back: 30%}}
  plain: {on: {event: Visit}, goal: {on: "*", within: 5s}}
`

// goalsOf adds up what the shards have counted of an activation.
func goalsOf(f *fleet, name string) (all GoalCounts) {
	for _, s := range f.shards {
		for j := range s.Program().Activations {
			if s.Program().Activations[j].Name != name {
				continue
			}
			c := s.Goals()[j]
			all.Treated.Exposed += c.Treated.Exposed
			all.Treated.Converted += c.Treated.Converted
			all.Control.Exposed += c.Control.Exposed
			all.Control.Converted += c.Control.Converted
		}
	}
	return all
}

// leftFor are the activations that left, as "name profile".
func leftFor(t testing.TB, f *fleet) map[string]int {
	left := map[string]int{}
	for _, s := range f.shards {
		s.Outbox(0, func(_ uint64, _, payload []byte) bool {
			var a struct{ Profile, Activation string }
			if err := json.Unmarshal(payload, &a); err != nil {
				t.Fatal(err)
			}
			left[a.Activation+" "+a.Profile]++
			return true
		})
	}
	return left
}

// Who is held back gets nothing and is compared with those who do: each person once, by the first time, and the goal counts after that, to the millisecond,
// also when it is heard of late.
func TestGoal(t *testing.T) {
	const people = 60
	f := newFleet(t, t, 3)
	defer f.close()
	f.use(goalRecipe, begin)
	deal := func(now, at int64, what string, total int, some func(i int) bool) {
		t.Helper()
		var texts []string
		for i := range people {
			if some(i) {
				texts = append(texts, deedText(deed{who: i, as: asUser, what: what, at: at, now: now, total: total}, ""))
			}
		}
		f.feed(now, texts...)
	}
	everybody := func(int) bool { return true }
	deal(begin, begin-1, "Order", 9, everybody) // before: counts for nothing
	deal(begin, begin, "Visit", 0, everybody)
	deal(begin, begin, "Order", 9, everybody) // not after
	deal(begin+second, begin+second, "Visit", 0, func(i int) bool { return i%2 == 0 })
	deal(begin+20*second, begin+20*second, "Order", 5, func(i int) bool { return i < 20 })             // not for letter
	deal(begin+60*second, begin+60*second, "Sale", 6, func(i int) bool { return i < 30 })              // on the last instant for letter
	deal(begin+60*second, begin+60*second+1, "Sale", 6, func(i int) bool { return i >= 30 && i < 40 }) // and after it
	deal(begin+90*second, begin+30*second, "Order", 6, func(i int) bool { return i >= 50 })            // late
	deal(begin+91*second, begin+91*second, "Order", 6, everybody)                                      // too late
	f.check()
	want := map[string]*GoalCounts{"letter": {}, "note": {}, "plain": {}}
	left := leftFor(t, f)
	for j := range f.program.Activations {
		act := &f.program.Activations[j]
		for i := range people {
			control := act.Goal().HoldsBack(identity.Hash("user_id", fmt.Appendf(nil, "u%d", i)))
			side := want[act.Name].side(control)
			side.Exposed++
			switch {
			case act.Name == "letter" && (i < 30 || i >= 50), act.Name == "note" && (i < 20 || i >= 50), act.Name == "plain" && i%2 == 0:
				side.Converted++
			}
			n := 1
			if i%2 == 0 && act.Name == "plain" {
				n = 2 // exposed once, but it leaves each time
			}
			if control {
				n = 0
			}
			if got := left[fmt.Sprintf("%s user_id:u%d", act.Name, i)]; got != n {
				t.Errorf("%s left %d times for u%d, want %d", act.Name, got, i, n)
			}
		}
		if got := goalsOf(f, act.Name); got != *want[act.Name] {
			t.Errorf("%s: %+v, want %+v", act.Name, got, *want[act.Name])
		}
	}
	if c := want["letter"].Control; c.Exposed < people/4 || c.Exposed > people*3/4 || want["plain"].Control.Exposed != 0 {
		t.Errorf("held back: %+v", want)
	}
	suppressed := uint64(0)
	for _, s := range f.shards {
		suppressed += s.counters.Suppressed[activation.Control-1]
	}
	if suppressed < uint64(want["letter"].Control.Exposed+want["note"].Control.Exposed) {
		t.Errorf("%d were counted as held back", suppressed)
	}
}

// Two profiles that turn out to be one person are one exposure, on the side on which it was first, with the goal of either; who is taken apart again is what
// they were. A person who is erased, or whose shard is another, changes no count.
func TestGoalOfOnePerson(t *testing.T) {
	f := newFleet(t, t, 3)
	defer f.close()
	f.use(goalRecipe, begin)
	letter := f.program.Activations[0].Goal()
	sideOf := func(id string, i int) bool {
		return letter.HoldsBack(identity.Hash(id, fmt.Appendf(nil, "%s%d", id[:1], i)))
	}
	seen := map[string]bool{}
	for i := 0; len(seen) < 4 && i < 100; i++ {
		user, visitor := sideOf("user_id", i), sideOf("anonymous_id", i)
		name := fmt.Sprint(user, visitor)
		if seen[name] {
			continue
		}
		seen[name] = true
		start := begin + int64(len(seen))*200*second
		before := goalsOf(f, "letter")
		added := func(what string, want GoalCounts) {
			t.Helper()
			got := goalsOf(f, "letter")
			got.Treated.Exposed -= before.Treated.Exposed
			got.Treated.Converted -= before.Treated.Converted
			got.Control.Exposed -= before.Control.Exposed
			got.Control.Converted -= before.Control.Converted
			if got != want {
				t.Errorf("user held back %v, visitor %v: %s: %+v, want %+v", user, visitor, what, got, want)
			}
		}
		act := func(as int, what string, at int64) {
			f.apply(start+at*second, deed{who: i, as: as, what: what, at: start + at*second, now: start + at*second, total: 9})
		}
		var two, one GoalCounts
		act(asVisitor, "Visit", 0)
		act(asUser, "Visit", 5)
		act(asUser, "Order", 62) // 62 s after the visitor was exposed: too late for one person
		two.side(visitor).Exposed++
		two.side(user).Exposed++
		two.side(user).Converted++
		added("apart", two)
		act(asBoth, "Hello", 70)
		one.side(visitor).Exposed++
		added("one person", one)
		act(asUser, "Visit", 71)
		added("exposed again", one)
		late := deed{who: i, as: asUser, what: "Order", at: start + 60*second, now: start + 72*second, total: 9}
		f.apply(late.now, late)
		one.side(visitor).Converted++
		added("bought in time, as is heard late", one)
		home := f.shards[f.shards[0].settings.Home(identity.Hash("user_id", fmt.Appendf(nil, "u%d", i)))]
		f.accept(home.Apply(AppendUnlink(nil, start+80*second, "user_id", fmt.Appendf(nil, "u%d", i), "anonymous_id", fmt.Appendf(nil, "a%d", i))))
		f.deliver(begin + 80*second)
		added("two again", two)
		f.check()
		recount(t, f)
	}
	before := goalsOf(f, "letter")
	for i := range 100 {
		for _, k := range []struct{ space, value string }{{"user_id", fmt.Sprint("u", i)}, {"anonymous_id", fmt.Sprint("a", i)}} {
			home := f.shards[f.shards[0].settings.Home(identity.Hash(k.space, []byte(k.value)))]
			f.accept(home.Apply(AppendErase(nil, begin+2000*second, k.space, []byte(k.value))))
			f.deliver(begin + 2000*second)
		}
	}
	if got := goalsOf(f, "letter"); got != before || f.shards[0].profiles()+f.shards[1].profiles()+f.shards[2].profiles() > 0 {
		t.Errorf("after everybody was erased %+v, before %+v", got, before)
	}
	if len(seen) < 4 {
		t.Fatalf("only %v", seen)
	}
}

// recount compares the counts with the people who are known.
func recount(t testing.TB, f *fleet) {
	t.Helper()
	want := map[string]*GoalCounts{}
	for _, act := range f.program.Activations {
		if act.Goal() != nil {
			want[act.Name] = &GoalCounts{}
		}
	}
	for _, s := range f.shards {
		s.table.Each(func(_ profile.Ref, rec profile.Record) bool {
			if rec.Version() == 0 || s.program.pacing < 0 {
				return true
			}
			var schedule activation.Schedule
			schedule.Read(rec.Segment(s.program.pacing))
			schedule.EachExposure(func(e *activation.Exposure) {
				act := &s.program.Activations[s.program.goals[e.ID]]
				side := want[act.Name].side(e.Control)
				side.Exposed++
				if e.Converted(act.Goal().Within) {
					side.Converted++
				}
			})
			return true
		})
	}
	for name, w := range want {
		if got := goalsOf(f, name); got != *w {
			t.Fatalf("%s: %+v are counted, %+v there", name, got, *w)
		}
	}
}

// However people merge, come apart, move, and cookbooks and restarts come between: what is counted is what is there, on one shard or three.
func TestGoalsAddUp(t *testing.T) {
	for seed := range uint64(25) {
		r := rand.New(rand.NewPCG(seed, 5))
		f := newFleet(t, t, []int{1, 3}[r.IntN(2)])
		f.round = fmt.Sprint("r", seed, "x")
		f.use(goalRecipe, begin)
		now := begin
		for range 40 {
			now += r.Int64N(8) * second
			who := r.IntN(4)
			switch r.IntN(12) {
			case 0:
				i := r.IntN(len(f.shards))
				restored := restoreCopy(t, f.shards[i])
				f.shards[i].Close()
				f.shards[i] = restored
			case 1:
				f.tick(now)
			case 2:
				f.use(goalRecipe+"  more: {on: {exit: visitors}}\n", now)
			case 3:
				f.use(strings.Replace(goalRecipe, "hold_back: 30%", "hold_back: 31%", 1), now)
			case 4:
				user, visitor := fmt.Appendf(nil, "u%s%d", f.round, who), fmt.Appendf(nil, "a%s%d", f.round, who)
				home := f.shards[0]
				if len(f.shards) > 1 {
					home = f.shards[home.settings.Home(identity.Hash("user_id", user))]
				}
				f.accept(home.Apply(AppendUnlink(nil, now, "user_id", user, "anonymous_id", visitor)))
				f.deliver(now)
			default:
				what := []string{"Visit", "Visit", "Order", "Sale", "Hello"}[r.IntN(5)]
				f.apply(now, deed{who: who, as: r.IntN(4), what: what, at: now - r.Int64N(20)*second, now: now, total: r.IntN(12)})
			}
			recount(t, f)
		}
		f.check()
		f.close()
	}
}

// What a cookbook says in other words of a goal is another goal, and begins at nothing; what is the same goes on.
func TestGoalCarried(t *testing.T) {
	f := newFleet(t, t, 1)
	defer f.close()
	f.use(goalRecipe, begin)
	for i := range 20 {
		f.apply(begin, deed{who: i, what: "Visit", at: begin, now: begin})
	}
	before := goalsOf(f, "letter")
	next := strings.Replace(goalRecipe, "delay: 10s", "delay: 20s", 1)
	next = strings.Replace(next, "within: 5s", "within: 6s", 1)
	f.use("# moved\n"+strings.Replace(next, "activations:", "activations:\n  first: {on: {event: Hello}}", 1), begin)
	if got := goalsOf(f, "letter"); got != before || before.Treated.Exposed+before.Control.Exposed != 20 {
		t.Errorf("%+v, before %+v", got, before)
	}
	if got := goalsOf(f, "plain"); got != (GoalCounts{}) {
		t.Errorf("another goal begins at %+v", got)
	}
	for i := range 20 {
		f.apply(begin+second, deed{who: i, what: "Visit", at: begin + second, now: begin + second})
	}
	if got := goalsOf(f, "plain"); got.Treated.Exposed != 20 {
		t.Errorf("everybody is exposed anew: %+v", got)
	}
	recount(t, f)
}

// An event that may be a goal, of somebody who was exposed, and one that would make an activation leave that is held back, allocate nothing.
func TestGoalsDoNotAllocate(t *testing.T) {
	sources := readInline("goals.yml", goalRecipe)
	s := newShard(t, testSettings(), sources)
	var values [][]byte
	for i := range 512 {
		what := []string{"Visit", "Order", "Sale"}[i%3]
		values = append(values, []byte(deedText(deed{who: i % 40, what: what, at: begin + int64(i), total: 9}, "")))
	}
	f := newFeeder(t, compile(t, sources), values)
	f.noIDs = true
	batch, ack := f.batch(-1, int64(len(values))-1, begin), AppendAck(nil, begin, ^uint64(0))
	stream := byte(0)
	run := func() {
		stream++
		batch[entryHead+8+16] = stream
		mustAccept(t, s.Apply(batch))
		s.Apply(ack)
	}
	for range 20 {
		run()
	}
	if n := testing.AllocsPerRun(20, run) / float64(len(values)); n > 0.05 {
		t.Errorf("%.3f allocations an event", n)
	}
}
