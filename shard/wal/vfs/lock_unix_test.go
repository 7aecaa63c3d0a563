//go:build linux

package vfs

import (
	"os/exec"
	"path/filepath"
	"testing"
)

// TestOSLockAndChildren: a child process that has the file, as each has between its fork and its exec, does not keep what was given free.
func TestOSLockAndChildren(t *testing.T) {
	name := filepath.Join(t.TempDir(), "lock")
	l, err := OS{}.Lock(name)
	must(t, err)
	child := exec.Command("cat") // until its input ends
	child.ExtraFiles = append(child.ExtraFiles, l.(fileLock).file)
	input, err := child.StdinPipe()
	must(t, err)
	must(t, child.Start())
	defer child.Wait()
	defer input.Close()
	must(t, l.Close())
	l, err = OS{}.Lock(name)
	must(t, err)
	must(t, l.Close())
}
