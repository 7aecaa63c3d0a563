package transport

import (
	"time"

	"github.com/hashicorp/raft"
)

// followers tells a group's followers what is committed when nothing else does.
//
// A follower applies an entry when a later append says that it is committed. While the group is busy the next one could, but then the follower applies one entry at a
// time, with cold caches and goroutines to wake for each: so an append says it only when the last one that did is lazyAfter ago. When the group falls silent, Raft
// sends an empty append after its commit time-out, and to have that short costs more than all heartbeats. So here, a little more than lazyAfter after an entry was
// committed, a follower that has not been told is sent a heartbeat that carries the commit index: never more than what it has acknowledged in this term, which is
// where its log is known to be the leader's. A read of a follower is behind by that little, and a group at rest costs nothing.
type followers struct {
	term   uint64 // of what is noted here
	commit uint64
	peers  map[string]*follower
	armed  bool
}

type follower struct {
	matched uint64    // it has acknowledged everything up to here in this term
	told    uint64    // the greatest commit index that it was sent
	at      time.Time // when that was
}

// of finds a follower's notes; those of another term are thrown away. followersMu is held.
func (f *followers) of(term uint64, peer string) *follower {
	if term > f.term {
		*f = followers{term: term, peers: map[string]*follower{}, armed: f.armed}
	}
	if term < f.term || f.peers == nil {
		return &follower{}
	}
	x := f.peers[peer]
	if x == nil {
		x = &follower{}
		f.peers[peer] = x
	}
	return x
}

// sending notes an append that is about to be sent, and takes back what it says is committed when that has time.
func (g *Group) sending(to string, r *raft.AppendEntriesRequest) {
	now := time.Now()
	g.followersMu.Lock()
	x := g.followers.of(r.Term, to)
	switch {
	case len(r.Entries) > 0 && now.Sub(x.at) < lazyAfter:
		r.LeaderCommitIndex = min(r.LeaderCommitIndex, x.told)
	case r.LeaderCommitIndex > x.told:
		x.told, x.at = r.LeaderCommitIndex, now
	}
	g.followersMu.Unlock()
}

// acknowledged notes one that was successful.
func (g *Group) acknowledged(from string, r *raft.AppendEntriesRequest) {
	g.followersMu.Lock()
	x := g.followers.of(r.Term, from)
	x.matched = max(x.matched, r.PrevLogEntry+uint64(len(r.Entries)))
	g.arm()
	g.followersMu.Unlock()
}

// Returned notes that a follower can be reached again. It may have forgotten what it was told, so it is told again. behind is true unless the follower is
// known to have everything up to last.
func (g *Group) Returned(peer string, last uint64) (behind bool) {
	g.followersMu.Lock()
	defer g.followersMu.Unlock()
	x := g.followers.peers[peer]
	if x == nil {
		return true
	}
	x.told, x.at = 0, time.Time{}
	g.arm()
	return x.matched < last
}

// Committed notes what this replica has committed as the leader of a term.
func (g *Group) Committed(term, index uint64) {
	g.followersMu.Lock()
	if term == g.followers.term && index > g.followers.commit {
		g.followers.commit = index
		g.arm()
	}
	g.followersMu.Unlock()
}

// arm has the followers looked at in a moment if one needs to be told. followersMu is held.
func (g *Group) arm() {
	f := &g.followers
	if f.armed {
		return
	}
	for _, x := range f.peers {
		if min(f.commit, x.matched) > x.told {
			f.armed = true
			time.AfterFunc(tellAfter, g.tellFollowers)
			return
		}
	}
}

// tellAfter is more than lazyAfter: a follower of a group that is busy is told by an append.
const tellAfter = lazyAfter + lazyAfter/4

func (g *Group) tellFollowers() {
	now := time.Now()
	g.followersMu.Lock()
	defer g.followersMu.Unlock()
	f := &g.followers
	f.armed = false
	if g.ctx.Err() != nil {
		return
	}
	defer g.arm()
	for id, x := range f.peers {
		index := min(f.commit, x.matched)
		if index <= x.told || now.Sub(x.at) < lazyAfter {
			continue
		}
		x.told, x.at = index, now
		l := g.t.link(id, classRaft)
		c := l.poke()
		if c == nil {
			continue // the next append says the same
		}
		r := &raft.AppendEntriesRequest{Term: f.term, LeaderCommitIndex: index}
		_, _ = l.request(c, header{kind: kindRequest, flags: flagLazy, typ: typeAppend, group: g.id}, lazy, unasked{}, func(dst []byte) []byte { return appendRequest(dst, r) })
	}
}

// unasked takes a response that nobody waits for.
type unasked struct{}

func (unasked) complete(header, []byte, error) bool { return false }
