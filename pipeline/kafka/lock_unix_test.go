//go:build unix

package kafka

import (
	"os/exec"
	"testing"
)

// TestDirLockAndChildren: a child process that has the file, as each has between its fork and its exec, does not keep what was given free.
func TestDirLockAndChildren(t *testing.T) {
	dir := t.TempDir()
	lock := func() *dirLock {
		l, err := lockDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		return l
	}
	l := lock()
	child := exec.Command("cat") // until its input ends
	child.ExtraFiles = append(child.ExtraFiles, l.file)
	input, err := child.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	defer child.Wait()
	defer input.Close()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	lock().Close()
}
