package recipe

import (
	"math"
	"os"
	"slices"
	"strings"
	"testing"

	"dashi/pipeline/audience"
	"dashi/pipeline/expr"
)

const logisticModel = `{"format":"dashi logistic 1","intercept":-1,"terms":[
 {"input":"orders","mean":1,"scale":2,"weight":3},
 {"input":"vip","mean":0,"scale":1,"weight":0.5},
 {"input":"plan","word":"paid","mean":0.5,"scale":0.5,"weight":1}]}`

const scoredRecipe = `
recipe: scored
attributes:
  orders: {kind: count, on: Order Completed}
  plan: {kind: last, on: identify, value: traits.plan}
  likely: {kind: score, model: models/buy.json, inputs: {vip: orders > 3}}
  percent: {kind: derived, value: likely * 100}
audiences:
  hot: likely > 0.5
  warm: percent > 20.0 && likely <= 0.5
`

func scored(text string) []Source {
	return []Source{{Name: "shop/scored.yml", Text: []byte(text)}, {Name: "shop/models/buy.json", Text: []byte(logisticModel)}}
}

func TestScoreAttribute(t *testing.T) {
	p, found := Compile(scored(scoredRecipe))
	if p == nil || len(found) > 0 {
		t.Fatal(found)
	}
	likely := p.Attributes[slices.IndexFunc(p.Attributes, func(a Attribute) bool { return a.Name == "likely" })]
	f := func(messages string, want float64, audiences string) {
		t.Helper()
		x := story(t, p, messages)
		got, ok := likely.Num(&x.env)
		if !ok || math.Abs(got-want) > 1e-12 || x.audiences(p) != audiences {
			t.Errorf("score %v, %v, want %v; in %q, want %q", got, ok, want, x.audiences(p), audiences)
		}
		factors, base := likely.Score.Factors(nil, &x.env)
		if sum := base + factors[0] + factors[1] + factors[2]; math.Abs(1/(1+math.Exp(-sum))-got) > 1e-12 {
			t.Errorf("factors %v from %v are not the score %v", factors, base, got)
		}
		if n := testing.AllocsPerRun(100, func() { likely.Num(&x.env) }); n > 0 {
			t.Errorf("a score allocates %v times", n)
		}
	}
	logistic := func(z float64) float64 { return 1 / (1 + math.Exp(-z)) }
	order := `{"type":"track","event":"Order Completed","userId":"u","timestamp":"2026-01-01T00:00:00Z"}` + "\n"
	plan := `{"type":"identify","userId":"u","timestamp":"2026-01-01T00:00:00Z","traits":{"plan":"paid"}}` + "\n"
	f(plan, logistic(-1+1), "warm") // nothing was ordered: the count is missing, which stands for its mean
	f(order, logistic(-1+0-1), "")
	f(order+order+order+plan, logistic(-1+3+1), "hot")
	f(strings.Repeat(order, 4), logistic(-1+4.5+0.5-1), "hot")
}

func TestScoreDefinition(t *testing.T) {
	definition := func(sources []Source) uint64 {
		t.Helper()
		p, found := Compile(sources)
		if p == nil {
			t.Fatal(found)
		}
		return p.Attributes[2].Definition
	}
	other := scored(scoredRecipe)
	other[1].Text = []byte(strings.Replace(logisticModel, `"weight":3`, `"weight":4`, 1))
	base := definition(scored(scoredRecipe))
	if base == definition(other) || base == definition(scored(strings.Replace(scoredRecipe, "orders > 3", "orders > 4", 1))) {
		t.Error("another model or input, the same definition")
	}
	if base != definition(scored(strings.Replace(scoredRecipe, "likely > 0.5", "likely > 0.6", 1))) {
		t.Error("another audience, another definition")
	}
}

func TestScoreRefuses(t *testing.T) {
	f := func(change, to, want string) {
		t.Helper()
		p, found := Compile(scored(strings.Replace(scoredRecipe, change, to, 1)))
		if p != nil || !strings.Contains(found[0].String(), want) {
			t.Errorf("%s: %v, want %q", to, found, want)
		}
	}
	f("models/buy.json", "models/sell.json", "scored.yml:6:32: error: there is no model `models/sell.json`")
	f("models/buy.json", "models/buy.pkl", "ends neither in .json nor in .txt")
	f("{vip: orders > 3}", "{vip: plan}", "input `vip` of `likely` is a string; wanted: a number or a condition")
	f("{vip: orders > 3}", "{vip: orders > 3, plan: orders}", "wanted: a string, one of paid")
	f("{vip: orders > 3}", "{vpi: orders > 3}", "nothing says what the input `vip` of the model is")
	f("{vip: orders > 3}", "{vip: orders > 3, plam: plan}", "the model has no input `plam` (did you mean `plan`?)")
	f("{vip: orders > 3}", "{vip: percent > 3.0}", "reads itself")
	broken := scored(scoredRecipe)
	broken[1].Text = []byte("{}")
	if p, found := Compile(broken); p != nil || !strings.Contains(found[0].String(), "cannot be used") {
		t.Errorf("%v", found)
	}
	if p, found := Compile([]Source{{Name: "a.yml", Text: []byte("recipe: a\n")}, {Name: "m.json", Text: []byte(logisticModel)}}); p == nil || len(found) != 1 || !strings.Contains(found[0].Message, "no recipe uses") {
		t.Errorf("%v", found)
	}
	if got := DataFiles(scored(scoredRecipe)[0]); !slices.Equal(got, []string{"shop/models/buy.json"}) {
		t.Errorf("models %v", got)
	}
}

// A score over a window changes when the window does, and an audience of it is woken then. One over now cannot be.
func TestScoreAndTime(t *testing.T) {
	text := strings.Replace(scoredRecipe, "{kind: count, on: Order Completed}", "{kind: count, on: Order Completed, window: 7d}", 1)
	p, found := Compile(scored(text))
	if p == nil || len(found) > 0 {
		t.Fatal(found)
	}
	hot := p.Audiences[slices.IndexFunc(p.Audiences, func(a audience.Definition) bool { return a.Name == "hot" })]
	if hot.Next == nil {
		t.Error("nobody is woken when the score's window moves")
	}
}

func TestScoreByTrees(t *testing.T) {
	trees, err := os.ReadFile("../score/testdata/lightgbm_poisson.txt")
	if err != nil {
		t.Fatal(err)
	}
	recipe := "recipe: trees\nattributes:\n  n: {kind: count, on: A}\n  amount:\n    kind: score\n    model: m.txt\n    inputs: {"
	for i := range 8 {
		recipe += "Column_" + string(rune('0'+i)) + ": n,"
	}
	p, found := Compile([]Source{{Name: "t.yml", Text: []byte(recipe + "}\n")}, {Name: "m.txt", Text: trees}})
	if p == nil || len(found) > 0 {
		t.Fatal(found)
	}
	x := story(t, p, `{"type":"track","event":"A","userId":"u"}`)
	if v, ok := p.Attributes[1].Num(&x.env); !ok || v <= 0 {
		t.Errorf("%v %v", v, ok)
	}
}

// Two thresholds: whoever is in stays in between them, and so does whoever is out.
func TestEnterAndLeave(t *testing.T) {
	text := strings.Replace(scoredRecipe, "  hot: likely > 0.5\n", "  hot: {enter: orders >= 4, leave: orders < 2}\n  cold: \"!hot\"\n", 1)
	p, found := Compile(scored(text))
	if p == nil || len(found) > 0 {
		t.Fatal(found)
	}
	hot := slices.IndexFunc(p.Audiences, func(a audience.Definition) bool { return a.Name == "hot" })
	order := `{"type":"track","event":"Order Completed","userId":"u","timestamp":"2026-01-01T00:00:00Z"}` + "\n"
	f := func(orders int, was, want bool) {
		t.Helper()
		x := story(t, p, strings.Repeat(order, orders+1))
		if bits := audience.Bits(x.env.Audiences); was {
			bits.Set(hot)
		}
		if got := p.Audiences[hot].Condition(&x.env) == expr.True; got != want {
			t.Errorf("%d orders, in: %v; then in: %v, want %v", orders+1, was, got, want)
		}
	}
	f(0, false, false)
	f(0, true, false)
	f(1, false, false)
	f(1, true, true)
	f(2, false, false)
	f(2, true, true)
	f(3, false, true)
	f(3, true, true)
	if parts, err := p.Explain(hot); err != nil || len(parts) < 4 {
		t.Errorf("explained as %v, %v", parts, err)
	}
	refuses := func(text, want string) {
		t.Helper()
		if _, found := Compile(scored(strings.Replace(scoredRecipe, "hot: likely > 0.5", text, 1))); len(found) == 0 || !strings.Contains(found[0].String(), want) {
			t.Errorf("%s: %v, want %q", text, found, want)
		}
	}
	refuses("hot: {enter: likely > 0.5}", "audience `hot` does not say who is in (write `when: CONDITION`, or `enter: CONDITION` and `leave: CONDITION`)")
	refuses("hot: {emit: none}", "does not say who is in")
	refuses("hot: {when: likely > 0.5, leave: likely < 0.2}", "has `when` and `enter` or `leave`")
	refuses("hot: {enter: likely > 0.5, leave: \"!hot\"}", "reads itself")
	refuses("hot: {enter: likely > 0.5, leave: lykely < 0.2}", "`leave` of `hot`: unknown name `lykely`")
}
