package shard

import (
	"testing"

	"dashi/pipeline/expr"
)

// Counting from bitmaps gives what reading every profile gives.
func TestCountAgainstScan(t *testing.T) {
	sources := readRecipe(t, shopRecipe)
	p := compile(t, sources)
	f := newFeeder(t, p, traffic(8000, 400, 21))
	s := newShard(t, testSettings(), sources)
	mustAccept(t, s.Apply(f.batch(-1, 7999, 1)))
	for _, where := range []string{
		"vip", "!vip", "vip && cart_abandoners", "vip || !cart_abandoners", "new_purchasers && !vip && !cart_abandoners", "true", "false",
		"(vip ? cart_abandoners : omnichannel) && (shoe_lovers || window_shoppers || undecided || repeat_purchasers)",
	} {
		x, err := p.Condition(where)
		if err != nil {
			t.Fatalf("%s: %s", where, err.Message)
		}
		want := 0
		var v View
		for from, more := uint32(0), true; more; {
			from, more = s.Scan(x.Bool, from, 100, &v, func(v *View) bool {
				if x.Bool(&v.Env) != expr.True {
					t.Fatalf("%s: a profile for which it is not true", where)
				}
				want++
				return true
			})
		}
		if got := s.Count(x.Bool, x.Audiences); got != want {
			t.Errorf("%s: %d from bitmaps, %d from profiles", where, got, want)
		}
	}
}

// Paging through the members of an audience gives each once.
func TestMembersInPages(t *testing.T) {
	sources := readRecipe(t, shopRecipe)
	f := newFeeder(t, compile(t, sources), traffic(5000, 300, 22))
	s := newShard(t, testSettings(), sources)
	mustAccept(t, s.Apply(f.batch(-1, 4999, 1)))
	var v View
	for i := range s.Program().Audiences {
		seen := map[string]bool{}
		for from, more := uint32(0), true; more; {
			left := 7
			from, more = s.Members(i, from, &v, func(v *View) bool {
				id := string(v.AppendID(nil))
				if seen[id] || !v.In(i) {
					t.Fatalf("%s twice, or not in %s", id, s.Program().Audiences[i].Name)
				}
				seen[id] = true
				left--
				return left > 0
			})
		}
		if len(seen) != s.AudienceSize(i) {
			t.Errorf("%s: %d members in pages, size %d", s.Program().Audiences[i].Name, len(seen), s.AudienceSize(i))
		}
	}
}

// Apply allocates its result and nothing else once everything has its size.
func TestApplyAllocations(t *testing.T) {
	sources := readRecipe(t, benchRecipe)
	s := newShard(t, testSettings(), sources)
	f := newFeeder(t, compile(t, sources), orders(4096, 200, 4))
	f.noIDs = true
	var batches [][]byte
	for o := int64(-1); o < 4095; o += 256 {
		batches = append(batches, f.batch(o, o+256, 1))
	}
	ack := AppendAck(nil, 1, ^uint64(0))
	stream := byte(0)
	run := func() {
		stream++
		for _, b := range batches {
			b[entryHead+8+16] = stream
			if r := s.Apply(b); r.Outcome != Accepted {
				t.Fatal(r.Outcome)
			}
			s.Apply(ack)
		}
	}
	for range 20 {
		run()
	}
	events := 4096.0
	if n := testing.AllocsPerRun(20, run) / events; n > 0.05 {
		t.Errorf("%.3f allocations an event", n)
	}
}
