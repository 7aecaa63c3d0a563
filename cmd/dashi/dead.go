package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"text/tabwriter"

	"dashi/node/httpapi"
	"dashi/pipeline/say"

	"github.com/spf13/cobra"
)

// deadFlags choose dead letters.
type deadFlags struct {
	since, reason, webhook string
	scan                   int
}

func (f *deadFlags) add(c *cobra.Command) {
	c.Flags().StringVar(&f.since, "since", "24h", "how long ago they may have been written (90m, 36h, 30d, 2w), or an instant")
	c.Flags().StringVar(&f.reason, "reason", "", "only those with this reason, one of those that dashi dead --help lists")
	c.Flags().StringVar(&f.webhook, "webhook", "", "only what this webhook did not take")
	c.Flags().IntVar(&f.scan, "scan", 100_000, "how many letters to look at, the newest of all")
}

func (f *deadFlags) query() url.Values {
	return url.Values{"since": {f.since}, "reason": {f.reason}, "webhook": {f.webhook}, "scan": {fmt.Sprint(f.scan)}}
}

func deadCommand() *cobra.Command {
	var f deadFlags
	var limit int
	c := &cobra.Command{
		Use:   "dead",
		Short: "Show what could not be understood, or was not taken by a webhook",
		Long: `Show the dead letters: events that could not be understood, and activations that a webhook did not take, with the reason of each. They lie in the
dead topic (dashi.dead, unless the settings name another) for as long as its retention says.

Reasons: ` + strings.Join(httpapi.DeadReasons(), ", ") + `.`,
		Example: "  dashi dead\n  dashi dead --reason malformed --since 1h\n  dashi dead --webhook crm\n  dashi dead -o json | jq '.letters[].value'\n  dashi dead resend --webhook crm",
		Args:    cobra.NoArgs,
	}
	f.add(c)
	c.Flags().IntVar(&limit, "limit", 20, "how many letters, the newest")
	cl := addClientFlags(c)
	c.RunE = func(c *cobra.Command, _ []string) error {
		q := f.query()
		q.Set("limit", fmt.Sprint(limit))
		var found httpapi.DeadLetters
		printed, err := cl.call(c.Context(), "GET", "/v1/dead?"+q.Encode(), nil, &found)
		if err != nil || printed {
			return err
		}
		return printDead(cl, &found)
	}
	c.AddCommand(resendCommand())
	return c
}

func printDead(cl *client, found *httpapi.DeadLetters) error {
	w := tabwriter.NewWriter(cl.out, 0, 0, 2, ' ', 0)
	for _, l := range slices.Backward(found.Letters) {
		whose := l.Reason
		if l.Webhook != "" {
			whose += " by " + l.Webhook
		}
		if l.SentAgain != nil {
			whose += ", sent again"
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", l.Found.Local().Format("2006-01-02 15:04:05"), plain(whose), plain(shorten(l.Detail)), plain(shorten(deadValue(&l))))
	}
	if err := w.Flush(); err != nil {
		return err
	}
	var reasons []string
	all := 0
	for _, reason := range sortedKeys(found.Reasons) {
		all += found.Reasons[reason]
		reasons = append(reasons, fmt.Sprintf("%d %s", found.Reasons[reason], plain(reason)))
	}
	counted := ""
	if len(reasons) > 0 {
		counted = ": " + strings.Join(reasons, ", ")
	}
	fmt.Fprintf(cl.out, "%s in %s since %s%s; %d sent again\n", say.Count(all, "letter"), plain(found.Topic), local(found.Since.Local()), counted, found.Again)
	if all > len(found.Letters) {
		fmt.Fprintf(cl.out, "shown: %d; --limit shows more\n", len(found.Letters))
	} else if !found.Complete {
		fmt.Fprintln(cl.out, "there may be older ones: --scan looks farther")
	}
	return nil
}

// deadValue is what a letter is about, as far as it can be shown on a line.
func deadValue(l *httpapi.DeadLetter) string {
	if l.Value != nil {
		return string(l.Value)
	}
	return strings.ToValidUTF8(string(l.Base64), "?")
}

// shorten makes one short line of a text.
func shorten(text string) string {
	text = strings.Join(strings.Fields(text), " ")
	if runes := []rune(text); len(runes) > summaryRunes {
		text = string(runes[:summaryRunes]) + "..."
	}
	return text
}

func resendCommand() *cobra.Command {
	var f deadFlags
	var yes bool
	c := &cobra.Command{
		Use:   "resend",
		Short: "Send dead letters again: events to their topic, activations to their webhook",
		Long: `Send dead letters again, once what was wrong has been put right: events go to the topic that they came from, and are read by the recipes that are in force now; activations
go to the webhook that did not take them. The oldest go first. Each is sent once: the dead topic notes which were. Should a node die in between, some may be sent twice, which
does no harm to events with a message id, nor to endpoints that know the ids of activations.

What is bad still comes back as a new letter.`,
		Example: "  dashi dead resend --webhook crm\n  dashi dead resend --reason wrong_type --since 2h --yes",
		Args:    arguments,
	}
	f.add(c)
	c.Flags().BoolVar(&yes, "yes", false, "do not ask")
	cl := addClientFlags(c)
	c.GroupID = ""
	c.RunE = func(c *cobra.Command, _ []string) error {
		if !yes {
			would, err := resendOnce(c.Context(), cl, f.query(), true)
			if err != nil {
				return err
			}
			if would.Sent == 0 {
				fmt.Fprintln(cl.out, "there is nothing to send again"+besides(would))
				return nil
			}
			if !confirmed(c, fmt.Sprintf("Send %s again%s? Type yes: ", say.Count(would.Sent+would.Left, "letter"), besides(would))) {
				return errors.New("nothing was sent: that was no yes; --yes does not ask")
			}
		}
		sent, refused := 0, 0
		for {
			r, err := resendOnce(c.Context(), cl, f.query(), false)
			if err != nil {
				return err
			}
			sent, refused = sent+r.Sent, refused+r.Refused
			if r.Left > 0 && r.Trouble == "" && r.Sent > 0 {
				fmt.Fprintf(c.ErrOrStderr(), "%d sent, %d to go\n", sent, r.Left)
				continue
			}
			if cl.json() {
				r.Sent, r.Refused = sent, refused
				return say.WriteJSON(cl.out, r)
			}
			fmt.Fprintf(cl.out, "%s sent again%s\n", say.Count(sent, "letter"), besides(r))
			if refused > 0 {
				fmt.Fprintf(cl.out, "%d refused once more\n", refused)
			}
			if r.Trouble != "" {
				return fmt.Errorf("%s left: %s", say.Count(r.Left, "letter"), plain(r.Trouble))
			}
			return nil
		}
	}
	return c
}

func resendOnce(ctx context.Context, cl *client, q url.Values, dry bool) (*httpapi.Resent, error) {
	q.Set("dry_run", fmt.Sprint(dry))
	var r httpapi.Resent
	return &r, cl.fetchBy(ctx, "POST", "/v1/dead:resend?"+q.Encode(), &r)
}

// besides says which letters are not sent, and why.
func besides(r *httpapi.Resent) string {
	var parts []string
	if r.Before > 0 {
		parts = append(parts, fmt.Sprintf("%d sent before", r.Before))
	}
	for _, why := range sortedKeys(r.Cannot) {
		parts = append(parts, fmt.Sprintf("%d cannot: %s", r.Cannot[why], plain(why)))
	}
	if len(parts) == 0 {
		return ""
	}
	return " (" + strings.Join(parts, "; ") + ")"
}
