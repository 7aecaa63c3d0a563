package node

import (
	"fmt"
	"testing"
	"time"

	"dashi/pipeline/recipe"
)

// Three nodes measure people of three shards by one threshold, found out as of each full hour; a node that was away learns it.
func TestLevels(t *testing.T) {
	const people = 40
	c := newCluster(t, 3)
	c.options = func(i int) Options {
		o := clusterOptions(t, i)
		o.Recipes = []recipe.Source{{Name: "top.yml", Text: []byte("recipe: top\nattributes: {visits: {kind: count, on: Visit}}\naudiences: {best: 'top(visits, 10)'}\n")}}
		return o
	}
	for i := range c.settings {
		c.settings[i].Clock = "event"
	}
	c.openAll()
	round := 0
	come := func(n int) { // the first n once more
		t.Helper()
		round++
		visit(t, c.nodes[round%2], fmt.Sprint(round), n, "")
		c.idle()
	}
	hour := time.Date(2026, 3, 1, 10, 0, 0, 0, time.UTC)
	strike := func(want int64) {
		t.Helper()
		hour = hour.Add(time.Hour)
		if _, err := c.nodes[0].SetClock(true, hour.UnixMilli()); err != nil {
			t.Fatal(err)
		}
		for i, n := range c.nodes {
			if n != nil {
				until(t, fmt.Sprintf("%d people are the best of node %d", want, i+1), func() bool { return sizeOf(n, 0) == want })
			}
		}
		c.same()
	}
	come(people)
	come(8)
	come(4)
	strike(4)
	come(6) // two more have three visits as well: who has what the threshold asks for comes in at once
	until(t, "two more are in", func() bool { return sizeOf(c.nodes[0], 0) == 6 })
	strike(4)
	c.close(2)
	come(5)
	strike(4)
	come(3)
	strike(4) // three have six visits, the fourth five
	c.openAll()
	c.idle()
	c.same()
	for _, h := range c.nodes[2].shards {
		h.mu.RLock()
		levels, as, _ := h.shard.Levels(0)
		h.mu.RUnlock()
		if levels[0] != 5 || as != hour.UnixMilli() {
			t.Errorf("shard %d: %v as of %d", h.id, levels, as)
		}
	}
}
