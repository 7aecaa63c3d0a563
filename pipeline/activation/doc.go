// Package activation writes what leaves dashi: one JSON object for every transition that an audience emits and
// every activation that a recipe names.
//
// It is pure: whether something is emitted is decided by the shard, when and where it goes by the sinks.
//
// Invariants:
//
//	I1  the id depends on what happened only, not on when or where it was computed: a sink that has seen it may drop it.
//	I2  the sequence counts the activations of one profile without gaps, in the order in which they left.
package activation
