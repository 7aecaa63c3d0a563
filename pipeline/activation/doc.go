// Package activation writes what leaves dashi: one JSON object for every transition that an audience emits and
// every activation that a recipe names.
//
// It also holds what a profile remembers so that activations leave when and as often as a recipe says: Pace, Schedule.
//
// It is pure: whether something is emitted is decided by the shard, when and where it goes by the sinks.
//
// Invariants:
//
//	I1  the id depends on what happened only, not on when or where it was computed: a sink that has seen it may drop it.
//	I2  the sequence counts the activations of one profile without gaps, in the order in which they left.
//	I3  a Schedule is bounded (MaxPending, MaxKeys, the counts of caps), and the same content has the same bytes.
package activation
