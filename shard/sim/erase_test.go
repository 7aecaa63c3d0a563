package sim

import (
	"maps"
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"testing"

	"dashi/pipeline/event"
	"dashi/shard/profile"
)

// times are those at which identifiers were seen. Somebody keeps them who was seen with a person that is erased.
var times = regexp.MustCompile(`\[\d+ \d+\]`)

// eraseAt is when people are erased: in the middle of the times of events.
const eraseAt = 1020

// spared are the facts without those whose strongest identifier is erased, and without the erased ones in the others, as far as
// they happened up to an instant.
func spared(facts []fact, erased map[string]bool, until int64) (left []fact) {
	for _, f := range facts {
		if f.at > until {
			left = append(left, f)
			continue
		}
		if f.cut && slices.ContainsFunc(f.ids, func(id string) bool { return erased[id] }) || erased[f.ids[0]] {
			continue
		}
		f.ids = slices.DeleteFunc(slices.Clone(f.ids), func(id string) bool { return erased[id] })
		left = append(left, f)
	}
	return left
}

// TestErasure erases people in the middle of histories: everybody else is as if those had never been, and what is heard of them
// later, but happened before, brings nothing of them back.
func TestErasure(t *testing.T) {
	program := compile(t, sources())
	memory := profile.NewMemory()
	d := event.NewDecoder(program.Schema, event.DefaultLimits)
	run := func(t *testing.T, seed uint64) {
		s, facts := draw(seed)
		s.Program, s.Memory = program, memory
		r := rand.New(rand.NewPCG(seed, 7))
		late := drawFacts(r, r.IntN(15))
		for i := range late {
			late[i].id += len(facts)
			late[i].cut = false
		}
		w := New(s)
		defer w.Close()
		feed := func(facts []fact) {
			feedShuffled(t, w, r, s.Partitions, d, facts)
		}
		settled := func() {
			if err := w.Run(); err != nil {
				t.Fatalf("%v\nfacts %+v\nlate %+v\nagain: go test ./shard/sim -run Erasure -sim.seed=%d", err, facts, late, seed)
			}
		}
		all := append(slices.Clone(facts), late...)
		feed(facts)
		settled()
		erased := map[string]bool{}
		left := facts
		for range 1 + r.IntN(3) {
			people := oracle(program, left)
			ids := slices.Sorted(maps.Keys(people))
			ids = slices.DeleteFunc(ids, func(id string) bool { return people[id] == nil })
			if len(ids) == 0 {
				break
			}
			id := ids[r.IntN(len(ids))]
			for _, other := range people[id].ids {
				erased[other] = true
			}
			left = spared(left, erased, 1<<40)
			ns, value, _ := strings.Cut(id, ":")
			w.Erase(eraseAt, ns, value)
			if r.IntN(2) == 0 {
				w.Erase(eraseAt, ns, value) // twice does no harm
			}
			settled()
		}
		feed(late)
		settled()
		want := oracle(program, append(left, spared(late, erased, eraseAt)...))
		for _, f := range all {
			for _, id := range f.ids {
				got, hops := text(t, w, id)
				expect := "none"
				if p := want[id]; p != nil {
					expect = p.text()
				}
				if times.ReplaceAllString(got, "") != times.ReplaceAllString(expect, "") {
					t.Fatalf("seed %d, %d shards: %s is\n%s, want\n%s\nfacts %+v\nlate %+v\nerased %v\nagain: go test ./shard/sim -run Erasure -sim.seed=%d",
						seed, s.Shards, id, got, expect, facts, late, slices.Sorted(maps.Keys(erased)), seed)
				}
				if hops > 1 {
					t.Fatalf("seed %d: %s took %d hops", seed, id, hops)
				}
			}
		}
	}
	seeds(t, 1000, run)
}

// seeds runs many histories, or the one that is asked for. Those that failed once come first.
func seeds(t *testing.T, n int, run func(t *testing.T, seed uint64), again ...uint64) {
	if *oneSeed != 0 {
		run(t, *oneSeed)
		return
	}
	if testing.Short() {
		n /= 20
	}
	for _, seed := range again {
		run(t, seed)
	}
	base := rand.Uint64()
	for k := range n {
		run(t, base+uint64(k))
	}
}

// TestErasureUnderWay erases people while events and messages about them are under way. Who they were with then depends on what has arrived; but
// everything comes to rest and to its place, and those whose erasure was asked for are not known any more, since all happened before.
func TestErasureUnderWay(t *testing.T) {
	underWay := eraser(t, 6)
	seeds(t, 2000, func(t *testing.T, seed uint64) {
		s, facts := draw(seed)
		r := rand.New(rand.NewPCG(seed, 8))
		w, asked := underWay(t, s, r, facts)
		defer w.Close()
		for _, id := range asked {
			if got, _ := text(t, w, id); got != "none" {
				t.Fatalf("seed %d, %d shards: %s is %s\nfacts %+v\nasked %v\nagain: go test ./shard/sim -run 'TestErasureUnderWay$' -sim.seed=%d",
					seed, s.Shards, id, got, facts, asked, seed)
			}
		}
	}, 13146759120556442681)
}

// TestErasureAndReturn does the same with few shards and much that happens after the erasures: people come back on the ways that lead to those who are gone.
func TestErasureAndReturn(t *testing.T) {
	underWay := eraser(t, 3)
	seeds(t, 2000, func(t *testing.T, seed uint64) {
		r := rand.New(rand.NewPCG(seed, 9))
		facts := drawFacts(r, 10+r.IntN(40))
		s := Settings{Seed: seed, Partitions: 1 + r.IntN(3), Shards: []int{2, 3, 5, 7, 11}[r.IntN(5)]}
		s.Lose, s.Repeat, s.Delay = r.IntN(10), r.IntN(10), r.IntN(100)
		for i := range facts {
			if r.IntN(2) == 0 {
				facts[i].at += eraseUnderWayAt
			}
		}
		w, _ := underWay(t, s, r, facts)
		defer w.Close()
		for _, f := range facts {
			for _, id := range f.ids {
				if _, hops := text(t, w, id); hops > 1 || w.failure != nil {
					t.Fatalf("seed %d, %d shards: %s took %d hops\nagain: go test ./shard/sim -run ErasureAndReturn -sim.seed=%d", seed, s.Shards, id, hops, seed)
				}
			}
		}
	}, 13172935679570445237, 9889699024847494612, 5998476154709173233)
}

const eraseUnderWayAt = 2000 // after the times of drawFacts

// eraser makes a function that runs facts through a world and erases somebody of one in so many of them. It returns the world at rest, and whose erasure was asked for.
func eraser(t *testing.T, often int) func(t *testing.T, s Settings, r *rand.Rand, facts []fact) (*World, []string) {
	program := compile(t, sources())
	memory := profile.NewMemory()
	d := event.NewDecoder(program.Schema, event.DefaultLimits)
	return func(t *testing.T, s Settings, r *rand.Rand, facts []fact) (*World, []string) {
		t.Helper()
		s.Program, s.Memory = program, memory
		w := New(s)
		var asked []string
		for i := range facts {
			f := &facts[i]
			if f.cut {
				a, av, _ := strings.Cut(f.ids[0], ":")
				b, bv, _ := strings.Cut(f.ids[1], ":")
				w.Unlink(a, av, b, bv)
			} else {
				w.Feed(r.IntN(s.Partitions), decode(t, d, f), decode(t, d, f))
			}
			w.Steps(r.IntN(6))
			if r.IntN(often) == 0 {
				id := f.ids[r.IntN(len(f.ids))]
				ns, value, _ := strings.Cut(id, ":")
				w.Erase(eraseUnderWayAt, ns, value)
				asked = append(asked, id)
				w.Steps(r.IntN(4))
			}
		}
		if err := w.Run(); err != nil {
			t.Fatalf("%v\nfacts %+v\nasked %v\nagain: go test ./shard/sim -run '%s$' -sim.seed=%d", err, facts, asked, t.Name(), s.Seed)
		}
		return w, asked
	}
}

// feedShuffled tells a world facts in any order, over any partitions, each event twice.
func feedShuffled(t *testing.T, w *World, r *rand.Rand, partitions int, d *event.Decoder, facts []fact) {
	t.Helper()
	for _, k := range r.Perm(len(facts)) {
		if f := &facts[k]; f.cut {
			a, av, _ := strings.Cut(f.ids[0], ":")
			b, bv, _ := strings.Cut(f.ids[1], ":")
			w.Unlink(a, av, b, bv)
		} else {
			w.Feed(r.IntN(partitions), decode(t, d, f), decode(t, d, f))
		}
	}
}
