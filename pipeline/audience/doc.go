// Package audience decides who is in and who is out.
//
// An audience is a predicate over attributes, consent and other audiences. Nearly every event changes
// some counter, so "evaluate what reads a changed attribute" is still most of the cookbook. Index
// therefore keeps the constants that conditions compare with: only audiences with a comparison whose
// truth may have flipped between the old and the new value are evaluated.
//
// It holds no state and does no I/O: membership bits belong to the profile's record, their owner is the shard.
//
// What the caller must do, in order, for one event on one profile: read the numbers before, update, call
// Changed (numbers, times), TouchedKey (one element of a set or tally) or Touched (everything else) for each updated attribute and Consented for each
// purpose, then Evaluate once. For a new profile: start from Fresh; for a changed cookbook: from All.
//
// Invariants:
//
//	I1  after Evaluate the membership bits equal those of evaluating every audience, in index order.
//	I2  an audience is evaluated at most once for one event, after all audiences that it reads.
//	    That holds until the instant that Evaluate gave, at which the Timed ones have to be evaluated again.
//	I3  nothing here allocates after NewIndex.
package audience
