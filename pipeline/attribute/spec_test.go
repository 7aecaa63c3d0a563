package attribute

import (
	"slices"
	"strings"
	"testing"
)

func TestNewRefuses(t *testing.T) {
	f := func(spec Spec, want string) {
		t.Helper()
		_, err := New(spec)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v, want %q", spec, err, want)
		}
	}
	f(Spec{Kind: "talley"}, `cannot make attribute of kind "talley": there is no such kind; use one of avg, bucket, count,`)
	f(Spec{Kind: "bucket"}, "it has no state; use NewBucket")
	f(Spec{Kind: "sum", Of: String}, "it takes numbers, not a string; give it another value or use another kind")
	f(Spec{Kind: "min", Of: Bool}, "it takes numbers or times, not a bool")
	f(Spec{Kind: "first"}, "the type of its value is not known; say number, string, time or bool")
	f(Spec{Kind: "last", Of: Set}, "not a set")
	f(Spec{Kind: "set", Of: Number}, "it takes strings, not a number")
	f(Spec{Kind: "distinct", Of: Tally}, "not a tally")
	f(Spec{Kind: "count", Limit: 3}, "it has no limit; remove the option, or use set, tally or list")
	f(Spec{Kind: "set", Limit: -1}, "limit is -1; it must be 1 to 10000")
	f(Spec{Kind: "set", Limit: 10_001}, "limit is 10001; it must be 1 to 10000")
	f(Spec{Kind: "list", Limit: 1001}, "limit is 1001; it must be 1 to 1000")
	f(Spec{Kind: "set", Top: 3}, "it has no top")
	f(Spec{Kind: "tally", Top: -3}, "top is -3; it must be 1 or more")
	f(Spec{Kind: "set", Unique: true}, "it has no unique")
	f(Spec{Kind: "sum", Precision: 12}, "it has no precision")
	f(Spec{Kind: "place"}, "must say which")
	f(Spec{Kind: "sum", Places: &PlaceSpec{}}, "only place and place_start")
	f(Spec{Kind: "place", Places: &PlaceSpec{Timeout: 5}}, "a timeout is 1m to 30d")
	f(Spec{Kind: "distinct", Precision: 15}, "precision is 15; it must be 8 to 14")
	f(Spec{Kind: "sum", Salt: "x"}, "it has no salt and no weights")
}

func TestKinds(t *testing.T) {
	if !slices.IsSorted(Kinds()) {
		t.Error("not sorted")
	}
	for _, name := range Kinds() {
		if name == "bucket" {
			continue
		}
		spec := Spec{Kind: name}
		if name == "first" || name == "last" {
			spec.Of = String
		}
		if slices.Contains(ofSessions, name) {
			spec.Session = &SessionSpec{}
		}
		if name == "session_count" {
			spec.Window = "30d"
		}
		if name == "sequence" {
			spec.Sequence = &SequenceSpec{Steps: []StepSpec{{}, {}}}
		}
		if slices.Contains(ofPlaces, name) {
			spec.Places = &PlaceSpec{}
		}
		k := mustNew(t, spec)
		if k.Name() != name || k.FixedSize()%8 != 0 {
			t.Errorf("%s: name %s, fixed size %d", name, k.Name(), k.FixedSize())
		}
	}
}

func TestBucket(t *testing.T) {
	b, err := NewBucket(Spec{Salt: "checkout", Weights: []Weight{{"control", 3}, {"none", 0}, {"new", 1}}})
	if err != nil {
		t.Fatal(err)
	}
	other, err := NewBucket(Spec{Salt: "banner"})
	if err != nil {
		t.Fatal(err)
	}
	const people = 40_000
	count := map[string]int{}
	both := map[string]int{}
	for i := range uint64(people) {
		hash := i << 40 // hashes that are anything but random
		count[b.Of(hash)]++
		both[b.Of(hash)+other.Of(hash)]++
		if first, again := b.Of(hash), b.Of(hash); first != again {
			t.Fatal("not stable")
		}
	}
	near := func(what string, got int, want float64) {
		t.Helper()
		if d := float64(got) - want; d < -500 || d > 500 { // five standard deviations
			t.Errorf("%s: %d, want about %v", what, got, want)
		}
	}
	near("control", count["control"], people*3/4)
	near("new", count["new"], people/4)
	near("control and a", both["controla"], people*3/8) // another salt is independent
	if count["none"] != 0 {
		t.Error("somebody is in a bucket of weight 0")
	}
	if b.Of(1) != "new" || b.Of(0xdeadbeef) != "control" || b.Of(4) != "new" || other.Of(1) != "b" || other.Of(2) != "b" {
		t.Errorf("people changed their buckets: %s %s %s %s %s", b.Of(1), b.Of(0xdeadbeef), b.Of(4), other.Of(1), other.Of(2))
	}
	if n := testing.AllocsPerRun(100, func() { b.Of(7) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestNewBucketRefuses(t *testing.T) {
	f := func(spec Spec, want string) {
		t.Helper()
		_, err := NewBucket(spec)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v, want %q", spec, err, want)
		}
	}
	f(Spec{}, "it has no salt")
	f(Spec{Salt: "s", Weights: []Weight{{"a", 1}, {"a", 1}}}, `the name "a" is empty or stands twice`)
	f(Spec{Salt: "s", Weights: []Weight{{"a", -1}}}, "its weight is -1; it must be 0 to 1e9")
	f(Spec{Salt: "s", Weights: []Weight{{"a", 0}}}, "a weight above 0")
}
