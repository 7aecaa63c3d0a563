// Package gossip tells who is alive: it wraps hashicorp/memberlist.
//
// What it says is a hint. It never decides who holds a shard (ring/meta commits that): gossip has no order and no quorum, and in a partition
// each side believes the other dead.
//
// The caller opens a Gossip, joins it to some addresses, looks at Members whenever Changed has a token, tells it with SetMeta when something about
// this node changes, leaves, and closes it.
//
// Invariants:
//
//	I1  Members of one cluster only: a node whose label, key or cluster id differs is not let in, and cannot merge with this one.
//	I2  What a node says about itself (Meta) fits into memberlist's 512 bytes, or Open and SetMeta refuse it.
//	I3  Changed never blocks memberlist: it is one token for any number of events.
//	I4  A node that left by itself is Left, one that stopped answering is Failed.
//	I5  Two processes with one id are told apart (Rival), as long as they hear of each other: a goodbye, which is by id, is not said in the other's name.
//
// Concurrency: everything exported is safe for concurrent use. memberlist calls the delegate with its own lock held, so that calls nothing back.
package gossip
