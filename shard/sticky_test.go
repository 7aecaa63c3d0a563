package shard

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"dashi/pipeline/identity"
	"dashi/shard/profile"
)

// stickyRecipe has an audience that one enters by one condition and leaves by another, one that does the same by way of a third, and two that one enters by time
// alone: when the last sign of having gone is three hours old, and when but one of several orders is of the last six hours.
const stickyRecipe = `recipe: sticky
identity: {namespaces: [{name: user_id, from: userId}, {name: email, from: traits.email}]}
attributes:
  rush: {kind: count, on: buy, window: 6h, bucket: 1h}
  gone: {kind: count, on: leave, window: 3h, bucket: 1h}
audiences:
  hot: rush >= 2
  vip: {enter: rush >= 2, leave: gone > 0, emit: both}
  fan: {enter: hot, leave: gone > 0}
  calm: {enter: rush >= 1 && gone == 0, leave: gone > 0}
  brief: {enter: rush == 1, leave: rush == 0}
`

// pair are two users; the profile of both is named by the first.
func pair() (first, second string) {
	first, second = "user_id:a", "user_id:b"
	if identity.Hash("user_id", []byte("a")) > identity.Hash("user_id", []byte("b")) {
		return second, first
	}
	return first, second
}

// in says who of them is in the audience.
func (w *town) in(audience string, who ...string) string {
	w.t.Helper()
	var all []string
	for _, id := range who {
		if strings.Contains(w.profile(id), `"`+audience+`":{"since"`) {
			all = append(all, id[len("user_id:"):])
		}
	}
	return strings.Join(all, " ")
}

// tell applies lines "minute what who..".
func (w *town) tell(lines ...string) {
	w.t.Helper()
	for _, line := range lines {
		f := strings.Fields(line)
		w.event(f[0] + " " + f[1] + " x 0 " + strings.Join(f[2:], " "))
	}
}

// Two people who turn out not to be one get back what each has earned: who has made two orders in a rush is in, the other is not, whatever the
// order of things and whoever named the two.
func TestStickyUnmerge(t *testing.T) {
	first, second := pair()
	for _, anew := range []bool{false, true} {
		for _, buyer := range []string{first, second} {
			other := first
			if buyer == first {
				other = second
			}
			buys, look := []string{"buy " + buyer, "buy " + buyer}, []string{"look " + other}
			meet := []string{"look " + first + " email:e@x.example", "look " + second + " email:e@x.example"}
			for name, steps := range map[string][]string{
				"orders, merge":           slices.Concat(buys, look, meet),
				"merge, orders":           slices.Concat(meet, buys, look),
				"order, merge, order":     slices.Concat(buys[:1], look, meet, buys[:1]),
				"other, merge, orders":    slices.Concat(look, meet, buys),
				"other seen by the merge": slices.Concat(buys, meet),
				"merged by one event":     slices.Concat(buys, []string{"look " + buyer + " email:e@x.example", "look " + other + " email:e@x.example"}),
			} {
				t.Run(fmt.Sprint(name, " anew=", anew, " named=", buyer == first), func(t *testing.T) {
					w := newTown(t, stickyRecipe)
					w.s.foldAnew = anew
					for i, step := range steps {
						w.tell(fmt.Sprint(i, " ", step))
					}
					mustAccept(t, w.s.Apply(AppendTick(nil, fallback+600*60_000))) // the rush is over
					if got := w.in("vip", first, second); len(got) < 3 {
						t.Fatalf("as one, %q are in", got)
					}
					w.s = restoreCopy(t, w.s)
					w.left()
					w.unlink(first, second)
					for _, audience := range []string{"vip", "fan"} {
						w.want(w.in(audience, first, second), buyer[len("user_id:"):])
					}
					left := w.left()
					if exits := strings.Contains(left, "exit vip "+first); exits != (buyer == second) || strings.Contains(left, "enter vip") != (buyer == second) {
						t.Errorf("left: %s", left)
					}
					// Nothing that follows changes it.
					w.tell("700 look "+first+" email:f@x.example", "701 look "+second+" email:g@x.example")
					w.want(w.in("vip", first, second), buyer[len("user_id:"):])
				})
			}
		}
	}
}

// Whoever is in only because two people were taken for one is in no more when they come apart.
func TestStickyTogether(t *testing.T) {
	first, second := pair()
	meet := []string{"look " + first + " email:e@x.example", "look " + second + " email:e@x.example"}
	for name, steps := range map[string][]string{
		"orders, merge":       slices.Concat([]string{"buy " + first, "buy " + second}, meet),
		"order, merge, order": slices.Concat([]string{"buy " + first}, meet, []string{"buy " + second}),
		"merge, orders":       slices.Concat(meet, []string{"buy " + first, "buy " + second}),
	} {
		t.Run(name, func(t *testing.T) {
			w := newTown(t, stickyRecipe)
			for i, step := range steps {
				w.tell(fmt.Sprint(i, " ", step))
			}
			mustAccept(t, w.s.Apply(AppendTick(nil, fallback+600*60_000)))
			if got := w.in("vip", first, second); len(got) < 3 {
				t.Fatalf("as one, %q are in", got)
			}
			w.unlink(first, second)
			w.want(w.in("vip", first, second), "")
			if left := w.left(); !strings.Contains(left, "exit vip "+first) || strings.Contains(left, "vip "+second) {
				t.Errorf("left: %s", left)
			}
		})
	}
}

// One person of several identifiers who has entered by what was done under two of them gets that back when a stranger comes out, also a second time, and
// the stranger brings and takes nothing.
func TestStickyStranger(t *testing.T) {
	for _, anew := range []bool{false, true} {
		for _, strangerBuys := range []bool{false, true} {
			t.Run(fmt.Sprint("anew=", anew, " buys=", strangerBuys), func(t *testing.T) {
				w := newTown(t, stickyRecipe)
				w.s.foldAnew = anew
				w.tell("0 buy user_id:u", "1 buy email:u@x.example", "2 look user_id:u email:u@x.example")
				w.want(w.in("vip", "user_id:u"), "u")
				if strangerBuys {
					w.tell("3 buy user_id:s", "4 buy user_id:s")
				}
				mustAccept(t, w.s.Apply(AppendTick(nil, fallback+600*60_000)))
				w.tell("600 look user_id:s email:s@x.example", "601 look user_id:u email:s@x.example")
				w.want(w.in("vip", "user_id:u", "user_id:s"), "u s")
				w.unlink("user_id:u", "user_id:s")
				want := "u"
				if strangerBuys {
					want = "u s"
				}
				w.want(w.in("vip", "user_id:u", "user_id:s"), want)
				since := `"vip":{"since":"` + string(appendMinute(2))
				if p := w.profile("user_id:u"); !strings.Contains(p, since) {
					t.Errorf("%s is not in %s", since, p)
				}
				w.unlink("user_id:u", "email:u@x.example") // now what they did together is nobody's
				w.want(w.in("vip", "user_id:u", "user_id:s"), strings.TrimPrefix(want[1:], " "))
				if p := w.profile("email:u@x.example"); strings.Contains(p, `"vip":{`) {
					t.Error(p)
				}
			})
		}
	}
}

// Somebody whose profile left as another one's did is in again on their own, for they never left; who was in and left themselves is not.
func TestStickyLeft(t *testing.T) {
	first, second := pair()
	for _, leaver := range []string{first, second} {
		w := newTown(t, stickyRecipe)
		w.tell("0 buy "+first, "1 buy "+first, "2 look "+second+" email:e@x.example", "3 look "+first+" email:e@x.example", "4 leave "+leaver)
		w.want(w.in("vip", first, second), first[len("user_id:"):]+" "+second[len("user_id:"):]) // the enter condition holds still
		mustAccept(t, w.s.Apply(AppendTick(nil, fallback+600*60_000)))
		w.tell("601 leave " + leaver)
		w.want(w.in("vip", first, second), "")
		mustAccept(t, w.s.Apply(AppendTick(nil, fallback+1200*60_000)))
		w.unlink(first, second)
		want := ""
		if leaver == second {
			want = first[len("user_id:"):]
		}
		w.want(w.in("vip", first, second), want)
	}
}

// After people have been taken for one again and again and have all come apart, each is in what they would be in had they never met.
func TestStickyAgainstAlone(t *testing.T) {
	ids := []string{"user_id:a", "user_id:b", "user_id:c"}
	met := 0
	for seed := range uint64(150) {
		random := rand.New(rand.NewPCG(seed, 11))
		w, alone := newTown(t, stickyRecipe), newTown(t, stickyRecipe)
		w.s.foldAnew = seed%2 == 1
		minute := 0
		for range 5 + random.IntN(40) {
			minute = min(minute+random.IntN(100), 1400) // a day is the most that an event may be ahead
			who := ids[random.IntN(len(ids))]
			line := fmt.Sprint(minute, " ", []string{"buy", "buy", "look", "look", "leave"}[random.IntN(5)], " ", who)
			alone.tell(line)
			if random.IntN(3) == 0 {
				line += fmt.Sprintf(" email:e%d@x.example", random.IntN(2))
			}
			w.tell(line)
			switch random.IntN(24) {
			case 0, 1:
				w.s = restoreCopy(t, w.s)
			case 2:
				i := random.IntN(len(ids))
				w.unlink(ids[i], ids[(i+1)%len(ids)])
			}
		}
		end := AppendTick(nil, fallback+int64(minute+random.IntN(500))*60_000)
		mustAccept(t, w.s.Apply(end))
		mustAccept(t, alone.s.Apply(end))
		met += int(w.s.counters.Merges)
		for _, pair := range [][2]int{{0, 1}, {1, 2}, {0, 2}} {
			w.unlink(ids[pair[0]], ids[pair[1]])
		}
		for _, audience := range []string{"hot", "vip", "fan", "calm", "brief"} {
			if got, want := w.in(audience, ids...), alone.in(audience, ids...); got != want {
				t.Errorf("seed %d: %q are in %s, alone it would be %q", seed, got, audience, want)
			}
		}
		w.s.Close()
		alone.s.Close()
	}
	if met < 100 {
		t.Errorf("only %d merges", met)
	}
}

// Who has entered by time alone while the profile of both was out is in since that instant, whether or not their own events were applied since.
func TestStickyByTime(t *testing.T) {
	first, second := pair()
	for _, later := range [][]string{nil, {"200 look " + second}, {"200 look " + second, "201 leave " + first, "202 look " + second}} {
		w, alone := newTown(t, stickyRecipe), newTown(t, stickyRecipe)
		lines := append([]string{"0 look " + first + " email:e@x.example", "1 look " + second + " email:e@x.example", "2 buy " + second, "3 leave " + second, "100 leave " + first}, later...)
		w.tell(lines...)
		for _, line := range lines {
			if strings.Contains(line, second) {
				alone.tell(strings.TrimSuffix(line, " email:e@x.example"))
			}
		}
		tick := AppendTick(nil, fallback+250*60_000)
		mustAccept(t, w.s.Apply(tick))
		mustAccept(t, alone.s.Apply(tick))
		w.want(w.in("calm", first, second), "")
		w.s = restoreCopy(t, w.s)
		w.unlink(first, second)
		want := alone.since("calm", second)
		if got := w.since("calm", second); got != want || want == "" {
			t.Errorf("after %q %s is in since %q, alone it would be %q", later, second, got, want)
		}
	}
}

// A snapshot of before fragments had an instant of their own is read: they are asked from then on.
func TestSnapshotWithoutInstants(t *testing.T) {
	first, second := pair()
	w := newTown(t, stickyRecipe)
	w.tell("0 buy "+second+" email:e@x.example", "1 buy "+second, "2 look "+first+" email:e@x.example", "3 leave "+second)
	layout := w.s.fragments.Layout()
	layout.Fixed -= 8
	narrow := profile.New(layout, profile.Heap{})
	w.s.fragments.Each(func(_ profile.Ref, rec profile.Record) bool {
		ref := narrow.Insert(rec.Hash(), rec.Namespace(), rec.Key())
		to := narrow.Edit(ref)
		to.SetFirst(rec.First())
		to.SetLast(rec.Last())
		to.SetVersion(rec.Version())
		to.SetSequence(rec.Sequence())
		copy(to.Fixed(), rec.Fixed())
		narrow.SetSegments(ref, rec.Dir(), rec.Data())
		return true
	})
	have := w.s.fragments
	w.s.fragments = narrow
	var b bytes.Buffer
	snap := w.s.Snapshot()
	defer snap.Release()
	if _, err := snap.WriteTo(&b); err != nil {
		t.Fatal(err)
	}
	w.s.fragments = have
	narrow.Close()
	old := b.Bytes()
	old[len(snapshotMagic)] = 17
	s, err := Restore(bytes.NewReader(old), testSettings())
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if s.fragments.Len() != have.Len() || s.fragments.Layout() != have.Layout() {
		t.Fatalf("%d fragments of %+v", s.fragments.Len(), s.fragments.Layout())
	}
	w.s = s
	mustAccept(t, w.s.Apply(AppendTick(nil, fallback+250*60_000))) // what left is three hours old, the rush is not over
	w.unlink(first, second)
	w.want(w.in("calm", first, second), second[len("user_id:"):])
}

// since is what the profile says of when it entered the audience; "" when it is not in.
func (w *town) since(audience, who string) string {
	_, after, _ := strings.Cut(w.profile(who), `"`+audience+`":{"since":"`)
	instant, _, _ := strings.Cut(after, `"`)
	return instant
}
