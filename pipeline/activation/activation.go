package activation

import (
	"bytes"
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

	SessionStart Transition = "session_start"
	SessionEnd   Transition = "session_end"

	Merged   Transition = "merged"   // the profile took others in
	Unmerged Transition = "unmerged" // the profile came out of others

	Erased Transition = "erased" // the person is to be forgotten, everywhere
)

// Transitions are all transitions.
func Transitions() []string {
	return []string{string(Enter), string(Exit), string(Change), string(Event), string(SessionStart), string(SessionEnd), string(Merged), string(Unmerged), string(Erased)}
}

// Identifier is one identifier of the profile.
type Identifier struct {
	Namespace string
	Value     []byte
}

// Subject is what an activation is about. It is made once per cookbook, because most of what is written of it never changes.
type Subject struct {
	Name       string // of the activation in the recipe; the audience's own name for its transitions
	Transition Transition
	json       []byte // from "activation" to "sequence"
}

// NewSubject prepares a subject. about is the audience of Enter and Exit, the attribute of Change, the session of
// SessionStart and SessionEnd, and nothing for Event.
func NewSubject(name, about string, t Transition) *Subject {
	s := &Subject{Name: name, Transition: t}
	b := append([]byte(`,"activation":`), attribute.AppendQuoted(nil, []byte(name))...)
	switch t {
	case Enter, Exit:
		b = attribute.AppendQuoted(append(b, `,"audience":`...), []byte(about))
	case Change:
		b = attribute.AppendQuoted(append(b, `,"attribute":`...), []byte(about))
	case SessionStart, SessionEnd:
		b = attribute.AppendQuoted(append(b, `,"session":`...), []byte(about))
	}
	b = append(b, `,"transition":"`...)
	b = append(b, t...)
	s.json = append(b, `","sequence":`...)
	return s
}

// Activation is one event that leaves dashi because something changed. Everything aliases the caller's memory.
type Activation struct {
	*Subject
	Type        []byte       // for Event: the event's type
	Identifiers []Identifier // the first is the profile's id
	Sequence    uint32       // counts the activations of this profile, from 1
	Others      []Identifier // for Merged: the ids of the profiles that are no more; for Unmerged: of those that it was part of
	Cookbook    uint64
	EventTime   int64 // of the event that caused it, milliseconds
	At          int64 // the shard's clock, milliseconds
	// Texts is kept from one activation to the next; nil writes everything anew.
	Texts *Texts
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

// Key is what stays the same of an activation when a history is lived through once more in another order: 128 bits over the profile, the
// name, the transition and the event time. The sequence, and so the id, may be another.
func (a *Activation) Key() [2]uint64 {
	var scratch [256]byte
	return key(attribute.AppendQuotedID(scratch[:0], a.Identifiers[0].Namespace, a.Identifiers[0].Value), a.Name, string(a.Transition), a.EventTime)
}

// KeyOf reads the Key out of what AppendJSON wrote.
func KeyOf(payload []byte) (k [2]uint64, err error) {
	var p struct {
		Profile    json.RawMessage
		Activation string
		Transition string
		EventTime  time.Time `json:"event_time"`
	}
	if err := json.Unmarshal(payload, &p); err != nil {
		return k, err
	}
	return key(p.Profile, p.Activation, p.Transition, p.EventTime.UnixMilli()), nil
}

// key appends to profile, which is a JSON string and so ends by itself.
func key(profile []byte, name, transition string, eventTime int64) [2]uint64 {
	b := append(append(append(append(profile, name...), 0), transition...), 0)
	high := xxhash.Sum64(binary.LittleEndian.AppendUint64(b, uint64(eventTime)))
	return [2]uint64{high, xxhash.Sum64(binary.LittleEndian.AppendUint64(b, high^uint64(eventTime)))}
}

func appendHex(dst []byte, v uint64) []byte {
	const digits = "0123456789abcdef"
	var b [16]byte
	for i := range b {
		b[i] = digits[v>>(60-4*i)&15]
	}
	return append(dst, b[:]...)
}

// AppendJSON appends the activation as it leaves:
// {"id","profile","identifiers":[{"namespace","value"}],"activation","audience"|"attribute"|"session","transition",
// "sequence","cookbook","event_time","at","attributes":{}}, and "type" for Event, "merged" or "unmerged_from" with ids of profiles.
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
	dst = append(dst, ']')
	dst = append(dst, a.json...)
	dst = strconv.AppendUint(dst, uint64(a.Sequence), 10)
	if a.Transition == Event {
		dst = append(dst, `,"type":`...)
		dst = attribute.AppendQuoted(dst, a.Type)
	}
	if a.Transition == Merged || a.Transition == Unmerged {
		dst = a.appendOthers(dst)
	}
	dst = a.appendWhen(dst)
	if a.Attributes != nil {
		dst = append(dst, `,"attributes":{`...)
		dst = a.Attributes(dst)
		dst = append(dst, '}')
	}
	return append(dst, '}')
}

// Texts is what the last activation says of when and by which cookbook: those of one event say the same, and to write it anew
// was half of the work of an activation.
type Texts struct {
	eventTime, at int64
	cookbook      uint64
	text          []byte // from "cookbook" to the quote after "at"; empty before the first
}

// appendWhen appends from "cookbook" to "at".
func (a *Activation) appendWhen(dst []byte) []byte {
	t := a.Texts
	if t != nil && len(t.text) > 0 && t.eventTime == a.EventTime && t.at == a.At && t.cookbook == a.Cookbook {
		return append(dst, t.text...)
	}
	begin := len(dst)
	dst = append(dst, `,"cookbook":"`...)
	dst = appendHex(dst, a.Cookbook)
	dst = append(dst, `","event_time":"`...)
	dst = attribute.AppendTime(dst, a.EventTime)
	dst = append(dst, `","at":"`...)
	dst = attribute.AppendTime(dst, a.At)
	dst = append(dst, '"')
	if t != nil {
		t.text = append(t.text[:0], dst[begin:]...)
		t.eventTime, t.at, t.cookbook = a.EventTime, a.At, a.Cookbook
	}
	return dst
}

func (a *Activation) appendOthers(dst []byte) []byte {
	if a.Transition == Merged {
		dst = append(dst, `,"merged":[`...)
	} else {
		dst = append(dst, `,"unmerged_from":[`...)
	}
	for i, id := range a.Others {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = attribute.AppendQuotedID(dst, id.Namespace, id.Value)
	}
	return append(dst, ']')
}

// Head reads the id and the names that listeners choose by out of what AppendJSON wrote; the audience is empty when it is about none. The
// naive way, encoding/json, took more time than making the activation. A quote inside a JSON string has a backslash before it, so
// what is searched for here cannot be part of an identifier.
func Head(payload []byte) (id, activation, audience string) {
	h := ReadHeading(payload)
	return string(h.ID), string(h.Activation), string(h.Audience)
}

// Heading is what sinks choose by. It aliases what it was read from.
type Heading struct {
	ID, Activation []byte
	Audience       []byte // of Enter and Exit; nil for others
	Transition     []byte
}

// ReadHeading reads a heading out of what AppendJSON wrote, as Head does; the zero Heading out of anything else.
func ReadHeading(payload []byte) (h Heading) {
	const idAt = len(`{"id":"`)
	i := bytes.Index(payload, []byte(`],"activation":"`))
	if i < idAt+32 {
		return h
	}
	name, rest, _ := bytes.Cut(payload[i+len(`],"activation":"`):], []byte{'"'})
	h.ID, h.Activation = payload[idAt:idAt+32], name
	if about, ok := bytes.CutPrefix(rest, []byte(`,"audience":"`)); ok {
		h.Audience, rest, _ = bytes.Cut(about, []byte{'"'})
	}
	if _, after, ok := bytes.Cut(rest, []byte(`"transition":"`)); ok {
		h.Transition, _, _ = bytes.Cut(after, []byte{'"'})
	}
	return h
}

// AppendProfile appends the profile's id, "namespace:value": the partition key, so that the order of one
// profile's activations is kept.
func (a *Activation) AppendProfile(dst []byte) []byte {
	dst = append(dst, a.Identifiers[0].Namespace...)
	dst = append(dst, ':')
	return append(dst, a.Identifiers[0].Value...)
}
