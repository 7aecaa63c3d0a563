package audience

import (
	"math/bits"

	"dashi/pipeline/expr"
)

// Bits is a set of audience indices.
type Bits []uint64

// NewBits returns an empty set with room for n audiences.
func NewBits(n int) Bits { return make(Bits, (n+63)/64) }

// Set, Clear and Has work on one index.
func (b Bits) Set(i int)      { b[i>>6] |= 1 << (i & 63) }
func (b Bits) Clear(i int)    { b[i>>6] &^= 1 << (i & 63) }
func (b Bits) Has(i int) bool { return b[i>>6]&(1<<(i&63)) != 0 }

// Or adds all of o.
func (b Bits) Or(o Bits) {
	for i, w := range o {
		b[i] |= w
	}
}

// Each calls fn for every index, in order. fn must not change the set.
func (b Bits) Each(fn func(i int)) {
	for w, x := range b {
		for ; x != 0; x &= x - 1 {
			fn(w<<6 + bits.TrailingZeros64(x))
		}
	}
}

// Count is the number of members.
func (b Bits) Count() int {
	n := 0
	for _, w := range b {
		n += bits.OnesCount64(w)
	}
	return n
}

// Atom is a comparison "attribute OP constant" that occurs in audience conditions and that can change its
// truth only when the number crosses the constant.
type Atom struct {
	Attribute int     // index in the program's attributes
	Constant  float64 // the number compared with
}

// Key is an element of a set, tally or list that an audience's condition asks for by name.
type Key struct {
	Attribute int
	Key       string
}

// Definition is one audience, as the recipe gives it.
type Definition struct {
	Name        string
	Description string
	Source      string // the condition as the recipe has it
	Condition   expr.Bool
	// Next is the first instant after Env.Now at which the condition may change although nothing else does; see
	// expr.Expr. nil: time changes nothing.
	Next func(*expr.Env) int64
	// Watch is both at once, where that is cheaper; nil where nothing is.
	Watch func(*expr.Env) (expr.Truth, int64)
	// Personal says that the outcome for a profile without any state may differ from one profile to another.
	Personal bool
	// Atoms are the thresholds of the condition. An attribute that is read in any other way is in Keys or Reads.
	Atoms []Atom
	// Keys are the elements of which the condition asks whether they are in, or for their number.
	Keys []Key
	// Reads are attributes whose every change calls for an evaluation (sets, strings, derived, ...).
	Reads []int
	// Nested are the audiences that the condition reads: always of a smaller index than this one.
	Nested []int
	// Levels are the thresholds (expr.Env.Levels) that the condition reads. When one has changed the condition has to be evaluated, as when its time
	// has come: Index.Timed marks it.
	Levels []int
	// Sticky says that whoever is in stays in until another condition holds: the outcome depends on the audience's own bit in env.Audiences.
	Sticky bool
	// Purposes are the consents that the condition reads.
	Purposes []int
	Emit     Emit
	Requires []int // purposes without which no activation of this audience leaves
}

// Emit says which transitions leave as activations.
type Emit uint8

// The choices.
const (
	EmitBoth Emit = iota
	EmitEnter
	EmitExit
	EmitNone
)
