package expr

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// Each part with its value, and when it changes.
func TestExplain(t *testing.T) {
	w := timely()
	f := func(src string, want ...string) {
		t.Helper()
		parts, err := Explain(src, w.scope)
		if err != nil {
			t.Fatal(err)
		}
		env := w.env(ada())
		var got []string
		for i := range parts {
			p := &parts[i]
			line := strings.Repeat("  ", p.Depth) + p.Text + " = " + string(p.AppendJSON(nil, env))
			if next := p.Next(env); next != Never {
				line += " until " + time.UnixMilli(next).UTC().Format("2006-01-02T15:04:05.999")
			}
			got = append(got, line)
		}
		if a, b := strings.Join(got, "\n"), strings.Join(want, "\n"); a != b {
			t.Errorf("%s\n%s\nwant\n%s", src, a, b)
		}
	}
	f(`orders > 3 && (now - last_order > duration("40d") || "P1" in products_owned) && !(city == "Rome")`,
		`orders > 3 && (now - last_order > duration("40d") || "P1" in products_owned) ... = true`,
		`  orders > 3 = true`,
		`    orders = 5`,
		`  now - last_order > duration("40d") || "P1" in products_owned = true`,
		`    now - last_order > duration("40d") = false until 2026-01-10T00:00:00.001`,
		`      now - last_order = "31d"`,
		`        now = "2026-01-01T00:00:00Z"`,
		`        last_order = "2025-12-01T00:00:00Z"`,
		`    "P1" in products_owned = true`,
		`      products_owned = ["P1","P3"]`,
		`  !(city == "Rome") = true`,
		`    city == "Rome" = false`,
		`      city = "Kyōto"`)
	f(`known(cart_at)`, `known(cart_at) = false`, `  cart_at = null`)
	f(`recent.exists(p, p == "a")`, `recent.exists(p, p == "a") = true`)
	if _, err := Explain("orders", w.scope); err == nil {
		t.Error("a number was explained")
	}
}

// What costs too much is absent for whoever asks why, as it is for the audience: an explanation that went on would keep a shard's lock.
func TestExplainHasTheLimitOfCost(t *testing.T) {
	w := timely()
	ten := "[1, 2, 3, 4, 5, 6, 7, 8, 9, 10]"
	src := ten + strings.Repeat(".all(a, "+ten, 5) + ".all(a, a > 0)" + strings.Repeat(")", 5) // a million times
	env := w.env(ada())
	x, err := Compile(src, w.scope, BoolType)
	if err != nil {
		t.Fatal(err)
	}
	parts, err := Explain(src, w.scope)
	if err != nil {
		t.Fatal(err)
	}
	if a, b := x.Bool(env), parts[0].Holds(env); a != Absent || b != Absent {
		t.Errorf("the condition is %v, explained %v; want both absent", a, b)
	}
}

// The first part is the condition itself.
func TestExplainAgrees(t *testing.T) {
	w := timely()
	rapid.Check(t, func(t *rapid.T) {
		src := clockwork{t}.bool(rapid.IntRange(0, 3).Draw(t, "depth"))
		x, err := Compile(src, w.scope, BoolType)
		parts, err2 := Explain(src, w.scope)
		if err != nil || err2 != nil {
			if fmt.Sprint(err) != fmt.Sprint(err2) {
				t.Fatalf("%s: %v, explained %v", src, err, err2)
			}
			return
		}
		env := w.env(ada())
		if parts[0].Holds(env) != x.Bool(env) || !parts[0].IsCondition() {
			t.Fatalf("%s: %v, explained %v", src, x.Bool(env), parts[0].Holds(env))
		}
		for i := range parts {
			parts[i].AppendJSON(nil, env)
			parts[i].Next(env)
		}
	})
}
