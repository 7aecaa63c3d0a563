package attribute

import (
	"math"

	"dashi/pipeline/event"
)

// sum is the exact sum of numbers in micro-units. The state is one 128-bit integer, twice the sum plus one:
// odd when something has been seen, zero when nothing. 2^63 inputs of MaxNumber fit.
type sum struct{ scalar }

func (sum) Name() string   { return "sum" }
func (sum) Type() Type     { return Number }
func (sum) FixedSize() int { return 16 }

func (sum) Update(fixed, seg []byte, in *Input, scratch []byte) []byte {
	if v, ok := summable(in); ok {
		plus(load128(fixed), v).store(fixed)
	}
	return nil
}

// plus is the state s with v added.
func plus(s int128, v int64) int128 {
	s.lo |= 1 // seen
	return s.add(int128{uint64(v >> 63), uint64(v) << 1})
}

func (sum) Move(fixed []byte, in *Input) (m Moved) {
	s := load128(fixed)
	m.Before, m.Had = total(s)
	m.After, m.Has = m.Before, m.Had
	if v, ok := summable(in); ok {
		s = plus(s, v)
		s.store(fixed)
		if v != 0 || !m.Had {
			m.After, m.Has = total(s)
		}
	}
	return m
}

func (sum) Merge(fixed, seg, otherFixed, otherSeg, scratch []byte) []byte {
	o := load128(otherFixed)
	if o == (int128{}) {
		return nil
	}
	s := load128(fixed)
	if s != (int128{}) {
		o = o.add(int128{^uint64(0), ^uint64(0)}) // both are odd: take one of the ones away
	}
	s.add(o).store(fixed)
	return nil
}

func (sum) Num(fixed, seg []byte, now int64) (float64, bool) { return total(load128(fixed)) }

// total is the sum that the state s stands for.
func total(s int128) (float64, bool) {
	if s == (int128{}) {
		return 0, false
	}
	half := int128{uint64(int64(s.hi) >> 1), s.hi<<63 | s.lo>>1}
	return half.over(micro), true
}

func (k sum) AppendJSON(dst, fixed, seg []byte, now int64) []byte {
	return appendNum(dst, k, fixed, seg, now)
}

func floatOf(v *event.Value) float64 { return math.Float64frombits(v.Bits) }
