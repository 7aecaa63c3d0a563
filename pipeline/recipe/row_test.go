package recipe

import (
	"errors"
	"slices"
	"testing"

	"dashi/pipeline/event"
)

func TestParseRow(t *testing.T) {
	columns := []string{"id", "order.total", "flag", "tags", "none", "id.x"}
	row := make([]string, len(columns))
	if err := ParseRow([]byte(`{"id":12345678901234567890,"order":{"total":1.50},"flag":true,"tags":["a"],"none":null}`), columns, row); err != nil {
		t.Fatal(err)
	}
	if want := []string{"12345678901234567890", "1.50", "true", `["a"]`, "", ""}; !slices.Equal(row, want) {
		t.Errorf("%q, want %q", row, want)
	}
	for _, bad := range []string{"", "x", "[1]", `{"a":1} {`, `{"a":`} {
		var rejected *event.Rejected
		if err := ParseRow([]byte(bad), columns, row); !errors.As(err, &rejected) {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

func FuzzParseRow(f *testing.F) {
	f.Add([]byte(`{"a":{"b":[1,{"c":null}]}}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		row := make([]string, 2)
		_ = ParseRow(text, []string{"a.b", "c"}, row)
	})
}
