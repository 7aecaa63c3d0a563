package vfs

import (
	"io"
	"sync"
)

// Kind is a kind of operation.
type Kind string

// The kinds of operation, as Op.Kind.
const (
	OpCreate   Kind = "create"
	OpOpen     Kind = "open"
	OpRemove   Kind = "remove"
	OpRename   Kind = "rename"
	OpMakeDir  Kind = "makedir"
	OpList     Kind = "list"
	OpSyncDir  Kind = "syncdir"
	OpLock     Kind = "lock"
	OpRead     Kind = "read"
	OpWrite    Kind = "write"
	OpTruncate Kind = "truncate" // and preallocate
	OpSync     Kind = "sync"
)

// Op is one operation that is about to happen.
type Op struct {
	N    int // 0 for the first operation of this Faulty
	Kind Kind
	Name string
	Size int // bytes to read or write
}

// Faulty asks a hook before every operation. When the hook returns an error the operation fails with it; a write
// leaves its first half behind, as a disk that fills up does. A hook that blocks is a disk that hangs.
type Faulty struct {
	fs   FS
	mu   sync.Mutex
	n    int
	hook func(Op) error
}

// NewFaulty wraps fs. The hook is called from whatever goroutine uses the file system, one call per operation.
func NewFaulty(fs FS, hook func(Op) error) *Faulty { return &Faulty{fs: fs, hook: hook} }

func (f *Faulty) ask(kind Kind, name string, size int) error {
	f.mu.Lock()
	op := Op{f.n, kind, name, size}
	f.n++
	f.mu.Unlock()
	return f.hook(op)
}

// Create asks, then makes or empties a file.
func (f *Faulty) Create(name string) (File, error) {
	if err := f.ask(OpCreate, name, 0); err != nil {
		return nil, err
	}
	return f.wrap(name)(f.fs.Create(name))
}

// Open asks, then opens a file.
func (f *Faulty) Open(name string) (File, error) {
	if err := f.ask(OpOpen, name, 0); err != nil {
		return nil, err
	}
	return f.wrap(name)(f.fs.Open(name))
}

func (f *Faulty) wrap(name string) func(File, error) (File, error) {
	return func(file File, err error) (File, error) {
		if err != nil {
			return nil, err
		}
		return &faultyFile{f, name, file}, nil
	}
}

// Remove asks, then deletes a file.
func (f *Faulty) Remove(name string) error {
	if err := f.ask(OpRemove, name, 0); err != nil {
		return err
	}
	return f.fs.Remove(name)
}

// Rename asks, then renames a file.
func (f *Faulty) Rename(from, to string) error {
	if err := f.ask(OpRename, from, 0); err != nil {
		return err
	}
	return f.fs.Rename(from, to)
}

// MakeDir asks, then makes a directory.
func (f *Faulty) MakeDir(name string) error {
	if err := f.ask(OpMakeDir, name, 0); err != nil {
		return err
	}
	return f.fs.MakeDir(name)
}

// List asks, then lists a directory.
func (f *Faulty) List(dir string) ([]string, error) {
	if err := f.ask(OpList, dir, 0); err != nil {
		return nil, err
	}
	return f.fs.List(dir)
}

// SyncDir asks, then syncs a directory.
func (f *Faulty) SyncDir(dir string) error {
	if err := f.ask(OpSyncDir, dir, 0); err != nil {
		return err
	}
	return f.fs.SyncDir(dir)
}

// Lock asks, then locks.
func (f *Faulty) Lock(name string) (io.Closer, error) {
	if err := f.ask(OpLock, name, 0); err != nil {
		return nil, err
	}
	return f.fs.Lock(name)
}

type faultyFile struct {
	f    *Faulty
	name string
	file File
}

func (h *faultyFile) ReadAt(p []byte, off int64) (int, error) {
	if err := h.f.ask(OpRead, h.name, len(p)); err != nil {
		return 0, err
	}
	return h.file.ReadAt(p, off)
}

func (h *faultyFile) WriteAt(p []byte, off int64) (int, error) {
	if err := h.f.ask(OpWrite, h.name, len(p)); err != nil {
		n, _ := h.file.WriteAt(p[:len(p)/2], off)
		return n, err
	}
	return h.file.WriteAt(p, off)
}

func (h *faultyFile) Truncate(size int64) error {
	if err := h.f.ask(OpTruncate, h.name, int(size)); err != nil {
		return err
	}
	return h.file.Truncate(size)
}

func (h *faultyFile) Preallocate(size int64) error {
	if err := h.f.ask(OpTruncate, h.name, int(size)); err != nil {
		return err
	}
	return h.file.Preallocate(size)
}

func (h *faultyFile) Sync() error {
	if err := h.f.ask(OpSync, h.name, 0); err != nil {
		return err
	}
	return h.file.Sync()
}

func (h *faultyFile) Size() (int64, error) { return h.file.Size() }
func (h *faultyFile) Close() error         { return h.file.Close() }
