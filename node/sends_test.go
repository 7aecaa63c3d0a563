package node

import (
	"os"
	"regexp"
	"testing"

	"dashi/deploy"
	"dashi/node/cookbook"
	"dashi/pipeline/recipe"
)

// Every `tail --audience` that the table of recipes shows names something that leaves.
func TestSendsWhatTheTableShows(t *testing.T) {
	files, err := deploy.Recipes()
	if err != nil {
		t.Fatal(err)
	}
	var sources []recipe.Source
	for _, f := range files {
		sources = append(sources, recipe.Source{Name: f.Name, Text: f.Text})
	}
	program, found := recipe.Compile(sources)
	if program == nil {
		t.Fatal(found)
	}
	table, err := os.ReadFile("../deploy/recipes/README.md")
	if err != nil {
		t.Fatal(err)
	}
	var n Node
	n.cookbook.Store(&cookbook.Cookbook{Program: program})
	shown := regexp.MustCompile("`tail --audience ([^`]+)`").FindAllSubmatch(table, -1)
	if len(shown) < 8 {
		t.Errorf("the table shows %d commands", len(shown))
	}
	for _, m := range shown {
		if name := string(m[1]); !n.Sends(name) {
			t.Errorf("nothing leaves under the name %q", name)
		}
	}
	for _, name := range []string{"", "nope", "orders"} {
		if n.Sends(name) {
			t.Errorf("something leaves under the name %q", name)
		}
	}
}
