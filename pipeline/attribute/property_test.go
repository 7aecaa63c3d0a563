package attribute

import (
	"bytes"
	"encoding/json"
	"math"
	"strings"
	"testing"

	"dashi/pipeline/event"

	"pgregory.net/rapid"
)

// variant is a kind with options, and what it should be: oracle computes the JSON of the value from all
// inputs at once, in the most naive way.
type variant struct {
	spec   Spec
	oracle func(spec Spec, inputs []Input) any // nil is null
}

type noOpinion struct{}

// anything is the answer of an oracle that does not know.
var anything = noOpinion{}

func isAnything(v any) bool { _, ok := v.(noOpinion); return ok }

// variants are all kinds, with limits small enough to be hit.
func variants() map[string]variant {
	all := lifetimes()
	for name, spec := range timed() {
		all[name] = variant{spec, func(Spec, []Input) any { return anything }} // timed_test.go has the oracle
	}
	return all
}

func lifetimes() map[string]variant {
	return map[string]variant{
		"count":           {Spec{Kind: "count"}, countOracle},
		"sum":             {Spec{Kind: "sum"}, sumOracle},
		"avg":             {Spec{Kind: "avg"}, sumOracle},
		"min/number":      {Spec{Kind: "min", Of: Number}, extremeOracle},
		"min/time":        {Spec{Kind: "min", Of: Time}, extremeOracle},
		"max/number":      {Spec{Kind: "max", Of: Number}, extremeOracle},
		"max/time":        {Spec{Kind: "max", Of: Time}, extremeOracle},
		"first/number":    {Spec{Kind: "first", Of: Number}, edgeOracle},
		"first/string":    {Spec{Kind: "first", Of: String}, edgeOracle},
		"first/time":      {Spec{Kind: "first", Of: Time}, edgeOracle},
		"first/bool":      {Spec{Kind: "first", Of: Bool}, edgeOracle},
		"last/number":     {Spec{Kind: "last", Of: Number}, edgeOracle},
		"last/string":     {Spec{Kind: "last", Of: String}, edgeOracle},
		"last/time":       {Spec{Kind: "last", Of: Time}, edgeOracle},
		"last/bool":       {Spec{Kind: "last", Of: Bool}, edgeOracle},
		"first_at":        {Spec{Kind: "first_at"}, momentOracle},
		"last_at":         {Spec{Kind: "last_at"}, momentOracle},
		"first_at/nth=2":  {Spec{Kind: "first_at", Nth: 2}, momentOracle},
		"last_at/nth=3":   {Spec{Kind: "last_at", Nth: 3}, momentOracle},
		"flag":            {Spec{Kind: "flag"}, flagOracle},
		"set":             {Spec{Kind: "set"}, setOracle},
		"set/limit=1":     {Spec{Kind: "set", Limit: 1}, setOracle},
		"set/limit=4":     {Spec{Kind: "set", Limit: 4}, setOracle},
		"tally":           {Spec{Kind: "tally"}, tallyOracle},
		"tally/limit=1":   {Spec{Kind: "tally", Limit: 1}, tallyOracle},
		"tally/limit=5":   {Spec{Kind: "tally", Limit: 5}, tallyOracle},
		"list":            {Spec{Kind: "list"}, listOracle},
		"list/limit=4":    {Spec{Kind: "list", Limit: 4}, listOracle},
		"list/unique":     {Spec{Kind: "list", Unique: true}, listOracle},
		"list/unique=3":   {Spec{Kind: "list", Unique: true, Limit: 3}, listOracle},
		"distinct":        {Spec{Kind: "distinct", Precision: 8}, distinctOracle},
		"distinct/string": {Spec{Kind: "distinct", Of: String}, distinctOracle},
	}
}

func mustNew(t interface{ Fatal(...any) }, spec Spec) Kind {
	k, err := New(spec)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// state is a state as a record would hold it.
type state struct{ fixed, seg []byte }

func newState(k Kind) *state { return &state{fixed: make([]byte, k.FixedSize())} }

func (s *state) clone() *state { return &state{bytes.Clone(s.fixed), bytes.Clone(s.seg)} }

func (s *state) equal(o *state) bool {
	return bytes.Equal(s.fixed, o.fixed) && bytes.Equal(s.seg, o.seg)
}

// keep takes a result over, as a record does: whatever lies in scratch is copied.
func (s *state) keep(k Kind, out []byte) {
	if k.HasSegment() {
		s.seg = bytes.Clone(out)
	}
}

func (s *state) update(k Kind, in Input, room int) {
	s.keep(k, k.Update(s.fixed, s.seg, &in, make([]byte, room/2, room)))
}

func (s *state) merge(k Kind, o *state, room int) {
	s.keep(k, k.Merge(s.fixed, s.seg, o.fixed, o.seg, make([]byte, 0, room)))
}

func (s *state) json(k Kind) string { return string(k.AppendJSON(nil, s.fixed, s.seg, 0)) }

func foldAll(k Kind, inputs []Input) *state {
	s := newState(k)
	for _, in := range inputs {
		s.update(k, in, 64)
	}
	return s
}

func number(v float64) event.Value {
	return event.Value{Kind: event.Number, Bits: math.Float64bits(v)}
}
func text(s string) event.Value      { return event.Value{Kind: event.String, Str: []byte(s)} }
func moments(ms int64) event.Value   { return event.Value{Kind: event.Time, Bits: uint64(ms)} }
func truth(v bool) (out event.Value) { out.Kind, out.Bits = event.Bool, b2u(v); return out }

func b2u(v bool) uint64 {
	if v {
		return 1
	}
	return 0
}

// inputs generates what a recipe could feed to a kind: mostly good values with few different times and
// strings, so that ties, repetitions and limits occur, and now and then something that does not fit.
func inputs() *rapid.Generator[[]Input] {
	words := strings.Fields(`a b c d e f g h aa ab abc "q" back\slash ü 日本 sku-0001 sku-0002 sku-0003`)
	words = append(words, "", "a b", "line\nbreak", strings.Repeat("x", MaxElement+1))
	plain := rapid.SampledFrom([]float64{0, 1, -1, 2, 0.1, 0.2, 0.3, 19.99, 5e-7, 1.5e-6, 2.5e-6, -2.5e-6, 1e-9, 1e12,
		MaxNumber, -MaxNumber, MaxNumber * 1.0001, math.NaN(), math.Inf(1), math.Copysign(0, -1), math.MaxFloat64})
	numbers := rapid.OneOf(plain, plain, rapid.Float64(), rapid.Float64Range(-1000, 1000))
	times := rapid.OneOf(rapid.Int64Range(1_700_000_000_000, 1_700_000_000_004), rapid.Int64Range(0, maxTime),
		rapid.SampledFrom([]int64{0, 1, minTime, maxTime, minTime - 1, maxTime + 1, math.MinInt64, math.MaxInt64}))
	return rapid.Custom(func(t *rapid.T) []Input {
		kind := rapid.SampledFrom([]event.Kind{event.Number, event.String, event.Time, event.Bool})
		usual := kind.Draw(t, "kind")
		return rapid.SliceOfN(rapid.Custom(func(t *rapid.T) Input {
			in := Input{Time: times.Draw(t, "time"), By: 1}
			k := usual
			switch rapid.IntRange(0, 19).Draw(t, "odd") {
			case 0:
				k = kind.Draw(t, "kind")
			case 1:
				return in // absent
			case 2:
				in.Op = 7
			case 3, 4, 5, 6:
				in.Op = Remove
			case 7, 8, 9:
				in.By = numbers.Draw(t, "by")
			}
			switch k {
			case event.Number:
				in.Value = number(numbers.Draw(t, "number"))
			case event.String:
				in.Value = text(rapid.SampledFrom(words).Draw(t, "word"))
			case event.Time:
				in.Value = moments(times.Draw(t, "value"))
			case event.Bool:
				in.Value = truth(rapid.Bool().Draw(t, "bool"))
			}
			return in
		}), 0, 60).Draw(t, "inputs")
	})
}

// I2, I4 and the oracle: inputs in any order, split over any number of states that are merged as a random
// tree, give the bytes of a plain fold, and what is read from them is what the oracle says.
func TestAnyOrderAnySplit(t *testing.T) {
	for name, v := range variants() {
		t.Run(name, func(t *testing.T) {
			k := mustNew(t, v.spec)
			rapid.Check(t, func(t *rapid.T) {
				ins := inputs().Draw(t, "inputs")
				want := foldAll(k, ins)
				checkOracle(t, v, k, want, ins)

				forest := []*state{newState(k)}
				for range rapid.IntRange(0, 4).Draw(t, "parts") {
					forest = append(forest, newState(k))
				}
				for _, i := range rapid.Permutation(indices(len(ins))).Draw(t, "order") {
					s := forest[rapid.IntRange(0, len(forest)-1).Draw(t, "part")]
					s.update(k, ins[i], rapid.IntRange(0, 300).Draw(t, "room"))
				}
				for len(forest) > 1 {
					i := rapid.IntRange(0, len(forest)-1).Draw(t, "other")
					o := forest[i]
					forest = append(forest[:i], forest[i+1:]...)
					j := rapid.IntRange(0, len(forest)-1).Draw(t, "into")
					before := o.clone()
					forest[j].merge(k, o, rapid.IntRange(0, 300).Draw(t, "room"))
					if !o.equal(before) {
						t.Fatal("Merge changed the other state")
					}
				}
				if got := forest[0]; !got.equal(want) {
					t.Fatalf("I2: %x %x, want %x %x\n%s\n%s", got.fixed, got.seg, want.fixed, want.seg, got.json(k), want.json(k))
				}
			})
		})
	}
}

// Move does what Update does, and tells Num before and after.
func TestMoveAgainstUpdate(t *testing.T) {
	gauges := 0
	for name, v := range variants() {
		k, ok := GaugeOf(mustNew(t, v.spec))
		if !ok {
			continue
		}
		gauges++
		t.Run(name, func(t *testing.T) {
			rapid.Check(t, func(t *rapid.T) {
				s, o := newState(k), newState(k)
				for _, in := range inputs().Draw(t, "inputs") {
					var want Moved
					want.Before, want.Had = o.num(k)
					o.update(k, in, 0)
					want.After, want.Has = o.num(k)
					if got := k.Move(s.fixed, &in); got != want || !s.equal(o) {
						t.Fatalf("%+v: %+v %x, want %+v %x", in, got, s.fixed, want, o.fixed)
					}
				}
			})
		})
	}
	if gauges < 10 {
		t.Errorf("%d gauges", gauges)
	}
}

func (s *state) num(k Kind) (float64, bool) { return k.Num(s.fixed, s.seg, 0) }

func checkOracle(t *rapid.T, v variant, k Kind, s *state, ins []Input) {
	want := v.oracle(v.spec, ins)
	if got := s.json(k); !isAnything(want) && got != toJSON(want) {
		t.Fatalf("%s, oracle says %s", got, toJSON(want))
	}
	if !json.Valid([]byte(s.json(k))) {
		t.Fatalf("not JSON: %s", s.json(k))
	}
}

func toJSON(v any) string {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		panic(err)
	}
	return strings.TrimSpace(b.String())
}

// I1: Merge is commutative and associative to the byte, and the zero state is its identity.
func TestMergeIsCommutativeAndAssociative(t *testing.T) {
	for name, v := range variants() {
		t.Run(name, func(t *testing.T) {
			k := mustNew(t, v.spec)
			rapid.Check(t, func(t *rapid.T) {
				a, b, c := foldAll(k, inputs().Draw(t, "a")), foldAll(k, inputs().Draw(t, "b")), foldAll(k, inputs().Draw(t, "c"))
				m := func(x, y *state) *state {
					x = x.clone()
					x.merge(k, y, 100)
					return x
				}
				if !m(a, b).equal(m(b, a)) {
					t.Fatal("I1: not commutative")
				}
				if !m(m(a, b), c).equal(m(a, m(b, c))) {
					t.Fatal("I1: not associative")
				}
				if !m(a, newState(k)).equal(a) || !m(newState(k), a).equal(a) {
					t.Fatal("I1: the zero state is not the identity")
				}
			})
		})
	}
}

// What a kind says it accepts is exactly what changes the zero state, and what it does not accept never changes anything.
func TestAccepts(t *testing.T) {
	for name, v := range variants() {
		t.Run(name, func(t *testing.T) {
			k := mustNew(t, v.spec)
			rapid.Check(t, func(t *rapid.T) {
				s := newState(k)
				for _, in := range inputs().Draw(t, "inputs") {
					fresh := newState(k)
					fresh.update(k, in, 64)
					if changed := !fresh.equal(newState(k)); changed != accepts(k, in) {
						t.Fatalf("%+v: changed %v, accepts %v", in, changed, accepts(k, in))
					}
					before := s.clone()
					s.update(k, in, 64)
					if !accepts(k, in) && !s.equal(before) {
						t.Fatalf("%+v changed the state", in)
					}
				}
			})
		})
	}
}

func indices(n int) []int {
	out := make([]int, n)
	for i := range out {
		out[i] = i
	}
	return out
}
