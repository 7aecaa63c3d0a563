package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"

	"dashi/pipeline/say"

	"github.com/spf13/cobra"
)

// profileAnswer is a profile as the HTTP interface answers it.
type profileAnswer struct {
	ID          string `json:"id"`
	Identifiers []struct {
		Namespace, Value string
		FirstSeen        time.Time `json:"first_seen"`
		LastSeen         time.Time `json:"last_seen"`
		Saturated        bool      `json:"saturated"`
	} `json:"identifiers"`
	Refused    map[string]int                       `json:"refused_links"`
	Attributes map[string]json.RawMessage           `json:"attributes"`
	Audiences  map[string]struct{ Since time.Time } `json:"audiences"`
	Consent    map[string]struct {
		Granted bool
		Since   time.Time
	} `json:"consent"`
	People *struct { // of an account
		First []string `json:"first"`
		Count int      `json:"count"`
		Over  int      `json:"over"`
	} `json:"people"`
	Version uint64 `json:"version"`
}

func getCommand() *cobra.Command {
	var why bool
	c := &cobra.Command{
		Use:     "get NS:VALUE",
		Short:   "Show a profile by any of its identifiers, or an account with its people",
		Example: "  dashi get user_id:u0\n  dashi get email:ada@example.com -o json\n  dashi get user_id:u0 --why\n  dashi get account:acme",
		Args:    arguments,
	}
	c.Flags().BoolVar(&why, "why", false, "show what each input adds to the scores, in place of the profile")
	cl := addClientFlags(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		if !strings.Contains(args[0], ":") {
			return fmt.Errorf("%s is not an identifier: write NAMESPACE:VALUE, for example user_id:42", say.Quote(args[0]))
		}
		if why {
			return getScores(c.Context(), cl, args[0])
		}
		var p profileAnswer
		printed, err := cl.call(c.Context(), "GET", "/v1/profiles/"+url.PathEscape(args[0]), nil, &p)
		if err != nil || printed {
			return err
		}
		printProfile(cl.out, &p)
		return nil
	}
	return c
}

func printProfile(out io.Writer, p *profileAnswer) {
	fmt.Fprintf(out, "%s  (%s)\n", plain(p.ID), say.Count(p.Version, "update"))
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "\nidentifiers")
	for _, id := range p.Identifiers {
		note := ""
		if id.Saturated {
			note = "\tnobody's: it was seen with too many people"
		}
		fmt.Fprintf(w, "  %s:%s\tseen %s to %s%s\n", id.Namespace, plain(id.Value), local(id.FirstSeen), local(id.LastSeen), note)
	}
	for _, rule := range sortedKeys(p.Refused) {
		fmt.Fprintf(w, "  links refused by %s: %d; dashi explain %s shows them\n", rule, p.Refused[rule], plain(p.ID))
	}
	fmt.Fprintln(w, "\nattributes")
	for _, name := range sortedKeys(p.Attributes) {
		fmt.Fprintf(w, "  %s\t%s\n", name, p.Attributes[name])
	}
	fmt.Fprintln(w, "\naudiences")
	for _, name := range sortedKeys(p.Audiences) {
		fmt.Fprintf(w, "  %s\tsince %s\n", name, local(p.Audiences[name].Since))
	}
	if len(p.Consent) > 0 {
		fmt.Fprintln(w, "\nconsent")
		for _, name := range sortedKeys(p.Consent) {
			word := "withdrawn"
			if p.Consent[name].Granted {
				word = "granted"
			}
			fmt.Fprintf(w, "  %s\t%s %s\n", name, word, local(p.Consent[name].Since))
		}
	}
	printPeople(w, p)
	w.Flush()
}

// printPeople prints who belongs to an account.
func printPeople(w io.Writer, p *profileAnswer) {
	if p.People == nil {
		return
	}
	fmt.Fprintf(w, "\npeople (%d)\n", p.People.Count)
	for _, id := range p.People.First {
		fmt.Fprintf(w, "  %s\n", plain(id))
	}
	if more := p.People.Count - len(p.People.First); more > 0 {
		fmt.Fprintf(w, "  and %d more: dashi explain %s shows them\n", more, plain(p.ID))
	}
	if p.People.Over > 0 {
		fmt.Fprintf(w, "  somebody was turned away %s: `people` of accounts says how many are kept\n", say.Count(p.People.Over, "time"))
	}
}

// plain is s as it may be printed on a terminal: in quotes, with escapes, if it has anything that is not printable.
func plain(s string) string {
	for _, r := range s {
		if !unicode.IsPrint(r) {
			return strconv.Quote(s)
		}
	}
	return s
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

func local(t time.Time) string { return t.Format("2006-01-02 15:04:05Z07:00") }

func audiencesCommand() *cobra.Command {
	var stats bool
	c := &cobra.Command{Use: "audiences", Short: "List the audiences and their sizes", Args: arguments,
		Long: `List the audiences and their sizes. With --stats also how their sizes went, how many entered and left in a day and in two weeks, and how often the
activations that recipes name for them have left in two weeks (SENT: dashi activations says which); that somebody entered or left leaves by itself besides.`,
		Example: "  dashi audiences\n  dashi audiences --stats"}
	c.Flags().BoolVar(&stats, "stats", false, "show how they have changed: a day and two weeks, and with whom they share most people")
	cl := addClientFlags(c)
	c.RunE = func(c *cobra.Command, _ []string) error {
		if stats {
			return audienceStats(c.Context(), cl)
		}
		var answer struct {
			Audiences []struct {
				Name, Description string
				Size              int64
				Of                string
			}
		}
		printed, err := cl.call(c.Context(), "GET", "/v1/audiences", nil, &answer)
		if err != nil || printed {
			return err
		}
		w := tabwriter.NewWriter(cl.out, 0, 0, 2, ' ', 0)
		fmt.Fprintln(w, "AUDIENCE\tSIZE\tDESCRIPTION")
		for _, a := range answer.Audiences {
			if a.Of != "" {
				a.Description = strings.TrimSpace("(of " + a.Of + ") " + a.Description)
			}
			fmt.Fprintf(w, "%s\t%d\t%s\n", a.Name, a.Size, a.Description)
		}
		return w.Flush()
	}
	return c
}

func membersCommand() *cobra.Command {
	var limit int
	var cursor string
	c := &cobra.Command{
		Use:     "members NAME",
		Short:   "List the profiles in an audience",
		Long:    "List the profiles in an audience: all of them, or with --limit so many, and --cursor the next ones after that. With -o json the last line has the cursor.",
		Example: "  dashi members vip --limit 20\n  dashi members vip -o json > vip.ndjson",
		Args:    arguments,
	}
	c.Flags().IntVar(&limit, "limit", 0, "stop after so many; without it all are listed")
	c.Flags().StringVar(&cursor, "cursor", "", "go on where an earlier list stopped, which said so")
	cl := addClientFlags(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		query := url.Values{}
		if c.Flags().Changed("limit") {
			if limit < 1 {
				return fmt.Errorf("--limit is %d: give a number from 1, or leave it out to list all members", limit)
			}
			query.Set("limit", strconv.Itoa(limit))
		}
		if cursor != "" {
			query.Set("cursor", cursor)
		}
		rc, err := cl.open(c.Context(), "GET", "/v1/audiences/"+url.PathEscape(args[0])+"/members?"+query.Encode(), nil)
		if err != nil {
			return err
		}
		defer rc.Close()
		return printMembers(cl, c.ErrOrStderr(), args[0], rc)
	}
	return c
}

// printMembers prints a stream of members. If the node had to break it off, the last line says why: then the list is not complete. People are also told
// how to see the next ones.
func printMembers(cl *client, more io.Writer, name string, stream io.Reader) error {
	lines := bufio.NewReaderSize(stream, 64<<10)
	for {
		text, err := lines.ReadBytes('\n')
		if len(text) > 0 {
			var line struct {
				ID, Cursor string
				Since      time.Time
				Error      *struct{ Message string }
			}
			if err := json.Unmarshal(text, &line); err != nil {
				return fmt.Errorf("cannot read the members of %q: %w", name, err)
			}
			if cl.json() {
				if _, err := cl.out.Write(text); err != nil {
					return err
				}
			} else if line.ID != "" {
				fmt.Fprintf(cl.out, "%s\tsince %s\n", plain(line.ID), local(line.Since))
			}
			if line.Error != nil {
				return fmt.Errorf("these are not all members of %q: %s (go on with --cursor %s)", name, line.Error.Message, line.Cursor)
			}
			if line.Cursor != "" && !cl.json() {
				fmt.Fprintf(more, "there may be more: --cursor %s\n", line.Cursor)
			}
		}
		if err == io.EOF {
			return nil
		} else if err != nil {
			return fmt.Errorf("cannot read the members of %q: %w", name, err)
		}
	}
}

func queryCommand() *cobra.Command {
	var limit int
	c := &cobra.Command{
		Use:   "query EXPR",
		Short: "Count the profiles for which an expression is true, and show some",
		Long: `Count the profiles for which an expression is true, and show some. The expression is CEL over attributes and audiences, as the condition of an
audience is; Expressions in deploy/recipes/README.md says what can stand in one.`,
		Example: "  dashi query 'vip && !inactive_customers'\n  dashi query 'lifetime_value > 500 && \"P1\" in viewed' --limit 5",
		Args:    arguments,
	}
	c.Flags().IntVar(&limit, "limit", 10, "how many profiles to show")
	accounts := c.Flags().Bool("accounts", false, "ask about accounts, not about people")
	cl := addClientFlags(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		var answer struct {
			Count  int64
			Sample []struct{ ID string }
		}
		of, what := "people", "profile"
		if *accounts {
			of, what = "accounts", "account"
		}
		printed, err := cl.call(c.Context(), "POST", "/v1/query", map[string]any{"where": args[0], "limit": limit, "of": of}, &answer)
		if err != nil || printed {
			return err
		}
		fmt.Fprintln(cl.out, say.Count(answer.Count, what))
		for _, p := range answer.Sample {
			fmt.Fprintln(cl.out, " ", plain(p.ID))
		}
		if shown := len(answer.Sample); answer.Count > int64(shown) {
			fmt.Fprintf(cl.out, "shown: %d; --limit shows more\n", shown)
		}
		return nil
	}
	return c
}

func tailCommand() *cobra.Command {
	var audience string
	c := &cobra.Command{
		Use:     "tail",
		Short:   "Print activations as they leave",
		Example: "  dashi tail\n  dashi tail --audience vip\n  dashi tail --audience vip_to_crm -o json",
		Args:    arguments,
	}
	c.Flags().StringVar(&audience, "audience", "", "only those of this audience, or of the activation of this name")
	cl := addClientFlags(c)
	c.RunE = func(c *cobra.Command, _ []string) error {
		path := "/v1/activations/stream"
		if audience != "" {
			path += "?audience=" + url.QueryEscape(audience)
		}
		rc, err := cl.open(c.Context(), "GET", path, nil)
		if err != nil {
			return err
		}
		defer rc.Close()
		lines := bufio.NewScanner(rc)
		lines.Buffer(nil, 4<<20)
		gone := false
		for lines.Scan() {
			if lines.Text() == "event: gone" { // the next line says why
				gone = true
			}
			data, ok := strings.CutPrefix(lines.Text(), "data: ")
			if !ok {
				continue
			}
			if e := (&apiError{}); gone && json.Unmarshal([]byte(data), e) == nil {
				return e
			}
			if cl.json() {
				fmt.Fprintln(cl.out, data)
				continue
			}
			var a struct {
				Profile, Activation, Audience, Attribute, Transition string
				At                                                   time.Time
			}
			if json.Unmarshal([]byte(data), &a) == nil {
				fmt.Fprintf(cl.out, "%s  %-6s %-24s %s\n", a.At.Local().Format("15:04:05.000"), a.Transition, a.Activation, plain(a.Profile))
			}
		}
		if c.Context().Err() != nil {
			return nil
		}
		if err := lines.Err(); err != nil {
			return fmt.Errorf("the stream broke: %w", err)
		}
		return fmt.Errorf("the node closed the stream")
	}
	return c
}
