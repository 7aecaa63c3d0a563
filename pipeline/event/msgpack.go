package event

import (
	"encoding/binary"
	"fmt"
	"math"
	"strconv"
)

// DecodeMsgpack is Decode for the same message as a msgpack map (https://github.com/msgpack/msgpack/blob/master/spec.md),
// by the same rules. What msgpack has and JSON has not: the timestamp extension counts as a time where one is wanted;
// bin and other extensions are of no kind that a field can have; map keys must be str. NaN and infinities are no numbers.
func (d *Decoder) DecodeMsgpack(src []byte, fallbackMillis int64, e *Event) error {
	if r := d.begin(src, e); r != nil {
		return r
	}
	m := packReader{d: d, src: src, e: e}
	if r := m.message(); r != nil {
		return r
	}
	if r := d.finish(fallbackMillis, e); r != nil {
		return r
	}
	return nil
}

// packReader walks one msgpack message. Its recursion is bounded by Limits.Depth.
type packReader struct {
	d   *Decoder
	src []byte
	i   int
	e   *Event
}

// packItem is one msgpack header: a scalar, or a container and how many elements or pairs it has.
type packItem struct {
	token
	count int
}

func (m *packReader) message() *Rejected {
	it, r := m.next()
	if r != nil {
		return r
	}
	if it.kind != tokObject {
		if r := m.skipRest(it, 0); r != nil {
			return r
		}
		return &Rejected{WrongType, "the message: want map, got " + it.kind.String()}
	}
	if r := m.object(m.d.root, it.count); r != nil {
		return r
	}
	if m.i != len(m.src) {
		return &Rejected{Malformed, fmt.Sprintf("msgpack: %d bytes behind the message", len(m.src)-m.i)}
	}
	return nil
}

// object reads count pairs of the container at place c.
func (m *packReader) object(c *place, count int) *Rejected {
	if r := m.deep(int(c.depth)); r != nil {
		return r
	}
	for range count {
		key, r := m.key()
		if r != nil {
			return r
		}
		if p := m.d.find(c, key); p != nil && p.node != 0 {
			r = m.value(p)
		} else {
			r = m.skip(int(c.depth))
		}
		if r != nil {
			return r
		}
	}
	return nil
}

func (m *packReader) key() ([]byte, *Rejected) {
	at := m.i
	it, r := m.next()
	if r != nil {
		return nil, r
	}
	if it.kind != tokString {
		return nil, &Rejected{Malformed, fmt.Sprintf("msgpack: byte %d: a map key must be a str, not %s", at, it.kind)}
	}
	return it.text, nil
}

// value gives the next value to what reads place p.
func (m *packReader) value(pl *place) *Rejected {
	it, r := m.next()
	if r != nil {
		return r
	}
	d := m.d
	if it.kind < tokObject {
		d.tok = it.token
		d.scalar(pl.node, &d.tok, m.e)
		return nil
	}
	if r := m.deep(int(pl.depth)); r != nil {
		return r
	}
	if !d.container(pl.node, it.kind) {
		return m.skipRest(it, int(pl.depth)-1)
	}
	if it.kind == tokObject {
		return m.object(pl, it.count)
	}
	for range it.count {
		d.item(d.nodes[pl.node].array-1, m.e)
		if r := m.value(pl.elem); r != nil {
			return r
		}
	}
	return nil
}

func (m *packReader) deep(depth int) *Rejected {
	if depth > m.d.limits.Depth {
		return &Rejected{TooDeep, fmt.Sprintf("msgpack: byte %d: nested deeper than %d", m.i, m.d.limits.Depth)}
	}
	return nil
}

// skip goes over the next value, which is inside depth containers. Nobody will look at its text.
func (m *packReader) skip(depth int) *Rejected {
	begin := len(m.e.scratch)
	it, r := m.next()
	m.e.scratch = m.e.scratch[:begin]
	if r != nil {
		return r
	}
	return m.skipRest(it, depth)
}

// skipRest goes over what belongs to it. The item is inside depth containers.
func (m *packReader) skipRest(it packItem, depth int) *Rejected {
	if it.kind < tokObject {
		return nil
	}
	if r := m.deep(depth + 1); r != nil {
		return r
	}
	for range it.count {
		if it.kind == tokObject {
			if _, r := m.key(); r != nil {
				return r
			}
		}
		if r := m.skip(depth + 1); r != nil {
			return r
		}
	}
	return nil
}

// next reads one header, and all of a scalar.
func (m *packReader) next() (packItem, *Rejected) {
	if m.i >= len(m.src) {
		return packItem{}, truncated(m.src)
	}
	c := m.src[m.i]
	m.i++
	switch {
	case c < 0x80:
		return m.integer(false, uint64(c)), nil
	case c >= 0xe0:
		return m.integer(true, uint64(-int64(int8(c)))), nil
	case c < 0x90:
		return m.container(tokObject, uint64(c&0x0f))
	case c < 0xa0:
		return m.container(tokArray, uint64(c&0x0f))
	case c < 0xc0:
		return m.bytes(tokString, uint64(c&0x1f))
	}
	switch c {
	case 0xc0:
		return packItem{}, nil
	case 0xc2:
		return packItem{token: token{kind: tokFalse, text: textFalse}}, nil
	case 0xc3:
		return packItem{token: token{kind: tokTrue, text: textTrue}}, nil
	case 0xd4, 0xd5, 0xd6, 0xd7, 0xd8: // fixext 1, 2, 4, 8, 16
		return m.extension(1 << (c - 0xd4))
	}
	if c == 0xc1 {
		return packItem{}, malformed(m.src, m.i-1)
	}
	// The rest begins with an integer of 1, 2, 4 or 8 bytes.
	size := 1 << packSizes[c-0xc4]
	if len(m.src)-m.i < size {
		return packItem{}, truncated(m.src)
	}
	var u uint64
	for _, b := range m.src[m.i : m.i+size] {
		u = u<<8 | uint64(b)
	}
	m.i += size
	switch c {
	case 0xc4, 0xc5, 0xc6:
		return m.bytes(tokBytes, u)
	case 0xc7, 0xc8, 0xc9:
		return m.extension(u)
	case 0xca:
		return m.float(float64(math.Float32frombits(uint32(u)))), nil
	case 0xcb:
		return m.float(math.Float64frombits(u)), nil
	case 0xcc, 0xcd, 0xce, 0xcf:
		return m.integer(false, u), nil
	case 0xd0, 0xd1, 0xd2, 0xd3:
		shift := 64 - 8*size
		if v := int64(u<<shift) >> shift; v < 0 {
			return m.integer(true, -uint64(v)), nil
		}
		return m.integer(false, u), nil
	case 0xd9, 0xda, 0xdb:
		return m.bytes(tokString, u)
	case 0xdc, 0xdd:
		return m.container(tokArray, u)
	}
	return m.container(tokObject, u) // 0xde, 0xdf
}

// packSizes has the binary logarithm of the size of what follows each type byte from 0xc4 on.
var packSizes = [...]uint8{
	0, 1, 2, // bin 8, 16, 32
	0, 1, 2, // ext
	2, 3, // float 32, 64
	0, 1, 2, 3, // uint
	0, 1, 2, 3, // int
	0, 0, 0, 0, 0, // fixext: not read this way
	0, 1, 2, // str
	1, 2, // array
	1, 2, // map
}

var textTrue, textFalse = []byte("true"), []byte("false")

// container checks the count against what is left, since every element takes a byte.
func (m *packReader) container(kind tokenKind, count uint64) (packItem, *Rejected) {
	least := count
	if kind == tokObject {
		least *= 2
	}
	if least > uint64(len(m.src)-m.i) {
		return packItem{}, truncated(m.src)
	}
	return packItem{token: token{kind: kind}, count: int(count)}, nil
}

// bytes reads a str or bin. Its text has no escapes to resolve.
func (m *packReader) bytes(kind tokenKind, n uint64) (packItem, *Rejected) {
	if n > uint64(len(m.src)-m.i) {
		return packItem{}, truncated(m.src)
	}
	end := m.i + int(n)
	it := packItem{token: token{kind: kind, flags: hasHigh, text: m.src[m.i:end:end]}}
	m.i = end
	return it, nil
}

// integer has the text that the number would have in JSON, for identifiers and string fields.
func (m *packReader) integer(neg bool, u uint64) packItem {
	begin := len(m.e.scratch)
	if neg {
		m.e.scratch = append(m.e.scratch, '-')
	}
	m.e.scratch = strconv.AppendUint(m.e.scratch, u, 10)
	return m.number(begin)
}

// float is written as encoding/json and JavaScript write it.
func (m *packReader) float(f float64) packItem {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return packItem{token: token{kind: tokNumber, text: textInfinite, number: number{exp: math.MaxInt32}}}
	}
	format := byte('f')
	if abs := math.Abs(f); abs != 0 && (abs < 1e-6 || abs >= 1e21) {
		format = 'e'
	}
	begin := len(m.e.scratch)
	m.e.scratch = strconv.AppendFloat(m.e.scratch, f, format, -1, 64)
	return m.number(begin)
}

// textInfinite is out of the range of float64, so that it is refused as such a number in JSON is.
var textInfinite = []byte("1e999")

func (m *packReader) number(begin int) packItem {
	it := packItem{token: token{kind: tokNumber, text: m.e.scratch[begin:len(m.e.scratch):len(m.e.scratch)]}}
	_, it.number = scanNumber(it.text, 0)
	return it
}

// extension reads the timestamp extension, type -1, in its three sizes; all others are bytes.
func (m *packReader) extension(n uint64) (packItem, *Rejected) {
	if m.i >= len(m.src) {
		return packItem{}, truncated(m.src)
	}
	kind := int8(m.src[m.i])
	m.i++
	it, r := m.bytes(tokBytes, n)
	if r != nil || kind != -1 {
		return it, r
	}
	var seconds int64
	var nanos uint64
	switch b := it.text; n {
	case 4:
		seconds = int64(binary.BigEndian.Uint32(b))
	case 8:
		u := binary.BigEndian.Uint64(b)
		seconds, nanos = int64(u&(1<<34-1)), u>>34
	case 12:
		seconds, nanos = int64(binary.BigEndian.Uint64(b[4:])), uint64(binary.BigEndian.Uint32(b))
	default:
		return it, nil
	}
	if nanos > 999_999_999 || seconds < minMillis/1000 || seconds > maxMillis/1000 {
		return it, nil
	}
	it.kind, it.millis = tokInstant, seconds*1000+int64(nanos/1e6)
	return it, nil
}
