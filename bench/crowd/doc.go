// Package crowd makes the messages of the identity benchmark: people who are first anonymous and then known, each with one to six
// identifiers, and one device in twenty that several of them use.
//
// A person has a user id. Every other identifier has a story of three events: an e-mail address is given twice while shopping; a device
// orders anonymously, signs in (the event that links it), and orders once more. Many people are under way at the same time, so that hardly ever two
// events of one person follow each other. Every event is an Order Completed that touches most attributes of bench/recipes.
//
// Invariants:
//
//	I1  The same Settings give the same messages.
//	I2  Append allocates nothing when dst has room.
//
// Ownership: a Generator belongs to one goroutine.
package crowd
