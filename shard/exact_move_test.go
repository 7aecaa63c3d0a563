package shard

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"dashi/pipeline/identity"
)

// Somebody for whom much waits lies in one shard, then, by an address that another person has too, in another: a delay, something held,
// a session, a sequence, a window and an audience, each at its instant and once, whether the clock ticks or jumps.
func TestWhatWaitsMoves(t *testing.T) {
	const recipe = storyHead + `  delayed: {on: {enter: left_cart}, delay: 7m}
  held: {on: {event: Visit}, hold: {until: 'now - carts > duration("9m")', at_most: 15m}}
  over: {on: {session_end: short}}
  forgot: {on: {change: forgotten}}
  fewer: {on: {change: visits_15m}}
  late: {on: {enter: gone}}
`
	const lateRecipe = `  gone: {when: 'now - carts > duration("12m")', emit: none}
activations:
`
	text := strings.Replace(recipe, "activations:\n", lateRecipe, 1)
	for _, every := range []int{1, 60} {
		f := newFleet(t, t, 3)
		home := f.shards[0].settings.Home
		hash := func(who int) uint64 { return identity.Hash("user_id", []byte(fmt.Sprint("u", who))) }
		// Who moves is the one with the greater hash.
		stays, moves := 1, 2
		for home(hash(stays)) == home(hash(moves)) || hash(stays) > hash(moves) {
			if moves++; moves == 10 {
				stays, moves = stays+1, 1
			}
		}
		f.use(text, 1)
		at := func(minute int) int64 { return midnight.Add(time.Duration(minute) * time.Minute).UnixMilli() }
		f.apply(at(0), deed{who: moves, what: "Cart", at: at(0)})
		f.apply(at(1), deed{who: moves, what: "Visit", at: at(1)})
		here := func() bool {
			s := f.shards[home(hash(moves))]
			ref, found := s.table.Find(hash(moves), 0, []byte(fmt.Sprint("u", moves)))
			return found && s.table.Record(ref).Version() > 0
		}
		if !here() {
			t.Fatal("the person is not where they are at home")
		}
		f.apply(at(2), deed{who: moves, what: "Other", at: at(2), as: asFamily})
		f.apply(at(3), deed{who: stays, what: "Other", at: at(3), as: asFamily})
		if here() {
			t.Fatal("the person has not moved")
		}
		for minute := 4; minute <= 64; minute += every {
			f.tick(at(minute))
		}
		f.check()
		who := fmt.Sprint("user_id:u", moves)
		var want []string
		for _, x := range []string{"00:00 forgot", "00:01 fewer", "00:07 delayed", "00:09 held", "00:10 forgot", "00:11 over", "00:12 late", "00:15 fewer"} {
			want = append(want, who+" "+x)
		}
		var got []string
		for _, x := range f.left() {
			words := strings.Fields(x)
			got = append(got, fmt.Sprintf("%s %s %s", words[0], words[2][:5], words[1]))
		}
		slices.Sort(got)
		if !slices.Equal(got, want) {
			t.Errorf("a tick every %d minutes: left\n%s\nwanted\n%s", every, strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
		f.close()
	}
}
