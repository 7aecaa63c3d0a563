// Package group hosts deterministic state machines on the node's log: Raft (hashicorp/raft) decides which entries are committed and in which order,
// the group applies them, takes snapshots, and brings a state machine back after a restart.
//
// It does not know what the entries mean, and imports neither shard nor ring. A group of one member runs the same code as one of three.
//
// The caller opens a Host on a directory, opens each group with its state machine (newest good snapshot, then the log after it), proposes, and closes the
// Host. FORMAT.md has the bytes. With Open the group is this node's alone. With OpenReplica it is one of several: the Host has a transport.Transport, a new
// group names its first members, and who joins later opens without members before the leader adds it (AddLearner, Promote, Transfer, Remove). Changed
// says when to look at Leader again; Read makes a read linearizable; ErrDirty asks for another incarnation.
//
// Invariants:
//
//	I1  Entries are applied in the order of the calls of Propose, each once, and only after a majority of the members' logs has acknowledged them.
//	I2  done is called once for every entry that Propose took, in order, after the entry was applied or was given up. What was given up as
//	    ErrNotLeader is never applied; of what was given up as ErrUnknown nobody knows.
//	I3  After a crash at any point, Open applies every entry that was acknowledged, from the snapshot on, in the same order.
//	I4  The log is deleted up to a snapshot only when a newer one is durable, so one unreadable snapshot loses nothing; and a group with several members
//	    keeps margin entries before its newest snapshot. A group that holds back the log of all others by that is made to take another snapshot (Host.hurry).
//	I5  A panic of a state machine ends the process: a state that cannot apply an entry must not go on. So does a read error of an entry that is to be
//	    applied. An error of writing does not: the log takes nothing more, every proposal says so, and look-ups go on.
//	I6  A replica that may have lost what it has acknowledged does not vote under the ID with which it did (trust.go).
//	I7  A leader that is found dead is succeeded by the first survivor in a row that is the same everywhere; nobody stands who does not see a majority.
//	I8  When a snapshot of one group is durable, so is all that the groups of this host had logged before it. State machines hear of each other: after a power
//	    cut none may remember what another has forgotten. (Their logs are one, so what survives of those is a beginning.)
//
// Concurrency: Raft's goroutine that applies is the only one that calls a group's Apply, Snapshot and Restore once it is open. Persist and Release run
// on another, one group at a time on a host. watch tells proposals that failed. Everything exported is safe for concurrent use. Group.mu guards the
// queue of proposals, and nothing that may wait for Raft's goroutines is done with it held.
package group
