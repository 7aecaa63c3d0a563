package event

import (
	"fmt"
	"math"
	"math/bits"
	"time"

	"dashi/pipeline/identity"
	"dashi/pipeline/say"
)

// finish makes the head of the event from the slots.
func (d *Decoder) finish(fallbackMillis int64, e *Event) *Rejected {
	r := d.eventType(e)
	if len(d.faults) > 0 {
		if f := d.fault(r != nil, e); f != nil {
			return f
		}
	}
	if r != nil {
		return r
	}
	if r := d.messageID(e); r != nil {
		return r
	}
	if r := d.eventTime(fallbackMillis, e); r != nil {
		return r
	}
	if len(d.schema.Locations) > 0 {
		d.locate(e)
	}
	return d.identifiers(e)
}

// locate fills the fields that say where the event was.
func (d *Decoder) locate(e *Event) {
	for i := range d.schema.Locations {
		l := &d.schema.Locations[i]
		latitude, longitude := &e.Values[l.Latitude], &e.Values[l.Longitude]
		if latitude.Kind != Number || longitude.Kind != Number {
			continue
		}
		if id := l.Find(math.Float64frombits(latitude.Bits), math.Float64frombits(longitude.Bits)); id != nil {
			e.Values[l.Field] = Value{Kind: String, Str: id}
		}
	}
}

// slotText is the text of a slot that must be a string. Missing, null and "" are nil.
func (d *Decoder) slotText(slot int32, e *Event) ([]byte, *Rejected) {
	t := &d.slots[slot]
	switch t.kind {
	case tokNull:
		return nil, nil
	case tokString:
		text, p := d.text(t, e)
		if p != fine {
			return nil, d.explain(p, d.slotPaths[slot], "string", t)
		}
		return text, nil
	}
	return nil, d.explain(badType, d.slotPaths[slot], "string", t)
}

// eventType: the event of a track call is its event name, of other calls the call itself.
func (d *Decoder) eventType(e *Event) *Rejected {
	call, r := d.slotText(slotType, e)
	if r != nil {
		return r
	}
	switch string(call) {
	case "track":
		name, r := d.slotText(slotEvent, e)
		if r != nil {
			return r
		}
		if len(name) == 0 {
			return &Rejected{NoType, "event: a track call needs an event name"}
		}
		e.Name = name
	case "identify", "page", "screen", "group", "alias":
		e.Name = call
	case "":
		return &Rejected{NoType, "type: missing; want track, identify, page, screen, group or alias"}
	default:
		return &Rejected{NoType, "type: want track, identify, page, screen, group or alias, got " + quote(call)}
	}
	e.Type = d.names.find(e.Name)
	return nil
}

func (d *Decoder) messageID(e *Event) *Rejected {
	id, r := d.slotText(slotMessageID, e)
	if r == nil && len(id) > 0 {
		e.ID = hashID(id)
	}
	return r
}

func (d *Decoder) eventTime(fallbackMillis int64, e *Event) *Rejected {
	e.Time = fallbackMillis
	path := "time of the record"
	for _, slot := range [...]int{slotTimestamp, slotOriginal} {
		t := &d.slots[slot]
		if t.kind == tokNull || t.kind == tokString && len(t.text) == 0 {
			continue
		}
		path = d.slotPaths[slot]
		ms, p := d.millis(t, e)
		if p != fine {
			r := d.explain(p, path, wanted[Time], t)
			if p == badType || p == badText || p == infinite {
				r.Reason = BadTime
			}
			return r
		}
		e.Time = ms
		break
	}
	if e.Time < 0 {
		return &Rejected{BadTime, path + ": before 1970"}
	}
	if e.Time-d.limits.FutureMillis > fallbackMillis {
		ahead := time.Duration(min((e.Time-fallbackMillis)/1000, math.MaxInt64/int64(time.Second))) * time.Second
		return &Rejected{BadTime, fmt.Sprintf("%s: %s ahead of the record that brought it, which may be %s", path, say.Span(ahead), say.Span(time.Duration(d.limits.FutureMillis)*time.Millisecond))}
	}
	return nil
}

func (d *Decoder) identifiers(e *Event) *Rejected {
	for left := d.named; left != 0; left &= left - 1 {
		ns := bits.TrailingZeros64(left)
		for _, slot := range d.identifier[ns] {
			if d.slots[slot].kind == tokNull {
				continue
			}
			value, r := d.identifierValue(ns, slot, e)
			if r != nil {
				return r
			}
			if len(value) > 0 {
				e.Identifiers = append(e.Identifiers, Identifier{Namespace: uint8(ns), Value: value})
				break
			}
		}
	}
	if len(e.Identifiers) == 0 {
		return &Rejected{NoIdentifier, "none of the namespaces of the cookbook has a value"}
	}
	strongest := &e.Identifiers[0]
	e.Hash = identity.Hash(d.schema.Namespaces[strongest.Namespace].Name, strongest.Value)
	return nil
}

// identifierValue is the canonical form of what a slot holds, or nothing. The slot is not empty.
func (d *Decoder) identifierValue(ns int, slot int32, e *Event) ([]byte, *Rejected) {
	t := &d.slots[slot]
	if t.kind != tokString && (t.kind != tokNumber || !t.number.integer) {
		return nil, d.explain(badType, d.slotPaths[slot], "string or whole number", t)
	}
	value, p := d.text(t, e)
	if p != fine {
		return nil, d.explain(p, d.slotPaths[slot], "string or whole number", t)
	}
	if len(value) == 0 {
		return nil, nil
	}
	if normalise := d.schema.Namespaces[ns].Normalise; normalise != nil {
		begin := len(e.scratch)
		out, ok := normalise(e.scratch, value)
		if !ok {
			return nil, nil
		}
		e.scratch = out
		value = out[begin:len(out):len(out)]
	}
	if len(value) > d.limits.IdentifierBytes {
		return nil, &Rejected{TooLarge, fmt.Sprintf("%s: %d bytes; an identifier has at most %d", d.slotPaths[slot], len(value), d.limits.IdentifierBytes)}
	}
	return value, nil
}

// typeTable finds the code of an event type: open addressing, at most half full.
type typeTable struct {
	types []string
	table []int32
}

func newTypeTable(types []string) typeTable {
	size := 8
	for size < 2*len(types) {
		size *= 2
	}
	t := typeTable{types: types, table: make([]int32, size)}
	for i := range types {
		if t.find([]byte(types[i])) != 0 {
			panic(fmt.Sprintf("BUG: schema names type %q twice", types[i]))
		}
		slot := keyHash(0, []byte(types[i]))
		for t.table[slot&uint32(size-1)] != 0 {
			slot++
		}
		t.table[slot&uint32(size-1)] = int32(i + 1)
	}
	return t
}

// find returns 1 + the index of name, or 0.
func (t *typeTable) find(name []byte) int {
	for slot := keyHash(0, name); ; slot++ {
		code := t.table[slot&uint32(len(t.table)-1)]
		if code == 0 || t.types[code-1] == string(name) {
			return int(code)
		}
	}
}
