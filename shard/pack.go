package shard

import (
	"encoding/binary"
	"encoding/hex"

	"dashi/pipeline/identity"
)

// How a component is encoded (FORMAT.md). Nearly every identifier was linked once, with the root, by the only event that it was seen in: then its
// times are those of the link and are not written again. UUIDs and other hexadecimal values, as most identifiers are that nobody types, take half
// of their length.

// The head of an identifier.
const (
	identState     = 1 << 0
	identSaturated = 1 << 1
	identUnseen    = 1 << 2
	identTimes     = 1 << 3 // times follow; else they are those of its links
	identProfile   = 1 << 4 // the index of its profile follows; else it is 0
	identLinks     = 1 << 5 // its links with stronger ones follow; else it is one, joined, with the root
	packText       = 0 << 6 // the value: length and text,
	packUUID       = 1 << 6 // 16 bytes,
	packHex        = 2 << 6 // or length and bytes, of the hexadecimal digits
	packMask       = 3 << 6
)

const uuidLen = 36

// packing says how a value is packed.
func packing(value []byte) uint8 {
	if len(value) == uuidLen && value[8] == '-' && value[13] == '-' && value[18] == '-' && value[23] == '-' &&
		isHex(value[:8]) && isHex(value[9:13]) && isHex(value[14:18]) && isHex(value[19:23]) && isHex(value[24:]) {
		return packUUID
	}
	if len(value)%2 == 0 && isHex(value) {
		return packHex
	}
	return packText
}

// isHex says whether all bytes are hexadecimal digits in lower case.
func isHex(b []byte) bool {
	for _, c := range b {
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}

// appendDigits appends the bytes that the hexadecimal digits of a value stand for. how is packUUID or packHex.
func appendDigits(dst, value []byte, how uint8) []byte {
	if how == packHex {
		dst, _ = hex.AppendDecode(dst, value)
		return dst
	}
	for _, part := range [...][2]int{{0, 8}, {9, 13}, {14, 18}, {19, 23}, {24, 36}} {
		dst, _ = hex.AppendDecode(dst, value[part[0]:part[1]])
	}
	return dst
}

// appendUnpacked appends the value that appendDigits packed.
func appendUnpacked(dst, digits []byte, how uint8) []byte {
	if how == packHex {
		return hex.AppendEncode(dst, digits)
	}
	for i, part := range [...][2]int{{0, 4}, {4, 6}, {6, 8}, {8, 10}, {10, 16}} {
		if i > 0 {
			dst = append(dst, '-')
		}
		dst = hex.AppendEncode(dst, digits[part[0]:part[1]])
	}
	return dst
}

func appendPacked(dst, value []byte, how uint8) []byte {
	switch how {
	case packUUID:
		return appendDigits(dst, value, how)
	case packHex:
		return appendDigits(binary.AppendUvarint(dst, uint64(len(value)/2)), value, how)
	}
	return appendBytes(dst, value)
}

// readPacked is the inverse of appendPacked. The value lies in src or at the end of c.text.
func (c *component) readPacked(src []byte, how uint8) (value, rest []byte, err error) {
	switch how {
	case packUUID:
		if len(src) < 16 {
			return nil, nil, errShort
		}
		value, src = src[:16], src[16:]
	case packHex, packText:
		if value, src, err = readBytes(src); err != nil || how == packText {
			return value, src, err
		}
	default:
		return nil, nil, errMessage
	}
	at := len(c.text)
	c.text = appendUnpacked(c.text, value, how)
	return c.text[at:len(c.text):len(c.text)], src, nil
}

// append appends the component. namespace appends a namespace as messages have it. nil is for the record of the root: there the shard's numbers
// are written, and the key of the root is left out, because the record has it.
func (c *component) append(dst []byte, namespace func(dst []byte, ns uint8) []byte) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(c.idents)))
	base, links := int64(0), c.facts.Links
	for i := range c.idents {
		mine := 0
		for mine < len(links) && !links[mine].Cut && links[mine].B == i {
			mine++
		}
		dst = c.appendIdent(dst, i, base, links[:mine], namespace)
		links, base = links[mine:], c.idents[0].first
	}
	cuts := uint64(len(links)) << 1
	if len(c.tombstones) > 0 {
		cuts |= 1
	}
	dst = binary.AppendUvarint(dst, cuts)
	for k := range links { // the cuts
		l := &links[k]
		dst = binary.AppendUvarint(dst, uint64(l.A))
		dst = binary.AppendUvarint(dst, uint64(l.B))
		dst = appendWhen(dst, l, base)
	}
	if len(c.tombstones) > 0 {
		dst = appendTombstones(dst, c.tombstones)
	}
	return dst
}

// appendIdent appends identifier i, with its links with stronger ones.
func (c *component) appendIdent(dst []byte, i int, base int64, links []identity.Link, namespace func(dst []byte, ns uint8) []byte) []byte {
	d := &c.idents[i]
	how := packing(d.value)
	if namespace == nil && i == 0 {
		how = packText
	}
	head := how
	if d.state {
		head |= identState
	}
	if d.saturated {
		head |= identSaturated
	}
	if d.unseen {
		head |= identUnseen
	}
	if first, last := span(links); len(links) == 0 || first != d.first || last != d.last {
		head |= identTimes
	}
	if d.profile != 0 {
		head |= identProfile
	}
	if i > 0 && (len(links) != 1 || links[0].A != 0 || links[0].Verdict != identity.Joined) {
		head |= identLinks
	}
	dst = append(dst, head)
	switch {
	case namespace != nil:
		dst = appendPacked(namespace(dst, d.ns), d.value, how)
	case i > 0:
		dst = appendPacked(append(dst, d.ns), d.value, how)
	}
	if head&identProfile != 0 {
		dst = binary.AppendUvarint(dst, uint64(d.profile))
	}
	if head&identTimes != 0 {
		dst = binary.AppendVarint(dst, d.first-base)
		dst = binary.AppendUvarint(dst, uint64(d.last-d.first))
	}
	if head&identLinks != 0 {
		dst = binary.AppendUvarint(dst, uint64(len(links)))
	}
	for k := range links {
		if head&identLinks != 0 {
			dst = binary.AppendUvarint(dst, uint64(links[k].A))
			dst = append(dst, uint8(links[k].Verdict))
		}
		dst = appendWhen(dst, &links[k], base)
	}
	return dst
}

// span is the earliest First and the latest Last of some links.
func span(links []identity.Link) (first, last int64) {
	for k := range links {
		if k == 0 || links[k].First < first {
			first = links[k].First
		}
		if k == 0 || links[k].Last > last {
			last = links[k].Last
		}
	}
	return first, last
}

func appendWhen(dst []byte, l *identity.Link, base int64) []byte {
	dst = binary.AppendVarint(dst, l.First-base)
	dst = binary.AppendUvarint(dst, uint64(l.Last-l.First))
	return binary.LittleEndian.AppendUint32(dst, l.ID)
}

// readNumber reads a namespace as a message has it, and returns the shard's number of it.
type readNumber func(src []byte) (uint8, []byte, error)

// read fills c with what append wrote at the beginning of src; the values may alias src. If namespace is nil the root's key is root, which c
// aliases then.
func (c *component) read(src []byte, namespace readNumber, root key) (rest []byte, err error) {
	c.clear()
	c.hashed, c.text = false, c.text[:0]
	n, src, err := uvarint(src)
	if err != nil || n > uint64(len(src)) {
		return nil, errShort
	}
	base := int64(0)
	for i := range int(n) {
		if src, err = c.readIdent(src, i, int(n), base, namespace, root); err != nil {
			return nil, err
		}
		base = c.idents[0].first
	}
	if n, src, err = uvarint(src); err != nil || n>>1 > uint64(len(src)) {
		return nil, errShort
	}
	for range n >> 1 {
		l := identity.Link{Cut: true}
		if l.A, src, err = c.readIndex(src); err != nil {
			return nil, err
		}
		if l.B, src, err = c.readIndex(src); err != nil {
			return nil, err
		}
		if l.A >= l.B {
			return nil, errMessage
		}
		if src, err = c.readWhen(src, l, base); err != nil {
			return nil, err
		}
	}
	if n&1 != 0 {
		c.tombstones, src, err = readTombstones(c.tombstones, src)
	}
	return src, err
}

// readIndex reads the index of an identifier that comes before the link with the index.
func (c *component) readIndex(src []byte) (i int, rest []byte, err error) {
	v, src, err := uvarint(src)
	if err != nil {
		return 0, nil, err
	}
	if v >= uint64(len(c.idents)) {
		return 0, nil, errMessage
	}
	return int(v), src, nil
}

func (c *component) readIdent(src []byte, i, n int, base int64, namespace readNumber, root key) (rest []byte, err error) {
	if len(src) == 0 {
		return nil, errShort
	}
	var d ident
	head := src[0]
	d.state, d.saturated, d.unseen = head&identState != 0, head&identSaturated != 0, head&identUnseen != 0
	if src = src[1:]; namespace == nil && i == 0 {
		d.key = root
	} else if src, err = c.readKey(&d, src, head&packMask, namespace); err != nil {
		return nil, err
	}
	if len(d.value) == 0 || len(d.value) > maxIdentifier {
		return nil, errMessage
	}
	if head&identProfile != 0 {
		profile, more, err := uvarint(src)
		if err != nil || profile >= uint64(n) {
			return nil, errMessage
		}
		d.profile, src = int(profile), more
	}
	if head&identTimes != 0 {
		if d.first, d.last, src, err = readSpan(src, base); err != nil {
			return nil, err
		}
	}
	c.idents = append(c.idents, d)
	count := uint64(1)
	if head&identLinks != 0 {
		if count, src, err = uvarint(src); err != nil || count > uint64(len(src)) {
			return nil, errShort
		}
	} else if i == 0 {
		count = 0
	}
	if head&identTimes == 0 && count == 0 || i == 0 && count > 0 {
		return nil, errMessage
	}
	from := len(c.facts.Links)
	for range count {
		l := identity.Link{B: i}
		if head&identLinks != 0 {
			if l.A, src, err = c.readIndex(src); err != nil || len(src) == 0 {
				return nil, errShort
			}
			if l.Verdict, src = identity.Verdict(src[0]), src[1:]; l.A == i || int(l.Verdict) >= len(identity.Verdicts) {
				return nil, errMessage
			}
		}
		if src, err = c.readWhen(src, l, base); err != nil {
			return nil, err
		}
	}
	if head&identTimes == 0 {
		c.idents[i].first, c.idents[i].last = span(c.facts.Links[from:])
	}
	return src, nil
}

// readKey reads the namespace and the value of an identifier.
func (c *component) readKey(d *ident, src []byte, how uint8, namespace readNumber) (rest []byte, err error) {
	switch {
	case namespace != nil:
		d.ns, src, err = namespace(src)
	case len(src) == 0:
		err = errShort
	default:
		d.ns, src = src[0], src[1:]
	}
	if err == nil {
		d.value, src, err = c.readPacked(src, how)
	}
	return src, err
}

// readWhen reads what appendWhen wrote into l, and appends l to the links, which must come in their order.
func (c *component) readWhen(src []byte, l identity.Link, base int64) (rest []byte, err error) {
	if l.First, l.Last, src, err = readSpan(src, base); err != nil {
		return nil, err
	}
	if len(src) < 4 {
		return nil, errShort
	}
	l.ID = binary.LittleEndian.Uint32(src)
	if k := len(c.facts.Links); k > 0 && orderLinks(c.facts.Links[k-1], l) >= 0 {
		return nil, errMessage
	}
	c.facts.Links = append(c.facts.Links, l)
	return src[4:], nil
}

// readSpan reads two instants, the first relative to base, the last to the first.
func readSpan(src []byte, base int64) (first, last int64, rest []byte, err error) {
	delta, src, err := varint(src)
	if err != nil {
		return 0, 0, nil, err
	}
	length, src, err := uvarint(src)
	if err != nil || int64(length) < 0 {
		return 0, 0, nil, errShort
	}
	first = base + delta
	if last = first + int64(length); last < first {
		return 0, 0, nil, errMessage
	}
	return first, last, src, nil
}
