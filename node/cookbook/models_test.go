package cookbook

import (
	"os"
	"path/filepath"
	"testing"

	"dashi/pipeline/recipe"
)

// A model travels with the recipe that names it, wherever the recipe is read from.
func TestReadRecipesWithModel(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("shop.yml", "recipe: shop\nattributes:\n  orders: {kind: count, on: A}\n  likely: {kind: score, model: models/buy.json}\n  again: {kind: score, model: models/buy.json}\n")
	write("models/buy.json", `{"format":"dashi logistic 1","intercept":-1,"terms":[{"input":"orders","mean":1,"scale":2,"weight":3}]}`)
	write("other.json", "{}")
	for _, path := range []string{dir, filepath.Join(dir, "shop.yml")} {
		sources, err := ReadRecipes([]string{path})
		if err != nil {
			t.Fatal(err)
		}
		if len(sources) != 2 || sources[1].Name != filepath.Join(dir, "models/buy.json") {
			t.Fatalf("%d sources", len(sources))
		}
		if p, found := recipe.Compile(sources); p == nil || len(found) > 0 {
			t.Error(found)
		}
	}
	if err := os.Remove(filepath.Join(dir, "models/buy.json")); err != nil {
		t.Fatal(err)
	}
	for _, missing := range []string{"nothing", "a directory"} {
		sources, err := ReadRecipes([]string{dir})
		if err != nil {
			t.Fatal(missing, err)
		}
		if p, found := recipe.Compile(sources); p != nil || len(found) != 2 {
			t.Errorf("%s in place of a model is not reported: %v", missing, found)
		}
		if err := os.MkdirAll(filepath.Join(dir, "models/buy.json"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
}
