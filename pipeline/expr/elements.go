package expr

import (
	"cel.dev/cel-go/common/ast"

	"dashi/pipeline/attribute"
	"dashi/pipeline/event"
)

// elements is a set, tally or list: an attribute's (cell), an event's (field) or one that is written out.
type elements struct {
	cell *cell
	of   attribute.Type // Set, Tally or List; 0 for the others

	field int
	value event.Kind // of the elements of a field; Absent for the others

	written []*node
}

// items are the elements of a repeated field.
func (l *elements) items(env *Env) []event.Value {
	if env.Event == nil || l.field >= len(env.Event.Items) {
		return nil
	}
	return env.Event.Items[l.field]
}

// length counts the elements. Nulls in an event's array do not count.
func (l *elements) length() Num {
	switch {
	case l.cell != nil:
		at := l.cell
		return func(env *Env) (float64, bool) {
			fixed, segment := at.state(env)
			return float64(at.kind.Len(fixed, segment, env.Now)), true
		}
	case l.written == nil:
		return func(env *Env) (float64, bool) {
			n := 0
			for i := range l.items(env) {
				if l.items(env)[i].Kind == l.value {
					n++
				}
			}
			return float64(n), true
		}
	}
	return nil
}

// list compiles a list that is written out.
func (c *compiler) list(e ast.Expr) (*node, *stop) {
	l := &elements{written: []*node{}}
	for _, x := range e.AsList().Elements() {
		n, s := c.expr(x)
		if s != nil {
			return nil, s
		}
		if n.elements != nil {
			return nil, because("a list of lists: " + c.tree.text(e))
		}
		l.written = append(l.written, n)
	}
	return &node{kind: ListType, elements: l}, nil
}

// in compiles x in list. The left side is evaluated first.
func (c *compiler) in(e ast.Expr, args []ast.Expr) (*node, *stop) {
	x, s := c.expr(args[0])
	if s != nil {
		return nil, s
	}
	list, s := c.keyed(args[1], x)
	if s != nil {
		return nil, s
	}
	l := list.elements
	n := &node{kind: BoolType, timing: c.follow(e, x, list)}
	switch {
	case l == nil:
		return nil, because(c.tree.text(args[1]))
	case l.cell != nil && x.kind == StringType:
		n.b = member(l.cell, l.of == attribute.Tally, x.s)
	case l.written != nil:
		return c.inWritten(e, x, l.written), nil
	case x.elements == nil && x.kind != DurationType:
		n.b = inItems(x, l)
	default:
		return nil, because(c.tree.text(e))
	}
	return n, nil
}

// keyed compiles a set, tally or list of which nothing but element key is asked. When the key is constant, no other element
// matters.
func (c *compiler) keyed(e ast.Expr, key *node) (*node, *stop) {
	was := len(c.coarse)
	n, s := c.expr(e)
	if s == nil && key.constant && key.kind == StringType && n.elements != nil && n.elements.cell != nil && len(c.coarse) == was+1 {
		c.keys = append(c.keys, Key{Attribute: c.coarse[was], Key: string(key.bytes)})
		c.coarse = c.coarse[:was]
	}
	return n, s
}

// member asks an attribute for one element. A tally has every key that it has seen, whatever its number.
func member(at *cell, tally bool, x Str) Bool {
	return func(env *Env) Truth {
		key, ok := x(env)
		if !ok {
			return Absent
		}
		fixed, segment := at.state(env)
		v, found := at.kind.Find(fixed, segment, key, env.Now)
		return truthOf(found && (tally || v != 0))
	}
}

// inItems looks through an array of the event.
func inItems(x *node, l *elements) Bool {
	switch x.kind {
	case StringType:
		return anyItem(x.s, l, strValue, func(a, b []byte) bool { return string(a) == string(b) })
	case NumberType:
		return anyItem(x.n, l, numValue, func(a, b float64) bool { return a == b })
	case TimeType:
		return anyItem(x.t, l, timeValue, func(a, b int64) bool { return a == b })
	}
	return anyItem(present(x.b), l, func(v *event.Value) (Truth, bool) {
		t := boolValue(v)
		return t, t != Absent
	}, func(a, b Truth) bool { return a == b })
}

func present(b Bool) func(*Env) (Truth, bool) {
	return func(env *Env) (Truth, bool) {
		t := b(env)
		return t, t != Absent
	}
}

func anyItem[T any](x func(*Env) (T, bool), l *elements, read func(*event.Value) (T, bool), same func(a, b T) bool) Bool {
	return func(env *Env) Truth {
		want, ok := x(env)
		if !ok {
			return Absent
		}
		items := l.items(env)
		for i := range items {
			if v, ok := read(&items[i]); ok && same(v, want) {
				return True
			}
		}
		return False
	}
}

// inWritten looks through a list that is written out. All constants: a look-up; otherwise every element is
// evaluated, and one that is absent makes the outcome absent, as in CEL.
func (c *compiler) inWritten(e ast.Expr, x *node, list []*node) *node {
	n := &node{kind: BoolType, timing: c.writtenTiming(e, x, list)}
	constant := true
	for _, o := range list {
		constant = constant && o.constant
	}
	switch {
	case constant && x.kind == StringType:
		n.b = inStrings(x.s, list)
	case constant && x.kind == NumberType:
		n.b = inNumbers(x.n, list)
	default:
		n.b = inClosures(x, list)
	}
	return foldConstant(n, append([]*node{x}, list...)...)
}

// writtenTiming is the timing of x in [...]: for times and durations that of the comparisons with each.
func (c *compiler) writtenTiming(e ast.Expr, x *node, list []*node) timing {
	if x.kind != TimeType && x.kind != DurationType {
		return c.follow(e, append([]*node{x}, list...)...)
	}
	var tests []*node
	for _, o := range list {
		tests = append(tests, &node{kind: BoolType, timing: crossing(equals, x, o)})
	}
	return c.follow(e, tests...)
}

// fewStrings is up to how many strings one after another are compared faster than hashed.
const fewStrings = 6

func inStrings(x Str, list []*node) Bool {
	names := make([]string, len(list))
	index := make(map[string]struct{}, len(list))
	for i, e := range list {
		names[i] = string(e.bytes)
		index[names[i]] = struct{}{}
	}
	if len(names) <= fewStrings {
		return func(env *Env) Truth {
			s, ok := x(env)
			if !ok {
				return Absent
			}
			for _, name := range names {
				if string(s) == name {
					return True
				}
			}
			return False
		}
	}
	return func(env *Env) Truth {
		s, ok := x(env)
		if !ok {
			return Absent
		}
		_, found := index[string(s)]
		return truthOf(found)
	}
}

func inNumbers(x Num, list []*node) Bool {
	values := make([]float64, len(list))
	for i, e := range list {
		values[i] = e.number
	}
	return func(env *Env) Truth {
		v, ok := x(env)
		if !ok {
			return Absent
		}
		for _, w := range values {
			if v == w {
				return True
			}
		}
		return False
	}
}

func inClosures(x *node, list []*node) Bool {
	tests := make([]Bool, len(list))
	for i, o := range list {
		tests[i] = equal(x, o)
	}
	here := presence(x)
	return func(env *Env) Truth {
		if here(env) == False {
			return Absent
		}
		out := False
		for _, t := range tests {
			switch t(env) {
			case Absent:
				return Absent
			case True:
				out = True
			}
		}
		return out
	}
}

// equal compares two nodes of one scalar type.
func equal(a, b *node) Bool {
	switch a.kind {
	case NumberType:
		return compareNumbers(equals, a, b)
	case StringType:
		return sameString(a, b, true)
	case BoolType:
		return sameTruth(a.b, b.b, true)
	}
	return compareTimes(equals, a, b)
}

// entry compiles tally[key]: 0 for a key that is not there.
func (c *compiler) entry(operand ast.Expr, key *node) (*node, *stop) {
	t, s := c.keyed(operand, key)
	if s != nil {
		return nil, s
	}
	if t.elements == nil || t.elements.of != attribute.Tally || key.kind != StringType {
		return nil, because("an element of " + c.tree.text(operand))
	}
	at, k := t.elements.cell, key.s
	return &node{kind: NumberType, timing: c.follow(operand, t, key), n: func(env *Env) (float64, bool) {
		name, ok := k(env)
		if !ok {
			return 0, false
		}
		fixed, segment := at.state(env)
		v, found := at.kind.Find(fixed, segment, name, env.Now)
		if !found {
			return 0, true
		}
		return v, finite(v)
	}}, nil
}

// best compiles favourite(tally) and latest(list).
func (c *compiler) best(e ast.Expr, x *node, want attribute.Type, name string) (*node, *stop) {
	if x.elements == nil || x.elements.of != want {
		return nil, &stop{err: c.tree.fail(e, "`"+name+"` works on an attribute that is a "+want.String()+": `"+c.tree.text(e)+"`", "")}
	}
	return &node{kind: StringType, s: x.elements.cell.str, timing: x.timing}, nil
}
