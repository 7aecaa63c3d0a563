package vfs

import (
	"io"
	"io/fs"
	"math/rand/v2"
	"path"
	"path/filepath"
	"slices"
	"sort"
	"sync"
)

// sector is the unit in which a disk writes or does not write.
const sector = 512

// Mem is a file system in memory that can crash. Directories are durable as soon as they are made; names in
// them are not before SyncDir, and content is not before Sync.
type Mem struct {
	mu    sync.Mutex
	dead  bool
	files map[string]*memFile
	dirs  map[string]*memDir
	locks map[string]bool
}

type memFile struct {
	data    []byte  // what a reader sees
	durable []byte  // what survives a power cut for certain
	pending []memOp // what was done since the last Sync, in order
}

// memOp is a write of data at off, or, when data is nil, a change of the size to off.
type memOp struct {
	off  int64
	data []byte
}

type memDir struct {
	durable map[string]*memFile
	pending []memName
}

// memName says that from now on this name stands for file; nil says that it stands for nothing.
type memName struct {
	name string
	file *memFile
	also *memName // the other half of a rename: both happen or neither
}

// NewMem makes an empty file system.
func NewMem() *Mem {
	return &Mem{files: map[string]*memFile{}, dirs: map[string]*memDir{}, locks: map[string]bool{}}
}

// Kill ends the process: everything written stays, synced or not, and the old handles and locks are dead. The
// receiver must not be used any more.
func (m *Mem) Kill() *Mem {
	m.mu.Lock()
	defer m.mu.Unlock()
	n := NewMem()
	n.files, n.dirs = m.files, m.dirs
	m.dead, m.files, m.dirs = true, nil, nil
	return n
}

// Crash cuts the power: of what was not synced, some combination chosen by rng survives. The receiver must not
// be used any more.
func (m *Mem) Crash(rng *rand.Rand) *Mem {
	m.mu.Lock()
	defer m.mu.Unlock()
	n := NewMem()
	after := map[*memFile]*memFile{} // one file may have had two names for a moment
	for _, dir := range sortedKeys(m.dirs) {
		d := m.dirs[dir]
		names := map[string]*memFile{}
		for name, f := range d.durable {
			names[name] = f
		}
		keep := len(d.pending)
		if rng.IntN(2) == 0 {
			keep = rng.IntN(len(d.pending) + 1)
		}
		for _, op := range d.pending[:keep] {
			op.apply(names)
		}
		nd := &memDir{durable: map[string]*memFile{}}
		n.dirs[dir] = nd
		for _, name := range sortedKeys(names) {
			f := names[name]
			if after[f] == nil {
				data := f.crash(rng)
				after[f] = &memFile{data: data, durable: slices.Clone(data)}
			}
			nd.durable[name] = after[f]
			n.files[name] = after[f]
		}
	}
	m.dead, m.files, m.dirs = true, nil, nil
	return n
}

// crash is the content after a power cut.
func (f *memFile) crash(rng *rand.Rand) []byte {
	data := slices.Clone(f.durable)
	if len(f.pending) == 0 {
		return data
	}
	switch rng.IntN(4) {
	case 0: // nothing reached the disk
		return data
	case 1: // everything did
		for _, op := range f.pending {
			data = op.apply(data)
		}
		return data
	case 2: // the disk wrote in order and stopped in the middle of a write
		cut := rng.IntN(len(f.pending))
		for _, op := range f.pending[:cut] {
			data = op.apply(data)
		}
		op := f.pending[cut]
		if len(op.data) > 0 {
			op.data = op.data[:rng.IntN(len(op.data))]
			data = op.apply(data)
		}
		return data
	}
	for _, op := range f.pending { // each sector by itself
		if op.data == nil {
			data = op.apply(data)
			continue
		}
		for len(op.data) > 0 {
			n := min(int64(len(op.data)), sector-op.off%sector)
			if rng.IntN(2) == 0 {
				data = memOp{op.off, op.data[:n]}.apply(data)
			}
			op.off, op.data = op.off+n, op.data[n:]
		}
	}
	return data
}

func (op memOp) apply(data []byte) []byte {
	end := op.off + int64(len(op.data))
	if op.data == nil {
		if op.off <= int64(len(data)) {
			clear(data[op.off:])
			return data[:op.off]
		}
		return append(data, make([]byte, op.off-int64(len(data)))...)
	}
	if end > int64(len(data)) {
		data = append(data, make([]byte, end-int64(len(data)))...)
	}
	copy(data[op.off:], op.data)
	return data
}

func (op memName) apply(names map[string]*memFile) {
	if op.file == nil {
		delete(names, op.name)
	} else {
		names[op.name] = op.file
	}
	if op.also != nil {
		op.also.apply(names)
	}
}

// Create makes or empties a file.
func (m *Mem) Create(name string) (File, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	name = clean(name)
	d, err := m.dir("create", name)
	if err != nil {
		return nil, err
	}
	f := m.files[name]
	if f == nil {
		f = &memFile{}
		m.files[name] = f
		d.pending = append(d.pending, memName{name: name, file: f})
	}
	f.write(memOp{off: 0})
	return &memHandle{m, f}, nil
}

// Open opens an existing file.
func (m *Mem) Open(name string) (File, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	name = clean(name)
	if _, err := m.dir("open", name); err != nil {
		return nil, err
	}
	f := m.files[name]
	if f == nil {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	}
	return &memHandle{m, f}, nil
}

// Remove deletes a file.
func (m *Mem) Remove(name string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	name = clean(name)
	d, err := m.dir("remove", name)
	if err != nil {
		return err
	}
	if m.files[name] == nil {
		return &fs.PathError{Op: "remove", Path: name, Err: fs.ErrNotExist}
	}
	delete(m.files, name)
	d.pending = append(d.pending, memName{name: name})
	return nil
}

// Rename gives a file another name in the same directory.
func (m *Mem) Rename(from, to string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	from, to = clean(from), clean(to)
	d, err := m.dir("rename", from)
	if err != nil {
		return err
	}
	f := m.files[from]
	if f == nil || path.Dir(from) != path.Dir(to) {
		return &fs.PathError{Op: "rename", Path: from, Err: fs.ErrNotExist}
	}
	delete(m.files, from)
	m.files[to] = f
	d.pending = append(d.pending, memName{name: to, file: f, also: &memName{name: from}})
	return nil
}

// MakeDir makes a directory and its parents.
func (m *Mem) MakeDir(name string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.dead {
		return ErrCrashed
	}
	for name = clean(name); m.dirs[name] == nil; name = path.Dir(name) {
		m.dirs[name] = &memDir{durable: map[string]*memFile{}}
	}
	return nil
}

// List gives the sorted base names in dir.
func (m *Mem) List(dir string) ([]string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	dir = clean(dir)
	if _, err := m.dir("list", path.Join(dir, "x")); err != nil {
		return nil, err
	}
	names := []string{}
	for name := range m.files {
		if path.Dir(name) == dir {
			names = append(names, path.Base(name))
		}
	}
	for name := range m.dirs {
		if path.Dir(name) == dir && name != dir {
			names = append(names, path.Base(name))
		}
	}
	sort.Strings(names)
	return names, nil
}

// SyncDir makes the names in dir durable.
func (m *Mem) SyncDir(dir string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	d, err := m.dir("sync", path.Join(clean(dir), "x"))
	if err != nil {
		return err
	}
	for _, op := range d.pending {
		op.apply(d.durable)
	}
	d.pending = nil
	return nil
}

// Lock takes a lock that ends with Close, Kill or Crash.
func (m *Mem) Lock(name string) (io.Closer, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	name = clean(name)
	if m.dead {
		return nil, ErrCrashed
	}
	if m.locks[name] {
		return nil, ErrLocked
	}
	m.locks[name] = true
	return memLock{m, name}, nil
}

type memLock struct {
	m    *Mem
	name string
}

func (l memLock) Close() error {
	l.m.mu.Lock()
	defer l.m.mu.Unlock()
	delete(l.m.locks, l.name)
	return nil
}

func (m *Mem) dir(op, name string) (*memDir, error) {
	if m.dead {
		return nil, ErrCrashed
	}
	d := m.dirs[path.Dir(name)]
	if d == nil {
		return nil, &fs.PathError{Op: op, Path: name, Err: fs.ErrNotExist}
	}
	return d, nil
}

func (f *memFile) write(op memOp) {
	f.data = op.apply(f.data)
	f.pending = append(f.pending, op)
}

type memHandle struct {
	m *Mem
	f *memFile
}

func (h *memHandle) ReadAt(p []byte, off int64) (int, error) {
	h.m.mu.Lock()
	defer h.m.mu.Unlock()
	if h.m.dead {
		return 0, ErrCrashed
	}
	if off >= int64(len(h.f.data)) {
		return 0, io.EOF
	}
	n := copy(p, h.f.data[off:])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

func (h *memHandle) WriteAt(p []byte, off int64) (int, error) {
	h.m.mu.Lock()
	defer h.m.mu.Unlock()
	if h.m.dead {
		return 0, ErrCrashed
	}
	if len(p) > 0 {
		h.f.write(memOp{off, slices.Clone(p)})
	}
	return len(p), nil
}

func (h *memHandle) Size() (int64, error) {
	h.m.mu.Lock()
	defer h.m.mu.Unlock()
	if h.m.dead {
		return 0, ErrCrashed
	}
	return int64(len(h.f.data)), nil
}

func (h *memHandle) Truncate(size int64) error {
	h.m.mu.Lock()
	defer h.m.mu.Unlock()
	if h.m.dead {
		return ErrCrashed
	}
	h.f.write(memOp{off: size})
	return nil
}

func (h *memHandle) Preallocate(size int64) error {
	if have, err := h.Size(); err != nil || have >= size {
		return err
	}
	return h.Truncate(size)
}

func (h *memHandle) Sync() error {
	h.m.mu.Lock()
	defer h.m.mu.Unlock()
	if h.m.dead {
		return ErrCrashed
	}
	for _, op := range h.f.pending {
		h.f.durable = op.apply(h.f.durable)
	}
	h.f.pending = nil
	return nil
}

func (h *memHandle) Close() error { return nil }

func clean(name string) string { return path.Clean(filepath.ToSlash(name)) }

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	return keys
}
