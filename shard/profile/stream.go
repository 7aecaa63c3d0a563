package profile

import (
	"encoding/binary"
	"fmt"
	"io"

	"github.com/cespare/xxhash/v2"
)

// The stream is described byte by byte in FORMAT.md.
const (
	magic        = "dashi/pt"
	version      = 1
	headerSize   = 40
	blockHead    = 24
	recordHead   = 8
	kindRecords  = 1
	kindEnd      = 2
	endSize      = 16
	blockPayload = 256 << 10 // a block is closed when it has this many bytes; large enough that its 24 do not count
	minBody      = headSize - bodyAt
)

// WriteTo writes the table as it was when the snapshot was made. See Snapshot for when it may be called. It returns what w
// returned, ErrReleased or ErrWritten.
func (s *Snapshot) WriteTo(w io.Writer) (int64, error) {
	if err := s.begin(); err != nil {
		return 0, err
	}
	defer s.end()
	sw := streamWriter{w: w, buf: make([]byte, blockHead, blockHead+blockPayload+maxSmall)}
	sw.header(s.layout, s.count)
	for page, b := range s.pages {
		if s.released.Load() {
			return sw.n, ErrReleased
		}
		s.writePage(&sw, b)
		s.next.Store(int64(page) + 1)
		if sw.err != nil {
			return sw.n, fmt.Errorf("cannot write the snapshot of a profile table: %w", sw.err)
		}
	}
	sw.finish()
	if sw.err != nil {
		return sw.n, fmt.Errorf("cannot write the snapshot of a profile table: %w", sw.err)
	}
	return sw.n, nil
}

// writePage writes the records of one page.
func (s *Snapshot) writePage(sw *streamWriter, b []byte) {
	for len(b) > 0 {
		units := unitsOf(b)
		slot := b
		if units != 0 {
			slot = b[:units*unit]
		}
		if b[flagsAt]&isRecord != 0 {
			sw.record(Record{b: slot, fixed: s.layout.Fixed, segments: s.layout.Segments})
		}
		b = b[len(slot):]
	}
}

// streamWriter collects records into blocks.
type streamWriter struct {
	w     io.Writer
	n     int64
	err   error
	buf   []byte // room for the block's head, then its records
	in    uint32 // records in buf
	block uint32 // number of the next block
	count uint64
	sum   uint64 // of the records' hashes
}

func (sw *streamWriter) header(l Layout, count int) {
	b := append(make([]byte, 0, headerSize), magic...)
	b = binary.LittleEndian.AppendUint32(b, version)
	b = binary.LittleEndian.AppendUint32(b, uint32(l.Fixed))
	b = binary.LittleEndian.AppendUint32(b, uint32(l.Segments))
	b = binary.LittleEndian.AppendUint32(b, 0)
	b = binary.LittleEndian.AppendUint64(b, uint64(count))
	sw.write(binary.LittleEndian.AppendUint64(b, xxhash.Sum64(b)))
}

func (sw *streamWriter) record(r Record) {
	body := r.body()
	sw.buf = binary.LittleEndian.AppendUint32(sw.buf, uint32(len(body)))
	sw.buf = binary.LittleEndian.AppendUint32(sw.buf, r.Ordinal())
	sw.buf = append(sw.buf, body...)
	sw.in++
	sw.count++
	sw.sum += xxhash.Sum64(body)
	if len(sw.buf)-blockHead >= blockPayload {
		sw.flush(kindRecords)
	}
}

// flush writes a block and begins another.
func (sw *streamWriter) flush(kind uint32) {
	b := sw.buf
	binary.LittleEndian.PutUint32(b, kind)
	binary.LittleEndian.PutUint32(b[4:], sw.block)
	binary.LittleEndian.PutUint32(b[8:], sw.in)
	binary.LittleEndian.PutUint32(b[12:], uint32(len(b)-blockHead))
	binary.LittleEndian.PutUint64(b[16:], blockSum(b))
	sw.write(b)
	sw.buf, sw.in = b[:blockHead], 0
	sw.block++
}

// blockSum is the checksum of a block: of all but itself.
func blockSum(b []byte) uint64 {
	return xxhash.Sum64(b[:16])*mix + xxhash.Sum64(b[blockHead:])
}

func (sw *streamWriter) finish() {
	if sw.in > 0 {
		sw.flush(kindRecords)
	}
	sw.buf = binary.LittleEndian.AppendUint64(sw.buf, sw.count)
	sw.buf = binary.LittleEndian.AppendUint64(sw.buf, sw.sum)
	sw.flush(kindEnd)
}

func (sw *streamWriter) write(b []byte) {
	if sw.err != nil {
		return
	}
	n, err := sw.w.Write(b)
	sw.n += int64(n)
	sw.err = err
}
