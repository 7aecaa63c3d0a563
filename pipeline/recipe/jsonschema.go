package recipe

import (
	"bytes"
	"encoding/json"
)

// SchemaJSON is the JSON Schema (draft 2020-12) of a recipe file, for editors: made of the table that the
// parser follows. Expressions, and names that refer to one another, are for Compile to judge.
func SchemaJSON() []byte { return schemaOf(recipeShape, "dashi recipe") }

// TestSchemaJSON is the JSON Schema of a file of tests.
func TestSchemaJSON() []byte { return schemaOf(testFileShape, "dashi tests of a recipe") }

func schemaOf(s *shape, title string) []byte {
	g := schemaWriter{defs: map[string]any{}}
	root := g.shape(s)
	root["$schema"] = "https://json-schema.org/draft/2020-12/schema"
	root["title"] = title
	root["patternProperties"] = map[string]any{"^x-": map[string]any{"description": "Not looked at: a place for YAML anchors."}}
	root["$defs"] = g.defs
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", " ")
	if err := e.Encode(root); err != nil {
		panic("BUG: the JSON Schema is no JSON: " + err.Error())
	}
	return b.Bytes()
}

// schemaWriter turns shapes into JSON Schema. Shapes with a name are written once, under $defs.
type schemaWriter struct {
	defs map[string]any
}

func (g *schemaWriter) shape(s *shape) map[string]any {
	if s.detail != nil {
		s = s.detail
	}
	if s.def == "" {
		return g.forms(s)
	}
	if g.defs[s.def] == nil {
		g.defs[s.def] = true // so that a shape within itself ends here
		g.defs[s.def] = g.forms(s)
	}
	return map[string]any{"$ref": "#/$defs/" + s.def}
}

// forms writes all forms that may stand at the place.
func (g *schemaWriter) forms(s *shape) map[string]any {
	if len(s.or) == 0 {
		return g.form(s)
	}
	alternatives := []any{g.form(s)}
	for _, o := range s.or {
		alternatives = append(alternatives, g.shape(o))
	}
	out := map[string]any{"anyOf": alternatives}
	describe(out, s.doc)
	return out
}

func describe(out map[string]any, doc string) {
	if doc != "" {
		out["description"] = doc
	}
}

func (g *schemaWriter) form(s *shape) map[string]any {
	out := map[string]any{}
	describe(out, s.doc)
	scalar := []any{"string", "number", "boolean"}
	switch s.is {
	case object:
		g.object(out, s)
	case mapOf:
		out["type"] = "object"
		if s.empty {
			out["type"] = []any{"object", "null"}
		} else {
			out["minProperties"] = 1
		}
		out["additionalProperties"] = g.shape(s.of)
		if names := nameSchema(s.names); names != nil {
			out["propertyNames"] = names
		}
	case listOf:
		out["type"] = "array"
		out["items"] = g.shape(s.of)
		switch {
		case s.size > 0:
			out["minItems"], out["maxItems"] = s.size, s.size
		case !s.empty:
			out["minItems"] = 1
		}
	case text:
		if len(s.words) > 0 {
			out["enum"] = s.words
			break
		}
		out["type"], out["pattern"] = scalar, `\S`
		if s.pattern != "" {
			out["type"], out["pattern"] = "string", s.pattern
		}
	case expression:
		out["type"], out["pattern"], out["maxLength"] = scalar, `\S`, maxExpression
	case integer, number:
		out["type"] = "number"
		if s.is == integer {
			out["type"] = "integer"
		}
		if s.min != 0 || s.max != 0 {
			out["minimum"], out["maximum"] = s.min, s.max
		}
	case boolean:
		out["type"] = "boolean"
	}
	return out
}

func (g *schemaWriter) object(out map[string]any, s *shape) {
	out["type"] = "object"
	properties, required := g.keys(s.keys)
	if s.oneKey {
		out["minProperties"], out["maxProperties"] = 1, 1
	}
	if s.some {
		out["minProperties"] = 1
	}
	if s.tag == "" {
		out["properties"], out["additionalProperties"] = properties, false
		if s.rest != nil {
			out["additionalProperties"], out["propertyNames"] = g.shape(s.rest), map[string]any{"not": map[string]any{"enum": s.not}}
			out["not"] = map[string]any{"propertyNames": map[string]any{"enum": s.keyNames(nil)}} // there is one that is none of its own
		}
		if len(required) > 0 {
			out["required"] = required
		}
		return
	}
	// The keys depend on the tag, so each variant lists all that it allows.
	var cases []any
	for i := range s.variants {
		v := &s.variants[i]
		more, needed := g.keys(v.keys)
		for name, p := range properties {
			more[name] = p
		}
		more[s.tag] = map[string]any{"const": v.name, "description": v.doc}
		then := map[string]any{"properties": more, "additionalProperties": false}
		if needed = append(needed, required...); len(needed) > 0 {
			then["required"] = needed
		}
		cases = append(cases, map[string]any{
			"if":   map[string]any{"properties": map[string]any{s.tag: map[string]any{"const": v.name}}, "required": []any{s.tag}},
			"then": then,
		})
	}
	out["properties"] = map[string]any{s.tag: map[string]any{"enum": variantNames(s)}}
	out["required"] = []any{s.tag}
	out["allOf"] = cases
}

func (g *schemaWriter) keys(keys []key) (properties map[string]any, required []any) {
	properties = map[string]any{}
	for _, k := range keys {
		p := g.shape(k.shape)
		if k.doc != "" {
			p["description"] = k.doc // next to $ref it is allowed since 2019-09
		}
		properties[k.name] = p
		if k.required {
			required = append(required, k.name)
		}
	}
	return properties, required
}

func nameSchema(n naming) map[string]any {
	switch n {
	case identifier:
		return map[string]any{"pattern": "^[A-Za-z_][A-Za-z0-9_]*$", "maxLength": maxName, "not": map[string]any{"enum": reserved}}
	case plainName:
		return map[string]any{"pattern": "^[A-Za-z0-9_.-]+$", "maxLength": maxName}
	case fieldPath:
		return map[string]any{"pattern": `^[^.\[\]"]+(\.[^.\[\]"]+)*$`, "maxLength": maxName}
	}
	return nil
}
