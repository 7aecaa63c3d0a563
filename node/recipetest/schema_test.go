package recipetest

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"dashi/pipeline/recipe"
	"dashi/pipeline/recipe/schematest"
)

var testSchema = sync.OnceValue(recipe.TestSchemaJSON)

// schemaSays is what the JSON Schema of tests, which editors read, finds wrong with a text; empty: nothing.
func schemaSays(t *testing.T, tests string) string {
	t.Helper()
	v, err := schematest.Read([]byte(tests))
	if err != nil {
		return err.Error()
	}
	return schematest.Parse(t, testSchema()).Validate(v)
}

// beyondSchema says whether a finding is one that no schema can have: it is about what recipes say, or about YAML itself.
func beyondSchema(finding string) bool {
	return slices.ContainsFunc([]string{"no recipe reads", "stands twice", "second document", "YAML tag", "a row needs a mapping", "nothing is repeated", "says itself when it was", "1,000 years", "1000000w", "`Order Completed` or `Order Refunded`"}, func(s string) bool { return strings.Contains(finding, s) })
}

// The schema knows every word that the parser does.
func TestSchemaKnowsWords(t *testing.T) {
	text := string(testSchema())
	for _, word := range slices.Concat(caseKeys, stepWords, expectKeys, []string{"include", "treated", "control", "exposed", "converted", "transition", "event_time", "type"}) {
		if !strings.Contains(text, `"`+word+`": {`) {
			t.Errorf("the JSON Schema of tests does not know %q", word)
		}
	}
}

// The schema finds nothing wrong with the tests that we have.
func TestSchemaTakesTests(t *testing.T) {
	files, _ := filepath.Glob("../../deploy/recipes/*.test.yml")
	if len(files) < 18 {
		t.Fatal("where are the tests of the recipes?", files)
	}
	for _, file := range append(files, "../../pipeline/recipe/testdata/shop.test.yml") {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if wrong := schemaSays(t, string(text)); wrong != "" {
			t.Errorf("%s: %s", file, wrong)
		}
	}
}
