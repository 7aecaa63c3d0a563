package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/url"
	"strings"
	"text/tabwriter"
	"time"

	"dashi/pipeline/say"

	"github.com/spf13/cobra"
)

// explanation is why a profile is in an audience or not, as the HTTP interface answers it.
type explanation struct {
	Profile    string     `json:"profile"`
	Audience   string     `json:"audience"`
	In         bool       `json:"in"`
	Since      *time.Time `json:"since"`
	Now        time.Time  `json:"now"`
	NextChange *time.Time `json:"next_change"`
	Thresholds *struct {
		Next  time.Time `json:"next"`
		Known bool      `json:"known"`
	} `json:"thresholds"`
	Parts []struct {
		Depth      int             `json:"depth"`
		Text       string          `json:"text"`
		Condition  bool            `json:"condition"`
		Value      json.RawMessage `json:"value"`
		NextChange *time.Time      `json:"next_change"`
	} `json:"parts"`
}

func explainCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "explain NS:VALUE [AUDIENCE]",
		Short: "Say why identifiers are one profile, or why somebody is in an audience or not",
		Long: `Without an audience, say why identifiers are one profile: which were seen in one event, when, and by which rule others were kept apart. It
shows everything that hangs together with the profile, other people who share a device with it included.

Of an account, say who belongs to it and what each contributes to what it asks about its people.

With one, say why somebody is in it or not: the condition with the value of each of its parts, since when, and the instant at
which it can next change although nothing happens. A part whose value is null reads something that is not there.`,
		Example: "  dashi explain user_id:u0\n  dashi explain user_id:u0 vip\n  dashi explain account:acme",
		Args:    arguments,
	}
	cl := addClientFlags(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		if !strings.Contains(args[0], ":") {
			return fmt.Errorf("%s is not an identifier: write NAMESPACE:VALUE, for example user_id:42", say.Quote(args[0]))
		}
		path := "/v1/profiles/" + url.PathEscape(args[0]) + "/explain"
		if len(args) == 1 {
			var e linksExplanation
			printed, err := cl.call(c.Context(), "GET", path, nil, &e)
			if err == nil && !printed {
				printLinks(cl.out, &e)
			}
			return err
		}
		var x explanation
		printed, err := cl.call(c.Context(), "GET", path+"?audience="+url.QueryEscape(args[1]), nil, &x)
		if err != nil || printed {
			return err
		}
		printExplanation(cl.out, &x)
		return nil
	}
	return c
}

func printExplanation(out io.Writer, x *explanation) {
	state := "is not in"
	if x.In {
		state = "is in"
	}
	fmt.Fprintf(out, "%s %s %s", plain(x.Profile), state, x.Audience)
	if x.Since != nil {
		fmt.Fprintf(out, " since %s", local(*x.Since))
	}
	fmt.Fprintf(out, " (at %s)\n", local(x.Now))
	if x.NextChange != nil {
		fmt.Fprintf(out, "with no event this can change at %s\n", x.NextChange.UTC().Format(time.RFC3339Nano))
	} else if x.Thresholds == nil {
		fmt.Fprintln(out, "with no event this does not change")
	}
	if t := x.Thresholds; t != nil {
		fmt.Fprintf(out, "with no event this can change when the thresholds of top(..) are found out among all people, next at %s\n", t.Next.UTC().Format(time.RFC3339Nano))
		if !t.Known {
			fmt.Fprintln(out, "a threshold is not known yet, so nobody is above it: it is looked for each minute until somebody has a number to compare")
		}
	}
	fmt.Fprintln(out)
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for _, p := range x.Parts {
		value := string(p.Value)
		if len(value) > 60 {
			value = value[:57] + "..."
		}
		next := ""
		if p.NextChange != nil {
			next = "until " + p.NextChange.UTC().Format(time.RFC3339Nano)
		}
		fmt.Fprintf(w, "%s%s\t%s\t%s\n", strings.Repeat("  ", p.Depth), plain(p.Text), plain(value), next)
	}
	w.Flush()
}
