package say

import (
	"bytes"
	"encoding/json"
	"io"
)

// JSON is v as JSON on one line, without its end. Unlike json.Marshal it writes &, < and > as they are: who reads it is no HTML page.
func JSON(v any) ([]byte, error) {
	var b bytes.Buffer
	if err := WriteJSON(&b, v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

// WriteJSON writes what JSON gives, and the end of the line.
func WriteJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	return e.Encode(v)
}
