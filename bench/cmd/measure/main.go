// Command measure runs the benchmarks of dashi and keeps their figures: see bench/README.md.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"syscall"
	"text/tabwriter"
	"time"

	"dashi/bench/process"
	"dashi/bench/result"
	"dashi/bench/workload"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	switch {
	case errors.Is(err, flag.ErrHelp):
	case err != nil:
		fmt.Fprintln(os.Stderr, "measure:", err)
		os.Exit(1)
	}
}

type options struct {
	list, quick           bool
	kills                 int
	pattern               string
	binary, results, temp string
	profile               string
}

const help = `Measure runs the benchmarks of dashi, prints what was measured against its targets, and appends a line a figure to
bench/results. It measures bin/dashi from outside, over Kafka, HTTP and the Redis protocol, all on the loopback, and
takes about forty minutes, 12 GB of memory and 12 GB of disk. Close what else runs: figures of a busy machine say
little. A target that is missed is printed as such; the exit code is 0 when everything could be measured.

  make bench                                        build, then all of it
  go run ./bench/cmd/measure -list                  what there is
  go run ./bench/cmd/measure -run 'drain|load'      some of it
  go run ./bench/cmd/measure -run failover -kills 100
  go run ./bench/cmd/measure -profile FILE          what the compiler is told of dashi's work: see make profile
  go run ./bench/cmd/measure -quick -run resp       does it work? (smaller sizes, not comparable, marked as such)

Flags:
`

func readOptions(args []string, errs io.Writer) (o options, err error) {
	f := flag.NewFlagSet("measure", flag.ContinueOnError)
	f.SetOutput(errs)
	f.Usage = func() {
		fmt.Fprint(errs, help)
		f.PrintDefaults()
	}
	f.BoolVar(&o.list, "list", false, "list the workloads and exit")
	f.StringVar(&o.pattern, "run", "", "run only workloads whose name matches this `regexp`")
	f.BoolVar(&o.quick, "quick", false, "smaller sizes: a minute or two, not comparable")
	f.IntVar(&o.kills, "kills", 0, "how often failover kills a node; 100 take ten minutes (default 10, 2 if -quick)")
	f.StringVar(&o.binary, "bin", "bin/dashi", "the binary to measure, from the top of the repository")
	f.StringVar(&o.results, "results", "bench/results", "`directory` of the results, from the top of the repository")
	f.StringVar(&o.profile, "profile", "", "write a processor profile of dashi in all of the workloads to this `file`, and keep no figures")
	f.StringVar(&o.temp, "temp", "", "`directory` for temporary files (default: the system's)")
	if err := f.Parse(args); err != nil {
		return o, err
	}
	if f.NArg() > 0 {
		return o, fmt.Errorf("unexpected %q: choose workloads with -run", f.Arg(0))
	}
	return o, nil
}

func run(ctx context.Context, args []string, out, errs io.Writer) error {
	o, err := readOptions(args, errs)
	if err != nil {
		return err
	}
	chosen, err := choose(o.pattern)
	if err != nil {
		return err
	}
	if o.list {
		return list(out, chosen)
	}
	root, err := findRoot()
	if err != nil {
		return err
	}
	from := func(path string) string {
		if filepath.IsAbs(path) {
			return path
		}
		return filepath.Join(root, path)
	}
	env := workload.Env{Root: root, Binary: from(o.binary), Quick: o.quick, Kills: o.kills}
	if err := checkBinary(env.Binary, chosen); err != nil {
		return err
	}
	if o.profile != "" {
		return profile(ctx, chosen, env, o.temp, from(o.profile), errs)
	}
	log := result.NewLog(from(o.results), result.Commit(ctx, root), result.ThisMachine(), o.quick, time.Now)
	env.Report = log.Add
	failures := runAll(ctx, chosen, env, o.temp, errs)
	fmt.Fprintln(out)
	if err := result.WriteTable(out, log.Figures()); err != nil {
		failures = append(failures, err)
	}
	return errors.Join(failures...)
}

// runAll runs one workload after the other. One that cannot be run here is skipped, one that fails does not keep
// the next from running.
func runAll(ctx context.Context, chosen []workload.Workload, env workload.Env, temp string, errs io.Writer) (failures []error) {
	for i := range chosen {
		w := &chosen[i]
		env.Say = func(format string, args ...any) { fmt.Fprintf(errs, w.Name+": "+format+"\n", args...) }
		err := runOne(ctx, w, env, temp)
		switch {
		case errors.Is(err, process.ErrMissing):
			env.Say("skipped: %v", err)
		case err != nil:
			env.Say("%v", err)
			failures = append(failures, err)
		}
		if ctx.Err() != nil {
			return append(failures, errors.New("interrupted: the rest was not measured"))
		}
	}
	return failures
}

func runOne(ctx context.Context, w *workload.Workload, env workload.Env, temp string) error {
	dir, err := os.MkdirTemp(temp, "dashi-measure-")
	if err != nil {
		return fmt.Errorf("cannot make temporary directory: %w", err)
	}
	env.Temp = dir
	err = w.Run(ctx, &env)
	if removed := os.RemoveAll(dir); removed != nil {
		err = errors.Join(err, fmt.Errorf("cannot remove temporary directory: %w", removed))
	}
	return err
}

// choose picks the workloads that a pattern names.
func choose(pattern string) ([]workload.Workload, error) {
	re, err := regexp.Compile(pattern)
	if err != nil {
		return nil, fmt.Errorf("cannot read -run: %w", err)
	}
	var chosen []workload.Workload
	for _, w := range workload.All() {
		if re.MatchString(w.Name) {
			chosen = append(chosen, w)
		}
	}
	if len(chosen) == 0 {
		return nil, fmt.Errorf("no workload matches %q: -list shows them", pattern)
	}
	return chosen, nil
}

func list(out io.Writer, workloads []workload.Workload) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for _, l := range workloads {
		fmt.Fprintf(w, "%s\t%s\n", l.Name, l.About)
	}
	return w.Flush()
}

func checkBinary(path string, chosen []workload.Workload) error {
	for _, w := range chosen {
		if !w.Binary {
			continue
		}
		if _, err := os.Stat(path); err != nil {
			return fmt.Errorf("%s measures the binary: %w (make build makes it)", w.Name, err)
		}
	}
	return nil
}

// findRoot is the top of the repository, from anywhere in it.
func findRoot() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir, nil
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", errors.New("run it within the repository: there is no go.mod here or above")
		}
		dir = parent
	}
}
