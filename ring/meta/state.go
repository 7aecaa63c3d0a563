package meta

import (
	"slices"
	"strings"

	"dashi/ring"
)

// Limits. Beyond them commands are rejected as Invalid.
const (
	MaxShards        = 4096
	MaxReplicas      = 9
	MaxMembers       = 1024
	MaxText          = 255     // bytes of an id, an address, a zone
	MaxCookbookBytes = 1 << 20 // of all names and texts
	MaxRecipes       = 10_000
	KeepCookbooks    = 4 // the one in force and those before it
)

// State is everything that the directory has committed. It never changes: do not write to its slices.
type State struct {
	Epoch     uint64     // commands accepted
	Placed    uint64     // epoch of the last change to Shards: what routing tables are compared by
	Cluster   string     // id of the cluster; empty: not founded
	Settings  Settings   //
	Members   []Member   // by id
	Shards    []Shard    // by shard
	Moves     []Move     // by shard
	Cookbooks []Cookbook // oldest first; the last is the one that shards have, or are to have
	Switched  uint64     // version that all shards have; 0: none yet
	Refused   Refusal    // the last cookbook that was given up

	Generation uint64    // how often all shards went back to a cut
	Suspects   []Replica // members whose logs may have lost their end, since then
	Recovery   *Recovery // the one that is under way, or the last one; nil: there was none
}

// Settings of the whole cluster, given when it is founded. Replicas may change later.
type Settings struct {
	Shards     int
	Replicas   int
	Durability string // replicated or fsync
	Clock      string // wall or event
	// Limits that are part of what a shard is: replicas with others would not be equal.
	OutboxBytes  uint64
	RecentMillis uint64
	RecentIDs    uint64
}

// Member is a node of the cluster.
type Member struct {
	ID string
	// Incarnation is drawn when a data directory is made. One that may have lost acknowledged log is given up with its incarnation.
	Incarnation uint64
	Node        string // host:port for other nodes
	HTTP        string // host:port for clients, and for people who are shown where to look
	Zone        string
	Weight      int
	Draining    bool // is to be emptied
}

// Replica is one copy of a shard.
type Replica struct {
	Member      string
	Incarnation uint64
}

// Shard is where one shard lives. The first replica is the one that should lead.
type Shard struct {
	Formed   bool // its group exists (I6)
	Replicas []Replica
}

// Step is how far a move is.
type Step uint8

// The steps of a move. Between Voting and Left the leadership is taken from Remove, if it has it. A move that only adds ends at Voting,
// one that only removes begins there.
const (
	Planned Step = 1 // decided; Add opens an empty replica
	Joined  Step = 2 // Add is in the group, without a vote, and catches up
	Voting  Step = 3 // Add has a vote and is one of the replicas
	Left    Step = 4 // Remove has no vote and is no replica; the move is over
)

func (s Step) String() string {
	switch s {
	case Planned:
		return "planned"
	case Joined:
		return "catching up"
	case Voting:
		return "voting"
	case Left:
		return "left"
	}
	return "unknown"
}

// Move brings a replica of a shard to another member. Add or Remove may be the zero Replica.
type Move struct {
	Shard  uint32
	Step   Step
	Since  int64 // when it was begun, in milliseconds since 1970
	Add    Replica
	Remove Replica
}

// Cookbook is one version of the recipes.
type Cookbook struct {
	Version uint64 // 1 and on
	At      int64  // when it was put in force, in milliseconds since 1970
	Sources []Source
}

// Refusal is a cookbook that a shard could not be switched to. No shard was.
type Refusal struct {
	Version uint64 // 0: none
	Reason  string
}

// Source is one recipe file.
type Source struct {
	Name string
	Text []byte
}

// Member finds a member by its id.
func (s *State) Member(id string) (*Member, bool) {
	i, ok := slices.BinarySearchFunc(s.Members, id, func(m Member, id string) int { return strings.Compare(m.ID, id) })
	if !ok {
		return nil, false
	}
	return &s.Members[i], true
}

// Move finds the move of a shard.
func (s *State) Move(shard int) (*Move, bool) {
	for i := range s.Moves {
		if int(s.Moves[i].Shard) == shard {
			return &s.Moves[i], true
		}
	}
	return nil, false
}

// Cookbook is the last one, which is in force or on its way; nil when there is none yet.
func (s *State) Cookbook() *Cookbook {
	if len(s.Cookbooks) == 0 {
		return nil
	}
	return &s.Cookbooks[len(s.Cookbooks)-1]
}

// InForce is the cookbook that all shards have; nil when there is none, or it is not kept any more.
func (s *State) InForce() *Cookbook {
	for i := range s.Cookbooks {
		if s.Cookbooks[i].Version == s.Switched {
			return &s.Cookbooks[i]
		}
	}
	return nil
}

// Table is the placement as package ring sees it. A replica of an incarnation that its member has given up is not in it (I5).
func (s *State) Table() ring.Table {
	t := make(ring.Table, len(s.Shards))
	for i := range s.Shards {
		for _, r := range s.Shards[i].Replicas {
			if s.Present(r) {
				t[i] = append(t[i], r.Member)
			}
		}
	}
	return t
}

// Present says whether a replica's incarnation is that of its member.
func (s *State) Present(r Replica) bool {
	m, ok := s.Member(r.Member)
	return ok && m.Incarnation == r.Incarnation
}

// Holds says whether a member shall have the shard open: as one of its replicas, or at either end of a move.
func (s *State) Holds(r Replica, shard int) bool {
	if slices.Contains(s.Shards[shard].Replicas, r) {
		return true
	}
	m, ok := s.Move(shard)
	return ok && (m.Add == r || m.Remove == r)
}

// Holding says whether a member is named by any replica or move, in any incarnation.
func (s *State) Holding(id string) bool {
	for i := range s.Shards {
		if slices.ContainsFunc(s.Shards[i].Replicas, func(r Replica) bool { return r.Member == id }) {
			return true
		}
	}
	return slices.ContainsFunc(s.Moves, func(m Move) bool { return m.Add.Member == id || m.Remove.Member == id })
}
