package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// TestRows: what cannot be used can be kept as it stands in the file, and blank lines are no rows.
func TestRows(t *testing.T) {
	f := func(format, text string, want ...string) {
		t.Helper()
		path := filepath.Join(t.TempDir(), "rows")
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		in, err := openRows(t.Context(), path, format, ';', []string{"a"})
		if err != nil {
			t.Fatal(err)
		}
		defer in.Close()
		var got []string
		for {
			_, line, err := in.Next()
			if err == io.EOF {
				break
			}
			var bad *badRow
			got = append(got, fmt.Sprintf("%d %v %s", line, errors.As(err, &bad), in.text()))
		}
		if !slices.Equal(got, want) {
			t.Errorf("%q, want %q", got, want)
		}
	}
	f("csv", "a;b\n1;\"x;\"\"y\"\n2\n3;4\n", `2 false 1;"x;""y"`, "3 true 2", "4 false 3;4")
	f("jsonl", "{\"a\":1}\n\n{\"a\":\n  \n{\"a\":2}", `1 false {"a":1}`, `3 true {"a":`, `5 false {"a":2}`)
}

// TestCreateWhole: what fails leaves the file that was there.
func TestCreateWhole(t *testing.T) {
	path := filepath.Join(t.TempDir(), "out.csv")
	for _, step := range []struct {
		text string
		err  error
		want string
	}{{"one", nil, "one"}, {"two", io.ErrShortWrite, "one"}, {"three", nil, "three"}} {
		file, done, err := createWhole(path)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprint(file, step.text)
		if err := done(step.err); !errors.Is(err, step.err) {
			t.Error(err)
		}
		if got, err := os.ReadFile(path); err != nil || string(got) != step.want {
			t.Errorf("%q, want %q: %v", got, step.want, err)
		}
	}
	if left, err := os.ReadDir(filepath.Dir(path)); err != nil || len(left) != 1 {
		t.Error(left, err)
	}
}
