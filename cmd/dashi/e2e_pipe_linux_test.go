package main_test

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// A pipe into which nobody writes keeps no command from ending.
func TestInterruptedWhileReading(t *testing.T) {
	for _, args := range [][]string{{"check"}, {"test"}, {"apply"}} {
		for _, s := range []os.Signal{os.Interrupt, syscall.SIGTERM} {
			pipe := filepath.Join(t.TempDir(), "recipe.yml")
			if err := syscall.Mkfifo(pipe, 0o600); err != nil {
				t.Fatal(err)
			}
			p := launch(t, nil, append(args, pipe)...)
			w, err := os.OpenFile(pipe, os.O_WRONLY, 0) // once it is read
			if err != nil {
				t.Fatal(err)
			}
			if code := p.end(s); code != 1 || !strings.Contains(p.stderr.String(), "interrupted while reading recipes") {
				t.Errorf("dashi %s, %v: code %d, %s", args[0], s, code, p.stderr.String())
			}
			w.Close()
		}
	}
}
