package recipe

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"dashi/pipeline/expr"
)

// What the guide shows compiles: each block of YAML, as a recipe of its own.
func TestGuide(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(recipes, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	blocks := strings.Split(string(text), "```yaml\n")[1:]
	if len(blocks) < 3 {
		t.Fatalf("%d blocks of YAML", len(blocks))
	}
	for _, b := range blocks {
		b, _, _ = strings.Cut(b, "```")
		if !strings.HasPrefix(b, "recipe:") {
			b = "recipe: block\n" + b
		}
		if p, found := Compile([]Source{{Name: "README.md", Text: []byte(b)}}); p == nil || len(found) > 0 {
			t.Errorf("%v in\n%s", found, b)
		}
	}
}

// The grammar in short, in doc.go, names every section of a recipe, and every key in it but those that attributes have by their kind.
func TestGrammarInShort(t *testing.T) {
	text, err := os.ReadFile("doc.go")
	if err != nil {
		t.Fatal(err)
	}
	_, short, _ := strings.Cut(string(text), "In short:\n//\n")
	short, _, _ = strings.Cut(short, "//\n")
	said := map[string]string{} // by section
	section := ""
	for line := range strings.Lines(short) {
		line = strings.TrimPrefix(line, "//\t")
		if name, _, _ := strings.Cut(line, ":"); line[0] != ' ' {
			section = name
		}
		said[section] += line
	}
	for _, k := range recipeShape.keys {
		if k.name == "description" || k.name == "tests" { // may stand nearly everywhere; is told elsewhere
			continue
		}
		for _, name := range append(keyNames(k.shape), k.name) {
			if name != "description" && !regexp.MustCompile(`\b`+name+`\b`).MatchString(said[k.name]) {
				t.Errorf("%s: nothing is said of %s", k.name, name)
			}
		}
	}
}

// keyNames are the keys of the objects that may stand at a place, and of the elements and values there.
func keyNames(s *shape) (names []string) {
	for _, k := range s.keys {
		names = append(names, k.name)
	}
	if s.of != nil {
		names = append(names, keyNames(s.of)...)
	}
	for _, other := range s.or {
		names = append(names, keyNames(other)...)
	}
	return names
}

// Every name that expressions reserve is refused as a name.
func TestReserved(t *testing.T) {
	for _, name := range []string{"now", "consent", "type", "time", "item", "properties", "traits", "context", "places", "true", "in", "null", "var"} {
		if !expr.Reserved(name) {
			t.Errorf("%s is not reserved by expr: this test is out of date", name)
		}
		if message, _ := checkName(name, identifier); message == "" {
			t.Errorf("%s is accepted", name)
		}
	}
}
