package workload

import (
	"fmt"
	"os"
	"path/filepath"

	"go.yaml.in/yaml/v3"
)

// cookbook is what dashi is started with.
type cookbook struct {
	name string // as settings of a figure say it
	path string
}

// cookbooks are the one of bench/recipes, where five of the fifty audiences activate, and the same one where all fifty do, about
// two or three activations an event: the difference is what they cost.
func (e *Env) cookbooks() (usual, loud cookbook, err error) {
	usual = cookbook{"bench/recipes", filepath.Join(e.Root, "bench", "recipes")}
	loud = cookbook{"bench/recipes, emit: both", filepath.Join(e.Temp, "loud.yml")}
	text, err := os.ReadFile(filepath.Join(usual.path, "bench.yml"))
	if err == nil {
		text, err = amplify(text)
	}
	if err == nil {
		err = os.WriteFile(loud.path, text, 0o644)
	}
	if err != nil {
		err = fmt.Errorf("cannot make a cookbook in which all audiences activate: %w", err)
	}
	return usual, loud, err
}

// amplify gives every audience of a recipe emit: both.
func amplify(recipe []byte) ([]byte, error) {
	var doc map[string]any
	if err := yaml.Unmarshal(recipe, &doc); err != nil {
		return nil, err
	}
	audiences, ok := doc["audiences"].(map[string]any)
	if !ok {
		return nil, fmt.Errorf("no audiences in %q", doc["recipe"])
	}
	for name, when := range audiences {
		long, ok := when.(map[string]any)
		if !ok {
			long = map[string]any{"when": when}
		}
		long["emit"] = "both"
		audiences[name] = long
	}
	return yaml.Marshal(doc)
}
