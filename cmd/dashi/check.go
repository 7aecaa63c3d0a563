package main

import (
	"errors"
	"fmt"

	"dashi/pipeline/recipe"
	"dashi/pipeline/say"

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
		Args:    arguments,
	}
	c.Flags().StringVarP(&format, "output", "o", "", "json for JSON, otherwise text for people")
	c.RunE = func(c *cobra.Command, args []string) error {
		if err := checkOutput(format); err != nil {
			return err
		}
		sources, err := readRecipes(c.Context(), args)
		if err != nil {
			return err
		}
		program, found := recipe.Compile(sources)
		if format == "json" {
			if err := say.WriteJSON(c.OutOrStdout(), newCheckReport(program != nil, found)); err != nil {
				return err
			}
		} else {
			printDiagnostics(c, sources, found)
		}
		if program == nil {
			return &shownError{errors.New("the cookbook has errors")}
		}
		if format != "json" {
			recipes, attributes, activations := 0, len(program.Attributes), len(program.Activations)
			if program.Accounts != nil {
				attributes += len(program.Accounts.Program.Attributes) - len(program.Accounts.Folds)
				activations += len(program.Accounts.Program.Activations)
			}
			for _, s := range sources {
				if !recipe.IsData(s.Name) {
					recipes++
				}
			}
			if recipes == 0 {
				return errors.New("there is no recipe among the paths: the name of one ends in .yml or .yaml")
			}
			fmt.Fprintf(c.OutOrStdout(), "ok: %s, %s, %s, %s, %s; cookbook %016x\n", say.Count(recipes, "recipe"), say.Count(attributes, "attribute"),
				say.Count(len(program.AllAudiences()), "audience"), say.Count(activations, "activation"), say.Count(len(program.Mappings), "mapping"), program.Hash)
		}
		return nil
	}
	return c
}

// checkReport is what check prints with -o json.
type checkReport struct {
	OK          bool                `json:"ok"`
	Diagnostics []checkedDiagnostic `json:"diagnostics"`
}

type checkedDiagnostic struct {
	File     string `json:"file"`
	Line     int    `json:"line"`
	Column   int    `json:"column"`
	Severity string `json:"severity"`
	Message  string `json:"message"`
	Hint     string `json:"hint,omitempty"`
}

func newCheckReport(ok bool, found []recipe.Diagnostic) checkReport {
	r := checkReport{OK: ok, Diagnostics: []checkedDiagnostic{}}
	for _, d := range found {
		r.Diagnostics = append(r.Diagnostics, checkedDiagnostic{d.File, d.Line, d.Column, d.Severity.String(), d.Message, d.Hint})
	}
	return r
}

// compiled is the program of a cookbook. It fails, with what is wrong printed, when that has errors.
func compiled(c *cobra.Command, sources []recipe.Source) (*recipe.Program, error) {
	program, found := recipe.Compile(sources)
	if program == nil {
		printDiagnostics(c, sources, found)
		return nil, &shownError{errors.New("the cookbook has errors")}
	}
	return program, nil
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
