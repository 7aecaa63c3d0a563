package recipe

import (
	"slices"
	"strings"

	"dashi/pipeline/event"
	"dashi/pipeline/expr"
)

var fieldKinds = map[string]event.Kind{"string": event.String, "number": event.Number, "bool": event.Bool, "time": event.Time}

// schemaBuilder knows every field that may be read, and gathers those that are.
type schemaBuilder struct {
	known map[string]event.Kind
	names []string // of known, sorted
	// declared are those that recipes add, in their order, and declaredAt where.
	declared   []string
	declaredAt map[string]string

	// locations are the fields that tables of places give, by path.
	locations map[string]location

	schema event.Schema
	types  map[string]int // name to 1 + index
	fields map[string]int
	arrays map[string]int
}

func newSchemaBuilder() *schemaBuilder {
	b := &schemaBuilder{known: map[string]event.Kind{}, declaredAt: map[string]string{}, locations: map[string]location{}, types: map[string]int{}, fields: map[string]int{}, arrays: map[string]int{}}
	specKinds(func(path, kind string) { b.known[path] = fieldKinds[kind] })
	return b
}

// seal fixes what is known. It comes after the last declare and before the first reader.
func (b *schemaBuilder) seal() {
	b.names = b.names[:0]
	for path := range b.known {
		b.names = append(b.names, path)
	}
	slices.Sort(b.names)
}

// declare adds a field to the known ones, or gives a field of the spec another type; place is where the recipe declares it. The clash, if there is one, is
// a declared field that cannot exist beside it, because one lies inside the other and a value is no object. A field of the spec that cannot exist beside it
// is forgotten: the recipe knows its events better.
func (b *schemaBuilder) declare(path string, kind event.Kind, place string) (clash string) {
	for _, other := range b.declared {
		if other != path && collide(path, other) {
			return other
		}
	}
	for other := range b.known {
		if other != path && collide(path, other) {
			delete(b.known, other)
		}
	}
	b.known[path] = kind
	if !slices.Contains(b.declared, path) {
		b.declared = append(b.declared, path)
		b.declaredAt[path] = place
	}
	return ""
}

// declaration says which recipe has made the field at path what it is, or has made it impossible; "" if the spec has. The expression that reads the field may
// stand in quite another file.
func (b *schemaBuilder) declaration(path string) string {
	for _, p := range b.declared {
		if p == path || p == path+"[]" || b.known[path] == event.Absent && collide(p, path) {
			return "`fields` at " + b.declaredAt[p] + " says that " + quote(p) + " is a " + b.known[p].String()
		}
	}
	return ""
}

// collide says whether one of two paths lies inside the other, array or not.
func collide(a, b string) bool {
	a, b = strings.ReplaceAll(a, "[]", ""), strings.ReplaceAll(b, "[]", "")
	return a == b || strings.HasPrefix(a, b+".") || strings.HasPrefix(b, a+".")
}

// typeOf registers an event type and returns Event.Type for it.
func (b *schemaBuilder) typeOf(name string) int {
	if i, ok := b.types[name]; ok {
		return i
	}
	b.schema.Types = append(b.schema.Types, name)
	b.types[name] = len(b.schema.Types)
	return len(b.schema.Types)
}

// kindOf is what the field is, consent categories included.
func (b *schemaBuilder) kindOf(path string) (event.Kind, bool) {
	if k, ok := b.known[path]; ok {
		return k, true
	}
	if rest, ok := strings.CutPrefix(path, consentPath); ok && rest != "" && !strings.ContainsAny(rest, ".[]") {
		return event.Bool, true
	}
	return event.Absent, false
}

// field registers a known field as read.
func (b *schemaBuilder) field(path string) (expr.FieldRef, bool) {
	kind, ok := b.kindOf(path)
	if !ok {
		return expr.FieldRef{}, false
	}
	before, _, repeated := strings.Cut(path, "[]")
	ref := expr.FieldRef{Kind: kind, Repeated: repeated}
	if i, ok := b.fields[path]; ok {
		ref.Index = i
		return ref, true
	}
	if l, ok := b.locations[path]; ok {
		return b.location(path, l), true
	}
	f := event.Field{Path: splitPath(path), Kind: kind}
	if repeated {
		f.Array = b.array(before)
	}
	ref.Index = len(b.schema.Fields)
	b.fields[path] = ref.Index
	b.schema.Fields = append(b.schema.Fields, f)
	return ref, true
}

// location is how a field that says in which place an event happened is found.
type location struct {
	latitude, longitude string // paths
	find                func(latitude, longitude float64) []byte
}

// location registers a field that says in which place an event happened, and the fields that it is found by.
func (b *schemaBuilder) location(path string, l location) expr.FieldRef {
	latitude, _ := b.field(l.latitude)
	longitude, _ := b.field(l.longitude)
	ref := expr.FieldRef{Index: len(b.schema.Fields), Kind: event.String}
	b.fields[path] = ref.Index
	b.schema.Fields = append(b.schema.Fields, event.Field{Kind: event.String})
	b.schema.Locations = append(b.schema.Locations, event.Location{Field: ref.Index, Latitude: latitude.Index, Longitude: longitude.Index, Find: l.find})
	return ref
}

// array registers an array as read and returns 1 + its index.
func (b *schemaBuilder) array(path string) int {
	if i, ok := b.arrays[path]; ok {
		return i
	}
	b.schema.Arrays = append(b.schema.Arrays, splitPath(path))
	b.arrays[path] = len(b.schema.Arrays)
	return len(b.schema.Arrays)
}

// splitPath turns "properties.products[].price" into the form of event.Field.
func splitPath(path string) []string {
	return strings.Split(strings.ReplaceAll(path, "[]", ".[]"), ".")
}

// checkPath says what is wrong with the form of a field's path; "" when it is good.
func checkPath(path string) string {
	if strings.Count(path, "[]") > 1 {
		return "has two `[]`: one array inside another cannot be read"
	}
	for part := range strings.SplitSeq(path, ".") {
		name := strings.TrimSuffix(part, "[]")
		if name == "" {
			return "has an empty part"
		}
		if strings.ContainsAny(name, "[] \t\"'") {
			return "has " + quote(name) + " in it, which no expression could read"
		}
	}
	root, _, nested := strings.Cut(path, ".")
	if !nested || !slices.Contains([]string{"properties", "traits", "context"}, root) {
		return "does not begin with properties, traits or context"
	}
	return ""
}

// isArray says whether path holds elements that can be gone through.
func (b *schemaBuilder) isArray(path string) bool {
	i, exact := slices.BinarySearch(b.names, path+"[]")
	return exact || i < len(b.names) && strings.HasPrefix(b.names[i], path+"[]")
}

// arrayNames are the arrays that are known, sorted.
func (b *schemaBuilder) arrayNames() []string {
	var names []string
	for _, n := range b.names {
		if before, _, ok := strings.Cut(n, "[]"); ok && !slices.Contains(names, before) {
			names = append(names, before)
		}
	}
	return names
}

// reader resolves the fields of one expression.
type reader struct {
	b    *schemaBuilder
	each string // the array it goes through, or ""
	want expr.Type
	// explain is set when a path was refused for a reason that is better than "unknown".
	path, explain, hint string
	// asked are the fields that the expression reads, as it writes them.
	asked []string
}

// kind is the kind of value that a field is likely to have if an expression of that type reads it.
func (r *reader) kind() string {
	switch r.want {
	case expr.NumberType:
		return "number"
	case expr.TimeType:
		return "time"
	}
	return "string"
}

// whole is the path of a field as an expression writes it.
func (r *reader) whole(path string) string {
	if path == "item" {
		return r.each + "[]"
	}
	if rest, ok := strings.CutPrefix(path, "item."); ok {
		return r.each + "[]." + rest
	}
	return path
}

// declaration says which recipe has made the field that a message is about what it is; "" if the message is about none, or the spec has.
func (r *reader) declaration(message string) string {
	for _, path := range r.asked {
		if strings.Contains(message, path) {
			if said := r.b.declaration(r.whole(path)); said != "" {
				return said
			}
		}
	}
	return ""
}

func (r *reader) field(path string) (expr.FieldRef, bool) {
	r.asked = append(r.asked, path)
	if whole := r.whole(path); whole != path {
		return r.b.field(whole)
	}
	if name, ok := strings.CutPrefix(path, placeRoot); ok && r.b.locations[path].find == nil {
		r.path, r.explain = path, "there are no places "+quote(name)
		r.hint = closestPlaces(path, r.b.locations)
		return expr.FieldRef{}, false
	}
	if ref, ok := r.b.field(path); ok {
		return ref, true
	}
	if ref, ok := r.b.field(path + "[]"); ok {
		return ref, true
	}
	if r.b.isArray(path) {
		r.path, r.explain = path, quote(path)+" is a list of objects"
		r.hint = "to go through it, write `each: " + path + "` beside the expression and read `item`"
	} else if i, _ := slices.BinarySearch(r.b.names, path+"."); i < len(r.b.names) && strings.HasPrefix(r.b.names[i], path+".") {
		r.path, r.explain = path, quote(path)+" is an object, not a value"
		r.hint = "read one of its fields, such as " + quote(r.b.names[i])
	} else if array, last, ok := cutLast(path); ok && r.b.isArray(array) {
		r.path, r.explain = path, quote(array)+" is a list; "+quote(last)+" is a field of its elements"
		r.hint = "write `each: " + array + "` beside the expression and read `item." + last + "`"
	}
	return expr.FieldRef{}, false
}

func cutLast(path string) (before, after string, ok bool) {
	i := strings.LastIndexByte(path, '.')
	if i < 0 {
		return path, "", false
	}
	return path[:i], path[i+1:], true
}

// names lists what the expression may read, for hints.
func (r *reader) names() []string {
	var names []string
	for _, n := range r.b.names {
		before, after, repeated := strings.Cut(n, "[]")
		switch {
		case !repeated:
			names = append(names, n)
		case after == "":
			names = append(names, before)
		}
		if repeated && before == r.each {
			names = append(names, "item"+after)
		}
	}
	return names
}
