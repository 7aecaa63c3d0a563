package attribute

import (
	"cmp"
	"encoding/binary"
	"math"
	"math/bits"
)

// Sums are kept in whole micro-units, because floating-point addition is not associative and a sum must not
// depend on order.
const micro = 1_000_000

// MaxNumber is the greatest magnitude that sum, avg and tally take: in micro-units it still fits an int64.
const MaxNumber = 9e12

// InRange says whether sum, avg and tally can take v: a number of magnitude at most MaxNumber. They round it
// half to even to a micro-unit (1e-6). An input that is not in range changes nothing; the caller counts it.
func InRange(v float64) bool { return v >= -MaxNumber && v <= MaxNumber }

// toMicro is v in micro-units, rounded half to even, exactly: the product is taken in integers, since
// v*1e6 in floating point would round twice. InRange(v) must hold.
func toMicro(v float64) int64 {
	if i := int64(v); float64(i) == v {
		return i * micro
	}
	b := math.Float64bits(v)
	exp := int(b >> 52 & 0x7ff)
	// v = m * 2^-shift. v is not a whole number, so shift >= 10; from 74 on, and below the normal
	// numbers, it is less than half a micro-unit.
	shift := uint(1075 - exp)
	if shift >= 74 {
		return 0
	}
	hi, lo := bits.Mul64(b&(1<<52-1)|1<<52, micro)
	var q, rest uint64 // rest is the fraction in units of 2^-64
	sticky := false
	if shift <= 64 {
		q = hi<<(64-shift) | lo>>shift // a shift by 64 gives 0
		rest = lo << (64 - shift)
	} else {
		q = hi >> (shift - 64)
		rest = hi<<(128-shift) | lo>>(shift-64)
		sticky = lo<<(128-shift) != 0
	}
	const half = 1 << 63
	if rest > half || rest == half && (sticky || q&1 == 1) {
		q++
	}
	if b>>63 == 1 {
		return -int64(q)
	}
	return int64(q)
}

// int128 is a two's complement integer.
type int128 struct{ hi, lo uint64 }

func load128(b []byte) int128 {
	return int128{binary.LittleEndian.Uint64(b[8:16]), binary.LittleEndian.Uint64(b[0:8])}
}

func (x int128) store(b []byte) {
	binary.LittleEndian.PutUint64(b[0:8], x.lo)
	binary.LittleEndian.PutUint64(b[8:16], x.hi)
}

func extend(v int64) int128 { return int128{uint64(v >> 63), uint64(v)} }

func (x int128) add(y int128) int128 {
	lo, carry := bits.Add64(x.lo, y.lo, 0)
	hi, _ := bits.Add64(x.hi, y.hi, carry)
	return int128{hi, lo}
}

func (x int128) negate() int128 {
	lo, borrow := bits.Sub64(0, x.lo, 0)
	hi, _ := bits.Sub64(0, x.hi, borrow)
	return int128{hi, lo}
}

// over is x/d, correctly rounded. d must not be 0.
func (x int128) over(d uint64) float64 {
	if int64(x.hi) < 0 {
		x = x.negate()
		return -ratio(x.hi, x.lo, d)
	}
	return ratio(x.hi, x.lo, d)
}

// ratio is (hi:lo)/d, correctly rounded. Up to 2^53 both sides are exact in floating point and the division
// rounds once. Above, 62 bits of the quotient are taken and the rest is remembered in the lowest of them,
// so that again only one step rounds.
func ratio(hi, lo, d uint64) float64 {
	if hi == 0 && lo < 1<<53 && d < 1<<53 {
		return float64(lo) / float64(d)
	}
	shift := uint(bits.LeadingZeros64(hi))
	if hi == 0 {
		shift = 64 + uint(bits.LeadingZeros64(lo))
		hi, lo = lo<<(shift-64), 0
	} else {
		hi, lo = hi<<shift|lo>>(64-shift), lo<<shift
	}
	q1 := hi / d
	q0, rest := bits.Div64(hi%d, lo, d)
	// The dividend is at least 2^127 and d below 2^64, so the quotient has at least 64 bits.
	k := uint(64 + bits.Len64(q1) - 62)
	if q1 == 0 {
		k = uint(bits.Len64(q0) - 62)
	}
	var top, lost uint64
	if k < 64 {
		top, lost = q1<<(64-k)|q0>>k, q0<<(64-k)
	} else {
		top, lost = q1>>(k-64), q1<<(128-k)|q0
		if k == 64 {
			lost = q0
		}
	}
	if lost|rest != 0 {
		top |= 1
	}
	return math.Ldexp(float64(int64(top)), int(k)-int(shift))
}

func (x int128) compare(y int128) int {
	if x.hi != y.hi {
		return cmp.Compare(int64(x.hi), int64(y.hi))
	}
	return cmp.Compare(x.lo, y.lo)
}
