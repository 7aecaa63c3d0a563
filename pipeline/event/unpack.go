package event

import (
	"encoding/binary"
	"math"
	"unsafe"
)

// The rejections of Unpack are made once: garbage must not cost allocations.
var (
	errShort      = &Rejected{Malformed, "packed event: it ends too early"}
	errVersion    = &Rejected{Malformed, "packed event: unknown version or flag"}
	errHead       = &Rejected{Malformed, "packed event: type or identifier that the schema does not have"}
	errField      = &Rejected{Malformed, "packed event: field that the schema does not have, or not of that kind"}
	errArray      = &Rejected{Malformed, "packed event: an array and its fields have different lengths"}
	errNotFinite  = &Rejected{Malformed, "packed event: number that is not finite"}
	errIdentifier = &Rejected{Malformed, "packed event: identifiers out of order, or an empty one"}
)

// codeKinds is the Kind of each code; Absent for those that are none.
var codeKinds = [8]Kind{codeFalse: Bool, codeFloat: Number, codeString: String, codeTime: Time, codeTrue: Bool, codeWhole: Number}

// Unpack reads the packed event at the beginning of src into e, which then aliases src and s; rest is what follows it. s is the
// schema with which it was packed; another is noticed only where kinds differ. It trusts whoever packed the event in
// two points: that Hash belongs to the first identifier, and that strings are UTF-8. The error is a *Rejected.
func Unpack(src []byte, s *Schema, e *Event) (rest []byte, err error) {
	n := PackedLen(src)
	if n == 0 {
		return src, errShort
	}
	e.resetHead()
	e.fit(s)
	b := src[:n:n]
	i, r := unpackHead(b, s, e)
	if r == nil {
		r = unpackFields(b, i, s, e)
	}
	if r != nil {
		return src, r
	}
	return src[n:], nil
}

func unpackHead(b []byte, s *Schema, e *Event) (int, *Rejected) {
	e.Hash = le64(b[4:12])
	e.Time = int64(le64(b[12:20]))
	flags, count := b[20], int(b[21])
	if flags&^packedFlags != packedVersion {
		return 0, errVersion
	}
	i := packedHead
	if flags&packedID != 0 {
		if len(b) < packedMin+16 {
			return 0, errShort
		}
		e.ID = [2]uint64{le64(b[i : i+8]), le64(b[i+8 : i+16])}
		i += 16
	}
	code, i := uvarint(b, i)
	if i < 0 || code > uint64(len(s.Types)) {
		return 0, errHead
	}
	if e.Type = int(code); code == 0 {
		if e.Name, i = bytesAt(b, i); i < 0 {
			return 0, errShort
		}
	} else {
		name := s.Types[code-1]
		e.Name = unsafe.Slice(unsafe.StringData(name), len(name)) // not to be written to, as all of an Event
	}
	i, r := unpackIdentifiers(b, i, count, s, e)
	if r != nil {
		return 0, r
	}
	if flags&packedLens == 0 {
		clear(e.Lens)
		return i, nil
	}
	for a := range e.Lens {
		var n uint64
		if n, i = uvarint(b, i); i < 0 || n > math.MaxInt32 {
			return 0, errShort
		}
		e.Lens[a] = int(n)
	}
	return i, nil
}

func unpackIdentifiers(b []byte, i, count int, s *Schema, e *Event) (int, *Rejected) {
	if count == 0 {
		return 0, errIdentifier
	}
	least := 0
	for range count {
		if i >= len(b) {
			return 0, errShort
		}
		ns := int(b[i])
		if ns >= len(s.Namespaces) {
			return 0, errHead
		}
		var value []byte
		if value, i = bytesAt(b, i+1); i < 0 {
			return 0, errShort
		}
		if ns < least || len(value) == 0 {
			return 0, errIdentifier
		}
		least = ns + 1
		e.Identifiers = append(e.Identifiers, Identifier{uint8(ns), value})
	}
	return i, nil
}

// unpackFields reads tags up to the end of b. It writes every Value once, and makes those between the tags Absent.
func unpackFields(b []byte, i int, s *Schema, e *Event) *Rejected {
	fields, values := s.Fields, e.Values[:len(s.Fields)]
	next := 0
	for i < len(b) {
		tag := b[i]
		i++
		code, f := tag&7, next+int(tag>>3)
		if tag>>3 == maxDelta {
			var more uint64
			if more, i = uvarint(b, i); i < 0 || more > uint64(len(fields)) {
				return errField
			}
			f += int(more)
		}
		if f >= len(fields) {
			return errField
		}
		if f > next || fields[f].Array > 0 || len(e.Items[f]) > 0 {
			if r := absent(next, f, s, e); r != nil {
				return r
			}
			if fields[f].Array > 0 {
				if i, next = unpackColumn(b, i, code, f, s, e), f+1; i < 0 {
					return columnError(i)
				}
				continue
			}
			e.Items[f] = e.Items[f][:0]
		}
		next = f + 1
		v := &values[f]
		if codeKinds[code] != fields[f].Kind {
			return errField
		}
		// The two usual cases, with their length in one byte, without a call.
		if i < len(b) && b[i] < 0x80 {
			if u := uint64(b[i]); code == codeWhole {
				*v = Value{Kind: Number, Bits: math.Float64bits(float64(int64(u>>1) ^ -int64(u&1)))}
				i++
				continue
			}
			if end := i + 1 + int(b[i]); code == codeString && end <= len(b) {
				*v = Value{Kind: String, Str: b[i+1 : end : end]}
				i = end
				continue
			}
		}
		if i = unpackValue(b, i, code, v); i < 0 {
			return columnError(i)
		}
	}
	return absent(next, len(fields), s, e)
}

// absent empties fields from..to-1. A repeated field may be missing only when its array is empty.
func absent(from, to int, s *Schema, e *Event) *Rejected {
	for f := from; f < to; f++ {
		e.Values[f] = Value{}
		e.Items[f] = e.Items[f][:0]
		if a := s.Fields[f].Array; a > 0 && e.Lens[a-1] > 0 {
			return errArray
		}
	}
	return nil
}

// What unpackValue and unpackColumn return in place of an index.
const (
	failShort = -1 - iota
	failFinite
	failField
	failArray
)

func columnError(i int) *Rejected {
	switch i {
	case failFinite:
		return errNotFinite
	case failField:
		return errField
	case failArray:
		return errArray
	}
	return errShort
}

// unpackColumn reads one value for each element of the array. Each takes a byte at least, so a length that was made up
// cannot cost more memory than src has bytes, times a constant.
func unpackColumn(b []byte, i int, code uint8, f int, s *Schema, e *Event) int {
	n := e.Lens[s.Fields[f].Array-1]
	if code != codeColumn || n == 0 || n > len(b)-i {
		return failArray
	}
	e.Values[f] = Value{}
	items := resize(e.Items[f], n)
	e.Items[f] = items
	for j := range items {
		if i >= len(b) {
			return failShort
		}
		code := b[i]
		i++
		if code == codeColumn {
			items[j] = Value{}
			continue
		}
		if code >= 8 || codeKinds[code] != s.Fields[f].Kind {
			return failField
		}
		if i = unpackValue(b, i, code, &items[j]); i < 0 {
			return i
		}
	}
	return i
}

// unpackValue reads the payload of a code that is a kind.
func unpackValue(b []byte, i int, code uint8, v *Value) int {
	switch code {
	case codeString:
		str, i := bytesAt(b, i)
		*v = Value{Kind: String, Str: str}
		return i
	case codeWhole:
		u, i := uvarint(b, i)
		*v = Value{Kind: Number, Bits: math.Float64bits(float64(int64(u>>1) ^ -int64(u&1)))}
		return i
	case codeFloat, codeTime:
		if i+8 > len(b) {
			return failShort
		}
		bits := le64(b[i : i+8])
		if code == codeFloat && bits>>52&0x7ff == 0x7ff {
			return failFinite
		}
		*v = Value{Kind: codeKinds[code], Bits: bits}
		return i + 8
	case codeTrue:
		*v = Value{Kind: Bool, Bits: 1}
		return i
	}
	*v = Value{Kind: Bool}
	return i
}

// uvarint returns the index behind the number at b[i], or failShort.
func uvarint(b []byte, i int) (uint64, int) {
	if i < len(b) && b[i] < 0x80 {
		return uint64(b[i]), i + 1
	}
	return longUvarint(b, i)
}

func longUvarint(b []byte, i int) (uint64, int) {
	if i >= len(b) {
		return 0, failShort
	}
	u, n := binary.Uvarint(b[i:])
	if n <= 0 {
		return 0, failShort
	}
	return u, i + n
}

// bytesAt reads a length and as many bytes; the index is failShort when they are not there.
func bytesAt(b []byte, i int) ([]byte, int) {
	n, i := uvarint(b, i)
	if i < 0 || n > uint64(len(b)-i) {
		return nil, failShort
	}
	end := i + int(n)
	return b[i:end:end], end
}
