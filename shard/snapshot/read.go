package snapshot

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"

	"dashi/shard/wal/vfs"
)

// Reader reads one snapshot and checks it on the way.
type Reader struct {
	info   Info
	name   string
	file   vfs.File
	size   int64 // of the file
	at     int64
	sum    uint32
	length uint64
	buf    []byte
	rest   []byte // of buf, to be handed out
	err    error  // sticky; io.EOF at the checked end
}

// Open opens a snapshot and checks its header and length; the rest is checked as it is read. An error that
// satisfies errors.Is(err, ErrCorrupt) says that another one should be tried.
func (s *Store) Open(info Info) (*Reader, error) {
	name := s.path(info)
	file, err := s.fs.Open(name)
	if err != nil {
		return nil, fmt.Errorf("cannot open snapshot %q: %w", name, err)
	}
	r := &Reader{info: info, name: name, file: file}
	if err := r.begin(); err != nil {
		file.Close()
		return nil, err
	}
	return r, nil
}

func (r *Reader) begin() (err error) {
	if r.size, err = r.file.Size(); err != nil {
		return fmt.Errorf("cannot open snapshot %q: %w", r.name, err)
	}
	b := make([]byte, headerSize)
	if err := r.fill(b, "header"); err != nil {
		return err
	}
	r.sum = crc32.Checksum(b[:headerSize-4], castagnoli)
	if string(b[:8]) != magic || r.sum != binary.LittleEndian.Uint32(b[32:]) {
		return r.corrupt("header is damaged")
	}
	if v := binary.LittleEndian.Uint32(b[8:]); v != version {
		return fmt.Errorf("cannot read snapshot %q: format version is %d, this program reads %d", r.name, v, version)
	}
	if is := (Info{binary.LittleEndian.Uint32(b[12:]), binary.LittleEndian.Uint64(b[16:]), binary.LittleEndian.Uint64(b[24:])}); is != r.info {
		return r.corrupt(fmt.Sprintf("header names %+v", is))
	}
	return nil
}

func (r *Reader) corrupt(why string) error {
	return fmt.Errorf("cannot read snapshot %q at %d: %s: %w", r.name, r.at, why, ErrCorrupt)
}

// fill reads exactly b.
func (r *Reader) fill(b []byte, what string) error {
	if int64(len(b)) > r.size-r.at {
		return r.corrupt("file ends within the " + what)
	}
	if n, err := r.file.ReadAt(b, r.at); err != nil && n < len(b) {
		return fmt.Errorf("%w: %w", r.corrupt("disk cannot read the "+what), err)
	}
	r.at += int64(len(b))
	return nil
}

// Read hands out checked bytes.
func (r *Reader) Read(p []byte) (int, error) {
	if len(r.rest) == 0 && r.err == nil {
		r.err = r.next()
	}
	if len(r.rest) == 0 {
		return 0, r.err
	}
	n := copy(p, r.rest)
	r.rest = r.rest[n:]
	return n, nil
}

// next reads and checks a block, or the end.
func (r *Reader) next() error {
	var head [blockHead]byte
	if err := r.fill(head[:], "head of a block"); err != nil {
		return err
	}
	n := binary.LittleEndian.Uint32(head[:])
	if n == 0 {
		return r.end(head[:])
	}
	if n > MaxBlock {
		return r.corrupt(fmt.Sprintf("block claims %d bytes", n))
	}
	if cap(r.buf) < int(n) {
		r.buf = make([]byte, n)
	}
	b := r.buf[:n]
	if err := r.fill(b, "block"); err != nil {
		return err
	}
	r.sum = crc32.Update(crc32.Update(r.sum, castagnoli, head[:4]), castagnoli, b)
	if r.sum != binary.LittleEndian.Uint32(head[4:]) {
		return r.corrupt("block is damaged")
	}
	r.length += uint64(n)
	r.rest = b
	return nil
}

func (r *Reader) end(head []byte) error {
	var b [8]byte
	if err := r.fill(b[:], "end"); err != nil {
		return err
	}
	r.sum = crc32.Update(crc32.Update(r.sum, castagnoli, head[:4]), castagnoli, b[:])
	if r.sum != binary.LittleEndian.Uint32(head[4:]) || binary.LittleEndian.Uint64(b[:]) != r.length || r.at != r.size {
		return r.corrupt("end is damaged")
	}
	return io.EOF
}

// Drain reads and checks what is left. Nil means that the whole file is good.
func (r *Reader) Drain() error {
	for r.err == nil {
		r.err = r.next()
	}
	r.rest = nil
	if r.err == io.EOF {
		return nil
	}
	return r.err
}

// Err is the error that ended the reading; nil at the checked end and before it.
func (r *Reader) Err() error {
	if r.err == io.EOF {
		return nil
	}
	return r.err
}

// Info says which snapshot this is.
func (r *Reader) Info() Info { return r.info }

// Size is the number of bytes of the file.
func (r *Reader) Size() int64 { return r.size }

// Length is the number of bytes of data in it, as the size of the file has it: all blocks but the last are full.
func (r *Reader) Length() int64 {
	blocks := max(0, r.size-headerSize-endSize)
	return max(0, blocks-(blocks+MaxBlock+blockHead-1)/(MaxBlock+blockHead)*blockHead)
}

// Close closes the file.
func (r *Reader) Close() error { return r.file.Close() }
