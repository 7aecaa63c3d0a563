// Package deploy carries the files of this folder that the binary needs.
package deploy

import (
	"embed"
	"path"
	"strings"
)

//go:embed recipes/*.yml
var recipes embed.FS

// File is one embedded file.
type File struct {
	Name string
	Text []byte
}

// Recipes are the recipes of deploy/recipes, sorted by name; not their tests.
func Recipes() ([]File, error) {
	entries, err := recipes.ReadDir("recipes")
	if err != nil {
		return nil, err
	}
	var files []File
	for _, e := range entries {
		if strings.HasSuffix(e.Name(), ".test.yml") {
			continue
		}
		text, err := recipes.ReadFile(path.Join("recipes", e.Name()))
		if err != nil {
			return nil, err
		}
		files = append(files, File{Name: e.Name(), Text: text})
	}
	return files, nil
}
