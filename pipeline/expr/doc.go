// Package expr compiles the expressions of recipes: conditions, values and derived attributes.
//
// The language is CEL. cel-go parses and type-checks; the checked tree is then compiled to closures over
// Env, which cost some tens of nanoseconds where cel-go's interpreter takes hundreds. What cannot be
// compiled is run by the interpreter, behind the same closure types, and Expr.Why says so.
//
// It is not where names come from: Scope resolves them, and package recipe owns the Scope. It knows
// nothing of when a condition must be evaluated; it only says what could change its outcome.
//
// # The language, where it differs from CEL
//
// There is one kind of number, the double: literals like 2 are doubles, size and getHours give doubles,
// % works on them. A number is always finite: a result that would not be (1/0) is absent.
// Times have milliseconds; duration("36h"), also "2d" and "1w".
// Zones of getHours and its like are names such as "Europe/Berlin", by the rules that are part of the program (package zone),
// and offsets such as "+09:00".
// has(x) and known(x) are the same and take any expression. x == null is !known(x).
// tally["key"] is 0 for a key that is not there. Maps and messages cannot be written.
// Also: lower, abs, floor, round, min and max of two numbers, coalesce, favourite(tally), latest(list), and in audiences top(attribute, percent):
// whether the number is among the highest of all profiles, by a threshold that the caller gives (Env.Levels).
//
// # Invariants
//
//	I1  Closures and interpreter agree on every expression and every Env; a property test says so.
//	I2  Closures do not allocate, but for strings that +, lower or string() build: those live in
//	    Env.Scratch. An interpreted expression allocates.
//	I3  An Expr may be shared between goroutines; an Env may not.
//	I4  Operands are evaluated from left to right, and products are never fused with sums: the same Env
//	    gives the same bits everywhere.
//	I5  A number that comes out is finite, a time lies in the years 1 to 9999, a string is at most
//	    MaxString bytes when + built it.
//	I6  Absent is CEL's error: it spreads, but for false && absent, true || absent, known and coalesce.
//	    Sets, tallies and lists are never absent, they are empty; known says whether they have elements.
//	I7  The outcome can change only if something in Attributes, Audiences or Purposes changes, or the event
//	    (UsesEvent), or when an instant that Next gave has come.
//
// # When to evaluate again
//
// For each attribute A of an Expr:
//
//   - A is in Coarse: evaluate whenever its state changes.
//   - A is in Keys: evaluate when one of these elements comes, goes or has another number.
//   - otherwise A has Atoms only: evaluate when the number went from absent to present or back, and when for
//     one of its constants c the outcome of comparing it with c (less, equal, greater) is not what it was.
//     For every other change the outcome stays.
//
// With Next the outcome may change as time passes too: at that instant it is evaluated again, with Now set to the
// instant. Next is good until the expression had to be evaluated again for one of the reasons above. Atoms never
// depend on now: an attribute that is compared with a moving value, or whose own value changes with time, is Coarse.
package expr
