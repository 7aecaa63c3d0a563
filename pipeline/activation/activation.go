package activation

import (
	"cmp"
	"encoding/binary"
	"encoding/json"
	"strconv"
	"time"

	"dashi/pipeline/attribute"

	"github.com/cespare/xxhash/v2"
)

// Transition says what happened.
type Transition string

// The transitions.
const (
	Enter  Transition = "enter"
	Exit   Transition = "exit"
	Change Transition = "change" // an attribute has another value
	Event  Transition = "event"  // an event matched
)

// Identifier is one identifier of the profile.
type Identifier struct {
	Namespace string
	Value     []byte
}

// Activation is one event that leaves dashi because something changed. Everything aliases the caller's memory.
type Activation struct {
	Name        string // of the activation in the recipe; the audience's own name for its transitions
	Audience    string // for Enter and Exit
	Attribute   string // for Change
	Type        []byte // for Event: the event's type
	Transition  Transition
	Identifiers []Identifier // the first is the profile's id
	Sequence    uint32       // counts the activations of this profile, from 1
	Cookbook    uint64
	EventTime   int64 // of the event that caused it, milliseconds
	At          int64 // the shard's clock, milliseconds
	// Attributes appends the members of the "attributes" object, without braces; nil leaves it out.
	Attributes func(dst []byte) []byte
}

// AppendID appends the id that the same activation has whenever and wherever it is computed again: 128 bits
// in hex over the profile, the name, the transition, the event time and the sequence.
func (a *Activation) AppendID(dst []byte) []byte {
	var scratch [256]byte
	b := append(scratch[:0], a.Identifiers[0].Namespace...)
	b = append(b, 0)
	b = append(b, a.Identifiers[0].Value...)
	b = append(b, 0)
	b = append(b, a.Name...)
	b = append(b, 0)
	b = append(b, a.Transition...)
	b = binary.LittleEndian.AppendUint64(b, uint64(a.EventTime))
	b = binary.LittleEndian.AppendUint32(b, a.Sequence)
	high := xxhash.Sum64(b)
	low := xxhash.Sum64(binary.LittleEndian.AppendUint64(b, high))
	return appendHex(appendHex(dst, high), low)
}

func appendHex(dst []byte, v uint64) []byte {
	const digits = "0123456789abcdef"
	for shift := 60; shift >= 0; shift -= 4 {
		dst = append(dst, digits[v>>shift&15])
	}
	return dst
}

// AppendJSON appends the activation as it leaves:
// {"id","profile","identifiers":[{"namespace","value"}],"activation","audience"|"attribute"|"type","transition",
// "sequence","cookbook","event_time","at","attributes":{}}.
func (a *Activation) AppendJSON(dst []byte) []byte {
	dst = append(dst, `{"id":"`...)
	dst = a.AppendID(dst)
	dst = append(dst, `","profile":`...)
	dst = attribute.AppendQuotedID(dst, a.Identifiers[0].Namespace, a.Identifiers[0].Value)
	dst = append(dst, `,"identifiers":[`...)
	for i, id := range a.Identifiers {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(dst, `{"namespace":`...)
		dst = attribute.AppendQuoted(dst, []byte(id.Namespace))
		dst = append(dst, `,"value":`...)
		dst = attribute.AppendQuoted(dst, id.Value)
		dst = append(dst, '}')
	}
	dst = append(dst, `],"activation":`...)
	dst = attribute.AppendQuoted(dst, []byte(a.Name))
	switch {
	case a.Audience != "":
		dst = append(dst, `,"audience":`...)
		dst = attribute.AppendQuoted(dst, []byte(a.Audience))
	case a.Attribute != "":
		dst = append(dst, `,"attribute":`...)
		dst = attribute.AppendQuoted(dst, []byte(a.Attribute))
	case a.Type != nil:
		dst = append(dst, `,"type":`...)
		dst = attribute.AppendQuoted(dst, a.Type)
	}
	dst = append(dst, `,"transition":"`...)
	dst = append(dst, a.Transition...)
	dst = append(dst, `","sequence":`...)
	dst = strconv.AppendUint(dst, uint64(a.Sequence), 10)
	dst = append(dst, `,"cookbook":"`...)
	dst = appendHex(dst, a.Cookbook)
	dst = append(dst, `","event_time":"`...)
	dst = appendTime(dst, a.EventTime)
	dst = append(dst, `","at":"`...)
	dst = appendTime(dst, a.At)
	dst = append(dst, '"')
	if a.Attributes != nil {
		dst = append(dst, `,"attributes":{`...)
		dst = a.Attributes(dst)
		dst = append(dst, '}')
	}
	return append(dst, '}')
}

// Head reads the id and the name that listeners choose by, the audience or else the activation, out of what AppendJSON wrote.
func Head(payload []byte) (id, name string) {
	var p struct{ ID, Audience, Activation string }
	if json.Unmarshal(payload, &p) != nil {
		return "", ""
	}
	return p.ID, cmp.Or(p.Audience, p.Activation)
}

// AppendProfile appends the profile's id, "namespace:value": the partition key, so that the order of one
// profile's activations is kept.
func (a *Activation) AppendProfile(dst []byte) []byte {
	dst = append(dst, a.Identifiers[0].Namespace...)
	dst = append(dst, ':')
	return append(dst, a.Identifiers[0].Value...)
}

func appendTime(dst []byte, ms int64) []byte {
	return time.UnixMilli(ms).UTC().AppendFormat(dst, "2006-01-02T15:04:05.999Z07:00")
}
