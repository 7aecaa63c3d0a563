package group

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"dashi/shard/wal/vfs"
)

// mostKills is how often TestFailover kills at most, to see one fail-over while the machine runs: on one that has no time for it, that takes minutes.
const mostKills = 60

// TestFailover kills the leader of groups over and over: the survivors take over without waiting for a time-out, and nothing that was acknowledged is lost.
// DASHI_TEST_KILLS says how often, for figures. Where the machine stands still meanwhile it goes on, until one fail-over was seen.
func TestFailover(t *testing.T) {
	kills := 5
	if n, err := strconv.Atoi(os.Getenv("DASHI_TEST_KILLS")); err == nil {
		kills = n
	}
	r := newRing(t, 3, 4)
	r.startAll()
	for id := range r.groups {
		r.propose(id, put(0, 0))
	}
	starved := func() (times uint64) {
		for _, n := range r.nodes {
			if n.host != nil {
				times += n.net.Stats().Starved
			}
		}
		return times
	}
	var times []time.Duration // of the fail-overs during which the machine ran: one that stands still says nothing of how fast they are
	value := uint64(0)
	killed := 0
	for ; killed < kills || len(times) == 0 && killed < mostKills; killed++ {
		id := uint32(killed) % r.groups
		value++
		r.propose(id, put(0, value))
		victim := r.leader(id)
		eventually(t, "all are well", func() bool {
			for _, a := range r.nodes {
				for _, b := range r.nodes {
					if a != b && !a.net.Healthy(b.id()) {
						return false
					}
				}
			}
			return true
		})
		r.converge(id)
		start := time.Now()
		r.kill(victim)
		before := starved()
		value++
		eventually(t, "a write is acknowledged", func() bool { return r.tryWrite(id, put(0, value)) })
		if took := time.Since(start); starved() == before {
			times = append(times, took)
		}
		r.start(victim, nil) // it comes back with what it has
		for id := range r.groups {
			r.converge(id)
		}
		if got := victim.machines[id].values[0]; got != value {
			t.Fatalf("kill %d: value is %d, want %d", killed, got, value)
		}
	}
	if slices.Sort(times); len(times) == 0 {
		t.Fatalf("%d kills, and the machine stood still during each: how fast others take over is not known; it needs a machine that has time for it", killed)
	}
	t.Logf("%d kills, %d of them while the machine ran: until a write is acknowledged p50 %v, p99 %v, max %v", killed, len(times), times[len(times)/2], times[len(times)*99/100], times[len(times)-1])
	if times[len(times)/2] > 1500*time.Millisecond { // Raft's own time-outs take more than 2 s
		t.Errorf("half of the fail-overs took %v or more", times[len(times)/2])
	}
}

// TestLongerLogStands: when the survivor whose turn it is lacks the newest entries, the one that has them stands as soon as it is asked for its vote.
func TestLongerLogStands(t *testing.T) {
	r := newRing(t, 3, 1)
	r.adjust = func(_ int, s *Settings) { s.rankAfter = time.Hour }
	r.startAll()
	r.propose(0, put(0, 1))
	r.converge(0)
	if r.leader(0) != r.nodes[2] {
		must(t, r.leader(0).groups[0].Transfer(t.Context(), r.nodes[2].id()))
		eventually(t, "the last leads", func() bool { return r.leader(0) == r.nodes[2] })
	}
	eventually(t, "the others know", func() bool {
		for _, n := range r.nodes {
			if _, leader := n.groups[0].raft.LeaderWithID(); string(leader) != r.nodes[2].id() {
				return false
			}
		}
		return r.nodes[0].net.Healthy(r.nodes[1].id()) && r.nodes[1].net.Healthy(r.nodes[0].id())
	})
	before := r.nodes[1].host.Stats().Campaigns
	r.net.Cut("n0", "n2", true) // whose turn it would be
	r.propose(0, put(0, 2))
	r.kill(r.nodes[2])
	r.net.Cut("n0", "n2", false)
	eventually(t, "the one with the longer log stands", func() bool { return r.nodes[1].host.Stats().Campaigns > before })
	r.propose(0, put(0, 3))
	r.start(r.nodes[2], nil)
	r.converge(0)
}

// tryWrite is one attempt at whoever seems to lead.
func (r *ring) tryWrite(id uint32, entry []byte) bool {
	for _, n := range r.nodes {
		if n.host != nil && int(id) < len(n.groups) {
			if _, here := n.groups[id].Leader(); here && write(n.groups[id], entry) == nil {
				return true
			}
		}
	}
	return false
}

// TestFalseAlarm: a connection that breaks deposes nobody, and neither does one that hangs between two of three.
func TestFalseAlarm(t *testing.T) {
	r := newRing(t, 3, 1)
	r.startAll()
	r.propose(0, put(0, 1))
	leader := r.leader(0)
	term, _ := leader.groups[0].Leader()
	other := r.nodes[(leader.i+1)%3]
	for v := range uint64(5) {
		r.net.Reset(fmt.Sprint("n", leader.i), fmt.Sprint("n", other.i))
		r.propose(0, put(0, v+2))
	}
	eventually(t, "they have met: nobody misses whom he never heard of", func() bool { return other.net.Healthy(leader.id()) })
	r.net.Cut(fmt.Sprint("n", leader.i), fmt.Sprint("n", other.i), true)
	eventually(t, "the hole was noticed and contradicted", func() bool { return other.net.Stats().Contradicted > 0 })
	r.net.Cut(fmt.Sprint("n", leader.i), fmt.Sprint("n", other.i), false)
	r.propose(0, put(0, 9))
	r.converge(0)
	if now, here := leader.groups[0].Leader(); !here || now != term {
		t.Fatalf("the leader was deposed: term %d, leads %v", now, here)
	}
	for _, n := range r.nodes {
		if s := n.host.Stats(); s.Campaigns > 0 {
			t.Fatalf("%s stood for election", n.id())
		}
	}
}

// TestPartition: a leader that is cut off takes nothing more for good; the others elect another, and it follows when the line is whole again.
func TestPartition(t *testing.T) {
	r := newRing(t, 3, 1)
	r.startAll()
	r.propose(0, put(0, 1))
	r.converge(0)
	old := r.leader(0)
	cut := func(on bool) {
		for _, n := range r.nodes {
			if n != old {
				r.net.Cut(fmt.Sprint("n", old.i), fmt.Sprint("n", n.i), on)
			}
		}
	}
	start := time.Now()
	cut(true)
	lost := make(chan error, 1)
	go func() { lost <- write(old.groups[0], put(1, 7)) }()
	var now *node
	eventually(t, "another leads", func() bool {
		for _, n := range r.nodes {
			if _, here := n.groups[0].Leader(); here && n != old {
				now = n
			}
		}
		return now != nil
	})
	t.Logf("another leads after %v", time.Since(start))
	must(t, write(now.groups[0], put(0, 2)))
	if err := old.groups[0].Read(t.Context()); err == nil {
		t.Fatal("a deposed leader answers reads")
	}
	if err := <-lost; !errors.Is(err, ErrUnknown) {
		t.Fatal(err)
	}
	cut(false)
	r.propose(0, put(0, 3))
	r.converge(0)
	if v := old.machines[0].values; v[0] != 3 || v[1] != 0 {
		t.Fatal(v)
	}
}

// TestRestartAll: all nodes are killed at once, again and again, and everything that was acknowledged is there. A replica knows what was committed before
// it has met anybody.
func TestRestartAll(t *testing.T) {
	r := newRing(t, 3, 2)
	r.startAll()
	value := uint64(0)
	for range 4 {
		for id := range r.groups {
			for range 20 {
				value++
				r.propose(id, put(int(id), value))
			}
		}
		for _, n := range r.nodes {
			r.kill(n)
		}
		first := r.nodes[0]
		r.start(first, nil)
		for id := range r.groups {
			if first.groups[id].Applied() == 0 {
				t.Fatal("it has forgotten everything")
			}
		}
		r.start(r.nodes[1], nil)
		r.start(r.nodes[2], nil)
		for id := range r.groups {
			r.leader(id)
			r.converge(id)
		}
	}
	if v := r.nodes[0].machines[1].values[1]; v != value {
		t.Fatalf("value is %d, want %d", v, value)
	}
}

// TestLagging: a replica that was away for longer than the log reaches back is sent a snapshot, and goes on from there.
func TestLagging(t *testing.T) {
	r := newRing(t, 3, 1)
	r.adjust = func(_ int, s *Settings) { s.SnapshotBytes, s.segmentSize = 8<<10, 64<<10 }
	r.startAll()
	r.propose(0, put(0, 1))
	r.converge(0)
	for round := range 2 {
		leader := r.leader(0)
		away := r.nodes[(leader.i+1)%3]
		r.kill(away)
		var wait sync.WaitGroup
		for range 3 * margin {
			wait.Add(1)
			eventually(t, "somebody takes it", func() bool {
				leader = r.leader(0)
				return leader.groups[0].Propose(append(put(0, 5), make([]byte, 100)...), func(uint64, any, error) { wait.Done() }) == nil
			})
		}
		wait.Wait()
		for _, n := range r.nodes {
			if n.host != nil {
				must(t, n.groups[0].Snapshot())
				must(t, write(r.leader(0).groups[0], put(1, 1)))
				must(t, n.groups[0].Snapshot())
			}
		}
		if first, _ := leader.host.log.Bounds(0); round == 0 && first < margin {
			t.Fatalf("the log still begins at %d", first)
		}
		r.start(away, nil)
		before := away.groups[0].Applied()
		r.propose(0, put(2, uint64(round)+10))
		r.converge(0)
		if n := away.host.Stats().Snapshots; n == 0 {
			t.Fatalf("it was at %d and was not sent a snapshot", before)
		}
		r.kill(away) // and it is good on disk
		r.start(away, nil)
		r.propose(0, put(2, uint64(round)+20))
		r.converge(0)
	}
}

// TestDiskFails: a leader whose disk returns errors gives up without taking the process down, others lead, and it is a good follower once it was started
// on a disk that works.
func TestDiskFails(t *testing.T) {
	r := newRing(t, 3, 2)
	var broken atomic.Bool
	r.nodes[0].fs = vfs.NewFaulty(r.nodes[0].mem, func(op vfs.Op) error {
		if broken.Load() && (op.Kind == vfs.OpWrite || op.Kind == vfs.OpSync) {
			return errInjected
		}
		return nil
	})
	r.startAll()
	for id := range r.groups {
		r.propose(id, put(0, 1))
		if l := r.leader(id); l != r.nodes[0] && id == 0 {
			must(t, l.groups[id].Transfer(t.Context(), r.nodes[0].id()))
		}
	}
	r.propose(0, put(0, 2))
	broken.Store(true)
	for v := range uint64(20) { // it leads one group and follows in the other
		eventually(t, "writes go on", func() bool { return r.tryWrite(0, put(1, v)) && r.tryWrite(1, put(1, v)) })
	}
	if _, here := r.nodes[0].groups[0].Leader(); here || r.nodes[0].host.Err() == nil {
		t.Fatal("it does not say that its disk has failed")
	}
	if err := r.nodes[0].groups[0].Propose(put(0, 3), nil); !errors.Is(err, errInjected) {
		t.Fatal(err)
	}
	r.kill(r.nodes[0])
	r.start(r.nodes[0], nil)
	for id := range r.groups {
		r.propose(id, put(2, 7))
		r.converge(id)
	}
}

// TestHoldsBack: a follower without new entries lets go of the log when that holds back others, and is good for a restart.
func TestHoldsBack(t *testing.T) {
	r := newRing(t, 3, 1)
	r.startAll()
	for v := range uint64(20) {
		r.propose(0, put(0, v))
	}
	r.converge(0)
	f := r.nodes[(r.leader(0).i+1)%3]
	must(t, f.groups[0].Snapshot())
	if first, _ := f.host.log.Bounds(0); first != 1 {
		t.Fatalf("the log begins at %d", first)
	}
	eventually(t, "it lets go", func() bool {
		f.groups[0].hurry()
		first, last := f.host.log.Bounds(0)
		return first > 1 && last+1-first < 3
	})
	r.kill(f)
	r.start(f, nil)
	r.propose(0, put(0, 99))
	r.converge(0)
}

// TestDiskHangs: a leader whose disk does not answer is taken for dead while it hangs, and is a good follower afterwards.
func TestDiskHangs(t *testing.T) {
	r := newRing(t, 3, 1)
	var hang sync.RWMutex
	r.nodes[0].fs = vfs.NewFaulty(r.nodes[0].mem, func(op vfs.Op) error {
		if op.Kind == vfs.OpWrite || op.Kind == vfs.OpSync {
			hang.RLock()
			defer hang.RUnlock()
		}
		return nil
	})
	r.startAll()
	r.propose(0, put(0, 1))
	if l := r.leader(0); l != r.nodes[0] {
		must(t, l.groups[0].Transfer(t.Context(), r.nodes[0].id()))
		r.leader(0)
	}
	hang.Lock()
	lost := make(chan error, 1)
	go func() { lost <- write(r.nodes[0].groups[0], put(1, 7)) }()
	refused := make(chan error, 1) // to one who has more to propose than it has room for
	go func() {
		for {
			if err := r.nodes[0].groups[0].Propose(put(1, 8), func(uint64, any, error) {}); err != nil {
				refused <- err
				return
			}
		}
	}()
	eventually(t, "another leads", func() bool {
		_, a := r.nodes[1].groups[0].Leader()
		_, b := r.nodes[2].groups[0].Leader()
		return a || b
	})
	if _, here := r.nodes[0].groups[0].Leader(); here || r.nodes[0].host.Stats().Stalls == 0 {
		t.Fatal("it still says that it leads")
	}
	eventually(t, "it takes no more", func() bool { return len(refused) > 0 })
	if err := <-refused; !errors.Is(err, ErrNotLeader) {
		t.Errorf("refused with %v", err)
	}
	eventually(t, "writes go on", func() bool { return r.tryWrite(0, put(0, 2)) })
	hang.Unlock()
	<-lost
	eventually(t, "the disk is trusted again", func() bool { return !r.nodes[0].host.mute.Load() })
	r.propose(0, put(0, 3))
	r.converge(0)
}
