package wal

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
)

// A frame is one record on disk; FORMAT.md has the bytes.
const (
	frameMagic  = 0x6764 // "dg": a cheap first look when the tail is searched for frames
	frameHeader = 48
	frameAlign  = 8
)

// kind says what a frame does. A number is never reused.
type kind uint8

const (
	kindEntry          kind = 1 // an entry of a group
	kindEnd            kind = 2 // the segment ends here; the log goes on in the next one
	kindState          kind = 3 // everything about a group but its entries
	kindTruncateBefore kind = 4 // entries below index are gone
	kindTruncateAfter  kind = 5 // entries above index are gone
	kindReset          kind = 6 // all entries are gone, index is the next
	kindSet            kind = 7 // a stable value
	kindDrop           kind = 8 // the group is gone
	kindSynced         kind = 9 // nothing but the header: everything before is durable
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

var errFrame = errors.New("not a frame")

// frame is a decoded frame. data aliases the input.
type frame struct {
	kind   kind
	typ    uint8
	group  uint32
	index  uint64
	term   uint64
	commit uint64
	synced Position
	data   []byte
}

// frameSize is the number of bytes on disk of a frame with this much data.
func frameSize(data int) int {
	return (frameHeader + data + frameAlign - 1) &^ (frameAlign - 1)
}

// appendFrame appends f. seed is that of the segment (I4).
func appendFrame(dst []byte, f *frame, seed uint32) []byte {
	n := len(dst)
	dst = append(dst, make([]byte, frameHeader)...)
	dst = append(dst, f.data...)
	end := len(dst)
	dst = append(dst, make([]byte, frameSize(len(f.data))-(end-n))...)
	h := dst[n:end]
	binary.LittleEndian.PutUint16(h[4:], frameMagic)
	h[6] = byte(f.kind)
	h[7] = f.typ
	binary.LittleEndian.PutUint32(h[8:], uint32(len(f.data)))
	binary.LittleEndian.PutUint32(h[12:], f.group)
	binary.LittleEndian.PutUint64(h[16:], f.index)
	binary.LittleEndian.PutUint64(h[24:], f.term)
	binary.LittleEndian.PutUint64(h[32:], f.commit)
	binary.LittleEndian.PutUint64(h[40:], uint64(f.synced))
	binary.LittleEndian.PutUint32(h[0:], crc32.Update(seed, castagnoli, h[4:]))
	return dst
}

// decodeFrame reads the frame at the start of b and returns its size on disk.
func decodeFrame(b []byte, seed uint32) (f frame, size int, err error) {
	if len(b) < frameHeader || binary.LittleEndian.Uint16(b[4:]) != frameMagic {
		return frame{}, 0, errFrame
	}
	n := uint64(binary.LittleEndian.Uint32(b[8:]))
	if n > uint64(len(b)-frameHeader) {
		return frame{}, 0, errFrame
	}
	end := frameHeader + int(n)
	if crc32.Update(seed, castagnoli, b[4:end]) != binary.LittleEndian.Uint32(b) {
		return frame{}, 0, errFrame
	}
	return frame{
		kind:   kind(b[6]),
		typ:    b[7],
		group:  binary.LittleEndian.Uint32(b[12:]),
		index:  binary.LittleEndian.Uint64(b[16:]),
		term:   binary.LittleEndian.Uint64(b[24:]),
		commit: binary.LittleEndian.Uint64(b[32:]),
		synced: Position(binary.LittleEndian.Uint64(b[40:])),
		data:   b[frameHeader:end:end],
	}, frameSize(int(n)), nil
}

// appendPair appends a key and a value as kindSet and kindState hold them.
func appendPair(dst []byte, key string, value []byte) []byte {
	dst = append(dst, byte(len(key)))
	dst = append(dst, key...)
	dst = binary.LittleEndian.AppendUint32(dst, uint32(len(value)))
	return append(dst, value...)
}

// nextPair takes one pair off the front of b.
func nextPair(b []byte) (key string, value, rest []byte, err error) {
	if len(b) < 1 || len(b) < 1+int(b[0])+4 {
		return "", nil, nil, errFrame
	}
	n := 1 + int(b[0])
	key = string(b[1:n])
	size := binary.LittleEndian.Uint32(b[n:])
	b = b[n+4:]
	if uint64(size) > uint64(len(b)) {
		return "", nil, nil, errFrame
	}
	return key, b[:size:size], b[size:], nil
}
