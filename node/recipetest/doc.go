// Package recipetest runs the tests of recipes: given events at times, it expects attributes, audiences, consent and activations.
//
// It is not a second engine. A test drives an in-memory shard with the entries that a node would propose: events decoded, or
// mapped from rows, by the cookbook's own decoders, ticks for the clock, acknowledgements for what left. The clock is moved by the test, and
// by nothing else, so a year passes in a microsecond and every run is the same.
//
// What the caller does, in order: Parse the sources, New with the cookbook, Run each Case. A Runner belongs to one goroutine.
//
// Tests stand under `tests` of a recipe, or of a file NAME.test.yml beside it: the latter is no part of the cookbook, so that
// editing a test does not make another cookbook of it. deploy/recipes/README.md is the guide.
//
// Invariants:
//
//	I1  Every case has a shard of its own; no case sees another. They share the compiled program.
//	I2  What a test states and does not hold is a Failure with the file and line of the statement; a test that cannot be
//	    understood is a Diagnostic of Parse, or a Failure when only running it shows that.
//	I3  Coverage counts what the program's own rules did: see cover.go.
package recipetest
