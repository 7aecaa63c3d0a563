package main

import (
	"context"
	"fmt"
	"os"

	"dashi/node/cookbook"
	"dashi/pipeline/recipe"
)

// await runs something that no signal interrupts, such as reading a pipe into which nobody writes, and stops waiting for it when ctx is done.
func await[T any](ctx context.Context, what string, do func() (T, error)) (T, error) {
	type outcome struct {
		value T
		err   error
	}
	done := make(chan outcome, 1)
	go func() {
		v, err := do()
		done <- outcome{v, err}
	}()
	select {
	case o := <-done:
		return o.value, o.err
	case <-ctx.Done():
		var none T
		return none, fmt.Errorf("interrupted while %s", what)
	}
}

// openFile opens a file of rows for reading, or gives up on a pipe into which nobody writes when ctx is done.
func openFile(ctx context.Context, path string) (*os.File, error) {
	return await(ctx, "reading rows", func() (*os.File, error) { return os.Open(path) })
}

// readRecipes reads the recipe files that the paths name.
func readRecipes(ctx context.Context, paths []string) ([]recipe.Source, error) {
	return await(ctx, "reading recipes", func() ([]recipe.Source, error) { return cookbook.ReadRecipes(paths) })
}

// readTests reads the recipes that the paths name, and then their tests too.
func readTests(ctx context.Context, paths []string) (recipes, withTests []recipe.Source, err error) {
	both, err := await(ctx, "reading recipes and tests", func() (both [2][]recipe.Source, err error) {
		both[0], both[1], err = cookbook.ReadTests(paths)
		return both, err
	})
	return both[0], both[1], err
}
