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

// cookbooks are the one of bench/recipes, where every transition of an audience leaves as an activation, about two an event, and
// the same one without activations: the difference is what they cost.
func (e *Env) cookbooks() (emitting, silent cookbook, err error) {
	emitting = cookbook{"bench/recipes", filepath.Join(e.Root, "bench", "recipes")}
	silent = cookbook{"bench/recipes, emit: none", filepath.Join(e.Temp, "silent.yml")}
	text, err := os.ReadFile(filepath.Join(emitting.path, "bench.yml"))
	if err == nil {
		text, err = silence(text)
	}
	if err == nil {
		err = os.WriteFile(silent.path, text, 0o644)
	}
	if err != nil {
		err = fmt.Errorf("cannot make a cookbook without activations: %w", err)
	}
	return emitting, silent, err
}

// silence gives every audience of a recipe emit: none.
func silence(recipe []byte) ([]byte, error) {
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
		long["emit"] = "none"
		audiences[name] = long
	}
	return yaml.Marshal(doc)
}
