package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"text/tabwriter"
	"time"

	"dashi/node/httpapi"
	"dashi/pipeline/recipe"
	"dashi/pipeline/say"

	"github.com/spf13/cobra"
)

func applyCommand() *cobra.Command {
	var dry, forget bool
	var timeout time.Duration
	c := &cobra.Command{
		Use:   "apply PATH..",
		Short: "Put recipes in force on a running cluster",
		Long: `Put recipes in force on a running cluster. The paths are recipe files and directories of them; together they are the whole cookbook, in place of the one in
force. Any node takes it; events wait for a moment while all shards switch, look-ups go on. Attributes whose name and definition are the same keep what they know.
One that is defined anew, or is gone, forgets it, and without the section accounts so does every account: that is only done with --forget. An audience with another
condition is left and entered at the switch, with activations; a new one is filled without. To go back, apply the recipes of before; what was forgotten stays so.`,
		Example: "  dashi apply deploy/recipes --dry-run\n  dashi apply deploy/recipes",
		Args:    arguments,
	}
	c.Flags().BoolVar(&dry, "dry-run", false, "only show what would change")
	c.Flags().BoolVar(&forget, "forget", false, "put them in force although attributes, accounts or purposes of consent lose what they know")
	c.Flags().DurationVar(&timeout, "timeout", 5*time.Minute, "how long to wait until all shards have it")
	cl := addClientFlags(c)
	c.GroupID = "recipes"
	c.RunE = func(c *cobra.Command, args []string) error {
		sources, err := readRecipes(c.Context(), args)
		if err != nil {
			return err
		}
		applied, err := cl.apply(c, sources, dry, forget)
		if err != nil {
			return err
		}
		if !dry && !applied.Same {
			ctx, cancel := context.WithTimeout(c.Context(), timeout)
			defer cancel()
			if err := cl.awaitVersion(ctx, c.ErrOrStderr(), applied.Version); err != nil {
				return err
			}
		}
		if cl.json() {
			return say.WriteJSON(cl.out, applied)
		}
		printChanges(cl.out, applied.Changes)
		switch {
		case applied.Same:
			fmt.Fprintf(cl.out, "version %d is the same cookbook: nothing to do\n", applied.Version)
		case dry && len(applied.Losses) > 0:
			fmt.Fprintln(cl.out, "nothing was changed; to do this, --forget is needed")
		case dry:
			fmt.Fprintln(cl.out, "nothing was changed")
		default:
			fmt.Fprintf(cl.out, "version %d is in force\n", applied.Version)
		}
		return nil
	}
	return c
}

// apply sends a cookbook. What check has to say about it is printed as check does.
func (c *client) apply(cmd *cobra.Command, sources []recipe.Source, dry, forget bool) (*httpapi.Applied, error) {
	body := httpapi.Application{}
	for _, s := range sources {
		body.Sources = append(body.Sources, httpapi.Source{Name: s.Name, Text: string(s.Text)})
	}
	text, err := json.Marshal(body)
	if err != nil {
		return nil, err
	}
	query := url.Values{"dry_run": {fmt.Sprint(dry)}, "forget": {fmt.Sprint(forget)}}
	req, err := http.NewRequestWithContext(cmd.Context(), "PUT", c.addr+"/v1/cookbook?"+query.Encode(), bytes.NewReader(text))
	if err != nil {
		return nil, fmt.Errorf("cannot ask node %q: %w", c.addr, err)
	}
	resp, err := c.do(req)
	if err != nil {
		return nil, c.unreachable(err)
	}
	defer resp.Body.Close()
	var answer struct {
		apiError
		httpapi.Applied
		Why *httpapi.Applied `json:"applied"` // what a refused cookbook would have changed
	}
	answer.Status = resp.StatusCode
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil {
		return nil, fmt.Errorf("cannot read the answer of %s: %w", c.addr, err)
	}
	printFindings(cmd.ErrOrStderr(), sources, answer.Diagnostics)
	switch {
	case resp.StatusCode == http.StatusUnprocessableEntity:
		return nil, &shownError{errors.New("the cookbook has errors")}
	case resp.StatusCode != http.StatusOK:
		if answer.Why != nil && !c.json() {
			printChanges(c.out, answer.Why.Changes)
		}
		return nil, &answer.apiError
	}
	return &answer.Applied, nil
}

// printFindings prints what check on the node has found as check prints it here.
func printFindings(out io.Writer, sources []recipe.Source, found []httpapi.Diagnostic) {
	for _, d := range found {
		var text []byte
		for _, s := range sources {
			if s.Name == d.File {
				text = s.Text
			}
		}
		finding := recipe.Diagnostic{File: d.File, Line: d.Line, Column: d.Column, Message: d.Message, Hint: d.Hint}
		if d.Severity == recipe.Warning.String() {
			finding.Severity = recipe.Warning
		}
		fmt.Fprintln(out, finding.Format(text))
	}
}

// printChanges shows everything that does not stay as it is, and what comes of it.
func printChanges(out io.Writer, changes *recipe.Changes) {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for _, of := range changes.Sections() {
		for _, change := range of.Changes {
			if change.Fate != recipe.Kept || change.Note != "" {
				fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", of.One, change.Name, change.Fate, change.Note)
			}
		}
	}
	w.Flush()
	if changes.Accounts.Loses() {
		fmt.Fprintln(out, "every account, and all that it knows, is forgotten")
	}
	fmt.Fprintln(out, changes.Summary())
}

// awaitVersion waits until the node that is asked has a version in force, and shows how far it is.
func (c *client) awaitVersion(ctx context.Context, progress io.Writer, version uint64) error {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		var now httpapi.Cookbook
		if err := c.fetch(ctx, "/v1/cookbook", &now); err != nil && ctx.Err() == nil {
			return err
		}
		switch s := now.Switching; {
		case now.Refused != nil && now.Refused.Version == version:
			return fmt.Errorf("version %d was withdrawn: %s", version, now.Refused.Reason)
		case now.Version >= version && s == nil:
			return nil
		case s != nil && isTerminal(progress):
			fmt.Fprintf(progress, "\rversion %d: %d of %d shards hold events back, %d have it   ", s.Version, s.Held, s.Shards, s.Switched)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("version %d is committed, but is not in force on all shards yet: dashi status shows why (%w)", version, ctx.Err())
		case <-tick.C:
		}
	}
}

func cookbookCommand() *cobra.Command {
	var text bool
	c := &cobra.Command{
		Use:     "cookbook",
		Short:   "The recipes in force",
		Long:    "Show the recipes in force: version, time, files; with --text also what is in them, as one YAML stream.",
		Example: "  dashi cookbook\n  dashi cookbook --text\n  dashi cookbook -o json",
		Args:    arguments,
	}
	c.Flags().BoolVar(&text, "text", false, "print the recipes themselves")
	cl := addClientFlags(c)
	c.GroupID = "recipes"
	c.RunE = func(c *cobra.Command, _ []string) error {
		var now httpapi.Cookbook
		printed, err := cl.call(c.Context(), "GET", "/v1/cookbook", nil, &now)
		if err != nil || printed {
			return err
		}
		if text {
			for _, s := range now.Sources {
				fmt.Fprintf(cl.out, "--- # %s\n%s", s.Name, s.Text)
			}
			return nil
		}
		fmt.Fprintf(cl.out, "version %d since %s, %s\n", now.Version, now.At.Local().Format(time.DateTime), now.Hash)
		if s := now.Switching; s != nil {
			fmt.Fprintf(cl.out, "version %d is coming into force: %d of %d shards hold events back, %d have it\n", s.Version, s.Held, s.Shards, s.Switched)
		}
		if r := now.Refused; r != nil {
			fmt.Fprintf(cl.out, "version %d was withdrawn: %s\n", r.Version, r.Reason)
		}
		for _, s := range now.Sources {
			fmt.Fprintf(cl.out, "%7d bytes  %s\n", len(s.Text), s.Name)
		}
		return nil
	}
	return c
}
