package expr

import (
	"sort"
	"strings"

	"cel.dev/cel-go/common/ast"

	"dashi/pipeline/say"
	"dashi/pipeline/spell"
)

func (r *resolver) unknownName(e ast.Expr, root, path string) *Error {
	if f, ok := functionWords[root]; ok && path == root {
		return r.tree.fail(e, "`"+root+"` is a function: write "+f.usage, "")
	}
	word := "name"
	if r.scope.Event && (eventRoots[root] || strings.Contains(path, ".")) {
		word = "field"
	}
	var known []string
	for name := range r.scope.Attributes {
		known = append(known, name)
	}
	for name := range r.scope.Audiences {
		known = append(known, name)
	}
	if r.scope.Event && path == root && r.scope.FieldNames != nil {
		if meant := bareField(path, r.scope.FieldNames()); meant != "" && spell.Closest(path, known) == "" {
			return r.tree.fail(e, "unknown name `"+say.Short(path)+"`; did you mean `"+meant+"`?", "what an event says is named with the part that it stands in: properties, traits or context")
		}
	}
	known = append(known, "now")
	for name := range r.scope.Purposes {
		known = append(known, "consent."+name)
	}
	if r.scope.Event {
		known = append(known, "type", "time")
		if r.scope.FieldNames != nil {
			known = append(known, r.scope.FieldNames()...)
		}
	}
	return r.unknown(e, word, path, known)
}

// bareField is the field that was meant by its last part alone, as in `total` for properties.total; "" when none was.
func bareField(name string, fields []string) string {
	sort.Strings(fields)
	var last []string
	for _, part := range []string{"item.", "properties.", "traits.", "context."} {
		for _, f := range fields {
			if rest, ok := strings.CutPrefix(f, part); ok {
				if rest == name {
					return f
				}
				last = append(last, f)
			}
		}
	}
	for _, part := range []string{"item.", "properties.", "traits."} {
		if near := spell.Closest(part+name, last); strings.HasPrefix(near, part) {
			return near
		}
	}
	return ""
}

// NoPurposes is what to do about a purpose where no recipe names any: who writes one beside a base that does, and checks it alone, meets it first.
const NoPurposes = "no recipe of this cookbook has `purposes`: check this file together with the one that has them (dashi check BASE FILE), or say where events hold the consent, as in `purposes: {email: context.consent.categoryPreferences.email}`"

func (r *resolver) unknownPurpose(e ast.Expr, path string) *Error {
	var known []string
	for name := range r.scope.Purposes {
		known = append(known, "consent."+name)
	}
	if path == "consent" {
		hint := NoPurposes
		if len(known) > 0 {
			hint = list("purposes: ", known)
		}
		return r.tree.fail(e, "`consent` needs a purpose: consent.NAME", hint)
	}
	return r.unknown(e, "purpose", path, known)
}

// unknown says "unknown WORD `path`", and which of the known names was meant, if one is near.
func (r *resolver) unknown(e ast.Expr, word, path string, known []string) *Error {
	message := "unknown " + word + " `" + say.Short(path) + "`"
	sort.Strings(known)
	if near := spell.Closest(path, known); near != "" {
		return r.tree.fail(e, message+"; did you mean `"+near+"`?", "")
	}
	hint := ""
	if word == "purpose" {
		if hint = list("purposes: ", known); len(known) == 0 {
			hint = NoPurposes
		}
	}
	return r.tree.fail(e, message, hint)
}

// list joins names in order, a handful at most.
func list(prefix string, names []string) string {
	if len(names) == 0 {
		return ""
	}
	sort.Strings(names)
	if len(names) > 8 {
		names = append(names[:8:8], "...")
	}
	return prefix + strings.Join(names, ", ")
}
