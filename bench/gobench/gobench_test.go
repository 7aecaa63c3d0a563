package gobench

import (
	"reflect"
	"strings"
	"testing"
	"time"
)

const printed = `goos: linux
goarch: amd64
pkg: dashi/shard
cpu: AMD EPYC
BenchmarkApply/attributes=10/profiles=10000-2         	 2000000	       700.5 ns/op	       650.0 cpu-ns/event	 1400000 events/s	       0 B/op	       0 allocs/op
BenchmarkApply/attributes=10/profiles=10000-2         	 2000000	       720.5 ns/op	       640.0 cpu-ns/event	 1390000 events/s	       1 B/op	       0 allocs/op
BenchmarkDecode/shapes=4/decoder=dashi-unlearnt 	 1000	 5e+02 ns/op
BenchmarkLogs-2
    bench_test.go:7: a line of a log
BenchmarkNothing is no result at all
PASS
ok  	dashi/shard	3.204s
`

func TestParse(t *testing.T) {
	got, err := Parse(strings.NewReader(printed))
	want := []Result{
		{"BenchmarkApply/attributes=10/profiles=10000", map[string][]float64{"ns/op": {700.5, 720.5}, "cpu-ns/event": {650, 640},
			"events/s": {1400000, 1390000}, "B/op": {0, 1}, "allocs/op": {0, 0}}},
		{"BenchmarkDecode/shapes=4/decoder=dashi-unlearnt", map[string][]float64{"ns/op": {500}}},
	}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Fatalf("%v\n%v", err, got)
	}
	if m, ok := got[0].Median("ns/op"); m != 710.5 || !ok {
		t.Errorf("median %v, %v", m, ok)
	}
	if _, ok := got[1].Median("allocs/op"); ok {
		t.Error("a median of what was not reported")
	}
	if _, err := Parse(strings.NewReader("BenchmarkX 10 five ns/op\n")); err == nil {
		t.Error("five is a number")
	}
}

func FuzzParse(f *testing.F) {
	f.Add(printed)
	f.Add("BenchmarkX-2 1 2 3 4 5")
	f.Fuzz(func(t *testing.T, in string) {
		results, _ := Parse(strings.NewReader(in))
		for _, r := range results {
			for unit := range r.Runs {
				if _, ok := r.Median(unit); !ok {
					t.Errorf("%q without a run", unit)
				}
			}
		}
	})
}

func TestArgs(t *testing.T) {
	r := Request{Package: "./shard", Pattern: "^BenchmarkApply$", Time: "1s", Count: 3, Short: true, Limit: time.Minute}
	want := "test -run ^$ -bench ^BenchmarkApply$ -benchmem -benchtime 1s -count 3 -timeout 1m0s -short ./shard"
	if got := strings.Join(r.Args(), " "); got != want {
		t.Errorf("%s", got)
	}
	r.Short, r.PGO, r.Profile = false, "default.pgo", "/tmp/a.pprof"
	want = "test -run ^$ -bench ^BenchmarkApply$ -benchmem -benchtime 1s -count 3 -timeout 1m0s -pgo default.pgo -cpuprofile /tmp/a.pprof -o /tmp/a.pprof.test ./shard"
	if got := strings.Join(r.Args(), " "); got != want {
		t.Errorf("%s", got)
	}
}

func TestTail(t *testing.T) {
	if got := tail("a\nb\nc\n", 2); got != "b\nc" {
		t.Errorf("%q", got)
	}
}
