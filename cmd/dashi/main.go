// Command dashi is the whole system in one binary: the node, the tools for recipes, and the client.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"runtime/debug"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
)

// version is set by the linker: see the Makefile.
var version = "dev"

// gcPercent lets the heap grow to four times what is alive before it is collected, unless GOGC says otherwise: profiles live outside of
// the heap, so what is alive is small, while the buffers of Kafka come and go by the megabyte.
const gcPercent = 300

func main() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	ctx, stop := signal.NotifyContext(context.Background(), endSignals()...)
	defer stop()
	context.AfterFunc(ctx, stop) // a second signal ends the process at once
	c := root()
	c.SetArgs(oneDash(os.Args[1:]))
	if at, err := c.ExecuteContextC(ctx); err != nil {
		if strings.HasPrefix(err.Error(), "required flag(s)") { // cobra has no type for it
			err = misused(at, err)
		}
		if text := err.Error(); strings.HasPrefix(text, "unknown command") && !strings.Contains(text, "Did you mean") {
			err = fmt.Errorf("%w (%s --help lists them; dashi --version is its version)", err, at.CommandPath())
		}
		var shown *shownError
		if !errors.As(err, &shown) {
			fmt.Fprintln(os.Stderr, "dashi:", err)
		}
		os.Exit(1)
	}
}

// endSignals end a process in order. A terminal that is closed is one of them, but not under nohup, which has it ignored.
func endSignals() []os.Signal {
	signals := []os.Signal{os.Interrupt, syscall.SIGTERM}
	if !signal.Ignored(syscall.SIGHUP) {
		signals = append(signals, syscall.SIGHUP)
	}
	return signals
}

// shownError is an error that the command has printed already: it only sets the exit code.
type shownError struct{ error }

func root() *cobra.Command {
	c := &cobra.Command{
		Use:   "dashi",
		Short: "Real-time customer data engine",
		Long: `dashi reads events from Kafka, keeps every person's profile and audiences in memory, sends activations
back to Kafka, and answers look-ups by key over HTTP and the Redis protocol.

Start here:

  dashi dev                          a node, an embedded Kafka and demo traffic; console at http://127.0.0.1:7070
  dashi get user_id:u0               who is this, and which audiences are they in?
  dashi audiences                    the audiences and their sizes
  dashi check deploy/recipes         what is wrong with my recipes?
  dashi test deploy/recipes          do they do what their tests say?`,
		Version:       version,
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	c.CompletionOptions.HiddenDefaultCmd = true
	c.SetFlagErrorFunc(misused)
	c.AddGroup(
		&cobra.Group{ID: "run", Title: "Run a node:"},
		&cobra.Group{ID: "recipes", Title: "Work on recipes:"},
		&cobra.Group{ID: "ask", Title: "Ask a running node (--addr or DASHI_ADDR; --key or DASHI_KEY):"},
	)
	c.AddCommand(devCommand(), clusterCommand(), serveCommand(),
		checkCommand(), testCommand(), applyCommand(), cookbookCommand(), replayCommand(), identityCommand(), featuresCommand(), trainCommand(),
		getCommand(), eventsCommand(), deadCommand(), explainCommand(), unlinkCommand(), exportCommand(), eraseCommand(),
		audiencesCommand(), activationsCommand(), membersCommand(), queryCommand(), tailCommand(), statusCommand(), topCommand(),
		drainCommand(), forgetCommand())
	return c
}
