package vfs

import (
	"errors"
	"io"
)

// ErrLocked says that another process holds the lock.
var ErrLocked = errors.New("locked by another process")

// ErrCrashed is what handles of a Mem return once it has crashed.
var ErrCrashed = errors.New("file system has crashed")

// FS is a file system. Errors for a name that does not exist satisfy errors.Is(err, fs.ErrNotExist).
type FS interface {
	// Create makes an empty file, or empties the one that has this name, and opens it.
	Create(name string) (File, error)
	// Open opens an existing file for reading and writing.
	Open(name string) (File, error)
	// Remove deletes a file.
	Remove(name string) error
	// Rename gives a file another name in the same directory, replacing what had it.
	Rename(from, to string) error
	// MakeDir makes a directory and its parents, durably; it may exist.
	MakeDir(name string) error
	// List gives the base names of the files and directories in dir, sorted.
	List(dir string) ([]string, error)
	// SyncDir makes the names in dir durable (I2).
	SyncDir(dir string) error
	// Lock takes an exclusive lock on a file, which it makes if need be, or returns ErrLocked. It ends with Close or with the process.
	Lock(name string) (io.Closer, error)
}

// File is an open file.
type File interface {
	io.ReaderAt
	io.WriterAt
	io.Closer
	// Size is the length in bytes.
	Size() (int64, error)
	// Truncate cuts the file or extends it with zeros.
	Truncate(size int64) error
	// Preallocate makes the file at least size bytes long, zeros where it was shorter, and takes the blocks
	// from the disk now where the system can, so that later writes cannot run out of space.
	Preallocate(size int64) error
	// Sync makes the content durable (I1).
	Sync() error
}
