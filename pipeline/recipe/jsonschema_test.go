package recipe

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"testing"

	"dashi/pipeline/recipe/schematest"
)

var update = flag.Bool("update", false, "write golden files")

const recipes = "../../deploy/recipes"

func TestSchemaCommitted(t *testing.T) {
	golden(t, filepath.Join(recipes, "recipe.schema.json"), SchemaJSON())
	golden(t, filepath.Join(recipes, "test.schema.json"), TestSchemaJSON())
}

// golden compares got with a file, or writes it with -update.
func golden(t *testing.T, path string, got []byte) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s is out of step (go test -update writes it, then read it): it has %d bytes, wanted %d", path, len(want), len(got))
	}
}

// The schema and the parser say the same about every recipe that we have.
func TestSchemaAgrees(t *testing.T) {
	schema := schematest.Parse(t, SchemaJSON())
	files, _ := filepath.Glob("testdata/broken/*.yml")
	good, _ := filepath.Glob(filepath.Join(recipes, "*.yml"))
	for _, file := range append(files, good...) {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		instance, err := schematest.Read(text)
		if err != nil || bytes.Contains(text, []byte("<<:")) || bytes.Contains(text, []byte(": !")) || bytes.Contains(text, []byte("\n---")) {
			continue // what YAML itself refuses, and what JSON does not have: tags, several documents
		}
		var f findings
		parse(Source{Name: file, Text: text}, &f)
		wrong := schema.Validate(instance)
		if (wrong != "") != (f.errors > 0) {
			t.Errorf("%s: parser %v, schema %q", file, f.list, wrong)
		}
	}
}
