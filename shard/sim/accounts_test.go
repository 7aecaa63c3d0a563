package sim

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"dashi/pipeline/event"
	"dashi/pipeline/recipe"
	"dashi/shard"
	"dashi/shard/profile"
)

const accountsCookbook = cookbook + `
  member: {kind: set, add: {on: join, value: properties.account}, remove: {on: leave, value: properties.account}}
fields: {properties.account: string}
accounts:
  member_of: member
  id: context.groupId
  attributes:
    bought: {kind: sum, on: buy, value: properties.total}
  audiences:
    crowded: people.count() >= 2
    lively: people.any(busy)
    all_rich: people.all(rich)
    poor: people.none(rich) && people.count(busy) < 2
    spending: people.sum(spent) > 6
    dear: {when: people.max(spent) >= 4 || people.min(spent) == 1}
    buying: bought > 3
`

// accountSources is the cookbook, or the next one, which asks people for less, in another order, and has another audience.
func accountSources(next bool) []recipe.Source {
	text := strings.Replace(accountsCookbook, "audiences:\n  busy", "AUDIENCES", 1)
	attributes, rest, _ := strings.Cut(text, "AUDIENCES")
	audiences, more, _ := strings.Cut(rest, "\n  member:")
	member, accounts, _ := strings.Cut(more, "\n")
	text = attributes + "  member:" + member + "\naudiences:\n  busy" + audiences + "\n" + accounts
	if next {
		dear, many := "dear: {when: people.max(spent) >= 4 || people.min(spent) == 1}", "many: people.count(busy) >= 2"
		text = strings.NewReplacer(dear, many, "crowded: people.count() >= 2", "first: people.none(rich)\n    crowded: people.count() >= 2").Replace(text)
	}
	return []recipe.Source{{Name: "accounts.yml", Text: []byte(text)}}
}

// account is what the oracle says of one.
type account struct {
	people []string // ids of profiles, sorted
	text   string
}

// accountsOracle looks at everybody and computes every account from scratch.
func accountsOracle(program *recipe.Program, next bool, facts []fact) map[string]*account {
	byID := oracle(program, facts)
	latest := map[*person]map[string]*fact{}
	bought, events := map[string]int{}, map[string]int{}
	done := map[int]bool{}
	for i := range facts {
		f := &facts[i]
		if f.cut || done[f.id] {
			continue
		}
		done[f.id] = true
		if f.name == "buy" && f.about != "" {
			bought[f.about] += f.n
			events[f.about]++
		}
		if f.account == "" {
			continue
		}
		p := byID[f.ids[0]]
		if latest[p] == nil {
			latest[p] = map[string]*fact{}
		}
		if l := latest[p][f.account]; l == nil || l.at < f.at {
			latest[p][f.account] = f
		}
	}
	buys := map[*person]bool{}
	for i := range facts {
		if f := &facts[i]; !f.cut && f.name == "buy" {
			buys[byID[f.ids[0]]] = true
		}
	}
	all := map[string]*account{}
	for _, name := range accountNames {
		a := &account{}
		n, busy, rich, spent, most, least, known := 0, 0, 0, 0, -1, 1<<30, false
		for p, accounts := range latest {
			if f := accounts[name]; f == nil || f.name != "join" {
				continue
			}
			n++
			a.people = append(a.people, p.ids[0])
			if p.count >= 3 {
				busy++
			}
			if p.sum > 5 {
				rich++
			}
			if buys[p] {
				known = true
				spent, most, least = spent+p.sum, max(most, p.sum), min(least, p.sum)
			}
		}
		slices.Sort(a.people)
		all[name] = a
		if n == 0 && events[name] == 0 {
			a.text = "none"
			continue
		}
		var in []string
		add := func(audience string, holds bool) {
			if holds {
				in = append(in, audience)
			}
		}
		add("all_rich", n > 0 && rich == n)
		add("buying", bought[name] > 3)
		add("crowded", n >= 2)
		add("dear", !next && known && (most >= 4 || least == 1))
		add("first", next && rich == 0)
		add("lively", busy > 0)
		add("many", next && busy >= 2)
		add("poor", rich == 0 && busy < 2)
		add("spending", known && spent > 6)
		values := map[string]int{"people.count()": n, "people.count(busy)": busy, "people.count(rich)": rich}
		if known {
			values["people.sum(spent)"] = spent
			if !next {
				values["people.max(spent)"], values["people.min(spent)"] = most, least
			}
		}
		if events[name] > 0 {
			values["bought"] = bought[name]
		}
		a.text = fmt.Sprint(values, in, a.people, events[name]+1)
	}
	return all
}

var accountNames = []string{"acme", "umbrella", "initech"}

// accountText is what the world says of an account, in the words of the oracle.
func accountText(t testing.TB, w *World, name string) string {
	t.Helper()
	var v shard.View
	found, _ := w.Profile(recipe.AccountNamespace, name, &v)
	if !found {
		return "none"
	}
	var a struct {
		Attributes map[string]int
		Audiences  map[string]any
		People     struct{ First []string }
		Version    int
	}
	raw := v.AppendJSON(nil)
	if err := json.Unmarshal(raw, &a); err != nil {
		t.Fatalf("%v in %s", err, raw)
	}
	var in []string
	for audience := range a.Audiences {
		in = append(in, audience)
	}
	slices.Sort(in)
	slices.Sort(a.People.First)
	return fmt.Sprint(a.Attributes, in, a.People.First, a.Version)
}

func drawAccountFacts(r *rand.Rand, n int) []fact {
	facts := drawFacts(r, n)
	for k := range facts {
		f := &facts[k]
		f.at = 1000 + int64(k) // apart: joining and leaving at one instant is nobody's question
		switch {
		case f.cut:
		case r.IntN(3) > 0:
			f.name = []string{"join", "join", "leave"}[r.IntN(3)]
			f.account = accountNames[r.IntN(len(accountNames))]
		case r.IntN(2) == 0:
			f.about = accountNames[r.IntN(len(accountNames))]
		}
	}
	return facts
}

// Whatever the order, the shards, the network and the crashes, and though another cookbook comes into force in the middle: accounts end as the oracle says, and nothing is left of how people came there.
func TestAccountsConfluence(t *testing.T) {
	program, next := compile(t, accountSources(false)), compile(t, accountSources(true))
	memory := profile.NewMemory()
	run := func(t *testing.T, seed uint64) {
		settings, _ := draw(seed)
		r := rand.New(rand.NewPCG(seed, 4))
		facts := drawAccountFacts(r, 1+r.IntN(25))
		settings.Program, settings.Memory = program, memory
		if seed%3 == 0 {
			settings.Next = next
		}
		accountHistory(t, settings, facts)
	}
	if *oneSeed != 0 {
		run(t, *oneSeed)
		return
	}
	n := histories / 50
	if testing.Short() {
		n /= 10
	}
	base := rand.Uint64()
	for k := range n {
		run(t, base+uint64(k))
	}
}

func accountHistory(t testing.TB, s Settings, facts []fact) {
	d := event.NewDecoder(s.Program.Schema, event.DefaultLimits)
	w := New(s)
	defer w.Close()
	r := rand.New(rand.NewPCG(s.Seed, 2))
	for _, k := range r.Perm(len(facts)) {
		f := &facts[k]
		if f.cut {
			a, av, _ := strings.Cut(f.ids[0], ":")
			b, bv, _ := strings.Cut(f.ids[1], ":")
			w.Unlink(a, av, b, bv)
			continue
		}
		for range 1 + r.IntN(8)/7 {
			w.Feed(r.IntN(s.Partitions), decode(t, d, f), decode(t, d, f))
		}
		if r.IntN(10) == 0 { // a rest now and then, so that what follows meets what is settled
			if err := w.Run(); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := w.Run(); err != nil {
		t.Fatal(err)
	}
	for name, a := range accountsOracle(s.Program, s.Next != nil, facts) {
		if got := accountText(t, w, name); got != a.text {
			t.Fatalf("seed %d, %d shards: account %s is\n%s, want\n%s\nfacts %+v\nagain: go test ./shard/sim -run AccountsConfluence -sim.seed=%d",
				s.Seed, s.Shards, name, got, a.text, facts, s.Seed)
		}
	}
}
