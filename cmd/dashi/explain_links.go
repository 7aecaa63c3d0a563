package main

import (
	"encoding/json"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"dashi/pipeline/say"
)

// linksExplanation is why identifiers are one profile, as the HTTP interface answers it.
type linksExplanation struct {
	ID     string     `json:"id"`
	People []struct { // of an account
		ID          string                     `json:"id"`
		Contributes map[string]json.RawMessage `json:"contributes"`
	} `json:"people"`
	Identifiers []struct {
		ID        string    `json:"id"`
		Profile   string    `json:"profile"`
		FirstSeen time.Time `json:"first_seen"`
		LastSeen  time.Time `json:"last_seen"`
		Saturated bool      `json:"saturated"`
	} `json:"identifiers"`
	Links []struct {
		A         string    `json:"a"`
		B         string    `json:"b"`
		Verdict   string    `json:"verdict"`
		Rule      string    `json:"rule"`
		FirstSeen time.Time `json:"first_seen"`
		LastSeen  time.Time `json:"last_seen"`
		Message   string    `json:"message"`
	} `json:"links"`
}

// printContributions prints who belongs to an account, and what each contributes to its numbers.
func printContributions(out io.Writer, e *linksExplanation) {
	fmt.Fprintf(out, "%s  (%s)\n\n", plain(e.ID), say.Count(len(e.People), "person"))
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for _, p := range e.People {
		fmt.Fprintf(w, "  %s", plain(p.ID))
		for _, name := range sortedKeys(p.Contributes) {
			fmt.Fprintf(w, "\t%s %s", name, p.Contributes[name])
		}
		fmt.Fprintln(w)
	}
	w.Flush()
}

func printLinks(out io.Writer, e *linksExplanation) {
	if e.People != nil {
		printContributions(out, e)
		return
	}
	fmt.Fprintf(out, "%s\n", plain(e.ID))
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "\nidentifiers of this profile")
	others := 0
	for _, id := range e.Identifiers {
		if id.Profile != e.ID {
			others++
			continue
		}
		note := ""
		if id.Saturated {
			note = "seen with so many that it is nobody's"
		}
		fmt.Fprintf(w, "  %s\tseen %s to %s\t%s\n", plain(id.ID), local(id.FirstSeen), local(id.LastSeen), note)
	}
	if others > 0 {
		fmt.Fprintln(w, "\nseen with them, but not this profile")
		for _, id := range e.Identifiers {
			if id.Profile != e.ID {
				fmt.Fprintf(w, "  %s\tof %s\n", plain(id.ID), plain(id.Profile))
			}
		}
	}
	if len(e.Links) == 0 {
		fmt.Fprintln(w, "\nno event named it together with another identifier")
	}
	for _, joined := range []bool{true, false} {
		head := "\nlinked by"
		if !joined {
			head = "\nnot linked, although seen together"
		}
		for _, l := range e.Links {
			if (l.Verdict == "joined") != joined {
				continue
			}
			if head != "" {
				fmt.Fprintln(w, head)
				head = ""
			}
			message := ""
			if l.Message != "" {
				message = "message " + l.Message
			}
			fmt.Fprintf(w, "  %s\t%s\tfirst %s\tlast %s\t%s\t%s\n", plain(l.A), plain(l.B), local(l.FirstSeen), local(l.LastSeen), plain(l.Rule), message)
		}
	}
	w.Flush()
}
