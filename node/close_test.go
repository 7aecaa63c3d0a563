package node

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"
)

// A node that was closed leaves no goroutine and no file behind: neither one that worked, nor one that did not get far.
func TestCloseLeavesNothing(t *testing.T) {
	files := openFiles(t)
	before := goleak.IgnoreCurrent()
	for i := range 2 { // what is left for good is left by the first
		t.Run(fmt.Sprint("round=", i+1), func(t *testing.T) {
			c := openCluster(t, 2)
			visit(t, c.nodes[0], "a", 10, "x")
			c.idle()
			answer, err := http.Get("http://" + c.nodes[1].HTTPAddr() + "/v1/profiles/user_id:u1?read=linearizable")
			if err != nil {
				t.Fatal(err)
			}
			answer.Body.Close()
			more := application(moreRecipe)
			more.Forget = true
			c.apply(1, more)
			if n, err := Open(testContext(t), c.settings[0], testOptions()); err == nil {
				closeNode(t, n)
				t.Error("a directory is opened twice")
			}
		})
	}
	http.DefaultClient.CloseIdleConnections()
	goleak.VerifyNone(t, before)
	until(t, "all files are closed", func() bool { return len(openFiles(t)) <= len(files) })
}

// openFiles are the open files of this process, where the system lists them.
func openFiles(t *testing.T) (names []string) {
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Skipf("open files cannot be listed here: %v", err)
	}
	for _, e := range entries {
		if name, err := os.Readlink("/proc/self/fd/" + e.Name()); err == nil && !strings.HasPrefix(name, "/proc/") {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// Nodes that are stopped all at once are no trouble to each other: nobody is left to hear that they go.
func TestCloseTogether(t *testing.T) {
	c := openCluster(t, 3)
	errs := make([]error, len(c.nodes))
	var closing sync.WaitGroup
	for i, n := range c.nodes {
		closing.Go(func() { errs[i] = n.Close() })
		c.nodes[i] = nil
	}
	closing.Wait()
	if err := errors.Join(errs...); err != nil {
		t.Error(err)
	}
}
