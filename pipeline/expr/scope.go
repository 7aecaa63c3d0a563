package expr

import (
	"fmt"

	"dashi/pipeline/attribute"
	"dashi/pipeline/event"
)

// Type is the type of an expression, or of what it reads.
type Type uint8

// The types. AnyType is for Compile only: whatever scalar comes out.
const (
	AnyType Type = iota
	BoolType
	NumberType
	StringType
	TimeType
	DurationType // milliseconds
	SetType
	TallyType
	ListType
)

func (t Type) String() string {
	switch t {
	case AnyType:
		return "any value"
	case BoolType:
		return "condition"
	case NumberType:
		return "number"
	case StringType:
		return "string"
	case TimeType:
		return "time"
	case DurationType:
		return "duration"
	case SetType:
		return "set"
	case TallyType:
		return "tally"
	case ListType:
		return "list"
	}
	return fmt.Sprintf("type(%d)", uint8(t))
}

// Scope is what an expression may name.
type Scope struct {
	// Field resolves a path of the event, such as "properties.total", "traits.plan", "context.device.type"
	// or "channel", and registers it as read. Inside an each the element is asked for as "item.price", or
	// as "item" itself when the elements are scalars. ok is false when there is no such field.
	Field func(path string) (FieldRef, bool)
	// FieldNames lists the paths that Field knows, for the hint in an error. May be nil.
	FieldNames func() []string
	Attributes map[string]AttributeRef
	Audiences  map[string]int // name to index; they read as bools
	Purposes   map[string]int // consent.NAME to index; they read as bools, unknown is false
	// Level registers the threshold above which the top percent of all profiles are, by an attribute that is a number, and gives its index in
	// Env.Levels. why is not empty when it cannot. Nil: top(ATTRIBUTE, PERCENT) is not allowed here.
	Level func(attribute string, percent float64) (index int, why string)
	Event bool // the expression may read the event: type, time, properties.*, traits.*, context.*, ...
	Item  bool // it stands inside an each and may read item
}

// FieldRef is where a field of the event is.
type FieldRef struct {
	Index int        // in Event.Values, or Event.Items when Repeated
	Kind  event.Kind // Bool, Number, String or Time
	// Repeated: the value is Items[Index]. A path that starts with "item" reads the element Env.Item,
	// any other reads the whole list.
	Repeated bool
}

// AttributeRef is an attribute, stored or derived.
type AttributeRef struct {
	Index int // in the program's attributes
	Type  attribute.Type
	Kind  attribute.Kind // nil for a derived attribute
	// Choices are the only values of a string attribute; nil when it may be any.
	Choices []string
	Timed   attribute.Timed // Kind when its value changes with no input; else nil
	Slot    attribute.Slot

	// A derived attribute (or bucket) has the one closure of its type: Num for Number and for Time as
	// milliseconds, Str for String, Truth for Bool. The rest says what the closure depends on.
	Num       Num
	Str       Str
	Truth     Bool
	Reads     []int // stored attributes
	Audiences []int
	Purposes  []int
	UsesNow   bool
	Personal  bool  // see Expr.Personal
	Clock     Clock // of the expression that computes it
}
