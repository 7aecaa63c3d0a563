package main_test

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"
)

// namesOf are the audiences and activations of the recipes with a number, by file.
func namesOf(t *testing.T) map[string][]string {
	t.Helper()
	files, err := filepath.Glob("../../deploy/recipes/[0-9][0-9]-*.yml")
	if err != nil {
		t.Fatal(err)
	}
	names := map[string][]string{}
	for _, file := range files {
		if strings.HasSuffix(file, ".test.yml") || strings.Contains(file, "00-base") {
			continue
		}
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var r struct {
			Audiences   map[string]any `yaml:"audiences"`
			Activations map[string]any `yaml:"activations"`
		}
		if err := yaml.Unmarshal(text, &r); err != nil {
			t.Fatal(err)
		}
		names[filepath.Base(file)] = slices.Concat(slices.Sorted(maps.Keys(r.Audiences)), slices.Sorted(maps.Keys(r.Activations)))
	}
	return names
}

// Within two minutes of `make run` every one of the eighteen recipes has people in an audience and has sent an activation.
func TestDemoPlaysEveryRecipe(t *testing.T) {
	recipes := namesOf(t)
	if len(recipes) != 18 {
		t.Fatalf("%d recipes", len(recipes))
	}
	n := newNode(t, "--demo", "200")
	n.start()
	tail := launch(t, n.env, "tail", "-o", "json")
	eventually(t, 2*time.Minute, "people in the audiences and activations of every recipe", func() error {
		filled := map[string]bool{}
		for _, a := range decode[struct {
			Audiences []struct {
				Name string
				Size int
			}
		}](t, n.must("audiences", "-o", "json")).Audiences {
			filled[a.Name] = a.Size > 0
		}
		left := tail.stdout.String()
		for file, names := range recipes {
			in := slices.ContainsFunc(names, func(name string) bool { return filled[name] })
			out := slices.ContainsFunc(names, func(name string) bool { return strings.Contains(left, `"activation":"`+name+`"`) })
			if !in || !out {
				return fmt.Errorf("%s: anybody in an audience %v, any activation %v", file, in, out)
			}
		}
		return nil
	})
	if code := tail.interrupt(); code != 0 {
		t.Errorf("tail ended with code %d: %s", code, tail.stderr.String())
	}
}
