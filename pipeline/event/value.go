package event

import (
	"math"
	"strconv"
	"unicode/utf8"
	"unsafe"
)

// token is one value as it stands in a message. Containers are tokens without text.
type token struct {
	kind   tokenKind
	flags  uint8  // of a string: hasEscape, hasHigh
	number number // of a number
	text   []byte // of a string what stands between the quotes, of others the literal
	millis int64  // of an instant
}

type tokenKind uint8

const (
	tokNull tokenKind = iota // also what is missing
	tokFalse
	tokTrue
	tokNumber
	tokString
	tokInstant // msgpack has its own type for times
	tokBytes   // msgpack too
	tokObject
	tokArray
)

var tokenNames = [...]string{"null", "bool", "bool", "number", "string", "timestamp", "bytes", "object", "array"}

func (k tokenKind) String() string { return tokenNames[k] }

// enter marks node n, of which the key has just been read. It may stand once.
func (d *Decoder) enter(n int32) {
	if d.seen[n] != 0 {
		d.reject(&Rejected{DuplicateKey, d.nodes[n].path + ": stands twice"})
	}
	d.seen[n] = 1
}

// scalar gives the token just read to everything that reads node n.
func (d *Decoder) scalar(n int32, t *token, e *Event) {
	d.enter(n)
	nd := &d.nodes[n]
	if nd.field >= 0 {
		v := &e.Values[nd.field]
		if p := d.set(v, nd.kind, t, e); p != fine {
			d.blame(n, nd.field, p, wanted[nd.kind], t)
		}
		if !nd.object && nd.array == 0 {
			return
		}
	}
	d.scalarTargets(n, t, e)
}

func (d *Decoder) scalarTargets(n int32, t *token, e *Event) {
	nd := &d.nodes[n]
	for _, to := range nd.targets {
		var v *Value
		switch to.use {
		case useSlot:
			d.slots[to.index] = *t
			d.named |= d.namespace[to.index]
			continue
		case useField:
			v = &e.Values[to.index]
		case useItem:
			items := e.Items[to.index]
			v = &items[len(items)-1]
		}
		if p := d.set(v, to.kind, t, e); p != fine {
			d.blame(n, to.index, p, wanted[to.kind], t)
		}
	}
	if t.kind != tokNull && nd.array > 0 {
		d.blame(n, everything, badType, "array", t)
	} else if t.kind != tokNull && nd.object {
		d.blame(n, everything, badType, "object", t)
	}
}

// container is scalar for objects and arrays. inside says that what is in it has to be read.
func (d *Decoder) container(n int32, kind tokenKind) (inside bool) {
	d.enter(n)
	nd := &d.nodes[n]
	t := token{kind: kind}
	if nd.field >= 0 {
		d.blame(n, nd.field, badType, wanted[nd.kind], &t)
	}
	for _, to := range nd.targets {
		if to.use == useSlot {
			d.slots[to.index] = t
			d.named |= d.namespace[to.index]
			continue
		}
		d.blame(n, to.index, badType, wanted[to.kind], &t)
	}
	switch {
	case kind == tokObject && nd.array > 0:
		d.blame(n, everything, badType, "array", &t)
		return false
	case kind == tokArray && nd.object:
		d.blame(n, everything, badType, "object", &t)
		return false
	}
	return nd.object || nd.array > 0 && kind == tokArray
}

// item begins the next element of array a: one Absent value per repeated field. One element too many takes the place
// of the last: either the message is lost anyway, or the array is emptied.
func (d *Decoder) item(a int32, e *Event) {
	n := d.arrayNodes[a]
	clear(d.seen[n:d.nodes[n].end])
	if e.Lens[a] >= d.limits.Items {
		d.blame(n, a, tooMany, "", &token{})
		if e.Lens[a] > 0 {
			return
		}
	}
	e.Lens[a]++
	for _, f := range d.arrays[a] {
		e.Items[f] = append(e.Items[f], Value{})
	}
}

// set converts a scalar token to a value.
func (d *Decoder) set(v *Value, kind Kind, t *token, e *Event) problem {
	if t.kind == tokNull {
		return fine
	}
	if t.kind > tokInstant {
		return badType
	}
	switch kind {
	case String:
		return d.setString(v, t, e)
	case Number:
		return d.setNumber(v, t, e)
	case Time:
		return d.setTime(v, t, e)
	}
	return d.setBool(v, t, e)
}

func (d *Decoder) setString(v *Value, t *token, e *Event) problem {
	if t.kind == tokInstant {
		return badType
	}
	text, p := d.text(t, e)
	if p == fine {
		v.Kind, v.Str = String, text
	}
	return p
}

func (d *Decoder) setNumber(v *Value, t *token, e *Event) problem {
	n, text := t.number, t.text
	switch t.kind {
	case tokNumber:
	case tokString:
		var p problem
		if text, p = d.text(t, e); p != fine {
			return p
		}
		if len(text) == 0 {
			return badText
		}
		end := 0
		if end, n = scanNumber(text, 0); end != len(text) {
			return badText
		}
	default:
		return badType
	}
	f, ok := n.float(text)
	if !ok {
		return infinite
	}
	v.Kind, v.Bits = Number, math.Float64bits(f)
	return fine
}

func (d *Decoder) setTime(v *Value, t *token, e *Event) problem {
	ms, p := d.millis(t, e)
	if p == fine {
		v.Kind, v.Bits = Time, uint64(ms)
	}
	return p
}

func (d *Decoder) setBool(v *Value, t *token, e *Event) problem {
	truth := t.kind == tokTrue
	switch t.kind {
	case tokTrue, tokFalse:
	case tokString:
		text, p := d.text(t, e)
		if p != fine {
			return p
		}
		if truth = string(text) == "true"; !truth && string(text) != "false" {
			return badText
		}
	default:
		return badType
	}
	v.Kind, v.Bits = Bool, 0
	if truth {
		v.Bits = 1
	}
	return fine
}

// text is the text of a string with its escapes resolved, or the literal of a number or bool.
func (d *Decoder) text(t *token, e *Event) ([]byte, problem) {
	if t.flags == 0 && len(t.text) <= d.limits.StringBytes {
		return t.text, fine
	}
	return d.unusualText(t, e)
}

func (d *Decoder) unusualText(t *token, e *Event) ([]byte, problem) {
	text := t.text
	if t.flags&hasHigh != 0 && !utf8.Valid(text) {
		return nil, badUTF8
	}
	if t.flags&hasEscape != 0 {
		begin := len(e.scratch)
		e.scratch = unescape(e.scratch, text)
		text = e.scratch[begin:len(e.scratch):len(e.scratch)]
	}
	if len(text) > d.limits.StringBytes {
		return nil, tooLong
	}
	return text, fine
}

// The times that fit a year of four digits; RFC 3339 has no others.
const (
	minMillis = -62_167_219_200_000 // 0000-01-01
	maxMillis = 253_402_300_799_999 // 9999-12-31
)

// millisFrom is where numbers begin to mean milliseconds: 1e11 seconds are the year 5138, 1e11 ms are March 1973.
const millisFrom = 1e11

// millis is the instant that a token means.
func (d *Decoder) millis(t *token, e *Event) (int64, problem) {
	switch t.kind {
	case tokInstant:
		return t.millis, fine
	case tokString:
		text, p := d.text(t, e)
		if p != fine {
			return 0, p
		}
		if ms, ok := parseTime(text); ok {
			return ms, fine
		}
		return 0, badText
	case tokNumber:
		f, ok := t.number.float(t.text)
		if !ok {
			return 0, infinite
		}
		if f > -millisFrom && f < millisFrom {
			// To the nearest, since 0.123 s is not exact in binary.
			f = math.Floor(float64(f*1000) + 0.5)
		}
		if f = math.Floor(f); f < minMillis || f > maxMillis {
			return 0, badText
		}
		return int64(f), fine
	}
	return 0, badType
}

// Powers of ten that float64 holds exactly.
var pow10 = [...]float64{1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11,
	1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22}

// float is the float64 nearest to the number that text spells, as strconv has it; not ok when it is infinite. When mantissa
// and power of ten are both exact one operation rounds once, so it is correct (Clinger, "How to read floating
// point numbers accurately").
func (n *number) float(text []byte) (f float64, ok bool) {
	if n.exact && n.mant < 1<<53 && n.exp >= -22 && n.exp <= 22 {
		f = float64(n.mant)
		if n.exp < 0 {
			f /= pow10[-n.exp]
		} else {
			f *= pow10[n.exp]
		}
		if n.neg {
			f = -f
		}
		return f, true
	}
	// ParseFloat does not keep the string, except in its error, which we drop.
	f, err := strconv.ParseFloat(unsafe.String(unsafe.SliceData(text), len(text)), 64)
	return f, err == nil
}
