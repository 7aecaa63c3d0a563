package attribute

import "dashi/pipeline/event"

// Type is what an expression sees when it reads an attribute.
type Type uint8

// The types. Set and List hold strings, Tally maps a string to a number.
const (
	Number Type = iota + 1
	String
	Time
	Bool
	Set
	Tally
	List
)

// Op is what an update does.
type Op uint8

// The operations. Add is the only one for most kinds; set has Add and Remove, flag Add (raise) and Remove (lower). Touch
// is for what belongs to a session: there was an event, whatever its value.
const (
	Add Op = iota
	Remove
	Touch
)

// Input is one occurrence to fold into a state. Value aliases the event.
type Input struct {
	Op    Op
	Value event.Value
	By    float64   // weight, for tally; 1 by default
	Time  int64     // event time, milliseconds
	Now   int64     // the shard's clock when it is folded in, milliseconds; the state must not depend on it (I2)
	Step  uint8     // for sequence: which of its steps occurred
	ID    [2]uint64 // hash of the message id, or zero
}

// Kind is one kind of attribute, with its options bound. It has no state of its own: the state of an
// attribute is FixedSize bytes in the fixed part of a record (edited in place, initially zero) and, when
// HasSegment, one variable segment (initially empty). Zero state means "nothing seen yet".
//
// Invariants, for all states a, b, c and inputs:
//
//	I1  Merge is commutative and associative, to the byte; merging the zero state changes nothing.
//	I2  folding inputs in any order, over any split into states that are merged, gives the same bytes.
//	I3  no method allocates when scratch has room, keeps an argument, or panics on a corrupt segment.
//	I4  event time decides, never arrival; ties are broken by the value itself.
type Kind interface {
	// Name is the word in recipes: "count", "sum", ...
	Name() string
	// Type is what expressions see.
	Type() Type
	// FixedSize is a multiple of 8.
	FixedSize() int
	// HasSegment says whether the state has a variable part.
	HasSegment() bool
	// Update folds in into the state. fixed is edited in place. The result is the new segment: seg
	// itself when its bytes did not change or were edited in place at the same length, or a slice
	// built by appending to scratch[:0]. Kinds without a segment return nil.
	// An input of the wrong kind of value, or Absent, changes nothing. in is a pointer because it is a hundred bytes; it is
	// neither kept nor changed.
	Update(fixed, seg []byte, in *Input, scratch []byte) []byte
	// Merge folds another state in, with the same rules for the result. other is not changed.
	Merge(fixed, seg, otherFixed, otherSeg, scratch []byte) []byte

	// The readers are told the instant now, in milliseconds: a window, a session or a sequence shows something
	// else as time passes. Of kinds that are not Timed now is ignored.

	// Num, Str and Truth read the state for expressions. Each is meaningful for its types only (Num: Number, and
	// Time as milliseconds; Str: String, the favourite of a Tally and the newest of a List; Truth: Bool); ok is
	// false when nothing has been seen.
	Num(fixed, seg []byte, now int64) (v float64, ok bool)
	Str(fixed, seg []byte, now int64) (v []byte, ok bool)
	Truth(fixed, seg []byte, now int64) (v, ok bool)
	// Len is the number of elements of a Set, Tally or List, and for others 0.
	Len(fixed, seg []byte, now int64) int
	// Find reads element key of a Set (1 when it is in), Tally (its number) or List (1 when it is in).
	Find(fixed, seg, key []byte, now int64) (v float64, ok bool)
	// Elements goes through a Set, Tally or List, and for others through nothing. It aliases seg.
	Elements(fixed, seg []byte, now int64) Elements
	// AppendJSON appends the value as people see it: number, string, RFC 3339 time, array or object.
	// It appends null when nothing has been seen. Order of elements is fixed by the state.
	AppendJSON(dst, fixed, seg []byte, now int64) []byte
}

// Timed is a kind whose value changes as time passes, with no further input.
type Timed interface {
	Kind
	// NextChange is the first instant after now at which a reader may give something else than at now if no
	// further input comes; between the two every read gives the same. math.MaxInt64: never.
	NextChange(fixed, seg []byte, now int64) int64
}

// Dated is a kind that may know the event time of its value: of the input that says so. ok is false where it does not, or there is none.
type Dated interface {
	Since(fixed, seg []byte) (at int64, ok bool)
}

// Gauge is a kind without a segment whose Num changes by inputs alone.
type Gauge interface {
	Kind
	// Move is Update, and tells what Num is before and after: one call in place of three.
	Move(fixed []byte, in *Input) Moved
}

// GaugeOf is the kind as a Gauge, if it is one. Some kinds have a Gauge inside and are none.
func GaugeOf(k Kind) (g Gauge, ok bool) {
	switch k.(type) {
	case count, sum, avg, *extreme, *moment, *edge:
		return k.(Gauge), true
	}
	return nil, false
}

// Moved is a number before and after an input; Had and Has are false where there is none.
type Moved struct {
	Before, After float64
	Had, Has      bool
}

// State is the stored part of one profile, as slices of its record: the fixed slots of all attributes, and
// the variable segments one after another with a directory of their ends.
type State struct {
	Fixed []byte
	Dir   []byte // little-endian uint32 per segment: where it ends in Data
	Data  []byte
}

// Segment returns segment i. It aliases the record.
func (s *State) Segment(i int) []byte {
	end := le32(s.Dir[4*i:])
	start := uint32(0)
	if i > 0 {
		start = le32(s.Dir[4*i-4:])
	}
	return s.Data[start:end:end]
}

func le32(b []byte) uint32 {
	_ = b[3]
	return uint32(b[0]) | uint32(b[1])<<8 | uint32(b[2])<<16 | uint32(b[3])<<24
}

// Slot is where an attribute lives in a record.
type Slot struct {
	Offset  int // in State.Fixed
	Segment int // index for State.Segment, -1 for none
}
