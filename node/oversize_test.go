package node

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"dashi/node/cookbook"
	"dashi/node/httpapi"
	"dashi/pipeline/recipe"
)

// A cookbook whose profiles could become too large is refused wherever it comes in.
func TestOversizeCookbook(t *testing.T) {
	text := "recipe: large\nattributes:\n"
	for i := range 12 {
		text += fmt.Sprintf("  s%d: {kind: set, limit: 10000, add: {on: Visit, value: properties.product_id}}\n", i)
	}
	large := []recipe.Source{{Name: "clock.yml", Text: []byte(text)}}
	var bad *cookbook.CheckError
	if n, err := Open(testContext(t), testSettings(t, t.TempDir()), Options{Recipes: large}); !errors.As(err, &bad) {
		t.Errorf("founded: %v", err)
		if n != nil {
			closeNode(t, n)
		}
	}
	settings := testSettings(t, t.TempDir())
	n, err := Open(testContext(t), settings, Options{Recipes: clockRecipe})
	if err != nil {
		t.Fatal(err)
	}
	var refused *httpapi.BadCookbook
	if _, err := n.Apply(testContext(t), httpapi.Application{Sources: []httpapi.Source{{Name: "clock.yml", Text: text}}}); !errors.As(err, &refused) || !strings.Contains(fmt.Sprint(refused.Diagnostics), "at most 56 MiB") {
		t.Errorf("applied: %v", err)
	}
	closeNode(t, n)
	if n, err = Open(testContext(t), settings, Options{Recipes: large}); !errors.As(err, &bad) {
		t.Errorf("offered: %v", err)
	}
	if n != nil {
		closeNode(t, n)
	}
}
