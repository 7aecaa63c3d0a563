package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"dashi/node/httpapi"
	"dashi/pipeline/say"
)

func eraseCommand() *cobra.Command {
	var yes bool
	c := &cobra.Command{
		Use:   "erase NS:VALUE",
		Short: "Erase a person: profile, identifiers, links; or an account",
		Long: `Erase the person who has an identifier: the profile with all its identifiers and links is taken out of every shard, an activation
"erased" with the identifiers tells every destination, and the hash of each identifier stays, so that events from before the erasure
that come later do not bring anything back. Events from after it make a new person. It cannot be undone; the receipt is what -o json
prints.

An account (account:acme) is erased likewise, with what is known of itself. Its people stay; those belong to it who join it after that.

Kafka keeps the events until the retention of its topics is over, and logs and snapshots of the nodes until newer ones replace them.`,
		Example: "  dashi erase user_id:42\n  dashi erase email:ada@example.com --yes -o json > receipt.json\n  dashi erase account:acme",
		Args:    arguments,
	}
	c.Flags().BoolVar(&yes, "yes", false, "do not ask")
	cl := addClientFlags(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		if !strings.Contains(args[0], ":") {
			return fmt.Errorf("%s is not an identifier: write NAMESPACE:VALUE, for example user_id:42", say.Quote(args[0]))
		}
		if !yes && !confirmed(c, fmt.Sprintf("Erase %s for good? Type yes: ", plain(args[0]))) {
			return errors.New("not erased: that was no yes; --yes does not ask")
		}
		var r httpapi.Receipt
		printed, err := cl.call(c.Context(), "DELETE", "/v1/profiles/"+url.PathEscape(args[0]), nil, &r)
		if err != nil || printed {
			return err
		}
		if !r.Erased {
			fmt.Fprintf(cl.out, "nobody was known as %s; nothing from before %s is taken in any more\n", plain(args[0]), local(r.At))
			return nil
		}
		fmt.Fprintf(cl.out, "erased %s, at %s\n", plain(r.Profile), local(r.At))
		for _, id := range r.Identifiers {
			fmt.Fprintf(cl.out, "  %s\n", plain(id))
		}
		return nil
	}
	return c
}

// confirmed asks a question on the terminal, and says whether the answer is yes.
func confirmed(c *cobra.Command, question string) bool {
	fmt.Fprint(c.ErrOrStderr(), question)
	line, err := bufio.NewReader(c.InOrStdin()).ReadString('\n')
	return (err == nil || err == io.EOF) && strings.TrimSpace(line) == "yes"
}

func exportCommand() *cobra.Command {
	var file string
	c := &cobra.Command{
		Use:     "export NS:VALUE",
		Short:   "Write all that is kept about a person, as JSON",
		Long:    "Write all that is kept about a person, as JSON: identifiers, attributes, audiences, consent. It holds nothing about people who share a device or the like with them.",
		Example: "  dashi export user_id:42\n  dashi export email:ada@example.com --to ada.json",
		Args:    arguments,
	}
	c.Flags().StringVar(&file, "to", "", "write to this file")
	cl := addClientFlags(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		rc, err := cl.open(c.Context(), "GET", "/v1/profiles/"+url.PathEscape(args[0])+"/export", nil)
		if err != nil {
			return err
		}
		defer rc.Close()
		if file == "" {
			_, err := io.Copy(cl.out, rc)
			return err
		}
		raw, err := io.ReadAll(rc)
		if err != nil {
			return fmt.Errorf("cannot read the answer of %s: %w", cl.addr, err)
		}
		if err := os.WriteFile(file, raw, 0o600); err != nil {
			return fmt.Errorf("cannot write the export: %w", err)
		}
		fmt.Fprintf(cl.out, "%s to %s\n", say.Count(len(raw), "byte"), file)
		return nil
	}
	return c
}
