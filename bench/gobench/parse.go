package gobench

import (
	"bufio"
	"fmt"
	"io"
	"strconv"
	"strings"

	"dashi/bench/stat"
)

// Result is one benchmark, all runs of it.
type Result struct {
	Name string               // BenchmarkApply/profiles=1000000, without the number of processors
	Runs map[string][]float64 // by unit: ns/op, allocs/op, and those of ReportMetric
}

// Median of the runs in that unit; ok is false when the benchmark does not report it.
func (r *Result) Median(unit string) (v float64, ok bool) {
	runs := r.Runs[unit]
	return stat.Median(runs), len(runs) > 0
}

// Parse reads the output of go test -bench, in the order of first runs. Lines that are no results are passed over.
func Parse(in io.Reader) ([]Result, error) {
	var results []Result
	at := map[string]int{}
	s := bufio.NewScanner(in)
	for s.Scan() {
		fields := strings.Fields(s.Text())
		// Name, iterations, then pairs of value and unit. A benchmark that logs has its name alone on a line first.
		if len(fields) < 4 || len(fields)%2 != 0 || !strings.HasPrefix(fields[0], "Benchmark") {
			continue
		}
		if _, err := strconv.Atoi(fields[1]); err != nil {
			continue
		}
		name := withoutProcessors(fields[0])
		i, known := at[name]
		if !known {
			i = len(results)
			at[name] = i
			results = append(results, Result{Name: name, Runs: map[string][]float64{}})
		}
		for k := 2; k < len(fields); k += 2 {
			v, err := strconv.ParseFloat(fields[k], 64)
			if err != nil {
				return nil, fmt.Errorf("cannot read benchmark %q: %w", s.Text(), err)
			}
			results[i].Runs[fields[k+1]] = append(results[i].Runs[fields[k+1]], v)
		}
	}
	return results, s.Err()
}

// withoutProcessors takes off the -8 that go test appends when GOMAXPROCS is not 1.
func withoutProcessors(name string) string {
	i := strings.LastIndexByte(name, '-')
	if i < 0 {
		return name
	}
	if _, err := strconv.ParseUint(name[i+1:], 10, 32); err != nil {
		return name
	}
	return name[:i]
}
