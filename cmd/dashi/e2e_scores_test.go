package main_test

import (
	"math"
	"os"
	"path/filepath"
	"testing"
)

const scoreModel = `{"format":"dashi logistic 1","intercept":-1,"terms":[
 {"input":"orders","mean":1,"scale":2,"weight":3},
 {"input":"plan","word":"paid","mean":0.5,"scale":0.5,"weight":1}]}`

const scoreRecipe = `
recipe: scored
attributes:
  orders: {kind: count, on: Order Completed}
  plan: {kind: last, on: identify, value: traits.plan}
  likely: {kind: score, model: buy.json}
audiences:
  hot: likely > 0.5
`

// A score through each door of a node: its value, what made it so, and the rows that the next model is trained on.
func TestScoreDoors(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{"buy.json": scoreModel, "scored.yml": scoreRecipe} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	n := newNode(t, "--demo", "0", "--recipes", filepath.Join(dir, "scored.yml"))
	n.start()
	n.ask(200, "POST", "/v1/identify", `{"userId":"ada","traits":{"plan":"paid"},"timestamp":"2026-01-01T09:00:00Z"}`)
	for _, at := range []string{"02", "03", "09"} {
		n.track(`{"userId":"ada","event":"Order Completed","timestamp":"2026-01-` + at + `T09:00:00Z"}`)
	}
	n.idle()
	has(t, "get --why", n.must("get", "user_id:ada", "--why"), "likely  0.952574  (logistic)", "+3.0000  ++++++++++  orders = 3", `+1.0000  +++         plan = "paid"`, "+3.0000  in all (log-odds)")
	a := decode[struct {
		Profile string
		Scores  []struct {
			Score       string
			Value, Base float64
			Factors     []struct {
				Input string
				Adds  float64
			}
		}
	}](t, n.ask(200, "GET", "/v1/profiles/user_id:ada/scores", ""))
	if s := a.Scores[0]; a.Profile != "user_id:ada" || s.Score != "likely" || math.Abs(s.Value-1/(1+math.Exp(-3))) > 1e-12 || s.Base != -1 || s.Factors[0].Input != "orders" || s.Factors[0].Adds != 3 {
		t.Errorf("%+v", a)
	}
	n.ask(404, "GET", "/v1/profiles/user_id:bob/scores", "")
	n.ask(400, "GET", "/v1/profiles/bob/scores", "")

	rows := filepath.Join(dir, "rows.csv")
	has(t, "features", n.must("features", "--topic", "dashi.events", "--score", "likely", "--label-event", "Order Completed", "--every", "1d", "--within", "2d", "--out", rows),
		"6 rows of 2 features, from 4 events; true in 2", "next: dashi train "+rows+" --label label --words plan")
	text, err := os.ReadFile(rows)
	if want := "orders,plan,label\n,paid,true\n1,paid,true\n2,paid,false\n2,paid,false\n2,paid,false\n2,paid,false\n"; err != nil || string(text) != want {
		t.Errorf("%v, %s, want %s", err, text, want)
	}
}
