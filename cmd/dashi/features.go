package main

import (
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"dashi/node/features"
	"dashi/node/status"
	"dashi/pipeline/attribute"
	"dashi/pipeline/event"
	"dashi/pipeline/kafka"
	"dashi/pipeline/recipe"
	"dashi/pipeline/say"

	"github.com/spf13/cobra"
)

// featuresOptions are the flags of features.
type featuresOptions struct {
	recipes, brokers       []string
	mapping                string
	topics                 []string
	labels                 string
	labelEvent             string
	every, within          string
	attributes             []string
	score                  string
	out                    string
	keys, quiet            bool
	stepMillis, withMillis int64
}

func featuresCommand() *cobra.Command {
	var o featuresOptions
	c := &cobra.Command{
		Use:   "features [EVENTS..] --out FILE",
		Short: "Make the rows that a score is trained on",
		Long: `Make the rows that a score is trained on: the attributes of people as they stood at instants of the past, got by living through the
events again with the recipes that serve in the stream. What came at the instant or later is not in the row, nor are identifiers that
were linked later; the label alone knows of that. Events count by their own times, so one that arrived late counts as if in time.

EVENTS are files of Segment messages, one a line, gzipped or not; with --map, of rows that a mapping makes events of. --topic reads topics.

Labels come from a file with the columns identifier (NAMESPACE:VALUE), at (RFC 3339) and label; or, with --label-event, from the events:
everybody makes a row every so often, and the label says whether that event came within a time after it.

The result is a CSV file for dashi train: a column for each attribute, and the label.`,
		Example: `  dashi features events.jsonl.gz --recipes shop.yml --labels bought.csv --out rows.csv
  dashi features --topic dashi.events --label-event "Order Completed" --every 7d --within 7d --out rows.csv
  dashi train rows.csv --label label --out purchase.json`,
	}
	f := c.Flags()
	f.StringSliceVar(&o.recipes, "recipes", nil, "recipe files or directories (default: the recipes in force on the running node)")
	f.StringVar(&o.mapping, "map", "", "mapping that turns rows into events")
	f.StringSliceVar(&o.topics, "topic", nil, "topics to read, all that they hold")
	f.StringSliceVar(&o.brokers, "kafka", nil, "Kafka brokers, host:port (default: those of the running node)")
	f.StringVar(&o.labels, "labels", "", "file of labels, CSV or JSONL, with the columns identifier, at and label")
	f.StringVar(&o.labelEvent, "label-event", "", "event that makes a label true, instead of a file")
	f.StringVar(&o.every, "every", "7d", "with --label-event: how often everybody makes a row")
	f.StringVar(&o.within, "within", "7d", "with --label-event: how long after the row the event may come")
	f.StringSliceVar(&o.attributes, "attributes", nil, "attributes to write (default: all numbers, texts and conditions but scores)")
	f.StringVar(&o.score, "score", "", "write the inputs of this score, under the names that its model has for them")
	f.StringVar(&o.out, "out", "", "CSV file to write (required)")
	f.BoolVar(&o.keys, "keys", false, "write the columns identifier and at too")
	f.BoolVarP(&o.quiet, "quiet", "q", false, "no progress")
	_ = c.MarkFlagRequired("out")
	cl := addClientFlags(c)
	c.GroupID = "recipes"
	c.RunE = func(c *cobra.Command, args []string) error { return makeFeatures(c, cl, args, o) }
	return c
}

// check says what is wrong with the flags.
func (o *featuresOptions) check(files []string) (err error) {
	switch {
	case len(files)+len(o.topics) == 0:
		return errors.New("no events: name files of them, or topics with --topic")
	case (o.labels == "") == (o.labelEvent == ""):
		return errors.New("say where labels come from: --labels FILE, or --label-event NAME")
	case len(o.attributes) > 0 && o.score != "":
		return errors.New("--attributes and --score exclude each other")
	}
	if o.stepMillis, err = attribute.ParseLength(o.every); err != nil {
		return fmt.Errorf("--every: %w", err)
	}
	if o.withMillis, err = attribute.ParseLength(o.within); err != nil {
		return fmt.Errorf("--within: %w", err)
	}
	return nil
}

func makeFeatures(c *cobra.Command, cl *client, files []string, o featuresOptions) error {
	if err := o.check(files); err != nil {
		return err
	}
	program, err := o.program(c, cl)
	if err != nil {
		return err
	}
	var columns []features.Column
	if o.score != "" {
		columns, err = features.InputsOf(program, o.score)
	} else {
		columns, err = features.Columns(program, o.attributes)
	}
	if err != nil {
		return err
	}
	r := features.New(program, columns)
	if o.labelEvent != "" {
		r.Every(o.stepMillis, o.withMillis, o.labelEvent)
	} else if err := readLabels(c.Context(), r, o.labels); err != nil {
		return err
	}
	rejected := map[string]int{}
	for _, path := range files {
		if err := o.addFile(c, r, program, path, rejected); err != nil {
			return err
		}
	}
	if err := o.addTopics(c, cl, r, program, rejected); err != nil {
		return err
	}
	summary, err := o.write(c, r, columns)
	if err != nil {
		return err
	}
	if cl.json() {
		return say.WriteJSON(cl.out, struct {
			features.Summary
			Rejected map[string]int `json:"rejected"`
		}{summary, rejected})
	}
	o.print(cl.out, summary, rejected, columns)
	return nil
}

func (o *featuresOptions) program(c *cobra.Command, cl *client) (*recipe.Program, error) {
	var sources []recipe.Source
	var err error
	if len(o.recipes) > 0 {
		sources, err = readRecipes(c.Context(), o.recipes)
	} else if sources, err = cl.cookbook(c.Context()); err != nil {
		err = fmt.Errorf("%w\n(or name the recipe files with --recipes)", err)
	}
	if err != nil {
		return nil, err
	}
	return compiled(c, sources)
}

// readLabels reads the file of labels.
func readLabels(ctx context.Context, r *features.Replay, path string) error {
	wanted := []string{"identifier", "at", "label"}
	file, err := findRows(ctx, path, "", "", wanted)
	if err != nil {
		return err
	}
	defer file.done()
	rows, err := file.open(ctx)
	if err != nil {
		return err
	}
	defer rows.Close()
	var place [3]int
	for i, name := range wanted {
		if place[i] = slices.IndexFunc(rows.columns, func(h string) bool { return strings.TrimSpace(h) == name }); place[i] < 0 {
			return fmt.Errorf("%q has no column %q; there are: %s", path, name, strings.Join(rows.columns, ", "))
		}
	}
	for {
		row, line, err := rows.Next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return fmt.Errorf("cannot read %q, line %d: %w", path, line, err)
		}
		at, err := time.Parse(time.RFC3339, strings.TrimSpace(row[place[1]]))
		if err != nil {
			return fmt.Errorf("%s line %d: %s is no instant: write it as 2026-01-31T09:00:00Z", path, line, say.Quote(row[place[1]]))
		}
		if err := r.Label(strings.TrimSpace(row[place[0]]), at.UnixMilli(), strings.Clone(row[place[2]])); err != nil {
			return fmt.Errorf("%s line %d: %w", path, line, err)
		}
	}
}

// addFile adds the events of a file.
func (o *featuresOptions) addFile(c *cobra.Command, r *features.Replay, p *recipe.Program, path string, rejected map[string]int) error {
	in, err := openEvents(c.Context(), path, p, o.mapping)
	if err != nil {
		return err
	}
	defer in.rows.Close()
	progress := stepProgress{out: c.ErrOrStderr(), quiet: o.quiet}
	defer progress.end()
	var e event.Event
	for n := 0; ; n++ {
		line, reason, err := in.next(&e)
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return fmt.Errorf("cannot read %q after line %d: %w", path, line, err)
		}
		if reason != "" {
			rejected[reason]++
			continue
		}
		if err := r.Add(&e); err != nil {
			return err
		}
		if n%1024 == 0 {
			progress.step("reading", int(in.rows.read.Load()), int(in.rows.size))
			if err := c.Context().Err(); err != nil {
				return err
			}
		}
	}
}

// addTopics adds the events that topics hold.
func (o *featuresOptions) addTopics(c *cobra.Command, cl *client, r *features.Replay, p *recipe.Program, rejected map[string]int) error {
	if len(o.topics) == 0 {
		return nil
	}
	brokers := o.brokers
	if len(brokers) == 0 {
		var st status.Status
		if err := cl.fetch(c.Context(), "/v1/status", &st); err != nil {
			return fmt.Errorf("%w\n(or name the brokers with --kafka)", err)
		}
		brokers = st.Kafka.Brokers
	}
	decoder := event.NewDecoder(p.Schema, event.DefaultLimits)
	var e event.Event
	for _, topic := range o.topics {
		err := kafka.History(c.Context(), kafka.Settings{Brokers: brokers, ClientID: "dashi-features"}, topic, func(_ int32, m *kafka.Record) error {
			if reason := rejection(decoder.Decode(m.Value, m.Millis, &e)); reason != "" {
				rejected[reason]++
				return nil
			}
			return r.Add(&e)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// write runs the replay into the file.
func (o *featuresOptions) write(c *cobra.Command, r *features.Replay, columns []features.Column) (summary features.Summary, err error) {
	file, done, err := createWhole(o.out)
	if err != nil {
		return summary, fmt.Errorf("cannot write features: %w", err)
	}
	w := csv.NewWriter(file)
	var header, line []string
	if o.keys {
		header = append(header, "identifier", "at")
	}
	for _, col := range columns {
		header = append(header, col.Name)
	}
	err = w.Write(append(header, "label"))
	if err == nil {
		summary, err = r.Run(c.Context(), func(row *features.Row) error {
			line = line[:0]
			if o.keys {
				line = append(line, row.Who, time.UnixMilli(row.At).UTC().Format("2006-01-02T15:04:05.000Z07:00"))
			}
			return w.Write(append(append(line, row.Cells...), row.Label))
		})
	}
	w.Flush()
	if err = done(errors.Join(err, w.Error())); err != nil {
		return summary, fmt.Errorf("cannot write features: %w", err)
	}
	return summary, nil
}

func (o *featuresOptions) print(out io.Writer, s features.Summary, rejected map[string]int, columns []features.Column) {
	fmt.Fprintf(out, "%s: %s of %s, from %s", o.out, say.Count(s.Rows, "row"), say.Count(len(columns), "feature"), say.Count(s.Events, "event"))
	if o.labelEvent != "" {
		fmt.Fprintf(out, "; true in %d", s.Positive)
	}
	fmt.Fprintln(out)
	for _, reason := range sortedKeys(rejected) {
		fmt.Fprintf(out, "no event in %s: %s\n", say.Count(rejected[reason], "line"), reason)
	}
	if s.Strange > 0 {
		fmt.Fprintf(out, "without a row, because nothing was known of the person by then: %s\n", say.Count(s.Strange, "label"))
	}
	train := "dashi train " + o.out + " --label label"
	if o.keys {
		train += " --without identifier,at"
	}
	var words []string
	for _, col := range columns {
		if col.Words {
			words = append(words, col.Name)
		}
	}
	if len(words) > 0 {
		train += " --words " + strings.Join(words, ",")
	}
	if o.labelEvent != "" && s.Positive == 0 {
		fmt.Fprintf(out, "nothing can be learnt from this: is %q the name of the event, and --within long enough? (dashi events NS:VALUE shows the events of a person)\n", o.labelEvent)
		return
	}
	fmt.Fprintf(out, "next: %s --out model.json\n", train)
}
