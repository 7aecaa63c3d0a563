// Package simulate says what a cookbook's identity rules would make of a file of events: profiles, links that are refused and by which
// rule, identifiers that several people share, the largest profiles.
//
// It gathers the same facts as the shards do and has the same function resolve them (identity.Resolver), so what it shows
// is what would happen. It does no I/O and applies no events: attributes and audiences are not its business.
//
// The caller makes a Simulation with New, calls Add for every event, in any order, and Resolve once.
//
// Invariants:
//
//	I1  The same events in any order give the same Report, unless Report.Overlong is not 0.
//	I2  Memory grows with identifiers and links, not with events; beyond MostIdentifiers Add refuses.
//
// A Simulation belongs to one goroutine.
package simulate
