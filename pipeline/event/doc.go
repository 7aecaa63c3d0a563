// Package event turns bytes into an Event: one fact about a person, projected onto the fields that the
// cookbook reads. Decoder reads Segment-spec JSON and msgpack; AppendPacked and Unpack are the compact form in
// which events cross the network and the log (FORMAT.md).
//
// It does not know what an event means, what a namespace is for, or who a person is. It keeps nothing from one
// message to the next but the order of keys it has seen, and that changes only speed.
//
// The caller, in order: NewDecoder(schema, limits) once per goroutine; then Decode into an Event of its own, as
// often as it likes and into as many Events as it likes; then read the Event before the next Decode or Unpack
// into the same one, while src is unchanged.
//
// Invariants:
//
//	I1  Decode accepts no message that encoding/json calls invalid. It refuses a valid one only with a Reason
//	    other than Malformed, or because a string that is read is not UTF-8. (UTF-8 is not checked in keys and in
//	    values that nothing reads; an unpaired surrogate escape reads as U+FFFD, as in encoding/json.)
//	I2  The outcome, to the byte of the error, depends on the message, the fallback time, the schema and the
//	    limits, never on what the Decoder has seen before.
//	I3  Keys match exactly, case and all, after their escapes are resolved. A key that leads to anything that is read
//	    may stand once in its object.
//	I4  What is wrong with a field or array that Schema.Reads does not name for the type of the event rejects nothing: it is
//	    Absent, or empty. Accepted means: every Value has the kind of its field or is Absent, Number is finite, String is UTF-8, there
//	    is at least one identifier, Time is within bounds. Rejected means *Rejected, and the Event is not to be used.
//	I5  Unpack(AppendPacked(e)) is e, to the byte of every field. No input makes Decode, DecodeMsgpack or Unpack panic.
//	I6  In steady state Decode, AppendPacked and Unpack do not allocate; rejecting may.
//
// A Schema may be shared. A Decoder belongs to one goroutine; so does an Event. An Event aliases only src, the
// Schema and itself, so it may go to another goroutine together with src.
package event
