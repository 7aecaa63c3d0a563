package main

import (
	"context"
	"fmt"
	"io"
	"net/url"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"dashi/node/httpapi"
	"dashi/pipeline/say"
)

func activationsCommand() *cobra.Command {
	var stats bool
	c := &cobra.Command{
		Use:   "activations",
		Short: "List the activations that recipes name, and what they brought",
		Long: `List the activations that recipes name, how often each has left, and of those with a goal how many people have come to it, compared
with those who were held back. The interval of a rate, and of the difference of two, holds the true one in 95 of 100 cases; while it
goes from below 0 to above, the two may be the same. (dashi tail shows activations as they leave.)`,
		Example: "  dashi activations\n  dashi activations --stats",
		Args:    arguments,
	}
	c.Flags().BoolVar(&stats, "stats", false, "show each by the hour of a day, and who entered and left where that makes it leave")
	cl := addClientFlags(c)
	c.RunE = func(c *cobra.Command, _ []string) error {
		var list struct {
			Activations []httpapi.ActivationStats `json:"activations"`
		}
		if err := cl.fetch(c.Context(), "/v1/activations", &list); err != nil {
			return err
		}
		all := list.Activations
		if stats {
			if err := activationHours(c.Context(), cl, all); err != nil {
				return err
			}
		}
		if cl.json() {
			return say.WriteJSON(cl.out, map[string]any{"activations": all})
		}
		if len(all) == 0 {
			fmt.Fprintln(cl.out, "no recipe names an activation; that somebody enters or leaves an audience leaves by itself: dashi audiences --stats, dashi tail")
			return nil
		}
		if stats {
			printActivationStats(cl.out, all)
		} else {
			printActivations(cl.out, all)
		}
		printGoals(cl.out, all)
		return nil
	}
	return c
}

// activationHours asks for each activation by the hour, and prints that.
func activationHours(ctx context.Context, cl *client, all []httpapi.ActivationStats) error {
	for i := range all {
		if err := cl.fetch(ctx, "/v1/activations/"+url.PathEscape(all[i].Activation)+"/stats", &all[i]); err != nil {
			return err
		}
	}
	return nil
}

// leavesOn says what makes an activation leave.
func leavesOn(a *httpapi.ActivationStats) string {
	on := strings.ReplaceAll(a.On, "_", " ") + " " + a.About
	if a.Of != "" {
		on += " (" + a.Of + ")"
	}
	return on
}

func printActivations(out io.Writer, all []httpapi.ActivationStats) {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "ACTIVATION\tLEAVES ON\tSENT IN 24 H\tIN 14 DAYS\tDESCRIPTION")
	for i := range all {
		a := &all[i]
		fmt.Fprintf(w, "%s\t%s\t%d\t%d\t%s\n", a.Activation, leavesOn(a), a.Sent24h, a.Sent, strings.Join(strings.Fields(a.Description), " "))
	}
	w.Flush()
}

func printActivationStats(out io.Writer, all []httpapi.ActivationStats) {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "ACTIVATION\tLEAVES ON\tLAST 24 HOURS\tSENT\tENTERED\tLEFT\tIN 14 DAYS\tENTERED\tLEFT")
	for i := range all {
		a := &all[i]
		entered, left, sent := "-", "-", []int64(nil)
		enteredAll, leftAll := "-", "-"
		in, out := int64(0), int64(0)
		for _, h := range a.Hours[max(0, len(a.Hours)-24):] {
			sent, in, out = append(sent, h.Sent), in+h.Entered, out+h.Left
		}
		if a.On == "enter" || a.On == "exit" {
			entered, left, enteredAll, leftAll = fmt.Sprint(in), fmt.Sprint(out), fmt.Sprint(a.Entered), fmt.Sprint(a.Left)
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%d\t%s\t%s\t%d\t%s\t%s\n", a.Activation, leavesOn(a), sparkline(sent), a.Sent24h, entered, left, a.Sent, enteredAll, leftAll)
	}
	w.Flush()
}

// printGoals prints what came of the activations with a goal, if there are any.
func printGoals(out io.Writer, all []httpapi.ActivationStats) {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	head := "\nGOAL OF\tWITHIN\tPEOPLE\tCONVERTED\tRATE\tHELD BACK\tCONVERTED\tRATE\tDIFFERENCE, IN POINTS\tEVENTS"
	for i := range all {
		g := all[i].Goal
		if g == nil {
			continue
		}
		if head != "" {
			fmt.Fprintln(w, head)
			head = ""
		}
		difference := "-"
		if d := g.Difference; d != nil {
			difference = fmt.Sprintf("%+.1f (%+.1f to %+.1f)", 100*d.Value, 100*d.Low, 100*d.High)
		}
		fmt.Fprintf(w, "%s\t%s\t%d\t%d\t%s\t%d\t%d\t%s\t%s\t%s\n", all[i].Activation, g.Within, g.Treated.Exposed, g.Treated.Converted, rateOf(g.Treated.Rate),
			g.Control.Exposed, g.Control.Converted, rateOf(g.Control.Rate), difference, strings.Join(g.On, ", "))
	}
	w.Flush()
}

// rateOf writes a rate with its interval, in percent.
func rateOf(r *httpapi.Interval) string {
	if r == nil {
		return "-"
	}
	return fmt.Sprintf("%.1f %% (%.1f to %.1f)", 100*r.Value, 100*r.Low, 100*r.High)
}
