package main

import (
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"

	"dashi/pipeline/say"
	"dashi/pipeline/score"

	"github.com/spf13/cobra"
)

// trainOptions are the flags of train.
type trainOptions struct {
	label             string
	features, without []string
	words             []string // columns that hold texts, even if they look like numbers
	positive          string
	l2, hold          float64
	out               string
	input             struct{ format, delimiter string } // of the file
	format            string                             // of what is printed
}

func trainCommand() *cobra.Command {
	var o trainOptions
	c := &cobra.Command{
		Use:   "train FILE --label COLUMN --out MODEL",
		Short: "Train a score on rows of features",
		Long: `Train a logistic regression on the rows of a CSV or JSONL file, gzipped or not: one column says what happened (the label), the
others are features. Numbers are standardised, skewed ones count by their logarithm, words get a weight each, and an empty
cell stands for the mean. A part of the rows is held out, and the model is tested on it.

The same file gives the same model, byte for byte.`,
		Example: `  dashi train visits.csv.gz --label Revenue --out purchase.json
  dashi train customers.jsonl --label churned --features days_since_login,plan,tickets --l2 10 --out churn.json`,
		GroupID: "recipes",
		Args:    arguments,
	}
	f := c.Flags()
	f.StringVar(&o.label, "label", "", "column that says what happened (required)")
	f.StringVar(&o.positive, "positive", "", "the word in it that means yes (default: true, yes or 1)")
	f.StringSliceVar(&o.features, "features", nil, "columns to learn from (default: all others)")
	f.StringSliceVar(&o.without, "without", nil, "columns not to learn from")
	f.StringSliceVar(&o.words, "words", nil, "columns that hold texts, even if they look like numbers")
	f.Float64Var(&o.l2, "l2", 1, "penalty on large weights")
	f.Float64Var(&o.hold, "hold", 0.2, "share of rows to test the model on; 0 for none")
	f.StringVar(&o.out, "out", "", "file for the model (required)")
	f.StringVar(&o.input.format, "format", "", "csv or jsonl (default: by the file's name)")
	f.StringVar(&o.input.delimiter, "delimiter", "", `what stands between the columns of a csv file (default: , or ; by the header)`)
	f.StringVarP(&o.format, "output", "o", "", "json for JSON, otherwise text for people")
	_ = c.MarkFlagRequired("label")
	_ = c.MarkFlagRequired("out")
	c.RunE = func(c *cobra.Command, args []string) error {
		if err := checkOutput(o.format); err != nil {
			return err
		}
		if !(o.l2 > 0) || !(o.hold >= 0 && o.hold < 1) {
			return fmt.Errorf("--l2 is %v and --hold %v; wanted: more than 0, and from 0 to below 1", o.l2, o.hold)
		}
		return train(c, args[0], o)
	}
	return c
}

func train(c *cobra.Command, path string, o trainOptions) error {
	columns, labels, err := readFeatures(c, path, &o)
	if err != nil {
		return err
	}
	file, report, err := score.Train(columns, labels, score.TrainSettings{L2: o.l2, Held: o.hold})
	if err != nil {
		return fmt.Errorf("cannot train on %q: %w", path, err)
	}
	if err := os.WriteFile(o.out, file, 0o644); err != nil {
		return fmt.Errorf("cannot write the model: %w", err)
	}
	if o.format == "json" {
		return say.WriteJSON(c.OutOrStdout(), report)
	}
	fmt.Fprintf(c.OutOrStdout(), "%s: trained on %s, with yes in %d; %s\n", o.out, say.Count(report.Rows, "row"), report.Positives, say.Count(report.Rounds, "round"))
	if report.HeldRows > 0 {
		fmt.Fprintf(c.OutOrStdout(), "on %s that it has not seen: AUC %.4f (0.5 is chance, 1 is perfect), mean log loss %.4f\n", say.Count(report.HeldRows, "row"), report.AUC, report.LogLoss)
	}
	return nil
}

// readFeatures reads the rows as columns.
func readFeatures(c *cobra.Command, path string, o *trainOptions) ([]score.Column, []bool, error) {
	ctx := c.Context()
	file, err := findRows(ctx, path, o.input.format, o.input.delimiter, nil)
	if err != nil {
		return nil, nil, err
	}
	defer file.done()
	rows, err := file.open(ctx)
	if err != nil {
		return nil, nil, err
	}
	defer rows.Close()
	label, use, err := chooseFeatures(rows.columns, o)
	if err != nil {
		return nil, nil, err
	}
	cells := make([][]string, len(use))
	var labels []bool
	said := map[string]int{}     // how often the label is what, of the first few
	words := map[string]string{} // each cell once: features repeat
	for {
		row, line, err := rows.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, nil, fmt.Errorf("cannot read %q, line %d: %w", path, line, err)
		}
		yes, err := o.isYes(row[label])
		if err != nil {
			return nil, nil, fmt.Errorf("%s line %d: %w", path, line, err)
		}
		if len(labels)*len(use) > score.MostCells {
			return nil, nil, fmt.Errorf("%q is larger than %d cells: train on a part of it", path, score.MostCells)
		}
		labels = append(labels, yes)
		if word := strings.TrimSpace(row[label]); said[word] > 0 || len(said) < mostSaid {
			said[strings.Clone(word)]++
		}
		for i, at := range use {
			cell, ok := words[row[at]]
			if !ok {
				cell = strings.Clone(row[at])
				words[cell] = cell
			}
			cells[i] = append(cells[i], cell)
		}
		if len(labels)%1024 == 0 && ctx.Err() != nil {
			return nil, nil, ctx.Err()
		}
	}
	if len(labels) == 0 {
		return nil, nil, fmt.Errorf("%q has no rows", path)
	}
	if slices.Index(labels, !labels[0]) < 0 {
		return nil, nil, o.oneSided(path, labels[0], said)
	}
	columns := make([]score.Column, len(use))
	for i, at := range use {
		name := strings.TrimSpace(rows.columns[at])
		if columns[i] = (score.Column{Name: name, Words: cells[i]}); !slices.Contains(o.words, name) {
			columns[i] = featureColumn(name, cells[i])
		}
	}
	return columns, labels, nil
}

// mostSaid is how many different labels a message shows.
const mostSaid = 8

// oneSided says what to look at when all rows have the same label, of which nothing can be learnt.
func (o *trainOptions) oneSided(path string, yes bool, said map[string]int) error {
	all, check := "no", "was the event that makes the label named as events name it, and --within long enough? (dashi features says how many are true)"
	if yes {
		all, check = "yes", "rows of those of whom it is not true are missing"
	}
	if o.positive != "" {
		check = fmt.Sprintf("--positive %q is the word that means yes, written as in the file", o.positive)
	}
	var words []string
	for _, word := range sortedKeys(said) {
		words = append(words, fmt.Sprintf("%s (%d)", say.Quote(word), said[word]))
	}
	return fmt.Errorf("cannot train on %q: every row says %s, and a model needs both: %s holds %s; %s", path, all, say.Quote(o.label), strings.Join(words, ", "), check)
}

func chooseFeatures(header []string, o *trainOptions) (label int, use []int, err error) {
	find := func(name string) (int, error) {
		i := slices.IndexFunc(header, func(h string) bool { return strings.TrimSpace(h) == strings.TrimSpace(name) })
		if i < 0 {
			return 0, fmt.Errorf("no column %q; there are: %s", name, strings.Join(header, ", "))
		}
		return i, nil
	}
	if label, err = find(o.label); err != nil {
		return 0, nil, err
	}
	left := map[int]bool{label: true}
	for _, name := range o.without {
		i, err := find(name)
		if err != nil {
			return 0, nil, err
		}
		left[i] = true
	}
	for _, name := range o.words {
		if _, err := find(name); err != nil {
			return 0, nil, err
		}
	}
	for _, name := range o.features {
		i, err := find(name)
		if err != nil {
			return 0, nil, err
		}
		if !left[i] {
			use = append(use, i)
		}
	}
	if len(o.features) == 0 {
		for i := range header {
			if !left[i] {
				use = append(use, i)
			}
		}
	}
	if len(use) == 0 {
		return 0, nil, errors.New("no columns are left to learn from")
	}
	return label, use, nil
}

func (o *trainOptions) isYes(cell string) (bool, error) {
	cell = strings.TrimSpace(cell)
	if o.positive != "" {
		return cell == o.positive, nil
	}
	switch strings.ToLower(cell) {
	case "true", "yes", "1":
		return true, nil
	case "false", "no", "0":
		return false, nil
	}
	return false, fmt.Errorf("%s is %s; wanted: true or false, yes or no, 1 or 0 (or say with --positive which word means yes)", o.label, say.Quote(cell))
}

// featureColumn decides what a column holds: numbers, true and false, or words.
func featureColumn(name string, cells []string) score.Column {
	numbers := make([]float64, len(cells))
	for i, cell := range cells {
		switch cell = strings.TrimSpace(cell); strings.ToLower(cell) {
		case "":
			numbers[i] = math.NaN()
			continue
		case "true":
			numbers[i] = 1
			continue
		case "false":
			continue
		}
		v, err := strconv.ParseFloat(cell, 64)
		if err != nil || math.IsInf(v, 0) {
			return score.Column{Name: name, Words: cells}
		}
		numbers[i] = v
	}
	return score.Column{Name: name, Numbers: numbers}
}
