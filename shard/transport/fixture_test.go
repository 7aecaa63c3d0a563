package transport

import (
	"fmt"
	"net"
	"sync"
	"testing"
	"time"

	"dashi/shard/transport/faulty"
	"dashi/shard/wal/vfs"

	"github.com/hashicorp/raft"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// eventually polls: no test relies on how fast anything is.
func eventually(t testing.TB, what string, f func() bool) {
	t.Helper()
	for range 10000 {
		if f() {
			return
		}
		<-time.After(time.Millisecond)
	}
	t.Fatalf("not so after 10 s: %s", what)
}

// cluster is some transports on loopback.
type cluster struct {
	net   *faulty.Network
	nodes []*Transport
	mems  []*vfs.Mem

	mu    sync.Mutex
	addrs map[string]string
	downs []string
}

func id(i int) string { return fmt.Sprintf("n%d/1", i) }

func newCluster(t testing.TB, n int, adjust func(i int, s *Settings)) *cluster {
	t.Helper()
	c := &cluster{net: faulty.New(), addrs: map[string]string{}}
	for i := range n {
		c.mems = append(c.mems, vfs.NewMem())
		c.nodes = append(c.nodes, c.open(t, i, adjust))
	}
	t.Cleanup(func() {
		for _, x := range c.nodes {
			must(t, x.Close())
		}
	})
	return c
}

func (c *cluster) open(t testing.TB, i int, adjust func(i int, s *Settings)) *Transport {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	c.net.Name(id(i), l.Addr().String())
	c.mu.Lock()
	c.addrs[id(i)] = l.Addr().String()
	c.mu.Unlock()
	s := Settings{ID: id(i), Cluster: "test", Listener: l, Dial: c.net.Dial(id(i)), FS: c.mems[i], SpoolDir: "spool",
		Resolve: func(id string) (string, error) {
			c.mu.Lock()
			defer c.mu.Unlock()
			if a, ok := c.addrs[id]; ok {
				return a, nil
			}
			return "", fmt.Errorf("nobody knows %q", id)
		}}
	if adjust != nil {
		adjust(i, &s)
	}
	x, err := Open(s)
	must(t, err)
	x.OnDown(func(down, why string) {
		c.mu.Lock()
		c.downs = append(c.downs, fmt.Sprintf("%s: %s: %s", id(i), down, why))
		c.mu.Unlock()
	})
	return x
}

func (c *cluster) told() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]string(nil), c.downs...)
}

// serve answers Raft's requests of a group until it is closed.
func serve(t testing.TB, x *Transport, group uint32, answer func(raft.RPC)) *Group {
	t.Helper()
	g, err := x.Group(group)
	must(t, err)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			select {
			case r := <-g.Consumer():
				answer(r)
			case <-g.ctx.Done():
				return
			}
		}
	}()
	t.Cleanup(func() { must(t, g.Close()); <-done })
	return g
}
