package main

import (
	"strings"
	"testing"

	"dashi/node/features"
)

// Rows of which none says true cannot be trained on: what comes next is to look for the slip, not dashi train.
func TestFeaturesWithoutPositives(t *testing.T) {
	f := func(positive int, want, not string) {
		t.Helper()
		var out strings.Builder
		o := featuresOptions{labelEvent: "Order Complted", out: "rows.csv"}
		o.print(&out, features.Summary{Rows: 9, Events: 9, Positive: positive}, nil, nil)
		if got := out.String(); !strings.Contains(got, want) || strings.Contains(got, not) {
			t.Errorf("%d say true: %q", positive, got)
		}
	}
	f(0, `is "Order Complted" the name of the event`, "next:")
	f(1, "next: dashi train rows.csv", "the name of the event")
}
