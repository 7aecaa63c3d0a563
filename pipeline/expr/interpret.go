package expr

import (
	"strconv"
	"time"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/interpreter"

	"dashi/pipeline/attribute"
	"dashi/pipeline/event"
)

// interpret puts cel-go's interpreter behind the closures of a node. It runs the whole expression; it is the
// fallback for what is not compiled, and the oracle of what is.
func (c *compiler) interpret(options ...cel.ProgramOption) (*node, *Error) {
	program, err := c.env.Program(c.checked, options...)
	if err != nil {
		return nil, &Error{Line: 1, Column: 1, Message: "cannot run the expression: " + err.Error()}
	}
	readers := make([]reader, len(c.vars))
	for i, v := range c.vars {
		if readers[i], err = c.reader(v); err != nil {
			return nil, &Error{Line: 1, Column: 1, Message: err.Error()}
		}
	}
	run := func(env *Env) ref.Val {
		v, _, err := program.Eval(&activation{env: env, readers: readers})
		if err != nil {
			return notThere
		}
		return v
	}
	n := &node{kind: c.result()}
	switch n.kind {
	case BoolType:
		n.b = func(env *Env) Truth {
			if v, ok := run(env).(types.Bool); ok {
				return truthOf(bool(v))
			}
			return Absent
		}
	case NumberType:
		n.n = func(env *Env) (float64, bool) {
			v, ok := run(env).(types.Double)
			return float64(v), ok && finite(float64(v))
		}
	case StringType:
		n.s = func(env *Env) ([]byte, bool) {
			v, ok := run(env).(types.String)
			return []byte(v), ok
		}
	case TimeType:
		n.t = func(env *Env) (int64, bool) {
			v, ok := run(env).(types.Timestamp)
			if !ok {
				return 0, false
			}
			return v.UnixMilli(), inTime(v.UnixMilli())
		}
	case DurationType:
		n.t = func(env *Env) (int64, bool) {
			v, ok := run(env).(types.Duration)
			if !ok {
				return 0, false
			}
			return v.Milliseconds(), true
		}
	}
	return n, nil
}

// reader makes a value for cel-go of what a variable reads; nil when it is absent.
type reader func(*Env) ref.Val

// activation shows an Env to cel-go under the names of the variables.
type activation struct {
	env     *Env
	readers []reader
}

func (a *activation) Parent() interpreter.Activation { return nil }

func (a *activation) ResolveName(name string) (any, bool) {
	if len(name) < 2 || name[0] != '@' {
		return nil, false
	}
	i, err := strconv.Atoi(name[1:])
	if err != nil || i >= len(a.readers) {
		return nil, false
	}
	v := a.readers[i](a.env)
	return v, v != nil
}

// reader compiles a variable for the activation.
func (c *compiler) reader(v *variable) (reader, error) {
	n, s := (&compiler{tree: c.tree, vars: c.vars}).read(v)
	if s != nil {
		return nil, s.err
	}
	switch n.kind {
	case BoolType:
		return func(env *Env) ref.Val {
			if t := n.b(env); t != Absent {
				return types.Bool(t == True)
			}
			return nil
		}, nil
	case NumberType:
		return func(env *Env) ref.Val {
			if x, ok := n.n(env); ok {
				return types.Double(x)
			}
			return nil
		}, nil
	case StringType:
		return func(env *Env) ref.Val {
			if x, ok := n.s(env); ok {
				return types.String(x)
			}
			return nil
		}, nil
	case TimeType:
		return func(env *Env) ref.Val {
			if x, ok := n.t(env); ok {
				return timestamp(x)
			}
			return nil
		}, nil
	}
	if n.elements.cell == nil {
		return itemsReader(n.elements), nil
	}
	return attributeReader(n.elements), nil
}

func timestamp(ms int64) types.Timestamp { return types.Timestamp{Time: time.UnixMilli(ms).UTC()} }

// itemsReader makes a list of an array of the event, without its nulls.
func itemsReader(l *elements) reader {
	return func(env *Env) ref.Val {
		out := []ref.Val{}
		for i := range l.items(env) {
			v := &l.items(env)[i]
			if v.Kind != l.value {
				continue
			}
			switch v.Kind {
			case event.Bool:
				out = append(out, types.Bool(v.Bits != 0))
			case event.Number:
				if x, ok := numValue(v); ok {
					out = append(out, types.Double(x))
				}
			case event.String:
				out = append(out, types.String(v.Str))
			case event.Time:
				if x, ok := timeValue(v); ok {
					out = append(out, timestamp(x))
				}
			}
		}
		return types.DefaultTypeAdapter.NativeToValue(out)
	}
}

// attributeReader makes a list or a map of a set, list or tally.
func attributeReader(l *elements) reader {
	return func(env *Env) ref.Val {
		elements := l.cell.elements(env)
		best := func() ref.Val { return optional(l.cell.str(env)) }
		if l.of == attribute.Tally {
			return newTallyValue(elements, best)
		}
		out := []ref.Val{}
		for elements.Next() {
			out = append(out, types.String(elements.Value))
		}
		return &listValue{Lister: types.NewRefValList(types.DefaultTypeAdapter, out), newest: best}
	}
}

func optional(s []byte, ok bool) ref.Val {
	if !ok {
		return notThere
	}
	return types.String(s)
}
