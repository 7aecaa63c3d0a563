// Package sim is many shards in one goroutine, with a network between them that loses, repeats and delays, and processes that crash: what a
// node or a cluster does with shards, without clocks, disks and sockets. Everything that happens is drawn from a seed.
//
// It is not a simulation of Raft: the log of a shard loses no entry in a crash. After one a shard is restored from its last snapshot
// and the log after that, and must be what it was. In a power cut all logs lose their ends, each at another place (power.go).
//
// A test makes a World, calls Feed with messages as they would lie in the partitions of a topic, and Run, which does not return
// before everything has been applied and has arrived; then it asks with Profile.
//
// Invariants, which Run checks:
//
//	I1  after a crash the fingerprint is that before it.
//	I2  the world comes to rest: messages do not go in circles.
//	I3  no shard met anything it could not read or place.
package sim
