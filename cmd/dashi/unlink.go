package main

import (
	"fmt"

	"github.com/spf13/cobra"
)

func unlinkCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "unlink NS:VALUE NS:VALUE",
		Short: "Say that two identifiers are never one person",
		Long: `Say that two identifiers are never one person. If they are in one profile it comes apart: each side gets back what its own
events made of it, its audiences are corrected, and an activation "unmerged" says so. It is remembered: events that come later do not
bring the two together again.`,
		Example: "  dashi unlink user_id:42 user_id:43\n  dashi unlink user_id:42 anonymous_id:9f31",
		Args:    arguments,
	}
	cl := addClientFlags(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		var answer struct{ Unlinked bool }
		printed, err := cl.call(c.Context(), "POST", "/v1/identity:unlink", map[string]string{"a": args[0], "b": args[1]}, &answer)
		if err != nil || printed {
			return err
		}
		fmt.Fprintf(cl.out, "%s and %s are never one person\n", plain(args[0]), plain(args[1]))
		return nil
	}
	return c
}
