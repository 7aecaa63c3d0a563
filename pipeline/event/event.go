package event

import "fmt"

// Kind says what a Value holds.
type Kind uint8

// The kinds of value. The numbers are part of the packed format: never reuse one.
const (
	Absent Kind = 0 // the field was missing or null
	Bool   Kind = 1 // Bits is 0 or 1
	Number Kind = 2 // Bits is math.Float64bits of a finite number
	String Kind = 3 // Str holds valid UTF-8
	Time   Kind = 4 // Bits is an int64, milliseconds since 1970 UTC
)

func (k Kind) String() string {
	switch k {
	case Absent:
		return "absent"
	case Bool:
		return "bool"
	case Number:
		return "number"
	case String:
		return "string"
	case Time:
		return "time"
	}
	return fmt.Sprintf("kind(%d)", uint8(k))
}

// Value is one field of an event. Str aliases the buffer the event was read from, or the scratch
// space of whoever read it: it is good until the next Decode or Unpack.
type Value struct {
	Kind Kind
	Bits uint64
	Str  []byte
}

// Identifier is namespace:value, with the namespace as its index in Schema.Namespaces.
type Identifier struct {
	Namespace uint8
	Value     []byte // normalised; 1..Limits.IdentifierBytes bytes
}

// Event is one fact about a person, projected onto a Schema: only the fields that the cookbook reads.
// One Event is reused for many facts; everything in it is good until the next Decode or Unpack into it.
type Event struct {
	Type        int          // 1 + index in Schema.Types, 0 for a type that the cookbook does not name
	Name        []byte       // the type as it was written, "Order Completed", "page"
	Time        int64        // event time, milliseconds since 1970 UTC
	ID          [2]uint64    // 128-bit hash of the message id; zero when it has none
	Hash        uint64       // identity.Hash of Identifiers[0]
	Identifiers []Identifier // at least one, strongest namespace first, at most one a namespace
	Values      []Value      // one per Schema.Fields; Absent where missing. Repeated fields are in Items
	Items       [][]Value    // one per Schema.Fields; for a repeated field one Value per array element
	Lens        []int        // one per Schema.Arrays: the number of elements

	scratch []byte // text that had to be rewritten: unescaped strings, normalised identifiers
}

// Field is one value that the cookbook reads.
type Field struct {
	// Path is the way from the top of the Segment-spec JSON message, with "[]" for "each element":
	// {"properties","total"}, {"properties","products","[]","product_id"}, {"properties","tags","[]"}.
	// At most one "[]" occurs.
	Path []string
	Kind Kind
	// Array is 1 + the index in Schema.Arrays for a repeated field, 0 for a plain one.
	Array int
}

// Namespace is a kind of identifier, and where the decoder finds its values.
type Namespace struct {
	Name string
	// Paths are tried in order; the first that holds a non-empty string or a number counts.
	Paths [][]string
	// Normalise appends the canonical form of value to dst; ok is false when the value is not an
	// identifier at all (blocked, or not an e-mail address): it is then as if it were not there.
	// Nil means: as it is.
	Normalise func(dst, value []byte) (out []byte, ok bool)
	// Refusal says in words why Normalise does not take a value; it is there when Normalise is.
	Refusal func(value []byte) string
}

// Location is a string field that stands in no message: it is worked out from two numbers that do.
type Location struct {
	Field               int // index in Schema.Fields; its Path is empty
	Latitude, Longitude int // the same, of the numbers, in degrees
	// Find is the id of the place there, nil for none. The bytes do not change.
	Find func(latitude, longitude float64) []byte
}

// Schema is what the cookbook wants of events. It is immutable.
type Schema struct {
	Types      []string    // event types that the cookbook names
	Fields     []Field     // what it reads
	Arrays     [][]string  // paths of the arrays it goes through, without the "[]"
	Namespaces []Namespace // strongest first, at most 64
	Locations  []Location  // fields that are worked out
	// Reads says by Event.Type what is read of events of that type: what is wrong with anything else is passed over, and it
	// is Absent. Nil: everything is read of every type.
	Reads []Reads
}

// Reads are the indexes of fields and of arrays that are gone through.
type Reads struct{ Fields, Arrays []int }

// Limits bound one event. Beyond them it is rejected with a Reason, never cut.
type Limits struct {
	EventBytes      int   // size of the message as it arrived
	Depth           int   // nesting of objects and arrays
	Items           int   // elements of an array that is read
	StringBytes     int   // one string value that is read
	IdentifierBytes int   // one identifier
	FutureMillis    int64 // how far event time may lie ahead of the record's own timestamp
}

// DefaultLimits: Segment's own limit is 32 KB an event; ours leaves room for other producers.
// A string that is read is kept in profiles and in the log, so it is bounded more tightly.
var DefaultLimits = Limits{
	EventBytes:      256 << 10,
	Depth:           64,
	Items:           1000,
	StringBytes:     4096,
	IdentifierBytes: 256,
	FutureMillis:    24 * 60 * 60 * 1000,
}

// Reason is why an event was rejected: the label of a metric and the "reason" of a dead letter.
type Reason string

// The reasons.
const (
	Malformed    Reason = "malformed"     // not JSON (or msgpack, ...), or not UTF-8
	TooLarge     Reason = "too_large"     // over a Limits size
	TooDeep      Reason = "too_deep"      // over Limits.Depth
	TooMany      Reason = "too_many"      // over Limits.Items
	WrongType    Reason = "wrong_type"    // a field that is read has another type
	DuplicateKey Reason = "duplicate_key" // an identifier, the type or the message id stands twice
	NoIdentifier Reason = "no_identifier" // nobody to attribute it to
	NoType       Reason = "no_type"       // neither a known call type nor an event name
	BadTime      Reason = "bad_time"      // unreadable, before 1970 or too far in the future
	BadRow       Reason = "bad_row"       // a row of a file, of which its mapping could make no event
)

// Reasons is all of them.
func Reasons() []Reason {
	return []Reason{Malformed, TooLarge, TooDeep, TooMany, WrongType, DuplicateKey, NoIdentifier, NoType, BadTime, BadRow}
}

// Rejected is the error of everything that makes an event out of bytes.
type Rejected struct {
	Reason Reason
	Detail string // for a person: the field, what was wanted, what was found; at most 200 bytes of input
}

func (r *Rejected) Error() string { return string(r.Reason) + ": " + r.Detail }
