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
	f := func(want string, args ...string) {
		t.Helper()
		for _, s := range []os.Signal{os.Interrupt, syscall.SIGTERM} {
			dir := t.TempDir()
			pipe := filepath.Join(dir, "pipe.yml")
			if err := syscall.Mkfifo(pipe, 0o600); err != nil {
				t.Fatal(err)
			}
			var all []string
			for _, a := range args {
				all = append(all, strings.NewReplacer("PIPE", pipe, "DIR", dir).Replace(a))
			}
			p := launch(t, nil, all...)
			w, err := os.OpenFile(pipe, os.O_WRONLY, 0) // once it is read
			if err != nil {
				t.Fatal(err)
			}
			if code := p.end(s); code != 1 || !strings.Contains(p.stderr.String(), "interrupted while "+want) {
				t.Errorf("dashi %s, %v: code %d, %s", args[0], s, code, p.stderr.String())
			}
			w.Close()
		}
	}
	recipes := filepath.Join("..", "..", "deploy", "recipes")
	f("reading recipes", "check", "PIPE")
	f("reading recipes", "test", "PIPE")
	f("reading recipes", "apply", "PIPE")
	f("reading recipes", "dev", "--recipes", "PIPE", "--data", "DIR/data", "--http", "127.0.0.1:0", "--resp", "127.0.0.1:0", "--kafka", "127.0.0.1:0")
	f("reading settings", "serve", "--config", "PIPE")
	f("reading rows", "train", "PIPE", "--label", "label", "--out", "DIR/model.json")
	f("reading rows", "features", "PIPE", "--recipes", recipes, "--label-event", "page", "--out", "DIR/rows.csv")
	f("reading rows", "features", "PIPE", "--recipes", recipes, "--labels", "PIPE", "--out", "DIR/rows.csv")
	f("reading rows", "replay", "PIPE", "--map", "online_retail", "--recipes", recipes, "--kafka", "127.0.0.1:1", "--topic", "events")
	f("reading rows", "identity", "match", "PIPE")
	f("reading rows", "identity", "simulate", "PIPE")
}

// TestReadPipe: rows may come out of a pipe, also where they are read more than once.
func TestReadPipe(t *testing.T) {
	pipe := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(t.TempDir(), "model.json")
	p := launch(t, nil, "train", pipe, "--label", "label", "--out", out, "--hold", "0")
	text := []byte("x;label\n" + strings.Repeat("1;true\n2;false\n", 20))
	if err := os.WriteFile(pipe, text, 0); err != nil {
		t.Fatal(err)
	}
	if code := p.code(wait); code != 0 || !strings.Contains(p.stdout.String(), "trained on 40 rows") {
		t.Errorf("code %d: %s%s", code, p.stdout.String(), p.stderr.String())
	}
}
