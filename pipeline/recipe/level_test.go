package recipe

import (
	"math"
	"strings"
	"testing"
)

func TestLevelOf(t *testing.T) {
	f := func(percent float64, want float64, values ...float64) {
		t.Helper()
		l := Level{Percent: percent}
		if got := l.Of(values); got != want && !(math.IsNaN(got) && math.IsNaN(want)) {
			t.Errorf("the top %v %% begin at %v, want %v", percent, got, want)
		}
	}
	f(10, math.NaN())
	f(10, 7, 7)
	f(10, 10, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10)
	f(11, 9, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1)
	f(50, 3, 4, 1, 3, 2)
	f(50, 5, 5, 5, 5, 1)
	f(99.9, 1, 4, 1, 3, 2)
}

func TestTopComparesWithItsLevel(t *testing.T) {
	text := strings.Replace(scoredRecipe, "hot: likely > 0.5", "hot: top(likely, 10) && top(orders, 2.5) || top(likely, 10.0)", 1)
	p, found := Compile(scored(text))
	if p == nil || len(found) > 0 {
		t.Fatal(found)
	}
	if len(p.Levels) != 2 || p.Levels[0].Percent != 10 || p.Levels[1].Percent != 2.5 || p.Levels[0].ID == p.Levels[1].ID || len(p.Audiences[0].Levels) != 2 {
		t.Errorf("%+v, audience %+v", p.Levels, p.Audiences[0])
	}
	x := story(t, p, strings.Repeat(`{"type":"track","event":"Order Completed","userId":"u","timestamp":"2026-01-01T00:00:00Z"}`+"\n", 3))
	f := func(levels []float64, want string) {
		t.Helper()
		x.env.Levels = levels
		if got := x.audiences(p); !strings.Contains(got, want) {
			t.Errorf("levels %v: in %q, want %q", levels, got, want)
		}
	}
	f(nil, "")
	f([]float64{math.NaN(), 1}, "")
	f([]float64{0.5, math.NaN()}, "hot")
	f([]float64{0.99, 1}, "")
	if _, err := p.Condition("top(orders, 2.5)"); err != nil {
		t.Error(err)
	}
	if _, err := p.Condition("top(orders, 3)"); err == nil || !strings.Contains(err.Message, "not kept") {
		t.Errorf("%v", err)
	}
	refuses := func(text, want string) {
		t.Helper()
		if _, found := Compile(scored(strings.Replace(scoredRecipe, "likely > 0.5", text, 1))); len(found) == 0 || !strings.Contains(found[0].String(), want) {
			t.Errorf("%s: %v, want %q", text, found, want)
		}
	}
	refuses("top(plan, 10)", "`plan` is no attribute that is a number")
	refuses("top(likely, 100)", "`100` is no percentage between 0 and 100")
	refuses("top(likely)", "is not an attribute and a number")
	refuses("top(likely + 1.0, 5)", "is not an attribute and a number")
	refuses("top(lykely, 5)", "`lykely` is no attribute")
	other := strings.Replace(scoredRecipe, "value: likely * 100", "value: 'top(likely, 10) ? 1.0 : 0.0'", 1)
	if _, found := Compile(scored(other)); len(found) == 0 || !strings.Contains(found[0].Message, "compares people with each other") {
		t.Errorf("%v", found)
	}
}
