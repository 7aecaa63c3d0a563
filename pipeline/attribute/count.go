package attribute

import "dashi/pipeline/event"

// count is the number of inputs. Their values do not matter.
type count struct{ scalar }

func (count) Name() string   { return "count" }
func (count) Type() Type     { return Number }
func (count) FixedSize() int { return 8 }

func (count) Update(fixed, seg []byte, in *Input, scratch []byte) []byte {
	if in.Op == Add {
		put(fixed, get(fixed)+1)
	}
	return nil
}

func (count) Move(fixed []byte, in *Input) Moved {
	n := get(fixed)
	m := Moved{float64(n), float64(n), n != 0, n != 0}
	if in.Op == Add {
		put(fixed, n+1)
		m.After, m.Has = float64(n+1), true
	}
	return m
}

func (count) Merge(fixed, seg, otherFixed, otherSeg, scratch []byte) []byte {
	put(fixed, get(fixed)+get(otherFixed))
	return nil
}

func (count) Num(fixed, seg []byte, now int64) (float64, bool) {
	n := get(fixed)
	return float64(n), n != 0
}

func (k count) AppendJSON(dst, fixed, seg []byte, now int64) []byte {
	return appendNum(dst, k, fixed, seg, now)
}

// appendNum appends a number, or null when nothing has been seen.
func appendNum(dst []byte, k Kind, fixed, seg []byte, now int64) []byte {
	v, ok := k.Num(fixed, seg, now)
	if !ok {
		return appendNull(dst)
	}
	return AppendNumber(dst, v)
}

// summable is the number in v as micro-units, for sum and avg.
func summable(in *Input) (units int64, ok bool) {
	if in.Value.Kind != event.Number || in.Op != Add {
		return 0, false
	}
	v := floatOf(&in.Value)
	if !InRange(v) {
		return 0, false
	}
	return toMicro(v), true
}
