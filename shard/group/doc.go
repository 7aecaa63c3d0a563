// Package group hosts deterministic state machines on the node's log: it appends what is proposed, applies it in
// order, takes snapshots, and brings a state machine back after a restart.
//
// It does not know what the entries mean, and imports neither shard nor ring. Here every group has one replica and is its
// own leader; Raft will decide what is committed between the same Propose and the same FSM.
//
// The caller opens a Host on a directory, opens each group with its state machine (newest good snapshot, then
// the log after it), proposes, and closes the Host.
//
// Invariants:
//
//	I1  Entries are applied in the order of the calls of Propose, each once, and only after the log has acknowledged them.
//	I2  done is called once for every entry that Propose took, in order, after the entry was applied or will never be.
//	I3  After a crash at any point, Open applies every entry that was acknowledged, from the snapshot on, in the same order.
//	I4  The log is deleted up to a snapshot only when a newer one is durable, so one unreadable snapshot loses nothing. A group
//	    that holds back the log of all others by that is made to take another snapshot (Host.hurry).
//	I5  A panic of a state machine ends the process: a state that cannot apply an entry must not go on.
//
// Concurrency: the goroutine of a group (Group.run) is the only one that calls its FSM's Apply and Snapshot. Persist and Release run
// on a goroutine of their own, one group at a time on a host. Everything exported is safe for concurrent use.
package group
