package main

import (
	"bufio"
	"encoding/csv"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"

	"dashi/pipeline/identity/match"
	"dashi/pipeline/say"
)

// printedPairs is how many pairs of a kind a person is shown: the rest is for -o csv.
const printedPairs = 15

func printMatch(out io.Writer, r *records, doubtful bool) {
	res := r.result
	fmt.Fprintf(out, "%s, %s: pairs of records that are one person %d, that look like it %d\n", say.Count(r.table.Records(), "record"), say.Count(res.People, "person"), len(res.Pairs), len(res.Doubtful))
	fmt.Fprintf(out, "%s compared; a pair joins two people from probability %.3f\n", say.Count(res.Compared, "pair"), res.Threshold)
	printCuts(out, r)
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprint(w, "\nwhat an agreement is worth, in bits (1 doubles the odds)\n")
	fmt.Fprintf(w, "  column\tkind\t%s\n", strings.Join(match.LevelNames(), "\t"))
	for i, f := range r.table.Fields() {
		bits := res.Model.Bits(r.table, i)
		fmt.Fprintf(w, "  %s\t%s", plain(f.Name), f.Kind)
		for _, l := range match.LevelNames() {
			cell := ""
			if b, ok := bits[l]; ok {
				cell = fmt.Sprintf("%+.1f", b)
			}
			fmt.Fprintf(w, "\t%s", cell)
		}
		fmt.Fprintln(w)
	}
	w.Flush()
	printPairs(out, r, "accepted, the least certain first; below the threshold, other records join the two", leastCertain(res.Pairs), res.Pairs)
	if doubtful {
		printPairs(out, r, "not accepted, the most likely first", res.Doubtful, res.Doubtful)
	} else if len(res.Doubtful) > 0 {
		fmt.Fprintln(out, "\n--doubtful lists the pairs that were not accepted; -o csv writes all pairs for a closer look.")
	}
}

// printCuts says what matching has left out.
func printCuts(out io.Writer, r *records) {
	var ignored []string
	for _, c := range r.columns {
		if c.Kind == match.Ignored {
			ignored = append(ignored, plain(c.Name))
		}
	}
	if len(ignored) > 0 {
		fmt.Fprintf(out, "ignored: %s (--column NAME=KIND says what a column holds)\n", strings.Join(ignored, ", "))
	}
	if r.bad > 0 {
		fmt.Fprintf(out, "left out, because unreadable: %s; the first: %s\n", say.Count(r.bad, "row"), r.firstAt)
	}
	for _, p := range r.result.Passes {
		if p.Cut > 0 {
			fmt.Fprintf(out, "same %s: %s too large to compare in full, so records were compared with their neighbours there\n", plain(p.Name), say.Count(p.Cut, "block"))
		}
	}
	if r.result.Split > 0 {
		fmt.Fprintf(out, "not accepted, since it would have made a person of more than %[2]d records: %[1]s\n", say.Count(r.result.Split, "pair"), match.LargestGroup)
	}
	if r.result.Dropped > 0 {
		fmt.Fprintf(out, "not listed: %s beyond the first %d\n", say.Count(r.result.Dropped, "doubtful pair"), match.MostDoubtful)
	}
}

func leastCertain(pairs []match.Pair) []match.Pair {
	pairs = slices.Clone(pairs)
	slices.Reverse(pairs)
	return pairs
}

func printPairs(out io.Writer, r *records, what string, shown, all []match.Pair) {
	if len(all) == 0 {
		return
	}
	shown = shown[:min(len(shown), printedPairs)]
	fmt.Fprintf(out, "\n%s (%d of %d)\n", what, len(shown), len(all))
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for _, p := range shown {
		fmt.Fprintf(w, "  %.3f\t%s\t%s\n", p.Probability, plain(r.keys[p.A]), r.line(p.A))
		fmt.Fprintf(w, "  \t%s\t%s\n", plain(r.keys[p.B]), r.line(p.B))
	}
	w.Flush()
}

// line is a record in its compared form.
func (r *records) line(record int32) string {
	var cells []string
	for i := range r.table.Fields() {
		cells = append(cells, plain(r.table.Value(i, record)))
	}
	return strings.Join(cells, "\t")
}

// writeMatchCSV writes one line a pair, for a spreadsheet: whoever reviews them changes the column accepted.
func writeMatchCSV(out io.Writer, r *records, doubtful bool) error {
	w := csv.NewWriter(out)
	head := []string{"a", "b", "probability", "bits", "accepted"}
	for _, f := range r.table.Fields() {
		head = append(head, f.Name+"_a", f.Name+"_b", f.Name+"_level")
	}
	_ = w.Write(head) // Flush keeps the error
	put := func(pairs []match.Pair, accepted string) {
		for _, p := range pairs {
			row := []string{r.keys[p.A], r.keys[p.B], strconv.FormatFloat(p.Probability, 'f', 6, 64), strconv.FormatFloat(p.Weight, 'f', 3, 64), accepted}
			for i := range r.table.Fields() {
				row = append(row, r.table.Value(i, p.A), r.table.Value(i, p.B), p.Level(i))
			}
			_ = w.Write(row)
		}
	}
	put(r.result.Pairs, "yes")
	if doubtful {
		put(r.result.Doubtful, "no")
	}
	w.Flush()
	return w.Error()
}

// matchReport is what identity match prints with -o json.
type matchReport struct {
	File      string        `json:"file"`
	Records   int           `json:"records"`
	BadRows   int           `json:"bad_rows"`
	People    int           `json:"people"`
	Compared  int           `json:"pairs_compared"`
	Threshold float64       `json:"threshold"`
	Fields    []fieldReport `json:"fields"`
	Ignored   []string      `json:"ignored"`
	Cut       int           `json:"blocks_cut"`
	Dropped   int           `json:"pairs_dropped"`
	Split     int           `json:"pairs_beyond_largest_person"`
	Pairs     []pairReport  `json:"pairs"`
	Doubtful  []pairReport  `json:"doubtful,omitempty"`
}

type fieldReport struct {
	Name string             `json:"name"`
	Kind string             `json:"kind"`
	Bits map[string]float64 `json:"bits"`
}

type pairReport struct {
	A           string            `json:"a"`
	B           string            `json:"b"`
	Probability float64           `json:"probability"`
	Bits        float64           `json:"bits"`
	Levels      map[string]string `json:"levels"`
}

func writeMatchJSON(out io.Writer, r *records, doubtful bool) error {
	res := r.result
	report := matchReport{File: r.file, Records: r.table.Records(), BadRows: r.bad, People: res.People, Compared: res.Compared, Threshold: res.Threshold,
		Ignored: []string{}, Dropped: res.Dropped, Split: res.Split, Pairs: r.pairReports(res.Pairs)}
	for i, f := range r.table.Fields() {
		report.Fields = append(report.Fields, fieldReport{f.Name, f.Kind.String(), res.Model.Bits(r.table, i)})
	}
	for _, c := range r.columns {
		if c.Kind == match.Ignored {
			report.Ignored = append(report.Ignored, c.Name)
		}
	}
	for _, p := range res.Passes {
		report.Cut += p.Cut
	}
	if doubtful {
		report.Doubtful = r.pairReports(res.Doubtful)
	}
	return say.WriteJSON(out, report)
}

func (r *records) pairReports(pairs []match.Pair) []pairReport {
	reports := make([]pairReport, len(pairs))
	for i, p := range pairs {
		levels := map[string]string{}
		for j, f := range r.table.Fields() {
			levels[f.Name] = p.Level(j)
		}
		reports[i] = pairReport{r.keys[p.A], r.keys[p.B], p.Probability, p.Weight, levels}
	}
	return reports
}

// writePeople writes which records are one person. A person's name is the key of its first record.
func writePeople(path string, r *records) error {
	return writeOut("people", path, func(out *bufio.Writer) error {
		w := csv.NewWriter(out)
		_ = w.Write([]string{"record", "person"}) // Flush keeps the error
		for i, key := range r.keys {
			_ = w.Write([]string{key, r.keys[r.result.Groups[i]]})
		}
		w.Flush()
		return w.Error()
	})
}
