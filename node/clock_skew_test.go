package node

import (
	"strings"
	"testing"
	"time"
)

func TestCorrection(t *testing.T) {
	f := func(want time.Duration, off ...time.Duration) {
		t.Helper()
		if got := correction(off); got != want {
			t.Errorf("%v: %v, want %v", off, got, want)
		}
	}
	const h = time.Hour
	f(0, 0, 0, 0)
	f(0, 0, h, 0)                                    // another one is ahead
	f(-h, 0, -h, -h)                                 // this one is
	f(h, 0, h, h)                                    // or behind
	f(0, 0, 9*time.Second, 8*time.Second)            // near enough
	f(-h, 0, -h-time.Second, -h)                     // the median
	f(0, 0, 0, -h, -h)                               // two and two: it stays with its own
	f(-h, 0, -h, -h-time.Minute, -h)                 // three against one
	f(0, 0, 2*h, -2*h)                               // all differ
	f(-h, 0, -h, -h-2*time.Second, -2*h, -time.Hour) // five
}

// A node whose clock is far ahead moved the time of every shard, for all, and for good.
func TestClockOfMost(t *testing.T) {
	c := newCluster(t, 3)
	plain := c.options
	c.options = func(i int) Options {
		o := plain(i)
		if i == 0 {
			o.wall = func() time.Time { return time.Now().Add(time.Hour) }
		}
		return o
	}
	c.openAll()
	c.idle()
	for _, n := range c.nodes {
		n.poll(t.Context())
		st := n.Status(false)
		if ahead := time.Until(st.Clock.Now); ahead > time.Minute {
			t.Errorf("%s: the time of the shards is %v ahead", n.identity.Node, ahead)
		}
		want := "node " + c.nodes[0].identity.Node + ": its clock is 1h ahead of those of most others"
		if n == c.nodes[0] {
			want = "the clock of this node is 1h ahead of those of most others"
		}
		if all := strings.Join(st.Trouble, "; "); !strings.Contains(all, want) {
			t.Errorf("%s: %q, want %q", n.identity.Node, all, want)
		}
	}
}
