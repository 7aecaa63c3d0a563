package sim

import (
	"encoding/json"
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"dashi/pipeline/event"
	"dashi/pipeline/event/track"
	"dashi/pipeline/recipe"
	"dashi/shard"
	"dashi/shard/profile"
)

const cookbook = `
recipe: sim
identity:
  max_identifiers: 7
  namespaces:
    - {name: user, from: userId, unique: true}
    - {name: email, from: traits.email, limit: {count: 2}}
    - {name: phone, from: traits.phone, normalise: exact, shared: isolate, limit: {count: 2, period: 1h}}
    - {name: card, from: traits.card, limit: {count: 2, excess: oldest}}
    - {name: device, from: anonymousId, shared: last_authenticated, limit: {count: 3, excess: oldest}}
attributes:
  events: {kind: count, on: "*"}
  spent: {kind: sum, on: buy, value: properties.total}
  items: {kind: set, add: {on: buy, value: properties.product_id}}
audiences:
  busy: events >= 3
  loyal: {enter: events >= 3, leave: events < 1}
  rich: {when: spent > 5, emit: both}
`

func sources() []recipe.Source { return []recipe.Source{{Name: "sim.yml", Text: []byte(cookbook)}} }

func compile(t testing.TB, s []recipe.Source) *recipe.Program {
	t.Helper()
	p, diagnostics := recipe.Compile(s)
	if p == nil {
		t.Fatal(diagnostics)
	}
	return p
}

// decode makes an event that owns its bytes.
func decode(t testing.TB, d *event.Decoder, f *fact) event.Event {
	t.Helper()
	properties, who := map[string]any{"total": f.n, "product_id": f.item}, f.ids
	if f.account != "" {
		properties["account"] = f.account
	}
	if f.about != "" {
		who = append(slices.Clone(who), "context.groupId:"+f.about)
	}
	text := track.Message(fmt.Sprint("m", f.id), f.name, time.UnixMilli(f.at), properties, who...)
	var e event.Event
	if err := d.Decode(text, 1<<40, &e); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	return e
}

// text is what the world says of an identifier, in the words of the oracle.
func text(t testing.TB, w *World, id string) (string, int) {
	t.Helper()
	var v shard.View
	ns, value, _ := strings.Cut(id, ":")
	found, hops := w.Profile(ns, value, &v)
	if !found {
		return "none", hops
	}
	var p struct {
		ID          string
		Identifiers []struct {
			Namespace, Value string
			FirstSeen        time.Time `json:"first_seen"`
			LastSeen         time.Time `json:"last_seen"`
		}
		Attributes struct {
			Events, Spent int
			Items         []string
		}
		Audiences map[string]any
		Version   int
	}
	raw := v.AppendJSON(nil)
	if err := json.Unmarshal(raw, &p); err != nil {
		t.Fatalf("%v in %s", err, raw)
	}
	var ids, audiences []string
	for _, i := range p.Identifiers {
		ids = append(ids, fmt.Sprint(i.Namespace, ":", i.Value, [2]int64{i.FirstSeen.UnixMilli(), i.LastSeen.UnixMilli()}))
	}
	for name := range p.Audiences {
		audiences = append(audiences, name)
	}
	slices.Sort(audiences)
	if first := p.Identifiers[0].Namespace + ":" + p.Identifiers[0].Value; first != p.ID {
		t.Fatalf("id %s, first identifier %s", p.ID, first)
	}
	return fmt.Sprint(ids, p.Attributes.Events, p.Attributes.Spent, p.Attributes.Items, audiences, p.Version), hops
}

func drawFacts(r *rand.Rand, n int) []fact {
	values := 1 + r.IntN(4)
	facts := make([]fact, n)
	for k := range facts {
		f := &facts[k]
		f.id, f.at, f.n, f.item = k, 1000+int64(r.IntN(40)), r.IntN(4), fmt.Sprint("i", r.IntN(3))
		f.name = []string{"buy", "look"}[r.IntN(2)]
		f.cut = r.IntN(12) == 0
		for len(f.ids) == 0 || f.cut && len(f.ids) < 2 {
			f.ids = f.ids[:0]
			for _, ns := range []string{"user", "email", "phone", "card", "device"} {
				if r.IntN(2) == 0 && len(f.ids) < 4 && !(f.cut && len(f.ids) == 2) {
					f.ids = append(f.ids, fmt.Sprint(ns, ":", ns[:1], r.IntN(values)))
				}
			}
		}
	}
	return facts
}

// history runs facts through a world and compares every identifier with the oracle.
func history(t testing.TB, s Settings, facts []fact, want map[string]*person) {
	d := event.NewDecoder(s.Program.Schema, event.DefaultLimits)
	next := d
	if s.Next != nil {
		next = event.NewDecoder(s.Next.Schema, event.DefaultLimits)
	}
	w := New(s)
	defer w.Close()
	r := rand.New(rand.NewPCG(s.Seed, 2))
	for _, k := range r.Perm(len(facts)) {
		f := &facts[k]
		if f.cut {
			continue
		}
		partition := r.IntN(s.Partitions)
		w.Feed(partition, decode(t, d, f), decode(t, next, f))
		if r.IntN(8) == 0 { // the producer sends it twice
			w.Feed(r.IntN(s.Partitions), decode(t, d, f), decode(t, next, f))
		}
	}
	cut := func() {
		for _, k := range r.Perm(len(facts)) {
			if f := &facts[k]; f.cut {
				a, av, _ := strings.Cut(f.ids[0], ":")
				b, bv, _ := strings.Cut(f.ids[1], ":")
				w.Unlink(a, av, b, bv)
			}
		}
	}
	early := r.IntN(2) == 0
	if early {
		cut()
	}
	if err := w.Run(); err != nil {
		t.Fatal(err)
	}
	if !early {
		cut()
		if err := w.Run(); err != nil {
			t.Fatal(err)
		}
	}
	for id, p := range want {
		got, hops := text(t, w, id)
		if got != p.text() {
			t.Fatalf("seed %d, %d shards: %s is\n%s, want\n%s\nfacts %+v\nagain: go test ./shard/sim -run Confluence -sim.seed=%d",
				s.Seed, s.Shards, id, got, p.text(), facts, s.Seed)
		}
		if hops > 1 {
			t.Fatalf("seed %d, %d shards: %s took %d hops", s.Seed, s.Shards, id, hops)
		}
	}
}

// -sim.seed runs one history again, the one that a failure printed.
var oneSeed = flag.Uint64("sim.seed", 0, "run this history only")

// histories are how many a normal run tries; a short one a fiftieth of that.
const histories = 10_000

// The confluence of DESIGN 4: whatever the order, the partitions, the number of shards, the network and the crashes, everybody ends as
// the oracle says.
func TestConfluence(t *testing.T) {
	program := compile(t, sources())
	memory := profile.NewMemory()
	run := func(t *testing.T, seed uint64) {
		settings, facts := draw(seed)
		settings.Program, settings.Memory = program, memory
		history(t, settings, facts, oracle(program, facts))
	}
	if *oneSeed != 0 {
		run(t, *oneSeed)
		return
	}
	n := histories
	if testing.Short() {
		n /= 50
	}
	base := rand.Uint64()
	const parts = 4
	for part := range parts {
		t.Run(fmt.Sprint("part=", part), func(t *testing.T) {
			t.Parallel()
			for k := range n / parts {
				run(t, base+uint64(k*parts+part))
			}
		})
	}
}

// draw makes a history out of a seed.
func draw(seed uint64) (Settings, []fact) {
	r := rand.New(rand.NewPCG(seed, 3))
	facts := drawFacts(r, 1+r.IntN(25))
	s := Settings{Seed: seed, Partitions: 1 + r.IntN(3), Shards: []int{1, 2, 7, 64}[r.IntN(4)]}
	if r.IntN(3) > 0 {
		s.Lose, s.Repeat, s.Delay, s.Crash, s.Snapshot = r.IntN(20), r.IntN(20), r.IntN(100), r.IntN(4), r.IntN(6)
	}
	return s, facts
}
