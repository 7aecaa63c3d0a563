package main

import (
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"time"

	"dashi/node/recipetest"
	"dashi/pipeline/recipe"
	"dashi/pipeline/say"

	"github.com/spf13/cobra"
)

// oneDash lets -run be written as go test has it: here a flag of one dash is otherwise one letter.
func oneDash(args []string) []string {
	args = slices.Clone(args)
	for i, a := range args {
		if a == "-run" || strings.HasPrefix(a, "-run=") {
			args[i] = "-" + a
		}
	}
	return args
}

type testOptions struct {
	run, format    string
	cover, verbose bool
	record         string
}

func testCommand() *cobra.Command {
	var o testOptions
	c := &cobra.Command{
		Use:   "test PATH..",
		Short: "Run the tests of recipes without a node",
		Long: `Run the tests of recipes without a node: given events at times, they expect attributes, audiences, consent and activations.
The paths are recipe files and directories of them; together they make one cookbook. Tests stand under "tests" in a
recipe, or in NAME.test.yml beside it:

  tests:
    somebody buys, and lapses:
      - Order Completed: {total: 120}
      - expect: {attributes: {orders: 1}, audiences: {lapsed: false}}
      - advance: 180d
      - expect: {audiences: {lapsed: true}, activations: [lapsed enter]}

deploy/recipes/README.md is the guide. The exit code is 0 when all tests passed.

With --record a running node's live traffic becomes a test: the events of one profile that its topics still hold, and
what the profile is now. It is printed; put it into a file NAME.test.yml.`,
		Example: "  dashi test deploy/recipes\n  dashi test shop.yml --run 'refund|lapse'\n  dashi test deploy/recipes --cover\n  dashi test shop.yml -o json\n  dashi test --record user_id:u0 > u0.test.yml",
	}
	cl := addClientFlags(c)
	c.GroupID = "recipes"
	f := c.Flags()
	f.StringVar(&o.run, "run", "", "run only tests whose name matches this `regexp`")
	f.BoolVar(&o.cover, "cover", false, "list every rule that no test touched")
	f.BoolVarP(&o.verbose, "verbose", "v", false, "name the tests that passed too")
	f.StringVar(&o.record, "record", "", "write a test from the live traffic of the profile `NS:VALUE` on a running node")
	c.Args = func(c *cobra.Command, args []string) error {
		if o.record == "" {
			return arguments(c, args)
		}
		if len(args) > 0 {
			return misused(c, fmt.Errorf("--record takes no PATH, and got %q", args[0]))
		}
		return nil
	}
	c.RunE = func(c *cobra.Command, args []string) error {
		if o.record != "" {
			return record(c, cl, o.record)
		}
		o.format = cl.format
		return runTests(c, args, o)
	}
	return c
}

func runTests(c *cobra.Command, paths []string, o testOptions) error {
	wanted, err := regexp.Compile(o.run)
	if err != nil {
		return fmt.Errorf("cannot read --run: %w", err)
	}
	begin := time.Now()
	recipes, withTests, err := readTests(c.Context(), paths)
	if err != nil {
		return err
	}
	program, found := recipe.Compile(recipes)
	cases, broken := recipetest.Parse(withTests, program)
	if program == nil || len(broken) > 0 {
		printDiagnostics(c, withTests, append(onlyErrors(found), broken...))
		return &shownError{errors.New("the recipes or their tests have errors")}
	}
	runner := recipetest.New(program)
	report := testReport{Tests: []testedCase{}}
	for i := range cases {
		if wanted.MatchString(cases[i].Name) {
			report.add(runner.Run(&cases[i]))
		}
	}
	switch {
	case len(report.Tests) == 0 && o.run != "":
		return fmt.Errorf("no test matches --run %q; there are %d", o.run, len(cases))
	case len(report.Tests) == 0:
		return errors.New("there are no tests: write them under `tests` in a recipe, or in NAME.test.yml beside it")
	}
	report.Milliseconds = float64(time.Since(begin).Microseconds()) / 1000
	covered := runner.Coverage()
	report.Coverage = testedRules{covered.Touched, covered.Rules, append([]string{}, covered.Untouched...)}
	if o.format == "json" {
		err = say.WriteJSON(c.OutOrStdout(), report)
	} else {
		report.print(c.OutOrStdout(), o, covered)
	}
	switch {
	case err != nil:
		return err
	case report.Failed > 0:
		return &shownError{errors.New("tests failed")}
	}
	return nil
}

func onlyErrors(found []recipe.Diagnostic) []recipe.Diagnostic {
	var errs []recipe.Diagnostic
	for _, d := range found {
		if d.Severity == recipe.Error {
			errs = append(errs, d)
		}
	}
	return errs
}

// testReport is what test prints with -o json.
type testReport struct {
	Passed       int          `json:"passed"`
	Failed       int          `json:"failed"`
	Milliseconds float64      `json:"ms"`
	Tests        []testedCase `json:"tests"`
	Coverage     testedRules  `json:"coverage"`
}

type testedCase struct {
	Name     string          `json:"name"`
	File     string          `json:"file"`
	Line     int             `json:"line"`
	Passed   bool            `json:"passed"`
	Failures []testedFailure `json:"failures,omitempty"`
}

type testedFailure struct {
	File string `json:"file"`
	Line int    `json:"line"`
	At   string `json:"at"`
	What string `json:"what"`
	Want string `json:"want"`
	Got  string `json:"got"`
}

type testedRules struct {
	Touched   int      `json:"touched"`
	Rules     int      `json:"rules"`
	Untouched []string `json:"untouched"`
}

func (r *testReport) add(result recipetest.Result) {
	t := testedCase{Name: result.Case.Name, File: result.Case.File, Line: result.Case.Line, Passed: len(result.Failures) == 0}
	for _, f := range result.Failures {
		t.Failures = append(t.Failures, testedFailure{f.File, f.Line, f.At, f.What, f.Want, f.Got})
	}
	if t.Passed {
		r.Passed++
	} else {
		r.Failed++
	}
	r.Tests = append(r.Tests, t)
}

func (r *testReport) print(out io.Writer, o testOptions, covered recipetest.Coverage) {
	for _, t := range r.Tests {
		switch {
		case !t.Passed:
			fmt.Fprintf(out, "FAIL  %s  (%s:%d)\n", plain(t.Name), t.File, t.Line)
		case o.verbose:
			fmt.Fprintf(out, "ok    %s\n", plain(t.Name))
		}
		for _, f := range t.Failures {
			fmt.Fprintf(out, "  %s:%d: at %s: %s\n    want %s\n    got  %s\n", f.File, f.Line, f.At, plain(f.What), indented(f.Want), indented(f.Got))
		}
	}
	word := "ok"
	if r.Failed > 0 {
		word = "FAIL"
	}
	fmt.Fprintf(out, "%s: %d passed, %d failed, in %.0f ms\n", word, r.Passed, r.Failed, r.Milliseconds)
	if !o.cover {
		fmt.Fprintf(out, "coverage: %s\n", covered)
		return
	}
	fmt.Fprintf(out, "coverage: %d of %d rules touched", covered.Touched, covered.Rules)
	if len(covered.Untouched) > 0 {
		fmt.Fprint(out, "; no test touches")
	}
	fmt.Fprintln(out)
	for _, name := range covered.Untouched {
		fmt.Fprintf(out, "  %s\n", plain(name))
	}
}

// indented puts further lines under the first.
func indented(text string) string {
	lines := strings.Split(text, "\n")
	for i := range lines {
		lines[i] = plain(lines[i])
	}
	return strings.Join(lines, "\n         ")
}
