package attribute

import (
	"encoding/json"
	"math"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestAppendNumber(t *testing.T) {
	f := func(v float64, want string) {
		t.Helper()
		if got := string(AppendNumber(nil, v)); got != want {
			t.Errorf("%v: %s, want %s", v, got, want)
		}
	}
	f(0, "0")
	f(math.Copysign(0, -1), "0")
	f(1, "1")
	f(-2.5, "-2.5")
	f(0.1, "0.1")
	f(1e15, "1000000000000000")
	f(9007199254740993, "9007199254740992")
	f(1e20, "100000000000000000000")
	f(1e21, "1e+21")
	f(1e-6, "0.000001")
	f(1e-7, "1e-7")
	f(1.5e-10, "1.5e-10")
	f(math.MaxFloat64, "1.7976931348623157e+308")
	f(5e-324, "5e-324")
	f(math.NaN(), "null")
	f(math.Inf(1), "null")
}

func TestAppendNumberAsEncodingJSON(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		v := rapid.Float64().Draw(t, "v") + 0
		want, err := json.Marshal(v)
		if err != nil {
			return // not finite
		}
		if got := AppendNumber(nil, v); string(got) != string(want) {
			t.Fatalf("%s, want %s", got, want)
		}
	})
}

func TestAppendTime(t *testing.T) {
	f := func(ms int64, want string) {
		t.Helper()
		if got := string(AppendTime(nil, ms)); got != want {
			t.Errorf("%d: %s, want %s", ms, got, want)
		}
	}
	f(0, "1970-01-01T00:00:00Z")
	f(-1, "1969-12-31T23:59:59.999Z")
	f(1_709_164_800_120, "2024-02-29T00:00:00.12Z")
	f(minTime, "0000-01-01T00:00:00Z")
	f(maxTime, "9999-12-31T23:59:59.999Z")
	f(minTime-1, "null")
	f(maxTime+1, "null")
	f(math.MinInt64, "null")
}

// Every day of ten thousand years, counted one by one.
func TestCivil(t *testing.T) {
	days := 0
	for year := range 10_000 {
		lengths := [12]int{31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31}
		if year%4 == 0 && year%100 != 0 || year%400 == 0 {
			lengths[1] = 29
		}
		for month, length := range lengths {
			for date := range length {
				if y, m, d := civil(days); y != year || m != month+1 || d != date+1 {
					t.Fatalf("day %d: %d-%d-%d, want %d-%d-%d", days, y, m, d, year, month+1, date+1)
				}
				days++
			}
		}
	}
}

func TestAppendTimeAgainstTimePackage(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		ms := rapid.OneOf(rapid.Int64Range(minTime, maxTime), rapid.Int64Range(0, 2e12)).Draw(t, "ms")
		want := time.UnixMilli(ms).UTC().Format("2006-01-02T15:04:05.999Z07:00")
		if got := AppendTime(nil, ms); string(got) != want {
			t.Fatalf("%d: %s, want %s", ms, got, want)
		}
	})
}

// Keys: order is kept, the way back is exact, and 0 is free in both directions.
func TestKeys(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := rapid.Float64().Draw(t, "a")+0, rapid.Float64().Draw(t, "b")+0
		if math.IsInf(a, 0) || math.IsInf(b, 0) {
			return
		}
		ka, kb := numberKey(math.Float64bits(a)), numberKey(math.Float64bits(b))
		if (ka < kb) != (a < b) || keyNumber(ka) != a || ka == 0 || ^ka == 0 {
			t.Fatalf("%v %x, %v %x", a, ka, b, kb)
		}
		x, y := rapid.Int64Range(minTime, maxTime).Draw(t, "x"), rapid.Int64Range(minTime, maxTime).Draw(t, "y")
		if (lateKey(x) < lateKey(y)) != (x < y) || (earlyKey(x) > earlyKey(y)) != (x < y) ||
			lateTime(lateKey(x)) != x || earlyTime(earlyKey(x)) != x {
			t.Fatalf("%d %d", x, y)
		}
	})
	for _, ms := range []int64{minTime, maxTime} {
		if lateKey(ms) == 0 || earlyKey(ms) == 0 || lateKey(ms)>>49 != 0 || earlyKey(ms)>>49 != 0 {
			t.Errorf("%d: %x %x", ms, lateKey(ms), earlyKey(ms))
		}
	}
}
