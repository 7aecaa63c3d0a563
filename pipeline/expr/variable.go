package expr

import (
	"strconv"

	"cel.dev/cel-go/cel"

	"dashi/pipeline/attribute"
	"dashi/pipeline/event"
)

// source says what a variable reads.
type source uint8

const (
	fromNow source = iota
	fromTime
	fromType
	fromField
	fromItem
	fromList
	fromAttribute
	fromAudience
	fromPurpose
	fromLevel
)

// variable is one thing that the expression reads. In the tree it is an identifier of its own ("@3"), so
// neither the names of CEL nor those of loops can hide it.
type variable struct {
	source source
	index  int
	kind   Type       // what it is; SetType, TallyType and ListType too
	value  event.Kind // of the elements, fromList
	attr   *AttributeRef
}

// celType is what the checker is told.
func (v *variable) celType() *cel.Type {
	switch v.kind {
	case BoolType:
		return truth
	case NumberType:
		return number
	case StringType:
		return text
	case TimeType:
		return instant
	case TallyType:
		return tallyOf
	}
	if v.source == fromList {
		return cel.ListType((&variable{kind: kindType(v.value)}).celType())
	}
	return texts
}

func kindType(k event.Kind) Type {
	switch k {
	case event.Bool:
		return BoolType
	case event.Number:
		return NumberType
	case event.String:
		return StringType
	case event.Time:
		return TimeType
	}
	return AnyType
}

func attributeType(t attribute.Type) Type {
	switch t {
	case attribute.Number:
		return NumberType
	case attribute.String:
		return StringType
	case attribute.Time:
		return TimeType
	case attribute.Bool:
		return BoolType
	case attribute.Set:
		return SetType
	case attribute.Tally:
		return TallyType
	}
	return ListType
}

func variableName(i int) string { return "@" + strconv.Itoa(i) }
