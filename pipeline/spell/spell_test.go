package spell

import (
	"testing"

	"pgregory.net/rapid"
)

func TestClosest(t *testing.T) {
	words := []string{"count", "sum", "last_at", "properties.total", "properties.products[].price", "n"}
	for in, want := range map[string]string{"cuont": "count", "Sum": "sum", "lastat": "last_at", "properties.totl": "properties.total",
		"properties.lines": "", "xyz": "", "counter": "count", "": "",
		"last-at": "last_at", "properties.Total": "properties.total", "propertis.total": "properties.total", "A": "", "N": "n"} {
		if got := Closest(in, words); got != want {
			t.Errorf("Closest(%q) = %q, want %q", in, got, want)
		}
	}
}

// The distance is symmetric, and 0 for the same words only.
func TestDistance(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		word := rapid.StringMatching(`[abc]{0,6}`)
		a, b := word.Draw(t, "a"), word.Draw(t, "b")
		d := Distance(a, b, 10)
		if d != Distance(b, a, 10) || (d == 0) != (a == b) || d > max(len(a), len(b)) {
			t.Fatalf("Distance(%q, %q) = %d, back %d", a, b, d, Distance(b, a, 10))
		}
	})
}
