package recipe

import (
	"cmp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"dashi/pipeline/attribute"
	"dashi/pipeline/audience"
	"dashi/pipeline/event"
	"dashi/pipeline/expr"
	"dashi/pipeline/spell"
)

// compileWheres compiles the conditions of the rules, which may read attributes.
func (c *compiler) compileWheres() {
	for i := range c.rules {
		r := &c.rules[i]
		if r.session != nil && r.session.where != nil {
			x := c.compile(r.session.entry.doc, r.session.where, "`where` of "+quote(r.session.entry.name), where{event: true}, expr.BoolType)
			if x == nil {
				r.session.where = nil // so that it is reported once
				continue
			}
			r.rule.Where, r.rule.Fields = x.Bool, append(r.rule.Fields, x.Fields...)
		}
		if r.where == nil {
			continue
		}
		what := "`where` of " + quote(r.entry.name)
		x := c.compile(r.doc, r.where, what, where{event: true, each: r.each, attributes: true}, expr.BoolType)
		if x == nil {
			continue
		}
		r.rule.Where, r.rule.Fields = also(r.rule.Where, x.Bool), append(r.rule.Fields, x.Fields...)
		if len(x.Attributes) > 0 {
			c.warn(r.doc, r.where, "the "+what+" reads the profile: what it counts depends on the order in which events arrive",
				"two replays of the same history in another order may differ; a condition on the event alone does not")
		}
		c.refine(r)
	}
}

// refine adds the derived attributes that a condition reads to the definition of the rule's attribute.
func (c *compiler) refine(r *pendingRule) {
	if r.rule.Attribute < 0 {
		return
	}
	a := &c.program.Attributes[r.rule.Attribute]
	for _, name := range c.reads(r.where.Value) {
		if i := indexOf(c.attributes, name); i >= 0 && c.program.Attributes[i].Kind == nil {
			a.Definition = a.Definition*31 + c.program.Attributes[i].Definition
		}
	}
}

// namePurposes gives each purpose its index.
func (c *compiler) namePurposes() {
	for i, e := range c.purposes {
		c.program.Purposes = append(c.program.Purposes, e.name)
		c.program.Consents = append(c.program.Consents, said(&e))
		c.scope.Purposes[e.name] = i
	}
}

// compileConsent makes the rules by which events grant and withdraw purposes.
func (c *compiler) compileConsent() {
	for i := range c.purposes {
		e := &c.purposes[i]
		if e.bad {
			continue
		}
		if e.node.Kind == yaml.ScalarNode {
			c.consentFrom(i, e, e.node, nil)
			continue
		}
		from, granted, withdrawn := value(e.node, "from"), value(e.node, "granted"), value(e.node, "withdrawn")
		switch {
		case from == nil && granted == nil:
			c.report(e.doc, e.node, "purpose "+quote(e.name)+" can never be granted", "say `from` which field it is read, or by which events it is `granted`")
			continue
		case from == nil && value(e.node, "on") != nil:
			c.report(e.doc, value(e.node, "on"), "`on` of purpose "+quote(e.name)+" is without `from`", "`granted` and `withdrawn` have their own `on`")
			continue
		}
		if from != nil {
			c.consentFrom(i, e, from, value(e.node, "on"))
		}
		c.consentOn(i, e, "granted", granted, true)
		c.consentOn(i, e, "withdrawn", withdrawn, false)
	}
}

// consentFrom adds the rule that reads a boolean field.
func (c *compiler) consentFrom(i int, e *entry, from, on *yaml.Node) {
	kind, ok := c.builder.kindOf(from.Value)
	if !ok || strings.Contains(from.Value, "[]") {
		r := &reader{b: c.builder}
		c.report(e.doc, from, "purpose "+quote(e.name)+" is read from the unknown field "+quote(from.Value), closestPath(from.Value, append(r.names(), consentPath+lastPart(from.Value))))
		return
	}
	if kind != event.Bool {
		c.report(e.doc, from, "purpose "+quote(e.name)+" is read from "+quote(from.Value)+", which is a "+kind.String()+"; wanted: a bool", cmp.Or(c.builder.declaration(from.Value), "for other types write `granted: {on: ..., where: ...}` and `withdrawn`"))
		return
	}
	ref, _ := c.builder.field(from.Value)
	p := pendingRule{doc: e.doc, every: true, rule: Rule{Attribute: -1, Purpose: i, Fields: []int{ref.Index}, Field: 1 + ref.Index,
		Value: func(env *expr.Env) event.Value { return env.Event.Values[ref.Index] }}}
	if on != nil {
		p.every, p.types = c.on(e.doc, on)
	}
	c.rules = append(c.rules, p)
}

func lastPart(path string) string { return path[strings.LastIndexByte(path, '.')+1:] }

// closestPath is the hint for an unknown path of a field.
func closestPath(path string, known []string) string {
	if hint := spell.Closest(path, known); hint != "" {
		return "did you mean " + quote(hint) + "?"
	}
	if checkPath(path) != "" {
		return "say where events hold it, as in `" + consentPath + "email`"
	}
	return "declare it under fields, as in `" + path + ": bool`"
}

// consentOn adds the rules of events that grant or withdraw a purpose.
func (c *compiler) consentOn(i int, e *entry, word string, n *yaml.Node, granted bool) {
	v := event.Value{Kind: event.Bool}
	op := attribute.Remove
	if granted {
		v.Bits, op = 1, attribute.Add
	}
	for _, r := range elements(n) {
		p := pendingRule{doc: e.doc, rule: Rule{Attribute: -1, Purpose: i, Op: op, Value: func(*expr.Env) event.Value { return v }}}
		p.every, p.types = c.on(e.doc, value(r, "on"))
		if w := value(r, "where"); w != nil {
			x := c.compile(e.doc, w, "`where` of "+quote(e.name)+" ("+word+")", where{event: true}, expr.BoolType)
			if x == nil {
				continue
			}
			p.rule.Where, p.rule.Fields = x.Bool, x.Fields
		}
		c.rules = append(c.rules, p)
	}
}

// compileAudiences compiles the audiences, nested ones before those that read them.
func (c *compiler) compileAudiences() {
	for i := range c.audiences {
		c.audience(i)
	}
}

// whens are the conditions of an audience: one, or two if it has one for entering and one for leaving.
func whens(e *entry) []*yaml.Node {
	if e.node.Kind != yaml.MappingNode {
		return []*yaml.Node{e.node}
	}
	if n := value(e.node, "when"); n != nil {
		return []*yaml.Node{n}
	}
	return []*yaml.Node{value(e.node, "enter"), value(e.node, "leave")}
}

// oneCondition says whether an audience has when, or else enter and leave.
func (c *compiler) oneCondition(e *entry) bool {
	if e.node.Kind != yaml.MappingNode {
		return true
	}
	when, enter, leave := value(e.node, "when"), value(e.node, "enter"), value(e.node, "leave")
	switch {
	case when != nil && (enter != nil || leave != nil):
		c.report(e.doc, when, "audience "+quote(e.name)+" has `when` and `enter` or `leave`", "`when` alone, or `enter` and `leave`")
	case when == nil && (enter == nil || leave == nil):
		c.report(e.doc, e.key, "audience "+quote(e.name)+" does not say who is in", "write `when: CONDITION`, or `enter: CONDITION` and `leave: CONDITION`")
	default:
		return true
	}
	return false
}

var emits = map[string]audience.Emit{"": audience.EmitBoth, "both": audience.EmitBoth, "enter": audience.EmitEnter, "exit": audience.EmitExit, "none": audience.EmitNone}

// audience compiles audience i, unless that has been done, after those that it reads.
func (c *compiler) audience(i int) {
	e := &c.audiences[i]
	if e.bad || c.done[e.name] {
		return
	}
	s := c.names[e.name]
	if at := slices.Index(c.building, e.name); at >= 0 {
		c.cycle("audience", c.building[at:])
		return
	}
	if !c.oneCondition(e) {
		s.bad, c.done[e.name] = true, true
		return
	}
	c.building = append(c.building, e.name)
	for _, n := range whens(e) {
		for _, name := range c.reads(n.Value) {
			if c.names[name].what == "audience" {
				c.audience(indexOf(c.audiences, name))
			}
		}
	}
	c.building = c.building[:len(c.building)-1]
	c.done[e.name] = true
	if s.bad {
		return
	}
	s.bad = true
	d := audience.Definition{Name: e.name, Description: content(e.node, "description"), Emit: emits[content(e.node, "emit")]}
	requires, good := c.purposesAt(e, value(e.node, "requires"))
	d.Requires = requires
	if !c.conditions(e, &d) || !good {
		return
	}
	s.bad = false
	c.scope.Audiences[e.name] = len(c.program.Audiences)
	c.program.Audiences = append(c.program.Audiences, d)
}

// conditions compiles the condition of an audience, or both.
func (c *compiler) conditions(e *entry, d *audience.Definition) bool {
	nodes := whens(e)
	var all []*expr.Expr
	constant := true
	for i, n := range nodes {
		what := "audience " + quote(e.name)
		if len(nodes) == 2 {
			what = []string{"`enter`", "`leave`"}[i] + " of " + quote(e.name)
		}
		x := c.compile(e.doc, n, what, where{attributes: true, all: true, clock: true, wakes: true}, expr.BoolType)
		if x == nil || !c.askConsent(e, n, x.Attributes, x.Purposes, []string{"begin its condition with `consent.%s && `", "begin it with `!consent.%s || `"}[i]) {
			return false
		}
		all = append(all, x)
		read(d, x)
		constant = constant && len(x.Attributes)+len(x.Audiences)+len(x.Purposes) == 0 && !x.UsesNow && !x.Personal
	}
	if constant {
		c.warn(e.doc, nodes[0], "audience "+quote(e.name)+" reads nothing: everyone is in, or nobody", "")
	}
	if len(all) == 1 {
		d.Source, d.Condition, d.Next, d.Watch = nodes[0].Value, all[0].Bool, all[0].Next, all[0].Watch
		return true
	}
	d.Source = "(" + strings.TrimSpace(nodes[0].Value) + ") || " + e.name + " && !coalesce(" + strings.TrimSpace(nodes[1].Value) + ", false)"
	d.Condition, d.Next, d.Sticky = sticky(len(c.program.Audiences), all[0].Bool, all[1].Bool), soonest(all), true
	return true
}

// read adds what a condition reads to a definition.
func read(d *audience.Definition, x *expr.Expr) {
	d.Personal = d.Personal || x.Personal
	for _, a := range x.Atoms {
		d.Atoms = append(d.Atoms, audience.Atom{Attribute: a.Attribute, Constant: a.Constant})
	}
	for _, k := range x.Keys {
		d.Keys = append(d.Keys, audience.Key{Attribute: k.Attribute, Key: k.Key})
	}
	d.Reads, d.Nested, d.Purposes, d.Levels = union(x.Coarse, d.Reads), union(x.Audiences, d.Nested), union(x.Purposes, d.Purposes), union(x.Levels, d.Levels)
}

// sticky is the condition of an audience, with that index, that is entered by one condition and left by another: whoever is in when it is evaluated stays
// in until leave is true.
func sticky(self int, enter, leave expr.Bool) expr.Bool {
	return func(env *expr.Env) expr.Truth {
		if enter(env) == expr.True || audience.Bits(env.Audiences).Has(self) && leave(env) != expr.True {
			return expr.True
		}
		return expr.False
	}
}

// soonest makes one Next of those of several conditions: the earliest instant; nil if time changes none of them.
func soonest(all []*expr.Expr) func(*expr.Env) int64 {
	var nexts []func(*expr.Env) int64
	for _, x := range all {
		if x.Next != nil {
			nexts = append(nexts, x.Next)
		}
	}
	if len(nexts) == 0 {
		return nil
	}
	return func(env *expr.Env) int64 {
		first := expr.Never
		for _, next := range nexts {
			first = min(first, next(env))
		}
		return first
	}
}

// purposesAt resolves the names of purposes.
func (c *compiler) purposesAt(e *entry, n *yaml.Node) (list []int, good bool) {
	good = true
	for _, p := range elements(n) {
		i := slices.Index(c.program.Purposes, p.Value)
		if i < 0 {
			hint := didYouMean(p.Value, c.program.Purposes)
			switch {
			case c.people != nil:
				hint = noConsent
			case len(c.program.Purposes) == 0:
				hint = expr.NoPurposes
			}
			c.report(e.doc, p, "unknown purpose "+quote(p.Value), hint)
			good = false
			continue
		}
		if !slices.Contains(list, i) {
			list = append(list, i)
		}
	}
	slices.Sort(list)
	return list, good
}

// compileActivations compiles the activations.
func (c *compiler) compileActivations() {
	for i := range c.activations {
		if e := &c.activations[i]; !e.bad {
			c.activation(e)
		}
	}
}

func (c *compiler) activation(e *entry) {
	a := Activation{Name: e.name, Description: content(e.node, "description"), Audience: -1, Attribute: -1, Type: -1, Sessions: -1, Definition: said(e)}
	on := value(e.node, "on")
	trigger, target := on.Content[0].Value, on.Content[1]
	good := true
	switch trigger {
	case "enter", "exit":
		a.Trigger = OnEnter
		if trigger == "exit" {
			a.Trigger = OnExit
		}
		a.Audience, good = c.named(e, "audience", target)
	case "change":
		a.Trigger = OnChange
		a.Attribute, good = c.named(e, "attribute", target)
		if good && c.scope.Attributes[target.Value].UsesNow {
			c.report(e.doc, target, "the attribute "+quote(target.Value)+" depends on `now`: it changes all the time", "name an attribute that changes with events")
			good = false
		}
	case "session_start", "session_end":
		a.Trigger, a.Session = OnSessionStart, target.Value
		if trigger == "session_end" {
			a.Trigger = OnSessionEnd
		}
		a.Sessions, good = c.follower(e, target)
	case "event":
		a.Trigger = OnEvent
		if every, types := c.on(e.doc, target); !every {
			a.Type = types[0]
		}
	}
	requires, known := c.purposesAt(e, value(e.node, "requires"))
	a.Requires, good = requires, good && known
	for _, n := range elements(value(e.node, "include")) {
		i, known := c.named(e, "attribute", n)
		good = good && known
		if known && !slices.Contains(a.Include, i) {
			a.Include = append(a.Include, i)
		}
	}
	read, asked := slices.Clone(a.Include), []int(nil)
	if a.Attribute >= 0 {
		read = append(read, a.Attribute)
	}
	if n := value(e.node, "where"); n != nil {
		x := c.compile(e.doc, n, "`where` of "+quote(e.name), where{event: a.Trigger == OnEvent, attributes: true, all: true, clock: true}, expr.BoolType)
		if x == nil {
			return
		}
		a.Where, a.Fields, a.whereReadsEvent = x.Bool, x.Fields, x.UsesEvent
		asked, read = x.Purposes, append(read, x.Attributes...)
	}
	if !c.askConsent(e, e.key, read, append(asked, a.Requires...), "add `requires: %s`") {
		return
	}
	pace, paced := c.pace(e, &a)
	if a.Pace = pace; good && paced {
		c.program.Activations = append(c.program.Activations, a)
	}
}

// named resolves the attribute or audience that a node names.
func (c *compiler) named(e *entry, what string, n *yaml.Node) (int, bool) {
	s := c.names[n.Value]
	if s != nil && s.what == what {
		if s.bad {
			return -1, false
		}
		if what == "audience" {
			return c.scope.Audiences[n.Value], true
		}
		return indexOf(c.attributes, n.Value), true
	}
	list := c.attributes
	if what == "audience" {
		list = c.audiences
	}
	var names []string
	for i := range list {
		names = append(names, list[i].name)
	}
	hint := didYouMean(n.Value, names)
	if s != nil {
		hint = quote(n.Value) + " is an " + s.what
	}
	c.report(e.doc, n, "unknown "+what+" "+quote(n.Value), hint)
	return -1, false
}
