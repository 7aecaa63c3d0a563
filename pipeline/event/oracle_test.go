package event

import (
	"bytes"
	"encoding/json"
	"math"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"dashi/pipeline/identity"
)

// The oracle: the rules of the package written down once more on top of encoding/json, without regard to speed.

// raw is one JSON value, with all the members of an object, duplicates too.
type raw struct {
	kind    tokenKind
	text    string // of a string its text, of a number its literal
	bad     bool   // a string that is not UTF-8
	keys    []string
	members []*raw
}

func parseRaw(src []byte) *raw {
	src = bytes.TrimLeft(src, " \t\r\n")
	dec := json.NewDecoder(bytes.NewReader(src))
	dec.UseNumber()
	tok, err := dec.Token()
	if err != nil {
		panic(err) // json.Valid said that it is valid
	}
	switch v := tok.(type) {
	case json.Delim:
		out := &raw{kind: tokArray}
		if v == '{' {
			out.kind = tokObject
		}
		for dec.More() {
			if v == '{' {
				key, err := dec.Token()
				if err != nil {
					panic(err)
				}
				out.keys = append(out.keys, key.(string))
			}
			var m json.RawMessage
			if err := dec.Decode(&m); err != nil {
				panic(err)
			}
			out.members = append(out.members, parseRaw(m))
		}
		return out
	case string:
		return &raw{kind: tokString, text: v, bad: !utf8.Valid(src)}
	case json.Number:
		return &raw{kind: tokNumber, text: v.String()}
	case bool:
		if v {
			return &raw{kind: tokTrue, text: "true"}
		}
		return &raw{kind: tokFalse, text: "false"}
	}
	return &raw{}
}

// judge collects every reason for which a message may be rejected.
type judge struct {
	s       *Schema
	l       Limits
	reasons map[Reason]bool
}

func (j *judge) reject(r Reason) { j.reasons[r] = true }

// get follows a path without "[]". It rejects duplicates and other types on the way.
func (j *judge) get(r *raw, path []string) *raw {
	for _, key := range path {
		if r == nil || r.kind == tokNull {
			return nil
		}
		if r.kind != tokObject {
			j.reject(WrongType)
			return nil
		}
		var found *raw
		for i, k := range r.keys {
			if k != key {
				continue
			}
			if found != nil {
				j.reject(DuplicateKey)
			}
			found = r.members[i]
		}
		r = found
	}
	return r
}

func (j *judge) str(r *raw) string {
	if r.bad {
		j.reject(Malformed)
	}
	if len(r.text) > j.l.StringBytes {
		j.reject(TooLarge)
	}
	return r.text
}

func (j *judge) value(r *raw, kind Kind) Value {
	if r == nil || r.kind == tokNull {
		return Value{}
	}
	wrong := func() Value { j.reject(WrongType); return Value{} }
	switch {
	case r.kind >= tokObject:
		return wrong()
	case kind == String:
		return Value{Kind: String, Str: []byte(j.str(r))}
	case kind == Bool && (r.kind == tokTrue || r.kind == tokFalse || r.kind == tokString):
		switch j.str(r) {
		case "true":
			return Value{Kind: Bool, Bits: 1}
		case "false":
			return Value{Kind: Bool}
		}
		return wrong()
	case kind == Number && (r.kind == tokNumber || r.kind == tokString):
		text := r.text
		if r.kind == tokString {
			text = j.str(r)
			if !json.Valid([]byte(text)) || strings.Trim(text, "-0123456789.eE+") != "" {
				return wrong()
			}
		}
		f, err := strconv.ParseFloat(text, 64)
		if err != nil {
			return wrong()
		}
		return Value{Kind: Number, Bits: math.Float64bits(f)}
	case kind == Time:
		if ms, ok := j.instant(r); ok {
			return Value{Kind: Time, Bits: uint64(ms)}
		}
	}
	return wrong()
}

func (j *judge) instant(r *raw) (int64, bool) {
	switch r.kind {
	case tokString:
		t, ok := strictTime(j.str(r))
		return t.UnixMilli(), ok
	case tokNumber:
		f, err := strconv.ParseFloat(r.text, 64)
		if err != nil {
			return 0, false
		}
		if math.Abs(f) < 1e11 {
			f = math.Floor(f*1000 + 0.5)
		}
		f = math.Floor(f)
		lo := float64(time.Date(0, 1, 1, 0, 0, 0, 0, time.UTC).UnixMilli())
		hi := float64(time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC).UnixMilli())
		return int64(f), f >= lo && f < hi
	}
	return 0, false
}

// judgeMessage returns the event, or nil and all the reasons to refuse it.
func judgeMessage(s *Schema, l Limits, src []byte, fallback int64) (*Event, map[Reason]bool) {
	j := &judge{s, l, map[Reason]bool{}}
	e := j.message(src, fallback)
	if len(j.reasons) > 0 {
		return nil, j.reasons
	}
	return e, nil
}

func (j *judge) message(src []byte, fallback int64) *Event {
	if len(src) > j.l.EventBytes {
		j.reject(TooLarge)
		return nil
	}
	if deep := roughDepth(src); deep > j.l.Depth {
		j.reject(TooDeep) // it may be malformed behind that as well
	}
	if !json.Valid(src) {
		j.reject(Malformed)
		return nil
	}
	m := parseRaw(src)
	if m.kind != tokObject {
		j.reject(WrongType)
		return nil
	}
	e := &Event{}
	e.Reset(j.s)
	for i, path := range j.s.Arrays {
		if a := j.get(m, path); a != nil && a.kind != tokNull {
			if a.kind != tokArray {
				j.reject(WrongType)
				continue
			}
			e.Lens[i] = len(a.members)
			if len(a.members) > j.l.Items {
				j.reject(TooMany)
			}
		}
	}
	for i, f := range j.s.Fields {
		if f.Array == 0 {
			e.Values[i] = j.value(j.get(m, f.Path), f.Kind)
			continue
		}
		array := j.s.Arrays[f.Array-1]
		if a := j.get(m, array); a != nil && a.kind == tokArray {
			for _, item := range a.members {
				e.Items[i] = append(e.Items[i], j.value(j.get(item, f.Path[len(array)+1:]), f.Kind))
			}
		}
	}
	j.head(m, e, fallback)
	return e
}

func (j *judge) head(m *raw, e *Event, fallback int64) {
	word := func(key string) string {
		r := j.get(m, []string{key})
		if r == nil || r.kind == tokNull {
			return ""
		}
		if r.kind != tokString {
			j.reject(WrongType)
			return ""
		}
		return j.str(r)
	}
	call := word("type")
	j.get(m, []string{"event"})
	switch call {
	case "track":
		call = word("event")
	case "identify", "page", "screen", "group", "alias":
	default:
		call = ""
	}
	if call == "" {
		j.reject(NoType)
	}
	e.Name = []byte(call)
	for i, t := range j.s.Types {
		if t == call {
			e.Type = i + 1
		}
	}
	if id := word("messageId"); id != "" {
		e.ID = hashID([]byte(id))
	}
	e.Time = fallback
	stamp, original := j.get(m, []string{"timestamp"}), j.get(m, []string{"originalTimestamp"})
	for _, r := range []*raw{stamp, original} {
		if r == nil || r.kind == tokNull || r.kind == tokString && r.text == "" {
			continue
		}
		ms, ok := j.instant(r)
		if !ok {
			j.reject(BadTime)
		}
		e.Time = ms
		break
	}
	if e.Time < 0 || e.Time > fallback+j.l.FutureMillis {
		j.reject(BadTime)
	}
	j.identify(m, e)
}

func (j *judge) identify(m *raw, e *Event) {
	for i, ns := range j.s.Namespaces {
		value := ""
		for _, path := range ns.Paths {
			r := j.get(m, path)
			if r == nil || r.kind == tokNull || value != "" {
				continue
			}
			if r.kind != tokString && r.kind != tokNumber || r.kind == tokNumber && strings.ContainsAny(r.text, ".eE") {
				j.reject(WrongType)
				continue
			}
			value = j.str(r)
			if ns.Normalise != nil && value != "" {
				out, ok := ns.Normalise(nil, []byte(value))
				if value = string(out); !ok {
					value = ""
				}
			}
			if len(value) > j.l.IdentifierBytes {
				j.reject(TooLarge)
			}
		}
		if value != "" {
			e.Identifiers = append(e.Identifiers, Identifier{uint8(i), []byte(value)})
		}
	}
	if len(e.Identifiers) == 0 {
		j.reject(NoIdentifier)
		return
	}
	e.Hash = identity.Hash(j.s.Namespaces[e.Identifiers[0].Namespace].Name, e.Identifiers[0].Value)
}

// roughDepth counts brackets outside strings; of bytes that are not JSON it says something between too little and too much.
func roughDepth(src []byte) int {
	depth, deepest, inString := 0, 0, false
	for i := 0; i < len(src); i++ {
		switch c := src[i]; {
		case inString && c == '\\':
			i++
		case c == '"':
			inString = !inString
		case inString:
		case c == '{' || c == '[':
			depth++
			deepest = max(deepest, depth)
		case c == '}' || c == ']':
			depth--
		}
	}
	return deepest
}

// normal makes events comparable: empty and nil slices are the same.
func normal(e *Event) *Event {
	out := *e
	out.scratch = nil
	out.Name = append([]byte{}, e.Name...)
	out.Identifiers = append([]Identifier{}, e.Identifiers...)
	out.Lens = append([]int{}, e.Lens...)
	values := func(in []Value) []Value {
		v := append([]Value{}, in...)
		for i := range v {
			v[i].Str = append([]byte{}, v[i].Str...)
		}
		return v
	}
	out.Values = values(e.Values)
	out.Items = nil
	for _, items := range e.Items {
		out.Items = append(out.Items, values(items))
	}
	return &out
}

func sameEvent(a, b *Event) bool { return reflect.DeepEqual(normal(a), normal(b)) }

// checkDecode decodes src with a fresh decoder, one that learns, one that must not and compares with the oracle.
func checkDecode(t testing.TB, warm, cold *Decoder, src []byte, fallback int64) {
	t.Helper()
	want, reasons := judgeMessage(warm.schema, warm.limits, src, fallback)
	var first error
	for i := range 3 {
		d := warm
		if i == 1 {
			d = cold
		}
		var e Event
		err := d.Decode(src, fallback, &e)
		if i == 0 {
			first = err
		}
		if !reflect.DeepEqual(err, first) {
			t.Fatalf("%q: run %d says %v, run 0 %v", clip(src), i, err, first)
		}
		if err == nil {
			if want == nil {
				t.Fatalf("%q: run %d accepts; the oracle says %v", clip(src), i, reasons)
			}
			if !sameEvent(&e, want) {
				t.Fatalf("%q: run %d gives\n%+v, the oracle\n%+v", clip(src), i, normal(&e), normal(want))
			}
			continue
		}
		r := err.(*Rejected)
		// With duplicates the oracle has looked at one of the values only.
		if want != nil || !reasons[r.Reason] && !reasons[DuplicateKey] {
			t.Fatalf("%q: run %d says %v; the oracle %v", clip(src), i, err, reasons)
		}
		if len(r.Detail) > 400 || !utf8.ValidString(r.Detail) {
			t.Fatalf("%q: detail %q", clip(src), r.Detail)
		}
	}
}

func clip(src []byte) []byte { return src[:min(len(src), 2000)] }

// small limits, so that the edges of all of them are found.
var tight = Limits{EventBytes: 4 << 10, Depth: 6, Items: 3, StringBytes: 40, IdentifierBytes: 24, FutureMillis: 3_600_000}
