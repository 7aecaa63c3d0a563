package main

import (
	"bufio"
	"compress/gzip"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"dashi/pipeline/score"
)

const shopperRecipe = `
recipe: shoppers
fields:
  properties.pages: number
  properties.seconds: number
  properties.bounce: number
  properties.exit: number
  properties.page_value: number
  properties.special_day: number
  traits.month: string
  traits.system: string
  traits.browser: string
  traits.region: string
  traits.traffic: string
  traits.visitor: string
  traits.weekend: bool
attributes:
  administrative: {kind: sum, on: Administrative Viewed, value: properties.pages}
  administrative_s: {kind: sum, on: Administrative Viewed, value: properties.seconds}
  informational: {kind: sum, on: Informational Viewed, value: properties.pages}
  informational_s: {kind: sum, on: Informational Viewed, value: properties.seconds}
  products: {kind: sum, on: Product Viewed, value: properties.pages}
  products_s: {kind: sum, on: Product Viewed, value: properties.seconds}
  bounce: {kind: max, on: Visit Measured, value: properties.bounce}
  exit: {kind: max, on: Visit Measured, value: properties.exit}
  page_value: {kind: max, on: Visit Measured, value: properties.page_value}
  special_day: {kind: max, on: Visit Measured, value: properties.special_day}
  month: {kind: last, on: identify, value: traits.month}
  system: {kind: last, on: identify, value: traits.system}
  browser: {kind: last, on: identify, value: traits.browser}
  region: {kind: last, on: identify, value: traits.region}
  traffic: {kind: last, on: identify, value: traits.traffic}
  visitor: {kind: last, on: identify, value: traits.visitor}
  weekend: {kind: last, on: identify, value: traits.weekend}
`

// shoppers writes each session as events of a visitor, half a minute apart; then what is later than the label's instant: the purchase, and
// another visit, which would give it away. It returns how many there are.
func shoppers(t *testing.T, rows, events, labels string) (sessions int) {
	t.Helper()
	file, err := os.Open(rows)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	z, err := gzip.NewReader(file)
	if err != nil {
		t.Fatal(err)
	}
	all, err := csv.NewReader(z).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	var out, asked strings.Builder
	asked.WriteString("identifier,at,label\n")
	for n, row := range all[1:] {
		at := time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC).Add(time.Duration(n) * time.Minute)
		next := func() string { at = at.Add(30 * time.Second); return at.Format(time.RFC3339) }
		visit := func(name, properties string) {
			fmt.Fprintf(&out, `{"type":"track","event":%q,"userId":"s%d","timestamp":%q,"properties":{%s}}`+"\n", name, n, next(), properties)
		}
		pages := func(name string, column int) {
			visit(name, fmt.Sprintf(`"pages":%s,"seconds":%s`, row[column], row[column+1]))
		}
		measured := func(row []string) {
			visit("Visit Measured", fmt.Sprintf(`"bounce":%s,"exit":%s,"page_value":%s,"special_day":%s`, row[6], row[7], row[8], row[9]))
		}
		fmt.Fprintf(&out, `{"type":"identify","userId":"s%d","timestamp":%q,"traits":{"month":%q,"system":%q,"browser":%q,"region":%q,"traffic":%q,"visitor":%q,"weekend":%s}}`+"\n",
			n, next(), row[10], row[11], row[12], row[13], row[14], row[15], strings.ToLower(row[16]))
		pages("Administrative Viewed", 0)
		pages("Informational Viewed", 2)
		pages("Product Viewed", 4)
		measured(row)
		fmt.Fprintf(&asked, "user_id:s%d,%s,%s\n", n, next(), strings.ToLower(row[17]))
		if strings.EqualFold(row[17], "true") {
			measured([]string{6: "0", "0", "9999", "0"})
		} else {
			visit("Product Viewed", `"pages":1000,"seconds":1`)
		}
	}
	for name, text := range map[string]string{events: out.String(), labels: asked.String()} {
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return len(all) - 1
}

// From events to a score in the stream: features as of the labels' instants, a model trained on them, and the score that the recipe computes with it, which
// is that of the rows.
func TestFeaturesTrainScore(t *testing.T) {
	data := "../../../shared/data/online_shoppers_intention.csv.gz"
	if _, err := os.Stat(data); err != nil {
		t.Skipf("the data is not there: %v", err)
	}
	dir := t.TempDir()
	in := func(name string) string { return filepath.Join(dir, name) }
	if err := os.WriteFile(in("shop.yml"), []byte(shopperRecipe), 0o644); err != nil {
		t.Fatal(err)
	}
	sessions := shoppers(t, data, in("events.jsonl"), in("labels.csv"))
	out, _ := mustDashi(t, "features", in("events.jsonl"), "--recipes", in("shop.yml"), "--labels", in("labels.csv"), "--out", in("rows.csv"))
	if !strings.Contains(out, fmt.Sprint(sessions, " rows of 17 features")) || !strings.Contains(out, "--words month,system,browser,region,traffic,visitor --out") {
		t.Error(out)
	}
	out, _ = mustDashi(t, "train", in("rows.csv"), "--label", "label", "--words", "month,system,browser,region,traffic,visitor", "--out", in("buy.json"), "-o", "json")
	var report score.TrainReport
	if err := json.Unmarshal([]byte(out), &report); err != nil {
		t.Fatal(err)
	}
	t.Logf("%+v", report)
	if report.Rows+report.HeldRows != sessions || report.HeldRows < sessions/6 || report.AUC < 0.88 || report.AUC > 0.95 { // more would be the future
		t.Errorf("%+v", report)
	}
	if err := os.WriteFile(in("shop.yml"), []byte(shopperRecipe+"  likely: {kind: score, model: buy.json}\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	again := []string{"features", in("events.jsonl"), "--recipes", in("shop.yml"), "--labels", in("labels.csv")}
	mustDashi(t, append(again, "--attributes", "likely", "--out", in("stream.csv"))...)
	mustDashi(t, append(again, "--score", "likely", "--keys", "--out", in("inputs.csv"))...)
	compareScores(t, in("buy.json"), in("rows.csv"), in("stream.csv"), sessions)
	rows, inputs := readLines(t, in("rows.csv")), readLines(t, in("inputs.csv"))
	if rows[1] != strings.SplitN(inputs[1], ",", 3)[2] || !strings.HasPrefix(inputs[1], "user_id:s0,2025-01-01T00:03:00.000Z,") {
		t.Errorf("inputs of the score %s\nfeatures %s", inputs[1], rows[1])
	}
}

func readLines(t *testing.T, path string) (lines []string) {
	t.Helper()
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	for s := bufio.NewScanner(file); s.Scan(); {
		lines = append(lines, s.Text())
	}
	return lines
}

// compareScores compares what the model says of the rows with what the recipe said in the stream.
func compareScores(t *testing.T, model, rows, stream string, want int) {
	t.Helper()
	text, err := os.ReadFile(model)
	if err != nil {
		t.Fatal(err)
	}
	m, err := score.Load(text)
	if err != nil {
		t.Fatal(err)
	}
	batch, live := readLines(t, rows), readLines(t, stream)
	if len(batch) != want+1 || len(live) != want+1 {
		t.Fatalf("%d and %d lines, want %d", len(batch), len(live), want+1)
	}
	column := map[string]int{}
	for i, name := range strings.Split(batch[0], ",") {
		column[name] = i
	}
	x := make([]float64, len(m.Inputs()))
	worst := 0.0
	for n := 1; n <= want; n++ {
		cells := strings.Split(batch[n], ",")
		for i := range x {
			input := &m.Inputs()[i]
			switch cell := cells[column[input.Name]]; {
			case input.Words != nil:
				x[i] = input.WordValue([]byte(cell))
			case cell == "":
				x[i] = math.NaN()
			case cell == "true" || cell == "false":
				x[i] = map[string]float64{"true": 1}[cell]
			default:
				if x[i], err = strconv.ParseFloat(cell, 64); err != nil {
					t.Fatal(err)
				}
			}
		}
		got, err := strconv.ParseFloat(strings.Split(live[n], ",")[0], 64)
		if err != nil {
			t.Fatal(err)
		}
		worst = max(worst, math.Abs(got-m.Score(x)))
	}
	t.Logf("largest difference %.2g", worst)
	if worst > 1e-9 {
		t.Errorf("the score in the stream differs by %v", worst)
	}
}

// The events of a file make the labels.
func TestFeaturesByEvent(t *testing.T) {
	dir := t.TempDir()
	var lines strings.Builder
	for day := 1; day < 20; day++ {
		for who := range 4 {
			if day%(who+2) == 0 {
				fmt.Fprintf(&lines, `{"type":"track","event":"Order Completed","userId":"u%d","timestamp":"2026-01-%02dT09:00:00Z","properties":{"total":10}}`+"\n", who, day)
			}
		}
	}
	events, rows := filepath.Join(dir, "e.jsonl"), filepath.Join(dir, "rows.csv")
	recipe := filepath.Join(dir, "r.yml")
	for name, text := range map[string]string{events: lines.String() + "no event\n", recipe: "recipe: r\nattributes:\n  orders: {kind: count, on: Order Completed}\n"} {
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	out, _ := mustDashi(t, "features", events, "--recipes", recipe, "--label-event", "Order Completed", "--every", "1d", "--within", "3d", "--out", rows)
	if got := readLines(t, rows); len(got) < 20 || got[0] != "orders,label" || !strings.Contains(out, "; true in ") || !strings.Contains(out, "no event in 1 line: malformed") {
		t.Errorf("%s%q", out, got)
	}
	f := func(want string, args ...string) {
		t.Helper()
		if _, _, err := dashi(t, append([]string{"features", "--recipes", recipe, "--out", rows}, args...)...); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: %v, want %q", args, err, want)
		}
	}
	f("no events", "--label-event", "x")
	f("say where labels come from", events)
	f("exclude each other", events, "--label-event", "x", "--attributes", "orders", "--score", "s")
	f("--every", events, "--label-event", "x", "--every", "x")
	f(`no attribute "x"`, events, "--label-event", "x", "--attributes", "x")
	f(`no column "identifier"`, events, "--labels", rows)
}
