package shard

import (
	"cmp"
	"encoding/binary"
)

// outbox holds what leaves the shard until it is acknowledged, in order, at dense positions from 0.
// Chunks are append-only, so a snapshot only copies their headers.
type outbox struct {
	limit      int64 // bytes; from there on the shard takes no more events
	chunkBytes int   // size of a chunk; 0: outboxChunkBytes
	chunks     []outboxChunk
	first      uint64 // position of the oldest entry held
	next       uint64 // position of the next one
	bytes      int64  // of the entries from first on, whatever the chunks hold: Full must not depend on restores
}

type outboxChunk struct {
	first uint64
	ends  []uint32 // where entry i ends in buf
	buf   []byte   // uvarint length of key, key, payload
}

const outboxChunkBytes = 64 << 10

func (o *outbox) full() bool { return o.bytes >= o.limit }

// open starts an entry: the caller appends the payload to the result and hands it to close.
func (o *outbox) open(key []byte) []byte {
	n, size := len(o.chunks), cmp.Or(o.chunkBytes, outboxChunkBytes)
	if n == 0 || len(o.chunks[n-1].buf) >= size {
		// At its full size from the start: growing by doubling copied every entry once more.
		o.chunks = append(o.chunks, outboxChunk{first: o.next, buf: make([]byte, 0, size+size/32)})
		n++
	}
	return appendBytes(o.chunks[n-1].buf, key)
}

// close completes the entry that open started.
func (o *outbox) close(buf []byte) {
	c := &o.chunks[len(o.chunks)-1]
	o.bytes += int64(len(buf) - len(c.buf))
	c.buf = buf
	c.ends = append(c.ends, uint32(len(buf)))
	o.next++
}

// start is where entry i of the chunk begins in buf.
func (c *outboxChunk) start(i int) uint32 {
	if i == 0 {
		return 0
	}
	return c.ends[i-1]
}

// entry returns entry i of the chunk. The results alias it.
func (c *outboxChunk) entry(i int) (key, payload []byte) {
	b := c.buf[c.start(i):c.ends[i]]
	n, k := binary.Uvarint(b)
	return b[k : k+int(n)], b[k+int(n):]
}

// each calls fn for entries from position on, until it returns false. Positions below first are gone: it starts there.
func (o *outbox) each(from uint64, fn func(position uint64, key, payload []byte) bool) {
	from = max(from, o.first)
	for i := range o.chunks {
		c := &o.chunks[i]
		end := c.first + uint64(len(c.ends))
		for p := max(from, c.first); p < end; p++ {
			key, payload := c.entry(int(p - c.first))
			if !fn(p, key, payload) {
				return
			}
		}
	}
}

// ack forgets everything below position.
func (o *outbox) ack(position uint64) {
	position = min(position, o.next)
	for o.first < position {
		c := &o.chunks[0]
		end := min(position, c.first+uint64(len(c.ends)))
		o.bytes -= int64(c.start(int(end-c.first)) - c.start(int(o.first-c.first)))
		o.first = end
		if end < c.first+uint64(len(c.ends)) || o.chunkBytes == 0 && len(o.chunks) == 1 && len(c.buf) < outboxChunkBytes {
			return // what comes next goes behind: a new chunk for every few activations would be most of what a merge costs
		}
		o.chunks[0] = outboxChunk{}
		o.chunks = o.chunks[1:]
	}
}

// skip forgets everything, and goes on at position, unless that is behind what there is.
func (o *outbox) skip(position uint64) {
	if position > o.next {
		o.chunks, o.first, o.next, o.bytes = nil, position, position, 0
	}
}

// freeze returns what a snapshot keeps: the chunks as they are now. Later appends lie beyond these lengths.
func (o *outbox) freeze() outbox {
	f := *o
	f.chunks = append([]outboxChunk(nil), o.chunks...)
	return f
}

func (o *outbox) append(dst []byte) []byte {
	dst = binary.AppendUvarint(dst, o.first)
	dst = binary.AppendUvarint(dst, o.next)
	o.each(o.first, func(_ uint64, key, payload []byte) bool {
		dst = appendBytes(dst, key)
		dst = appendBytes(dst, payload)
		return true
	})
	return dst
}

func (o *outbox) restore(src []byte) (rest []byte, err error) {
	first, k := binary.Uvarint(src)
	if k <= 0 {
		return nil, errShort
	}
	src = src[k:]
	next, k := binary.Uvarint(src)
	if k <= 0 || next < first || next-first > uint64(len(src)) {
		return nil, errShort
	}
	src = src[k:]
	o.first, o.next = first, first
	for o.next < next {
		key, r, err := readBytes(src)
		if err != nil {
			return nil, err
		}
		payload, r, err := readBytes(r)
		if err != nil {
			return nil, err
		}
		o.close(append(o.open(key), payload...))
		src = r
	}
	return src, nil
}
