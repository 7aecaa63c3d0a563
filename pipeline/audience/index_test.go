package audience

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"dashi/pipeline/expr"

	"pgregory.net/rapid"
)

// world is a profile whose attributes are plain variables: the conditions of a test read them.
type world struct {
	number  []float64
	present []bool
	other   []int // attributes that are not numbers
	sets    []map[string]bool
	granted []bool
}

// compare makes the condition "number a OP c"; absent when there is no number.
func (w *world) compare(a int, op string, c float64) expr.Bool {
	return func(*expr.Env) expr.Truth {
		if !w.present[a] {
			return expr.Absent
		}
		v := w.number[a]
		return truth(op == "<" && v < c || op == "<=" && v <= c || op == "==" && v == c || op == "!=" && v != c || op == ">" && v > c || op == ">=" && v >= c)
	}
}

func truth(b bool) expr.Truth {
	if b {
		return expr.True
	}
	return expr.False
}

const (
	numbers  = 4
	others   = 2
	sets     = 2
	purposes = 2
)

var elements = []string{"", "a", "b", "c", "d"}

// draw makes a random definition that may read numbers, other attributes, purposes and audiences before it.
func (w *world) draw(t *rapid.T, i int) Definition {
	d := Definition{Name: fmt.Sprint("audience", i)}
	var parts []expr.Bool
	for range rapid.IntRange(1, 3).Draw(t, "parts") {
		switch rapid.IntRange(0, 5).Draw(t, "kind") {
		case 0, 1:
			a := rapid.IntRange(0, numbers-1).Draw(t, "attribute")
			c := float64(rapid.IntRange(-3, 3).Draw(t, "constant"))
			op := rapid.SampledFrom([]string{"<", "<=", "==", "!=", ">", ">="}).Draw(t, "op")
			d.Atoms = append(d.Atoms, Atom{a, c})
			parts = append(parts, w.compare(a, op, c))
		case 2:
			o := rapid.IntRange(0, others-1).Draw(t, "other")
			v := rapid.IntRange(0, 2).Draw(t, "value")
			d.Reads = append(d.Reads, numbers+o)
			parts = append(parts, func(*expr.Env) expr.Truth { return truth(w.other[o] == v) })
		case 5:
			s := rapid.IntRange(0, sets-1).Draw(t, "set")
			k := rapid.SampledFrom(elements).Draw(t, "key")
			if rapid.IntRange(0, 3).Draw(t, "whole") == 0 {
				d.Reads = append(d.Reads, numbers+others+s)
				parts = append(parts, func(*expr.Env) expr.Truth { return truth(len(w.sets[s]) > 1) })
				break
			}
			d.Keys = append(d.Keys, Key{numbers + others + s, k})
			parts = append(parts, func(*expr.Env) expr.Truth { return truth(w.sets[s][k]) })
		case 3:
			p := rapid.IntRange(0, purposes-1).Draw(t, "purpose")
			d.Purposes = append(d.Purposes, p)
			parts = append(parts, func(*expr.Env) expr.Truth { return truth(w.granted[p]) })
		case 4:
			if i == 0 {
				parts = append(parts, func(*expr.Env) expr.Truth { return expr.True })
				continue
			}
			o := rapid.IntRange(0, i-1).Draw(t, "nested")
			not := rapid.Bool().Draw(t, "not")
			d.Nested = append(d.Nested, o)
			parts = append(parts, func(e *expr.Env) expr.Truth { return truth(Bits(e.Audiences).Has(o) != not) })
		}
	}
	d.Condition = func(e *expr.Env) expr.Truth {
		for _, p := range parts {
			if p(e) != expr.True {
				return expr.False
			}
		}
		return expr.True
	}
	return d
}

// I1, I2: evaluating what may have flipped gives what evaluating everything gives.
func TestFlipsAgainstFullEvaluation(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 90).Draw(t, "audiences")
		w := &world{number: make([]float64, numbers), present: make([]bool, numbers), other: make([]int, others), sets: []map[string]bool{{}, {}}, granted: make([]bool, purposes)}
		var defs []Definition
		for i := range n {
			defs = append(defs, w.draw(t, i))
		}
		x := NewIndex(defs, numbers+others+sets, purposes)
		env := &expr.Env{Audiences: NewBits(n)}
		full := &expr.Env{Audiences: NewBits(n)}
		dirty := NewBits(n)
		x.Fresh(dirty) // nothing is known yet: all is zero
		for range rapid.IntRange(0, 2).Draw(t, "first changes") {
			w.change(t, x, dirty)
		}
		var flipped []int
		for range rapid.IntRange(1, 20).Draw(t, "events") {
			flipped, _ = x.Evaluate(env, dirty, flipped)
			before := slices.Clone(full.Audiences)
			for i, d := range defs {
				if d.Condition(full) == expr.True {
					Bits(full.Audiences).Set(i)
				} else {
					Bits(full.Audiences).Clear(i)
				}
			}
			if !slices.Equal(env.Audiences, full.Audiences) {
				t.Fatalf("members %b, evaluating everything gives %b", env.Audiences, full.Audiences)
			}
			var want []int
			for i := range n {
				if Bits(before).Has(i) != Bits(full.Audiences).Has(i) {
					want = append(want, i)
				}
			}
			if !slices.Equal(flipped, want) && len(flipped)+len(want) > 0 {
				t.Fatalf("flipped %v, want %v", flipped, want)
			}
			if Bits(dirty).Count() != 0 {
				t.Fatal("dirty is not empty after Evaluate")
			}
			for range rapid.IntRange(0, 3).Draw(t, "changes") {
				w.change(t, x, dirty)
			}
		}
	})
}

// change changes one thing and tells the index.
func (w *world) change(t *rapid.T, x *Index, dirty Bits) {
	switch rapid.IntRange(0, 3).Draw(t, "change") {
	case 0:
		a := rapid.IntRange(0, numbers-1).Draw(t, "attribute")
		before, had := w.number[a], w.present[a]
		w.number[a] = float64(rapid.IntRange(-8, 8).Draw(t, "half")) / 2
		w.present[a] = rapid.IntRange(0, 5).Draw(t, "present") > 0
		x.Changed(a, before, had, w.number[a], w.present[a], dirty)
	case 1:
		o := rapid.IntRange(0, others-1).Draw(t, "other")
		w.other[o] = rapid.IntRange(0, 2).Draw(t, "value")
		x.Touched(numbers+o, dirty)
	case 3:
		s := rapid.IntRange(0, sets-1).Draw(t, "set")
		k := rapid.SampledFrom(elements).Draw(t, "key")
		if w.sets[s][k] {
			delete(w.sets[s], k)
		} else {
			w.sets[s][k] = true
		}
		x.TouchedKey(numbers+others+s, []byte(k), dirty)
	case 2:
		p := rapid.IntRange(0, purposes-1).Draw(t, "purpose")
		w.granted[p] = !w.granted[p]
		x.Consented(p, dirty)
	}
}

// A condition on time that holds for nobody of whom nothing is known need not be evaluated for somebody new; one that holds at some
// time, however far, must be.
func TestFreshAndTime(t *testing.T) {
	from := func(year int) Definition {
		at := time.Date(year, 5, 6, 7, 8, 9, 0, time.UTC).UnixMilli()
		return Definition{
			Condition: func(e *expr.Env) expr.Truth { return truth(e.Now >= at) },
			Next: func(e *expr.Env) int64 {
				if wait := at - e.Now; wait > 0 && wait < 100*365*86400_000 {
					return at
				}
				return expr.Never
			},
		}
	}
	never := Definition{
		Condition: func(*expr.Env) expr.Truth { return expr.Absent },
		Next:      func(*expr.Env) int64 { return expr.Never },
	}
	level := never // of whom nothing is known may be among the highest
	level.Levels = []int{0}
	nested := never
	nested.Nested = []int{2}
	x := NewIndex([]Definition{never, never, from(2082), nested, from(1), from(9998), from(10100), level}, 0, 0)
	dirty := NewBits(8)
	x.Fresh(dirty)
	if want := uint64(0b10111100); dirty[0] != want {
		t.Errorf("fresh are %b, want %b", dirty[0], want)
	}
}

func thresholds(n int) (*Index, *expr.Env, *world) {
	w := &world{number: make([]float64, 1), present: []bool{true}}
	var defs []Definition
	for i := range n {
		defs = append(defs, Definition{Name: fmt.Sprint(i), Condition: w.compare(0, ">", float64(10*i)), Atoms: []Atom{{0, float64(10 * i)}}})
	}
	return NewIndex(defs, 1, 0), &expr.Env{Audiences: NewBits(n)}, w
}

func TestEvaluateDoesNotAllocate(t *testing.T) {
	x, env, w := thresholds(200)
	dirty, flipped := NewBits(200), make([]int, 0, 200)
	if n := testing.AllocsPerRun(100, func() {
		before := w.number[0]
		w.number[0] = 1500 - before
		x.Changed(0, before, true, w.number[0], true, dirty)
		flipped, _ = x.Evaluate(env, dirty, flipped)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// BenchmarkStep is a number that grows by one and crosses a constant every ten steps.
func BenchmarkStep(b *testing.B) {
	for _, n := range []int{50, 1000} {
		b.Run(fmt.Sprintf("audiences=%d", n), func(b *testing.B) {
			x, env, w := thresholds(n)
			dirty, flipped := NewBits(n), make([]int, 0, n)
			b.ReportAllocs()
			for b.Loop() {
				before := w.number[0]
				if w.number[0]++; w.number[0] > float64(10*n) {
					w.number[0] = 0
				}
				x.Changed(0, before, true, w.number[0], true, dirty)
				flipped, _ = x.Evaluate(env, dirty, flipped)
			}
		})
	}
}
