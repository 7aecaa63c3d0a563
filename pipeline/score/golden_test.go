package score

import (
	"encoding/binary"
	"math"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

func readFile(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// cell is a value of the rows that testdata/make.py makes.
func cell(row, column int) float64 {
	z := mix(uint64(row*16 + column + 1))
	u := float64(z>>11) / (1 << 53)
	switch kind := z & 15; {
	case column == 8:
		return float64(z % 12)
	case kind == 0:
		return math.NaN()
	case kind == 1:
		return 0
	}
	if column%2 == 1 {
		return u*10 - 3
	}
	return u
}

// What LightGBM and XGBoost say in Python is what we say, missing values, zeros and categories included.
func TestLibrariesAgree(t *testing.T) {
	f := func(model, scores string, rows int, within float64) {
		t.Helper()
		m, err := Load(readFile(t, model))
		if err != nil {
			t.Fatalf("%s: %v", model, err)
		}
		want := readFile(t, scores)
		if len(want) < 8*rows {
			t.Fatalf("%s has %d scores", scores, len(want)/8)
		}
		x := make([]float64, len(m.Inputs()))
		worst := 0.0
		var factors []float64
		for row := range rows {
			for i := range x {
				x[i] = cell(row, i)
			}
			got := m.Score(x)
			worst = max(worst, math.Abs(got-math.Float64frombits(binary.LittleEndian.Uint64(want[8*row:]))))
			var total float64
			factors, total = m.Factors(factors[:0], x)
			for _, v := range factors {
				total += v
			}
			if raw := m.raw(x); math.Abs(total-raw) > 1e-5 || math.IsNaN(got) {
				t.Fatalf("%s row %d: factors give %v, the sum is %v, the score %v", model, row, total, raw, got)
			}
		}
		t.Logf("%s: %d rows, largest difference %.2g", model, rows, worst)
		if worst > within {
			t.Errorf("%s differs by %v", model, worst)
		}
	}
	f("lightgbm_nan.txt", "lightgbm_nan.scores", 10_000, 1e-9)
	f("lightgbm_nan.json", "lightgbm_nan.scores", 10_000, 1e-9)
	f("lightgbm_zero.txt", "lightgbm_zero.scores", 500, 1e-9)
	f("lightgbm_none.txt", "lightgbm_none.scores", 500, 1e-9)
	f("lightgbm_poisson.txt", "lightgbm_poisson.scores", 500, 1e-9)
	f("xgboost.json", "xgboost.scores", 1000, 1e-6)
	f("xgboost_dump.json", "xgboost.scores", 1000, 1e-6)
}

func cpuTime(b *testing.B) int64 {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return u.Utime.Nano()
}

func BenchmarkScore(b *testing.B) {
	m, err := Load(readFile(b, "lightgbm_nan.txt"))
	if err != nil {
		b.Fatal(err)
	}
	hundred := *m.forest
	for len(hundred.roots) < 100 {
		shift, leaves := int32(len(hundred.nodes)), int32(len(hundred.leaves))
		move := func(at int32) int32 {
			if at < 0 {
				return ^(^at + leaves)
			}
			return at + shift
		}
		for _, n := range m.forest.nodes {
			n.left, n.right = move(n.left), move(n.right)
			hundred.nodes = append(hundred.nodes, n)
		}
		hundred.leaves = append(hundred.leaves, m.forest.leaves...)
		for _, r := range m.forest.roots {
			hundred.roots = append(hundred.roots, move(r))
		}
	}
	hundred.roots = hundred.roots[:100]
	m.forest = &hundred
	rows := make([][]float64, 256)
	for r := range rows {
		for c := range m.inputs {
			rows[r] = append(rows[r], cell(r, c))
		}
	}
	b.Run("trees=100", func(b *testing.B) {
		b.ReportAllocs()
		begin := cpuTime(b)
		for i := 0; b.Loop(); i++ {
			m.Score(rows[i%len(rows)])
		}
		b.ReportMetric(float64(cpuTime(b)-begin)/float64(b.N), "cpu-ns/op")
	})
}
