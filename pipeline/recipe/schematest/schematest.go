// Package schematest lets tests ask a JSON Schema what it says of a YAML text: it knows the keywords that package recipe writes, and no others.
package schematest

import (
	"encoding/json"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// Schema is a JSON Schema.
type Schema map[string]any

// Parse reads a schema.
func Parse(t testing.TB, text []byte) Schema {
	t.Helper()
	s := Schema{}
	if err := json.Unmarshal(text, &s); err != nil {
		t.Fatal(err)
	}
	return s
}

// Validate says what is wrong with a value of Read; empty: nothing.
func (s Schema) Validate(v any) string { return validate(s, s, v) }

// Read reads a YAML text as JSON has it: a time is a string.
func Read(text []byte) (v any, err error) {
	var n yaml.Node
	if err := yaml.Unmarshal(text, &n); err != nil {
		return nil, err
	}
	timesAsText(&n)
	err = n.Decode(&v)
	return v, err
}

func timesAsText(n *yaml.Node) {
	if n.Kind == yaml.ScalarNode && n.Tag == "!!timestamp" {
		n.Tag = "!!str"
	}
	for _, c := range n.Content {
		timesAsText(c)
	}
}

// validate returns what is wrong.
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
	case "maxItems":
		if isList && len(list) > int(arg.(float64)) {
			return "too many"
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
