package recipetest

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"dashi/pipeline/recipe"
)

// The recipes that the binary carries do what their tests say: at least six cases each, and together they touch every rule.
func TestDeployedRecipes(t *testing.T) {
	files, err := filepath.Glob("../../deploy/recipes/*.yml")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	var recipes, tests []recipe.Source
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if source := (recipe.Source{Name: filepath.Base(file), Text: text}); IsTestFile(file) {
			tests = append(tests, source)
		} else {
			recipes = append(recipes, source)
		}
	}
	program, found := recipe.Compile(recipes)
	cases, broken := Parse(tests, program)
	if program == nil || len(broken) > 0 {
		t.Fatal(found, broken)
	}
	r := New(program)
	perFile := map[string]int{}
	for i := range cases {
		perFile[cases[i].File]++
		for _, f := range r.Run(&cases[i]).Failures {
			t.Errorf("%s:%d: %s: %s: want %s, got %s", f.File, f.Line, f.At, f.What, f.Want, f.Got)
		}
	}
	numbered := regexp.MustCompile(`^\d\d-`)
	ofTheBook := 0
	for _, s := range recipes {
		if !numbered.MatchString(s.Name) {
			continue
		}
		ofTheBook++
		if n := perFile[strings.TrimSuffix(s.Name, ".yml")+".test.yml"]; n < 6 {
			t.Errorf("%s has %d tests", s.Name, n)
		}
	}
	if ofTheBook != 19 {
		t.Errorf("%d recipes with a number, not the base and 18", ofTheBook)
	}
	if c := r.Coverage(); len(c.Untouched) > 0 {
		t.Errorf("%s", c)
	}
}
