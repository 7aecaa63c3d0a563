package expr

import (
	"encoding/binary"
	"math"

	"dashi/pipeline/attribute"
	"dashi/pipeline/event"
)

// read compiles a variable.
func (c *compiler) read(v *variable) (*node, *stop) {
	n := &node{kind: v.kind}
	switch v.source {
	case fromNow:
		n.now, n.timing = true, nowTiming()
		n.t = func(env *Env) (int64, bool) { return env.Now, inTime(env.Now) }
	case fromTime:
		n.t = func(env *Env) (int64, bool) {
			if env.Event == nil {
				return 0, false
			}
			return env.Event.Time, inTime(env.Event.Time)
		}
	case fromType:
		n.s = func(env *Env) ([]byte, bool) {
			if env.Event == nil {
				return nil, false
			}
			return env.Event.Name, true
		}
	case fromField:
		n.field = 1 + v.index
		fieldClosures(n, v.index)
	case fromItem:
		n.item = 1 + v.index
		itemClosures(n, v.index)
	case fromList:
		n.elements = &elements{field: v.index, value: v.value}
	case fromAudience:
		n.b = readAudience(v.index)
	case fromPurpose:
		n.b = readPurpose(v.index)
	case fromLevel:
		n.n = func(env *Env) (float64, bool) {
			if v.index >= len(env.Levels) {
				return 0, false
			}
			level := env.Levels[v.index]
			return level, finite(level)
		}
	case fromAttribute:
		return c.readAttribute(n, v.attr)
	}
	return n, nil
}

func inTime(ms int64) bool     { return ms >= minTime && ms <= maxTime }
func inDuration(ms int64) bool { return ms >= -maxDuration && ms <= maxDuration }

func readAudience(i int) Bool {
	word, bit := i>>6, uint64(1)<<(i&63)
	return func(env *Env) Truth {
		return truthOf(word < len(env.Audiences) && env.Audiences[word]&bit != 0)
	}
}

func readPurpose(i int) Bool {
	at := 8 * i
	return func(env *Env) Truth {
		return truthOf(len(env.Consent) >= at+8 && binary.LittleEndian.Uint64(env.Consent[at:])&1 == 1)
	}
}

// field is the value of a plain field; nil without an event.
func field(env *Env, i int) *event.Value {
	if env.Event == nil {
		return nil
	}
	return &env.Event.Values[i]
}

// item is a field of the element Env.Item; nil when there is none.
func item(env *Env, i int) *event.Value {
	if env.Event == nil || uint(env.Item) >= uint(len(env.Event.Items[i])) {
		return nil
	}
	return &env.Event.Items[i][env.Item]
}

func boolValue(v *event.Value) Truth {
	if v == nil || v.Kind != event.Bool {
		return Absent
	}
	return truthOf(v.Bits != 0)
}

func numValue(v *event.Value) (float64, bool) {
	if v == nil || v.Kind != event.Number {
		return 0, false
	}
	f := math.Float64frombits(v.Bits)
	return f, finite(f)
}

func strValue(v *event.Value) ([]byte, bool) {
	if v == nil || v.Kind != event.String {
		return nil, false
	}
	return v.Str, true
}

func timeValue(v *event.Value) (int64, bool) {
	if v == nil || v.Kind != event.Time {
		return 0, false
	}
	return int64(v.Bits), inTime(int64(v.Bits))
}

func fieldClosures(n *node, i int) {
	switch n.kind {
	case BoolType:
		n.b = func(env *Env) Truth { return boolValue(field(env, i)) }
	case NumberType:
		n.n = func(env *Env) (float64, bool) { return numValue(field(env, i)) }
	case StringType:
		n.s = func(env *Env) ([]byte, bool) { return strValue(field(env, i)) }
	case TimeType:
		n.t = func(env *Env) (int64, bool) { return timeValue(field(env, i)) }
	}
}

func itemClosures(n *node, i int) {
	switch n.kind {
	case BoolType:
		n.b = func(env *Env) Truth { return boolValue(item(env, i)) }
	case NumberType:
		n.n = func(env *Env) (float64, bool) { return numValue(item(env, i)) }
	case StringType:
		n.s = func(env *Env) ([]byte, bool) { return strValue(item(env, i)) }
	case TimeType:
		n.t = func(env *Env) (int64, bool) { return timeValue(item(env, i)) }
	}
}

// cell finds the state of one attribute in an Env.
type cell struct {
	kind         attribute.Kind
	start, end   int
	segment      int
	nothing      []byte // the zero state, for an Env without a profile; never written
	usesSegments bool
}

func newCell(a *AttributeRef) *cell {
	size := a.Kind.FixedSize()
	return &cell{
		kind: a.Kind, start: a.Slot.Offset, end: a.Slot.Offset + size, segment: a.Slot.Segment,
		nothing: make([]byte, size), usesSegments: a.Kind.HasSegment() && a.Slot.Segment >= 0,
	}
}

func (c *cell) state(env *Env) (fixed, segment []byte) {
	if len(env.State.Fixed) < c.end {
		return c.nothing, nil
	}
	if c.usesSegments && len(env.State.Dir) >= 4*c.segment+4 {
		segment = env.State.Segment(c.segment)
	}
	return env.State.Fixed[c.start:c.end:c.end], segment
}

func (c *cell) num(env *Env) (float64, bool) {
	fixed, segment := c.state(env)
	v, ok := c.kind.Num(fixed, segment, env.Now)
	return v, ok && finite(v)
}

func (c *cell) str(env *Env) ([]byte, bool) {
	fixed, segment := c.state(env)
	return c.kind.Str(fixed, segment, env.Now)
}

func (c *cell) elements(env *Env) attribute.Elements {
	fixed, segment := c.state(env)
	return c.kind.Elements(fixed, segment, env.Now)
}

// readAttribute compiles an attribute, stored or derived.
func (c *compiler) readAttribute(n *node, a *AttributeRef) (*node, *stop) {
	if a.Kind == nil {
		c.coarse = append(c.coarse, a.Reads...)
		if o := a.Clock.n; o != nil {
			n.timing, n.steps, n.calendar = o.timing, o.steps, o.calendar
		}
		return derived(n, a), nil
	}
	at := newCell(a)
	if timed := a.Timed; timed != nil {
		// Its next change may become another one while its value stays: no atom says when to evaluate again.
		c.coarse = append(c.coarse, a.Index)
		n.next = still(func(env *Env) int64 {
			fixed, segment := at.state(env)
			return timed.NextChange(fixed, segment, env.Now)
		})
	}
	switch n.kind {
	case NumberType:
		n.n, n.attr, n.cell = at.num, 1+a.Index, at
	case TimeType:
		n.t, n.attr = milliseconds(at.num), 1+a.Index
	case StringType:
		c.coarse = append(c.coarse, a.Index)
		n.s = at.str
	case BoolType:
		c.coarse = append(c.coarse, a.Index)
		n.b = func(env *Env) Truth {
			fixed, segment := at.state(env)
			v, ok := at.kind.Truth(fixed, segment, env.Now)
			if !ok {
				return Absent
			}
			return truthOf(v)
		}
	default:
		c.coarse = append(c.coarse, a.Index)
		n.elements = &elements{cell: at, of: a.Type}
	}
	return n, nil
}

// milliseconds makes a time of a number, where it is one.
func milliseconds(n Num) Time {
	return func(env *Env) (int64, bool) {
		v, ok := n(env)
		if !ok || v < minTime || v > maxTime {
			return 0, false
		}
		return int64(v), true
	}
}

func derived(n *node, a *AttributeRef) *node {
	num := a.Num
	if num != nil && len(a.Audiences) == 0 { // those may flip from one expression to the next
		num = rememberNum(a.Index, num)
		n.next = rememberChange(a.Index, n.next)
	}
	switch n.kind {
	case NumberType:
		n.n = func(env *Env) (float64, bool) {
			v, ok := num(env)
			return v, ok && finite(v)
		}
	case TimeType:
		n.t = milliseconds(num)
	case StringType:
		n.s = a.Str
	case BoolType:
		n.b = a.Truth
	}
	return n
}
