package recipe

import (
	"cmp"
	"slices"
	"strconv"

	"github.com/cespare/xxhash/v2"
	"go.yaml.in/yaml/v3"

	"dashi/pipeline/event"
	"dashi/pipeline/expr"
	"dashi/pipeline/zone"
)

// entry is one declaration of a recipe: an attribute, an audience, ...
type entry struct {
	doc  *document
	key  *yaml.Node
	node *yaml.Node
	name string
	what string // "attribute", "audience", ...
	bad  bool   // the grammar has reported something in it: its name is known, but it is not compiled
}

// compiler holds one compilation. Its steps run in the order in which Compile calls them.
type compiler struct {
	findings
	docs    []*document
	builder *schemaBuilder
	program *Program

	purposes, attributes, audiences, activations, mappings []entry

	// names says what stands behind a name that expressions can read.
	names map[string]*symbol
	// scope is what conditions may name; it grows as attributes and audiences are compiled.
	scope expr.Scope

	rules    []pendingRule
	sessions []session
	zones    map[*document]*zone.Zone // the time zones of the files that have one
	// building and done are for attributes and audiences that read each other, by name.
	building []string
	done     map[string]bool
	used     []string // files that a recipe names
	places   []places

	accounts *compiler // the compiler of accounts; nil without accounts
	people   *compiler // set in the compiler of accounts: the one of people
}

// symbol is an attribute or an audience by name.
type symbol struct {
	what  string // "attribute" or "audience"
	entry *entry
	bad   bool // it did not compile: expressions that read it are not reported for that
}

// Compile makes a program of the recipe files of one cookbook. The program is nil when one of the
// diagnostics is an error. Diagnostics are sorted: errors before warnings, then by file and place.
//
// It is pure: the same sources give the same program everywhere. It keeps the texts of the sources.
func Compile(sources []Source) (*Program, []Diagnostic) {
	p, found := Recompile(sources)
	if p != nil && p.Oversize != nil {
		return nil, append([]Diagnostic{*p.Oversize}, found...)
	}
	return p, found
}

// Recompile is Compile for a cookbook that is or was in force: one that an earlier version of dashi took goes on even if it would be refused as a new one.
// See Program.Oversize.
func Recompile(sources []Source) (*Program, []Diagnostic) {
	c := &compiler{builder: newSchemaBuilder(), names: map[string]*symbol{}, done: map[string]bool{}, zones: map[*document]*zone.Zone{}}
	c.program = &Program{Sources: slices.Clone(sources), Mappings: map[string]*Mapping{}}
	slices.SortStableFunc(c.program.Sources, func(a, b Source) int { return cmp.Compare(a.Name, b.Name) })
	c.program.Hash = hashSources(c.program.Sources)
	c.scope = expr.Scope{Attributes: map[string]expr.AttributeRef{}, Audiences: map[string]int{}, Purposes: map[string]int{}}

	c.parseAll()
	c.compileIdentity()
	c.declareFields()
	c.loadZones()
	c.collect()
	c.namePurposes()
	c.compileSessions()
	c.compilePlaces()
	c.compileStored()
	c.layOut()
	c.compileReading()
	c.compileWheres()
	c.compileAudiences()
	c.compileConsent()
	c.compileActivations()
	c.compileAccounts()
	c.compileMappings()
	c.leftData()
	c.finish()

	found := c.sorted()
	if c.errors > 0 {
		return nil, found
	}
	c.program.Warnings = found
	if of := c.program.Accounts; of != nil && c.program.Oversize == nil {
		c.program.Oversize = of.Program.Oversize
	}
	return c.program, found
}

func hashSources(sources []Source) uint64 {
	h := xxhash.New()
	for _, s := range sources {
		h.WriteString(strconv.Itoa(len(s.Name)) + "," + strconv.Itoa(len(s.Text)) + ":" + s.Name)
		h.Write(s.Text)
	}
	return h.Sum64()
}

func (c *compiler) parseAll() {
	sources := c.program.Sources
	if len(sources) > maxSources {
		c.add(Diagnostic{File: sources[maxSources].Name, Message: "a cookbook has at most " + strconv.Itoa(maxSources) + " files"})
		return
	}
	names := map[string]*entry{}
	for i, s := range sources {
		if i > 0 && s.Name == sources[i-1].Name {
			c.add(Diagnostic{File: s.Name, Message: "the file is given twice"})
			continue
		}
		if IsData(s.Name) {
			continue
		}
		d := parse(s, &c.findings)
		if d.root == nil {
			continue
		}
		c.docs = append(c.docs, d)
		if n := value(d.root, "recipe"); n != nil && !d.bad[n] {
			e := &entry{doc: d, key: n, name: n.Value}
			if other := names[n.Value]; other != nil {
				c.report(d, n, "the name "+quote(n.Value)+" is taken by another recipe", "see "+other.place())
			}
			names[n.Value] = e
		}
	}
}

// report adds an error at a node.
func (c *compiler) report(d *document, n *yaml.Node, message, hint string) {
	c.add(Diagnostic{File: d.source.Name, Line: n.Line, Column: n.Column, Message: message, Hint: hint})
}

func (c *compiler) warn(d *document, n *yaml.Node, message, hint string) {
	c.add(Diagnostic{File: d.source.Name, Line: n.Line, Column: n.Column, Message: message, Hint: hint, Severity: Warning})
}

// place says where the entry stands, for hints.
func (e *entry) place() string { return e.doc.source.Name + ":" + strconv.Itoa(e.key.Line) }

// section lists the entries under a key of all files, in order.
func (c *compiler) section(name string, most int) []entry {
	var all []entry
	for _, d := range c.docs {
		n := value(d.root, name)
		if n == nil || n.Kind != yaml.MappingNode {
			continue
		}
		for i := 0; i+1 < len(n.Content); i += 2 {
			k, v := n.Content[i], n.Content[i+1]
			if len(all) == most {
				c.report(d, k, "a cookbook has at most "+strconv.Itoa(most)+" "+name, "")
				return all
			}
			all = append(all, entry{doc: d, key: k, node: v, name: k.Value, bad: d.bad[v]})
		}
	}
	return all
}

// collect gathers the declarations and finds the clashes among their names.
func (c *compiler) collect() {
	c.purposes = c.unique(c.section("purposes", maxPurposes), "purpose", true, nil)
	c.attributes = c.unique(c.followed(c.section("attributes", maxAttributes)), "attribute", false, nil)
	c.audiences = c.unique(c.section("audiences", maxAudiences), "audience", false, c.attributes)
	// The transitions of an audience are activations under its name.
	c.activations = c.unique(c.section("activations", maxActivations), "activation", false, c.audiences)
	c.mappings = c.unique(c.section("mappings", maxActivations), "mapping", false, nil)
	for i := range c.attributes {
		e := &c.attributes[i]
		c.names[e.name] = &symbol{what: "attribute", entry: e, bad: e.bad}
	}
	for i := range c.audiences {
		e := &c.audiences[i]
		if c.names[e.name] == nil {
			c.names[e.name] = &symbol{what: "audience", entry: e, bad: e.bad}
		}
	}
}

// unique drops and reports entries whose name is taken, by another of them or by one of others. If merge is set, two equal entries are one instead: the
// first stands for both.
func (c *compiler) unique(all []entry, what string, merge bool, others []entry) []entry {
	taken := map[string]*entry{}
	for i := range others {
		taken[others[i].name] = &others[i]
	}
	kept := make([]entry, 0, len(all)) // never grows: taken points into it
	for _, e := range all {
		e.what = what
		if other := taken[e.name]; other != nil {
			if merge && equalNodes(other.node, e.node) {
				continue
			}
			// Twice in one file is a duplicate key, which has been reported.
			by := "another " + what
			if other.what != what {
				by = "the " + other.what + " of this name"
			}
			if other.doc != e.doc || other.what != what {
				c.report(e.doc, e.key, what+" "+quote(e.name)+" clashes with "+by, "see "+other.place()+"; names are shared by all recipes of a cookbook")
			}
			continue
		}
		kept = append(kept, e)
		taken[e.name] = &kept[len(kept)-1]
	}
	return kept
}

// equalNodes says whether two pieces of YAML mean the same.
func equalNodes(a, b *yaml.Node) bool {
	if a == nil || b == nil {
		return a == b
	}
	if a.Kind != b.Kind || a.Value != b.Value || a.Kind == yaml.ScalarNode && a.Tag != b.Tag || len(a.Content) != len(b.Content) {
		return false
	}
	for i := range a.Content {
		if !equalNodes(a.Content[i], b.Content[i]) {
			return false
		}
	}
	return true
}

// declareFields makes the fields of all recipes known.
func (c *compiler) declareFields() {
	declared := map[string]entry{}
	all := c.section("fields", maxFields)
	for _, e := range all {
		if wrong := checkPath(e.name); wrong != "" {
			c.report(e.doc, e.key, quote(e.name)+" is not the path of a field: it "+wrong, pathHint(e.name))
			continue
		}
		if e.bad {
			continue
		}
		if other, ok := declared[e.name]; ok {
			if other.node.Value != e.node.Value && other.doc != e.doc {
				c.report(e.doc, e.node, "field "+quote(e.name)+" is "+e.node.Value+" here and "+other.node.Value+" elsewhere", "see "+other.place())
			}
			continue
		}
		declared[e.name] = e
		if clash := c.builder.declare(e.name, fieldKinds[e.node.Value], e.place()); clash != "" {
			other := declared[clash]
			c.report(e.doc, e.key, "field "+quote(e.name)+" cannot be: "+quote(clash)+" says that there is something else", "see "+other.place())
		}
	}
	c.namePlaces()
	c.builder.seal()
}

// loadZones loads the time zones of the files.
func (c *compiler) loadZones() {
	for _, d := range c.docs {
		n := value(d.root, "zone")
		if n == nil || d.bad[n] {
			continue
		}
		if z := c.zone(d, n); z != nil {
			c.zones[d] = z
		}
	}
}

// zone loads the time zone at n.
func (c *compiler) zone(d *document, n *yaml.Node) *zone.Zone {
	z, err := zone.Load(n.Value)
	if err != nil {
		hint := zone.Near(n.Value)
		if hint == "" {
			hint = "zones have names such as Europe/London or UTC"
		} else {
			hint = "did you mean " + quote(hint) + "?"
		}
		c.report(d, n, err.Error(), hint)
		return nil
	}
	return z
}

// pathHint says what the path of a field looks like.
func pathHint(path string) string {
	if isIdentifier(path) {
		return "for instance `properties." + path + "` or `traits." + path + "`"
	}
	return "for instance `properties.loyalty_tier`, `traits.plan` or `properties.tags[]`"
}

// finish puts the schema and the rules into the program.
func (c *compiler) finish() {
	p := c.program
	p.Schema = &c.builder.schema
	p.Schema.Namespaces = append([]event.Namespace(nil), p.Schema.Namespaces...)
	if n := len(p.Schema.Types); n > maxTypes {
		c.add(Diagnostic{File: p.Sources[0].Name, Message: "the cookbook names " + strconv.Itoa(n) + " event types; at most " + strconv.Itoa(maxTypes)})
	}
	if n := len(p.Schema.Fields); n > maxFields {
		c.add(Diagnostic{File: p.Sources[0].Name, Message: "the cookbook reads " + strconv.Itoa(n) + " event fields; at most " + strconv.Itoa(maxFields)})
	}
	c.fillRules()
	p.Schema.Reads = make([]event.Reads, len(p.Rules))
	for t := range p.Rules {
		p.Schema.Reads[t] = p.reads(t)
	}
	p.LookUp = slices.Clone(p.Schema.Namespaces)
	c.finishAccounts()
}

// fillRules puts the rules into the program, by event type.
func (c *compiler) fillRules() {
	p := c.program
	p.Rules = make([][]Rule, 1+len(c.builder.schema.Types))
	for i := range c.rules {
		r := &c.rules[i]
		if r.every {
			for t := range p.Rules {
				p.Rules[t] = append(p.Rules[t], r.rule)
			}
			continue
		}
		for _, t := range r.types {
			p.Rules[t] = append(p.Rules[t], r.rule)
		}
	}
}

// reads is what rules and activations read of the events of type t.
func (p *Program) reads(t int) event.Reads {
	var r event.Reads
	for i := range p.Rules[t] {
		rule := &p.Rules[t][i]
		r.Fields = append(r.Fields, rule.Fields...)
		if rule.Array > 0 {
			r.Arrays = append(r.Arrays, rule.Array-1)
		}
	}
	for i := range p.Activations {
		a := &p.Activations[i]
		if a.Trigger == OnEvent && (a.Type == t || a.Type < 0) {
			r.Fields = append(r.Fields, a.Fields...)
		}
		if g := a.Goal(); g != nil && g.Of(t) {
			r.Fields = append(r.Fields, g.Fields...)
		}
	}
	for i := range p.Schema.Locations {
		if l := &p.Schema.Locations[i]; slices.Contains(r.Fields, l.Field) {
			r.Fields = append(r.Fields, l.Latitude, l.Longitude)
		}
	}
	slices.Sort(r.Fields)
	r.Fields = slices.Compact(r.Fields)
	return r
}
