package say

import (
	"math"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

func TestCount(t *testing.T) {
	f := func(n int, noun, want string) {
		t.Helper()
		if got := Count(n, noun); got != want {
			t.Errorf("Count(%d, %q) = %q, want %q", n, noun, got, want)
		}
	}
	f(0, "recipe", "0 recipes")
	f(1, "recipe", "1 recipe")
	f(2, "recipe", "2 recipes")
	f(2, "entry", "2 entries")
	f(3, "person", "3 people")
	f(2, "box", "2 boxes")
	f(0, "bad row", "0 bad rows")
	f(2, "more entry", "2 more entries")
	f(-3, "row", "-3 rows")
	if got := Count(uint64(math.MaxUint64), "byte"); got != "18446744073709551615 bytes" {
		t.Error(got)
	}
}

func TestSpan(t *testing.T) {
	f := func(d time.Duration, want string) {
		t.Helper()
		if got := Span(d); got != want {
			t.Errorf("Span(%v) = %q, want %q", d, got, want)
		}
	}
	f(0, "0s")
	f(2027*time.Hour+24*time.Second, "84d11h24s")
	f(744*time.Hour, "31d")
	f(90*time.Minute, "1h30m")
	f(11519*time.Millisecond, "11.519s")
	f(350*time.Microsecond, "350µs")
	f(24*time.Hour+time.Millisecond, "1d1ms")
	f(-36*time.Hour, "-1d12h")
	f(math.MinInt64, time.Duration(math.MinInt64).String())
}

// What is shown of a text is bounded, and no rune is cut in two.
func TestShort(t *testing.T) {
	if got := Short("u7"); got != "u7" {
		t.Errorf("%q", got)
	}
	for _, text := range []string{strings.Repeat("é", 9999), "x" + strings.Repeat("é", 9999), strings.Repeat("名", 9999)} {
		if got := Short(text); len(got) > quoted+3 || !utf8.ValidString(got) || !strings.HasPrefix(text, strings.TrimSuffix(got, "...")) {
			t.Errorf("%q", got)
		}
	}
	if got := Short(strings.Repeat("\x80", 9999)); len(got) > quoted+3 {
		t.Errorf("%d bytes", len(got))
	}
}
