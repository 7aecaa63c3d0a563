// Package attribute holds the kinds of attribute: how the state of one is updated by an input, merged with
// another state, and read.
//
// It is not a store: the bytes of a state belong to the caller (a record of the profile table). It is not a
// language either: package recipe says which event updates which attribute, package expr reads them.
//
// A caller makes a Kind with New once per cookbook, reserves FixedSize bytes and, when HasSegment, one
// segment per profile, all initially empty, and from then on calls Update, Merge and the readers.
//
// Invariants, for all states a, b, c and inputs; tests cite them by number:
//
//	I1  Merge is commutative and associative, to the byte; merging the zero state changes nothing.
//	I2  folding inputs in any order, over any split into states that are merged, gives the same bytes.
//	I3  no method allocates when scratch has room, keeps an argument, or panics on a corrupt segment.
//	I4  event time decides, never arrival; ties are broken by the value itself.
//
// How they are kept:
//
//   - Every state is a join (the greatest of something), or a sum of integers. Floating point is never added:
//     sum, avg and tally count in whole micro-units (see InRange).
//   - A window keeps buckets, not times, and drops them by the newest bucket, not by the clock; window.go says why that
//     merges, and when exactly an input leaves. Until then a state that was merged and one that was not show the same.
//   - A session is a function of the set of event times, a sequence of the set of occurrences: session.go and sequence.go say
//     how, what is kept, and what happens at the bound.
//   - Times and numbers are stored as unsigned keys in whose order the winner is the greatest and zero is "not
//     seen". One comparison then is the whole of Update and of Merge.
//   - The elements of set, tally and list are sorted, so the same content has the same bytes. What a limit
//     drops is decided by a total order that no arrival can change; set.go, tally.go and list.go say which
//     and why the merge stays exact.
//
// An input that does not fit (another kind of value, a number out of range, a time outside the years 0 to
// 9999, a string that is too long, an operation that the kind does not have) changes nothing. Truncated says
// that a limit has dropped something.
//
// The formats are in FORMAT.md, byte by byte. Kinds are immutable and may be shared between goroutines; a state has one
// writer at a time, and no reader while it is written.
package attribute
