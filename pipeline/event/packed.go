package event

import (
	"encoding/binary"
	"math"
	"slices"
)

// FORMAT.md says what these bytes are.
const (
	packedVersion = 1 << 4 // in the high half of the flags byte
	packedID      = 1 << 0
	packedLens    = 1 << 1
	packedFlags   = packedID | packedLens

	packedHead = 4 + 8 + 8 + 1 + 1 // length, hash, time, flags, number of identifiers
	packedMin  = packedHead + 1    // and a type

	maxDelta = 31 // of field indexes in a tag; from here on the rest follows
)

// Codes of values. Those up to 4 are the Kinds.
const (
	codeColumn = 0 // in the tag of a repeated field; Absent within the column
	codeFalse  = uint8(Bool)
	codeFloat  = uint8(Number)
	codeString = uint8(String)
	codeTime   = uint8(Time)
	codeTrue   = 5
	codeWhole  = 6
)

// wholeLimit bounds the numbers that are written as integers: below it they take five bytes or less instead of eight.
const wholeLimit = 1 << 31

// AppendPacked appends the packed form of e. The same event gives the same bytes. It can be read only with the schema
// with which e was decoded: whoever keeps packed events keeps with them which schema that was.
func AppendPacked(dst []byte, e *Event) []byte {
	begin := len(dst)
	flags := uint8(packedVersion)
	if e.ID != [2]uint64{} {
		flags |= packedID
	}
	for _, n := range e.Lens {
		if n > 0 {
			flags |= packedLens
		}
	}
	dst = slices.Grow(dst, packedHead+16)[:begin+packedHead+16]
	head := dst[begin:]
	binary.LittleEndian.PutUint64(head[4:], e.Hash)
	binary.LittleEndian.PutUint64(head[12:], uint64(e.Time))
	head[20], head[21] = flags, uint8(len(e.Identifiers))
	binary.LittleEndian.PutUint64(head[packedHead:], e.ID[0])
	binary.LittleEndian.PutUint64(head[packedHead+8:], e.ID[1])
	if flags&packedID == 0 {
		dst = dst[:begin+packedHead]
	}
	dst = binary.AppendUvarint(dst, uint64(e.Type))
	if e.Type == 0 {
		dst = appendBytes(dst, e.Name)
	}
	for i := range e.Identifiers {
		dst = append(dst, e.Identifiers[i].Namespace)
		dst = appendBytes(dst, e.Identifiers[i].Value)
	}
	if flags&packedLens != 0 {
		for _, n := range e.Lens {
			dst = binary.AppendUvarint(dst, uint64(n))
		}
	}
	dst = appendFields(dst, e)
	binary.LittleEndian.PutUint32(dst[begin:], uint32(len(dst)-begin))
	return dst
}

func appendFields(dst []byte, e *Event) []byte {
	next := 0
	for f := range e.Values {
		items := e.Items[f]
		v := &e.Values[f]
		if v.Kind == Absent && len(items) == 0 {
			continue
		}
		delta := f - next
		next = f + 1
		code := uint8(codeColumn)
		if len(items) == 0 {
			code = valueCode(v)
		}
		if delta < maxDelta {
			dst = append(dst, uint8(delta)<<3|code)
		} else {
			dst = append(dst, maxDelta<<3|code)
			dst = binary.AppendUvarint(dst, uint64(delta-maxDelta))
		}
		if len(items) == 0 {
			dst = appendValue(dst, code, v)
			continue
		}
		for j := range items {
			code := valueCode(&items[j])
			dst = append(dst, code)
			dst = appendValue(dst, code, &items[j])
		}
	}
	return dst
}

// valueCode is the shortest code for v.
func valueCode(v *Value) uint8 {
	switch v.Kind {
	case Bool:
		if v.Bits != 0 {
			return codeTrue
		}
	case Number:
		f := math.Float64frombits(v.Bits)
		if f > -wholeLimit && f < wholeLimit && math.Float64bits(float64(int64(f))) == v.Bits {
			return codeWhole
		}
	}
	return uint8(v.Kind)
}

func appendValue(dst []byte, code uint8, v *Value) []byte {
	switch code {
	case codeFloat, codeTime:
		return binary.LittleEndian.AppendUint64(dst, v.Bits)
	case codeString:
		return appendBytes(dst, v.Str)
	case codeWhole:
		return binary.AppendVarint(dst, int64(math.Float64frombits(v.Bits)))
	}
	return dst
}

func appendBytes(dst, b []byte) []byte {
	n, at := len(b), len(dst)+1
	if n < 4 || n > 16 || cap(dst) < at+n {
		dst = binary.AppendUvarint(dst, uint64(n))
		return append(dst, b...)
	}
	dst = dst[:at+n] // most strings: two words that overlap are quicker than the call that copies
	dst[at-1] = uint8(n)
	if to := dst[at:]; n >= 8 {
		binary.LittleEndian.PutUint64(to, le64(b))
		binary.LittleEndian.PutUint64(to[n-8:], le64(b[n-8:]))
	} else {
		binary.LittleEndian.PutUint32(to, le32(b))
		binary.LittleEndian.PutUint32(to[n-4:], le32(b[n-4:]))
	}
	return dst
}

// PackedLen is the length of the packed event at the beginning of src, or 0 when src does not hold all of it.
func PackedLen(src []byte) int {
	if len(src) < packedMin {
		return 0
	}
	n := int(le32(src))
	if n < packedMin || n > len(src) {
		return 0
	}
	return n
}
