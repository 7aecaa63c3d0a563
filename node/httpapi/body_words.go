package httpapi

import (
	"encoding/json"
	"errors"
	"io"
	"reflect"
	"strings"

	"dashi/pipeline/say"
	"dashi/pipeline/spell"
)

// bodyWords says what is wrong with a body of JSON for v, a pointer to a struct, without a word of the library, and what v takes.
func bodyWords(err error, v any) (message, hint string) {
	names := fieldNames(v)
	hint = "the body is one JSON object with " + strings.Join(names, ", ")
	var kind *json.UnmarshalTypeError
	var syntax *json.SyntaxError
	name, unknown := strings.CutPrefix(err.Error(), "json: unknown field ")
	switch {
	case errors.As(err, &kind) && kind.Field == "":
		return "it is " + jsonKind(kind.Value), hint
	case errors.As(err, &kind):
		return say.Quote(kind.Field) + " is " + jsonKind(kind.Value) + "; wanted: " + goKind(kind.Type), hint
	case unknown:
		name = strings.Trim(name, `"`)
		if near := spell.Closest(name, names); near != "" {
			hint = "did you mean " + near + "? " + hint
		}
		return "unknown field " + say.Quote(name), hint
	case errors.As(err, &syntax), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF):
		return "it is not JSON: " + say.Cut(err.Error(), 200), hint
	}
	return say.Cut(err.Error(), 200), hint
}

// fieldNames are those of the struct that v points to, which JSON knows.
func fieldNames(v any) (names []string) {
	for f := range reflect.TypeOf(v).Elem().Fields() {
		if name, _, _ := strings.Cut(f.Tag.Get("json"), ","); name != "" && name != "-" {
			names = append(names, name)
		}
	}
	return names
}

// jsonKind is the kind of a value in JSON, with its article.
func jsonKind(kind string) string {
	kind, _, _ = strings.Cut(kind, " ") // "number 1.5"
	if kind == "array" || kind == "object" {
		return "an " + kind
	}
	return "a " + kind
}

func goKind(t reflect.Type) string {
	switch t.Kind() {
	case reflect.String:
		return "a string"
	case reflect.Bool:
		return "true or false"
	case reflect.Slice, reflect.Array:
		return "an array"
	case reflect.Int, reflect.Int64, reflect.Uint64:
		return "a whole number"
	case reflect.Float64:
		return "a number"
	}
	return "an object"
}
