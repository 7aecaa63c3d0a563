package wal

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"path/filepath"
	"strconv"
	"strings"

	"dashi/shard/wal/vfs"
)

const (
	segmentHeader  = 32
	segmentVersion = 2
	segmentSuffix  = ".log"
	freeSuffix     = ".free"
)

var segmentMagic = [8]byte{'d', 'a', 's', 'h', 'i', 'w', 'a', 'l'}

var errSegmentHeader = errors.New("segment header is damaged")

// Position is a place in the log: the number of the segment in the upper half, the offset in the lower. Positions
// grow as the log does.
type Position uint64

func makePosition(segment, offset uint32) Position {
	return Position(uint64(segment)<<32 | uint64(offset))
}

func (p Position) segment() uint32 { return uint32(p >> 32) }
func (p Position) offset() uint32  { return uint32(p) }

// String is "segment:offset".
func (p Position) String() string {
	return strconv.FormatUint(uint64(p.segment()), 10) + ":" + strconv.FormatUint(uint64(p.offset()), 10)
}

// segment is an open segment file. seq, size and seed do not change; refs belongs to Log.mu.
type segment struct {
	seq  uint32
	size int64 // bytes of the file
	seed uint32
	file vfs.File
	name string
	refs int // readers under way: not recycled meanwhile
}

// segmentSeed makes the checksums of a segment its own, so that frames left over from the file's last life do not
// count (I4).
func segmentSeed(seq uint32) uint32 {
	var b [8]byte
	binary.LittleEndian.PutUint64(b[:], uint64(seq))
	return crc32.Checksum(b[:], castagnoli)
}

func segmentName(dir string, seq uint32) string {
	return filepath.Join(dir, fmt.Sprintf("%010d%s", seq, segmentSuffix))
}

// parseSegmentName is the inverse of segmentName for a base name.
func parseSegmentName(base string) (seq uint32, ok bool) {
	digits, ok := strings.CutSuffix(base, segmentSuffix)
	if !ok || len(digits) != 10 {
		return 0, false
	}
	n, err := strconv.ParseUint(digits, 10, 32)
	return uint32(n), err == nil && n > 0
}

func appendSegmentHeader(dst []byte, seq uint32, size int64) []byte {
	n := len(dst)
	dst = append(dst, segmentMagic[:]...)
	dst = binary.LittleEndian.AppendUint32(dst, segmentVersion)
	dst = binary.LittleEndian.AppendUint32(dst, seq)
	dst = binary.LittleEndian.AppendUint64(dst, uint64(size))
	dst = binary.LittleEndian.AppendUint32(dst, 0)
	return binary.LittleEndian.AppendUint32(dst, crc32.Checksum(dst[n:], castagnoli))
}

func parseSegmentHeader(b []byte) (seq uint32, size int64, err error) {
	if len(b) < segmentHeader || [8]byte(b) != segmentMagic ||
		crc32.Checksum(b[:segmentHeader-4], castagnoli) != binary.LittleEndian.Uint32(b[segmentHeader-4:]) {
		return 0, 0, errSegmentHeader
	}
	if v := binary.LittleEndian.Uint32(b[8:]); v != segmentVersion {
		return 0, 0, fmt.Errorf("segment has format version %d, this program reads %d", v, segmentVersion)
	}
	return binary.LittleEndian.Uint32(b[12:]), int64(binary.LittleEndian.Uint64(b[16:])), nil
}
