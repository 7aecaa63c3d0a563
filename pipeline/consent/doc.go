// Package consent holds what a person has said to one purpose, as one word, and the gate that asks for all
// purposes of an activation.
//
// It is not where purposes get their names (recipe) and not where the gate stands (audience evaluation, and
// again when the activation leaves).
//
// A word is 0 when nothing is known, and otherwise the event time of the last statement in milliseconds since
// 1970, shifted left by one, with the lowest bit set when it was granted (expr.Env.Consent keeps one word a
// purpose).
//
// Invariants:
//
//	I1  Merge is commutative, associative and idempotent; merging 0 changes nothing.
//	I2  statements in any order, over any split into words that are merged, give the same word.
//	I3  the later event time stands; at the same instant a withdrawal does.
//	I4  what is not known is not granted.
//
// All functions are pure and do not allocate.
package consent
