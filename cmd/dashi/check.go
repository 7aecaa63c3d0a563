package main

import (
	"encoding/json"
	"errors"
	"fmt"

	"dashi/node"
	"dashi/pipeline/recipe"

	"github.com/spf13/cobra"
)

func checkCommand() *cobra.Command {
	var format string
	c := &cobra.Command{
		Use:     "check PATH..",
		Short:   "Check recipes without a node",
		Long:    "Check recipes without a node. The paths are recipe files and directories of them; together they make one cookbook.",
		Example: "  dashi check deploy/recipes\n  dashi check shop.yml -o json",
		GroupID: "recipes",
		Args:    cobra.MinimumNArgs(1),
	}
	c.Flags().StringVarP(&format, "output", "o", "", "json for JSON, otherwise text for people")
	c.RunE = func(c *cobra.Command, args []string) error {
		sources, err := node.ReadRecipes(args)
		if err != nil {
			return err
		}
		program, found := recipe.Compile(sources)
		if format == "json" {
			if found == nil {
				found = []recipe.Diagnostic{}
			}
			if err := json.NewEncoder(c.OutOrStdout()).Encode(map[string]any{"ok": program != nil, "diagnostics": found}); err != nil {
				return err
			}
		} else {
			printDiagnostics(c, sources, found)
		}
		if program == nil {
			return &shownError{errors.New("the cookbook has errors")}
		}
		if format != "json" {
			fmt.Fprintf(c.OutOrStdout(), "ok: %d recipes, %d attributes, %d audiences, %d activations, %d mappings; cookbook %016x\n",
				len(sources), len(program.Attributes), len(program.Audiences), len(program.Activations), len(program.Mappings), program.Hash)
		}
		return nil
	}
	return c
}

func printDiagnostics(c *cobra.Command, sources []recipe.Source, found []recipe.Diagnostic) {
	for _, d := range found {
		var text []byte
		for _, s := range sources {
			if s.Name == d.File {
				text = s.Text
			}
		}
		fmt.Fprintln(c.ErrOrStderr(), d.Format(text))
	}
}
