package main_test

import (
	"fmt"
	"math/rand/v2"
	"os/exec"
	"strings"
	"testing"
)

// network is a bridge of this machine's, with a network namespace for every node: what the test cuts is cut in both directions, and only for them. The machine
// has two addresses on it: one for clients, one for the broker, so that nodes can be cut off from the broker alone.
type network struct {
	t      testing.TB
	prefix string // of the addresses, of the names of namespaces, and of interfaces
	name   string
	size   int
}

// newNetwork makes it, and takes it away at the end of the test. It skips the test where that is not allowed.
func newNetwork(t testing.TB, size int) *network {
	n := &network{t: t, prefix: fmt.Sprintf("10.213.%d.", rand.IntN(256)), name: fmt.Sprintf("dsh%05x", rand.IntN(1<<20)), size: size}
	if err := n.ip("link add " + n.name + " type bridge"); err != nil {
		t.Skipf("no network namespaces for nodes here: %v", err)
	}
	t.Cleanup(func() {
		for i := range size {
			_ = n.ip("netns del " + n.space(i))
		}
		check(t, n.ip("link del "+n.name))
	})
	run := func(args string) {
		if err := n.ip(args); err != nil {
			t.Skipf("no network namespaces for nodes here: %v", err)
		}
	}
	run("addr add " + n.client() + "/24 dev " + n.name)
	run("addr add " + n.broker() + "/24 dev " + n.name)
	run("link set " + n.name + " up")
	for i := range size {
		outside := fmt.Sprint(n.name, "v", i)
		run("netns add " + n.space(i))
		run("link add " + outside + " type veth peer name eth0 netns " + n.space(i))
		run("link set " + outside + " master " + n.name + " up")
		run("-n " + n.space(i) + " addr add " + n.node(i) + "/24 dev eth0")
		run("-n " + n.space(i) + " link set eth0 up")
		run("-n " + n.space(i) + " link set lo up")
	}
	return n
}

func (n *network) ip(args string) error {
	if out, err := exec.Command("ip", strings.Fields(args)...).CombinedOutput(); err != nil {
		return fmt.Errorf("ip %s: %w: %s", args, err, strings.TrimSpace(string(out)))
	}
	return nil
}

func (n *network) client() string     { return n.prefix + "1" }
func (n *network) broker() string     { return n.prefix + "2" }
func (n *network) node(i int) string  { return fmt.Sprint(n.prefix, 11+i) }
func (n *network) space(i int) string { return fmt.Sprint(n.name, "n", i) }

// cut makes node i throw away what is for an address; heal ends that.
func (n *network) cut(i int, addr string) {
	check(n.t, n.ip("-n "+n.space(i)+" route add blackhole "+addr))
}
func (n *network) heal(i int, addr string) {
	check(n.t, n.ip("-n "+n.space(i)+" route del blackhole "+addr))
}

// isolate cuts node i off from the other nodes, and returns what ends that.
func (n *network) isolate(i int) (heal func()) {
	all := func(do func(int, string)) {
		for j := range n.size {
			if j != i {
				do(i, n.node(j))
				do(j, n.node(i))
			}
		}
	}
	all(n.cut)
	return func() { all(n.heal) }
}
