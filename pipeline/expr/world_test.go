package expr

import (
	"bytes"
	"encoding/binary"
	"math"
	"sort"

	"dashi/pipeline/attribute"
	"dashi/pipeline/event"
)

// fakeKind is a number, time, string or bool for tests, whose state anyone can write: presence, then the value.
type fakeKind struct {
	t      attribute.Type
	always bool // reads 0 where nothing was seen, as count does
}

func (k fakeKind) Name() string         { return "fake" }
func (k fakeKind) Type() attribute.Type { return k.t }
func (k fakeKind) HasSegment() bool     { return k.t == attribute.String }
func (k fakeKind) FixedSize() int       { return 16 }

func (k fakeKind) Update(fixed, seg []byte, in *attribute.Input, scratch []byte) []byte { return seg }
func (k fakeKind) Merge(fixed, seg, of, os, scratch []byte) []byte                      { return seg }

func (k fakeKind) Num(fixed, seg []byte, now int64) (float64, bool) {
	v := math.Float64frombits(binary.LittleEndian.Uint64(fixed[8:]))
	return v, k.always || fixed[0] == 1
}

func (k fakeKind) Str(fixed, seg []byte, now int64) ([]byte, bool) { return seg, fixed[0] == 1 }

func (k fakeKind) Truth(fixed, seg []byte, now int64) (bool, bool) {
	return fixed[8] == 1, fixed[0] == 1
}

func (k fakeKind) Len(fixed, seg []byte, now int64) int                   { return 0 }
func (k fakeKind) Find(fixed, seg, key []byte, now int64) (float64, bool) { return 0, false }
func (k fakeKind) Elements(fixed, seg []byte, now int64) attribute.Elements {
	return attribute.Elements{}
}
func (k fakeKind) AppendJSON(dst, fixed, seg []byte, now int64) []byte { return dst }

func realKind(name string) attribute.Kind {
	k, err := attribute.New(attribute.Spec{Kind: name})
	if err != nil {
		panic(err)
	}
	return k
}

// world builds Scopes and Envs that fit each other.
type world struct {
	scope  *Scope
	fields map[string]FieldRef
	names  []string // attributes in index order
	fixed  int
	segs   int
}

func newWorld() *world {
	w := &world{fields: map[string]FieldRef{
		"properties.total":    {Index: 0, Kind: event.Number},
		"properties.quantity": {Index: 1, Kind: event.Number},
		"properties.coupon":   {Index: 2, Kind: event.String},
		"traits.plan":         {Index: 3, Kind: event.String},
		"properties.paid":     {Index: 4, Kind: event.Bool},
		"properties.due":      {Index: 5, Kind: event.Time},
		"item.price":          {Index: 6, Kind: event.Number, Repeated: true},
		"item.name":           {Index: 7, Kind: event.String, Repeated: true},
		"properties.tags":     {Index: 8, Kind: event.String, Repeated: true},
		"properties.sizes":    {Index: 9, Kind: event.Number, Repeated: true},
		"channel":             {Index: 10, Kind: event.String},
		"properties.a b":      {Index: 11, Kind: event.Number},
	}}
	w.scope = &Scope{
		Field: func(path string) (FieldRef, bool) { f, ok := w.fields[path]; return f, ok },
		FieldNames: func() []string {
			var names []string
			for n := range w.fields {
				names = append(names, n)
			}
			sort.Strings(names)
			return names
		},
		Attributes: map[string]AttributeRef{},
		Audiences:  map[string]int{"vip": 0, "lapsed": 70},
		Purposes:   map[string]int{"ads": 0, "mail": 1},
		Event:      true, Item: true,
	}
	w.add("lifetime_value", fakeKind{t: attribute.Number})
	w.add("orders", fakeKind{t: attribute.Number, always: true})
	w.add("last_order", fakeKind{t: attribute.Time})
	w.add("city", fakeKind{t: attribute.String})
	w.add("member", fakeKind{t: attribute.Bool})
	w.add("products_owned", realKind("set"))
	w.add("interests", realKind("tally"))
	w.add("recent", realKind("list"))
	lv, err := Compile("lifetime_value / orders", w.scope, NumberType)
	if err != nil {
		panic(err)
	}
	w.scope.Attributes["basket"] = AttributeRef{Index: len(w.names), Type: attribute.Number, Num: lv.Num, Reads: []int{0, 1}}
	return w
}

func (w *world) add(name string, k attribute.Kind) {
	a := AttributeRef{Index: len(w.names), Type: k.Type(), Kind: k, Slot: attribute.Slot{Offset: w.fixed, Segment: -1}}
	w.fixed += k.FixedSize()
	if k.HasSegment() {
		a.Slot.Segment = w.segs
		w.segs++
	}
	w.names = append(w.names, name)
	w.scope.Attributes[name] = a
}

// values are the contents of an Env. What is not in a map is absent.
type values struct {
	now       int64
	kind      string
	time      int64
	fields    map[string]any // by path; []any for repeated ones
	item      int
	attrs     map[string]any // float64, int64 (time), string, bool, []string, map[string]float64
	audiences []int
	consent   map[int]uint64
	noEvent   bool
	noProfile bool
}

func value(x any) event.Value {
	switch x := x.(type) {
	case float64:
		return event.Value{Kind: event.Number, Bits: math.Float64bits(x)}
	case int64:
		return event.Value{Kind: event.Time, Bits: uint64(x)}
	case string:
		return event.Value{Kind: event.String, Str: []byte(x)}
	case bool:
		if x {
			return event.Value{Kind: event.Bool, Bits: 1}
		}
		return event.Value{Kind: event.Bool}
	}
	return event.Value{}
}

func (w *world) env(v values) *Env {
	e := &Env{Now: v.now, Item: v.item}
	if !v.noEvent {
		ev := &event.Event{Name: []byte(v.kind), Time: v.time, Values: make([]event.Value, 12), Items: make([][]event.Value, 12)}
		for path, x := range v.fields {
			f := w.fields[path]
			if list, ok := x.([]any); ok {
				for _, y := range list {
					ev.Items[f.Index] = append(ev.Items[f.Index], value(y))
				}
				continue
			}
			ev.Values[f.Index] = value(x)
		}
		e.Event = ev
	}
	if !v.noProfile {
		e.State = w.state(v)
		e.Audiences = make([]uint64, 2)
		for _, i := range v.audiences {
			e.Audiences[i>>6] |= 1 << (i & 63)
		}
		e.Consent = make([]byte, 16)
		for i, word := range v.consent {
			binary.LittleEndian.PutUint64(e.Consent[8*i:], word)
		}
	}
	return e
}

func (w *world) state(v values) attribute.State {
	s := attribute.State{Fixed: make([]byte, w.fixed)}
	for _, name := range w.names {
		a := w.scope.Attributes[name]
		fixed := s.Fixed[a.Slot.Offset:]
		var seg []byte
		x, ok := v.attrs[name]
		if ok && a.Type < attribute.Set {
			fixed[0] = 1
		}
		switch x := x.(type) {
		case float64:
			binary.LittleEndian.PutUint64(fixed[8:], math.Float64bits(x))
		case int64:
			binary.LittleEndian.PutUint64(fixed[8:], math.Float64bits(float64(x)))
		case bool:
			if x {
				fixed[8] = 1
			}
		case string:
			seg = []byte(x)
		case []string:
			for i, n := range x {
				in := attribute.Input{Value: value(n), Time: int64(i + 1)}
				seg = bytes.Clone(a.Kind.Update(fixed, seg, &in, nil))
			}
		case map[string]float64:
			var keys []string
			for n := range x {
				keys = append(keys, n)
			}
			sort.Strings(keys)
			for _, n := range keys {
				in := attribute.Input{Value: value(n), By: x[n], Time: 1}
				seg = bytes.Clone(a.Kind.Update(fixed, seg, &in, nil))
			}
		}
		if a.Slot.Segment >= 0 {
			s.Data = append(s.Data, seg...)
			s.Dir = binary.LittleEndian.AppendUint32(s.Dir, uint32(len(s.Data)))
		}
	}
	return s
}

// ada is the person of most tests.
func ada() values {
	return values{
		now: 1_767_225_600_000, kind: "Order Completed", time: 1_767_225_500_000, item: 1,
		fields: map[string]any{
			"properties.total": 80.5, "properties.quantity": 3.0, "traits.plan": "Gold", "properties.paid": true,
			"properties.due": int64(1_767_312_000_000), "item.price": []any{9.5, 20.0}, "item.name": []any{"hat", "shoe"},
			"properties.tags": []any{"new", nil, "sale"}, "properties.sizes": []any{38.0, 42.0}, "properties.a b": 7.0,
		},
		attrs: map[string]any{
			"lifetime_value": 2500.0, "orders": 5.0, "last_order": int64(1_764_547_200_000), "city": "Kyōto", "member": true,
			"products_owned": []string{"P1", "P3"}, "interests": map[string]float64{"shoes": 4, "hats": 1}, "recent": []string{"a", "b"},
		},
		audiences: []int{70}, consent: map[int]uint64{0: 1000<<1 | 1, 1: 1000 << 1},
	}
}
