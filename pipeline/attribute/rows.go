package attribute

import (
	"encoding/binary"
	"slices"
)

// rows is the segment of a window: rows of a fixed width, each beginning with a bucket number of six bytes, in the order of
// the buckets. What does not fill a row at the end of a corrupt segment is not looked at.
type rows struct {
	seg   []byte
	n     int
	width int
}

// open is in place: as a result the rows would be copied, and that takes as long as to search them.
func (r *rows) open(seg []byte, width int) { r.seg, r.n, r.width = seg, len(seg)/width, width }

func (r *rows) row(i int) []byte { return r.seg[i*r.width : (i+1)*r.width] }

// bucket reads eight bytes, of which a row has more, and leaves two out: one load.
func (r *rows) bucket(i int) int64 { return int64(get(r.seg[i*r.width:]) & mask48) }

const mask48 = 1<<48 - 1

// search is the first row whose bucket is b or later.
func (r *rows) search(b int64) int {
	lo, hi := 0, r.n
	// A state that is in use has few rows below its window, and one that lies idle has nothing else.
	if hi > 4 && r.bucket(2) >= b {
		hi = 2
	} else if hi > 4 && r.bucket(hi-1) < b {
		return hi
	}
	for lo < hi {
		m := int(uint(lo+hi) >> 1)
		if r.bucket(m) < b {
			lo = m + 1
		} else {
			hi = m
		}
	}
	return lo
}

// within are the rows whose buckets lie between first and last.
func (r *rows) within(first, last int64) (from, to int) {
	from = r.search(first)
	if to = r.n; r.n > 0 && r.bucket(r.n-1) > last {
		to = max(from, r.search(last+1))
	}
	return from, to
}

// next is the instant after now at which something about the rows changes by itself.
func (r *rows) next(s *span, now int64) int64 {
	first, last := s.bounds(now)
	if i := r.search(first); i < r.n {
		return s.next(r.bucket(i), last)
	}
	return never
}

// splice replaces rows from to to-1 by one empty row with bucket b, and leaves out the first drop rows. It returns the new
// segment and the row.
func (r *rows) splice(scratch []byte, drop, from, to int, b int64) (out, row []byte) {
	out = slices.Grow(scratch[:0], (r.n+1)*r.width)
	out = append(out, r.seg[drop*r.width:from*r.width]...)
	at := len(out)
	out = append(out, zeroRow[:r.width]...)
	row = out[at:]
	put48(row, b)
	out = append(out, r.seg[to*r.width:r.n*r.width]...)
	return out, out[at : at+r.width]
}

func get48(b []byte) int64 {
	_ = b[5]
	return int64(binary.LittleEndian.Uint32(b)) | int64(binary.LittleEndian.Uint16(b[4:]))<<32
}

func put48(b []byte, v int64) {
	_ = b[5]
	binary.LittleEndian.PutUint32(b, uint32(v))
	binary.LittleEndian.PutUint16(b[4:], uint16(v>>32))
}

func get96(b []byte) int128 {
	return int128{uint64(int64(int32(binary.LittleEndian.Uint32(b[8:12])))), get(b)}
}

func put96(b []byte, v int128) {
	put(b, v.lo)
	binary.LittleEndian.PutUint32(b[8:], uint32(v.hi))
}
