package wal

import "sort"

// chunkLen is the number of entries of a chunk: 6 KiB, so that a quiet group costs little and a busy one rarely
// asks for another.
const chunkLen = 512

// location is where an entry lies: 12 bytes, without pointers.
type location struct {
	segment uint32
	offset  uint32
	size    uint32 // of the data
}

// end is the position after the frame.
func (l location) end() Position {
	return makePosition(l.segment, l.offset+uint32(frameSize(int(l.size))))
}

type chunk [chunkLen]location

// chunkPool keeps chunks that became free, so that a log in steady state allocates none.
type chunkPool struct{ free []*chunk }

func (p *chunkPool) get() *chunk {
	if n := len(p.free); n > 0 {
		c := p.free[n-1]
		p.free = p.free[:n-1]
		return c
	}
	return new(chunk)
}

func (p *chunkPool) put(c *chunk) {
	if len(p.free) < 64 {
		p.free = append(p.free, c)
	}
}

// entries are the locations of the entries of a group, from index first on, in chunks.
type entries struct {
	first  uint64 // index of the first entry, or of the next one when there is none
	n      int
	head   int // of the first entry in the first chunk
	chunks []*chunk
}

func (e *entries) next() uint64 { return e.first + uint64(e.n) }

func (e *entries) at(index uint64) location {
	k := e.head + int(index-e.first)
	return e.chunks[k/chunkLen][k%chunkLen]
}

func (e *entries) push(l location, pool *chunkPool) {
	k := e.head + e.n
	if k == len(e.chunks)*chunkLen {
		e.chunks = append(e.chunks, pool.get())
	}
	e.chunks[k/chunkLen][k%chunkLen] = l
	e.n++
}

// truncateBefore forgets the entries below index, which is at most next.
func (e *entries) truncateBefore(index uint64, pool *chunkPool) {
	drop := int(index - e.first)
	e.first, e.n, e.head = index, e.n-drop, e.head+drop
	k := e.head / chunkLen
	if e.n == 0 {
		k = len(e.chunks)
	}
	for _, c := range e.chunks[:k] {
		pool.put(c)
	}
	m := copy(e.chunks, e.chunks[k:])
	clear(e.chunks[m:])
	e.chunks = e.chunks[:m]
	e.head %= chunkLen
	if e.n == 0 {
		e.head = 0
	}
}

// truncateAfter forgets the entries above index, which is at least first-1.
func (e *entries) truncateAfter(index uint64, pool *chunkPool) {
	e.n = int(index + 1 - e.first)
	used := (e.head + e.n + chunkLen - 1) / chunkLen
	if e.n == 0 {
		used, e.head = 0, 0
	}
	for _, c := range e.chunks[used:] {
		pool.put(c)
	}
	clear(e.chunks[used:])
	e.chunks = e.chunks[:used]
}

// reset forgets all entries; index is the next.
func (e *entries) reset(index uint64, pool *chunkPool) {
	e.truncateBefore(e.next(), pool)
	e.first = index
}

// through is the last index whose frame and all before it end at or before p; first-1 if there is none.
// Positions grow with the index, because what is appended after a truncation lies behind it.
func (e *entries) through(p Position) uint64 {
	k := sort.Search(e.n, func(i int) bool { return e.at(e.first+uint64(i)).end() > p })
	return e.first + uint64(k) - 1
}
