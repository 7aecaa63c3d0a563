package main

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"dashi/pipeline/identity/match"

	"github.com/spf13/cobra"
)

// matchOptions are the flags of identity match.
type matchOptions struct {
	columns    []string
	format     string
	delimiter  string
	threshold  float64
	doubtful   bool
	output     string
	peopleFile string
	quiet      bool
	links      linkOptions
}

func identityMatchCommand() *cobra.Command {
	var o matchOptions
	c := &cobra.Command{
		Use:   "match FILE",
		Short: "Find records of one person that share no key",
		Long: `Find records of one person that share no key, by name, birth date, address and the like, with slips of the pen,
nicknames, initials, names that changed places and cells that are empty. FILE is CSV or JSONL, gzipped or not.

It learns from the file itself how much each agreement is worth (Fellegi and Sunter, by expectation and maximisation, without
labels) and chooses the threshold by its own probabilities. Columns are known by their names; others are ignored unless
--column says what they hold: ` + strings.Join(match.KindNames(), ", ") + `.

Nothing is linked by looking. With --write or --send the accepted pairs become link events, which the rules of the cookbook still
judge: people who must not merge do not. To decide yourself, write the pairs as CSV, change the column accepted, and give the
file to --accept.`,
		Example: `  dashi identity match crm.csv
  dashi identity match crm.csv --column nachname=family_name --column status=ignore --doubtful
  dashi identity match crm.csv -o csv > pairs.csv
  dashi identity match crm.csv --accept pairs.csv --identifier crm_id=customer_no --recipes shop.yml --write links.jsonl
  dashi identity match crm.csv --accept 0.99 --identifier user_id=customer_no --send`,
		Args: arguments,
	}
	f := c.Flags()
	f.StringSliceVar(&o.columns, "column", nil, "what a column holds, as NAME=KIND")
	f.StringVar(&o.format, "format", "", "csv or jsonl (default: by the file's name)")
	f.StringVar(&o.delimiter, "delimiter", "", `what stands between the columns of a csv file, "\t" for a tab (default: , or ; by the header)`)
	f.Float64Var(&o.threshold, "threshold", 0, "probability from which a pair may join two people (default: chosen by the model)")
	f.BoolVar(&o.doubtful, "doubtful", false, "also list the pairs that look like one person and were not accepted")
	f.StringVar(&o.peopleFile, "people", "", "write a CSV file with the person of every record")
	f.BoolVarP(&o.quiet, "quiet", "q", false, "no progress")
	o.links.flags(c)
	// Unlike other commands it asks a node only when links are made for it.
	cl := addClientFlags(c)
	c.GroupID = ""
	c.Flags().Lookup("output").Usage = "json, csv (pairs), or text for people"
	c.PreRunE = func(c *cobra.Command, _ []string) error {
		o.output, cl.out = cl.format, c.OutOrStdout()
		if !slices.Contains([]string{"", "text", "json", "csv"}, o.output) {
			return fmt.Errorf("unknown output format %q: json, csv or text", o.output)
		}
		if !strings.Contains(cl.addr, "://") {
			cl.addr = "http://" + cl.addr
		}
		if o.threshold < 0 || o.threshold >= 1 {
			return fmt.Errorf("--threshold is %v; wanted: a probability between 0 and 1", o.threshold)
		}
		return nil
	}
	c.RunE = func(c *cobra.Command, args []string) error { return identityMatch(c, cl, args[0], o) }
	return c
}

func identityMatch(c *cobra.Command, cl *client, path string, o matchOptions) error {
	in, err := readRecords(c, cl, path, &o)
	if err != nil {
		return err
	}
	progress := stepProgress{out: c.ErrOrStderr(), quiet: o.quiet}
	in.result = match.Run(in.table, match.Settings{Threshold: o.threshold, Progress: progress.step})
	progress.end()
	if o.peopleFile != "" {
		if err := writePeople(o.peopleFile, in); err != nil {
			return err
		}
	}
	switch o.output {
	case "json":
		err = writeMatchJSON(cl.out, in, o.doubtful)
	case "csv":
		err = writeMatchCSV(cl.out, in, o.doubtful)
	default:
		printMatch(cl.out, in, o.doubtful)
	}
	if err != nil {
		return err
	}
	return o.links.make(c, cl, in)
}

// records are the rows of a file as far as matching needs them.
type records struct {
	file    string
	columns []match.Column
	table   *match.Table
	keys    []string // of records: the id column, or the row
	keyed   bool     // there is an id column
	bad     int      // rows that could not be read
	firstAt string   // where the first bad row is, and what is wrong with it
	carried carried
	result  *match.Result
}

func readRecords(c *cobra.Command, cl *client, path string, o *matchOptions) (*records, error) {
	ctx := c.Context()
	file, err := findRows(ctx, path, o.format, o.delimiter, nil)
	if err != nil {
		return nil, err
	}
	defer file.done()
	sample, header, err := file.sample(ctx)
	if err != nil {
		return nil, err
	}
	r := &records{file: path}
	if r.columns, err = chooseColumns(header, sample, o.columns); err != nil {
		return nil, err
	}
	if r.table, err = match.NewTable(r.columns, sample); err != nil {
		return nil, fmt.Errorf("cannot match %q: %w (columns: %s; say what they hold with --column NAME=KIND)", path, err, strings.Join(header, ", "))
	}
	if r.carried, err = o.links.carry(c, cl, r.columns); err != nil {
		return nil, err
	}
	rows, err := file.open(ctx)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	return r, r.read(c, rows)
}

func (r *records) read(c *cobra.Command, rows *rows) error {
	id := slices.IndexFunc(r.columns, func(c match.Column) bool { return c.Kind == match.ID })
	r.keyed = id >= 0
	for {
		row, line, err := rows.Next()
		if err == io.EOF {
			return nil
		}
		var bad *badRow
		if errors.As(err, &bad) {
			if r.bad++; r.bad == 1 {
				r.firstAt = fmt.Sprintf("line %d: %v", line, err)
			}
			continue
		}
		if err != nil {
			return fmt.Errorf("cannot read %q after line %d: %w", r.file, line, err)
		}
		if err := c.Context().Err(); err != nil {
			return err
		}
		if r.table.Records() == match.MostRecords {
			return fmt.Errorf("%q has more than %d records, which is as many as are matched at once: split it, for instance by country", r.file, match.MostRecords)
		}
		key := fmt.Sprintf("row %d", r.table.Records()+1)
		if id >= 0 && strings.TrimSpace(row[id]) != "" {
			key = strings.Clone(strings.TrimSpace(row[id]))
		}
		r.keys = append(r.keys, key)
		r.carried.add(row)
		r.table.Add(row)
	}
}

// chooseColumns guesses what columns hold, and then does as --column says.
func chooseColumns(header []string, sample [][]string, said []string) ([]match.Column, error) {
	kinds := match.Detect(header, sample)
	for _, s := range said {
		name, word, ok := strings.Cut(s, "=")
		at := slices.IndexFunc(header, func(h string) bool { return strings.TrimSpace(h) == strings.TrimSpace(name) })
		kind, known := match.ParseKind(strings.TrimSpace(word))
		switch {
		case !ok:
			return nil, fmt.Errorf("--column is %q; wanted: NAME=KIND", s)
		case at < 0:
			return nil, fmt.Errorf("--column %s: no column %q; there are: %s", s, name, strings.Join(header, ", "))
		case !known:
			return nil, fmt.Errorf("--column %s: unknown kind %q; it is one of %s", s, word, strings.Join(match.KindNames(), ", "))
		}
		if kind == match.ID {
			for i := range kinds {
				if kinds[i] == match.ID {
					kinds[i] = match.Ignored
				}
			}
		}
		kinds[at] = kind
	}
	columns := make([]match.Column, len(header))
	for i, h := range header {
		columns[i] = match.Column{Name: strings.TrimSpace(h), Kind: kinds[i]}
	}
	return columns, nil
}

// stepProgress shows how far long work is, if a person is watching.
type stepProgress struct {
	out   io.Writer
	quiet bool
	drawn time.Time
	shown bool
}

func (p *stepProgress) step(step string, done, total int) {
	now := time.Now()
	if p.quiet || !isTerminal(p.out) || now.Sub(p.drawn) < drawInterval {
		return
	}
	p.drawn, p.shown = now, true
	fmt.Fprintf(p.out, "\r%-16s %3.0f%%  ", step, 100*float64(done)/float64(max(total, 1)))
}

func (p *stepProgress) end() {
	if p.shown {
		fmt.Fprint(p.out, "\r                         \r")
	}
}
