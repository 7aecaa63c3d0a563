package score

import (
	"bytes"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestExactAgainstMath(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		x := rapid.Float64Range(-740, 705).Draw(t, "x")
		if got, want := exp(x), math.Exp(x); math.Abs(got-want) > 1e-15*want && math.Abs(got-want) > 1e-322 {
			t.Fatalf("exp(%v) = %v, want %v", x, got, want)
		}
		y := rapid.Float64Range(1e-300, 1e300).Draw(t, "y")
		if got, want := log(y), math.Log(y); math.Abs(got-want) > 1e-15*math.Abs(want)+1e-16 {
			t.Fatalf("log(%v) = %v, want %v", y, got, want)
		}
		z := rapid.Float64Range(0, 10).Draw(t, "z")
		if got, want := log1p(z), math.Log1p(z); math.Abs(got-want) > 1e-14*want+1e-20 {
			t.Fatalf("log1p(%v) = %v, want %v", z, got, want)
		}
	})
	for _, x := range []float64{0, 1, -1, 1e9, -1e9, math.Inf(1), math.Inf(-1)} {
		if got, want := exp(x), math.Exp(x); math.Abs(got-want) > 1e-15*want {
			t.Errorf("exp(%v) = %v, want %v", x, got, want)
		}
	}
	if !math.IsNaN(exp(math.NaN())) || logistic(-800) != 0 || logistic(800) != 1 {
		t.Error("edges")
	}
}

// I1: these bits are in logs and snapshots of replicas.
func TestExactGolden(t *testing.T) {
	for x, want := range map[float64]uint64{1: 0x4005bf0a8b14576a, -0.7: 0x3fdfc80db9dd5542, 100: 0x48f3494a9b171bf5} {
		if got := math.Float64bits(exp(x)); got != want {
			t.Errorf("exp(%v) has bits %#x, want %#x", x, got, want)
		}
	}
}

// Files that are no model, or a damaged one.
func TestLoadRefuses(t *testing.T) {
	f := func(want, file string) {
		t.Helper()
		if _, err := Load([]byte(file)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.40q: %v, want %q", file, err, want)
		}
	}
	f("neither JSON nor", "")
	f("neither JSON nor", "treehouse")
	f("no key says", "{}")
	f("num_tree_per_iteration", "tree\nversion=v4\n")
	f("3 classes", "tree\nnum_tree_per_iteration=3\nfeature_names=a\n")
	f("its objective", "tree\nnum_tree_per_iteration=1\nobjective=multiclass num_class:1\nfeature_names=a\n")
	f("no trees", "tree\nnum_tree_per_iteration=1\nobjective=binary\nfeature_names=a\n")
	tree := "tree\nnum_tree_per_iteration=1\nobjective=binary sigmoid:1\nfeature_names=a\n\nTree=0\nnum_leaves=2\nnum_cat=0\nsplit_feature=0\nthreshold=0.5\ndecision_type=2\nleft_child=-1\nright_child=-2\nleaf_value=0.1 0.2\n\nend of trees\n"
	if _, err := Load([]byte(tree)); err != nil {
		t.Fatal(err)
	}
	f("reads input 1 of 1", strings.Replace(tree, "split_feature=0", "split_feature=1", 1))
	f("is not a tree", strings.Replace(tree, "left_child=-1", "left_child=0", 1))
	f("is not a tree", strings.Replace(tree, "left_child=-1", "left_child=-7", 1))
	f("threshold is missing", strings.Replace(tree, "threshold=0.5", "threshold=", 1))
	f("not a number", strings.Replace(tree, "threshold=0.5", "threshold=nan", 1))
	f("linear models", strings.Replace(tree, "num_cat=0", "is_linear=1", 1))
	f("a leaf is", strings.Replace(tree, "leaf_value=0.1", "leaf_value=inf", 1))
	f("booster", `{"learner":{"gradient_booster":{"name":"dart"}}}`)
	f("which are not its children", `[{"nodeid":0,"split":"f0","split_condition":1,"yes":1,"no":2,"missing":1,"children":[{"nodeid":1,"leaf":1},{"nodeid":3,"leaf":1}]}]`)
	f("objective", `{"objective":"multi:softmax","trees":[]}`)
	f("its format", `{"intercept":1,"format":"x","terms":[]}`)
	f("scale 0", `{"intercept":1,"format":"dashi logistic 1","terms":[{"input":"a","mean":0,"scale":0,"weight":1}]}`)
}

// I4
func FuzzLoad(f *testing.F) {
	for _, name := range []string{"lightgbm_none.txt", "lightgbm_poisson.txt", "xgboost.json", "xgboost_dump.json"} {
		f.Add(readFile(f, name)[:6000])
	}
	f.Add([]byte(`{"intercept":1,"format":"dashi logistic 1","terms":[{"input":"a","mean":0,"scale":1,"weight":1},{"input":"b","word":"x","mean":0,"scale":1,"weight":1}]}`))
	f.Add([]byte(`[{"nodeid":0,"split":"f0","split_condition":1,"yes":1,"no":2,"missing":1,"children":[{"nodeid":1,"leaf":1},{"nodeid":2,"leaf":1}]}]`))
	f.Fuzz(func(t *testing.T, file []byte) {
		m, err := Load(file)
		if err != nil {
			return
		}
		x := make([]float64, len(m.Inputs()))
		for _, v := range []float64{0, 1, math.NaN(), math.Inf(1), -1e300} {
			for i := range x {
				x[i] = v
			}
			m.Score(x)
			m.Factors(nil, x)
		}
	})
}

// I3
func TestScoreDoesNotAllocate(t *testing.T) {
	for _, name := range []string{"lightgbm_nan.txt", "xgboost.json"} {
		m, err := Load(readFile(t, name))
		if err != nil {
			t.Fatal(err)
		}
		x := make([]float64, len(m.Inputs()))
		factors := make([]float64, 0, len(x))
		if n := testing.AllocsPerRun(100, func() { m.Score(x); m.Factors(factors[:0], x) }); n > 0 {
			t.Errorf("%s allocates %v times", name, n)
		}
	}
}

// A population whose odds are known: the weights are found again.
func TestTrainFindsWeights(t *testing.T) {
	n := 20_000
	a, b, word := make([]float64, n), make([]float64, n), make([]string, n)
	labels := make([]bool, n)
	uniform := func(i, salt int) float64 { return float64(mix(uint64(i*8+salt))>>11) / (1 << 53) }
	for i := range n {
		a[i], b[i], word[i] = uniform(i, 1), uniform(i, 2), []string{"no", "yes"}[int(2*uniform(i, 3))]
		z := 4*a[i] - 2*b[i] - 1
		if word[i] == "yes" {
			z += 1
		}
		labels[i] = uniform(i, 4) < 1/(1+math.Exp(-z))
		if i%50 == 0 {
			a[i] = math.NaN()
		}
	}
	columns := []Column{{Name: "a", Numbers: a}, {Name: "b", Numbers: b}, {Name: "w", Words: word}}
	file, report, err := Train(columns, labels, TrainSettings{Held: 0.2})
	if err != nil {
		t.Fatal(err)
	}
	again, _, _ := Train(columns, labels, TrainSettings{Held: 0.2})
	if !bytes.Equal(file, again) {
		t.Error("the same rows gave other bytes")
	}
	if report.HeldRows < 3700 || report.HeldRows > 4300 || report.Rows+report.HeldRows != n || report.AUC < 0.75 {
		t.Errorf("%+v", report)
	}
	m, err := Load(file)
	if err != nil {
		t.Fatal(err)
	}
	in := m.Inputs()
	if len(in) != 3 || in[2].Name != "w" || in[2].WordValue([]byte("yes")) != 2 || in[2].WordValue([]byte("other")) != 0 {
		t.Fatalf("inputs %+v", in)
	}
	raw := func(a, b, w float64) float64 { return m.raw([]float64{a, b, w}) }
	for what, d := range map[string]float64{"a": raw(1, 0, 1) - raw(0, 0, 1) - 4, "b": raw(0, 1, 1) - raw(0, 0, 1) + 2, "w": raw(0, 0, 2) - raw(0, 0, 1) - 1} {
		if math.Abs(d) > 0.25 {
			t.Errorf("the weight of %s is off by %v", what, d)
		}
	}
	factors, base := m.Factors(nil, []float64{0.3, 0.6, 2})
	if sum := base + factors[0] + factors[1] + factors[2]; math.Abs(sum-raw(0.3, 0.6, 2)) > 1e-12 {
		t.Errorf("factors %v and %v are not the sum", factors, base)
	}
	if raw(math.NaN(), 0, 1) == raw(0, 0, 1) || math.IsNaN(raw(math.NaN(), 0, 1)) {
		t.Error("a missing value is not the mean")
	}
}

func TestTrainRefuses(t *testing.T) {
	if _, _, err := Train([]Column{{Name: "a", Numbers: []float64{1, 2}}}, []bool{true, true}, TrainSettings{}); err == nil {
		t.Error("all rows say yes")
	}
	if _, _, err := Train([]Column{{Name: "a", Numbers: []float64{1, 1}}}, []bool{true, false}, TrainSettings{}); err == nil {
		t.Error("nothing to learn from")
	}
	// Rows that can be told apart for sure do not lead to infinity.
	file, _, err := Train([]Column{{Name: "a", Numbers: []float64{1, 2, 3, 4}}}, []bool{false, false, true, true}, TrainSettings{})
	if err != nil {
		t.Fatal(err)
	}
	if m, err := Load(file); err != nil || !(m.Score([]float64{4}) > 0.6) || m.Score([]float64{4}) > 0.999 {
		t.Errorf("%v %s", err, file)
	}
}

func TestAreaUnderCurve(t *testing.T) {
	if got := areaUnderCurve([]float64{.1, .2, .2, .3}, []bool{false, true, false, true}); got != 0.875 {
		t.Errorf("%v", got)
	}
}

func TestFormatFile(t *testing.T) {
	text, err := os.ReadFile("FORMAT.md")
	if err != nil {
		t.Fatal(err)
	}
	_, example, _ := strings.Cut(string(text), "```json\n")
	example, _, _ = strings.Cut(example, "```")
	m, err := Load([]byte(example))
	if err != nil {
		t.Fatal(err)
	}
	want := readFile(t, filepath.Base("logistic.json"))
	if strings.TrimSpace(example) != strings.TrimSpace(string(want)) {
		t.Error("testdata/logistic.json is not the example of FORMAT.md")
	}
	if got := m.Score([]float64{math.E*math.E - 1, 1}); math.Abs(got-0.8581489350995122) > 1e-12 {
		t.Errorf("score %v", got)
	}
}
