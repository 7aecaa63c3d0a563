// Package shard is the deterministic state machine that owns one range of identifiers.
//
// It consumes entries and produces state and an outbox. Everything it knows came in an entry: events, the
// clock, the cookbook, what the sinks have acknowledged. It is not the host: logs, snapshots on disk,
// goroutines and locks are shard/group's and the node's.
//
// What the caller must do, in order: New or Restore; a Cookbook entry before the first batch; then Apply
// every entry, once each, in log order. Readers (Lookup, Members, Outbox, ...) may run concurrently with each
// other but never with Apply; Snapshot is called between two Applies and what it returns may be written
// concurrently with later Applies.
//
// Identifiers that were seen together hang together in a component (component.go), which lies on one shard: the home of its smallest
// identifier, its root. The homes of the others keep pointers (pointers.go). Who is whom within it is identity.Resolver's decision; refold.go
// makes the profiles. Shards tell each other what they need to by messages (message.go) in outboxes of their own (peer.go); whoever hosts a
// shard carries them.
//
// Where to begin reading: shard.go (Apply), apply.go (what one event does), deliver.go (where it goes when identifiers are linked), join.go and
// move.go (components), refold.go (profiles), wake.go (time), cookbook.go and hold.go (another cookbook), account.go (companies), cut.go
// (power loss). A type called applier has nearly all of the methods: it is the scratch space of one Apply.
//
// Invariants:
//
//	I1  the same entries give the same state on every replica: Fingerprint proves it.
//	I2  for every stream the mark is the offset up to which everything for this shard has been applied. A
//	    batch (prev, last] is accepted iff mark >= prev; what is at or below the mark is skipped; then the mark
//	    is last. So nothing is lost and nothing is counted twice, whoever sends it, and however often.
//	I3  an entry is applied whole or answered with why not; bad content never fails Apply, and never panics.
//	I4  the clock never goes back: now is the greatest stamp seen.
//	I5  the outbox is in the state until acknowledged; positions are dense and never reused. When it is full,
//	    batches are answered Full and change nothing.
//	I6  between Applies, membership bits, their bitmaps and what evaluating every audience gives agree, but for
//	    profiles whose timer is due: see wake.go.
//	I7  until a profile's timer is due no condition on it changes by time alone. It fires with the clock at its own instant,
//	    before any event that comes after it is applied to the profile; one entry fires a bounded number.
//	I8  a pointer leads to a smaller identifier, and pointers only change to smaller ones: following them ends.
//	I9  a component is in one shard's records, or in one message. Facts about it only grow, so every order of arrival ends the same.
//	I10 the record of a profile is the fold of its fragments. One fragment alone is the record itself.
//	I11 at rest an account keeps what each of its people contributes, as told by the shard where that person lies, and nothing else.
package shard
