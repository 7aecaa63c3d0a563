package expr

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"cel.dev/cel-go/cel"
	"pgregory.net/rapid"
)

// generator writes random expressions that pass the checker.
type generator struct{ t *rapid.T }

func (g generator) pick(choices ...string) string {
	return rapid.SampledFrom(choices).Draw(g.t, "pick")
}

func (g generator) bool(depth int) string {
	if depth <= 0 {
		return g.pick("vip", "lapsed", "member", "consent.ads", "consent.mail", "properties.paid", "true", "false")
	}
	d := depth - 1
	switch rapid.IntRange(0, 18).Draw(g.t, "bool") {
	case 0, 1:
		return "(" + g.bool(d) + g.pick(" && ", " || ") + g.bool(d) + ")"
	case 2:
		return "!" + g.bool(d)
	case 3:
		return "(" + g.bool(d) + " ? " + g.bool(d) + " : " + g.bool(d) + ")"
	case 4, 5:
		return "(" + g.number(d) + g.order() + g.number(d) + ")"
	case 6:
		return "(" + g.text(d) + g.order() + g.text(d) + ")"
	case 7:
		return "(" + g.instant(d) + g.order() + g.instant(d) + ")"
	case 8:
		return "(" + g.span(d) + g.order() + g.span(d) + ")"
	case 9:
		return "(" + g.bool(d) + g.pick(" == ", " != ") + g.bool(d) + ")"
	case 10:
		return g.text(d) + g.pick(".contains(", ".startsWith(", ".endsWith(") + g.text(d) + ")"
	case 11:
		return g.text(d) + ".matches(" + g.pick(`"^P"`, `"o+"`, `"[0-9]$"`) + ")"
	case 12:
		return "(" + g.text(d) + " in " + g.pick("products_owned", "interests", "recent", "properties.tags") + ")"
	case 13:
		return "(" + g.text(d) + " in [" + g.text(d) + ", " + g.text(d) + "])"
	case 14:
		return "(" + g.number(d) + " in " + g.pick("properties.sizes", "[1, 2.5, 5]", "["+g.number(d)+"]") + ")"
	case 15:
		return g.pick("known(", "has(") + g.any(d) + ")"
	case 16:
		return "(" + g.any(d) + g.pick(" == null", " != null") + ")"
	case 17:
		return "[" + g.pick(`"P1"`, `"P1", "P9"`, "") + "]" + g.pick(".exists", ".all") + `(p, p in products_owned || p == ` + g.text(d) + ")"
	}
	return "coalesce(" + g.bool(d) + ", " + g.bool(d) + ")"
}

func (g generator) order() string { return g.pick(" < ", " <= ", " > ", " >= ", " == ", " != ") }

func (g generator) any(depth int) string {
	switch rapid.IntRange(0, 5).Draw(g.t, "any") {
	case 0:
		return g.bool(depth)
	case 1:
		return g.number(depth)
	case 2:
		return g.text(depth)
	case 3:
		return g.instant(depth)
	case 4:
		return g.span(depth)
	}
	return g.pick("products_owned", "interests", "recent", "properties.tags", "properties.sizes", "interests.shoes", `interests["hats"]`)
}

func (g generator) number(depth int) string {
	if depth <= 0 {
		return g.pick("lifetime_value", "orders", "basket", "properties.total", "properties.quantity", "item.price",
			"0", "1", "-2.5", "2000", "5", "1e308", "0.1")
	}
	d := depth - 1
	switch rapid.IntRange(0, 9).Draw(g.t, "number") {
	case 0, 1:
		return "(" + g.number(d) + g.pick(" + ", " - ", " * ", " / ", " % ") + g.number(d) + ")"
	case 2:
		return g.pick("abs(", "floor(", "round(", "-(") + g.number(d) + ")"
	case 3:
		return g.pick("min(", "max(", "coalesce(") + g.number(d) + ", " + g.number(d) + ")"
	case 4:
		return "size(" + g.pick("products_owned", "interests", "recent", "properties.tags", "properties.sizes", g.text(d)) + ")"
	case 5:
		return "interests[" + g.text(d) + "]"
	case 6:
		return g.instant(d) + "." + g.pick("getHours", "getMonth", "getDate", "getDayOfWeek", "getDayOfYear", "getFullYear", "getMinutes", "getMilliseconds") + g.pick(`()`, `("+09:00")`, `("-03:30")`, `("America/New_York")`)
	case 7:
		return g.span(d) + g.pick(".getHours()", ".getMinutes()", ".getSeconds()")
	case 8:
		return "(" + g.bool(d) + " ? " + g.number(d) + " : " + g.number(d) + ")"
	}
	return g.number(0)
}

func (g generator) text(depth int) string {
	if depth <= 0 {
		return g.pick("city", "type", "traits.plan", "properties.coupon", "item.name", "channel",
			`"P1"`, `"Gold"`, `"shoes"`, `""`, `"é"`, `"sale"`)
	}
	d := depth - 1
	switch rapid.IntRange(0, 7).Draw(g.t, "text") {
	case 0:
		return "(" + g.text(d) + " + " + g.text(d) + ")"
	case 1:
		return "lower(" + g.text(d) + ")"
	case 2:
		return "string(" + g.pick(g.number(d), g.bool(d), g.text(d), g.instant(d)) + ")"
	case 3:
		return g.pick("favourite(interests)", "latest(recent)")
	case 4:
		return "coalesce(" + g.text(d) + ", " + g.text(d) + ")"
	case 5:
		return "(" + g.bool(d) + " ? " + g.text(d) + " : " + g.text(d) + ")"
	}
	return g.text(0)
}

func (g generator) instant(depth int) string {
	if depth <= 0 {
		return g.pick("now", "time", "last_order", "properties.due", `timestamp("2026-01-31T12:00:00.5Z")`, `timestamp("0001-01-01")`, `timestamp("9999-12-31")`)
	}
	d := depth - 1
	switch rapid.IntRange(0, 3).Draw(g.t, "instant") {
	case 0:
		return "(" + g.instant(d) + g.pick(" + ", " - ") + g.span(d) + ")"
	case 1:
		return "(" + g.span(d) + " + " + g.instant(d) + ")"
	case 2:
		return "coalesce(" + g.instant(d) + ", " + g.instant(d) + ")"
	}
	return g.instant(0)
}

func (g generator) span(depth int) string {
	if depth <= 0 {
		return g.pick(`duration("720h")`, `duration("30d")`, `duration("-1.5h")`, `duration("0")`, `duration("100000d")`, `duration("1ms")`)
	}
	d := depth - 1
	switch rapid.IntRange(0, 3).Draw(g.t, "span") {
	case 0, 1:
		return "(" + g.instant(d) + " - " + g.instant(d) + ")"
	case 2:
		return "(" + g.span(d) + g.pick(" + ", " - ") + g.span(d) + ")"
	}
	return g.span(0)
}

func (g generator) words() []string {
	return rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"P1", "shoes", "hats", "sale", "Gold", ""}), 0, 4, rapid.ID[string]).Draw(g.t, "words")
}

// values draws an Env: each thing is there or not, and plain values are likelier than odd ones.
func (g generator) values() values {
	num := rapid.SampledFrom([]float64{0, 1, 2, 5, -3, 2.5, 2000, 2500, 1e15, -0.5, 1e308})
	word := rapid.SampledFrom([]string{"P1", "Gold", "Kyōto", "ÀÉ", "shoes", "sale", "", "o9", "Order Completed"})
	ms := rapid.SampledFrom([]int64{0, 1, 1_764_547_200_000, 1_767_225_600_000, 1_767_225_599_999, -1, minTime, maxTime})
	there := func(what string) bool { return rapid.IntRange(0, 3).Draw(g.t, what) > 0 }
	v := values{
		now: ms.Draw(g.t, "now"), kind: word.Draw(g.t, "kind"), time: ms.Draw(g.t, "time"), item: rapid.IntRange(0, 2).Draw(g.t, "item"),
		fields: map[string]any{}, attrs: map[string]any{}, consent: map[int]uint64{},
		noEvent: rapid.IntRange(0, 9).Draw(g.t, "no event") == 0, noProfile: rapid.IntRange(0, 9).Draw(g.t, "no profile") == 0,
	}
	for _, f := range []string{"properties.total", "properties.quantity"} {
		if there(f) {
			v.fields[f] = num.Draw(g.t, f)
		}
	}
	for _, f := range []string{"properties.coupon", "traits.plan", "channel"} {
		if there(f) {
			v.fields[f] = word.Draw(g.t, f)
		}
	}
	if there("paid") {
		v.fields["properties.paid"] = rapid.Bool().Draw(g.t, "paid")
	}
	if there("due") {
		v.fields["properties.due"] = ms.Draw(g.t, "due")
	}
	for range rapid.IntRange(0, 3).Draw(g.t, "items") {
		price, name := any(num.Draw(g.t, "price")), any(word.Draw(g.t, "name"))
		if !there("price") {
			price = nil
		}
		prices, _ := v.fields["item.price"].([]any)
		names, _ := v.fields["item.name"].([]any)
		v.fields["item.price"], v.fields["item.name"] = append(prices, price), append(names, name)
		v.fields["properties.sizes"], v.fields["properties.tags"] = v.fields["item.price"], v.fields["item.name"]
	}
	for _, a := range []string{"lifetime_value", "orders"} {
		if there(a) {
			v.attrs[a] = num.Draw(g.t, a)
		}
	}
	if there("last_order") {
		v.attrs["last_order"] = ms.Draw(g.t, "last_order")
	}
	if there("city") {
		v.attrs["city"] = word.Draw(g.t, "city")
	}
	if there("member") {
		v.attrs["member"] = rapid.Bool().Draw(g.t, "member")
	}
	v.attrs["products_owned"], v.attrs["recent"] = g.words(), g.words()
	tally := map[string]float64{}
	for _, w := range g.words() {
		tally[w] = rapid.SampledFrom([]float64{0, 1, 4, 2.5}).Draw(g.t, "count")
	}
	v.attrs["interests"] = tally
	if rapid.Bool().Draw(g.t, "lapsed") {
		v.audiences = append(v.audiences, 70)
	}
	v.consent[rapid.IntRange(0, 1).Draw(g.t, "purpose")] = rapid.Uint64Range(0, 5).Draw(g.t, "consent")
	return v
}

// TestAgree compares closures and cel-go's interpreter on random expressions and Envs (I1).
func TestAgree(t *testing.T) {
	w := newWorld()
	rapid.Check(t, func(t *rapid.T) {
		g := generator{t}
		src := ""
		switch rapid.IntRange(0, 6).Draw(t, "result") {
		case 0:
			src = g.number(3)
		case 1:
			src = g.text(3)
		case 2:
			src = g.instant(3)
		case 3:
			src = g.span(3)
		default:
			src = g.bool(4)
		}
		compareWithOracle(t, w, src, g.values())
	})
}

type failer interface {
	Fatalf(string, ...any)
}

func compareWithOracle(t failer, w *world, src string, v values) {
	x, err := Compile(src, w.scope, AnyType)
	if err != nil {
		if strings.Contains(err.Message, "too deep") || strings.Contains(err.Message, "bytes;") || strings.Contains(err.Message, "duration is") {
			return
		}
		// The result of a duration has no Any, but AnyType takes it.
		t.Fatalf("%s: %v", src, err)
	}
	if x.Interpreted {
		t.Fatalf("%s: interpreted: %s", src, x.Why)
	}
	c, _ := check(src, w.scope)
	n, err := c.interpret(cel.CostLimit(maxCost))
	if err != nil {
		t.Fatalf("%s: %v", src, err)
	}
	slow := &Expr{Type: c.result()}
	slow.take(n)
	env := w.env(v)
	if got, want := show(x, env), show(slow, env); got != want {
		t.Fatalf("%s\nclosure %s, interpreter %s\n%s", src, got, want, fmt.Sprintf("%+v", v))
	}
}

// TestAtoms: where the rule in doc.go says that nothing can have changed, nothing has (I7).
func TestAtoms(t *testing.T) {
	w := newWorld()
	rapid.Check(t, func(t *rapid.T) {
		g := generator{t}
		src := g.bool(4)
		x, err := Compile(src, w.scope, BoolType)
		if err != nil {
			return
		}
		before := g.values()
		before.noProfile = false
		after := before
		after.attrs = map[string]any{}
		for k, v := range before.attrs {
			after.attrs[k] = v
		}
		name := g.pick("lifetime_value", "orders", "last_order")
		index := w.scope.Attributes[name].Index
		now := rapid.SampledFrom([]float64{0, 1, 2, 3, 5, 7, 1999, 2001, 1_764_547_200_000}).Draw(t, "now")
		old, known := before.attrs[name]
		if !known {
			return
		}
		previous, isNumber := old.(float64)
		if !isNumber {
			previous = float64(old.(int64))
			after.attrs[name] = int64(now)
		} else {
			after.attrs[name] = now
		}
		for _, a := range x.Coarse {
			if a == index {
				return
			}
		}
		for _, a := range x.Atoms {
			if a.Attribute == index && cmp.Compare(previous, a.Constant) != cmp.Compare(now, a.Constant) {
				return
			}
		}
		if x.Bool(w.env(before)) != x.Bool(w.env(after)) {
			t.Fatalf("%s: %s from %v to %v changed the outcome; atoms %v coarse %v", src, name, previous, now, x.Atoms, x.Coarse)
		}
	})
}

// TestKeysDecide: what is not in Keys of a set or tally changes nothing, unless it is Coarse.
func TestKeysDecide(t *testing.T) {
	w := newWorld()
	rapid.Check(t, func(t *rapid.T) {
		g := generator{t}
		src := g.bool(3)
		x, err := Compile(src, w.scope, BoolType)
		if err != nil {
			return
		}
		before := g.values()
		before.noProfile = false
		after := before
		after.attrs = maps.Clone(before.attrs)
		owned, _ := before.attrs["products_owned"].([]string)
		tally, _ := before.attrs["interests"].(map[string]float64)
		key := g.pick("P1", "P2", "a", "shoes", "hats", "new")
		name, index := "products_owned", w.scope.Attributes["products_owned"].Index
		if rapid.Bool().Draw(t, "tally") {
			name, index = "interests", w.scope.Attributes["interests"].Index
			changed := map[string]float64{key: 7}
			for k, v := range tally {
				if k != key {
					changed[k] = v
				}
			}
			after.attrs[name] = changed
		} else {
			after.attrs[name] = append(slices.DeleteFunc(slices.Clone(owned), func(s string) bool { return s == key }), key)
		}
		if slices.Contains(x.Coarse, index) || slices.Contains(x.Keys, Key{index, key}) {
			return
		}
		if x.Bool(w.env(before)) != x.Bool(w.env(after)) {
			t.Fatalf("%s: %q in %s changed the outcome; keys %v coarse %v", src, key, name, x.Keys, x.Coarse)
		}
	})
}

// FuzzCompile: no source panics, every error has a place in it, and what compiles agrees with the oracle.
func FuzzCompile(f *testing.F) {
	for _, s := range []string{`lifetime_value > 2000`, `a`, `"`, `[1].exists(x, x > 1)`, `{"a":1}.a`, `has(x.y)`, `consent["ads"]`,
		`properties.tags.map(t, t)[0]`, `x ? y : z`, "1\n+\n`", `-9223372036854775808`, `duration("1d")`, `type.size()`} {
		f.Add(s)
	}
	w := newWorld()
	env := w.env(ada())
	f.Fuzz(func(t *testing.T, src string) {
		x, err := Compile(src, w.scope, AnyType)
		if err != nil {
			if err.Line < 1 || err.Column < 1 || err.Line > strings.Count(src, "\n")+1 || err.Message == "" {
				t.Fatalf("%q: %d:%d %q", src, err.Line, err.Column, err.Message)
			}
			return
		}
		c, _ := check(src, w.scope)
		n, err := c.interpret(cel.CostLimit(maxCost))
		if err != nil {
			t.Fatalf("%q: %v", src, err)
		}
		slow := &Expr{Type: c.result()}
		slow.take(n)
		if got, want := show(x, env), show(slow, env); got != want {
			t.Fatalf("%q: closure %s, interpreter %s", src, got, want)
		}
	})
}
