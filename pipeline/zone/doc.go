// Package zone knows the civil days of named time zones, the same ones on every machine.
//
// It is not package time's zones: those come from the zone files of whichever machine runs, and two replicas with
// different files would put an event into different days. Here the rules are part of the program, release 2025c of the
// IANA time zone database as the Go distribution packs it; another release is another file name and another Release.
//
// A caller loads a Zone once, by name, and asks it for days. A day is a number: days since 1970-01-01 in that zone.
//
// Invariants:
//
//	I1  Start(d) is the first instant at which a calendar on the wall of that zone shows day d or a later one, and
//	    Day(t) the greatest d with Start(d) <= t. So days never go back, also where clocks were set back at midnight.
//	I2  The same name gives the same days everywhere; a golden test pins them.
//	I3  Nothing allocates after Load. A Zone is immutable and may be shared.
//
// Rules are followed from 1970 to 2200; later the last offset stays.
package zone
