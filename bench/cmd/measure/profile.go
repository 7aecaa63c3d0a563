package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"

	"dashi/bench/result"
	"dashi/bench/workload"
)

// profile runs the workloads and merges the processor profiles of all that they measure into one file. Taking them makes everything a
// little slower, so no figure counts.
func profile(ctx context.Context, chosen []workload.Workload, env workload.Env, temp, file string, errs io.Writer) error {
	dir, err := os.MkdirTemp(temp, "dashi-profiles-")
	if err != nil {
		return fmt.Errorf("cannot make temporary directory: %w", err)
	}
	defer os.RemoveAll(dir)
	env.Profiles = dir
	env.Report = func(result.Figure) error { return nil }
	failures := runAll(ctx, chosen, env, temp, errs)
	if len(failures) > 0 {
		return errors.Join(failures...)
	}
	taken, err := filepath.Glob(filepath.Join(dir, "*.pprof"))
	if err != nil || len(taken) == 0 {
		return errors.Join(errors.New("no profile was taken: the workloads were too short"), err)
	}
	merge := exec.CommandContext(ctx, "go", append([]string{"tool", "pprof", "-proto", "-output", file}, taken...)...)
	if out, err := merge.CombinedOutput(); err != nil {
		return fmt.Errorf("cannot merge %d profiles into %q: %w\n%s", len(taken), file, err, out)
	}
	fmt.Fprintf(errs, "%d profiles are merged in %s\n", len(taken), file)
	return nil
}
