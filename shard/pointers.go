package shard

import (
	"bytes"
	"encoding/binary"

	"github.com/cespare/xxhash/v2"
)

// pointers says where those identifiers lie whose home is here but that are in a component with a smaller root: the root, as last heard of.
// A pointer only ever changes to a smaller root.
//
// Of the identifier an entry keeps its hash and a second one, 80 bits, and not the value: that stands in the component, which has the
// last word on whom it has. Entries are appended to chunks and never changed, so a snapshot only copies the list of chunks; tables of positions
// find the newest entry. Replaced entries are garbage until they are half of all; then the chunks are compacted. An entry is 11 bytes and the
// value of the root; its share of the tables is 6.
type pointers struct {
	s       *Shard
	chunks  [][]byte
	tables  [pointerTables]pointerTable
	used    int // identifiers in the tables
	bytes   int // of all entries
	garbage int // bytes of entries that were replaced

	removed  int   // identifiers whose entry has an empty root
	forgetAt int64 // forget does nothing before this instant
}

// pointerTable is a table with open addressing and linear probing. There are many small ones that grow one after the other, by an eighth: so they
// do not all stand half empty, and no log entry waits for the growth of a large one.
type pointerTable struct {
	at   []uint32 // 1 + position of an entry; 0 is free
	tags []uint8  // of the entry there: few others are looked at
	used int
}

const (
	pointerTables = 64
	pointerChunk  = 16 << 10
	chunkBits     = 14 // of a position: an entry begins below pointerChunk and may be longer than that
)

// spread makes bits that are independent of the shard that a hash belongs to.
func spread(hash uint64) uint64 {
	hash *= 0x9E3779B97F4A7C15
	return hash ^ hash>>32
}

// checkOf is a hash besides identity.Hash: FNV-1a, folded.
func checkOf(k key) uint16 {
	h := uint32(2166136261)
	for _, c := range k.value {
		h = (h ^ uint32(c)) * 16777619
	}
	return uint16(h ^ h>>16)
}

// pointer is an entry, as append writes it.
type pointer struct {
	ns, rootNS uint8
	hash       uint64
	check      uint16
	how        uint8 // how the value of the root is packed, and its bytes
	root       []byte
	size       int
}

// find is the root of k's component as k's pointer says it. The value of the root may lie in text, which grows as needed.
func (p *pointers) find(k key, text *[]byte) (root key, ok bool) {
	if p.used == 0 {
		return key{}, false
	}
	t, i, found := p.slot(k.ns, k.hash, checkOf(k))
	if !found {
		return key{}, false
	}
	e := p.entry(t.at[i])
	if len(e.root) == 0 {
		return key{}, false
	}
	return p.s.key(e.rootNS, e.value(text)), true
}

// has says whether there is a pointer for k.
func (p *pointers) has(k key) bool {
	if p.used == 0 {
		return false
	}
	t, i, found := p.slot(k.ns, k.hash, checkOf(k))
	return found && len(p.entry(t.at[i]).root) > 0
}

// value is the value of the root.
func (e *pointer) value(text *[]byte) []byte {
	if e.how == packText {
		return e.root
	}
	*text = appendUnpacked((*text)[:0], e.root, e.how)
	return *text
}

// slot is where an identifier is in its table, or where it would be put.
func (p *pointers) slot(ns uint8, hash uint64, check uint16) (t *pointerTable, i int, found bool) {
	x := spread(hash)
	t = &p.tables[x%pointerTables]
	if len(t.at) == 0 {
		return t, 0, false
	}
	for i = t.start(x); t.at[i] != 0; i = t.next(i) {
		if t.tags[i] == uint8(x>>8) {
			if e := p.entry(t.at[i]); e.hash == hash && e.check == check && e.ns == ns {
				return t, i, true
			}
		}
	}
	return t, i, false
}

// touch reads the lines that lead to the pointers of all these identifiers, at most lookAhead, so that the cache misses overlap.
//
//go:noinline
func (p *pointers) touch(hashes []uint64) (sum uint64) {
	if p.used == 0 {
		return 0
	}
	for _, hash := range hashes {
		x := spread(hash)
		if t := &p.tables[x%pointerTables]; len(t.at) > 0 {
			i := t.start(x)
			sum += uint64(t.tags[i]) + uint64(t.at[i])
		}
	}
	for _, hash := range hashes {
		x := spread(hash)
		t := &p.tables[x%pointerTables]
		if len(t.at) == 0 {
			continue
		}
		for i := t.start(x); t.at[i] != 0; i = t.next(i) {
			if t.tags[i] == uint8(x>>8) {
				at := t.at[i] - 1
				sum += uint64(p.chunks[at>>chunkBits][at&(1<<chunkBits-1)])
				break
			}
		}
	}
	return sum
}

func (t *pointerTable) start(x uint64) int { return int(x >> 32 * uint64(len(t.at)) >> 32) }

func (t *pointerTable) next(i int) int {
	if i++; i == len(t.at) {
		return 0
	}
	return i
}

// entry reads the entry that a table leads to.
func (p *pointers) entry(at uint32) pointer {
	at--
	e, err := readPointer(p.chunks[at>>chunkBits][at&(1<<chunkBits-1):])
	if err != nil {
		panic("BUG: a pointer cannot be read")
	}
	return e
}

// The first byte of an entry: the number of the namespace of the identifier, below 8, that of the root's, below 4, and 3 bits for the length of the
// root's text, 5 to 10 of them as 1 to 6, or one of these.
const (
	pointerWide  = 0 // the numbers are in the next two bytes, length and packing behind the hashes
	pointerLong  = 7 // length and packing are behind the hashes
	pointerShort = 4 // less than the shortest length that stands in the first byte
)

// readPointer reads the entry at the beginning of b, which it aliases.
func readPointer(b []byte) (e pointer, err error) {
	if len(b) < 12 {
		return e, errShort
	}
	kind, rest := b[0]&7, b[1:]
	if e.ns, e.rootNS = b[0]>>5, b[0]>>3&3; kind == pointerWide {
		e.ns, e.rootNS, rest = b[1], b[2], b[3:]
	}
	if len(rest) < 10 {
		return e, errShort
	}
	e.hash, e.check, rest = le64(rest), binary.LittleEndian.Uint16(rest[8:]), rest[10:]
	n := uint64(pointerShort + kind)
	if kind == pointerWide || kind == pointerLong {
		if n, rest, err = uvarint(rest); err != nil {
			return e, err
		}
		e.how, n = uint8(n&3)<<6, n>>2
	}
	if n > uint64(len(rest)) {
		return e, errShort
	}
	e.root = rest[:n]
	e.size = len(b) - len(rest) + len(e.root)
	return e, nil
}

// append writes an entry and returns 1 + its position.
func (p *pointers) append(e *pointer) uint32 {
	n := len(p.chunks)
	if n == 0 || len(p.chunks[n-1]) >= pointerChunk-64 {
		p.chunks = append(p.chunks, make([]byte, 0, pointerChunk))
		n++
	}
	c := p.chunks[n-1]
	at := uint32(n-1)<<chunkBits | uint32(len(c))
	before := len(c)
	kind := uint8(pointerLong)
	switch {
	case e.ns > 7 || e.rootNS > 3:
		kind = pointerWide
		c = append(c, kind, e.ns, e.rootNS)
	case e.how == packText && len(e.root) > pointerShort && len(e.root) < pointerShort+pointerLong:
		kind = uint8(len(e.root) - pointerShort)
		fallthrough
	default:
		c = append(c, e.ns<<5|e.rootNS<<3|kind)
	}
	c = binary.LittleEndian.AppendUint64(c, e.hash)
	c = binary.LittleEndian.AppendUint16(c, e.check)
	if kind == pointerWide || kind == pointerLong {
		c = binary.AppendUvarint(c, uint64(len(e.root))<<2|uint64(e.how>>6))
	}
	c = append(c, e.root...)
	p.chunks[n-1] = c
	p.bytes += len(c) - before
	return at + 1
}

// set makes the pointer of k lead to root.
func (p *pointers) set(k, root key) {
	var buf [64]byte
	e := pointer{ns: k.ns, rootNS: root.ns, hash: k.hash, check: checkOf(k), how: packing(root.value)}
	if e.root = root.value; e.how != packText {
		e.root = appendDigits(buf[:0], root.value, e.how)
	}
	p.put(&e)
}

// put appends an entry and has the tables lead to it instead of the one before.
func (p *pointers) put(e *pointer) {
	t, i, found := p.slot(e.ns, e.hash, e.check)
	if found {
		old := p.entry(t.at[i])
		if old.rootNS == e.rootNS && old.how == e.how && bytes.Equal(old.root, e.root) {
			return
		}
		p.garbage += old.size
		if len(old.root) == 0 {
			p.removed--
		}
	} else {
		if 8*(t.used+1) > 7*len(t.at) {
			p.grow(t)
			t, i, _ = p.slot(e.ns, e.hash, e.check)
		}
		t.used++
		p.used++
	}
	t.at[i], t.tags[i] = p.append(e), uint8(spread(e.hash)>>8)
	if p.garbage > pointerChunk && 2*p.garbage > p.bytes {
		p.compact()
	}
}

// remove forgets the pointer of k. Entries are never changed, so one with an empty root stands for that.
func (p *pointers) remove(k key) { p.removeEntry(k.ns, k.hash, checkOf(k)) }

func (p *pointers) removeEntry(ns uint8, hash uint64, check uint16) {
	if p.used == 0 {
		return
	}
	if t, i, found := p.slot(ns, hash, check); found && len(p.entry(t.at[i]).root) > 0 {
		p.removed++
		p.put(&pointer{ns: ns, hash: hash, check: check})
	}
}

// forgetAfter is for how many milliseconds the old entry of a removed identifier may stay in memory: to drop it costs a pass over all pointers.
const forgetAfter = 60_000

// forget drops what is left of removed identifiers, at most once in forgetAfter.
func (p *pointers) forget(now int64) {
	if p.removed > 0 && now >= p.forgetAt {
		p.compact()
		p.forgetAt = now + forgetAfter
	}
}

func (p *pointers) grow(t *pointerTable) {
	old, n := t.at, max(8, len(t.at)+len(t.at)/8)
	t.at, t.tags = make([]uint32, n), make([]uint8, n)
	for _, at := range old {
		if at == 0 {
			continue
		}
		x := spread(p.entry(at).hash)
		i := t.start(x)
		for t.at[i] != 0 {
			i = t.next(i)
		}
		t.at[i], t.tags[i] = at, uint8(x>>8)
	}
}

// each calls fn for every pointer.
func (p *pointers) each(fn func(e *pointer)) {
	for k := range p.tables {
		for _, at := range p.tables[k].at {
			if at == 0 {
				continue
			}
			if e := p.entry(at); len(e.root) > 0 {
				fn(&e)
			}
		}
	}
}

// compact drops what was replaced and removed.
func (p *pointers) compact() {
	old := *p
	p.chunks, p.bytes, p.garbage = nil, 0, 0
	if old.removed > 0 {
		p.tables, p.used, p.removed = [pointerTables]pointerTable{}, 0, 0
		old.each(p.put)
		return
	}
	for k := range p.tables {
		for i, at := range p.tables[k].at {
			if at != 0 {
				e := old.entry(at)
				p.tables[k].at[i] = p.append(&e)
			}
		}
	}
}

// held is the memory that it takes, in bytes.
func (p *pointers) held() int64 {
	n := 24 * cap(p.chunks)
	for k := range p.tables {
		n += 5 * len(p.tables[k].at)
	}
	for _, c := range p.chunks {
		n += cap(c)
	}
	return int64(n)
}

// hash covers the pointers, independent of where their entries lie.
func (p *pointers) hash() uint64 {
	sum := uint64(p.used - p.removed)
	var b []byte
	p.each(func(e *pointer) {
		b = binary.LittleEndian.AppendUint64(append(b[:0], e.ns, e.rootNS, e.how), e.hash)
		b = binary.LittleEndian.AppendUint16(b, e.check)
		sum += xxhash.Sum64(append(b, e.root...))
	})
	return sum
}

// freeze returns what a snapshot keeps: entries are never changed, later ones lie beyond these lengths.
func (p *pointers) freeze() [][]byte { return append([][]byte(nil), p.chunks...) }

func appendPointers(dst []byte, chunks [][]byte) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(chunks)))
	for _, c := range chunks {
		dst = appendBytes(dst, c)
	}
	return dst
}

// restore reads the chunks that appendPointers wrote; of two entries for one identifier the later counts.
func (p *pointers) restore(src []byte) (rest []byte, err error) {
	n, src, err := uvarint(src)
	if err != nil {
		return nil, err
	}
	for range n {
		var c []byte
		if c, src, err = readBytes(src); err != nil {
			return nil, err
		}
		for len(c) > 0 {
			e, err := readPointer(c)
			if err != nil || int(max(e.ns, e.rootNS)) >= len(p.s.namespaces) || e.how == packMask || e.how == packUUID && len(e.root) != 16 {
				return nil, errShort
			}
			if c = c[e.size:]; len(e.root) == 0 {
				p.removeEntry(e.ns, e.hash, e.check)
				continue
			}
			p.put(&e)
		}
	}
	return src, nil
}
