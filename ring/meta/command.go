package meta

import "fmt"

// The kinds of command. FORMAT.md has the bytes; a number is never reused.
const (
	kindFound    = 1
	kindJoin     = 2
	kindForget   = 3
	kindDrain    = 4
	kindPlace    = 5
	kindFormed   = 6
	kindBegin    = 7
	kindStep     = 8
	kindAbandon  = 9
	kindPrefer   = 10
	kindCookbook = 11
	kindReplicas = 12
	kindSwitched = 13
	kindSuspect  = 14
	kindRecover  = 15
	kindReform   = 16
)

// Command is one change of the directory.
type Command interface {
	kind() byte
	appendTo(dst []byte) []byte
	// apply changes s, which is a copy that only shares what it must not write to.
	apply(s *State, now int64) *Rejection
}

// Append appends the entry of a command to dst. The command is accepted only while the directory is at that epoch; now is the
// proposer's clock in milliseconds since 1970.
func Append(dst []byte, epoch uint64, now int64, c Command) []byte {
	dst = append(dst, c.kind())
	dst = appendU64(dst, epoch)
	dst = appendU64(dst, uint64(now))
	return c.appendTo(dst)
}

// Reason is why a command was rejected.
type Reason string

// The reasons.
const (
	Stale     Reason = "stale"     // the epoch has moved on: look at the state again
	Malformed Reason = "malformed" // the bytes are no command
	Founded   Reason = "founded"   // the cluster has been founded already
	Unfounded Reason = "unfounded" // it has not been founded yet
	Unknown   Reason = "unknown"   // no such member, shard or move
	Busy      Reason = "busy"      // a move is under way, or a member holds replicas
	Invalid   Reason = "invalid"   // a limit or a rule does not allow it
)

// Rejection is an answer that changes nothing (I2).
type Rejection struct {
	Reason Reason
	Detail string
}

func (r *Rejection) Error() string {
	return fmt.Sprintf("the directory does not take it (%s): %s", r.Reason, r.Detail)
}

func reject(reason Reason, format string, args ...any) *Rejection {
	return &Rejection{Reason: reason, Detail: fmt.Sprintf(format, args...)}
}

// Found makes the cluster: the first command of all.
type Found struct {
	Cluster  string
	Settings Settings
	Members  []Member // those that found it together
}

// Join adds a member, or replaces what is known of it: addresses, zone, weight, incarnation.
// Whether it is draining stays as it was.
type Join struct{ Member Member }

// Forget removes a member that holds nothing.
type Forget struct{ Member string }

// Drain says that a member is to be emptied, or that it is not any longer.
type Drain struct {
	Member   string
	Draining bool
}

// Place gives shards that have no replicas their first ones.
type Place struct{ Shards []Placement }

// Placement is the replicas of one shard.
type Placement struct {
	Shard    uint32
	Replicas []Replica
}

// Formed says that the groups of these shards exist.
type Formed struct{ Shards []uint32 }

// Begin begins a move.
type Begin struct {
	Shard  uint32
	Add    Replica
	Remove Replica
}

// Advance says that a move has come to its next step.
type Advance struct {
	Shard uint32
	To    Step
}

// Abandon gives up a move that has not come to Voting.
type Abandon struct{ Shard uint32 }

// Prefer reorders the replicas of shards: the first should lead.
type Prefer struct{ Shards []Placement }

// PutCookbook makes a cookbook the next version, to which the shards are to be switched. One is on its way at a time: the command is rejected as Busy
// until the last one is Switched, unless it says that the last one is refused.
type PutCookbook struct {
	Sources []Source
	Above   uint64 // the new version is higher than this, which shards have that know more than the directory
	Refused string // why a shard refuses the last one, in whose place this one comes; empty: none does
}

// CookbookSwitched says that all shards have the last cookbook.
type CookbookSwitched struct{ Version uint64 }

// SetReplicas changes how many replicas shards have.
type SetReplicas struct{ Replicas int }

func (*Found) kind() byte            { return kindFound }
func (*Join) kind() byte             { return kindJoin }
func (*Forget) kind() byte           { return kindForget }
func (*Drain) kind() byte            { return kindDrain }
func (*Place) kind() byte            { return kindPlace }
func (*Formed) kind() byte           { return kindFormed }
func (*Begin) kind() byte            { return kindBegin }
func (*Advance) kind() byte          { return kindStep }
func (*Abandon) kind() byte          { return kindAbandon }
func (*Prefer) kind() byte           { return kindPrefer }
func (*PutCookbook) kind() byte      { return kindCookbook }
func (*SetReplicas) kind() byte      { return kindReplicas }
func (*CookbookSwitched) kind() byte { return kindSwitched }
