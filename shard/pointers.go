package shard

import (
	"bytes"
	"encoding/binary"

	"dashi/pipeline/identity"

	"github.com/cespare/xxhash/v2"
)

// pointers says of identifiers whose home is here, but that lie elsewhere, where: the root of their component when that was last heard.
// A pointer only ever changes to a smaller root.
//
// Entries are appended to chunks and never changed, so a snapshot only copies the list of chunks; a table of (tag, position) finds the
// newest. What was replaced is garbage until it is half of all. An entry is two namespaces and two values; with its share of the table
// about 25 bytes more than the values.
type pointers struct {
	s       *Shard
	chunks  [][]byte
	table   []uint64 // tag in the high half, 1 + position in the low one; 0 is free
	used    int
	bytes   int // of all entries
	garbage int
}

const (
	pointerChunk = 16 << 10
	chunkBits    = 17 // of a position: an entry begins below pointerChunk and may be longer than that
)

func pointerTag(hash uint64) uint64 {
	hash *= 0x9E3779B97F4A7C15
	return hash ^ hash>>32
}

// find is the place of k.
func (p *pointers) find(k key) (root key, ok bool) {
	if p.used == 0 {
		return key{}, false
	}
	i, found := p.slot(k)
	if !found {
		return key{}, false
	}
	_, rootNS, _, value := p.entry(p.table[i])
	return p.s.key(rootNS, value), true
}

// slot is where k is in the table, or would be.
func (p *pointers) slot(k key) (i uint64, found bool) {
	mask := uint64(len(p.table) - 1)
	tag := pointerTag(k.hash)
	for i = tag & mask; p.table[i] != 0; i = (i + 1) & mask {
		if p.table[i]>>32 == tag&0xffffffff {
			if ns, _, value, _ := p.entry(p.table[i]); ns == k.ns && bytes.Equal(value, k.value) {
				return i, true
			}
		}
	}
	return i, false
}

// entry reads the entry that a slot of the table leads to.
func (p *pointers) entry(slot uint64) (ns, rootNS uint8, value, root []byte) {
	at := uint32(slot) - 1
	b := p.chunks[at>>chunkBits][at&(1<<chunkBits-1):]
	ns, rootNS, value, root, _ = splitPointer(b)
	return ns, rootNS, value, root
}

func splitPointer(b []byte) (ns, rootNS uint8, value, root, rest []byte) {
	ns, rootNS = b[0], b[1]
	n, k := binary.Uvarint(b[2:])
	value = b[2+k : 2+k+int(n)]
	b = b[2+k+int(n):]
	n, k = binary.Uvarint(b)
	return ns, rootNS, value, b[k : k+int(n)], b[k+int(n):]
}

func pointerSize(value, root []byte) int { return 4 + len(value) + len(root) }

// set makes root the place of k.
func (p *pointers) set(k, root key) {
	if 4*(p.used+1) > 3*len(p.table) {
		p.grow()
	}
	i, found := p.slot(k)
	if found {
		_, rootNS, value, old := p.entry(p.table[i])
		if rootNS == root.ns && bytes.Equal(old, root.value) {
			return
		}
		p.garbage += pointerSize(value, old)
	} else {
		p.used++
	}
	p.table[i] = p.append(k.ns, root.ns, k.value, root.value) | pointerTag(k.hash)<<32
	if p.garbage > pointerChunk && 2*p.garbage > p.bytes {
		p.compact()
	}
}

// append writes an entry and returns 1 + its position.
func (p *pointers) append(ns, rootNS uint8, value, root []byte) uint64 {
	n := len(p.chunks)
	if n == 0 || len(p.chunks[n-1]) >= pointerChunk-128 {
		p.chunks = append(p.chunks, make([]byte, 0, pointerChunk))
		n++
	}
	c := p.chunks[n-1]
	at := uint32(n-1)<<chunkBits | uint32(len(c))
	c = append(c, ns, rootNS)
	c = appendBytes(c, value)
	p.chunks[n-1] = appendBytes(c, root)
	p.bytes += pointerSize(value, root)
	return uint64(at + 1)
}

func (p *pointers) grow() {
	old := p.table
	p.table = make([]uint64, max(64, 2*len(old)))
	mask := uint64(len(p.table) - 1)
	for _, e := range old {
		if e == 0 {
			continue
		}
		ns, _, value, _ := p.entry(e)
		i := pointerTag(identity.Hash(p.s.namespaces[ns], value)) & mask
		for p.table[i] != 0 {
			i = (i + 1) & mask
		}
		p.table[i] = e
	}
}

// compact drops what was replaced.
func (p *pointers) compact() {
	old := *p
	p.chunks, p.bytes, p.garbage = nil, 0, 0
	for i, e := range p.table {
		if e != 0 {
			ns, rootNS, value, root := old.entry(e)
			p.table[i] = p.append(ns, rootNS, value, root) | e&^0xffffffff
		}
	}
}

// held is the memory that it takes.
func (p *pointers) held() int64 {
	n := 8*len(p.table) + 24*cap(p.chunks)
	for _, c := range p.chunks {
		n += cap(c)
	}
	return int64(n)
}

// hash covers what it says, however it lies.
func (p *pointers) hash() uint64 {
	sum := uint64(p.used)
	for _, e := range p.table {
		if e == 0 {
			continue
		}
		ns, rootNS, value, root := p.entry(e)
		b := appendBytes([]byte{ns, rootNS}, value)
		sum += xxhash.Sum64(appendBytes(b, root))
	}
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

// restore reads entries back; of two for one identifier the later counts.
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
			ns, rootNS, value, root, rest, err := readPointer(c)
			if err != nil || int(max(ns, rootNS)) >= len(p.s.namespaces) {
				return nil, errShort
			}
			p.set(p.s.key(ns, value), p.s.key(rootNS, root))
			c = rest
		}
	}
	return src, nil
}

func readPointer(b []byte) (ns, rootNS uint8, value, root, rest []byte, err error) {
	if len(b) < 2 {
		return 0, 0, nil, nil, nil, errShort
	}
	ns, rootNS = b[0], b[1]
	if value, rest, err = readBytes(b[2:]); err != nil {
		return 0, 0, nil, nil, nil, err
	}
	root, rest, err = readBytes(rest)
	return ns, rootNS, value, root, rest, err
}
