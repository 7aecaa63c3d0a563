package resp

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// The clients as they are published.
var packages = []string{"ioredis@6", "redis@6"}

// npm installs the packages once, outside the repository, and returns their folder.
func npm(t *testing.T) string {
	t.Helper()
	if testing.Short() {
		t.Skip("-short")
	}
	tool(t, "npm")
	tool(t, "node")
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Skip(err)
	}
	dir := filepath.Join(cache, "dashi-test", strings.ReplaceAll(strings.Join(packages, "+"), "@", "_"))
	if _, err := os.Stat(filepath.Join(dir, "done")); err == nil {
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
	if err := os.WriteFile(filepath.Join(dir, "done"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	return filepath.Join(dir, "node_modules")
}

func TestNodeClients(t *testing.T) { bothWays(t, testNodeClients) }

func testNodeClients(t *testing.T, w way) {
	modules := npm(t)
	for _, script := range []string{"ioredis.cjs", "noderedis.cjs"} {
		for _, password := range []string{"", "s3cret"} {
			t.Run(fmt.Sprintf("%s,password=%v", script, password != ""), func(t *testing.T) {
				b := shop()
				_, addr := start(t, w, b, password, Limits{})
				_, port, _ := net.SplitHostPort(addr)
				ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
				defer cancel()
				c := exec.CommandContext(ctx, "node", "testdata/"+script, port, password)
				c.Env = append(os.Environ(), "NODE_PATH="+modules)
				var out bytes.Buffer
				c.Stdout, c.Stderr = &out, &out
				if err := c.Start(); err != nil {
					t.Fatal(err)
				}
				ended := make(chan error, 1)
				go func() { ended <- c.Wait() }()
				for {
					select {
					case err := <-ended:
						if err != nil || !strings.HasSuffix(out.String(), "done\n") {
							t.Fatalf("%v\n%s", err, &out)
						}
						return
					case <-time.After(20 * time.Millisecond):
						if b.subscribers() > 0 {
							b.publish("1", "vip", `{"id":"1"}`)
						}
					}
				}
			})
		}
	}
}
