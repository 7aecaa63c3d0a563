package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"text/tabwriter"
	"time"

	"dashi/node/httpapi"
	"dashi/pipeline/say"

	"github.com/spf13/cobra"
)

func eventsCommand() *cobra.Command {
	var limit, scan int
	var since string
	var follow bool
	c := &cobra.Command{
		Use:   "events NS:VALUE",
		Short: "Show the last events of a person, as they were received",
		Long: `Show the last events of a person, as they were received: of all identifiers that are one profile now. Profiles keep what events say, not
the events, so the newest records of the input topics are read in Kafka: what is older than --since, beyond --scan records, or than Kafka's retention is not
found, and the last line says how far back it was looked.`,
		Example: "  dashi events user_id:u0\n  dashi events email:ada@example.com --since 7d --scan 1000000\n  dashi events user_id:u0 --follow\n  dashi events user_id:u0 -o json | jq '.events[].event'",
		Args:    arguments,
	}
	c.Flags().IntVar(&limit, "limit", 20, "how many events, the newest")
	c.Flags().StringVar(&since, "since", "24h", "how long ago they may have been received (90m, 36h, 30d, 2w), or an instant")
	c.Flags().IntVar(&scan, "scan", 100_000, "how many records to look at, the newest of all people")
	c.Flags().BoolVar(&follow, "follow", false, "go on with those that come; with -o json each is a line")
	cl := addClientFlags(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		path := "/v1/profiles/" + url.PathEscape(args[0]) + "/events?"
		q := url.Values{"limit": {fmt.Sprint(limit)}, "scan": {fmt.Sprint(scan)}, "since": {since}}
		if follow {
			return ended(c.Context(), followEvents(c.Context(), cl, path, q))
		}
		var e httpapi.Events
		printed, err := cl.call(c.Context(), "GET", path+q.Encode(), nil, &e)
		if err != nil || printed {
			return withHint(err, "timeout", "look at less, with --scan or --since")
		}
		slices.Reverse(e.Events)
		if err := printEvents(cl, e.Events); err != nil {
			return err
		}
		fmt.Fprintf(cl.out, "%s of %s; everything since %s was looked at (%s)\n", say.Count(len(e.Events), "event"), plain(e.Profile), local(e.Since.Local()), say.Count(e.Scanned, "record"))
		if !e.Complete {
			fmt.Fprintln(cl.out, "there may be older ones: --limit, --scan and --since look farther")
		}
		return nil
	}
	return c
}

// printEvents prints them in the order in which they came.
func printEvents(cl *client, events []httpapi.Event) error {
	if cl.json() {
		for i := range events {
			if err := say.WriteJSON(cl.out, &events[i]); err != nil {
				return err
			}
		}
		return nil
	}
	w := tabwriter.NewWriter(cl.out, 0, 0, 2, ' ', 0)
	for i := range events {
		e := &events[i]
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", e.Arrived.Local().Format("2006-01-02 15:04:05.000"), plain(e.Name), plain(e.Identifier), summary(e))
	}
	return w.Flush()
}

// summaryRunes is how much of an event is shown on its line.
const summaryRunes = 100

// summary is what an event says besides who and when: its properties or traits, or all of it when it has none; and when it happened, if that is another time.
func summary(e *httpapi.Event) string {
	text := string(e.Event)
	var parts struct{ Properties, Traits json.RawMessage }
	if json.Unmarshal(e.Event, &parts) == nil {
		switch {
		case len(parts.Properties) > 0:
			text = string(parts.Properties)
		case len(parts.Traits) > 0:
			text = string(parts.Traits)
		}
	}
	text = shorten(text)
	if d := e.Arrived.Sub(e.Time); d > time.Minute || d < -time.Minute {
		text = fmt.Sprintf("(of %s) %s", e.Time.Local().Format("2006-01-02 15:04:05"), text)
	}
	return plain(text)
}

// How often followEvents asks, and how far back each time: what came late for one question is in the next.
const (
	followEvery = time.Second
	followBack  = 15 * time.Second
)

// followEvents prints what there is and then what comes, each once.
func followEvents(ctx context.Context, cl *client, path string, q url.Values) error {
	type place struct {
		topic     string
		partition int32
		offset    int64
	}
	seen := map[place]time.Time{}
	tick := time.NewTicker(followEvery)
	defer tick.Stop()
	for {
		var e httpapi.Events
		if err := cl.fetch(ctx, path+q.Encode(), &e); err != nil {
			return err
		}
		slices.Reverse(e.Events)
		fresh := e.Events[:0]
		for _, ev := range e.Events {
			at := place{ev.Topic, ev.Partition, ev.Offset}
			if _, known := seen[at]; !known {
				fresh = append(fresh, ev)
			}
			seen[at] = time.Now()
		}
		if err := printEvents(cl, fresh); err != nil {
			return err
		}
		for at, last := range seen {
			if time.Since(last) > 4*followBack {
				delete(seen, at)
			}
		}
		q.Set("since", followBack.String())
		q.Set("limit", "1000")
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}
