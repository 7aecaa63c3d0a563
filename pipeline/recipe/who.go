package recipe

import (
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"dashi/pipeline/event"
	"dashi/pipeline/identity"
)

// defaultNamespaces hold when no recipe has an identity: the strongest first.
var defaultNamespaces = []struct {
	name, normalise string
	from            []string
}{
	{"user_id", "trim", []string{"userId"}},
	{"email", "email", []string{"traits.email", "context.traits.email", "properties.email"}},
	{"phone", "phone", []string{"traits.phone", "context.traits.phone", "properties.phone"}},
	{"anonymous_id", "trim", []string{"anonymousId"}},
}

// identifierRoots are the top-level keys that may hold an identifier.
var identifierRoots = []string{"userId", "anonymousId", "groupId", "previousId"}

func (c *compiler) compileIdentity() {
	var first *entry
	for _, d := range c.docs {
		n := value(d.root, "identity")
		if n == nil {
			continue
		}
		e := &entry{doc: d, key: n, node: n}
		if first == nil {
			first = e
		} else if !equalNodes(first.node, n) {
			c.report(d, n, "the identity differs from that of another recipe", "see "+first.place()+"; a cookbook has one identity: keep it in one recipe")
		}
	}
	schema := &c.builder.schema
	if first == nil {
		for _, ns := range defaultNamespaces {
			normalise, err := identity.Normaliser(ns.normalise)
			if err != nil {
				panic("BUG: " + err.Error())
			}
			schema.Namespaces = append(schema.Namespaces, event.Namespace{Name: ns.name, Paths: paths(ns.from), Normalise: normalise})
		}
		return
	}
	if first.doc.bad[first.node] {
		return
	}
	list := value(first.node, "namespaces").Content
	if len(list) > maxNamespaces {
		c.report(first.doc, list[maxNamespaces], "there are at most 64 namespaces", "")
		return
	}
	for _, n := range list {
		c.namespace(first.doc, n)
	}
}

func (c *compiler) namespace(d *document, n *yaml.Node) {
	name := value(n, "name")
	if message, hint := checkName(name.Value, plainName); message != "" {
		c.report(d, name, message, hint)
		return
	}
	schema := &c.builder.schema
	if slices.ContainsFunc(schema.Namespaces, func(o event.Namespace) bool { return o.Name == name.Value }) {
		c.report(d, name, "namespace "+quote(name.Value)+" stands twice", "give it all its paths under one `from`")
		return
	}
	var from []string
	for _, p := range elements(value(n, "from")) {
		if !slices.Contains(identifierRoots, p.Value) {
			if wrong := checkPath(p.Value); wrong != "" {
				hint := pathHint(p.Value)
				if known := closest(p.Value, identifierRoots); known != "" {
					hint = "did you mean " + quote(known) + "?"
				}
				c.report(d, p, quote(p.Value)+" cannot hold an identifier: it "+wrong+" and is none of "+strings.Join(identifierRoots, ", "), hint)
				continue
			}
			if strings.Contains(p.Value, "[]") {
				c.report(d, p, quote(p.Value)+" cannot hold an identifier: it is a list", "")
				continue
			}
		}
		from = append(from, p.Value)
	}
	form := "trim"
	if v := value(n, "normalise"); v != nil {
		form = v.Value
	}
	var options []identity.Option
	for _, b := range elements(value(n, "blocked")) {
		options = append(options, identity.Block(b.Value))
	}
	if region := value(n, "region"); region != nil {
		if form != "phone" {
			c.report(d, region, "`region` is for `normalise: phone` only", "")
			return
		}
		options = append(options, identity.Region(region.Value))
	}
	normalise, err := identity.Normaliser(form, options...)
	if err != nil {
		at, hint := value(n, "region"), "it is one of "+strings.Join(identity.Regions(), ", ")
		if at == nil {
			at, hint = name, ""
		}
		c.report(d, at, err.Error(), hint)
		return
	}
	schema.Namespaces = append(schema.Namespaces, event.Namespace{Name: name.Value, Paths: paths(from), Normalise: normalise})
}

func paths(from []string) [][]string {
	var all [][]string
	for _, p := range from {
		all = append(all, strings.Split(p, "."))
	}
	return all
}
