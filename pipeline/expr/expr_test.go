package expr

import (
	"fmt"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"cel.dev/cel-go/cel"

	"dashi/pipeline/event"
)

// show gives the outcome of an expression as text; "absent" where it is.
func show(x *Expr, env *Env) string {
	switch x.Type {
	case BoolType:
		return map[Truth]string{True: "true", False: "false", Absent: "absent"}[x.Bool(env)]
	case NumberType, DurationType:
		if v, ok := x.Num(env); ok {
			return string(appendNumber(nil, v))
		}
	case StringType:
		if v, ok := x.Str(env); ok {
			return fmt.Sprintf("%q", v)
		}
	case TimeType:
		if v, ok := x.Time(env); ok {
			return string(appendTime(nil, v))
		}
	}
	return "absent"
}

// oracle compiles src for cel-go's interpreter alone.
func oracle(t testing.TB, src string, s *Scope) *Expr {
	t.Helper()
	c, err := check(src, s)
	if err != nil {
		t.Fatalf("%s: %v", src, err)
	}
	n, err := c.interpret(cel.CostLimit(maxCost))
	if err != nil {
		t.Fatalf("%s: %v", src, err)
	}
	x := &Expr{Type: c.result()}
	x.take(n)
	return x
}

// TestOutcomes evaluates for ada, with closures and with the interpreter (I1).
func TestOutcomes(t *testing.T) {
	w := newWorld()
	full, empty := w.env(ada()), w.env(values{now: 1, kind: "x"})
	none := &Env{}
	f := func(src, want, wantEmpty string) {
		t.Helper()
		x, err := Compile(src, w.scope, AnyType)
		if err != nil {
			t.Errorf("%s: %v", src, err)
			return
		}
		slow := oracle(t, src, w.scope)
		for _, run := range []struct {
			name string
			x    *Expr
		}{{"closure", x}, {"interpreter", slow}} {
			if got := show(run.x, full); got != want {
				t.Errorf("%s: %s: got %s, want %s", run.name, src, got, want)
			}
			if got := show(run.x, empty); got != wantEmpty {
				t.Errorf("%s, empty: %s: got %s, want %s", run.name, src, got, wantEmpty)
			}
			show(run.x, none) // must not panic
		}
		if x.Interpreted {
			t.Errorf("%s: interpreted: %s", src, x.Why)
		}
	}
	f(`lifetime_value > 2000 && "P1" in products_owned`, "true", "false")
	f(`lifetime_value > 2000`, "true", "absent")
	f(`orders + 1 >= 3`, "true", "false")
	f(`orders`, "5", "0")
	f(`properties.total * properties.quantity`, "241.5", "absent")
	f(`size(products_owned) >= 2`, "true", "false")
	f(`products_owned.size()`, "2", "0")
	f(`2 * 3.5`, "7", "7")
	f(`-orders`, "-5", "0")
	f(`7 % 4 + 1`, "4", "4")
	f(`lifetime_value / orders`, "500", "absent")
	f(`1 / 0`, "absent", "absent")
	f(`orders / 0 > 1 || true`, "true", "true")
	f(`basket`, "500", "absent")
	f(`basket > 100 ? "big" : "small"`, `"big"`, "absent")
	f(`type == "Order Completed"`, "true", "false")
	f(`type in ["a", "Order Completed"]`, "true", "false")
	f(`type in ["a", "b", "c", "d", "e", "f", "g", "Order Completed"]`, "true", "false")
	f(`orders in [1, 5]`, "true", "false")
	f(`properties.coupon in ["a"]`, "absent", "absent")
	f(`"Gold" in [traits.plan, "x"]`, "true", "absent")
	f(`"x" in [traits.plan, properties.coupon]`, "absent", "absent")
	f(`traits.plan.startsWith("Go") && traits.plan.endsWith("ld") && traits.plan.contains("ol")`, "true", "absent")
	f(`traits.plan.matches("^G.*d$")`, "true", "absent")
	f(`lower(traits.plan) == "gold"`, "true", "absent")
	f(`lower(city)`, `"kyōto"`, "absent")
	f(`size(city)`, "5", "absent")
	f(`traits.plan + "/" + string(orders)`, `"Gold/5"`, "absent")
	f(`traits.plan < "H"`, "true", "absent")
	f(`"a" + "b" == "ab"`, "true", "true")
	f(`time`, "2025-12-31T23:58:20Z", "1970-01-01T00:00:00Z")
	f(`now - last_order > duration("720h")`, "true", "absent")
	f(`now - last_order > duration("30d")`, "true", "absent")
	f(`now - last_order > duration("5w")`, "false", "absent")
	f(`(now - last_order).getHours()`, "744", "absent")
	f(`last_order + duration("1d")`, "2025-12-02T00:00:00Z", "absent")
	f(`last_order > timestamp("2025-11-30T00:00:00Z")`, "true", "absent")
	f(`last_order > timestamp("2025-11-30")`, "true", "absent")
	f(`properties.due - time`, "86500000", "absent")
	f(`time.getHours()`, "23", "0")
	f(`time.getHours("+09:00")`, "8", "9")
	f(`time.getDayOfWeek("+09:00")`, "4", "4")
	f(`time.getHours("Asia/Tokyo")`, "8", "9")
	f(`timestamp("2026-03-29T00:59:59Z").getHours("Europe/Berlin")`, "1", "1")
	f(`timestamp("2026-03-29T01:00:00Z").getHours("Europe/Berlin")`, "3", "3")
	f(`time.getMonth()`, "11", "0")
	f(`time.getFullYear("+09:00")`, "2026", "1970")
	f(`interests["shoes"] > 3`, "true", "false")
	f(`interests.shoes + interests["none"]`, "4", "0")
	f(`"hats" in interests`, "true", "false")
	f(`has(interests.hats)`, "true", "false")
	f(`has(interests["none"])`, "false", "false")
	f(`interests[favourite(interests)]`, "4", "absent")
	f(`favourite(interests) == "shoes"`, "true", "absent")
	f(`latest(recent)`, `"b"`, "absent")
	f(`"a" in recent`, "true", "false")
	f(`known(lifetime_value)`, "true", "false")
	f(`known(products_owned)`, "true", "false")
	f(`known(orders)`, "true", "true")
	f(`has(properties.coupon)`, "false", "false")
	f(`has(properties.tags)`, "true", "false")
	f(`properties.coupon == null`, "true", "true")
	f(`null != traits.plan`, "true", "false")
	f(`coalesce(properties.coupon, "none")`, `"none"`, `"none"`)
	f(`coalesce(lifetime_value, 0) > 100`, "true", "false")
	f(`coalesce(coalesce(properties.coupon, traits.plan), "z")`, `"Gold"`, `"z"`)
	f(`abs(-3) + floor(2.7) + round(2.5)`, "8", "8")
	f(`min(orders, 3) + max(1, 2)`, "5", "2")
	f(`consent.ads && !consent.mail`, "true", "false")
	f(`lapsed && !vip`, "true", "false")
	f(`member`, "true", "absent")
	f(`member == true`, "true", "absent")
	f(`member != properties.paid`, "false", "absent")
	f(`!member || true`, "true", "true")
	f(`item.price * 2 > 30 && item.name == "shoe"`, "true", "absent")
	f(`"sale" in properties.tags`, "true", "false")
	f(`size(properties.tags)`, "2", "0")
	f(`42 in properties.sizes`, "true", "false")
	f(`["P1", "P9"].exists(p, p in products_owned)`, "true", "false")
	f(`["P1", "P9"].all(p, p in products_owned)`, "false", "false")
	f(`properties["a b"]`, "7", "absent")
	f(`properties['total'] > 80`, "true", "absent")
	f(`properties.paid ? 1 : 2`, "1", "absent")
	f(`string(last_order)`, `"2025-12-01T00:00:00Z"`, "absent")
	f(`string(properties.total)`, `"80.5"`, "absent")
	f(`double("12.5") * 2`, "25", "25")
}

// TestInterpreted has what falls back; the outcome is the interpreter's own.
func TestInterpreted(t *testing.T) {
	w := newWorld()
	env := w.env(ada())
	f := func(src, want, why string) {
		t.Helper()
		x, err := Compile(src, w.scope, AnyType)
		if err != nil {
			t.Errorf("%s: %v", src, err)
			return
		}
		if !x.Interpreted || !strings.Contains(x.Why, why) {
			t.Errorf("%s: interpreted %v, why %q", src, x.Interpreted, x.Why)
		}
		if got := show(x, env); got != want {
			t.Errorf("%s: got %s, want %s", src, got, want)
		}
		if !reflect.DeepEqual(x.Attributes, x.Coarse) || len(x.Atoms) > 0 {
			t.Errorf("%s: attributes %v, coarse %v, atoms %v", src, x.Attributes, x.Coarse, x.Atoms)
		}
	}
	f(`products_owned.exists(p, p.startsWith("P"))`, "true", "the loop")
	f(`size(products_owned.filter(p, p != "P1")) == 1`, "true", "the loop")
	f(`interests.exists(k, interests[k] > 3)`, "true", "the loop")
	f(`products_owned.exists_one(p, p == "P1")`, "true", "the loop")
	f(`properties.tags.map(t, t + "!")[1]`, `"sale!"`, "")
	f(`double(traits.plan) > 1`, "absent", "read as a double")
	f(`timestamp(city) > now`, "absent", "read as a timestamp")
	f(`double(city + "1") > 1`, "absent", "read as a double")
	f(`["P1", "P2", "P3", "P4", "P5", "P6", "P7", "P8"].exists(p, ["a", "b", "c", "d", "e", "f", "P1"].exists(q, p == q && p in products_owned))`, "true", "the loop")
	f(`recent[0]`, `"b"`, "recent")
	f(`recent == ["b", "a"]`, "true", "whole")
	f(`products_owned.exists(orders, orders == "P1") && orders > 4`, "true", "the loop")
	f(`products_owned.all(p, products_owned.all(q, p == q || p != q)) && lifetime_value > 1`, "true", "the loop")
}

func TestErrors(t *testing.T) {
	w := newWorld()
	f := func(src string, want Type, line, column int, message, hint string) {
		t.Helper()
		_, err := Compile(src, w.scope, want)
		if err == nil {
			t.Errorf("%s: no error, want %q", src, message)
			return
		}
		if err.Line != line || err.Column != column || err.Message != message || !strings.Contains(err.Hint, hint) || (hint == "") != (err.Hint == "") {
			t.Errorf("%s:\n got %d:%d %s | %s\nwant %d:%d %s | %s", src, err.Line, err.Column, err.Message, err.Hint, line, column, message, hint)
		}
	}
	f(`lifetime_vale > 2000`, BoolType, 1, 1, "unknown name `lifetime_vale`; did you mean `lifetime_value`?", "")
	f("orders > 1 &&\n  properties.totl > 3", BoolType, 2, 3, "unknown field `properties.totl`; did you mean `properties.total`?", "")
	f(`properties.zzz == 1`, BoolType, 1, 1, "unknown field `properties.zzz`", "")
	f(`consent.add`, BoolType, 1, 1, "unknown purpose `consent.add`; did you mean `consent.ads`?", "")
	f(`consent`, BoolType, 1, 1, "`consent` needs a purpose: consent.NAME", "consent.ads")
	f(`properties.total == "12"`, BoolType, 1, 1, "cannot compare a number with a string: `properties.total == \"12\"`", "without quotes")
	f(`orders > 1 && "12" < properties.total`, BoolType, 1, 15, "cannot compare a string with a number: `\"12\" < properties.total`", "without quotes")
	f(`last_order > "2026-01-01"`, BoolType, 1, 1, "cannot compare a time with a string: `last_order > \"2026-01-01\"`", "timestamp(")
	f(`now - last_order > 30`, BoolType, 1, 1, "cannot compare a duration with a number: `now - last_order > 30`", "duration(")
	f(`orders && vip`, BoolType, 1, 1, "`orders` is a number where a condition is needed", "compare")
	f(`!orders`, BoolType, 1, 1, "`!` needs a condition, not a number: `!orders`", "")
	f(`city + orders == "x"`, BoolType, 1, 1, "cannot add a string and a number: `city + orders`", "string(x)")
	f(`lower(orders) == "x"`, BoolType, 1, 1, "`lower` cannot take a number: `lower(orders)`", "lower(string)")
	f(`uppercase(city) == "x"`, BoolType, 1, 1, "unknown function `uppercase`", "there are abs, all, coalesce, contains, ")
	f(`lowr(city) == "x"`, BoolType, 1, 1, "unknown function `lowr`; did you mean `lower`?", "lower(string)")
	f(`orders in products_owned`, BoolType, 1, 1, "cannot look for a number in a set or list of strings: `orders in products_owned`", "")
	f(`"x" in city`, BoolType, 1, 1, "`in` needs a set, a tally or a list on its right, not a string: `\"x\" in city`", "contains")
	f(`orders`, BoolType, 1, 1, "a condition is needed here, and `orders` is a number", "compare")
	f(`vip`, NumberType, 1, 1, "a number is needed here, and `vip` is a condition", "")
	f(`products_owned`, AnyType, 1, 1, "a single value is needed here, and `products_owned` is a set or list of strings", "")
	f(`vip ? 1 : "x"`, AnyType, 1, 1, "both outcomes of `? :` must be of one type, not a number and a string: `vip ? 1 : \"x\"`", "")
	f(`orders.foo > 1`, BoolType, 1, 1, "`orders` is a number: it has no fields to select with a dot", "")
	f(`orders = 1`, BoolType, 1, 8, "unexpected `=`", "==")
	f(`orders > 1 and vip`, BoolType, 1, 12, "unexpected `and`", "&&")
	f(`orders between 1 and 5`, BoolType, 1, 8, "unexpected `between`", "write x >= 1 && x <= 5 for between")
	f(`(orders > 1`, BoolType, 1, 12, "the expression ends too early", "( is not closed")
	f(`orders >`, BoolType, 1, 9, "the expression ends too early", "")
	f(``, BoolType, 1, 1, "the expression is empty", "")
	f(strings.Repeat("(", 200)+"1"+strings.Repeat(")", 200), AnyType, 1, 1, "the expression nests too deep", "derived")
	f("1"+strings.Repeat("+1", 200), AnyType, 1, 1, "the expression nests too deep", "derived")
	f(strings.Repeat(" ", MaxSource)+"1", AnyType, 1, 1, "the expression has 4097 bytes; at most 4096 are allowed", "derived")
	f(`orders == 12345678901234567`, BoolType, 1, 11, "`12345678901234567` is too large: numbers are exact up to 9007199254740992", "quotes")
	f(`orders == null || {"a": 1} == {"a": 1}`, BoolType, 1, 19, "maps cannot be written in an expression", "")
	f(`duration("3 days") < now - time`, BoolType, 1, 10, "a duration is written like \"36h\", \"2d\", \"1w\", \"90m\" or \"1h30m\": `\"3 days\"`", "")
	f(`time.getHours("Asia/Tokio") > 3`, BoolType, 1, 15, "a zone is a name such as \"Europe/Berlin\", or an offset from UTC such as \"+09:00\": `\"Asia/Tokio\"`", "did you mean \"Asia/Tokyo\"?")
	f(`time.getHours("berlin") > 3`, BoolType, 1, 15, "a zone is a name such as \"Europe/Berlin\", or an offset from UTC such as \"+09:00\": `\"berlin\"`", "did you mean \"Europe/Berlin\"?")
	f(`time.getHours("+9") > 3`, BoolType, 1, 15, "a zone is a name such as \"Europe/Berlin\", or an offset from UTC such as \"+09:00\": `\"+9\"`", "")
	f(`city.matches("(")`, BoolType, 1, 14, "the pattern is not a regular expression: missing closing ): `(`: `\"(\"`", "RE2")
	f(`city.matches("a{900}b{900}c{900}")`, BoolType, 1, 14, "the pattern has 2702 steps; at most 2000 are allowed: `\"a{900}b{900}c{900}\"`", "RE2")
	f(`city.matches(traits.plan)`, BoolType, 1, 14, "the pattern of `matches` must be written out: `city.matches(traits.plan)`", "any time")
	f(`products_owned.exists(p, p.matches("["))`, BoolType, 1, 36, "the pattern is not a regular expression: missing closing ]: `[`: `\"[\"`", "RE2")
	f(`properties["a.b"] > 1`, BoolType, 1, 1, "the name of a field must be written out, and have no dot in it: `properties[\"a.b\"]`", "")
	f(`properties[city] > 1`, BoolType, 1, 1, "the name of a field must be written out, and have no dot in it: `properties[city]`", "")
	f(`contains(city, "x")`, BoolType, 1, 1, "`contains` cannot take a string and a string: `contains(city, \"x\")`", "string.contains(string)")
	f(`products_owned.contains("P1")`, BoolType, 1, 1, "`contains` cannot take a set or list of strings and a string: `products_owned.contains(\"P1\")`", "`in`")
	f(`latest(products_owned) == "a"`, BoolType, 1, 1, "`latest` works on an attribute that is a list: `latest(products_owned)`", "")
	f(`favourite == "x"`, BoolType, 1, 1, "`favourite` is a function: write favourite(tally)", "")
	f(`vip < lapsed`, BoolType, 1, 1, "conditions have no order: `vip < lapsed`", "")
	f(`orders - vip`, AnyType, 1, 1, "cannot subtract a condition from a number: `orders - vip`", "")
	f(`size(orders) > 1`, BoolType, 1, 1, "`size` cannot take a number: `size(orders)`", "size(x)")
	f(`orders.exists(x, x > 1)`, BoolType, 1, 1, "`orders` is a number: only sets, tallies and lists can be looped over", "")
	f(`orders in [1, "a"]`, BoolType, 1, 15, "`\"a\"` is a string where a number is needed", "")
	f(`lower()`, AnyType, 1, 1, "`lower` cannot take nothing: `lower()`", "lower(string)")

	f(strings.Repeat("a ", 2000), BoolType, 1, 3, "unexpected `a`", "")

	w.scope.Event, w.scope.Item = false, false
	f(`properties.total > 3`, BoolType, 1, 1, "`properties.total` belongs to an event, and there is no event here", "attribute")
	f(`type == "x"`, BoolType, 1, 1, "`type` belongs to an event, and there is no event here", "attribute")
	w.scope.Event = true
	f(`item.price > 3`, BoolType, 1, 1, "`item.price` is an element of an array, and there is no each here", "each")
}

func TestDependencies(t *testing.T) {
	w := newWorld()
	f := func(src string, attributes, coarse []int, atoms []Atom, flags string) {
		t.Helper()
		x, err := Compile(src, w.scope, BoolType)
		if err != nil {
			t.Errorf("%s: %v", src, err)
			return
		}
		got := ""
		if x.UsesNow {
			got += "now "
		}
		if x.UsesEvent {
			got += "event "
		}
		got += fmt.Sprint(x.Audiences, x.Purposes)
		if !reflect.DeepEqual(x.Attributes, attributes) || !slices.Equal(x.Coarse, coarse) || !reflect.DeepEqual(x.Atoms, atoms) || got != flags {
			t.Errorf("%s: attributes %v coarse %v atoms %v %s", src, x.Attributes, x.Coarse, x.Atoms, got)
		}
	}
	f(`lifetime_value > 2 * 1000`, []int{0}, nil, []Atom{{0, 2000}}, "[] []")
	f(`100 <= lifetime_value && orders == 1 || lifetime_value < 50`, []int{0, 1}, nil, []Atom{{0, 50}, {0, 100}, {1, 1}}, "[] []")
	f(`coalesce(lifetime_value, 0) > 5`, []int{0}, nil, []Atom{{0, 5}}, "[] []")
	f(`last_order > timestamp("1970-01-02")`, []int{2}, nil, []Atom{{2, 86400000}}, "[] []")
	f(`now - last_order > duration("1d") && vip && consent.mail`, []int{2}, []int{2}, nil, "now [0] [1]")
	f(`last_order < now`, []int{2}, []int{2}, nil, "now [] []")
	f(`lifetime_value > 1 && lifetime_value + 1 > orders`, []int{0, 1}, []int{0, 1}, nil, "[] []")
	f(`basket > 1 && orders > 3`, []int{0, 1}, []int{0, 1}, nil, "[] []")
	f(`"P1" in products_owned && properties.total > 1`, []int{5}, nil, nil, "event [] []")
	f(`known(lifetime_value) && orders >= 2`, []int{0, 1}, []int{0}, []Atom{{1, 2}}, "[] []")
	f(`member`, []int{4}, []int{4}, nil, "[] []")
	f(`interests["a"] > 1 && city == "x"`, []int{3, 6}, []int{3}, nil, "[] []")
	f(`interests["a"] > 1 && size(interests) > 2`, []int{6}, []int{6}, nil, "[] []")
	f(`lapsed || vip`, nil, nil, nil, "[0 70] []")
}

// TestKeys: elements that are asked for by a constant name, unless the whole is read too.
func TestKeys(t *testing.T) {
	w := newWorld()
	f := func(src string, keys ...Key) {
		t.Helper()
		x, err := Compile(src, w.scope, BoolType)
		if err != nil || !slices.Equal(x.Keys, keys) {
			t.Errorf("%s: %v %v", src, x, err)
		}
	}
	f(`"P2" in products_owned || !("P1" in products_owned) || "P2" in products_owned`, Key{5, "P1"}, Key{5, "P2"})
	f(`interests["a"] > 1 && interests.b > interests["a"] && has(interests.c)`, Key{6, "a"}, Key{6, "b"}, Key{6, "c"})
	f(`interests["a"] > 1 && favourite(interests) == "a"`)
	f(`city in products_owned`)
	f(`"P1" in products_owned && products_owned.exists(p, p == "P2")`)
}

// TestCost: a loop in a loop in a loop ends, absent.
func TestCost(t *testing.T) {
	w := newWorld()
	v := ada()
	var many []string
	for i := range 300 {
		many = append(many, fmt.Sprint("P", i))
	}
	v.attrs["products_owned"] = many
	x, err := Compile(`products_owned.all(p, products_owned.all(q, products_owned.all(r, p != q || q != r || p == r)))`, w.scope, BoolType)
	if err != nil {
		t.Fatal(err)
	}
	if got := x.Bool(w.env(v)); got != Absent {
		t.Errorf("got %v, want Absent", got)
	}
}

// TestShared runs the same Exprs in several goroutines (I3); the race detector judges.
func TestShared(t *testing.T) {
	w := newWorld()
	var list []*Expr
	for _, src := range []string{
		`lower(traits.plan) + string(orders) == "gold5" && city.matches("K.*") && basket > 1`,
		`products_owned.exists(p, p.startsWith("P")) && interests.exists(k, interests[k] > 3)`,
	} {
		x, err := Compile(src, w.scope, BoolType)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, x)
	}
	var group sync.WaitGroup
	for range 4 {
		env := w.env(ada())
		group.Go(func() {
			for range 200 {
				for _, x := range list {
					if x.Bool(env) != True {
						t.Error("not true")
					}
				}
			}
		})
	}
	group.Wait()
}

func TestNames(t *testing.T) {
	f := func(src string, want ...string) {
		t.Helper()
		if got := Names(src); !reflect.DeepEqual(got, want) {
			t.Errorf("%s: got %v, want %v", src, got, want)
		}
	}
	f(`a.b > c[d] && has(e) && a`, "a", "c", "d", "e")
	f(`owned.exists(p, p == q && owned.all(q, q != p))`, "owned", "q")
	f(`["x", "y"].exists(p, p in owned)`, "owned")
	f(`a >`)
	f(``)
}

func TestAny(t *testing.T) {
	w := newWorld()
	env := w.env(ada())
	f := func(src string, want event.Value) {
		t.Helper()
		x, err := Compile(src, w.scope, AnyType)
		if err != nil {
			t.Fatal(err)
		}
		if got := x.Any(env); !reflect.DeepEqual(got, want) {
			t.Errorf("%s: got %v, want %v", src, got, want)
		}
	}
	f(`orders`, value(5.0))
	f(`vip`, value(false))
	f(`member`, value(true))
	f(`traits.plan`, value("Gold"))
	f(`time`, value(int64(1_767_225_500_000)))
	f(`properties.coupon`, event.Value{})
}

// TestScratch: strings that were built stay what they are until the owner gives the space free (I2).
func TestScratch(t *testing.T) {
	w := newWorld()
	env := w.env(ada())
	x, err := Compile(`traits.plan + string(orders)`, w.scope, StringType)
	if err != nil {
		t.Fatal(err)
	}
	var kept [][]byte
	for range 5000 {
		s, _ := x.Str(env)
		kept = append(kept, s)
	}
	for i, s := range kept {
		if string(s) != "Gold5" {
			t.Fatalf("string %d became %q", i, s)
		}
	}
}

// The guide names every function.
func TestGuideHasFunctions(t *testing.T) {
	text, err := os.ReadFile("../../deploy/recipes/README.md")
	if err != nil {
		t.Fatal(err)
	}
	for name := range functionWords {
		if !regexp.MustCompile("[`.]" + name + `\(`).Match(text) {
			t.Errorf("deploy/recipes/README.md does not name the function %s", name)
		}
	}
}
