package resp

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"dashi/node/npmtest"
)

// The clients as they are published.
var packages = []string{"ioredis@6", "redis@6"}

func TestNodeClients(t *testing.T) { bothWays(t, testNodeClients) }

func testNodeClients(t *testing.T, w way) {
	modules := npmtest.Install(t, packages...)
	for _, script := range []string{"ioredis.cjs", "noderedis.cjs"} {
		for _, password := range []string{"", "s3cret"} {
			t.Run(fmt.Sprintf("%s,password=%v", script, password != ""), func(t *testing.T) {
				b := shop()
				_, addr := start(t, w, b, password, Limits{})
				_, port, _ := net.SplitHostPort(addr)
				ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
				defer cancel()
				c := npmtest.Command(ctx, modules, script, port, password)
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
