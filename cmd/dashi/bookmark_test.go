package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Row numbers of an interrupted replay are good for the file it read, also when that has grown, and for no other.
func TestBookmarkNoticesAnotherFile(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("XDG_CACHE_HOME", dir)
	t.Setenv("HOME", dir)
	path := filepath.Join(dir, "rows.csv")
	long := strings.Repeat("a,b\n", bookmarkHead)
	write := func(text string) {
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	o := replayOptions{mapping: "m", topic: "t"}
	interrupted := func(text string) {
		write(text)
		o := o
		o.restart = true
		b, err := newBookmark(path, o)
		if err != nil || b.Rows != 0 {
			t.Fatal(b, err)
		}
		b.Rows = 7
		saved, _ := json.Marshal(b)
		if err := os.MkdirAll(filepath.Dir(b.path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(b.path, saved, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	f := func(before, after string, good bool) {
		t.Helper()
		interrupted(before)
		write(after)
		b, err := newBookmark(path, o)
		if good && (err != nil || b.Rows != 7) || !good && (err == nil || !strings.Contains(err.Error(), "after row 7")) {
			t.Errorf("%d bytes, then %d: %+v %v", len(before), len(after), b, err)
		}
	}
	f("a,b\n1,2\n", "a,b\n1,2\n", true)
	f("a,b\n1,2\n", "a,b\n1,2\n3,4\n", true)
	f("a,b\n1,2\n", "a,b\n1,3\n", false)
	f("a,b\n1,2\n", "a,b\n", false)
	f(long, long+"more", true)
	f(long, "x"+long[1:], false)
	f(long, long[:len(long)-4], false)
}
