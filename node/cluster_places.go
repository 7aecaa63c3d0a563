package node

import (
	"slices"
	"sync"

	"dashi/ring"
)

// places remembers the placement that ring.Place found last: whoever leads the directory asks for it twenty times a second while moves are under way, and of
// several hundred shards it takes longer than that. It changes when a move begins or ends, or a member comes, goes, or is another.
type places struct {
	mu       sync.Mutex
	present  ring.Table
	replicas int
	members  []ring.Member
	found    ring.Table
	searches int
}

// table is ring.Place of a table of all shards. The result is shared: it is not written to.
func (p *places) table(present ring.Table, replicas int, members []ring.Member) ring.Table {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.found != nil && p.replicas == replicas && slices.Equal(p.members, members) && slices.EqualFunc(p.present, present, slices.Equal) {
		return p.found
	}
	p.present, p.replicas, p.members = present, replicas, members
	p.found = ring.Place(present, len(present), replicas, members)
	p.searches++
	return p.found
}
