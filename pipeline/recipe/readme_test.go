package recipe

import (
	"os"
	"path/filepath"
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
