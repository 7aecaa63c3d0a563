package workload

import (
	"context"
	"errors"
	"os"
	"regexp"
	"strings"
	"testing"

	"dashi/bench/gobench"
	"dashi/bench/process"
	"dashi/bench/result"
	"dashi/pipeline/audience"
	"dashi/pipeline/identity"
	"dashi/pipeline/recipe"
	"dashi/ring"
)

func compileFile(t *testing.T, name string, change func([]byte) ([]byte, error)) *recipe.Program {
	t.Helper()
	text, err := os.ReadFile(name)
	if err == nil && change != nil {
		text, err = change(text)
	}
	if err != nil {
		t.Fatal(err)
	}
	p, diagnostics := recipe.Compile([]recipe.Source{{Name: name, Text: text}})
	if p == nil {
		t.Fatalf("%s: %v", name, diagnostics)
	}
	return p
}

// The loud cookbook is the other one but for what it emits.
func TestAmplify(t *testing.T) {
	usual, loud := compileFile(t, "../recipes/bench.yml", nil), compileFile(t, "../recipes/bench.yml", amplify)
	if len(usual.Attributes) != 10 || len(usual.Audiences) != 50 || len(loud.Attributes) != 10 || len(loud.Audiences) != 50 {
		t.Fatalf("%d and %d attributes, %d and %d audiences", len(usual.Attributes), len(loud.Attributes), len(usual.Audiences), len(loud.Audiences))
	}
	names, emitting := map[string]bool{}, 0
	for _, a := range usual.Audiences {
		names[a.Name] = true
		if a.Emit == audience.EmitBoth {
			emitting++
		}
	}
	if emitting != 5 {
		t.Errorf("%d audiences activate", emitting)
	}
	for _, a := range loud.Audiences {
		if a.Emit != audience.EmitBoth || !names[a.Name] {
			t.Errorf("%s emits %v", a.Name, a.Emit)
		}
	}
	if _, err := amplify([]byte("recipe: x\n")); err == nil {
		t.Error("a recipe without audiences was amplified")
	}
	if out, err := amplify([]byte("audiences: {a: {when: b, description: d}}\n")); err != nil || !strings.Contains(string(out), "description: d") || !strings.Contains(string(out), "emit: both") {
		t.Errorf("%v\n%s", err, out)
	}
}

func TestTwelve(t *testing.T) {
	p := compileFile(t, "../twelve/twelve.yml", nil)
	if len(p.Attributes) != 12 || len(p.Audiences) != 4 {
		t.Errorf("%d attributes, %d audiences", len(p.Attributes), len(p.Audiences))
	}
}

func TestAll(t *testing.T) {
	seen := map[string]bool{}
	for _, w := range All() {
		if !regexp.MustCompile(`^[a-z]+$`).MatchString(w.Name) || seen[w.Name] || w.About == "" || w.Limit <= 0 || w.run == nil {
			t.Errorf("%+v", w)
		}
		seen[w.Name] = true
	}
}

func TestRunNamesTheWorkload(t *testing.T) {
	var got result.Figure
	env := &Env{Report: func(f result.Figure) error { got = f; return nil }}
	w := Workload{Name: "w", Limit: 1 << 40, run: func(ctx context.Context, e *Env) error {
		if _, ok := ctx.Deadline(); !ok {
			t.Error("no limit")
		}
		return errors.Join(e.Report(result.Figure{Metric: "m"}), process.ErrMissing)
	}}
	if err := w.Run(context.Background(), env); !errors.Is(err, process.ErrMissing) || !strings.Contains(err.Error(), "measure w") {
		t.Errorf("%v", err)
	}
	if got.Workload != "w" || got.Metric != "m" {
		t.Errorf("%+v", got)
	}
}

func TestEach(t *testing.T) {
	var got []result.Figure
	e := &Env{Report: func(f result.Figure) error { got = append(got, f); return nil }}
	results := []gobench.Result{
		{Name: "BenchmarkDecode/shapes=1/decoder=dashi", Runs: map[string][]float64{"cpu-ns/op": {500, 700, 600}, "allocs/op": {0, 0, 0}, "bytes/event": {505, 505, 505}}},
		{Name: "BenchmarkDecode/shapes=4/decoder=dashi", Runs: map[string][]float64{"cpu-ns/op": {900}, "allocs/op": {2}}},
	}
	if err := e.each(results, "cpu-ns/op", fromNanos, "us CPU", result.AtMost(0.8)); err != nil {
		t.Fatal(err)
	}
	if len(got) != 3 || got[0].Metric != "shapes=1" || got[0].Value != 0.6 || got[0].Settings["bytes/event"] != 505.0 ||
		got[1].Value != 0.9 || got[2].Metric != "allocations, shapes=4" || got[2].Value != 2 || got[2].Target.Met(2) {
		t.Errorf("%+v", got)
	}
	if err := e.each(results, "furlongs", same, "", nil); err == nil {
		t.Error("a unit that is not reported has a figure")
	}
}

func TestMustCount(t *testing.T) {
	f := func(applied, repeated uint64, sent int64, ok bool) {
		t.Helper()
		var st process.Status
		st.Events.Applied, st.Events.Repeated = applied, repeated
		if err := mustCount(&st, sent); (err == nil) != ok {
			t.Errorf("%d applied, %d repeated of %d: %v", applied, repeated, sent, err)
		}
	}
	f(5, 0, 5, true)
	f(4, 0, 5, false)
	f(4, 1, 5, false)
	f(6, 0, 5, false)
}

// Replicas are compared where they are at the same index, and nowhere else.
func TestCompareHashes(t *testing.T) {
	type replica struct {
		index uint64
		hash  string
		holds bool
	}
	f := func(compared, ok bool, replicas ...replica) {
		t.Helper()
		var nodes []*process.Dashi
		var all []*process.Status
		for i, r := range replicas {
			d, st := &process.Dashi{ID: string(rune('a' + i))}, &process.Status{}
			s := process.ShardStatus{Index: r.index, Hash: r.hash}
			s.Replicas = append(s.Replicas, process.ReplicaStatus{Node: "somebody"})
			if r.holds {
				s.Replicas = append(s.Replicas, process.ReplicaStatus{Node: d.ID})
			}
			st.Shards = append(st.Shards, s)
			nodes, all = append(nodes, d), append(all, st)
		}
		got := map[int]bool{}
		if err := compareHashes(nodes, all, got); (err == nil) != ok || got[0] != compared {
			t.Errorf("%v: %v, %v", replicas, got, err)
		}
	}
	f(true, true, replica{5, "x", true}, replica{5, "x", true}, replica{5, "x", true})
	f(false, false, replica{5, "x", true}, replica{5, "x", true}, replica{5, "y", true})
	f(false, false, replica{5, "", true}, replica{5, "", true})
	f(false, true, replica{5, "x", true}, replica{6, "y", true})
	f(true, true, replica{5, "x", true}, replica{6, "y", false}, replica{5, "x", true})
	f(false, true, replica{5, "x", false})
}

func TestHomesAreOneForEachShard(t *testing.T) {
	ids := homes("nobody")
	if len(ids) != clusterShards {
		t.Errorf("%d of %d", len(ids), clusterShards)
	}
	for shard, id := range ids {
		value, is := strings.CutPrefix(id, "user_id:")
		if at := ring.Shard(identity.Hash("user_id", []byte(value)), clusterShards); !is || at != shard {
			t.Errorf("%s is at home in shard %d, not %d", id, at, shard)
		}
	}
}

func TestAskedByTurns(t *testing.T) {
	var a asked
	one, two := &process.Dashi{}, &process.Dashi{}
	a.are(one, two)
	if a.pick(0) != one || a.pick(1) != two || a.pick(2) != one {
		t.Error("not by turns")
	}
	if a.are(two); a.pick(0) != two {
		t.Error("not the new ones")
	}
}
