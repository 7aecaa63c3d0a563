package profile

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/cespare/xxhash/v2"
)

// ErrCorrupt is what Read's errors wrap when the stream is not what WriteTo wrote.
var ErrCorrupt = errors.New("corrupt profile table")

// ErrVersion is what Read's errors wrap when the stream is of a version that it does not know.
var ErrVersion = errors.New("unknown version of a profile table")

// readStep is how much is read at once, so that a corrupt length cannot make Read allocate much more than there is.
const readStep = 1 << 20

// Read makes a table out of what WriteTo wrote. It reads to the end of the stream's last block and no further.
// The index is built anew and the pages are filled without holes. Errors wrap ErrCorrupt, ErrVersion or what r returned.
func Read(r io.Reader, m Memory) (*Table, error) {
	sr := streamReader{r: r}
	layout, count, err := sr.header()
	if err != nil {
		return nil, fmt.Errorf("cannot read the header of a profile table: %w", err)
	}
	t := New(layout, m)
	if err := sr.records(t, count); err != nil {
		t.Close()
		return nil, fmt.Errorf("cannot read block %d of a profile table: %w", sr.block, err)
	}
	return t, nil
}

func corrupt(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrCorrupt, fmt.Sprintf(format, args...))
}

type streamReader struct {
	r     io.Reader
	buf   []byte
	block uint32
	sum   uint64
}

func (sr *streamReader) header() (l Layout, count uint64, err error) {
	var b [headerSize]byte
	if err := sr.full(b[:]); err != nil {
		return l, 0, err
	}
	if string(b[:8]) != magic {
		return l, 0, corrupt("it begins with %q", b[:8])
	}
	if v := binary.LittleEndian.Uint32(b[8:]); v != version {
		return l, 0, fmt.Errorf("%w: %d, only %d is known", ErrVersion, v, version)
	}
	if binary.LittleEndian.Uint64(b[32:]) != xxhash.Sum64(b[:32]) {
		return l, 0, corrupt("the header's checksum is wrong")
	}
	l.Fixed = int(binary.LittleEndian.Uint32(b[12:]))
	l.Segments = int(binary.LittleEndian.Uint32(b[16:]))
	if err := l.check(); err != nil {
		return l, 0, corrupt("%v", err)
	}
	return l, binary.LittleEndian.Uint64(b[24:]), nil
}

// full fills b. A stream that ends is corrupt.
func (sr *streamReader) full(b []byte) error {
	_, err := io.ReadFull(sr.r, b)
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		return corrupt("it ends too early")
	}
	return err
}

// next reads a block and checks it.
func (sr *streamReader) next() (kind, in uint32, payload []byte, err error) {
	sr.buf = append(sr.buf[:0], make([]byte, blockHead)...)
	if err := sr.full(sr.buf); err != nil {
		return 0, 0, nil, err
	}
	kind = binary.LittleEndian.Uint32(sr.buf)
	in = binary.LittleEndian.Uint32(sr.buf[8:])
	if n := binary.LittleEndian.Uint32(sr.buf[4:]); n != sr.block {
		return 0, 0, nil, corrupt("it says that it is block %d", n)
	}
	rest := int(binary.LittleEndian.Uint32(sr.buf[12:]))
	if rest > blockPayload+recordHead+MaxRecord {
		return 0, 0, nil, corrupt("%d bytes are too many", rest)
	}
	for rest > 0 {
		at := len(sr.buf)
		n := min(rest, readStep)
		sr.buf = append(sr.buf, make([]byte, n)...)
		if err := sr.full(sr.buf[at:]); err != nil {
			return 0, 0, nil, err
		}
		rest -= n
	}
	if binary.LittleEndian.Uint64(sr.buf[16:]) != blockSum(sr.buf) {
		return 0, 0, nil, corrupt("the checksum is wrong")
	}
	return kind, in, sr.buf[blockHead:], nil
}

// records reads all blocks.
func (sr *streamReader) records(t *Table, count uint64) error {
	for {
		kind, in, b, err := sr.next()
		if err != nil {
			return err
		}
		switch kind {
		case kindRecords:
			if err := sr.restore(t, in, b); err != nil {
				return err
			}
		case kindEnd:
			return sr.finish(t, count, in, b)
		default:
			return corrupt("kind %d is not known", kind)
		}
		sr.block++
	}
}

func (sr *streamReader) finish(t *Table, count uint64, in uint32, b []byte) error {
	if len(b) != endSize || in != 0 {
		return corrupt("the last block is malformed")
	}
	if n := binary.LittleEndian.Uint64(b); n != count || n != uint64(t.Len()) {
		return corrupt("%d records, not %d as the header or %d as the last block say", t.Len(), count, n)
	}
	if sum := binary.LittleEndian.Uint64(b[8:]); sum != sr.sum {
		return corrupt("the records' hashes add up to %x, not %x", sr.sum, sum)
	}
	return nil
}

// restore inserts the records of a block.
func (sr *streamReader) restore(t *Table, in uint32, b []byte) error {
	for ; in > 0; in-- {
		if len(b) < recordHead {
			return corrupt("a record's head is cut off")
		}
		n := uint64(binary.LittleEndian.Uint32(b))
		ordinal := binary.LittleEndian.Uint32(b[4:])
		b = b[recordHead:]
		if n > uint64(len(b)) || n > MaxRecord-bodyAt {
			return corrupt("a record of %d bytes", n)
		}
		if err := t.restore(b[:n], ordinal); err != nil {
			return err
		}
		sr.sum += xxhash.Sum64(b[:n])
		b = b[n:]
	}
	if len(b) != 0 {
		return corrupt("%d bytes after the last record", len(b))
	}
	return nil
}

// restore inserts one record, given its body.
func (t *Table) restore(body []byte, ordinal uint32) error {
	if err := t.layout.checkBody(body); err != nil {
		return err
	}
	hash := binary.LittleEndian.Uint64(body[hashAt-bodyAt:])
	keyLen := int(binary.LittleEndian.Uint16(body[keyLenAt-bodyAt:]))
	key := body[minBody : minBody+keyLen]
	if _, ok := t.Find(hash, body[0], key); ok {
		return corrupt("the key %q is there twice", key)
	}
	if ordinal >= maxOrdinals {
		return corrupt("an ordinal of %d", ordinal)
	}
	if t.ordinals.at(ordinal) != 0 {
		return corrupt("the ordinal %d is there twice", ordinal)
	}
	loc := t.place(bodyAt+len(body), 0)
	b := t.slot(loc)
	copy(b[bodyAt:], body)
	t.enter(loc, b, hash, ordinal)
	return nil
}

// checkBody says what is wrong with the body of a record: its lengths must add up.
func (l Layout) checkBody(body []byte) error {
	if len(body) < minBody || body[1] != 0 {
		return corrupt("a record's head is malformed")
	}
	keyLen := int(binary.LittleEndian.Uint16(body[keyLenAt-bodyAt:]))
	data := len(body) - minBody - keyLen - l.Fixed - 4*l.Segments
	if data < 0 {
		return corrupt("a record of %d bytes with a key of %d", len(body), keyLen)
	}
	dir := body[len(body)-data-4*l.Segments : len(body)-data]
	end := uint32(0)
	for ; len(dir) > 0; dir = dir[4:] {
		next := binary.LittleEndian.Uint32(dir)
		if next < end {
			return corrupt("a segment ends at %d, the one before it at %d", next, end)
		}
		end = next
	}
	if uint64(end) != uint64(data) {
		return corrupt("segments of %d bytes in %d", end, data)
	}
	return nil
}
