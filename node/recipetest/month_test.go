package recipetest

import (
	"os"
	"strings"
	"testing"
)

// The calendar month before this one is the difference of two windows, as the guide has it: exact at the turns of months of different lengths.
func TestLastMonth(t *testing.T) {
	guide, err := os.ReadFile("../../deploy/recipes/README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, block, _ := strings.Cut(string(guide), "```yaml\nattributes:\n  spent_2mo:")
	block, _, ok := strings.Cut(block, "```")
	if !ok {
		t.Fatal("the guide does not have it any more")
	}
	for _, wrong := range failures(t, "month", "recipe: month\nattributes:\n  spent_2mo:"+block, `
tests:
  turns of months:
    - Order Completed: {total: 1}
      at: 2026-01-01T00:00:00Z
    - Order Completed: {total: 2}
      at: 2026-01-31T23:59:59Z
    - expect: {attributes: {spent_this_month: 3, spent_last_month: 0}}
    - Order Completed: {total: 4}
      at: 2026-02-01T00:00:00Z
    - expect: {attributes: {spent_this_month: 4, spent_last_month: 3}}
    - advance: 27d23h59m59s
    - expect: {attributes: {spent_this_month: 4, spent_last_month: 3}}
    - advance: 1s
    - expect: {attributes: {spent_this_month: 0, spent_last_month: 4}}
    - advance: 31d
    - expect: {attributes: {spent_this_month: 0, spent_last_month: 0}}
`, func(f Failure) string { return f.At + ": " + f.What + ": want " + f.Want + ", got " + f.Got }) {
		t.Error(wrong)
	}
}
