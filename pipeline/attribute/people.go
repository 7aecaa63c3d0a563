package attribute

import (
	"math"
	"math/bits"

	"dashi/pipeline/event"
)

// headcount is how many people of an account something is true of. Unlike count it is known from the start: nobody is 0.
type headcount struct{ count }

// Headcount is the kind of a number of people: an update adds one.
func Headcount() Kind { return headcount{} }

func (headcount) Name() string { return "people" }

func (headcount) Num(fixed, seg []byte, now int64) (float64, bool) { return float64(get(fixed)), true }

func (k headcount) AppendJSON(dst, fixed, seg []byte, now int64) []byte {
	return appendNum(dst, k, fixed, seg, now)
}

// MaxTotal is the greatest magnitude that a sum or mean over people takes of one of them. What a person has summed up may be far
// beyond MaxNumber, which is for single inputs. In micro-units 2^90 is below 2^110, and 10,000 people of that below 2^124: with the bit
// for "seen" it fits the states of sum and avg.
const MaxTotal = 1 << 90

// InTotal says whether a sum or mean over people can take v.
func InTotal(v float64) bool { return v >= -MaxTotal && v <= MaxTotal }

// totalSum and totalAvg are sum and avg over people. Their states are the same.
type (
	totalSum struct{ sum }
	totalAvg struct{ avg }
)

// Total is the kind of a sum or an avg over people, by that name; ok is false for any other.
func Total(name string) (k Kind, ok bool) {
	switch name {
	case "sum":
		return totalSum{}, true
	case "avg":
		return totalAvg{}, true
	}
	return nil, false
}

func (totalSum) Update(fixed, seg []byte, in *Input, scratch []byte) []byte {
	if v, ok := wide(in); ok {
		s := load128(fixed)
		s.lo |= 1 // seen
		s.add(v.add(v)).store(fixed)
	}
	return nil
}

func (totalAvg) Update(fixed, seg []byte, in *Input, scratch []byte) []byte {
	if v, ok := wide(in); ok {
		load128(fixed).add(v).store(fixed)
		put(fixed[16:], get(fixed[16:])+1)
	}
	return nil
}

// wide is summable for numbers up to MaxTotal.
func wide(in *Input) (units int128, ok bool) {
	if in.Value.Kind != event.Number || in.Op != Add {
		return int128{}, false
	}
	v := floatOf(&in.Value)
	if !InTotal(v) {
		return int128{}, false
	}
	return toWideMicro(v), true
}

// toWideMicro is toMicro for numbers up to MaxTotal.
func toWideMicro(v float64) int128 {
	if InRange(v) {
		return extend(toMicro(v))
	}
	// v = m * 2^exp, and above 2^43: exp is at least -9, and at most 38.
	b := math.Float64bits(v)
	exp := int(b>>52&0x7ff) - 1075
	hi, lo := bits.Mul64(b&(1<<52-1)|1<<52, micro) // below 2^73
	var q int128
	if exp >= 0 {
		q = int128{hi<<exp | lo>>(64-exp), lo << exp}
	} else {
		shift := uint(-exp)
		rest, half := lo&(1<<shift-1), uint64(1)<<(shift-1)
		q = int128{hi >> shift, hi<<(64-shift) | lo>>shift}
		if rest > half || rest == half && q.lo&1 == 1 {
			q = q.add(int128{0, 1})
		}
	}
	if b>>63 == 1 {
		return q.negate()
	}
	return q
}
