// Package ring knows where state lives: which shard owns a hash.
//
// It is pure: no goroutine, clock, randomness or I/O. It knows neither what the state is (shard) nor what
// an event means (pipeline). Placement of shards on nodes comes with the cluster.
//
// Invariants:
//
//	I1  Shard(hash, n) is in [0, n), never decreases as the hash grows, and never changes between versions.
package ring
