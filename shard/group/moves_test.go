package group

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"dashi/shard/wal"

	"github.com/anishathalye/porcupine"
)

// step repeats a change of members at whoever leads until the members are as wanted: as a reconciler does it.
func (r *ring) step(id uint32, want func(members []Member) bool, change func(ctx context.Context, g *Group, index uint64) error) {
	r.t.Helper()
	eventually(r.t, "the members have changed", func() bool {
		g := r.leader(id).groups[id]
		members, index := g.Members()
		if want(members) {
			return true
		}
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		_ = change(ctx, g, index)
		return false
	})
}

func has(members []Member, m Member) bool { return slices.Contains(members, m) }

func absent(members []Member, id string) bool {
	return !slices.ContainsFunc(members, func(m Member) bool { return m.ID == id })
}

// TestMove moves a replica to a fourth node under writes: add a learner, let it catch up, promote, hand over, remove; with a participant killed and
// started between each two steps. Nothing that was acknowledged is lost, and the one that left is told nothing more.
func TestMove(t *testing.T) {
	r := newRing(t, 4, 1)
	r.adjust = func(_ int, s *Settings) { s.SnapshotBytes, s.segmentSize = 16<<10, 64<<10 }
	for _, n := range r.nodes[:3] {
		r.start(n, r.members(3))
	}
	from, to := r.nodes[0], r.nodes[3]
	value := uint64(0)
	writes := func(n int) {
		for range n {
			value++
			r.propose(0, append(put(0, value), make([]byte, 200)...))
		}
	}
	rng := rand.New(rand.NewPCG(7, 7))
	crash := func() {
		running := []*node{}
		for _, n := range r.nodes {
			if n.host != nil {
				running = append(running, n)
			}
		}
		n := running[rng.IntN(len(running))]
		r.kill(n)
		writes(3)
		r.start(n, nil)
		writes(3)
	}
	writes(300)
	r.start(to, nil) // empty: it waits
	if members, _ := to.groups[0].Members(); len(members) > 0 || to.groups[0].Applied() > 0 {
		t.Fatal("it is a member of itself")
	}
	crash()
	r.step(0, func(m []Member) bool { return has(m, Member{to.id(), false}) }, func(ctx context.Context, g *Group, index uint64) error { return g.AddLearner(ctx, to.id(), index) })
	crash()
	eventually(t, "the learner has caught up", func() bool {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		p, err := from.host.ProgressOf(ctx, to.id(), 0)
		return err == nil && p.Applied+64 > r.leader(0).groups[0].Applied()
	})
	r.step(0, func(m []Member) bool { return has(m, Member{to.id(), true}) }, func(ctx context.Context, g *Group, index uint64) error { return g.Promote(ctx, to.id(), index) })
	crash()
	eventually(t, "it has handed over", func() bool {
		l := r.leader(0)
		if l == from {
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
			defer cancel()
			_ = l.groups[0].Transfer(ctx, to.id())
		}
		return l != from
	})
	crash()
	r.step(0, func(m []Member) bool { return absent(m, from.id()) }, func(ctx context.Context, g *Group, index uint64) error { return g.Remove(ctx, from.id(), index) })
	must(t, from.groups[0].Close())
	must(t, from.host.Drop(0))
	if from.host.log.Groups(); slices.Contains(from.host.log.Groups(), 0) || len(snapshots(t, from.host, 0)) > 0 {
		t.Fatal("something of the replica is left")
	}
	r.stop(from)
	crash()
	writes(20)
	r.converge(0)
	if got := to.machines[0].values[0]; got != value {
		t.Fatalf("value is %d, want %d", got, value)
	}
	g := r.leader(0).groups[0]
	if err := g.AddLearner(t.Context(), "n9/1", 1); err == nil { // members have changed since
		t.Fatal("a change of other members was taken")
	}
}

// TestPassesSnapshotOn: who was brought up by a snapshot, and then killed, can bring up another: what the snapshot ends with is not in the log, and Raft asks for it
// when it has sent the snapshot.
func TestPassesSnapshotOn(t *testing.T) {
	r := newRing(t, 4, 1)
	r.adjust = func(i int, s *Settings) {
		if s.SnapshotBytes, s.segmentSize = 8<<10, 64<<10; i == 2 {
			s.SnapshotBytes = 1 << 40 // it makes none of its own
		}
	}
	for _, n := range r.nodes[:2] {
		r.start(n, r.members(2))
	}
	var wait sync.WaitGroup
	for range 3 * margin {
		wait.Add(1)
		eventually(t, "somebody takes it", func() bool {
			return r.leader(0).groups[0].Propose(append(put(0, 5), make([]byte, 100)...), func(uint64, any, error) { wait.Done() }) == nil
		})
	}
	wait.Wait()
	for range 2 {
		for _, n := range r.nodes[:2] {
			must(t, n.groups[0].Snapshot())
		}
		r.propose(0, put(1, 1))
	}
	bring := func(n *node) {
		t.Helper()
		r.start(n, nil)
		r.step(0, func(m []Member) bool { return has(m, Member{n.id(), false}) }, func(ctx context.Context, g *Group, index uint64) error { return g.AddLearner(ctx, n.id(), index) })
		eventually(t, "it has caught up", func() bool {
			return n.groups[0].Applied() > 0 && n.groups[0].Applied()+8 > r.leader(0).groups[0].Applied()
		})
		r.step(0, func(m []Member) bool { return has(m, Member{n.id(), true}) }, func(ctx context.Context, g *Group, index uint64) error { return g.Promote(ctx, n.id(), index) })
	}
	middle := r.nodes[2]
	bring(middle)
	first, _ := middle.host.log.Bounds(0)
	if at := middle.groups[0].snapshots.newest(); at == 0 || first != at+1 {
		t.Fatalf("its snapshot ends at %d, its log begins at %d", at, first)
	}
	r.propose(0, put(1, 2))
	r.converge(0)
	r.kill(middle)
	r.propose(0, put(1, 3))
	r.start(middle, nil)
	r.converge(0)
	eventually(t, "it leads", func() bool {
		l := r.leader(0)
		if l != middle {
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
			defer cancel()
			_ = l.groups[0].Transfer(ctx, middle.id())
		}
		return l == middle
	})
	bring(r.nodes[3])
	r.propose(0, put(1, 4))
	r.converge(0)
	if n := r.nodes[3].host.Stats().Snapshots; n != 1 {
		t.Errorf("it was sent %d snapshots", n)
	}
}

// TestAmnesia: a replica that may have lost the end of its log does not vote again as who it was, also not when it is asked a second time. It comes back as
// another, learns, and is promoted.
func TestAmnesia(t *testing.T) {
	r := newRing(t, 3, 1)
	r.startAll()
	for v := range uint64(50) {
		r.propose(0, put(0, v))
	}
	r.converge(0)
	leader := r.leader(0)
	lost := r.nodes[(leader.i+1)%3]
	old := lost.id()
	mem := lost.mem.Crash(rand.New(rand.NewPCG(1, 1))) // the power goes
	r.kill(lost)
	lost.mem = mem
	r.adjust = func(i int, s *Settings) {
		if i == lost.i {
			s.bootID = "another boot"
		}
	}
	for range 3 {
		must(t, r.boot(lost))
		if c, _ := lost.host.Cleanness(); c != wal.Dirty && lost.host.mark.Restarted {
			t.Fatal("it looks clean")
		}
		if err := r.open(lost, r.members(3)); !errors.Is(err, ErrDirty) {
			t.Fatal(err)
		}
		r.stop(lost) // in order, which cleans nothing
	}
	r.propose(0, put(0, 100)) // two of three go on
	lost.incarnation++
	r.start(lost, nil)
	r.step(0, func(m []Member) bool { return absent(m, old) }, func(ctx context.Context, g *Group, index uint64) error { return g.Remove(ctx, old, index) })
	r.step(0, func(m []Member) bool { return has(m, Member{lost.id(), false}) }, func(ctx context.Context, g *Group, index uint64) error { return g.AddLearner(ctx, lost.id(), index) })
	r.step(0, func(m []Member) bool { return has(m, Member{lost.id(), true}) }, func(ctx context.Context, g *Group, index uint64) error { return g.Promote(ctx, lost.id(), index) })
	r.propose(0, put(0, 101))
	r.converge(0)
	must(t, r.leaderIsNot(lost).groups[0].Transfer(t.Context(), lost.id()))
	r.propose(0, put(0, 102))
	r.converge(0)
}

// leaderIsNot waits for a leader, which must be another node.
func (r *ring) leaderIsNot(n *node) *node {
	l := r.leader(0)
	if l == n {
		r.t.Fatalf("%s leads", n.id())
	}
	return l
}

// TestFsyncSurvivesPower: in mode fsync a restart of the machine loses nothing, so the replica is who it was.
func TestFsyncSurvivesPower(t *testing.T) {
	r := newRing(t, 3, 1)
	boot := "boot"
	r.adjust = func(_ int, s *Settings) { s.Mode, s.bootID = wal.Fsync, boot }
	r.startAll()
	for v := range uint64(20) {
		r.propose(0, put(0, v))
	}
	for i, n := range r.nodes { // all at once
		mem := n.mem.Crash(rand.New(rand.NewPCG(uint64(i), 1)))
		r.kill(n)
		n.mem = mem
	}
	boot = "another boot"
	for _, n := range r.nodes {
		r.start(n, nil)
	}
	r.propose(0, put(1, 1))
	r.converge(0)
	if v := r.nodes[0].machines[0].values; v != [4]uint64{19, 1} {
		t.Fatal(v)
	}
}

// operation is one read or write of a register, for porcupine.
type operation struct {
	register int
	write    bool
	value    uint64
}

var registerModel = porcupine.Model{
	Partition: func(history []porcupine.Operation) [][]porcupine.Operation {
		parts := map[int][]porcupine.Operation{}
		for _, o := range history {
			k := o.Input.(operation).register
			parts[k] = append(parts[k], o)
		}
		var list [][]porcupine.Operation
		for _, p := range parts {
			list = append(list, p)
		}
		return list
	},
	Init: func() any { return uint64(0) },
	Step: func(state, input, output any) (bool, any) {
		in := input.(operation)
		if in.write {
			return true, in.value
		}
		return output.(uint64) == state.(uint64), state
	},
}

// TestLinearizable: clients read and write registers while leaders are killed, lines are cut and reset, and leadership is handed over. The history that they saw is one
// that a single register could have.
func TestLinearizable(t *testing.T) {
	r := newRing(t, 3, 1)
	r.adjust = func(_ int, s *Settings) { s.SnapshotBytes, s.segmentSize = 4<<10, 64<<10 }
	r.startAll()
	r.leader(0)
	h := &history{ring: r, start: time.Now(), stop: make(chan struct{})}
	var clients sync.WaitGroup
	for c := range 4 {
		clients.Go(func() { h.client(c) })
	}
	rng := rand.New(rand.NewPCG(3, 9))
	for range faults(25) {
		h.faults.Lock()
		n := r.nodes[rng.IntN(3)]
		a, b := fmt.Sprint("n", n.i), fmt.Sprint("n", (n.i+1)%3)
		switch rng.IntN(4) {
		case 0:
			r.kill(n)
			h.faults.Unlock()
			h.progress(5)
			h.faults.Lock()
			r.start(n, nil)
		case 1:
			r.net.Cut(a, b, true)
			h.faults.Unlock()
			h.progress(20)
			h.faults.Lock()
			r.net.Cut(a, b, false)
		case 2:
			r.net.Reset(a, b)
		case 3:
			if g := n.groups[0]; g != nil {
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				_ = g.Transfer(ctx, r.nodes[(n.i+1)%3].id())
				cancel()
			}
		}
		h.faults.Unlock()
		h.progress(20)
	}
	close(h.stop)
	clients.Wait()
	r.converge(0)
	if len(h.operations) < 100 {
		t.Fatalf("%d operations only", len(h.operations))
	}
	if res := porcupine.CheckOperationsTimeout(registerModel, h.operations, time.Minute); res != porcupine.Ok {
		t.Fatalf("the history of %d operations is %v", len(h.operations), res)
	}
	t.Logf("%d operations, %d with unknown outcome", len(h.operations), h.unknown)
}

// history is what the clients saw.
type history struct {
	ring  *ring
	start time.Time
	stop  chan struct{}

	faults     sync.RWMutex // the nodes change
	mu         sync.Mutex
	operations []porcupine.Operation
	unknown    int
	value      uint64
	known      int
}

// progress waits until so many more operations have had an outcome.
func (h *history) progress(n int) {
	h.mu.Lock()
	until := h.known + n
	h.mu.Unlock()
	eventually(h.ring.t, "clients get on", func() bool {
		h.mu.Lock()
		defer h.mu.Unlock()
		return h.known >= until
	})
}

// target is a replica, now and then one that does not lead.
func (h *history) target(rng *rand.Rand) (*Group, *registers) {
	h.faults.RLock()
	defer h.faults.RUnlock()
	n := h.ring.nodes[rng.IntN(3)]
	for _, x := range h.ring.nodes {
		if x.host != nil && len(x.groups) > 0 {
			if _, here := x.groups[0].Leader(); here && rng.IntN(10) > 0 {
				n = x
			}
		}
	}
	if n.host == nil || len(n.groups) == 0 {
		return nil, nil
	}
	return n.groups[0], n.machines[0]
}

func (h *history) client(id int) {
	rng := rand.New(rand.NewPCG(uint64(id), 5))
	for {
		select {
		case <-h.stop:
			return
		case <-time.After(time.Duration(rng.IntN(3000)) * time.Microsecond):
		}
		g, m := h.target(rng)
		if g == nil {
			continue
		}
		h.one(g, m, operation{register: rng.IntN(2), write: rng.IntN(2) == 0}, id)
	}
}

// one does one operation. A write with unknown outcome may take effect at any time from then on.
func (h *history) one(g *Group, m *registers, op operation, client int) {
	if op.write {
		h.mu.Lock()
		h.value++
		op.value = h.value
		h.mu.Unlock()
	}
	begin := time.Since(h.start).Nanoseconds()
	var got uint64
	var err error
	if op.write {
		err = write(g, put(op.register, op.value))
	} else {
		ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
		if err = g.Read(ctx); err == nil {
			m.mu.Lock()
			got = m.values[op.register]
			m.mu.Unlock()
		}
		cancel()
	}
	end := time.Since(h.start).Nanoseconds()
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case err == nil:
		h.known++
	case op.write && !errors.Is(err, ErrNotLeader) && !errors.Is(err, ErrClosed):
		h.unknown++
		end = int64(time.Hour)
	default:
		return
	}
	h.operations = append(h.operations, porcupine.Operation{ClientId: client, Input: op, Output: got, Call: begin, Return: end})
}

// faults is how many faults a test makes: n, or what DASHI_TEST_FAULTS says.
func faults(n int) int {
	if more, err := strconv.Atoi(os.Getenv("DASHI_TEST_FAULTS")); err == nil {
		return more
	}
	return n
}

// powerCut ends all nodes at once; each loses another part of what it had not synced.
func (r *ring) powerCut() {
	for i, n := range r.nodes {
		mem := n.mem.Crash(rand.New(rand.NewPCG(uint64(i), 3)))
		r.kill(n)
		n.mem = mem
	}
}

// TestSeed: the power goes on all nodes at once, and each has lost another part of its log. A group begins anew with what the longest has, all others follow it,
// and entries that only others had are gone everywhere. A replica of the old group that comes back later does no harm.
func TestSeed(t *testing.T) {
	r := newRing(t, 3, 1)
	boot := "boot"
	r.adjust = func(_ int, s *Settings) { s.bootID, s.SnapshotBytes, s.segmentSize = boot, 2<<10, 64<<10 }
	r.startAll()
	for v := range uint64(200) {
		r.propose(0, put(0, v))
	}
	r.powerCut()
	boot = "another boot"
	r.mu.Lock()
	r.hashes = map[uint32]map[uint64]uint64{} // indexes are given out anew
	r.mu.Unlock()
	var best *node
	var longest Survey
	for _, n := range r.nodes {
		must(t, r.boot(n))
		if err := r.open(n, nil); !errors.Is(err, ErrDirty) || !n.host.Dirty(0) {
			t.Fatal(err)
		}
		s, err := n.host.Survey(0)
		must(t, err)
		t.Logf("%s has %+v", n.id(), s)
		if best == nil || s.Longer(longest) {
			best, longest = n, s
		}
	}
	m := &registers{ring: r, group: 0}
	var seen []uint64
	must(t, best.host.Replay(0, m, longest.LastIndex-1, func(index uint64) { seen = append(seen, index) }))
	for i, index := range seen {
		if index != seen[0]+uint64(i) {
			t.Fatalf("seen %v", seen)
		}
	}
	value := m.values[0]
	// Index 1 names the members, every term has some entries of its own, and the first value is 0.
	if most := max(longest.LastIndex, 4) - 4; seen[len(seen)-1] != longest.LastIndex-1 || value > most || value+20 < most {
		t.Fatalf("value is %d with %+v, seen up to %d", value, longest, seen[len(seen)-1])
	}
	for range 2 { // again does nothing
		state, err := m.Snapshot()
		must(t, err)
		must(t, best.host.Seed(1, longest.Term+1, longest.LastIndex-1, state))
	}
	open := func(n *node) {
		m := &registers{ring: r, group: 1}
		g, err := n.host.OpenReplica(1, m, Replica{})
		must(t, err)
		n.groups, n.machines = []*Group{nil, g}, []*registers{nil, m}
	}
	open(best)
	eventually(t, "it goes on alone", func() bool { return r.tryWrite(1, put(1, 1)) })
	for _, n := range r.nodes {
		if n == best {
			continue
		}
		must(t, n.host.Drop(0))
		open(n)
		r.step(1, func(m []Member) bool { return has(m, Member{n.id(), false}) || has(m, Member{n.id(), true}) },
			func(ctx context.Context, g *Group, index uint64) error { return g.AddLearner(ctx, n.id(), index) })
		r.step(1, func(m []Member) bool { return has(m, Member{n.id(), true}) },
			func(ctx context.Context, g *Group, index uint64) error { return g.Promote(ctx, n.id(), index) })
		r.propose(1, put(2, uint64(n.i)))
		r.converge(1)
	}
	r.propose(1, put(3, 3))
	r.converge(1)
	members, _ := best.groups[1].Members()
	if len(members) != 3 || best.machines[1].values[0] != value {
		t.Fatalf("%v, %v", members, best.machines[1].values)
	}
}

// TestSynced: a group whose entries are always synced loses nothing in a power cut, and counts after it, beside another that does not.
func TestSynced(t *testing.T) {
	r := newRing(t, 3, 2)
	boot := "boot"
	r.adjust = func(_ int, s *Settings) { s.bootID, s.Synced = boot, []uint32{0} }
	r.startAll()
	for v := range uint64(20) {
		r.propose(0, put(0, v))
	}
	r.powerCut()
	boot = "another boot"
	r.groups = 1
	for _, n := range r.nodes {
		must(t, r.boot(n))
		if n.host.Dirty(0) || !n.host.Dirty(1) {
			t.Errorf("dirty: %v, %v", n.host.Dirty(0), n.host.Dirty(1))
		}
		must(t, r.open(n, nil))
	}
	r.propose(0, put(1, 1))
	r.converge(0)
	if got := r.nodes[0].machines[0].values[0]; got != 19 {
		t.Errorf("the value is %d", got)
	}
}
