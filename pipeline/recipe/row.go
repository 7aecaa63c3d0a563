package recipe

import (
	"bytes"
	"encoding/json"
	"strconv"
	"strings"

	"dashi/pipeline/event"
)

// ParseRow reads a JSON object as a row: the values at the paths that a mapping reads (Mapping.Columns, "order.id"), as text. A path
// that is missing or null is empty; an object or array is its JSON. row, of the length of columns, is filled and may be reused.
// The error is an *event.Rejected.
func ParseRow(text []byte, columns []string, row []string) error {
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	var object map[string]any
	err := d.Decode(&object)
	if err == nil && d.More() {
		return &event.Rejected{Reason: event.Malformed, Detail: "the row goes on after its JSON object"}
	}
	if err != nil {
		return &event.Rejected{Reason: event.Malformed, Detail: "the row is not a JSON object: " + err.Error()}
	}
	for i, path := range columns {
		row[i] = cellText(object, path)
	}
	return nil
}

func cellText(object map[string]any, path string) string {
	var v any = object
	for _, key := range strings.Split(path, ".") {
		m, ok := v.(map[string]any)
		if !ok {
			return ""
		}
		v = m[key]
	}
	switch v := v.(type) {
	case nil:
		return ""
	case string:
		return v
	case json.Number:
		return v.String()
	case bool:
		return strconv.FormatBool(v)
	}
	b, err := json.Marshal(v)
	if err != nil {
		return ""
	}
	return string(b)
}
