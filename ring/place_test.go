package ring

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func named(n int, zones ...string) []Member {
	members := make([]Member, n)
	for i := range members {
		members[i] = Member{ID: fmt.Sprintf("n%d", i+1), Weight: 1}
		if len(zones) > 0 {
			members[i].Zone = zones[i%len(zones)]
		}
	}
	return members
}

func (t Table) String() string {
	var b strings.Builder
	for s, ids := range t {
		fmt.Fprintf(&b, "%d %s\n", s, strings.Join(ids, " "))
	}
	return b.String()
}

// I6: testdata/placement.txt never changes: clusters have been placed by it.
func TestPlaceGolden(t *testing.T) {
	var b strings.Builder
	show := func(title string, table Table) { fmt.Fprintf(&b, "# %s\n%s", title, table) }
	show("8 shards, 1 node", Place(nil, 8, 3, named(1)))
	three := Place(nil, 8, 3, named(3))
	show("8 shards, 3 replicas, 3 nodes", three)
	show("and a fourth joins", Place(three, 8, 3, named(4)))
	show("16 shards, 2 replicas, 5 nodes", Place(nil, 16, 2, named(5)))
	zoned := Place(nil, 16, 3, named(6, "a", "b", "c"))
	show("16 shards, 3 replicas, 6 nodes in 3 zones", zoned)
	show("and one dies", Place(zoned, 16, 3, named(5, "a", "b", "c")))
	heavy := named(3)
	heavy[1].Weight = 3
	show("16 shards, 1 replica, 3 nodes of weights 1 3 1", Place(nil, 16, 1, heavy))
	want, err := os.ReadFile("testdata/placement.txt")
	if err != nil {
		t.Fatal(err)
	}
	if b.String() != string(want) {
		t.Errorf("placement has changed:\n%s", b.String())
	}
}

// cluster draws members, and a table that other members made: what a cluster meets.
func cluster(t *rapid.T, most int) (shards, replicas int, old Table, members []Member) {
	shards = rapid.IntRange(1, most).Draw(t, "shards")
	replicas = rapid.IntRange(1, 5).Draw(t, "replicas")
	draw := func(label string) []Member {
		ids := rapid.SliceOfNDistinct(rapid.IntRange(1, 9), 1, 7, rapid.ID[int]).Draw(t, label)
		all := make([]Member, len(ids))
		for i, id := range ids {
			all[i] = Member{
				ID:     fmt.Sprintf("n%d", id),
				Zone:   rapid.SampledFrom([]string{"", "a", "b", "c"}).Draw(t, "zone"),
				Weight: rapid.SampledFrom([]int{1, 1, 1, 2, 5}).Draw(t, "weight"),
			}
		}
		return all
	}
	if rapid.Bool().Draw(t, "fresh") {
		return shards, replicas, nil, draw("members")
	}
	old = Place(nil, shards, rapid.IntRange(1, 4).Draw(t, "old replicas"), draw("old members"))
	return shards, replicas, old, draw("members")
}

func TestPlaceKeepsItsInvariants(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		shards, replicas, old, members := cluster(t, 40)
		table := Place(old, shards, replicas, members)
		checkTable(t, table, shards, replicas, members)
		again := Place(table, shards, replicas, members)
		if again.String() != table.String() {
			t.Fatalf("placing again moves:\n%s\nbecomes\n%s", table, again)
		}
		slices.Reverse(members)
		if other := Place(old, shards, replicas, members); other.String() != table.String() {
			t.Fatalf("the order of the members matters:\n%s\nor\n%s", table, other)
		}
	})
}

// checkTable is I2, I3 and I5.
func checkTable(t *rapid.T, table Table, shards, replicas int, members []Member) {
	byID := map[string]Member{}
	zoneSize := map[string]int{}
	for _, m := range members {
		byID[m.ID] = m
		zoneSize[m.Zone]++
	}
	r := min(replicas, len(members))
	load, lead := map[string]int{}, map[string]int{}
	for s, ids := range table {
		seen, inZone := map[string]bool{}, map[string]int{}
		for _, id := range ids {
			if _, ok := byID[id]; !ok || seen[id] {
				t.Fatalf("shard %d: %v: %q is no member or twice there", s, ids, id)
			}
			seen[id] = true
			inZone[byID[id].Zone]++
			load[id]++
		}
		if len(ids) != r {
			t.Fatalf("shard %d has %d replicas, want %d", s, len(ids), r)
		}
		for zone, n := range inZone { // no zone holds two more than another that has room
			for other, size := range zoneSize {
				if n > inZone[other]+1 && inZone[other] < size && len(zoneSize) >= r {
					t.Fatalf("shard %d: %d replicas in zone %q, %d in %q", s, n, zone, inZone[other], other)
				}
			}
			if len(zoneSize) >= r && n > 1 {
				t.Fatalf("shard %d: %d replicas in zone %q of %d", s, n, zone, len(zoneSize))
			}
		}
		lead[ids[0]]++
	}
	for id, n := range load {
		if low, high := n/r, (n+r-1)/r; lead[id] < low || lead[id] > high {
			t.Fatalf("%s holds %d of %d shards and leads %d, want %d to %d\n%s", id, n, shards, lead[id], low, high, table)
		}
	}
	if len(zoneSize) > 1 {
		return
	}
	for _, a := range members { // one zone: nobody has more for its weight than another would have with one more
		for _, b := range members {
			if load[a.ID]*b.Weight > (load[b.ID]+1)*a.Weight && load[b.ID] < shards {
				t.Fatalf("%s of weight %d holds %d, %s of weight %d holds %d", a.ID, a.Weight, load[a.ID], b.ID, b.Weight, load[b.ID])
			}
		}
	}
}

// I4 against all tables there are.
func TestPlaceMovesTheMinimum(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		shards, replicas, old, members := cluster(t, 4)
		if len(members) > 4 {
			members = members[:4]
		}
		slices.SortFunc(members, byID)
		table := Place(old, shards, replicas, members)
		quota := make([]int, len(members))
		for _, ids := range table {
			for i, m := range members {
				if slices.Contains(ids, m.ID) {
					quota[i]++
				}
			}
		}
		r := min(replicas, len(members))
		z := zoned(members, r)
		best := mostKept(old, members, z, r, shards, 0, quota)
		if kept := common(old, table); len(old) > 0 && kept != best {
			t.Fatalf("%d replicas stay, %d could:\n%s\nbecomes\n%s", kept, best, old, table)
		}
	})
}

func common(a, b Table) (n int) {
	for s := range min(len(a), len(b)) {
		for _, id := range a[s] {
			if slices.Contains(b[s], id) {
				n++
			}
		}
	}
	return n
}

// mostKept tries every choice of members for shard s and those after it, within what is left of the quotas.
func mostKept(old Table, members []Member, z zones, r, shards, s int, quota []int) int {
	if s == shards {
		return 0
	}
	best := -1
	for set := range 1 << len(members) {
		n, kept, fits := 0, 0, true
		inZone := make([]int, len(z.size))
		left := slices.Clone(quota)
		for i := range members {
			if set>>i&1 == 0 {
				continue
			}
			n++
			left[i]--
			inZone[z.of[i]]++
			fits = fits && left[i] >= 0 && inZone[z.of[i]] <= z.cap
			if s < len(old) && slices.Contains(old[s], members[i].ID) {
				kept++
			}
		}
		if n != r || !fits {
			continue
		}
		if rest := mostKept(old, members, z, r, shards, s+1, left); rest >= 0 {
			best = max(best, kept+rest)
		}
	}
	return best
}

// moves counts the replicas of a table that the one before does not have.
func moves(from, to Table) (count int) {
	for s := range to {
		for _, id := range to[s] {
			if !slices.Contains(from[s], id) {
				count++
			}
		}
	}
	return count
}

// One more node among equals takes its share and nothing else moves; one less gives its share away and nothing else moves.
func TestJoinAndLeaveMoveOneShare(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		shards := rapid.IntRange(1, 128).Draw(t, "shards")
		replicas := rapid.IntRange(1, 3).Draw(t, "replicas")
		n := rapid.IntRange(replicas, 9).Draw(t, "members")
		few, more := Place(nil, shards, replicas, named(n)), Table(nil)
		more = Place(few, shards, replicas, named(n+1))
		share := shards * replicas / (n + 1)
		if moved := moves(few, more); moved < share || moved > share+1 {
			t.Fatalf("%d replicas move to a new node, its share is %d of %d", moved, share, shards*replicas)
		}
		held := 0
		for _, ids := range more {
			if slices.Contains(ids, fmt.Sprintf("n%d", n+1)) {
				held++
			}
		}
		if moved := moves(more, Place(more, shards, replicas, named(n))); moved != held {
			t.Fatalf("%d replicas move when a node leaves that held %d", moved, held)
		}
	})
}

// Rendezvous: a fresh table is that of the hashes alone, but for what balance forbids.
func TestFreshTableFollowsTheHashes(t *testing.T) {
	const shards, replicas = 256, 3
	members := named(8)
	table := Place(nil, shards, replicas, members)
	rank := ranking(shards, members)
	hit := 0
	for s, ids := range table {
		for _, m := range rank[s][:replicas] {
			if slices.Contains(ids, members[m].ID) {
				hit++
			}
		}
	}
	if hit < shards*replicas*9/10 {
		t.Errorf("%d of %d replicas are where the hashes say", hit, shards*replicas)
	}
}

func TestPlaceOfNobody(t *testing.T) {
	if table := Place(nil, 3, 3, nil); len(table) != 3 || len(table[0]) != 0 {
		t.Errorf("a table of nobody: %v", table)
	}
}

func BenchmarkPlace(b *testing.B) {
	for _, c := range []struct{ shards, members int }{{64, 5}, {256, 20}, {1024, 40}} {
		b.Run(fmt.Sprintf("shards=%d/members=%d", c.shards, c.members), func(b *testing.B) {
			old := Place(nil, c.shards, 3, named(c.members))
			for b.Loop() {
				Place(old, c.shards, 3, named(c.members+1))
			}
		})
	}
}
