package transport

import (
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/raft"
)

// TestCommitTold: a follower of a busy group is told what is committed from time to time and not with every append, never more than it has acknowledged, and when the group
// falls silent, all of it.
func TestCommitTold(t *testing.T) {
	const entries = 400
	c := newCluster(t, 2, nil)
	var (
		mu           sync.Mutex
		has, applies uint64 // entries that the follower has, and of those, how many it knows to be committed
		rises        int
	)
	serve(t, c.nodes[1], 1, func(r raft.RPC) {
		q := r.Command.(*raft.AppendEntriesRequest)
		mu.Lock()
		has += uint64(len(q.Entries))
		if q.LeaderCommitIndex > has {
			t.Errorf("it has %d entries and is told that %d are committed", has, q.LeaderCommitIndex)
		}
		if q.LeaderCommitIndex > applies {
			applies = q.LeaderCommitIndex
			rises++
		}
		mu.Unlock()
		r.Respond(&raft.AppendEntriesResponse{Term: 1, Success: true}, nil)
	})
	g := serve(t, c.nodes[0], 1, func(raft.RPC) {})
	p, err := g.AppendEntriesPipeline("", raft.ServerAddress(id(1)))
	must(t, err)
	start := time.Now()
	for i := range uint64(entries) {
		a, err := p.AppendEntries(&raft.AppendEntriesRequest{Term: 1, PrevLogEntry: i, LeaderCommitIndex: i, Entries: []*raft.Log{{Index: i + 1, Term: 1}}}, &raft.AppendEntriesResponse{})
		must(t, err)
		must(t, a.Error())
		<-p.Consumer()
		g.Committed(1, i+1)
	}
	mu.Lock()
	most := 2 + int(time.Since(start)/lazyAfter)
	if rises > most {
		t.Errorf("it was told %d times, of %d appends in %v; want at most %d", rises, entries, time.Since(start), most)
	}
	mu.Unlock()
	eventually(t, "it is told of all", func() bool {
		mu.Lock()
		defer mu.Unlock()
		return applies == entries
	})
	must(t, p.Close())
}
