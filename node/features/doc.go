// Package features makes the rows that a score is trained on: what the attributes of people were at instants of the past, got by having
// a shard live through their events again, with the clock of event times and the program that serves in the stream.
//
// It is not the trainer (pipeline/score is), and it does no I/O: events and labels come in, rows go out.
//
// A caller makes a Replay, adds events and either labels or Every, in any order, and calls Run once.
//
// Invariants:
//
//	I1  A row holds what was known before its instant: events of that instant or later are not in it, identifiers that were linked
//	    then or later are not joined in it. Only its label knows of the future.
//	I2  Events count by event time: one that arrived late counts as if it had come in time.
//	I3  A cell is what a score in the stream would read, to the bit: numbers are written so that they are read back as they were.
//
// A Replay is not safe for concurrent use.
package features
