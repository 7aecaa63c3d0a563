package shard

import (
	"fmt"
	"testing"

	"pgregory.net/rapid"
)

// rounds is how often rapid's hundred histories are drawn, so that one run of all tests sees at least a thousand.
func rounds(short int) int {
	if testing.Short() {
		return short
	}
	return 10
}

// Exactness: over 1,000 histories, who enters and leaves what at which instant is what an oracle says that evaluates everything all the
// time, with late events, restarts, ticks or none, the cookbook switched, people who turn out to be one, and on three shards: then they
// move from one to another, with all that waits for its time.
func TestTimeAgainstOracle(t *testing.T) {
	for round := range rounds(1) {
		t.Run(fmt.Sprint("hundred=", round+1), func(t *testing.T) { rapid.Check(t, timeAgainstOracle(t)) })
	}
}

func timeAgainstOracle(t *testing.T) func(*rapid.T) {
	return func(rt *rapid.T) {
		b := drawBook(rt)
		c := newFleet(rt, t, rapid.SampledFrom([]int{1, 3}).Draw(rt, "shards"))
		c.round = rapid.SampledFrom([]string{"", "x", "y", "z"}).Draw(rt, "round")
		defer c.close()
		c.use(b.recipe(), begin)
		o := newOracle(b)
		now := begin
		for _, d := range drawHistory(rt, true, true) {
			o.pass(now, d.now)
			now = d.now
			switch rapid.IntRange(0, 9).Draw(rt, "meanwhile") {
			case 0:
				c.restart(rt)
			case 1, 2:
				c.tick(now)
			case 3:
				b = drawBook(rt)
				c.use(b.recipe(), now)
				o.change(b, now)
			}
			c.apply(now, d)
			o.apply(d)
			c.check()
		}
		end := now + 150*second
		o.pass(now, end)
		c.tick(end)
		c.check()
		sameSets(rt, c.transitions(), o.seen, b.recipe())
	}
}

// interleave reads the deeds of each person in their order, but those of one long before those of another, as from partitions.
func interleave(t *rapid.T, deeds []deed) []deed {
	left := map[int][]deed{}
	for _, d := range deeds {
		left[d.who] = append(left[d.who], d)
	}
	var out []deed
	for len(out) < len(deeds) {
		who := rapid.IntRange(1, 3).Draw(t, "next")
		if len(left[who]) > 0 {
			out = append(out, left[who][0])
			left[who] = left[who][1:]
		}
	}
	return out
}

// The same 1,000 histories through a clock of stamps that is moved by hand and through the clock of event times, in batches of
// any size and with one partition ahead of another, give the same transitions at the same instants.
func TestEventClockAndWallClock(t *testing.T) {
	for round := range rounds(1) {
		t.Run(fmt.Sprint("hundred=", round+1), func(t *testing.T) { rapid.Check(t, eventClockAndWallClock(t)) })
	}
}

func eventClockAndWallClock(t *testing.T) func(*rapid.T) {
	return func(rt *rapid.T) {
		b := drawBook(rt)
		deeds := drawHistory(rt, false, true)
		end := deeds[len(deeds)-1].now + 150*second
		wall := newFleet(rt, t, 1)
		defer wall.close()
		wall.use(b.recipe(), begin)
		for _, d := range deeds {
			wall.apply(d.now, d)
		}
		wall.tick(end)

		replay := newFleet(rt, t, 1)
		defer replay.close()
		today := begin + 1000*86400*second
		replay.use(b.recipe(), today)
		replay.all(AppendClock(nil, today, true, begin), today)
		deeds = interleave(rt, deeds)
		for len(deeds) > 0 {
			n := rapid.IntRange(1, len(deeds)).Draw(rt, "batch")
			replay.apply(today, deeds[:n]...)
			deeds = deeds[n:]
			if rapid.IntRange(0, 3).Draw(rt, "restore") == 0 {
				replay.restart(rt)
			}
		}
		if r := replay.shards[0].Apply(AppendClock(nil, today, false, 0)); r.Outcome != Refused {
			rt.Fatalf("the clock was changed while there are people: %s", r.Outcome)
		}
		replay.all(AppendClock(nil, today, true, end), end)
		replay.check()
		if wall.shards[0].Now() != end || replay.shards[0].Now() != end {
			rt.Fatalf("clocks at %d and %d, want %d", wall.shards[0].Now(), replay.shards[0].Now(), end)
		}
		sameSets(rt, replay.transitions(), wall.transitions(), b.recipe())
	}
}
