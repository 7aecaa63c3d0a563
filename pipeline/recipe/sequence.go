package recipe

import (
	"strconv"

	"go.yaml.in/yaml/v3"

	"dashi/pipeline/attribute"
	"dashi/pipeline/expr"
)

// sequence compiles the steps of an attribute that is a sequence, each to a rule; nil when something is wrong.
func (c *compiler) sequence(i int, e *entry) *attribute.SequenceSpec {
	s := &attribute.SequenceSpec{Show: content(e.node, "show")}
	before := c.errors
	s.Within, s.Keep = c.length(e, e.node, "within"), c.length(e, e.node, "keep")
	steps := elements(value(e.node, "steps"))
	if len(steps) >= attribute.MaxSteps {
		c.report(e.doc, value(e.node, "steps"), quote(e.name)+" has "+strconv.Itoa(len(steps))+" steps; at most "+strconv.Itoa(attribute.MaxSteps-1), "")
		return nil
	}
	s.Keyed = value(e.node, "key") != nil
	for _, n := range steps {
		s.Keyed = s.Keyed || value(n, "key") != nil
	}
	for at, n := range steps {
		on, not := value(n, "on"), value(n, "not")
		if (on == nil) == (not == nil) {
			c.report(e.doc, n, "a step of "+quote(e.name)+" has neither or both of `on` and `not`", "`on` names what happens, `not` what must not")
			continue
		}
		times := wholeNumber(value(n, "times"), 0)
		s.Steps = append(s.Steps, attribute.StepSpec{Not: not != nil, Optional: isTrue(value(n, "optional")), Times: times, Within: c.length(e, n, "within")})
		if not != nil {
			on = not
		}
		c.step(i, e, n, on, at, s.Keyed)
	}
	if n := value(e.node, "until"); n != nil {
		s.Until = true
		c.step(i, e, n, value(n, "on"), len(steps), s.Keyed)
	}
	if c.errors > before {
		return nil
	}
	return s
}

// length reads a length of time under a key; 0 when there is none.
func (c *compiler) length(e *entry, n *yaml.Node, name string) int64 {
	v := value(n, name)
	if v == nil {
		return 0
	}
	ms, err := attribute.ParseLength(v.Value)
	if err != nil {
		c.report(e.doc, v, quote(name)+" of "+quote(e.name)+": "+err.Error(), "")
	}
	return ms
}

// step adds the rule of one step, which stands at n.
func (c *compiler) step(i int, e *entry, n, on *yaml.Node, at int, keyed bool) {
	p := pendingRule{doc: e.doc, entry: e, where: value(n, "where"), rule: Rule{Attribute: i, Purpose: -1, Op: attribute.Add, Step: uint8(at)}}
	p.every, p.types = c.on(e.doc, on)
	if each := value(n, "each"); each != nil {
		if !c.each(e.doc, each) {
			return
		}
		p.each, p.rule.Array = each.Value, c.builder.array(each.Value)
	}
	if keyed {
		k := value(n, "key")
		if k == nil {
			k = value(e.node, "key")
		}
		if k == nil {
			c.report(e.doc, n, "this step of "+quote(e.name)+" has no `key`, and others have", "say in each step by which value it belongs to the others, or `key` once for all")
			return
		}
		x := c.compile(e.doc, k, "`key` of "+quote(e.name), where{event: true, each: p.each}, expr.StringType)
		if x == nil {
			return
		}
		p.rule.take(x)
	}
	c.rules = append(c.rules, p)
}
