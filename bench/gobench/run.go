package gobench

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strconv"
	"strings"
	"time"
)

// Request says which benchmarks to run, and how.
type Request struct {
	Root    string // of the module
	Package string // ./shard
	Pattern string // of go test -bench
	Time    string // of go test -benchtime
	Count   int
	Short   bool
	PGO     string        // a profile for the compiler, of go test -pgo; empty: none
	Profile string        // a file for the processor profile; empty: none is taken
	Limit   time.Duration // go test -timeout; past it, it prints where it hung
}

// Args are those of the go command.
func (r *Request) Args() []string {
	args := []string{"test", "-run", "^$", "-bench", r.Pattern, "-benchmem", "-benchtime", r.Time,
		"-count", strconv.Itoa(r.Count), "-timeout", r.Limit.String()}
	if r.Short {
		args = append(args, "-short")
	}
	if r.PGO != "" {
		args = append(args, "-pgo", r.PGO)
	}
	if r.Profile != "" {
		args = append(args, "-cpuprofile", r.Profile, "-o", r.Profile+".test")
	}
	return append(args, r.Package)
}

// Run runs them. An error carries the last lines that go test printed. No result at all is an error too: the
// benchmark was renamed.
func Run(ctx context.Context, r Request) ([]Result, error) {
	cmd := exec.CommandContext(ctx, "go", r.Args()...)
	cmd.Dir = r.Root
	cmd.WaitDelay = 5 * time.Second // the test process holds the pipe after go itself was killed
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("cannot run go %s: %w\n%s", strings.Join(r.Args(), " "), errors.Join(err, ctx.Err()), tail(out.String(), 20))
	}
	results, err := Parse(&out)
	if err == nil && len(results) == 0 {
		err = fmt.Errorf("no benchmark in %s matches %q", r.Package, r.Pattern)
	}
	return results, err
}

// tail is the last n lines of text.
func tail(text string, n int) string {
	lines := strings.Split(strings.TrimRight(text, "\n"), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}
