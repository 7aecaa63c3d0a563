package main

import (
	"errors"
	"fmt"
	"regexp"
	"strings"

	"dashi/pipeline/say"
	"dashi/pipeline/spell"

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
	err = flagWords(c, err)
	return fmt.Errorf("%w\nusage: %s (%s --help says more)", err, c.UseLine(), c.CommandPath())
}

var badValue = regexp.MustCompile(`^invalid argument "((?s:.*))" for "(?:-\w, )?--([\w-]+)" flag: `)

// wantedValue says what the types of flags take.
var wantedValue = map[string]string{"int": "a whole number", "int64": "a whole number", "float64": "a number", "bool": "true or false",
	"duration": "a length of time such as 500ms, 30s, 5m or 1h"}

// flagWords says what is wrong with a flag without a word of the library, and which one was meant.
func flagWords(c *cobra.Command, err error) error {
	if m := badValue.FindStringSubmatch(err.Error()); m != nil {
		if f := c.Flags().Lookup(m[2]); f != nil && wantedValue[f.Value.Type()] != "" {
			return fmt.Errorf("--%s is %s; wanted: %s", m[2], say.Quote(m[1]), wantedValue[f.Value.Type()])
		}
	}
	if unknown, ok := errors.AsType[interface {
		error
		GetSpecifiedName() string
		GetSpecifiedShortnames() string
	}](err); ok && unknown.GetSpecifiedShortnames() == "" {
		var names []string
		for _, usage := range strings.Split(c.Flags().FlagUsages(), "\n") { // in order
			if _, name, ok := strings.Cut(usage, "--"); ok {
				name, _, _ = strings.Cut(name, " ")
				names = append(names, name)
			}
		}
		if near := spell.Closest(unknown.GetSpecifiedName(), names); near != "" {
			return fmt.Errorf("unknown flag: --%s (did you mean --%s?)", say.Short(unknown.GetSpecifiedName()), near)
		}
	}
	return err
}
