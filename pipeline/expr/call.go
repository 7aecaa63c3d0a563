package expr

import (
	"unicode/utf8"

	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"

	"dashi/pipeline/attribute"
)

const equals = operators.Equals

// call compiles an operator or a function. Those that look at their operands before these are compiled come
// first, the rest get them compiled.
func (c *compiler) call(e ast.Expr) (*node, *stop) {
	call := e.AsCall()
	args := call.Args()
	switch name := call.FunctionName(); name {
	case operators.LogicalAnd, operators.LogicalOr:
		return c.logical(e, name)
	case operators.Conditional:
		return c.choose(args)
	case operators.Equals, operators.NotEquals, operators.Less, operators.LessEquals, operators.Greater, operators.GreaterEquals:
		return c.compare(e, name, args)
	case operators.In:
		return c.in(e, args)
	case operators.Index:
		key, s := c.expr(args[1])
		if s != nil {
			return nil, s
		}
		return c.entry(args[0], key)
	case "coalesce":
		return c.coalesce(args)
	}
	if call.IsMemberFunction() {
		args = append([]ast.Expr{call.Target()}, args...)
	}
	operands := make([]*node, len(args))
	for i, a := range args {
		n, s := c.expr(a)
		if s != nil {
			return nil, s
		}
		operands[i] = n
	}
	return c.function(e, call.FunctionName(), operands)
}

// function compiles a function of values.
func (c *compiler) function(e ast.Expr, name string, x []*node) (*node, *stop) {
	ids := c.ast.GetOverloadIDs(e.ID())
	if len(ids) != 1 {
		return nil, because(c.tree.text(e))
	}
	overload := ids[0]
	n := &node{timing: c.follow(e, x...)}
	switch overload {
	case "logical_not":
		n.kind, n.b, n.watch = BoolType, not(x[0].b), watchNot(x[0])
	case "add_double", "subtract_double", "multiply_double", "divide_double", "modulo_double", "min_double", "max_double":
		n.kind, n.n = NumberType, twoNumbers(overload, x[0].n, x[1].n)
		n.steps = stepping(overload, x[0], x[1])
	case "negate_double", "abs_double", "floor_double", "round_double":
		n.kind, n.n = NumberType, oneNumberOf(overload, x[0].n)
		if fn := oneNumberFunction(overload); overload != "abs_double" {
			n.steps = x[0].steps.then(fn)
		}
	case "add_timestamp_duration", "add_duration_timestamp", "add_duration_duration",
		"subtract_timestamp_timestamp", "subtract_timestamp_duration", "subtract_duration_duration":
		n.kind, n.t, n.timing = instants(overload, x[0], x[1])
		if overload == "subtract_timestamp_timestamp" && x[0].now {
			n.since, n.stirs = x[1].t, x[1].next != nil
		}
	case "add_string":
		n.kind, n.s = StringType, concat(x[0].s, x[1].s)
	case "lower_string":
		n.kind, n.s = StringType, lower(x[0].s)
	case "contains_string", "starts_with_string", "ends_with_string":
		n.kind, n.b = BoolType, twoStrings(name, x[0].s, x[1].s)
	case "double_to_string", "bool_to_string", "timestamp_to_string", "string_to_string":
		return printed(x[0], n.timing), nil
	default:
		return c.special(e, name, x)
	}
	return foldConstant(n, x...), nil
}

// special compiles the functions that look at what kind of operand they have.
func (c *compiler) special(e ast.Expr, name string, x []*node) (*node, *stop) {
	if _, ok := partNamed(name); ok {
		return c.clockPart(e, name, x)
	}
	switch name {
	case "size":
		return c.size(e, x[0])
	case "known":
		n := presence(x[0])
		if n == nil {
			return nil, because(c.tree.text(e))
		}
		return &node{kind: BoolType, b: n, timing: whenKnown(x[0])}, nil
	case "matches":
		return foldConstant(&node{kind: BoolType, b: matches(x[0].s, x[1].bytes), timing: c.follow(e, x[0])}, x[0]), nil
	case "favourite":
		return c.best(e, x[0], attribute.Tally, name)
	case "latest":
		return c.best(e, x[0], attribute.List, name)
	case "timestamp", "duration", "double":
		return c.parsed(e, name, x[0])
	}
	return nil, because(c.tree.text(e))
}

func (c *compiler) size(e ast.Expr, x *node) (*node, *stop) {
	n := &node{kind: NumberType, timing: c.follow(e, x)}
	switch {
	case x.kind == StringType:
		n.n = func(env *Env) (float64, bool) {
			s, ok := x.s(env)
			return float64(utf8.RuneCount(s)), ok
		}
		return foldConstant(n, x), nil
	case x.elements != nil:
		if n.n = x.elements.length(); n.n != nil {
			return n, nil
		}
	}
	return nil, because(c.tree.text(e))
}

// presence says whether a value is there, or whether a collection has elements. Nil: not compiled.
func presence(x *node) Bool {
	switch x.kind {
	case BoolType:
		return func(env *Env) Truth { return truthOf(x.b(env) != Absent) }
	case NumberType:
		return isThere(x.n)
	case StringType:
		return isThere(x.s)
	case TimeType, DurationType:
		return isThere(x.t)
	}
	n := x.elements.length()
	if n == nil {
		return nil
	}
	return func(env *Env) Truth {
		v, _ := n(env)
		return truthOf(v > 0)
	}
}

func isThere[T any](x func(*Env) (T, bool)) Bool {
	return func(env *Env) Truth {
		_, ok := x(env)
		return truthOf(ok)
	}
}

// coalesce compiles coalesce(x, y). With a constant y the result still counts as the attribute x for an
// atom: it changes with the number and with its presence, as the attribute does.
func (c *compiler) coalesce(args []ast.Expr) (*node, *stop) {
	x, s := c.operand(args[0])
	if s != nil {
		return nil, s
	}
	y, s := c.expr(args[1])
	if s != nil {
		return nil, s
	}
	n := &node{kind: x.kind, timing: fallback(x, y)}
	switch x.kind {
	case BoolType:
		n.b = func(env *Env) Truth {
			if t := x.b(env); t != Absent {
				return t
			}
			return y.b(env)
		}
	case NumberType:
		n.n = orElse(x.n, y.n)
	case StringType:
		n.s = orElse(x.s, y.s)
	default:
		n.t = orElse(x.t, y.t)
	}
	if y.constant {
		n.attr = x.attr
	} else {
		c.used(x)
	}
	return foldConstant(n, x, y), nil
}

func orElse[T any](x, y func(*Env) (T, bool)) func(*Env) (T, bool) {
	return func(env *Env) (T, bool) {
		if v, ok := x(env); ok {
			return v, true
		}
		return y(env)
	}
}

// parsed compiles timestamp, duration and double of a string that is known now.
func (c *compiler) parsed(e ast.Expr, name string, x *node) (*node, *stop) {
	if !x.constant {
		return nil, because("a string that is read as a " + name + ": " + c.tree.text(e))
	}
	switch name {
	case "timestamp":
		if ms, err := parseTime(string(x.bytes)); err == nil {
			return constTime(TimeType, ms), nil
		}
	case "duration":
		if ms, err := parseDuration(string(x.bytes)); err == nil {
			return constTime(DurationType, ms), nil
		}
	case "double":
		if v, err := parseNumber(string(x.bytes)); err == nil && finite(v) {
			return constNum(v), nil
		}
	}
	return nil, because("a string that cannot be read as a " + name + ": " + c.tree.text(e))
}
