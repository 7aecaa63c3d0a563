package main

import (
	"fmt"
	"strings"

	"dashi/pipeline/say"

	"github.com/spf13/cobra"
)

// arguments checks the arguments of a command against what its usage says: NAME is one, NAME.. one or more, [NAME] and [NAME..] may be missing.
func arguments(c *cobra.Command, args []string) error {
	names := argumentNames(c)
	for i, name := range names {
		switch {
		case strings.HasSuffix(strings.Trim(name, "[]"), "..") && (i < len(args) || name[0] == '['):
			return nil
		case i >= len(args) && i > 0 && name == names[i-1]:
			return misused(c, fmt.Errorf("a second %s is missing", name))
		case i >= len(args) && name[0] != '[':
			return misused(c, fmt.Errorf("%s is missing", strings.TrimSuffix(name, "..")))
		}
	}
	if len(args) > len(names) {
		return misused(c, fmt.Errorf("%s is one argument too many", say.Quote(args[len(names)])))
	}
	return nil
}

// argumentNames are the arguments that the usage of a command names, flags aside.
func argumentNames(c *cobra.Command) (names []string) {
	for _, word := range strings.Fields(c.Use)[1:] {
		if strings.HasPrefix(word, "--") {
			break
		}
		names = append(names, word)
	}
	return names
}

// misused is err with how the command is used.
func misused(c *cobra.Command, err error) error {
	return fmt.Errorf("%w\nusage: %s (%s --help says more)", err, c.UseLine(), c.CommandPath())
}
