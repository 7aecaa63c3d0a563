package main

import (
	"io"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// Whoever leaves out an argument is told which, and how the command is used.
func TestArguments(t *testing.T) {
	f := func(line, want string) {
		t.Helper()
		c := root()
		c.SetArgs(strings.Fields(line))
		c.SetOut(io.Discard)
		c.SetErr(io.Discard)
		if err := c.Execute(); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("dashi %s\n got %v\nwant %s", line, err, want)
		}
	}
	f("get", "NS:VALUE is missing\nusage: dashi get NS:VALUE [flags] (dashi get --help says more)")
	f("check", "PATH is missing\nusage: dashi check PATH.. [flags]")
	f("test", "PATH is missing\nusage: dashi test PATH.. [flags]")
	f("test --record user_id:a b", `--record takes no PATH, and got "b"`)
	f("unlink", "NS:VALUE is missing\nusage: dashi unlink NS:VALUE NS:VALUE [flags]")
	f("unlink user_id:a", "a second NS:VALUE is missing\nusage:")
	f("explain", "NS:VALUE is missing\nusage: dashi explain NS:VALUE [AUDIENCE] [flags]")
	f("explain user_id:a vip b", "\"b\" is one argument too many\nusage:")
	f("train", "FILE is missing\nusage: dashi train FILE --label COLUMN --out MODEL [flags]")
	f("identity match", "FILE is missing\nusage: dashi identity match FILE [flags]")
	f("top now", "\"now\" is one argument too many\nusage: dashi top [flags]")
	f("status --bogus", "unknown flag: --bogus\nusage: dashi status [flags]")
}

// Every command says in its usage which arguments it takes, and is checked against that.
func TestArgumentsOfAllCommands(t *testing.T) {
	var walk func(c *cobra.Command)
	walk = func(c *cobra.Command) {
		for _, sub := range c.Commands() {
			walk(sub)
		}
		if c.HasSubCommands() || c.Args == nil {
			return
		}
		var args []string
		for _, name := range argumentNames(c) {
			if name[0] != '[' {
				args = append(args, "x")
			}
		}
		if err := c.Args(c, args); err != nil {
			t.Errorf("%s %q: %v", c.CommandPath(), args, err)
		}
		if len(args) == 0 {
			return
		}
		if err := c.Args(c, args[1:]); err == nil || !strings.Contains(err.Error(), "is missing\nusage: "+c.CommandPath()) {
			t.Errorf("%s without an argument: %v", c.CommandPath(), err)
		}
	}
	walk(root())
}
