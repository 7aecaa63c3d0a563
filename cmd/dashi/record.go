package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/url"
	"strings"
	"time"

	"dashi/node/recipetest"
	"dashi/node/status"
	"dashi/pipeline/kafka"
	"dashi/pipeline/recipe"
	"dashi/pipeline/say"

	"github.com/spf13/cobra"
)

// record writes a test from the live traffic of one profile.
func record(c *cobra.Command, cl *client, id string) error {
	ctx := c.Context()
	sources, err := cl.cookbook(ctx)
	if err != nil {
		return err
	}
	program, err := compiled(c, sources)
	if err != nil {
		return err
	}
	var st status.Status
	if err := cl.fetch(ctx, "/v1/status", &st); err != nil {
		return err
	}
	now := time.Now()
	profile, identifiers, err := cl.profileText(ctx, id)
	if err != nil {
		return err
	}
	r := recipetest.NewRecorder(program, id, identifiers)
	settings := kafka.Settings{Brokers: st.Kafka.Brokers, ClientID: "dashi-test"}
	for _, topic := range st.Kafka.Inputs {
		err := kafka.History(ctx, settings, topic, func(_ int32, m *kafka.Record) error {
			if m.Millis <= now.UnixMilli() {
				r.Take(m.Value, m.Millis)
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	text, err := r.Write(profile, now.UnixMilli())
	if err != nil {
		return err
	}
	if _, err := c.OutOrStdout().Write(text); err != nil {
		return err
	}
	return tryRecorded(c, program, text, r.Len())
}

// profileText is the profile as the node answers it, and its identifiers.
func (c *client) profileText(ctx context.Context, id string) (text []byte, identifiers []string, err error) {
	if !strings.Contains(id, ":") {
		return nil, nil, fmt.Errorf("%s is not an identifier: write NAMESPACE:VALUE, for example user_id:42", say.Quote(id))
	}
	rc, err := c.open(ctx, "GET", "/v1/profiles/"+url.PathEscape(id), nil)
	if err != nil {
		return nil, nil, err
	}
	defer rc.Close()
	if text, err = io.ReadAll(rc); err != nil {
		return nil, nil, fmt.Errorf("cannot read the answer of %s: %w", c.addr, err)
	}
	var p profileAnswer
	if err := json.Unmarshal(text, &p); err != nil {
		return nil, nil, fmt.Errorf("cannot read the answer of %s: %w", c.addr, err)
	}
	for _, i := range p.Identifiers {
		identifiers = append(identifiers, i.Namespace+":"+i.Value)
	}
	return text, identifiers, nil
}

// tryRecorded runs the test once, to say at once if it does not hold: events may be gone from Kafka, or have come in under
// another cookbook.
func tryRecorded(c *cobra.Command, program *recipe.Program, text []byte, events int) error {
	cases, broken := recipetest.Parse([]recipe.Source{{Name: "recorded.test.yml", Text: text}}, program)
	if len(broken) > 0 {
		return fmt.Errorf("the recorded test cannot be read: %s", broken[0])
	}
	runner := recipetest.New(program)
	for i := range cases {
		if failures := runner.Run(&cases[i]).Failures; len(failures) > 0 {
			fmt.Fprintf(c.ErrOrStderr(), "recorded %s; the test does not hold: are events missing that Kafka keeps no longer, or that another cookbook read?\n", say.Count(events, "event"))
			for _, f := range failures {
				fmt.Fprintf(c.ErrOrStderr(), "  line %d: %s: the node shows %s, the test gives %s\n", f.Line, plain(f.What), plain(f.Want), plain(f.Got))
			}
			return nil
		}
	}
	fmt.Fprintf(c.ErrOrStderr(), "recorded %s; the test holds\n", say.Count(events, "event"))
	return nil
}
