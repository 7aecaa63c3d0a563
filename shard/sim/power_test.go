package sim

import (
	"encoding/json"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"dashi/pipeline/activation"
	"dashi/pipeline/event"
	"dashi/pipeline/recipe"
	"dashi/shard/profile"
)

// powered is the cookbook of the simulator with an activation for every event.
func powered() []recipe.Source {
	return []recipe.Source{{Name: "sim.yml", Text: []byte(cookbook + "activations:\n  heard: {on: {event: \"*\"}}\n")}}
}

// All machines lose power, again and again, and every shard loses the end of its log at another place, also in the middle of a switch of cookbooks. Everybody
// ends as the oracle says all the same.
func TestPowerCut(t *testing.T) {
	program := compile(t, powered())
	text := strings.Replace(string(powered()[0].Text), "busy: events >= 3", "busy: {when: events > 2}", 1)
	next := compile(t, []recipe.Source{{Name: "sim.yml", Text: []byte(text)}})
	memory := profile.NewMemory()
	run := func(seed uint64) {
		settings, facts := draw(seed)
		settings.Shards = min(settings.Shards, 7)
		settings.Program, settings.Memory, settings.Power = program, memory, 1+int(seed%80)
		if seed%3 == 0 {
			settings.Next = next
		}
		history(t, settings, facts, oracle(program, facts))
	}
	if *oneSeed != 0 {
		run(*oneSeed)
		return
	}
	n := histories / 100
	if testing.Short() {
		n /= 5
	}
	for base := rand.Uint64(); n > 0; n-- {
		run(base + uint64(n))
	}
}

// Each event makes one activation leave, whatever was lost in between. Where another order of events made it another one, in the name of another profile, it leaves again; the
// one that nobody stands by any more is known. Histories are drawn until something was lost in one, and an activation was made again and held back.
func TestPowerCutActivations(t *testing.T) {
	program := compile(t, powered())
	memory := profile.NewMemory()
	least := 200
	if testing.Short() {
		least /= 4
	}
	var all cuts
	base, n := rand.Uint64(), 0
	for ; n < least || n < 20*least && (all.lost == 0 || all.remade == 0); n++ {
		all.history(t, program, memory, base+uint64(n))
	}
	t.Logf("%d histories: %d entries lost, %d activations made again and held back, %d left in vain", n, all.lost, all.remade, all.vain)
	if all.lost == 0 || all.remade == 0 {
		t.Error("nothing was lost, or nothing was made again")
	}
}

// cuts counts what power cuts did in the histories of a test.
type cuts struct {
	lost         int
	remade, vain uint64
}

// history runs one history in which machines lose power, and fails the test when an event made more or less than one activation leave.
func (c *cuts) history(t *testing.T, program *recipe.Program, memory profile.Memory, seed uint64) {
	settings, facts := draw(seed)
	settings.Shards = min(settings.Shards, 7)
	settings.Program, settings.Memory, settings.Power = program, memory, 1+int(settings.Seed%80)
	w, r := New(settings), rand.New(rand.NewPCG(settings.Seed, 2))
	defer w.Close()
	d := event.NewDecoder(program.Schema, event.DefaultLimits)
	events := map[int64]int{}
	for k := range facts {
		f := &facts[k]
		f.at = 1_000_000 + int64(k)
		if !f.cut {
			e := decode(t, d, f)
			w.Feed(r.IntN(settings.Partitions), e, e)
			events[f.at] = 0
		}
	}
	if err := w.Run(); err != nil {
		t.Fatal(err)
	}
	left := map[[2]uint64]int{} // made for nothing
	for i, p := range w.shards {
		for p.published < p.shard.Stats().OutboxNext {
			w.publish(i)
		}
		p.shard.EachDeparted(func(k [2]uint64, times uint32) { left[k] += int(times); c.vain += uint64(times) })
		c.remade += p.shard.Stats().Remade
	}
	for _, p := range w.shards {
		for _, a := range p.topic {
			var head struct {
				Activation string
				EventTime  time.Time `json:"event_time"`
			}
			if err := json.Unmarshal(a.payload, &head); err != nil {
				t.Fatal(err)
			}
			if head.Activation != "heard" {
				continue
			}
			k, err := activation.KeyOf(a.payload)
			if err != nil {
				t.Fatal(err)
			}
			if left[k] > 0 {
				left[k]--
			} else {
				events[head.EventTime.UnixMilli()]++
			}
		}
	}
	for at, times := range events {
		if times != 1 {
			t.Fatalf("seed %d, %d shards: the event of %d left %d times", settings.Seed, settings.Shards, at, times)
		}
	}
	c.lost += w.lost
}
