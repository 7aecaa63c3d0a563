package main

import "github.com/spf13/cobra"

func identityCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "identity",
		Short: "Find out who is whom in a file, before anything is applied",
		Long: `Tools for identity that work on files and change nothing by themselves.

match finds records of one person that share no key. What it finds becomes links only when you write or send them.
simulate shows what the rules of a cookbook would make of a file of events.`,
		GroupID: "recipes",
		Args:    cobra.NoArgs,
		RunE:    func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(identityMatchCommand(), identitySimulateCommand())
	return c
}
