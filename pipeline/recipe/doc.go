// Package recipe turns recipe files into a Program: YAML and CEL in, typed slots, rules and conditions out.
//
// It is not where events are applied (package shard), how a kind of attribute counts (package attribute), or how an
// expression runs (package expr). It reads no files and runs no tests of recipes: whoever has the files hands in
// their texts.
//
// A caller gives all the files of a cookbook to Compile at once. Either it gets a Program, and perhaps
// warnings, or no Program and at least one error; each Diagnostic has a file, a line and a column, and
// Format shows the line. To turn rows of a file into events it takes a Mapping of the Program, calls Bind
// with the columns, and then AppendEvent for every row.
//
// # The grammar
//
// It is the table in grammar.go. The parser, the hints ("did you mean") and SchemaJSON all follow that one
// table; what the table cannot say (names that refer to one another, types) is checked here afterwards. A
// guide with an example is deploy/recipes/README.md. In short:
//
//	recipe: NAME
//	zone: NAME                                                           # of days, weeks and months in windows
//	identity: {max_identifiers, namespaces:                              # strongest first
//	           [{name, from, normalise, region, hash, blocked, unique, expire, limit: {count, period, excess}, shared}]}
//	fields: {PATH: string|number|bool|time}                              # beyond the Segment spec
//	purposes: {NAME: PATH | {from, on, granted, withdrawn}}
//	sessions: {NAME: {on, where, gap, longest}}
//	places: {NAME: {on, latitude, longitude, timeout, consent, file, table}}
//	attributes: {NAME: {kind, ...}}                                      # on, where, each, value, by; or rules; window, bucket; session; steps; model, inputs
//	audiences: {NAME: CONDITION | {when (or enter and leave), emit, requires}}
//	activations: {NAME: {on: {enter|exit|change|event|session_start|session_end}, where, requires, include,
//	              delay, hold, key, once, cap, cooldown, quiet, goal}}
//	accounts: {member_of, id, people, attributes, audiences, activations}
//	mappings: {NAME: {format, delimiter, event, time, identifiers, anonymous, message_id, properties, traits, context}}
//	tests: [...]                                                         # grammar_tests.go
//
// The recipe, and whatever has a NAME but the fields, may have a description as well.
//
// Names are shared by all files. Equal fields, purposes and identities in two files are one; everything
// else may be declared once. Attributes and audiences share one space of names, because expressions read both by
// their bare names; audiences and activations share one, because both name what leaves.
//
// What an expression may read, and why no more:
//
//   - value and by: the event and the item. Not the profile: a sum that depended on it would depend on the
//     order in which events arrive, and fragments could not be merged.
//   - where of a rule: attributes too. That has the same fault, so it is a warning.
//   - derived: attributes, and now, because it is computed when it is looked at.
//   - inputs of a score: attributes, and now, but nothing that changes with every millisecond.
//   - audiences: attributes, audiences, consent, and now, where it can be computed when the condition changes with no
//     event: somebody is woken then (expr.Expr, Next). Where it cannot, the condition is refused with what to write instead.
//   - where of an activation: all of these, now as well, and the event when an event triggers it.
//
// # Decisions
//
// Fields must be known: the Segment spec's (spec.go) or declared. A typing error would otherwise be a field that is
// absent for ever. Event names are free, because every shop has its own; one that is nearly a name of the spec is a warning.
//
// A text that reads row is an expression, and elsewhere in a mapping's event a text is itself. number(row.X) is resolved as a
// column of numbers, so that it is parsed once a row and needs no interpreter.
//
// YAML merge keys are refused: which key wins is a riddle to the reader. Aliases are fine, keys that begin with x- hold anchors.
//
// # Invariants
//
//	I1  The same sources, in any order, give the same Program on every machine: indices, offsets, hashes.
//	I2  Program is nil if and only if a Diagnostic is an error; then the first one is.
//	I3  No input makes Compile panic, loop or take more than a bounded time; limits have names in grammar.go.
//	I4  An audience comes after all audiences that it reads; a derived attribute reads no ring.
//	I5  Attribute.Definition changes when the meaning of the stored state may have changed, and not when a
//	    description, another attribute or the order of keys did.
//	I6  The parser and SchemaJSON agree on every file.
//	I7  A stored attribute has its bytes at Slot.Offset, a multiple of 8; those with a segment come last.
//
// A Program is immutable and may be shared. A Binding belongs to one goroutine.
package recipe
