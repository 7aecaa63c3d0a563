package keyfile

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// What is no regular file is refused at once, with what it is: a pipe that nobody writes to does not hold a start.
func TestRead(t *testing.T) {
	dir := t.TempDir()
	path := func(name string) string { return filepath.Join(dir, name) }
	for name, text := range map[string]string{"secret": "s\n", "large": strings.Repeat("x", most+1)} {
		if err := os.WriteFile(path(name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(syscall.Mkfifo(path("pipe"), 0o600), os.Symlink("secret", path("link"))); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"secret", "link"} {
		if text, err := Read(path(name)); err != nil || string(text) != "s\n" {
			t.Errorf("%s: %q %v", name, text, err)
		}
	}
	for file, want := range map[string]string{path("pipe"): "is a pipe: name a regular file", dir: "is a directory: name", "/dev/zero": "is a device: name", path("large"): "has more than 1 MiB"} {
		if _, err := Read(file); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", file, err, want)
		}
		if _, err := ReadPair(path("secret"), file); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("key %s: %v, want %q", file, err, want)
		}
	}
	if _, err := Read(path("none")); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
}
