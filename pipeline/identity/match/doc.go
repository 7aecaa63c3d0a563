// Package match finds records of the same person that share no key: name, birth date, postcode and the like, with slips of the
// pen, nicknames, initials, fields left out and names that changed places.
//
// It advises, and decides nothing: what it finds becomes links when a person, or a threshold that a person set,
// accepts them (package dashi/cmd/dashi, identity match). It is not in the way of an event, it does no I/O, and it never
// sees which records really belong together. It does not resolve identifiers: that is package identity, by rules.
//
// The caller does, in order: Detect (or its own Columns), NewTable, Add for every record, Run.
//
// How Run works:
//
//  1. Every value was brought to one form (form.go) and is held once (table.go).
//  2. Blocking (block.go): records that share one of many keys are candidates. Large blocks are compared with neighbours only.
//  3. A pair is compared field by field; each gives a level: exact, close, kindred, ... (level.go).
//  4. The model (model.go) learns from all candidates what each level is worth, without labels: Fellegi-Sunter weights by
//     expectation and maximisation, with families as a class of their own. Then it learns which values are rare: two Zbigniews say more than two Johns.
//  5. The threshold is where the model expects the best balance of false and missed pairs (match.go).
//  6. Pairs above it, best first, join groups, unless the other pairs of the groups speak against it (cluster.go).
//
// Invariants:
//
//	I1  The same columns and rows give the same result, bit for bit. (Between kinds of processor the last bit of a weight may differ.)
//	I2  Labels cannot leak: a column whose name says nothing is ignored, unless it is full of e-mail addresses.
//	I3  Candidates come once each, a < b, in a fixed order.
//	I4  Memory is bounded by the records: at most 300 bytes each for keys, their values once each, and MostLikely pairs.
//	I5  Nothing is cut silently: PassReport.Cut, Result.Dropped and Result.Split count it.
//
// A Table belongs to one goroutine.
package match
