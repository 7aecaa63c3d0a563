package counted

import (
	"math"
	"testing"
)

// The examples of Newcombe's table II, contrasts (a) to (h), method 10; and of Wilson's interval in the companion paper (two-sided confidence intervals for
// the single proportion, Statistics in Medicine 17 (1998), 857-872, table I, method 3).
func TestIntervals(t *testing.T) {
	near := func(got, want float64) bool { return math.Abs(got-want) < 0.00006 }
	f := func(some, n, others, m int64, low, high float64) {
		t.Helper()
		d, gotLow, gotHigh := newcombe(some, n, others, m)
		if want := float64(some)/float64(n) - float64(others)/float64(m); d != want || !near(gotLow, low) || !near(gotHigh, high) {
			t.Errorf("%d/%d - %d/%d: %.4f, %.4f to %.4f; want %.4f to %.4f", some, n, others, m, d, gotLow, gotHigh, low, high)
		}
	}
	f(56, 70, 48, 80, 0.0524, 0.3339)
	f(9, 10, 3, 10, 0.1705, 0.8090)
	f(6, 7, 2, 7, 0.0582, 0.8062)
	f(5, 56, 0, 29, -0.0381, 0.1926)
	f(0, 10, 0, 20, -0.1611, 0.2775)
	f(0, 10, 0, 10, -0.2775, 0.2775)
	f(10, 10, 0, 20, 0.6791, 1)
	f(10, 10, 0, 10, 0.6075, 1)
	g := func(some, n int64, low, high float64) {
		t.Helper()
		if gotLow, gotHigh := wilson(some, n); !near(gotLow, low) || !near(gotHigh, high) {
			t.Errorf("%d/%d: %.4f to %.4f; want %.4f to %.4f", some, n, gotLow, gotHigh, low, high)
		}
	}
	g(81, 263, 0.2553, 0.3662)
	g(15, 148, 0.0624, 0.1605)
	g(0, 20, 0, 0.1611)
	g(1, 29, 0.0061, 0.1718)
}
