package main

import (
	"context"
	"fmt"
	"net/url"
	"time"

	"dashi/node/status"

	"github.com/spf13/cobra"
)

func drainCommand() *cobra.Command {
	var undo bool
	var timeout time.Duration
	c := &cobra.Command{
		Use:   "drain NODE",
		Short: "Empty a node before maintenance",
		Long: `Empty a node before maintenance: others lead its shards, then its replicas are taken out, and its process ends. Returns when it holds
nothing. Started again, the node comes back and is brought everything. Ask another node than the one that is drained. With a node that is dead for good,
dashi forget is the next step.`,
		Example: "  dashi drain n2 --addr 127.0.0.1:7070\n  dashi drain n2 --undo",
		Args:    arguments,
	}
	c.Flags().BoolVar(&undo, "undo", false, "stop emptying it, and bring back what it had")
	c.Flags().DurationVar(&timeout, "timeout", 10*time.Minute, "how long to wait until it is empty")
	cl := addClientFlags(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		method := "POST"
		if undo {
			method = "DELETE"
		}
		var done map[string]any
		printed, err := cl.call(c.Context(), method, "/v1/nodes/"+url.PathEscape(args[0])+"/drain", nil, &done)
		if err != nil || undo {
			if err == nil && !printed {
				fmt.Fprintf(cl.out, "%s is no longer drained\n", args[0])
			}
			return err
		}
		if err := cl.awaitEmpty(c.Context(), args[0], timeout); err != nil {
			return err
		}
		if !printed {
			fmt.Fprintf(cl.out, "%s is empty\n", args[0])
		}
		return nil
	}
	return c
}

// awaitEmpty waits until a node holds nothing.
func (c *client) awaitEmpty(ctx context.Context, id string, timeout time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for {
		var st status.Status
		if err := c.fetch(ctx, "/v1/status", &st); err != nil {
			return err
		}
		for _, n := range st.Nodes {
			if n.ID == id && n.Replicas == 0 {
				return nil
			}
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s still holds replicas: dashi status shows the moves: %w", id, ctx.Err())
		case <-tick.C:
		}
	}
}

func forgetCommand() *cobra.Command {
	c := &cobra.Command{
		Use:     "forget NODE",
		Short:   "Forget a node that does not come back",
		Long:    `Forget a node that does not come back, so that another may take its place. It must be empty: dashi drain.`,
		Example: "  dashi drain n2 && dashi forget n2",
		Args:    arguments,
	}
	cl := addClientFlags(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		var done map[string]any
		printed, err := cl.call(c.Context(), "DELETE", "/v1/nodes/"+url.PathEscape(args[0]), nil, &done)
		if err == nil && !printed {
			fmt.Fprintf(cl.out, "%s is forgotten\n", args[0])
		}
		return err
	}
	return c
}
