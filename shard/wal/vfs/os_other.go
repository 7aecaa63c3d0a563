//go:build !linux

package vfs

import "os"

// Preallocate extends the file; the blocks may be sparse on this system.
func (f osFile) Preallocate(size int64) error {
	have, err := f.Size()
	if err != nil || have >= size {
		return err
	}
	return f.Truncate(size)
}

// lockFile does nothing: this build is for development, where one process is run at a time.
func lockFile(*os.File) error { return nil }

func unlockFile(*os.File) error { return nil }
