package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"strings"

	"dashi/pipeline/recipe"
)

// wrongFormat says that a file is not in the format in which it is read.
type wrongFormat struct{ file, holds, read, instead string }

func (w *wrongFormat) Error() string {
	what := fmt.Sprintf("%q holds %s, and is read as %s", w.file, w.holds, w.read)
	if w.instead == "" {
		return what + ": write one object a line, as in jq -c '.[]' FILE"
	}
	return what + ": give --format " + w.instead
}

// byMapping says that it is a mapping that says how a file is read.
func byMapping(err error, m *recipe.Mapping) error {
	if w, ok := errors.AsType[*wrongFormat](err); ok && w.instead != "" {
		return fmt.Errorf("%q holds %s, and mapping %q reads %s: say format: %s in the mapping, or name another mapping with --map", w.file, w.holds, m.Name, w.read, w.instead)
	}
	return err
}

// looked is how much of the beginning of a file is looked at for its format.
const looked = 4096

// checkFormat looks at the beginning of a file. It waits for no more of a pipe than the first bytes, and says nothing when it cannot tell.
func checkFormat(path, format string, in *bufio.Reader) error {
	if _, err := in.Peek(1); err != nil {
		return nil // reading it says so
	}
	text, _ := in.Peek(min(in.Buffered(), looked))
	text = bytes.TrimLeft(bytes.TrimPrefix(text, []byte("\ufeff")), " \t\r\n")
	object := func(text []byte) bool {
		if len(text) == 0 || text[0] != '{' {
			return false
		}
		inner := bytes.TrimLeft(text[1:], " \t\r\n")
		return len(inner) > 0 && (inner[0] == '"' || inner[0] == '}')
	}
	first, _, _ := bytes.Cut(text, []byte{'\n'})
	switch {
	case len(text) > 0 && text[0] == '[' && object(bytes.TrimLeft(text[1:], " \t\r\n")):
		return &wrongFormat{path, "an array of JSON objects", format, ""}
	case format == "csv" && object(text):
		return &wrongFormat{path, "JSON objects", format, "jsonl"}
	case format == "jsonl" && strings.ContainsAny(string(first), ",;\t|") && !strings.ContainsAny(string(first), "{}"):
		return &wrongFormat{path, "a table", format, "csv"}
	}
	return nil
}
