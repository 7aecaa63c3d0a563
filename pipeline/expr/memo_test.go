package expr

import (
	"testing"

	"pgregory.net/rapid"
)

// What is remembered of derived attributes is what they are, and is forgotten when the profile or the clock is another.
func TestRemember(t *testing.T) {
	w := timely()
	rapid.Check(t, func(t *rapid.T) {
		var list []*Expr
		for range rapid.IntRange(1, 4).Draw(t, "conditions") {
			if x, err := Compile(clockwork{t}.bool(2), w.scope, BoolType); err == nil && x.Unscheduled == nil {
				list = append(list, x)
			}
		}
		memos, last := make([]Memo, 64), uint64(0)
		for range rapid.IntRange(1, 4).Draw(t, "passes") {
			near := rapid.Int64Range(-3000, 3000)
			env := w.env(values{now: noon + near.Draw(t, "now"), attrs: map[string]any{"orders": 1.0, "last_order": noon + near.Draw(t, "last_order")}})
			type outcome struct {
				truth Truth
				next  int64
			}
			all := func() (got []outcome) {
				for _, x := range list {
					o := outcome{truth: x.Bool(env)}
					if x.Next != nil {
						o.next = x.Next(env)
					}
					got = append(got, o)
				}
				return got
			}
			want := all()
			env.Memos, env.last = memos, last
			env.Remember()
			got := all()
			last = env.last
			env.Forget()
			for i := range list {
				if got[i] != want[i] {
					t.Fatalf("condition %d: %+v, want %+v", i, got[i], want[i])
				}
			}
		}
	})
}

func TestDerivedIsComputedOnce(t *testing.T) {
	w, computed := newWorld(), 0
	a := w.scope.Attributes["basket"]
	a.Num = func(*Env) (float64, bool) { computed++; return 1, true }
	w.scope.Attributes["basket"] = a
	x, err := Compile("basket > 0 && basket < 2", w.scope, BoolType)
	if err != nil {
		t.Fatal(err)
	}
	env := &Env{Memos: make([]Memo, 20)}
	for pass := 1; pass <= 2; pass++ {
		env.Remember()
		for range 2 {
			if x.Bool(env) != True {
				t.Error("it does not hold")
			}
		}
		env.Forget()
		if computed != pass {
			t.Errorf("computed %d times after pass %d", computed, pass)
		}
	}
	if x.Bool(env); computed != 4 {
		t.Errorf("computed %d times without Remember", computed-2)
	}
}
