package attribute

import (
	"math"
	"strings"
	"testing"

	"dashi/pipeline/event"
)

const noon = 1_700_000_000_000 // 2023-11-14T22:13:20Z

func at(ms int64, v event.Value) Input { return Input{Time: noon + ms, Value: v, By: 1} }

func remove(ms int64, v event.Value) Input {
	return Input{Op: Remove, Time: noon + ms, Value: v, By: 1}
}

func weighted(key string, by float64) Input { return Input{Time: noon, Value: text(key), By: by} }

// One line a case: what a person sees after some inputs.
func TestValues(t *testing.T) {
	f := func(spec Spec, want string, ins ...Input) {
		t.Helper()
		k := mustNew(t, spec)
		if got := foldAll(k, ins).json(k); got != want {
			t.Errorf("%+v: %s, want %s", spec, got, want)
		}
	}
	n, s, w, b := number, text, moments, truth
	f(Spec{Kind: "count"}, "null")
	f(Spec{Kind: "count"}, "2", at(0, n(1)), Input{})
	f(Spec{Kind: "count"}, "1", at(0, n(1)), remove(0, n(1)))

	f(Spec{Kind: "sum"}, "null", at(0, s("1")), at(0, event.Value{}))
	f(Spec{Kind: "sum"}, "1", tenth()...) // 0.1 ten times
	f(Spec{Kind: "sum"}, "0", at(0, n(5)), at(1, n(-5)))
	f(Spec{Kind: "sum"}, "18000000000000", at(0, n(9e12)), at(1, n(9e12)), at(2, n(9.1e12)))
	f(Spec{Kind: "sum"}, "-0.000001", at(0, n(-1e-6)))
	f(Spec{Kind: "avg"}, "0.1", tenth()...)
	f(Spec{Kind: "avg"}, "1.5", at(0, n(1)), at(0, n(2)))
	f(Spec{Kind: "avg"}, "0.3333333333333333", at(0, n(1)), at(0, n(0)), at(0, n(0)))

	f(Spec{Kind: "min"}, "-3", at(0, n(2)), at(1, n(-3)), at(2, n(0)))
	f(Spec{Kind: "max"}, "2", at(0, n(2)), at(1, n(-3)), at(2, n(0)))
	f(Spec{Kind: "max"}, "-3", at(1, n(-3)))
	f(Spec{Kind: "max"}, "0", at(1, n(math.Copysign(0, -1))))
	f(Spec{Kind: "max"}, "null", at(1, n(math.Inf(1))), at(1, n(math.NaN())), at(1, s("7")))
	f(Spec{Kind: "min", Of: Time}, `"1970-01-01T00:00:00Z"`, at(0, w(0)), at(0, w(86400000)), at(0, w(math.MinInt64)))
	f(Spec{Kind: "max", Of: Time}, `"1970-01-02T00:00:00Z"`, at(0, w(0)), at(0, w(86400000)), at(0, w(math.MaxInt64)))

	f(Spec{Kind: "first", Of: Number}, "7", at(5, n(1)), at(4, n(8)), at(4, n(7)))
	f(Spec{Kind: "last", Of: Number}, "8", at(4, n(8)), at(4, n(7)), at(3, n(9)))
	f(Spec{Kind: "last", Of: String}, `"b"`, at(4, s("b")), at(4, s("a")), at(3, s("z")))
	f(Spec{Kind: "last", Of: String}, `""`, at(4, s("b")), at(5, s("")))
	f(Spec{Kind: "last", Of: String}, `"ok"`, at(4, s("ok")), at(5, s(strings.Repeat("x", MaxString+1))))
	f(Spec{Kind: "last", Of: String}, `"`+strings.Repeat("x", MaxString)+`"`, at(5, s(strings.Repeat("x", MaxString))))
	f(Spec{Kind: "first", Of: String}, `"a"`, at(4, s("b")), at(4, s("a")), at(5, s("")))
	f(Spec{Kind: "last", Of: Bool}, "true", at(4, b(true)), at(4, b(false)))
	f(Spec{Kind: "first", Of: Bool}, "false", at(4, b(true)), at(4, b(false)))
	f(Spec{Kind: "last", Of: Time}, `"1970-01-01T00:00:00.001Z"`, at(4, w(1)))
	f(Spec{Kind: "first_at"}, `"2023-11-14T22:13:20.001Z"`, at(3, n(1)), at(1, n(1)), at(2, n(1)))
	f(Spec{Kind: "last_at"}, `"2023-11-14T22:13:20.003Z"`, at(3, n(1)), at(1, n(1)), at(2, n(1)))

	f(Spec{Kind: "flag"}, "null")
	f(Spec{Kind: "flag"}, "true", at(1, n(1)))
	f(Spec{Kind: "flag"}, "false", remove(1, n(1)))
	f(Spec{Kind: "flag"}, "false", at(1, n(1)), remove(1, n(1)))
	f(Spec{Kind: "flag"}, "true", at(2, n(1)), remove(1, n(1))) // a late purchase does not lower a newer cart

	f(Spec{Kind: "set"}, `["a","b"]`, at(1, s("b")), at(0, s("a")), at(0, s("a")))
	f(Spec{Kind: "set"}, `[]`, remove(1, s("b")))
	f(Spec{Kind: "set"}, `[]`, remove(1, s("b")), at(0, s("b"))) // late add
	f(Spec{Kind: "set"}, `["b"]`, remove(1, s("b")), at(2, s("b")))
	f(Spec{Kind: "set", Limit: 2}, `["b","c"]`, at(0, s("a")), at(1, s("b")), at(2, s("c")))
	f(Spec{Kind: "set", Limit: 2}, `["b","c"]`, at(2, s("c")), at(1, s("b")), at(0, s("a")))

	f(Spec{Kind: "tally"}, `{"a":2,"b":0.3}`, weighted("b", 0.1), weighted("a", 1), weighted("b", 0.2), weighted("a", 1))
	f(Spec{Kind: "tally"}, `{"a":0}`, weighted("a", 1), weighted("a", -1), weighted("x", math.NaN()))
	f(Spec{Kind: "tally", Top: 2}, `{"c":5,"a":2}`, weighted("b", 2), weighted("a", 2), weighted("c", 5))
	f(Spec{Kind: "tally"}, `{"a":9000000000000000}`, thousand(weighted("a", 9e12))...) // beyond 64 bits of micro-units
	f(Spec{Kind: "tally"}, `{"a":-9000000000000000}`, thousand(weighted("a", -9e12))...)

	f(Spec{Kind: "list"}, `["b","a","a"]`, at(1, s("a")), at(2, s("b")), at(1, s("a")))
	f(Spec{Kind: "list", Limit: 2}, `["c","b"]`, at(1, s("a")), at(3, s("c")), at(2, s("b")))
	f(Spec{Kind: "list", Unique: true}, `["a","b"]`, at(1, s("a")), at(2, s("b")), at(3, s("a")))
	f(Spec{Kind: "distinct"}, "3", at(0, n(1)), at(0, s("1")), at(0, n(1)), at(0, b(true)), at(0, b(true)))
	f(Spec{Kind: "distinct", Of: String}, "1", at(0, n(1)), at(0, s("1")))
}

func tenth() []Input {
	var ins []Input
	for range 10 {
		ins = append(ins, at(0, number(0.1)))
	}
	return ins
}

func thousand(in Input) []Input {
	var ins []Input
	for range 1000 {
		ins = append(ins, in)
	}
	return ins
}

// Num, Str, Truth, Len and Find, seen and not seen.
func TestReaders(t *testing.T) {
	f := func(spec Spec, typ Type, in Input, num float64, str string, tru bool, length int) {
		t.Helper()
		k := mustNew(t, spec)
		if k.Type() != typ || k.Name() != spec.Kind {
			t.Errorf("%+v: is %s of type %v", spec, k.Name(), k.Type())
		}
		s := newState(k)
		if _, ok := k.Num(s.fixed, s.seg, 0); ok {
			t.Errorf("%+v: Num of the zero state is ok", spec)
		}
		if _, ok := k.Str(s.fixed, s.seg, 0); ok {
			t.Errorf("%+v: Str of the zero state is ok", spec)
		}
		if _, ok := k.Truth(s.fixed, s.seg, 0); ok {
			t.Errorf("%+v: Truth of the zero state is ok", spec)
		}
		if _, ok := k.Find(s.fixed, s.seg, in.Value.Str, 0); ok || k.Len(s.fixed, s.seg, 0) != 0 {
			t.Errorf("%+v: the zero state has elements", spec)
		}
		s.update(k, in, 64)
		if v, ok := k.Num(s.fixed, s.seg, 0); v != num || ok != (typ == Number || typ == Time) {
			t.Errorf("%+v: Num %v %v", spec, v, ok)
		}
		if v, ok := k.Str(s.fixed, s.seg, 0); string(v) != str || ok != (str != "") {
			t.Errorf("%+v: Str %s %v", spec, v, ok)
		}
		if v, ok := k.Truth(s.fixed, s.seg, 0); v != tru || ok != (typ == Bool) {
			t.Errorf("%+v: Truth %v %v", spec, v, ok)
		}
		if n := k.Len(s.fixed, s.seg, 0); n != length {
			t.Errorf("%+v: Len %d", spec, n)
		}
		if _, ok := k.Find(s.fixed, s.seg, in.Value.Str, 0); ok != (length > 0) {
			t.Errorf("%+v: Find %v", spec, ok)
		}
		if _, ok := k.Find(s.fixed, s.seg, []byte("nobody"), 0); ok {
			t.Errorf("%+v: found what is not there", spec)
		}
	}
	f(Spec{Kind: "count"}, Number, at(0, number(7)), 1, "", false, 0)
	f(Spec{Kind: "sum"}, Number, at(0, number(7)), 7, "", false, 0)
	f(Spec{Kind: "avg"}, Number, at(0, number(7)), 7, "", false, 0)
	f(Spec{Kind: "min"}, Number, at(0, number(7)), 7, "", false, 0)
	f(Spec{Kind: "max", Of: Time}, Time, at(0, moments(7)), 7, "", false, 0)
	f(Spec{Kind: "first", Of: Number}, Number, at(0, number(7)), 7, "", false, 0)
	f(Spec{Kind: "last", Of: Time}, Time, at(0, moments(7)), 7, "", false, 0)
	f(Spec{Kind: "last", Of: String}, String, at(0, text("x")), 0, "x", false, 0)
	f(Spec{Kind: "first", Of: Bool}, Bool, at(0, truth(true)), 0, "", true, 0)
	f(Spec{Kind: "first_at"}, Time, at(0, number(7)), noon, "", false, 0)
	f(Spec{Kind: "last_at"}, Time, at(0, number(7)), noon, "", false, 0)
	f(Spec{Kind: "flag"}, Bool, at(0, number(7)), 0, "", true, 0)
	f(Spec{Kind: "set"}, Set, at(0, text("x")), 0, "", false, 1)
	f(Spec{Kind: "tally"}, Tally, at(0, text("x")), 0, "x", false, 1)
	f(Spec{Kind: "list"}, List, at(0, text("x")), 0, "x", false, 1)
	f(Spec{Kind: "distinct"}, Number, at(0, text("x")), 1, "", false, 0)
}

func TestFavouriteTopLatest(t *testing.T) {
	ins := []Input{weighted("tea", 2), weighted("soup", 5), weighted("rice", 2), weighted("fish", -1)}
	k := mustNew(t, Spec{Kind: "tally"})
	s := foldAll(k, ins)
	if v, ok := k.Str(nil, s.seg, 0); !ok || string(v) != "soup" {
		t.Errorf("favourite %s %v", v, ok)
	}
	f := func(n int, want string) {
		t.Helper()
		if got := s.json(mustNew(t, Spec{Kind: "tally", Top: n})); got != want {
			t.Errorf("top %d: %s, want %s", n, got, want)
		}
	}
	f(2, `{"soup":5,"rice":2}`) // of the same number the smaller key
	f(9, `{"soup":5,"rice":2,"tea":2,"fish":-1}`)
	if v, ok := k.Find(nil, s.seg, []byte("fish"), 0); !ok || v != -1 {
		t.Errorf("fish %v %v", v, ok)
	}
	if _, ok := k.Str(nil, nil, 0); ok {
		t.Error("the zero state has a favourite")
	}
	lists := mustNew(t, Spec{Kind: "list"})
	if _, ok := lists.Str(nil, nil, 0); ok {
		t.Error("the zero state has a latest")
	}
	l := foldAll(lists, []Input{at(1, text("a")), at(3, text("c")), at(2, text("b"))})
	if v, ok := lists.Str(nil, l.seg, 0); !ok || string(v) != "c" {
		t.Errorf("latest %s %v", v, ok)
	}
}

func TestElements(t *testing.T) {
	f := func(spec Spec, want string, ins ...Input) {
		t.Helper()
		var b strings.Builder
		k := mustNew(t, spec)
		for e := k.Elements(nil, foldAll(k, ins).seg, 0); e.Next(); {
			b.Write(e.Value)
			b.WriteByte(' ')
			if e.Time != 0 {
				b.Write(AppendNumber(nil, float64(e.Time-noon)))
			}
			b.Write(AppendNumber([]byte(" "), e.Number))
			b.WriteByte(',')
		}
		if b.String() != want {
			t.Errorf("%s: %s, want %s", spec.Kind, b.String(), want)
		}
	}
	s := text
	f(Spec{Kind: "set"}, "")
	f(Spec{Kind: "set"}, "a 4 0,c 3 0,", at(3, s("c")), at(4, s("a")), at(2, s("b")), remove(3, s("b")))
	f(Spec{Kind: "tally"}, "a  2,b  0.5,", weighted("b", 0.5), weighted("a", 2))
	f(Spec{Kind: "list"}, "c 3 0,b 2 0,", at(2, s("b")), at(3, s("c")))
}
