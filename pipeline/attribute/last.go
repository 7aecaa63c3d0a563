package attribute

import (
	"bytes"

	"dashi/pipeline/event"
)

// MaxString is the length in bytes of the longest string that first and last keep: event.DefaultLimits lets
// no longer one in. A longer one changes nothing.
const MaxString = 4096

// edge is last and first for numbers, times and truths: the value of the latest or earliest input. At the
// same instant last takes the greater value, first the smaller. The state is a time key and a value key,
// both turned so that the winner is the greatest pair.
type edge struct {
	scalar
	of   Type
	flip uint64 // all ones for first: turns values round
}

func (k *edge) Name() string   { return edgeName(k.flip != 0) }
func (k *edge) Type() Type     { return k.of }
func (k *edge) FixedSize() int { return 16 }

func edgeName(first bool) string {
	if first {
		return "first"
	}
	return "last"
}

func (k *edge) Update(fixed, seg []byte, in *Input, scratch []byte) []byte {
	v, ok := valueKey(&in.Value, k.of)
	if ok && in.Op == Add && timeInRange(in.Time) {
		k.join(fixed, timeKey(in.Time, k.flip != 0), v^k.flip)
	}
	return nil
}

func (k *edge) Move(fixed []byte, in *Input) (m Moved) {
	m.Before, m.Had = k.Num(fixed, nil, 0)
	k.Update(fixed, nil, in, nil)
	m.After, m.Has = k.Num(fixed, nil, 0)
	return m
}

func (k *edge) Merge(fixed, seg, otherFixed, otherSeg, scratch []byte) []byte {
	k.join(fixed, get(otherFixed), get(otherFixed[8:]))
	return nil
}

func (k *edge) join(fixed []byte, when, value uint64) {
	if old := get(fixed); when > old || when == old && value > get(fixed[8:]) {
		put(fixed, when)
		put(fixed[8:], value)
	}
}

func (k *edge) Num(fixed, seg []byte, now int64) (float64, bool) {
	if get(fixed) == 0 || k.of == Bool {
		return 0, false
	}
	return keyValue(get(fixed[8:])^k.flip, k.of), true
}

func (k *edge) Truth(fixed, seg []byte, now int64) (v, ok bool) {
	if get(fixed) == 0 || k.of != Bool {
		return false, false
	}
	return (get(fixed[8:])^k.flip)&1 == 1, true
}

func (k *edge) AppendJSON(dst, fixed, seg []byte, now int64) []byte {
	if get(fixed) == 0 {
		return appendNull(dst)
	}
	return appendKey(dst, get(fixed[8:])^k.flip, k.of)
}

// Since is the event time of the value; ok is false where there is none.
func (k *edge) Since(fixed, seg []byte) (at int64, ok bool) { return keyTime(get(fixed), k.flip != 0) }

// edgeString is last and first for strings: the time key is fixed, the segment is the string.
type edgeString struct {
	scalar
	first bool
}

func (k *edgeString) Name() string   { return edgeName(k.first) }
func (*edgeString) Type() Type       { return String }
func (*edgeString) FixedSize() int   { return 8 }
func (*edgeString) HasSegment() bool { return true }

func (*edgeString) accepts(in *Input) bool {
	return in.Value.Kind == event.String && len(in.Value.Str) <= MaxString && in.Op == Add && timeInRange(in.Time)
}

func (k *edgeString) Update(fixed, seg []byte, in *Input, scratch []byte) []byte {
	if !k.accepts(in) {
		return seg
	}
	return k.join(fixed, seg, timeKey(in.Time, k.first), in.Value.Str, scratch)
}

func (k *edgeString) Merge(fixed, seg, otherFixed, otherSeg, scratch []byte) []byte {
	return k.join(fixed, seg, get(otherFixed), otherSeg, scratch)
}

func (k *edgeString) join(fixed, seg []byte, when uint64, value, scratch []byte) []byte {
	old := get(fixed)
	if when < old || when == 0 {
		return seg
	}
	if when == old {
		c := bytes.Compare(value, seg)
		if c == 0 || (c < 0) != k.first {
			return seg
		}
	}
	put(fixed, when)
	if len(value) == len(seg) {
		copy(seg, value)
		return seg
	}
	return append(scratch[:0], value...)
}

func (*edgeString) Str(fixed, seg []byte, now int64) ([]byte, bool) {
	if get(fixed) == 0 {
		return nil, false
	}
	return seg, true
}

// Since is the event time of the value; ok is false where there is none.
func (k *edgeString) Since(fixed, seg []byte) (at int64, ok bool) {
	return keyTime(get(fixed), k.first)
}

// keyTime is the time of a time key; ok is false where there is none.
func keyTime(key uint64, first bool) (at int64, ok bool) {
	switch {
	case key == 0:
		return 0, false
	case first:
		return earlyTime(key), true
	default:
		return lateTime(key), true
	}
}

func (*edgeString) AppendJSON(dst, fixed, seg []byte, now int64) []byte {
	if get(fixed) == 0 {
		return appendNull(dst)
	}
	return AppendQuoted(dst, seg)
}
