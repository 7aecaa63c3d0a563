package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"dashi/pipeline/score"
)

func TestTrainWritesAModelThatLoads(t *testing.T) {
	dir := t.TempDir()
	file, model := filepath.Join(dir, "rows.csv"), filepath.Join(dir, "model.json")
	text := "visits,plan,member,bought\n" + strings.Repeat("1,free,false,no\n2,free,true,no\n8,paid,true,yes\n9,paid,,yes\n,free,false,no\n", 20)
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	out, _ := mustDashi(t, "train", file, "--label", "bought", "--out", model)
	if !strings.Contains(out, "rows that it has not seen") {
		t.Error(out)
	}
	b, err := os.ReadFile(model)
	if err != nil {
		t.Fatal(err)
	}
	m, err := score.Load(b)
	if err != nil || len(m.Inputs()) != 3 {
		t.Fatalf("%v, %s", err, b)
	}
	if low, high := m.Score([]float64{1, 1, 0}), m.Score([]float64{9, 2, 1}); low > 0.2 || high < 0.8 {
		t.Errorf("scores %v and %v", low, high)
	}
	f := func(want string, args ...string) {
		t.Helper()
		if _, _, err := dashi(t, append([]string{"train", file, "--out", model}, args...)...); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: %v, want %q", args, err, want)
		}
	}
	f("no column \"x\"", "--label", "x")
	f("wanted: true or false", "--label", "plan")
	f("no columns are left", "--label", "bought", "--features", "bought")
	f("--l2 is", "--label", "bought", "--l2", "0")
	f(`every row says no, and a model needs both: "plan" holds `, "--label", "plan", "--positive", "none")
	f(`--positive "none" is the word that means yes, written as in the file`, "--label", "plan", "--positive", "none")
	for label, want := range map[string]string{"no": `every row says no, and a model needs both: "label" holds "no" (3); was the event that makes the label named as events name it`,
		"true": `every row says yes, and a model needs both: "label" holds "true" (3); rows of those of whom it is not true are missing`} {
		if err := os.WriteFile(file, []byte("a,label\n1,"+label+"\n2,"+label+"\n3,"+label+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		f(want, "--label", "label")
	}

}

// The purchase intention of shoppers: the model is good on a fifth that it has not seen, and the same for the same file.
func TestTrainShoppers(t *testing.T) {
	file := "../../../shared/data/online_shoppers_intention.csv.gz"
	if _, err := os.Stat(file); err != nil {
		t.Skipf("the data is not there: %v", err)
	}
	dir := t.TempDir()
	a, b := filepath.Join(dir, "a.json"), filepath.Join(dir, "b.json")
	out, _ := mustDashi(t, "train", file, "--label", "Revenue", "--out", a, "-o", "json")
	mustDashi(t, "train", file, "--label", "Revenue", "--out", b)
	var report score.TrainReport
	if err := json.Unmarshal([]byte(out), &report); err != nil {
		t.Fatal(err)
	}
	t.Logf("%+v", report)
	if report.AUC < 0.88 || report.HeldRows < 2300 {
		t.Errorf("%+v", report)
	}
	x, _ := os.ReadFile(a)
	y, _ := os.ReadFile(b)
	if len(x) == 0 || !bytes.Equal(x, y) {
		t.Error("the same file gave another model")
	}
}
