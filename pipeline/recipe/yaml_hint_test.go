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

// What YAML trips over is reported where it stands, wherever the mapping or list around it begins.
func TestLinesOfYAMLErrors(t *testing.T) {
	f := func(source string, line int) {
		t.Helper()
		_, found := Compile([]Source{{Name: "x.yml", Text: []byte(source)}})
		if len(found) == 0 || found[0].Line != line || !strings.Contains(found[0].Message, "not YAML") {
			t.Errorf("%s\n%v, want line %d", source, found, line)
		}
	}
	f("recipe: x\nattributes:\n  a: {kind: count on: page}\n", 3)
	f("recipe: x\nattributes:\n  a: {kind: count, on: page\n  b: {kind: count, on: page}\n", 4)
	f("recipe: x\nattributes:\n  a: {kind: count,\n    on: page,\n    where: a: b}\n", 5)
	f("recipe: x\nattributes:\n  a: {kind: count,\n    on: [page, screen\n    where: x}\n  b: {kind: count, on: page}\n", 5)
	f("recipe: x\nattributes:\n  a:\n    kind: count\n   on: page\n", 5)
	f("recipe: x\n on: page\n", 2)
	f("{recipe: x,\n attributes: {},\n audiences: {} x: {}}\n", 3)
	f("recipe: x\nattributes:\n  a:\n    kind: sequence\n    steps:\n      - {on: page}\n      {on: screen}\n", 7)
	f("recipe: x\nattributes:\n  a: {kind: count, on: page}}\n", 3)
}
