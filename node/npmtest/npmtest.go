// Package npmtest lets tests run JavaScript clients as they are published.
package npmtest

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// Install installs packages such as "redis@6" with npm, once and outside the repository, and returns the folder for NODE_PATH. Where there is no npm, or it
// reaches no registry, the test is skipped with the reason.
func Install(t testing.TB, packages ...string) (modules string) {
	t.Helper()
	if testing.Short() {
		t.Skip("-short")
	}
	for _, name := range []string{"npm", "node"} {
		if _, err := exec.LookPath(name); err != nil {
			t.Skipf("%s is not installed: %v", name, err)
		}
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Skip(err)
	}
	dir := filepath.Join(cache, "dashi-test", strings.NewReplacer("/", "_", "@", "_").Replace(strings.Join(packages, "+")))
	done := filepath.Join(dir, "done")
	if _, err := os.Stat(done); err == nil {
		return filepath.Join(dir, "node_modules")
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Skip(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	c := exec.CommandContext(ctx, "npm", append([]string{"install", "--prefix", dir, "--no-audit", "--no-fund", "--ignore-scripts"}, packages...)...)
	if out, err := c.CombinedOutput(); err != nil {
		t.Skipf("npm cannot install: %v\n%s", err, out)
	}
	if err := os.WriteFile(done, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	return filepath.Join(dir, "node_modules")
}

// Command is node with a script of the test's folder testdata, which prints "done" at the end when all was well.
func Command(ctx context.Context, modules, script string, args ...string) *exec.Cmd {
	c := exec.CommandContext(ctx, "node", append([]string{filepath.Join("testdata", script)}, args...)...)
	c.Env = append(os.Environ(), "NODE_PATH="+modules)
	return c
}
