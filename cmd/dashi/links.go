package main

import (
	"fmt"
	"io"
	"net/url"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
)

// linksAnswer is why identifiers are one profile.
type linksAnswer struct {
	ID    string
	Links []struct {
		Stronger, Weaker, Message, Verdict string
		First, Last                        time.Time
	}
	Cuts []struct {
		A, B string
		At   time.Time
	}
	Profiles map[string][]string
}

// explainLinks shows every link that is known of the identifiers of a profile and of those that hang together with them.
func explainLinks(cl *client, c *cobra.Command, id string) error {
	var answer linksAnswer
	printed, err := cl.call(c.Context(), "GET", "/v1/profiles/"+url.PathEscape(id)+"/links", nil, &answer)
	if err != nil || printed {
		return err
	}
	return printLinks(cl.out, &answer)
}

func printLinks(out io.Writer, l *linksAnswer) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for _, id := range sortedKeys(l.Profiles) {
		mark := ""
		if id == l.ID {
			mark = "  <- this one"
		}
		fmt.Fprintf(w, "profile %s%s\n", plain(id), mark)
		for _, of := range l.Profiles[id] {
			fmt.Fprintf(w, "  %s\n", plain(of))
		}
	}
	fmt.Fprintln(w, "\nlinks")
	for _, k := range l.Links {
		fmt.Fprintf(w, "  %s\t%s\t%s\tfirst %s\tlast %s\tmessage %s\n", plain(k.Stronger), plain(k.Weaker), k.Verdict, local(k.First), local(k.Last), k.Message)
	}
	if len(l.Cuts) > 0 {
		fmt.Fprintln(w, "\nnever one person")
	}
	for _, k := range l.Cuts {
		fmt.Fprintf(w, "  %s\t%s\tsince %s\n", plain(k.A), plain(k.B), local(k.At))
	}
	return w.Flush()
}
