package attribute

import (
	"encoding/binary"
	"math"

	"dashi/pipeline/event"
)

// Event times, and times that are values, lie in the years 0 to 9999: what RFC 3339 can write.
const (
	minTime = -62167219200000 // 0000-01-01T00:00:00Z, in milliseconds since 1970
	maxTime = 253402300799999 // 9999-12-31T23:59:59.999Z
)

func timeInRange(ms int64) bool { return ms >= minTime && ms <= maxTime }

// lateKey orders times so that the later is greater, earlyKey so that the earlier is. Both are 1 or more and
// below 2^49: zero is left for "not seen", and there is room for a flag below.
func lateKey(ms int64) uint64   { return uint64(ms-minTime) + 1 }
func earlyKey(ms int64) uint64  { return uint64(maxTime-ms) + 1 }
func lateTime(k uint64) int64   { return int64(k-1) + minTime }
func earlyTime(k uint64) int64  { return maxTime - int64(k-1) }
func get(b []byte) uint64       { return binary.LittleEndian.Uint64(b) }
func put(b []byte, v uint64)    { binary.LittleEndian.PutUint64(b, v) }
func putMax(b []byte, v uint64) { put(b, max(get(b), v)) }

const infinity = 0x7ff << 52

// finite normalises the bits of a number: -0 is 0. ok is false for NaN and the infinities.
func finite(b uint64) (_ uint64, ok bool) {
	if b == 1<<63 {
		b = 0
	}
	return b, b&infinity != infinity
}

// numberKey orders numbers as unsigned integers. Of a finite number neither the key nor its complement is 0.
func numberKey(b uint64) uint64 {
	if b>>63 == 1 {
		return ^b
	}
	return b | 1<<63
}

func keyNumber(k uint64) float64 {
	if k>>63 == 1 {
		return math.Float64frombits(k &^ (1 << 63))
	}
	return math.Float64frombits(^k)
}

// valueKey orders the values of one type, numbers, times or truths. ok is false for a value of another kind
// or out of range. Of a number or a time neither the key nor its complement is 0.
func valueKey(v *event.Value, of Type) (key uint64, ok bool) {
	switch of {
	case Number:
		b, ok := finite(v.Bits)
		return numberKey(b), ok && v.Kind == event.Number
	case Time:
		return lateKey(int64(v.Bits)), v.Kind == event.Time && timeInRange(int64(v.Bits))
	case Bool:
		return v.Bits & 1, v.Kind == event.Bool
	}
	return 0, false
}

// keyValue is the number behind a key: milliseconds for a time, 0 or 1 for a truth.
func keyValue(k uint64, of Type) float64 {
	switch of {
	case Number:
		return keyNumber(k)
	case Time:
		return float64(lateTime(k))
	}
	return float64(k & 1)
}

func appendKey(dst []byte, k uint64, of Type) []byte {
	switch of {
	case Number:
		return AppendNumber(dst, keyNumber(k))
	case Time:
		return appendTimeString(dst, lateTime(k))
	}
	return appendBool(dst, k&1 == 1)
}
