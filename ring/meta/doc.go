// Package meta is the directory: the deterministic state machine of the one Raft group that commits who the members of the cluster are, which of
// them hold the replicas of every shard, the moves under way, the settings of the cluster and its cookbooks.
//
// It is pure, and it decides nothing: whoever leads the group proposes changes (package ring computes the placements), the directory accepts
// those that fit. It does not know who is alive (ring/gossip) and starts nothing: nodes look at its State and act.
//
// The caller makes a Directory, hands it the entries of its group in order (Command.Append makes them), and reads State, which never changes: every
// accepted command makes a new one. The first command is a Found.
//
// Invariants:
//
//	I1  A command changes the state only if the epoch it expects is the present one; each that is accepted makes the epoch one higher.
//	I2  A command that does not fit is answered with a Reason and changes nothing. Bytes that are no command likewise.
//	I3  The cluster id and the number of shards never change once founded.
//	I4  A shard has at most one move. It ends as it began: with its replicas as they were, with Add among them, or with Remove gone.
//	I5  A replica names the incarnation of its member: a member that lost its data comes back as another, and holds nothing.
//	I6  A shard may be formed (its replicas found their group) only until that has happened once; from then on replicas only join.
//	I7  A member that holds a replica, or is to, cannot be forgotten.
//	I8  A cookbook is the next version only once all shards have the last one, or none has it and none ever will. A version is never used twice.
//	I9  The same entries give the same bytes of Snapshot.
//
// Concurrency: a Directory belongs to its group; States are immutable and anybody's.
package meta
