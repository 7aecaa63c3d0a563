package expr

import (
	"dashi/pipeline/attribute"
	"dashi/pipeline/event"
)

// Truth is the outcome of a condition. Absent is CEL's error: something that was read is not there.
// As in CEL, false && Absent is False and true || Absent is True; elsewhere Absent spreads.
type Truth int8

// The three outcomes. A condition holds only when it is True.
const (
	False  Truth = 0
	True   Truth = 1
	Absent Truth = -1
)

// Env is what an expression may read. One Env is reused; its owner sets the fields before a call.
type Env struct {
	Event *event.Event    // nil where there is no event (audiences, derived attributes, queries)
	Item  int             // the element that "item" stands for, inside an "each"
	State attribute.State // the profile; zero slices where there is none
	Now   int64           // the shard's clock, milliseconds
	Hash  uint64          // identity.Hash of the profile's identifier, for A/B buckets
	// Consent holds one word per purpose of the program: 0 unknown, else event time in milliseconds << 1 | granted.
	Consent []byte // little-endian uint64 each
	// Audiences is the membership bitset of the profile, one bit per audience of the program.
	Audiences []uint64
	// Levels are the thresholds of the program's Levels: NaN where nothing is known yet. See Scope.Level.
	Levels []float64
	// Scratch holds the strings that expressions build. What was appended is not overwritten, so such a string
	// is good until the owner, when none is in use any more, sets Scratch to Scratch[:0] to save allocations.
	// Two Envs must not share one.
	Scratch []byte
	// Memos, one for each attribute of the program, are room for Remember; nil: nothing is remembered.
	Memos []Memo
	pass  uint64 // since Remember; 0: nothing is remembered
	last  uint64
}

// The compiled forms. They do not allocate and may be shared between goroutines. ok is false when absent.
type (
	Bool func(*Env) Truth
	Num  func(*Env) (v float64, ok bool)
	Str  func(*Env) (v []byte, ok bool)
	Time func(*Env) (ms int64, ok bool)
	// Any gives the value in the form in which an attribute is updated with it.
	Any func(*Env) event.Value
)
