package cookbook

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"dashi/node/recipetest"
	"dashi/pipeline/recipe"
)

// ErrNoRecipes says that no recipe file was named.
var ErrNoRecipes = errors.New("no recipes: name recipe files, or a directory of them (a node: recipes in its settings, or --recipes)")

// ReadRecipes reads the recipe files that the paths name. A directory stands for its .yml and .yaml files, tests aside.
func ReadRecipes(paths []string) ([]recipe.Source, error) {
	files, err := findFiles(paths, func(name string) bool { return !recipetest.IsTestFile(name) })
	if err != nil {
		return nil, err
	}
	if len(files) == 0 {
		return nil, ErrNoRecipes
	}
	return readSources(files)
}

// ReadTests reads the recipes that the paths name, and the files of tests: those in a directory, and NAME.test.yml beside the file
// NAME.yml. A path may also be that of a file of tests, and stands for the recipe beside it too.
func ReadTests(paths []string) (recipes, tests []recipe.Source, err error) {
	var all []string
	for _, path := range paths {
		all = append(all, path)
		for _, ext := range []string{".yml", ".yaml"} {
			beside, isRecipe := strings.CutSuffix(path, ext)
			if !isRecipe {
				continue
			}
			if name, isTest := strings.CutSuffix(beside, ".test"); isTest {
				beside = name + ext
			} else {
				beside += ".test" + ext
			}
			if _, err := os.Stat(beside); err == nil {
				all = append(all, beside)
			}
		}
	}
	if recipes, err = ReadRecipes(all); err != nil {
		return nil, nil, err
	}
	files, err := findFiles(all, recipetest.IsTestFile)
	if err != nil {
		return nil, nil, err
	}
	if tests, err = readSources(files); err != nil {
		return nil, nil, err
	}
	return recipes, append(slices.Clone(recipes), tests...), nil
}

// findFiles lists the files among the paths, and in the directories among them, that are chosen.
func findFiles(paths []string, chosen func(name string) bool) ([]string, error) {
	var files []string
	for _, path := range paths {
		info, err := os.Stat(path)
		if err != nil {
			return nil, fmt.Errorf("cannot read recipes: %w", err)
		}
		if !info.IsDir() {
			if chosen(path) {
				files = append(files, path)
			}
			continue
		}
		entries, err := os.ReadDir(path)
		if err != nil {
			return nil, fmt.Errorf("cannot read recipes: %w", err)
		}
		found := 0
		for _, e := range entries {
			if ext := filepath.Ext(e.Name()); !e.IsDir() && (ext == ".yml" || ext == ".yaml") {
				if found++; chosen(e.Name()) {
					files = append(files, filepath.Join(path, e.Name()))
				}
			}
		}
		if found == 0 {
			return nil, fmt.Errorf("cannot read recipes: no .yml file in %q: %w", path, fs.ErrNotExist)
		}
	}
	slices.Sort(files)
	return slices.Compact(files), nil
}

func readSources(files []string) ([]recipe.Source, error) {
	sources := make([]recipe.Source, 0, len(files))
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			return nil, fmt.Errorf("cannot read recipe: %w", err)
		}
		sources = append(sources, recipe.Source{Name: f, Text: text})
	}
	return readData(sources)
}

// readData adds the data files that the recipes name. It passes over one that does not exist or is a directory: compiling reports that, with its place.
func readData(sources []recipe.Source) ([]recipe.Source, error) {
	for _, s := range slices.Clone(sources) {
		for _, name := range recipe.DataFiles(s) {
			if slices.ContainsFunc(sources, func(o recipe.Source) bool { return o.Name == name }) {
				continue
			}
			text, err := os.ReadFile(name)
			if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.EISDIR) {
				continue
			}
			if err != nil {
				return nil, fmt.Errorf("cannot read a file of a recipe: %w", err)
			}
			sources = append(sources, recipe.Source{Name: name, Text: text})
		}
	}
	return sources, nil
}
