// Package order makes the messages of the load benchmarks: Order Completed in JSON of about 505 bytes, which touches every
// attribute of bench/recipes and of bench/twelve.
//
// It is not believable traffic; that is bench/shop. It is cheap, so that the load takes little of the machine that it
// shares with what is measured, and uniform, so that a figure per event means the same in every run.
//
// Invariants:
//
//	I1  The same Settings give the same messages.
//	I2  No two messages of one run have the same message id, whatever the number of generators, if their Prefix differs.
//	I3  Append allocates nothing when dst has room.
//
// Ownership: a Generator belongs to one goroutine.
package order
