package shard

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
)

// growRecipe has what a merge may touch: every way in which an update flips conditions, windows, consent, nested audiences, pacing.
const growRecipe = `
recipe: grow
purposes: {email: properties.mail}
fields: {properties.mail: bool}
attributes:
  events: {kind: count, on: "*"}
  spent: {kind: sum, on: buy, value: properties.total}
  largest: {kind: max, on: buy, value: properties.total}
  items: {kind: set, add: {on: buy, value: properties.product_id}, limit: 3}
  seen: {kind: tally, on: "*", value: properties.product_id}
  last_item: {kind: last, on: buy, value: properties.product_id}
  viewed: {kind: list, on: look, value: properties.product_id, limit: 4}
  open: {kind: flag, raise: {on: look}, lower: {on: buy}}
  recent: {kind: count, on: "*", window: 1h}
  last_seen: {kind: last_at, on: "*"}
audiences:
  busy: events >= 3
  buyers: spent > 5
  big: largest > 7
  newcomers: events < 4
  owners: '"a" in items'
  fans: seen["b"] >= 2
  latest: last_item == "c"
  viewers: '"a" in viewed'
  deciding: open
  hot: recent >= 2
  quiet: now - last_seen > duration("2h")
  reachable: {when: consent.email, emit: both}
  hot_buyers: hot && buyers
  both: buyers && !newcomers
  regulars: {enter: recent >= 3, leave: spent > 30}
  shy: {enter: both || quiet, leave: hot}
activations:
  later: {on: {enter: busy}, delay: 1h}
  soon: {on: {exit: newcomers}, delay: 10m, cooldown: {group: g, period: 1h, priority: 5}}
  spending: {on: {change: spent}}
  heat: {on: {change: recent}}
`

// Taking others in as they are gives what folding all fragments anew gives: state, activations and timers.
func TestGrowEqualsFold(t *testing.T) {
	merges, histories := uint64(0), uint64(40)
	if testing.Short() {
		histories /= 4
	}
	for seed := range histories {
		random := rand.New(rand.NewPCG(seed, 5))
		grown, folded := newTown(t, growRecipe), newTown(t, growRecipe)
		folded.s.foldAnew = true
		both := func(what string, do func(w *town)) {
			t.Helper()
			do(grown)
			do(folded)
			if a, b := grown.left(), folded.left(); a != b {
				t.Fatalf("seed %d, %s:\ngrown  %s\nfolded %s", seed, what, a, b)
			}
			if a, b := describe(grown.s), describe(folded.s); a != b || grown.s.Hash() != folded.s.Hash() {
				t.Fatalf("seed %d, %s:\ngrown  %s\nfolded %s", seed, what, a, b)
			}
		}
		minute := 0
		for range 40 {
			ids := fmt.Sprintf("user_id:u%d", random.IntN(2))
			switch random.IntN(4) {
			case 0:
				ids = fmt.Sprintf("anonymous_id:d%d", random.IntN(4))
			case 1:
				ids += fmt.Sprintf(" anonymous_id:d%d", random.IntN(4))
			case 2:
				ids += fmt.Sprintf(" email:m%d@x.example anonymous_id:d%d", random.IntN(2), random.IntN(4))
			}
			minute += random.IntN(40)
			line := fmt.Sprintf("%d %s %s %d %s", minute-random.IntN(min(minute, 100)+1), []string{"look", "buy", "agree"}[random.IntN(3)], []string{"a", "b", "c", "d"}[random.IntN(4)], random.IntN(9), ids)
			both(line, func(w *town) { w.event(line) })
			if random.IntN(12) == 0 {
				a, b := fmt.Sprintf("user_id:u%d", random.IntN(2)), fmt.Sprintf("anonymous_id:d%d", random.IntN(4))
				both("cut "+a+" "+b, func(w *town) { w.unlink(a, b) })
			}
		}
		both("end", func(w *town) { w.s.Apply(AppendTick(nil, fallback+int64(minute+1000)*60_000)) })
		merges += grown.s.counters.Merges
		grown.s.Close()
		folded.s.Close()
	}
	// Who left an audience and enters it again by a merge is in since the merge, although a fragment remembers more.
	var profiles [2]string
	for i := range profiles {
		w := newTown(t, growRecipe)
		w.s.foldAnew = i == 1
		for _, line := range []string{"0 buy a 9 anonymous_id:d", "1 look a 0 anonymous_id:d", "2 look a 0 user_id:u anonymous_id:d", "200 look a 0 anonymous_id:e", "201 look a 0 anonymous_id:e"} {
			w.event(line)
		}
		if got := w.profile("user_id:u"); strings.Contains(got, `"hot_buyers"`) {
			t.Fatal(got)
		}
		w.event("202 look a 0 user_id:u anonymous_id:e")
		profiles[i] = w.profile("user_id:u")
	}
	if want := `"hot_buyers":{"since":"` + string(appendMinute(202)); profiles[0] != profiles[1] || !strings.Contains(profiles[0], want) {
		t.Errorf("grown  %s\nfolded %s", profiles[0], profiles[1])
	}
	if merges < 50*histories/40 {
		t.Errorf("only %d merges", merges)
	}
}
