package sim

import (
	"math/rand/v2"
	"slices"
	"testing"

	"dashi/pipeline/event"
	"dashi/shard/profile"
)

// TestAccountErasure erases accounts in the middle of histories, also while people are on their way from one shard to another: only those who have joined one since
// belong to it, and of its events only those count that came, and happened, later. Every other account is as if nothing had been.
func TestAccountErasure(t *testing.T) {
	program := compile(t, accountSources(false))
	memory := profile.NewMemory()
	seeds(t, 600, func(t *testing.T, seed uint64) {
		s, _ := draw(seed)
		s.Program, s.Memory = program, memory
		r := rand.New(rand.NewPCG(seed, 9))
		facts, late := drawAccountFacts(r, 1+r.IntN(20)), drawAccountFacts(r, r.IntN(15))
		for i := range facts {
			facts[i].at = 1000 + 2*int64(i)
		}
		for i := range late {
			late[i].id, late[i].at = late[i].id+len(facts), 1001+2*int64(r.IntN(20))
			late[i].cut = false
		}
		times := map[int64]bool{}
		late = slices.DeleteFunc(late, func(f fact) bool { // apart: two at one instant are nobody's question
			twice := times[f.at]
			times[f.at] = true
			return twice
		})
		w := New(s)
		defer w.Close()
		d := event.NewDecoder(program.Schema, event.DefaultLimits)
		feed := func(facts []fact) {
			feedShuffled(t, w, r, s.Partitions, d, facts)
		}
		settled := func() {
			if err := w.Run(); err != nil {
				t.Fatalf("%v\nfacts %+v\nlate %+v\nagain: go test ./shard/sim -run AccountErasure -sim.seed=%d", err, facts, late, seed)
			}
		}
		feed(facts)
		settled()
		name := accountNames[r.IntN(len(accountNames))]
		until := 1000 + int64(r.IntN(40))
		w.EraseAccount(until, name)
		if r.IntN(2) == 0 {
			settled()
		}
		feed(late)
		settled()
		// What was said of it up to then is as if it had not been said, but that somebody has left it.
		left := slices.Clone(facts)
		for i := range left {
			if left[i].about == name {
				left[i].about = ""
			}
		}
		left = append(left, late...)
		for i := range left {
			f := &left[i]
			if f.about == name && f.at <= until {
				f.about = ""
			}
			if f.account == name && f.name == "join" && f.at <= until {
				f.name = "joined before"
			}
		}
		for account, a := range accountsOracle(program, false, left) {
			if got := accountText(t, w, account); got != a.text {
				t.Fatalf("seed %d, %d shards: %s was erased at %d; account %s is\n%s, want\n%s\nfacts %+v\nlate %+v\nagain: go test ./shard/sim -run AccountErasure -sim.seed=%d",
					seed, s.Shards, name, until, account, got, a.text, facts, late, seed)
			}
		}
	})
}

// TestAccountErasureUnderWay erases accounts while events and messages about them and their people are under way: everything comes to rest, and nothing of the way
// is left: once more at rest, and none is known.
func TestAccountErasureUnderWay(t *testing.T) {
	program := compile(t, accountSources(false))
	memory := profile.NewMemory()
	seeds(t, 600, func(t *testing.T, seed uint64) {
		s, _ := draw(seed)
		s.Program, s.Memory = program, memory
		r := rand.New(rand.NewPCG(seed, 10))
		facts := drawAccountFacts(r, 1+r.IntN(25))
		w := New(s)
		defer w.Close()
		d := event.NewDecoder(program.Schema, event.DefaultLimits)
		settled := func() {
			if err := w.Run(); err != nil {
				t.Fatalf("%v\nfacts %+v\nagain: go test ./shard/sim -run AccountErasureUnderWay -sim.seed=%d", err, facts, seed)
			}
		}
		for i := range facts {
			if f := &facts[i]; !f.cut {
				w.Feed(r.IntN(s.Partitions), decode(t, d, f), decode(t, d, f))
			}
			w.Steps(r.IntN(6))
			if r.IntN(5) == 0 {
				w.EraseAccount(1000+int64(r.IntN(30)), accountNames[r.IntN(len(accountNames))])
				w.Steps(r.IntN(4))
			}
		}
		settled()
		for _, name := range accountNames {
			w.EraseAccount(5000, name)
		}
		settled()
		for _, name := range accountNames {
			if got := accountText(t, w, name); got != "none" {
				t.Fatalf("seed %d, %d shards: account %s is %s\nfacts %+v\nagain: go test ./shard/sim -run AccountErasureUnderWay -sim.seed=%d", seed, s.Shards, name, got, facts, seed)
			}
		}
	})
}
