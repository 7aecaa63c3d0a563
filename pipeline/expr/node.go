package expr

import (
	"math"

	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/types"

	"dashi/pipeline/event"
)

// node is a compiled part of an expression.
type node struct {
	kind Type
	b    Bool
	n    Num
	s    Str
	t    Time // times, and durations in milliseconds

	// A constant has its value here too.
	constant bool
	truth    Truth
	number   float64
	bytes    []byte
	ms       int64

	// attr is 1 + the attribute whose stored number or time this is: the number itself, or the number with
	// a constant where it is absent. 0 for everything else.
	attr int
	// cell is set where the node is nothing but a stored number, now where it is the variable now, and since
	// where it is now minus a time: comparisons read these without calls in between.
	cell *cell
	// stirs: that time may become another without an event.
	now   bool
	since Time
	stirs bool
	// field and item are 1 + the field of the event, or of the element, that the node is as it stands; 0 for anything else.
	field, item int
	// elements is set for sets, tallies and lists, which have no closure of their own.
	elements *elements

	timing
	// watch is set for conditions on time of which it takes less to find outcome and next change together.
	watch watch
	// steps and calendar are set for numbers that are whole units of a moving duration, or a part of a moving time: a
	// comparison with a constant then changes less often than the number.
	steps    *steps
	calendar *calendarPart
}

// stop ends the compilation: err refuses the expression, why hands it to the interpreter.
type stop struct {
	why string
	err *Error
}

func because(why string) *stop { return &stop{why: why} }

// typeOf is the type that the checker found.
func (c *compiler) typeOf(e ast.Expr) Type {
	t := c.ast.GetType(e.ID())
	switch t.Kind() {
	case types.BoolKind:
		return BoolType
	case types.DoubleKind:
		return NumberType
	case types.StringKind:
		return StringType
	case types.TimestampKind:
		return TimeType
	case types.DurationKind:
		return DurationType
	case types.ListKind:
		return ListType
	case types.MapKind:
		return TallyType
	}
	return AnyType
}

// expr compiles a part whose value is used as it is: if it reads an attribute, every change counts.
func (c *compiler) expr(e ast.Expr) (*node, *stop) {
	n, s := c.operand(e)
	if s == nil {
		c.used(n)
	}
	return n, s
}

// used marks the attribute behind a node as read in a way that an atom does not describe.
func (c *compiler) used(n *node) {
	if n.attr > 0 {
		c.coarse = append(c.coarse, n.attr-1)
	}
}

// operand compiles a part and leaves it to the caller to say how an attribute is read: a comparison with a
// constant makes an atom, everything else calls used.
func (c *compiler) operand(e ast.Expr) (*node, *stop) {
	switch e.Kind() {
	case ast.LiteralKind:
		return literal(e)
	case ast.IdentKind:
		for i, v := range c.vars {
			if variableName(i) == e.AsIdent() {
				n, s := c.read(v)
				if s == nil && n.refused != nil { // of a derived attribute: say it at the place that reads it
					n.refused = c.tree.fail(e, n.refused.Message, n.refused.Hint)
				}
				return n, s
			}
		}
		return nil, because("the variable " + e.AsIdent() + " of a loop")
	case ast.CallKind:
		return c.call(e)
	case ast.ListKind:
		return c.list(e)
	case ast.SelectKind: // tally.shoes
		key := string(e.AsSelect().FieldName())
		return c.entry(e.AsSelect().Operand(), constStr([]byte(key)))
	case ast.ComprehensionKind:
		return nil, because("the loop " + c.tree.text(e))
	}
	return nil, because(c.tree.text(e))
}

func literal(e ast.Expr) (*node, *stop) {
	switch v := e.AsLiteral().(type) {
	case types.Double:
		return constNum(float64(v)), nil
	case types.String:
		return constStr([]byte(v)), nil
	case types.Bool:
		if v {
			return constBool(True), nil
		}
		return constBool(False), nil
	}
	return nil, because("a literal")
}

func constNum(v float64) *node {
	return &node{kind: NumberType, constant: true, number: v, n: func(*Env) (float64, bool) { return v, true }}
}

func constStr(v []byte) *node {
	return &node{kind: StringType, constant: true, bytes: v, s: func(*Env) ([]byte, bool) { return v, true }}
}

func constBool(v Truth) *node {
	return &node{kind: BoolType, constant: true, truth: v, b: func(*Env) Truth { return v }}
}

func constTime(kind Type, ms int64) *node {
	return &node{kind: kind, constant: true, ms: ms, t: func(*Env) (int64, bool) { return ms, true }}
}

// foldConstant makes a constant of a node whose operands all are. What is always absent stays as it is.
func foldConstant(n *node, operands ...*node) *node {
	for _, o := range operands {
		if !o.constant {
			return n
		}
	}
	var env Env
	switch n.kind {
	case BoolType:
		if v := n.b(&env); v != Absent {
			return constBool(v)
		}
	case NumberType:
		if v, ok := n.n(&env); ok {
			return constNum(v)
		}
	case StringType:
		if v, ok := n.s(&env); ok {
			return constStr(v)
		}
	case TimeType, DurationType:
		if v, ok := n.t(&env); ok {
			return constTime(n.kind, v)
		}
	}
	return n
}

func truthOf(v bool) Truth {
	if v {
		return True
	}
	return False
}

func anyBool(b Bool) Any {
	return func(env *Env) event.Value {
		if t := b(env); t != Absent {
			return event.Value{Kind: event.Bool, Bits: uint64(t)}
		}
		return event.Value{}
	}
}

func anyNum(n Num) Any {
	return func(env *Env) event.Value {
		if v, ok := n(env); ok {
			return event.Value{Kind: event.Number, Bits: math.Float64bits(v)}
		}
		return event.Value{}
	}
}

func anyStr(s Str) Any {
	return func(env *Env) event.Value {
		if v, ok := s(env); ok {
			return event.Value{Kind: event.String, Str: v}
		}
		return event.Value{}
	}
}

func anyTime(t Time) Any {
	return func(env *Env) event.Value {
		if v, ok := t(env); ok {
			return event.Value{Kind: event.Time, Bits: uint64(v)}
		}
		return event.Value{}
	}
}
