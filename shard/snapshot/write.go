package snapshot

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"

	"dashi/shard/wal/vfs"
)

const (
	magic      = "dashisnp"
	version    = 1
	headerSize = 36
	blockHead  = 8
	endSize    = 16
	// MaxBlock bounds what a reader must hold to check it.
	MaxBlock = 1 << 20
	// syncEvery spreads the syncs: one sync of gigabytes would hold up the log's.
	syncEvery = 16 << 20
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

var errDone = errors.New("snapshot is already committed or aborted")

func appendHeader(dst []byte, i Info) []byte {
	n := len(dst)
	dst = append(dst, magic...)
	dst = binary.LittleEndian.AppendUint32(dst, version)
	dst = binary.LittleEndian.AppendUint32(dst, i.Group)
	dst = binary.LittleEndian.AppendUint64(dst, i.Term)
	dst = binary.LittleEndian.AppendUint64(dst, i.Index)
	return binary.LittleEndian.AppendUint32(dst, crc32.Checksum(dst[n:], castagnoli))
}

// Writer writes one snapshot. Exactly one of Commit and Abort must be called.
type Writer struct {
	store  *Store
	info   Info
	file   vfs.File
	buf    []byte // the block that is being filled, behind its head
	sum    uint32
	at     int64 // of buf in the file
	synced int64
	length uint64 // of the data written to the file
	err    error
	done   bool
}

// Create begins a snapshot.
func (s *Store) Create(info Info) (*Writer, error) {
	if err := s.fs.MakeDir(s.groupDir(info.Group)); err != nil {
		return nil, fmt.Errorf("cannot make directory %q: %w", s.groupDir(info.Group), err)
	}
	name := s.path(info) + tmpSuffix
	file, err := s.fs.Create(name)
	if err != nil {
		return nil, fmt.Errorf("cannot create snapshot %q: %w", name, err)
	}
	w := &Writer{store: s, info: info, file: file, buf: make([]byte, blockHead, blockHead+MaxBlock)}
	header := appendHeader(nil, info)
	w.sum = crc32.Checksum(header[:headerSize-4], castagnoli)
	w.write(header)
	return w, nil
}

func (w *Writer) write(b []byte) {
	if w.err != nil {
		return
	}
	if _, err := w.file.WriteAt(b, w.at); err != nil {
		w.err = fmt.Errorf("cannot write snapshot %q: %w", w.store.path(w.info), err)
		return
	}
	w.at += int64(len(b))
	if w.at-w.synced >= syncEvery {
		w.sync()
	}
}

func (w *Writer) sync() {
	if w.err != nil {
		return
	}
	if err := w.file.Sync(); err != nil {
		w.err = fmt.Errorf("cannot sync snapshot %q: %w", w.store.path(w.info), err)
	}
	w.synced = w.at
}

// Write adds data. After an error all that follows fails with it.
func (w *Writer) Write(p []byte) (int, error) {
	if w.done {
		return 0, errDone
	}
	n := 0
	for n < len(p) && w.err == nil {
		k := min(len(p)-n, cap(w.buf)-len(w.buf))
		w.buf = append(w.buf, p[n:n+k]...)
		n += k
		if len(w.buf) == cap(w.buf) {
			w.flush()
		}
	}
	return n, w.err
}

// flush writes the block.
func (w *Writer) flush() {
	n := len(w.buf) - blockHead
	if n == 0 {
		return
	}
	binary.LittleEndian.PutUint32(w.buf, uint32(n))
	w.sum = crc32.Update(w.sum, castagnoli, w.buf[:4])
	w.sum = crc32.Update(w.sum, castagnoli, w.buf[blockHead:])
	binary.LittleEndian.PutUint32(w.buf[4:], w.sum)
	w.write(w.buf)
	w.length += uint64(n)
	w.buf = w.buf[:blockHead]
}

// Size is the number of bytes of data so far.
func (w *Writer) Size() int64 { return int64(w.length) + int64(len(w.buf)-blockHead) }

// Commit makes the snapshot durable, gives it its name, and deletes those that are too many. When it fails the
// snapshot may be there or not.
func (w *Writer) Commit() error {
	if w.done {
		return errDone
	}
	w.flush()
	end := make([]byte, endSize)
	binary.LittleEndian.PutUint64(end[8:], w.length)
	w.sum = crc32.Update(w.sum, castagnoli, end[:4])
	w.sum = crc32.Update(w.sum, castagnoli, end[8:])
	binary.LittleEndian.PutUint32(end[4:], w.sum)
	w.write(end)
	w.sync()
	if w.err != nil {
		w.Abort()
		return w.err
	}
	w.done = true
	name := w.store.path(w.info)
	err := w.file.Close()
	if err == nil {
		err = w.store.fs.Rename(name+tmpSuffix, name)
	}
	if err != nil {
		_ = w.store.fs.Remove(name + tmpSuffix) // else Clean does
		return fmt.Errorf("cannot give snapshot %q its name: %w", name, err)
	}
	if err := w.store.fs.SyncDir(w.store.groupDir(w.info.Group)); err != nil {
		return fmt.Errorf("cannot sync snapshot directory of group %d: %w", w.info.Group, err)
	}
	return w.store.prune(w.info.Group)
}

// Abort deletes what was written. After Commit it does nothing.
func (w *Writer) Abort() {
	if w.done {
		return
	}
	w.done = true
	w.file.Close()
	_ = w.store.fs.Remove(w.store.path(w.info) + tmpSuffix) // else Clean does
}
