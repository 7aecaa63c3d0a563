package recipe

import (
	"cmp"
	"slices"
	"strconv"

	"github.com/cespare/xxhash/v2"
	"go.yaml.in/yaml/v3"

	"dashi/pipeline/attribute"
	"dashi/pipeline/event"
	"dashi/pipeline/expr"
	"dashi/pipeline/spell"
)

// pendingRule is a rule whose where is not compiled yet: it may read attributes that have no place in the record yet.
type pendingRule struct {
	doc   *document
	entry *entry // of its attribute; nil for a consent rule
	where *yaml.Node
	// session is set if only events of a session count.
	session *session
	each    string
	every   bool // for every event type
	types   []int
	rule    Rule
}

// noValue are the kinds that only count events.
func noValue(kind string) bool {
	return kind == "count" || kind == "first_at" || kind == "last_at" || kind == "flag"
}

// compileStored makes the kinds of all stored attributes, and their rules without the conditions. Derived attributes and buckets get their place in the
// program as well.
func (c *compiler) compileStored() {
	for i := range c.attributes {
		e := &c.attributes[i]
		a := Attribute{Name: e.name, Description: content(e.node, "description"), Slot: attribute.Slot{Offset: -1, Segment: -1}}
		if !e.bad {
			kind := content(e.node, "kind")
			if kind != "derived" && kind != "bucket" && kind != "score" && !c.stored(i, e, kind, &a) {
				c.names[e.name].bad = true
			}
		}
		c.program.Attributes = append(c.program.Attributes, a)
	}
}

// stored compiles attribute i. It reports false when something is wrong.
func (c *compiler) stored(i int, e *entry, kind string, a *Attribute) bool {
	first := len(c.rules)
	errorsBefore := c.errors
	of := expr.AnyType
	var steps *attribute.SequenceSpec
	var where *places
	s := c.sessionOf(e)
	if s != nil {
		if s.entry.bad {
			return false
		}
		c.touch(i, e, s)
	}
	switch kind {
	case "in_session", "session_start", "session_end", "session_count":
	case "sequence":
		steps = c.sequence(i, e)
	case "place", "place_start":
		if where = c.placesOf(e); where == nil {
			return false
		}
		c.addReports(i, e, where)
	case "flag":
		c.addRules(i, e, kind, value(e.node, "raise"), attribute.Add, false, &of)
		c.addRules(i, e, kind, value(e.node, "lower"), attribute.Remove, false, &of)
	case "set":
		c.addRules(i, e, kind, value(e.node, "add"), attribute.Add, false, &of)
		c.addRules(i, e, kind, value(e.node, "remove"), attribute.Remove, false, &of)
	default:
		c.addCounted(i, e, kind, &of)
		if kind == "sum" {
			c.addRules(i, e, kind, value(e.node, "minus"), attribute.Add, true, &of)
		}
	}
	if s != nil {
		for r := first + 1; r < len(c.rules); r++ {
			c.confine(&c.rules[r], s, e.key)
		}
	}
	if c.errors > errorsBefore {
		c.rules = c.rules[:first]
		return false
	}
	spec := c.spec(e, kind, of, s)
	spec.Sequence = steps
	if where != nil {
		spec.Places = &where.spec
	}
	k, err := attribute.New(spec)
	if err != nil {
		at := value(e.node, "kind")
		for _, name := range []string{"window", "bucket", "steps", "places"} {
			if n := value(e.node, name); n != nil {
				at = n
			}
		}
		c.report(e.doc, at, err.Error(), windowHint(content(e.node, "window")))
		return false
	}
	a.Kind, a.Type = k, k.Type()
	return true
}

func (c *compiler) spec(e *entry, kind string, of expr.Type, within *session) attribute.Spec {
	s := attribute.Spec{Kind: kind, Unique: isTrue(value(e.node, "unique"))}
	s.Limit = wholeNumber(value(e.node, "limit"), 0)
	s.Top = wholeNumber(value(e.node, "top"), 0)
	s.Precision = wholeNumber(value(e.node, "precision"), 0)
	s.Nth = wholeNumber(value(e.node, "nth"), 0)
	if within != nil {
		s.Session = &within.spec
	}
	s.Window, s.Bucket, s.Zone = content(e.node, "window"), content(e.node, "bucket"), c.zones[e.doc]
	switch kind {
	case "min", "max", "first", "last", "distinct":
		s.Of = attributeType(of)
	}
	return s
}

func attributeType(t expr.Type) attribute.Type {
	switch t {
	case expr.NumberType:
		return attribute.Number
	case expr.StringType:
		return attribute.String
	case expr.TimeType:
		return attribute.Time
	case expr.BoolType:
		return attribute.Bool
	}
	return 0
}

// addCounted adds the updates of a kind that has one operation: those in the attribute itself, or those under rules.
func (c *compiler) addCounted(i int, e *entry, kind string, of *expr.Type) {
	list := value(e.node, "rules")
	if list == nil {
		if value(e.node, "on") == nil {
			c.report(e.doc, e.node, quote(e.name)+" has neither `on` nor `rules`", "`on` names the events that count")
			return
		}
		c.addRules(i, e, kind, e.node, attribute.Add, false, of)
		return
	}
	for _, k := range []string{"on", "where", "each", "value", "by"} {
		if n := value(e.node, k); n != nil {
			c.report(e.doc, n, quote(e.name)+" has both `rules` and "+quote(k), "with `rules`, everything stands in the rules")
			return
		}
	}
	c.addRules(i, e, kind, list, attribute.Add, false, of)
}

// addRules adds the rules at n: one mapping, a list of them, or nothing.
func (c *compiler) addRules(i int, e *entry, kind string, n *yaml.Node, op attribute.Op, negate bool, of *expr.Type) {
	for _, r := range elements(n) {
		c.addRule(i, e, kind, r, op, negate, of)
	}
}

func (c *compiler) addRule(i int, e *entry, kind string, n *yaml.Node, op attribute.Op, negate bool, of *expr.Type) {
	p := pendingRule{doc: e.doc, entry: e, where: value(n, "where"), rule: Rule{Attribute: i, Purpose: -1, Op: op}}
	p.every, p.types = c.on(e.doc, value(n, "on"))
	if each := value(n, "each"); each != nil {
		if !c.each(e.doc, each) {
			return
		}
		p.each, p.rule.Array = each.Value, c.builder.array(each.Value)
	}
	w := where{event: true, each: p.each}
	if !noValue(kind) {
		v := value(n, "value")
		if v == nil {
			c.report(e.doc, n, quote(e.name)+" ("+kind+") has no `value`", "it says what goes into the attribute, as in `value: properties.total`")
			return
		}
		x := c.compile(e.doc, v, "value of "+quote(e.name)+" ("+kind+")", w, wanted(kind))
		if x == nil || !c.fitsKind(e, kind, v, x, of) {
			return
		}
		p.rule.take(x)
		if negate {
			p.rule.Value, p.rule.Field, p.rule.Item = negated(x.Any), 0, 0
		}
	}
	if by := value(n, "by"); by != nil {
		x := c.compile(e.doc, by, "`by` of "+quote(e.name), w, expr.NumberType)
		if x == nil {
			return
		}
		p.rule.By, p.rule.Fields = x.Num, append(p.rule.Fields, x.Fields...)
	}
	c.rules = append(c.rules, p)
}

// wanted is the type that the value of a kind must have; AnyType if several will do.
func wanted(kind string) expr.Type {
	switch kind {
	case "sum", "avg":
		return expr.NumberType
	case "set", "tally", "list":
		return expr.StringType
	}
	return expr.AnyType
}

// fitsKind checks what wanted cannot: where several types will do, all rules must have the same one.
func (c *compiler) fitsKind(e *entry, kind string, n *yaml.Node, x *expr.Expr, of *expr.Type) bool {
	if wanted(kind) != expr.AnyType {
		return true
	}
	good := []expr.Type{expr.NumberType, expr.TimeType}
	words := "a number or a time"
	if kind != "min" && kind != "max" {
		good = append(good, expr.StringType, expr.BoolType)
		words = "a number, string, time or condition"
	}
	if !slices.Contains(good, x.Type) {
		c.report(e.doc, n, "the value of "+quote(e.name)+" ("+kind+") is a "+x.Type.String()+"; wanted: "+words, "")
		return false
	}
	if *of != expr.AnyType && *of != x.Type {
		c.report(e.doc, n, "the value of "+quote(e.name)+" is a "+x.Type.String()+" here and a "+of.String()+" in another rule", "all rules of an attribute have the same type")
		return false
	}
	*of = x.Type
	return true
}

// negated turns the sign of a number.
func negated(v expr.Any) expr.Any {
	return func(env *expr.Env) event.Value {
		x := v(env)
		if x.Kind == event.Number && x.Bits != 0 {
			x.Bits ^= 1 << 63
		}
		return x
	}
}

// each checks that n is the path of an array.
func (c *compiler) each(d *document, n *yaml.Node) bool {
	if c.builder.isArray(n.Value) {
		return true
	}
	if kind, ok := c.builder.kindOf(n.Value); ok {
		c.report(d, n, "each: "+quote(n.Value)+" is a "+kind.String()+", not an array", cmp.Or(c.builder.declaration(n.Value), "leave `each` out and read "+quote(n.Value)+" in the expression; or declare "+quote(n.Value+"[]")+" under fields"))
		return false
	}
	hint := spell.Closest(n.Value, c.builder.arrayNames())
	if hint != "" {
		hint = "did you mean " + quote(hint) + "?"
	} else {
		hint = "declare what its elements have under fields, as in `" + n.Value + "[].price: number`"
	}
	c.report(d, n, "each: unknown array "+quote(n.Value), cmp.Or(c.builder.declaration(n.Value), hint))
	return false
}

// on registers the event types that the node n names.
func (c *compiler) on(d *document, n *yaml.Node) (every bool, types []int) {
	for _, t := range elements(n) {
		if t.Value == "*" {
			if n.Kind == yaml.SequenceNode {
				c.report(d, t, "\"*\" stands in a list of events", "write `on: \"*\"` for every event")
			}
			return true, nil
		}
		c.spell(d, t)
		if i := c.builder.typeOf(t.Value); !slices.Contains(types, i) {
			types = append(types, i)
		}
	}
	return false, types
}

// spell warns of an event name that is nearly, but not quite, one of the Segment spec.
func (c *compiler) spell(d *document, n *yaml.Node) {
	if slices.Contains(specEvents, n.Value) || slices.Contains(callTypes, n.Value) {
		return
	}
	if n.Value == "track" {
		c.warn(d, n, "`track` is the call of every named event; no event has this name", "write the name of the event, or \"*\"")
		return
	}
	for _, known := range append(slices.Clone(specEvents), callTypes...) {
		if oneEdit(n.Value, known) {
			c.warn(d, n, "event "+quote(n.Value)+" is not in the Segment spec", "did you mean "+quote(known)+"?")
			return
		}
	}
}

// layOut gives every stored attribute its place: first those of fixed size, so that the counters of a profile
// share few cache lines, then those with a segment.
func (c *compiler) layOut() {
	p := c.program
	for _, segment := range []bool{false, true} {
		for i := range p.Attributes {
			a := &p.Attributes[i]
			if a.Kind == nil || a.Kind.HasSegment() != segment {
				continue
			}
			a.Slot.Offset = p.FixedSize
			p.FixedSize += a.Kind.FixedSize()
			if segment {
				a.Slot.Segment = p.Segments
				p.Segments++
			}
			a.Timed, _ = a.Kind.(attribute.Timed)
			a.read()
			a.Definition = c.definition(i, a)
			c.scope.Attributes[a.Name] = expr.AttributeRef{Index: i, Type: a.Type, Kind: a.Kind, Timed: a.Timed, Slot: a.Slot}
		}
	}
	c.measure()
}

// definition hashes everything that the state of a stored attribute depends on, except the conditions.
func (c *compiler) definition(i int, a *Attribute) uint64 {
	e := &c.attributes[i]
	h := xxhash.New()
	h.WriteString("1 " + a.Kind.Name() + " " + strconv.Itoa(int(a.Type))) // 1: the version of this text
	writeNode(h, e.node, true)
	if s := c.sessionOf(e); s != nil {
		writeNode(h, s.entry.node, true)
	}
	if p := c.placesOf(e); p != nil {
		for _, key := range []string{"on", "latitude", "longitude", "timeout"} { // another place changes nothing about the others
			if n := value(p.entry.node, key); n != nil {
				h.WriteString(key)
				writeNode(h, n, true)
			}
		}
	}
	if z := c.zones[e.doc]; z != nil && content(e.node, "window") != "" {
		h.WriteString(" zone " + z.Name())
	}
	return h.Sum64()
}

// said hashes what the recipe says of an entry, except its description.
func said(e *entry) uint64 {
	h := xxhash.New()
	writeNode(h, e.node, true)
	return h.Sum64()
}

// writeNode writes a canonical form: keys sorted, descriptions left out, a list of one as its element.
func writeNode(h *xxhash.Digest, n *yaml.Node, top bool) {
	switch n.Kind {
	case yaml.MappingNode:
		keys := make([]int, 0, len(n.Content)/2)
		for i := 0; i+1 < len(n.Content); i += 2 {
			if !top || n.Content[i].Value != "description" {
				keys = append(keys, i)
			}
		}
		slices.SortFunc(keys, func(a, b int) int {
			if n.Content[a].Value < n.Content[b].Value {
				return -1
			}
			return 1
		})
		h.WriteString("{")
		for _, i := range keys {
			h.WriteString(strconv.Quote(n.Content[i].Value))
			writeNode(h, n.Content[i+1], false)
		}
		h.WriteString("}")
	case yaml.SequenceNode:
		if len(n.Content) == 1 {
			writeNode(h, n.Content[0], false)
			return
		}
		h.WriteString("[")
		for _, child := range n.Content {
			writeNode(h, child, false)
		}
		h.WriteString("]")
	default:
		h.WriteString(strconv.Quote(n.Value))
	}
}
