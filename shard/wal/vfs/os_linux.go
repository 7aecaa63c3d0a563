package vfs

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// Sync uses fdatasync: times of access and change are of no interest, and leaving them out saves a journal write.
func (f osFile) Sync() error {
	for {
		err := unix.Fdatasync(int(f.Fd()))
		if err != unix.EINTR {
			return wrap("fdatasync", f.Name(), err)
		}
	}
}

// Preallocate uses fallocate; a file system without it gets a sparse file.
func (f osFile) Preallocate(size int64) error {
	have, err := f.Size()
	if err != nil || have >= size {
		return err
	}
	for {
		err = unix.Fallocate(int(f.Fd()), 0, have, size-have)
		switch {
		case err == unix.EINTR:
		case errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.ENOSYS):
			return f.Truncate(size)
		default:
			return wrap("fallocate", f.Name(), err)
		}
	}
}

func lockFile(f *os.File) error {
	err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if err == unix.EWOULDBLOCK {
		return ErrLocked
	}
	return wrap("flock", f.Name(), err)
}

func unlockFile(f *os.File) error {
	return wrap("flock", f.Name(), unix.Flock(int(f.Fd()), unix.LOCK_UN))
}

func wrap(op, name string, err error) error {
	if err == nil {
		return nil
	}
	return &os.PathError{Op: op, Path: name, Err: err}
}
