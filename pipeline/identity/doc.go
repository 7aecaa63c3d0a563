// Package identity says what an identifier is: its canonical form, its hash, and which values are no
// identifier at all; and by which rules identifiers that were seen together are one person (Rules, Resolve). An identifier is
// namespace:value, as in user_id:42 or email:ada@example.com.
//
// It is pure: functions of bytes and facts, with no state that changes. It keeps no facts: links and
// where they lie are the shard's, and which namespaces exist is the cookbook's.
//
// Invariants:
//
//	I1  Hash never changes, for any input: shards, logs and the ids of profiles are built on it.
//	I2  A normaliser is idempotent: what it returned, it returns again unchanged.
//	I3  Hash, Blocked and the normalisers do not allocate when dst has room.
//	I4  A blocked value is blocked whatever its case and the white space around it.
//	I5  What Resolve decides depends on the facts alone, in whatever order they lie or came.
//
// Everything here may be used by any number of goroutines at once.
package identity
