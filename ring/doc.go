// Package ring knows where state lives: which shard owns a hash, and which nodes hold the replicas of a shard.
//
// It is pure: no goroutine, clock, randomness or I/O. It knows neither what the state is (shard) nor what an event means
// (pipeline), and it decides nothing: package ring/meta commits what Place proposes, ring/gossip tells who is alive.
//
// The caller asks Shard for the owner of a hash, and Place for the table that should be, given the one that is and the members there are. How to get
// from one to the other is for the node to plan: it knows which replicas are there.
//
// Invariants:
//
//	I1  Shard(hash, n) is in [0, n), never decreases as the hash grows, and never changes between versions.
//	I2  Every shard has min(replicas, members) replicas, on different members, and in as many zones as there can be.
//	I3  No member holds more than its quota: the share of its weight, rounded up; less only where zones or the number of shards cap it.
//	I4  Of all tables that keep I2 and I3, Place gives one with the greatest number of replicas in common with the old one.
//	I5  Each member leads as many shards as a fair share of those it holds, rounded up or down; leaders stay where that allows.
//	I6  The same arguments give the same table, in every version: the golden tests never change.
package ring
