package consent

import (
	"encoding/binary"
	"math"
	"testing"

	"pgregory.net/rapid"
)

type statement struct {
	granted bool
	at      int64
}

// oracle looks at all statements: the latest instant decides, and there a withdrawal.
func oracle(all []statement) (known, granted bool, at int64) {
	for _, s := range all {
		if s.at > at {
			known, granted, at = true, s.granted, s.at
		} else if s.at == at {
			granted = granted && s.granted
		}
	}
	return known, granted, at
}

func statements() *rapid.Generator[[]statement] {
	return rapid.SliceOfN(rapid.Custom(func(t *rapid.T) statement {
		return statement{rapid.Bool().Draw(t, "granted"), rapid.OneOf(rapid.Int64Range(1, 4), rapid.Int64Range(1, 1<<50)).Draw(t, "at")}
	}), 0, 12)
}

func TestTheLatestStatementCounts(t *testing.T) {
	f := func(all []statement, known, granted bool) {
		t.Helper()
		var w uint64
		for _, s := range all {
			w = Update(w, s.granted, s.at)
		}
		if Known(w) != known || Granted(w) != granted {
			t.Errorf("%v: known %v granted %v, want %v %v", all, Known(w), Granted(w), known, granted)
		}
	}
	f(nil, false, false)
	f([]statement{{true, 5}}, true, true)
	f([]statement{{false, 5}}, true, false)
	f([]statement{{true, 5}, {false, 6}}, true, false)
	f([]statement{{false, 6}, {true, 5}}, true, false) // late grant
	f([]statement{{true, 5}, {false, 5}}, true, false) // I3
	f([]statement{{false, 5}, {true, 5}}, true, false)
	f([]statement{{false, 5}, {true, 6}}, true, true)
	f([]statement{{false, 0}}, true, false)
	f([]statement{{true, -9}}, true, true)
	f([]statement{{true, math.MaxInt64}}, true, true)
}

// The layout is read by others: expr.Env and shard.View.
func TestLayout(t *testing.T) {
	if w := Update(0, true, 1_700_000_000_000); w != 1_700_000_000_000<<1|1 || Time(w) != 1_700_000_000_000 {
		t.Errorf("granted: %#x", w)
	}
	if w := Update(0, false, 1_700_000_000_000); w != 1_700_000_000_000<<1 {
		t.Errorf("withdrawn: %#x", w)
	}
}

// I1, for all words, also those that Update never makes.
func TestMergeIsAJoin(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		word := rapid.OneOf(rapid.Uint64(), rapid.Uint64Range(0, 7))
		a, b, c := word.Draw(t, "a"), word.Draw(t, "b"), word.Draw(t, "c")
		if Merge(a, b) != Merge(b, a) || Merge(a, Merge(b, c)) != Merge(Merge(a, b), c) || Merge(a, a) != a {
			t.Fatal("not a join")
		}
		if a != 1 && Merge(a, 0) != a {
			t.Fatalf("merging 0 changed %#x", a)
		}
	})
}

// I2 and I3 against the oracle: any order, any split into three words.
func TestOrderDoesNotMatter(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		all := statements().Draw(t, "statements")
		var parts [3]uint64
		for _, i := range rapid.Permutation(indices(len(all))).Draw(t, "order") {
			p := rapid.IntRange(0, 2).Draw(t, "part")
			parts[p] = Update(parts[p], all[i].granted, all[i].at)
		}
		w := Merge(parts[2], Merge(parts[0], parts[1]))
		known, granted, at := oracle(all)
		if Known(w) != known || Granted(w) != granted || Time(w) != at {
			t.Fatalf("got %v %v %d, want %v %v %d", Known(w), Granted(w), Time(w), known, granted, at)
		}
	})
}

func indices(n int) []int {
	out := make([]int, n)
	for i := range out {
		out[i] = i
	}
	return out
}

func TestAllows(t *testing.T) {
	words := make([]byte, 24)
	binary.LittleEndian.PutUint64(words[0:], Update(0, true, 10))
	binary.LittleEndian.PutUint64(words[8:], Update(0, false, 10)) // 16: unknown
	f := func(want bool, requires ...int) {
		t.Helper()
		if got := Allows(words, requires); got != want {
			t.Errorf("%v: %v", requires, got)
		}
	}
	f(true)
	f(true, 0)
	f(false, 1)
	f(false, 2) // I4
	f(false, 0, 1)
	f(true, 0, 0)
	f(false, 3)
	f(false, -1)
	if n := testing.AllocsPerRun(100, func() { Allows(words, []int{0, 1}) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
