package recipe

import (
	"bytes"
	"encoding/json"
	"flag"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

var update = flag.Bool("update", false, "write golden files")

const recipes = "../../deploy/recipes"

func TestSchemaCommitted(t *testing.T) {
	golden(t, filepath.Join(recipes, "recipe.schema.json"), SchemaJSON())
	golden(t, filepath.Join(recipes, "test.schema.json"), TestSchemaJSON())
}

// golden compares got with a file, or writes it with -update.
func golden(t *testing.T, path string, got []byte) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s is out of step (go test -update writes it, then read it): it has %d bytes, wanted %d", path, len(want), len(got))
	}
}

// The schema and the parser say the same about every recipe that we have.
func TestSchemaAgrees(t *testing.T) {
	var schema map[string]any
	if err := json.Unmarshal(SchemaJSON(), &schema); err != nil {
		t.Fatal(err)
	}
	files, _ := filepath.Glob("testdata/broken/*.yml")
	good, _ := filepath.Glob(filepath.Join(recipes, "*.yml"))
	for _, file := range append(files, good...) {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var instance any
		if yaml.Unmarshal(text, &instance) != nil || bytes.Contains(text, []byte("<<:")) || bytes.Contains(text, []byte(": !")) || bytes.Contains(text, []byte("\n---")) {
			continue // what YAML itself refuses, and what JSON does not have: tags, several documents
		}
		var f findings
		parse(Source{Name: file, Text: text}, &f)
		wrong := validate(schema, schema, instance)
		if (wrong != "") != (f.errors > 0) {
			t.Errorf("%s: parser %v, schema %q", file, f.list, wrong)
		}
	}
}

// validate is a JSON Schema validator for the keywords that SchemaJSON uses. It returns what is wrong.
func validate(root, s map[string]any, v any) string {
	for keyword, arg := range s {
		if wrong := validateOne(root, s, keyword, arg, v); wrong != "" {
			return wrong
		}
	}
	return ""
}

func validateOne(root, s map[string]any, keyword string, arg, v any) string {
	m, isMap := v.(map[string]any)
	list, isList := v.([]any)
	text, isText := v.(string)
	n, isNumber := asNumber(v)
	switch keyword {
	case "$ref":
		name := strings.TrimPrefix(arg.(string), "#/$defs/")
		return validate(root, root["$defs"].(map[string]any)[name].(map[string]any), v)
	case "type":
		types, ok := arg.([]any)
		if !ok {
			types = []any{arg}
		}
		if !slices.ContainsFunc(types, func(t any) bool { return hasType(t.(string), v) }) {
			return "wrong type"
		}
	case "enum":
		if !slices.Contains(arg.([]any), v) {
			return "not in the enumeration"
		}
	case "const":
		if arg != v {
			return "not the constant"
		}
	case "pattern":
		if isText && !regexp.MustCompile(arg.(string)).MatchString(text) {
			return "does not match " + arg.(string)
		}
	case "maxLength":
		if isText && utf8.RuneCountInString(text) > int(arg.(float64)) {
			return "too long"
		}
	case "minimum":
		if isNumber && n < arg.(float64) {
			return "too small"
		}
	case "maximum":
		if isNumber && n > arg.(float64) {
			return "too large"
		}
	case "minItems":
		if isList && len(list) < int(arg.(float64)) {
			return "too few"
		}
	case "items":
		for _, e := range list {
			if wrong := validate(root, arg.(map[string]any), e); wrong != "" {
				return wrong
			}
		}
	case "minProperties":
		if isMap && len(m) < int(arg.(float64)) {
			return "too few keys"
		}
	case "maxProperties":
		if isMap && len(m) > int(arg.(float64)) {
			return "too many keys"
		}
	case "required":
		for _, k := range arg.([]any) {
			if _, ok := m[k.(string)]; isMap && !ok {
				return "lacks " + k.(string)
			}
		}
	case "propertyNames":
		for k := range m {
			if wrong := validate(root, arg.(map[string]any), k); wrong != "" {
				return "key " + k + " " + wrong
			}
		}
	case "properties":
		for k, p := range arg.(map[string]any) {
			if e, ok := m[k]; ok {
				if wrong := validate(root, p.(map[string]any), e); wrong != "" {
					return k + ": " + wrong
				}
			}
		}
	case "additionalProperties":
		return validateRest(root, s, arg, m)
	case "anyOf":
		for _, a := range arg.([]any) {
			if validate(root, a.(map[string]any), v) == "" {
				return ""
			}
		}
		return "fits no alternative"
	case "allOf":
		for _, a := range arg.([]any) {
			if wrong := validate(root, a.(map[string]any), v); wrong != "" {
				return wrong
			}
		}
	case "not":
		if validate(root, arg.(map[string]any), v) == "" {
			return "is what it must not be"
		}
	case "if":
		if validate(root, arg.(map[string]any), v) == "" {
			return validate(root, s["then"].(map[string]any), v)
		}
	case "description", "title", "$schema", "$defs", "then", "patternProperties":
	default:
		return "BUG: keyword " + keyword
	}
	return ""
}

func validateRest(root, s map[string]any, arg any, m map[string]any) string {
	own, _ := s["properties"].(map[string]any)
	patterns, _ := s["patternProperties"].(map[string]any)
	for k, e := range m {
		known := own[k] != nil
		for p := range patterns {
			known = known || regexp.MustCompile(p).MatchString(k)
		}
		if known {
			continue
		}
		rest, ok := arg.(map[string]any)
		if !ok {
			return "unknown key " + strconv.Quote(k)
		}
		if wrong := validate(root, rest, e); wrong != "" {
			return k + ": " + wrong
		}
	}
	return ""
}

func asNumber(v any) (float64, bool) {
	switch v := v.(type) {
	case int:
		return float64(v), true
	case float64:
		return v, true
	}
	return 0, false
}

func hasType(name string, v any) bool {
	switch v.(type) {
	case map[string]any:
		return name == "object"
	case []any:
		return name == "array"
	case string:
		return name == "string"
	case bool:
		return name == "boolean"
	case nil:
		return name == "null"
	}
	n, ok := asNumber(v)
	return ok && (name == "number" || name == "integer" && n == math.Trunc(n))
}
