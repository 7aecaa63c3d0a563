package main

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// writeOut makes a file, or empties it, and has fill write it; what are its contents, for errors. The writer keeps the first error.
func writeOut(what, path string, fill func(w *bufio.Writer) error) error {
	f, err := os.Create(path)
	if err == nil {
		w := bufio.NewWriter(f)
		if err = fill(w); err == nil {
			err = w.Flush()
		}
		err = errors.Join(err, f.Close())
	}
	if err != nil {
		return fmt.Errorf("cannot write %s: %w", what, err)
	}
	return nil
}

// createWhole opens a file that gets its name only when done is called without an error: what was there before stays until then. What is no regular file,
// such as a terminal, is written directly.
func createWhole(path string) (file *os.File, done func(error) error, err error) {
	if info, err := os.Stat(path); err == nil && !info.Mode().IsRegular() {
		file, err = os.OpenFile(path, os.O_WRONLY, 0)
		return file, func(failed error) error { return errors.Join(failed, file.Close()) }, err
	}
	if file, err = os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-*"); err != nil {
		return nil, nil, err
	}
	return file, func(failed error) error {
		failed = errors.Join(failed, file.Chmod(0o644), file.Close())
		if failed == nil {
			failed = os.Rename(file.Name(), path)
		}
		if failed != nil {
			os.Remove(file.Name())
		}
		return failed
	}, nil
}
