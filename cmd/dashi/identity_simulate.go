package main

import (
	"bufio"
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"dashi/pipeline/event"
	"dashi/pipeline/identity"
	"dashi/pipeline/identity/simulate"
	"dashi/pipeline/recipe"
	"dashi/pipeline/say"

	"github.com/spf13/cobra"
)

// simulateOptions are the flags of identity simulate.
type simulateOptions struct {
	recipes    []string
	mapping    string
	peopleFile string
	format     string
	quiet      bool
}

func identitySimulateCommand() *cobra.Command {
	var o simulateOptions
	c := &cobra.Command{
		Use:   "simulate FILE",
		Short: "Show what identity rules would make of a file of events",
		Long: `Show what identity rules would make of a file of events, before they are applied: how many profiles there would be, which links
are refused and by which rule, which devices and addresses are shared, and the largest profiles. Nothing is sent anywhere.

FILE holds Segment messages, one a line, gzipped or not; or, with --map, rows that a mapping makes events of.`,
		Example: `  dashi identity simulate events.jsonl
  dashi identity simulate events.jsonl.gz --recipes stricter.yml
  dashi identity simulate crm.csv --map crm_export --recipes recipes/ --people people.csv`,
		Args: arguments,
	}
	f := c.Flags()
	f.StringSliceVar(&o.recipes, "recipes", nil, "recipe files or directories that hold the rules, and the mapping (default: the recipes in this binary)")
	f.StringVar(&o.mapping, "map", "", "mapping that turns rows into events")
	f.StringVar(&o.peopleFile, "people", "", "write a CSV file with the profile of every event, by line")
	f.StringVarP(&o.format, "output", "o", "", "json for JSON, otherwise text for people")
	f.BoolVarP(&o.quiet, "quiet", "q", false, "no progress")
	c.RunE = func(c *cobra.Command, args []string) error {
		if err := checkOutput(o.format); err != nil {
			return err
		}
		return identitySimulate(c, args[0], o)
	}
	return c
}

func identitySimulate(c *cobra.Command, path string, o simulateOptions) error {
	sources, err := builtInRecipes()
	if len(o.recipes) > 0 {
		sources, err = readRecipes(c.Context(), o.recipes)
	}
	if err != nil {
		return err
	}
	program, err := compiled(c, sources)
	if err != nil {
		return err
	}
	in, err := openEvents(c.Context(), path, program, o.mapping)
	if err != nil {
		return err
	}
	defer in.rows.Close()
	s := &simulation{Simulation: simulate.New(&program.Identity, namespaceNames(program)), in: in, rejected: map[string]int{}}
	progress := stepProgress{out: c.ErrOrStderr(), quiet: o.quiet}
	if err := s.read(c, &progress, o.peopleFile != ""); err != nil {
		return err
	}
	if s.eventless(o.mapping) {
		return fmt.Errorf("%q holds no event: a line is a Segment message as JSON, such as {\"type\":\"identify\",\"userId\":\"42\"}; rows of a file become events by a mapping, --map NAME", path)
	}
	report := s.Resolve(func(done, total int) { progress.step("resolving", done, total) })
	progress.end()
	if o.peopleFile != "" {
		if err := s.writePeople(o.peopleFile); err != nil {
			return err
		}
	}
	if o.format == "json" {
		return say.WriteJSON(c.OutOrStdout(), newSimulateReport(report, s.rejected, program))
	}
	printSimulation(c.OutOrStdout(), report, s.rejected, program)
	return nil
}

func namespaceNames(p *recipe.Program) []string {
	var names []string
	for _, ns := range p.Schema.Namespaces {
		names = append(names, ns.Name)
	}
	return names
}

// eventFile reads events of a file: messages, or rows through a mapping.
type eventFile struct {
	rows    *rows
	binding *recipe.Binding // nil for messages
	decoder *event.Decoder
	now     int64
	buf     []byte
}

func openEvents(ctx context.Context, path string, p *recipe.Program, mapping string) (*eventFile, error) {
	f := &eventFile{decoder: event.NewDecoder(p.Schema, event.DefaultLimits), now: time.Now().UnixMilli()}
	var err error
	if mapping == "" {
		f.rows, err = openRows(ctx, path, "jsonl", 0, nil)
		return f, err
	}
	m := p.Mappings[mapping]
	if m == nil {
		return nil, noMapping(p, mapping)
	}
	if f.rows, err = openRows(ctx, path, m.Format, m.Delimiter, m.Columns); err != nil {
		return nil, byMapping(err, m)
	}
	if f.binding, err = m.Bind(f.rows.columns); err != nil {
		f.rows.Close()
		return nil, fmt.Errorf("mapping %q does not fit %q: %w", mapping, path, err)
	}
	return f, nil
}

// next fills e with the next event. reason says why a line is no event; the error is io.EOF at the end.
func (f *eventFile) next(e *event.Event) (line int64, reason string, err error) {
	if f.binding == nil {
		text, err := f.rows.nextLine()
		if err != nil {
			return f.rows.line, "", err
		}
		f.rows.line++
		return f.rows.line, rejection(f.decoder.Decode(text, f.now, e)), nil
	}
	row, line, err := f.rows.Next()
	var bad *badRow
	if errors.As(err, &bad) {
		return line, string(event.BadRow), nil
	}
	if err != nil {
		return line, "", err
	}
	f.buf, _, _, err = f.binding.AppendEvent(f.buf[:0], row)
	switch {
	case errors.Is(err, recipe.ErrAnonymous):
		return line, string(event.NoIdentifier), nil
	case err != nil:
		return line, string(event.BadRow), nil
	}
	return line, rejection(f.decoder.Decode(f.buf, f.now, e)), nil
}

func rejection(err error) string {
	if err == nil {
		return ""
	}
	if r, ok := errors.AsType[*event.Rejected](err); ok {
		return string(r.Reason)
	}
	return string(event.BadRow)
}

// simulation is one run of identity simulate.
type simulation struct {
	*simulate.Simulation
	in       *eventFile
	taken    int
	rejected map[string]int // lines that are no events, by reason
	lines    []int64        // line numbers of events, kept with their strongest identifiers if people are to be written
	who      []int32
}

func (s *simulation) read(c *cobra.Command, progress *stepProgress, keep bool) error {
	var e event.Event
	for n := 0; ; n++ {
		line, reason, err := s.in.next(&e)
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return fmt.Errorf("cannot read %q after line %d: %w", s.in.rows.file.Name(), line, err)
		}
		if reason != "" {
			s.rejected[reason]++
			continue
		}
		who, err := s.Add(&e)
		if err != nil {
			return err
		}
		s.taken++
		if keep {
			s.lines, s.who = append(s.lines, line), append(s.who, who)
		}
		if n%1024 == 0 {
			progress.step("reading", int(s.in.rows.read.Load()), int(s.in.rows.size))
			if err := c.Context().Err(); err != nil {
				return err
			}
		}
	}
}

// eventless says whether there were lines, and none of them is an event although none went through a mapping.
func (s *simulation) eventless(mapping string) bool {
	return mapping == "" && s.taken == 0 && len(s.rejected) > 0
}

func (s *simulation) writePeople(path string) error {
	return writeOut("people", path, func(out *bufio.Writer) error {
		w := csv.NewWriter(out)
		_ = w.Write([]string{"line", "profile"}) // Flush keeps the error
		for i, who := range s.who {
			_ = w.Write([]string{strconv.FormatInt(s.lines[i], 10), s.Profile(who)})
		}
		w.Flush()
		return w.Error()
	})
}

func printSimulation(out io.Writer, r *simulate.Report, rejected map[string]int, p *recipe.Program) {
	fmt.Fprintf(out, "%s with %s: %s\n", say.Count(r.Events, "event"), say.Count(r.Identifiers, "identifier"), say.Count(r.Profiles, "profile"))
	for _, reason := range sortedKeys(rejected) {
		fmt.Fprintf(out, "no event in %s: %s\n", say.Count(rejected[reason], "line"), reason)
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "\nidentifiers in a profile")
	for _, z := range r.Sizes {
		name := fmt.Sprintf("%d to %d", z.Least, z.Most)
		switch z.Most {
		case z.Least:
			name = strconv.Itoa(z.Least)
		case 0:
			name = fmt.Sprintf("%d or more", z.Least)
		}
		fmt.Fprintf(w, "  %s\t%s\n", name, say.Count(z.Profiles, "profile"))
	}
	fmt.Fprintf(w, "\nlinks, of identifiers that were seen in one event: %s\n", say.Count(r.Links, "pair"))
	for _, rule := range p.Identity.Namespaces {
		for _, verdict := range sortedKeys(r.Refused[rule.Name]) {
			fmt.Fprintf(w, "  %s\t%d refused\t%s\n", rule.Name, r.Refused[rule.Name][verdict], refusalReason(p, verdict))
		}
		if n := r.Shared[rule.Name]; n > 0 {
			fmt.Fprintf(w, "  %s\t%d shared\tseen with people who are not one; kept by: %s\n", rule.Name, n, rule.Shared)
		}
	}
	if len(r.Saturated) > 0 {
		fmt.Fprintf(w, "\nnobody's: seen with more than %d others\n", identity.MaxPartners)
		for _, id := range r.Saturated[:min(len(r.Saturated), printedPairs)] {
			fmt.Fprintf(w, "  %s\n", plain(id.String()))
		}
		if more := len(r.Saturated) - printedPairs; more > 0 {
			fmt.Fprintf(w, "  and %d more\n", more)
		}
	}
	if len(r.SharedMost) > 0 {
		fmt.Fprintln(w, "\nshared by the most people")
		for _, id := range r.SharedMost {
			fmt.Fprintf(w, "  %s\t%s\tkept by %s\n", plain(id.String()), say.Count(id.People, "person"), plain(id.Keeper))
		}
	}
	if len(r.Largest) > 0 {
		fmt.Fprintln(w, "\nlargest profiles")
		for _, l := range r.Largest {
			fmt.Fprintf(w, "  %s\t%s\t%s\t%s\n", plain(l.ID), say.Count(len(l.Identifiers), "identifier"), say.Count(l.Events, "event"), someIdentifiers(l.Identifiers))
		}
	}
	w.Flush()
	if r.Overlong > 0 {
		fmt.Fprintf(out, "\npassed over: %s, by which more than %d identifiers would hang together by shared ones. Block or limit what they share.\n", say.Count(r.Overlong, "link"), simulate.MostTogether)
	}
}

// refusalReason says in words which rule refused.
func refusalReason(p *recipe.Program, verdict string) string {
	switch verdict {
	case identity.OverLimit.String():
		return "the profile would have too many values of a namespace (unique, limit)"
	case identity.TooLarge.String():
		return fmt.Sprintf("the profile would have more than %d identifiers (max_identifiers)", p.Identity.MaxIdentifiers)
	case identity.Isolated.String():
		return "seen with people who are not one (shared: isolate)"
	}
	return verdict
}

// someIdentifiers lists a few, for one line.
func someIdentifiers(ids []simulate.Identifier) string {
	const few = 4
	var words []string
	for _, id := range ids[:min(len(ids), few)] {
		words = append(words, plain(id.String()))
	}
	if len(ids) > few {
		words = append(words, "...")
	}
	return strings.Join(words, " ")
}

// simulateReport is what identity simulate prints with -o json.
type simulateReport struct {
	Events      int                       `json:"events"`
	Rejected    map[string]int            `json:"rejected"`
	Identifiers int                       `json:"identifiers"`
	Profiles    int                       `json:"profiles"`
	Links       int                       `json:"links"`
	Refused     map[string]map[string]int `json:"refused"`
	Shared      map[string]int            `json:"shared"`
	SharedMost  []simulatedShare          `json:"shared_most"`
	Saturated   []string                  `json:"saturated"`
	Sizes       map[string]int            `json:"profiles_by_identifiers"`
	Largest     []simulatedProfile        `json:"largest"`
	Overlong    int                       `json:"links_passed_over"`
	Rules       map[string]map[string]any `json:"rules"`
}

type simulatedShare struct {
	Identifier string `json:"identifier"`
	People     int    `json:"people"`
	KeptBy     string `json:"kept_by"`
}

type simulatedProfile struct {
	ID          string   `json:"id"`
	Events      int      `json:"events"`
	Identifiers []string `json:"identifiers"`
}

func newSimulateReport(r *simulate.Report, rejected map[string]int, p *recipe.Program) simulateReport {
	out := simulateReport{Events: r.Events, Rejected: rejected, Identifiers: r.Identifiers, Profiles: r.Profiles, Links: r.Links, Refused: r.Refused,
		Shared: r.Shared, SharedMost: []simulatedShare{}, Saturated: []string{}, Sizes: map[string]int{}, Largest: []simulatedProfile{},
		Overlong: r.Overlong, Rules: map[string]map[string]any{}}
	for _, id := range r.SharedMost {
		out.SharedMost = append(out.SharedMost, simulatedShare{id.String(), id.People, id.Keeper})
	}
	for _, id := range r.Saturated {
		out.Saturated = append(out.Saturated, id.String())
	}
	for _, z := range r.Sizes {
		out.Sizes[strconv.Itoa(z.Least)+"+"] = z.Profiles
	}
	for _, l := range r.Largest {
		s := simulatedProfile{ID: l.ID, Events: l.Events}
		for _, id := range l.Identifiers {
			s.Identifiers = append(s.Identifiers, id.String())
		}
		out.Largest = append(out.Largest, s)
	}
	for _, rule := range p.Identity.Namespaces {
		out.Rules[rule.Name] = map[string]any{"unique": rule.Unique, "limit": rule.Limit, "period_ms": rule.Period, "shared": rule.Shared.String()}
	}
	return out
}
