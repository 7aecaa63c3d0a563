package recipe

import (
	"slices"
	"strconv"
	"strings"

	"github.com/cespare/xxhash/v2"
	"go.yaml.in/yaml/v3"

	"dashi/pipeline/attribute"
	"dashi/pipeline/expr"
	"dashi/pipeline/score"
)

// compileReading compiles buckets and derived attributes, each after what it reads.
func (c *compiler) compileReading() {
	for i := range c.attributes {
		if e := &c.attributes[i]; !e.bad && content(e.node, "kind") == "bucket" {
			c.bucket(i, e)
		}
	}
	for i := range c.attributes {
		c.derived(i)
	}
}

func (c *compiler) bucket(i int, e *entry) {
	a := &c.program.Attributes[i]
	s := attribute.Spec{Kind: "bucket", Salt: content(e.node, "salt")}
	if s.Salt == "" {
		s.Salt = e.name
	}
	weights := value(e.node, "weights")
	for k := 0; k+1 < len(weights.Content); k += 2 {
		w, err := strconv.ParseFloat(weights.Content[k+1].Value, 64)
		if err != nil {
			panic("BUG: weight " + weights.Content[k+1].Value + " was checked")
		}
		s.Weights = append(s.Weights, attribute.Weight{Name: weights.Content[k].Value, Weight: w})
	}
	b, err := attribute.NewBucket(s)
	if err != nil {
		c.report(e.doc, weights, err.Error(), "")
		c.names[e.name].bad = true
		return
	}
	a.Type = attribute.String
	a.Str = chosen(b)
	h := xxhash.New()
	h.WriteString("1 bucket " + strconv.Quote(s.Salt))
	for _, w := range s.Weights { // their order counts
		h.WriteString(strconv.Quote(w.Name) + strconv.FormatFloat(w.Weight, 'g', -1, 64))
	}
	a.Definition = h.Sum64()
	c.scope.Attributes[a.Name] = expr.AttributeRef{Index: i, Type: a.Type, Str: a.Str, Choices: b.Names(), Personal: true}
}

// chosen reads which bucket a profile is in, without copying its name.
func chosen(b *attribute.Bucket) expr.Str {
	names := b.Names()
	texts := make([][]byte, len(names))
	for i, name := range names {
		texts[i] = []byte(name)
	}
	return func(env *expr.Env) ([]byte, bool) {
		name := b.Of(env.Hash)
		for i := range names {
			if names[i] == name {
				return texts[i], true
			}
		}
		return nil, false
	}
}

// indexOf is the index of an attribute or audience by name.
func indexOf(list []entry, name string) int {
	return slices.IndexFunc(list, func(e entry) bool { return e.name == name })
}

// derived compiles attribute i if it is derived or a score and not compiled yet, after those that it reads.
func (c *compiler) derived(i int) {
	e := &c.attributes[i]
	kind := content(e.node, "kind")
	if e.bad || kind != "derived" && kind != "score" || c.done[e.name] {
		return
	}
	s := c.names[e.name]
	n := value(e.node, "value")
	if at := slices.Index(c.building, e.name); at >= 0 {
		c.cycle("derived attribute", c.building[at:])
		return
	}
	c.building = append(c.building, e.name)
	var reads []string
	var model *score.Model
	var text []byte
	var inputs []scoreInput
	if kind == "score" {
		before := c.errors
		if model, text = c.model(e); model != nil {
			inputs = c.scoreInputs(e, model)
		}
		if c.errors > before {
			s.bad = true
		}
		for _, in := range inputs {
			reads = append(reads, c.reads(in.text)...)
		}
	} else {
		reads = c.reads(n.Value)
	}
	for _, name := range reads {
		if c.names[name].what == "attribute" {
			k := indexOf(c.attributes, name)
			c.derived(k)
			c.program.Attributes[i].Scored = c.program.Attributes[i].Scored || c.program.Attributes[k].Scored
		}
	}
	c.building = c.building[:len(c.building)-1]
	c.done[e.name] = true
	if s.bad {
		return
	}
	s.bad = true // until it has been compiled
	if kind == "score" {
		s.bad = !c.score(i, e, model, text, inputs)
		return
	}
	s.bad = !c.expression(i, e, n, reads)
}

// expression compiles the value of attribute i, which is derived from reads. It reports false when something is wrong.
func (c *compiler) expression(i int, e *entry, n *yaml.Node, reads []string) bool {
	x := c.compile(e.doc, n, "value of "+quote(e.name), where{attributes: true, clock: true}, expr.AnyType)
	if x == nil {
		return false
	}
	a := &c.program.Attributes[i]
	a.Type = attributeType(x.Type)
	switch x.Type {
	case expr.NumberType:
		a.Num = x.Num
	case expr.TimeType:
		a.Num = timeAsNumber(x.Time)
	case expr.StringType:
		a.Str = x.Str
	case expr.BoolType:
		a.Truth = x.Bool
	default:
		c.report(e.doc, n, "the value of "+quote(e.name)+" is a "+x.Type.String()+"; wanted: a number, string, time or condition", durationHint(x.Type))
		return false
	}
	a.Reads, a.Clock = x.Attributes, x.Clock
	h := xxhash.New()
	h.WriteString("1 derived " + strconv.Quote(strings.TrimSpace(n.Value)))
	for _, name := range reads {
		h.WriteString(strconv.FormatUint(c.program.Attributes[indexOf(c.attributes, name)].Definition, 16) + ";")
	}
	a.Definition = h.Sum64()
	c.scope.Attributes[a.Name] = expr.AttributeRef{Index: i, Type: a.Type, Num: a.Num, Str: a.Str, Truth: a.Truth,
		Reads: x.Attributes, Audiences: x.Audiences, Purposes: x.Purposes, UsesNow: x.UsesNow, Personal: x.Personal, Clock: x.Clock}
	return true
}

func durationHint(t expr.Type) string {
	if t == expr.DurationType {
		return "make a number of it: (a - b).getHours() / 24 is the number of days"
	}
	return ""
}

func timeAsNumber(t expr.Time) expr.Num {
	return func(env *expr.Env) (float64, bool) {
		ms, ok := t(env)
		return float64(ms), ok
	}
}

// cycle reports that the names read each other in a ring, at the smallest of them, and marks all of them as bad.
func (c *compiler) cycle(what string, ring []string) {
	// A ring is reported once, whichever of its members is met first: so it begins at the smallest name.
	small := slices.Index(ring, slices.Min(ring))
	path := append(append(slices.Clone(ring[small:]), ring[:small]...), ring[small])
	for _, name := range ring {
		c.names[name].bad = true
	}
	first := c.names[path[0]].entry
	message := what + " " + quote(path[0]) + " reads itself: " + strings.Join(path, " -> ")
	c.report(first.doc, first.key, message, "take one of them out of the ring")
}

// read sets the closures that read a stored attribute.
func (a *Attribute) read() {
	k, slot, size := a.Kind, a.Slot, a.Kind.FixedSize()
	parts := func(env *expr.Env) (fixed, seg []byte) {
		fixed = env.State.Fixed[slot.Offset : slot.Offset+size]
		if slot.Segment >= 0 {
			seg = env.State.Segment(slot.Segment)
		}
		return fixed, seg
	}
	switch a.Type {
	case attribute.Number, attribute.Time:
		a.Num = func(env *expr.Env) (float64, bool) {
			fixed, seg := parts(env)
			return k.Num(fixed, seg, env.Now)
		}
	case attribute.String:
		a.Str = func(env *expr.Env) ([]byte, bool) {
			fixed, seg := parts(env)
			return k.Str(fixed, seg, env.Now)
		}
	case attribute.Bool:
		a.Truth = func(env *expr.Env) expr.Truth {
			fixed, seg := parts(env)
			switch v, ok := k.Truth(fixed, seg, env.Now); {
			case !ok:
				return expr.Absent
			case v:
				return expr.True
			}
			return expr.False
		}
	}
}

// appendAttribute appends the value of a as JSON.
func appendAttribute(dst []byte, a *Attribute, env *expr.Env) []byte {
	if a.Kind != nil {
		fixed := env.State.Fixed[a.Slot.Offset : a.Slot.Offset+a.Kind.FixedSize()]
		var seg []byte
		if a.Slot.Segment >= 0 {
			seg = env.State.Segment(a.Slot.Segment)
		}
		return a.Kind.AppendJSON(dst, fixed, seg, env.Now)
	}
	switch a.Type {
	case attribute.Number, attribute.Time:
		if v, ok := a.Num(env); ok && a.Type == attribute.Number {
			return attribute.AppendNumber(dst, v)
		} else if ok {
			return append(attribute.AppendTime(append(dst, '"'), int64(v)), '"')
		}
	case attribute.String:
		if s, ok := a.Str(env); ok {
			return attribute.AppendQuoted(dst, s)
		}
	case attribute.Bool:
		switch a.Truth(env) {
		case expr.True:
			return append(dst, "true"...)
		case expr.False:
			return append(dst, "false"...)
		}
	}
	return append(dst, "null"...)
}
