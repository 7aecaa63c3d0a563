package group

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"dashi/shard/transport"
	"dashi/shard/transport/faulty"
	"dashi/shard/wal/vfs"
)

// ring is some nodes in one process, on loopback, with a disk each.
type ring struct {
	t      testing.TB
	net    *faulty.Network
	nodes  []*node
	groups uint32
	adjust func(i int, s *Settings)

	mu     sync.Mutex
	addrs  map[string]string
	hashes map[uint32]map[uint64]uint64 // by group and index: the state that every replica has there
	ending sync.WaitGroup
}

// node is one of them: its disk, and while it runs its host and replicas.
type node struct {
	i, incarnation int
	mem            *vfs.Mem
	fs             vfs.FS // of the host; mem, or something in front of it
	net            *transport.Transport
	host           *Host
	groups         []*Group
	machines       []*registers
}

func (n *node) id() string { return fmt.Sprintf("n%d/%d", n.i, n.incarnation) }

// newRing makes n nodes that are not started.
func newRing(t testing.TB, n int, groups uint32) *ring {
	r := &ring{t: t, net: faulty.New(), groups: groups, addrs: map[string]string{}, hashes: map[uint32]map[uint64]uint64{}}
	for i := range n {
		r.nodes = append(r.nodes, &node{i: i, incarnation: 1, mem: vfs.NewMem()})
	}
	t.Cleanup(func() {
		if t.Failed() {
			r.show()
		}
		for _, n := range r.nodes {
			if n.host != nil {
				r.stop(n)
			}
		}
		r.ending.Wait()
	})
	return r
}

// show logs what each replica believes, and what every goroutine does.
func (r *ring) show() {
	for _, n := range r.nodes {
		if n.host == nil {
			r.t.Logf("%s: does not run", n.id())
			continue
		}
		for id, g := range n.groups {
			healthy := map[string]bool{}
			for _, other := range r.nodes {
				healthy[other.id()] = n.net.Healthy(other.id())
			}
			r.t.Logf("%s, group %d: %v, sees %v", n.id(), id, g.raft.Stats(), healthy)
		}
	}
	all := make([]byte, 1<<20)
	r.t.Logf("%s", all[:runtime.Stack(all, true)])
}

// members are the first n nodes.
func (r *ring) members(n int) (list []Member) {
	for _, x := range r.nodes[:n] {
		list = append(list, Member{ID: x.id(), Voter: true})
	}
	return list
}

func testLog() *slog.Logger {
	if os.Getenv("DASHI_TEST_LOG") == "" {
		return slog.New(slog.DiscardHandler)
	}
	return slog.New(slog.NewTextHandler(os.Stderr, nil))
}

// boot starts the host of a node, without groups.
func (r *ring) boot(n *node) error {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(r.t, err)
	r.net.Name(fmt.Sprint("n", n.i), l.Addr().String())
	r.mu.Lock()
	r.addrs[n.id()] = l.Addr().String()
	r.mu.Unlock()
	if n.fs == nil {
		n.fs = n.mem
	}
	n.net, err = transport.Open(transport.Settings{ID: n.id(), Cluster: "test", Listener: l, Dial: r.net.Dial(fmt.Sprint("n", n.i)), FS: n.fs, SpoolDir: "data/spool", Log: testLog(),
		Resolve: func(id string) (string, error) {
			r.mu.Lock()
			defer r.mu.Unlock()
			if a, ok := r.addrs[id]; ok {
				return a, nil
			}
			return "", fmt.Errorf("nobody knows %q", id)
		}})
	must(r.t, err)
	s := Settings{Dir: "data", FS: n.fs, ID: n.id(), Transport: n.net, SnapshotBytes: 1 << 20, segmentSize: 1 << 20, bootID: "boot", Log: testLog().With("node", n.id())}
	if r.adjust != nil {
		r.adjust(n.i, &s)
	}
	n.host, err = OpenHost(s)
	n.groups, n.machines = nil, nil
	return err
}

// open opens all groups of a node that was booted.
func (r *ring) open(n *node, members []Member) error {
	for id := range r.groups {
		m := &registers{ring: r, group: id}
		g, err := n.host.OpenReplica(id, m, Replica{Members: members, Prefer: int(id)%max(1, len(members)) == n.i})
		if err != nil {
			return err
		}
		n.groups, n.machines = append(n.groups, g), append(n.machines, m)
	}
	return nil
}

// start boots a node and opens its groups.
func (r *ring) start(n *node, members []Member) {
	r.t.Helper()
	must(r.t, r.boot(n))
	must(r.t, r.open(n, members))
}

// startAll starts all nodes, as the members of every group.
func (r *ring) startAll() {
	r.t.Helper()
	for _, n := range r.nodes {
		r.start(n, r.members(len(r.nodes)))
	}
}

// stop ends a node in order.
func (r *ring) stop(n *node) {
	r.t.Helper()
	err := n.host.Close()
	if e := n.net.Close(); e != nil {
		r.t.Error(e)
	}
	if err != nil {
		r.t.Error(err)
	}
	n.host = nil
}

// kill ends a node as kill -9 does: nothing reaches its disk from here on, its connections end, and its port is closed.
func (r *ring) kill(n *node) {
	n.mem = n.mem.Kill()
	n.fs = nil
	host, net := n.host, n.net
	n.host, n.net = nil, nil
	must(r.t, net.Close())
	r.ending.Go(func() { _ = host.Close() }) // what is left of it in this process
}

// leader waits until one of the nodes that run leads a group.
func (r *ring) leader(id uint32) *node {
	r.t.Helper()
	var leader *node
	eventually(r.t, fmt.Sprintf("group %d has a leader", id), func() bool {
		leader = nil
		for _, n := range r.nodes {
			if n.host != nil && int(id) < len(n.groups) {
				if _, here := n.groups[id].Leader(); here {
					leader = n
				}
			}
		}
		return leader != nil
	})
	return leader
}

// propose has a write acknowledged by whoever leads, however long that takes. What is unknown is tried again, so it may be applied twice.
func (r *ring) propose(id uint32, entry []byte) {
	r.t.Helper()
	eventually(r.t, "a write is acknowledged", func() bool { return write(r.leader(id).groups[id], entry) == nil })
}

func write(g *Group, entry []byte) error {
	answer := make(chan error, 1)
	if err := g.Propose(entry, func(_ uint64, _ any, err error) { answer <- err }); err != nil {
		return err
	}
	return <-answer
}

// converge waits until all running replicas of a group have applied the same, and says up to where.
func (r *ring) converge(id uint32) uint64 {
	r.t.Helper()
	var index uint64
	eventually(r.t, fmt.Sprintf("replicas of group %d agree", id), func() bool {
		index = 0
		for _, n := range r.nodes {
			if n.host == nil || int(id) >= len(n.groups) {
				continue
			}
			n.machines[id].mu.Lock()
			a := n.machines[id].index
			n.machines[id].mu.Unlock()
			if index == 0 {
				index = a
			}
			if a != index || a == 0 {
				return false
			}
		}
		return true
	})
	eventually(r.t, fmt.Sprintf("replicas of group %d say the same index", id), func() bool {
		said := map[uint64]bool{}
		for _, n := range r.nodes {
			if n.host != nil && int(id) < len(n.groups) {
				said[n.groups[id].Applied()] = true
			}
		}
		return len(said) == 1
	})
	var first *registers
	for _, n := range r.nodes {
		if n.host == nil || int(id) >= len(n.groups) {
			continue
		}
		m := n.machines[id]
		m.mu.Lock()
		if first == nil {
			first = m
		} else if m.hash != first.hash || m.values != first.values {
			r.t.Fatalf("group %d: %s has %v, hash %x; another has %v, hash %x", id, n.id(), m.values, m.hash, first.values, first.hash)
		}
		m.mu.Unlock()
	}
	return index
}

// registers is a state machine of some registers. It is a hash chain as well, and every replica must have the same hash at the same index.
type registers struct {
	ring  *ring
	group uint32

	mu     sync.Mutex
	values [4]uint64
	hash   uint64
	index  uint64
}

// put is the entry that writes a register; the answer is the value before.
func put(register int, value uint64) []byte {
	return binary.LittleEndian.AppendUint64([]byte{byte(register)}, value)
}

func (m *registers) Apply(index uint64, entry []byte) any {
	m.mu.Lock()
	defer m.mu.Unlock()
	k, v := int(entry[0])%len(m.values), binary.LittleEndian.Uint64(entry[1:])
	before := m.values[k]
	m.values[k] = v
	m.hash = link(link(m.hash, v), uint64(k))
	if index <= m.index {
		m.ring.t.Errorf("group %d: entry %d after %d", m.group, index, m.index)
	}
	m.index = index
	m.ring.same(m.group, index, m.hash)
	return before
}

// same compares a state with that of the other replicas.
func (r *ring) same(group uint32, index, hash uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.hashes[group] == nil {
		r.hashes[group] = map[uint64]uint64{}
	}
	if h, ok := r.hashes[group][index]; ok && h != hash {
		r.t.Errorf("group %d at %d: hash is %x here and %x elsewhere", group, index, hash, h)
	}
	r.hashes[group][index] = hash
}

func (m *registers) Snapshot() (Snapshot, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return frozenRegisters{append(append([]uint64{}, m.values[:]...), m.hash, m.index)}, nil
}

type frozenRegisters struct{ words []uint64 }

func (f frozenRegisters) Persist(w io.Writer) error {
	return binary.Write(w, binary.LittleEndian, f.words)
}
func (f frozenRegisters) Release() {}

func (m *registers) Restore(r io.Reader) error {
	words := make([]uint64, len(m.values)+2)
	if err := binary.Read(r, binary.LittleEndian, words); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	copy(m.values[:], words)
	m.hash, m.index = words[len(m.values)], words[len(m.values)+1]
	return nil
}

// eventually polls: no test relies on how fast anything is.
func eventually(t testing.TB, what string, f func() bool) {
	t.Helper()
	end := time.Now().Add(15 * time.Second)
	for !f() {
		if time.Now().After(end) {
			t.Fatalf("not so after 15 s: %s", what)
		}
		<-time.After(time.Millisecond)
	}
}

// TestThreeReplicas: three nodes form groups at once; who does not lead says who does; reads are of the leader; leadership is handed over.
func TestThreeReplicas(t *testing.T) {
	r := newRing(t, 3, 3)
	r.startAll()
	for id := range r.groups {
		start := time.Now()
		leader := r.leader(id)
		if leader.i != int(id) {
			t.Errorf("group %d is led by %s", id, leader.id())
		}
		t.Logf("group %d has a leader after %v", id, time.Since(start))
		for v := range uint64(50) {
			must(t, write(leader.groups[id], put(int(v), v)))
		}
		must(t, leader.groups[id].Read(t.Context()))
		r.converge(id)
		follower := r.nodes[(leader.i+1)%3]
		var e *NotLeaderError
		if err := write(follower.groups[id], put(0, 1)); !errors.Is(err, ErrNotLeader) || !errors.As(err, &e) || e.Leader != leader.id() {
			t.Fatal(err)
		}
		if err := follower.groups[id].Read(t.Context()); !errors.Is(err, ErrNotLeader) {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		p, err := leader.host.ProgressOf(ctx, follower.id(), id)
		must(t, err)
		if p.Leader != leader.id() || p.Leads || p.Applied > follower.groups[id].Applied() {
			t.Fatalf("%+v", p)
		}
		for len(follower.groups[id].Changed()) > 0 {
			<-follower.groups[id].Changed()
		}
		must(t, leader.groups[id].Transfer(ctx, follower.id()))
		cancel()
		<-follower.groups[id].Changed()
		if now := r.leader(id); now != follower {
			t.Fatalf("group %d is led by %s", id, now.id())
		}
		r.propose(id, put(3, 77))
		r.converge(id)
	}
	for id := range r.groups {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		must(t, r.nodes[1].groups[id].WaitApplied(ctx, r.nodes[0].groups[id].Applied()))
		cancel()
	}
	members, at := r.nodes[0].groups[0].Members()
	if !slices.Equal(members, r.members(3)) || at != 1 {
		t.Fatalf("%v, %d", members, at)
	}
}
