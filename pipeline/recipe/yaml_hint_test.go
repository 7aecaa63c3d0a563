package recipe

import (
	"strings"
	"testing"
)

// Slips that YAML itself trips over, or that lack what says what they are, come with what to write.
func TestHintsForSlips(t *testing.T) {
	f := func(source, want string) {
		t.Helper()
		_, found := Compile([]Source{{Name: "x.yml", Text: []byte("recipe: x\n" + source)}})
		if len(found) == 0 || !strings.Contains(found[0].Hint, want) {
			t.Errorf("%s\n%v, want the hint %q", source, found, want)
		}
	}
	f("attributes:\n  n: {kind: count, on: page}\naudiences:\n  a: !known(n) || n > 1\n", "stands in single quotes as a whole")
	f("attributes:\n  n: count\n", "it begins with its kind, as in `{kind: ")
}
