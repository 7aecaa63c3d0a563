package main

import (
	"os"
	"path/filepath"
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
			t.Errorf("true in %d: %q", positive, got)
		}
	}
	f(0, `is "Order Complted" the name of the event`, "next:")
	f(1, "next: dashi train rows.csv", "the name of the event")
}

// A file of rows without a mapping holds no event: that is said, with what to write, and no report of nothing is printed.
func TestSimulateRowsWithoutMapping(t *testing.T) {
	path := filepath.Join(t.TempDir(), "crm.csv")
	if err := os.WriteFile(path, []byte("id,name\n1,Ada\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	c := root()
	c.SetOut(&out)
	c.SetArgs([]string{"identity", "simulate", path})
	if err := c.Execute(); err == nil || !strings.Contains(err.Error(), "--map NAME") || out.Len() > 0 {
		t.Errorf("%v, %q", err, out.String())
	}
}
