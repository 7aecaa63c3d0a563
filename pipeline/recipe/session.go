package recipe

import (
	"slices"

	"go.yaml.in/yaml/v3"

	"dashi/pipeline/attribute"
	"dashi/pipeline/expr"
)

// session is one declaration under sessions.
type session struct {
	entry entry
	spec  attribute.SessionSpec
	every bool // all events are of the session; else those of types
	types []int
	where *yaml.Node
}

// compileSessions reads the sessions but for their conditions.
func (c *compiler) compileSessions() {
	for _, e := range c.unique(c.section("sessions", maxAttributes), "session", true, nil) {
		if e.bad {
			c.sessions = append(c.sessions, session{entry: e})
			continue
		}
		s := session{entry: e, every: true, where: value(e.node, "where")}
		if on := value(e.node, "on"); on != nil {
			s.every, s.types = c.on(e.doc, on)
		}
		for _, l := range []struct {
			name string
			ms   *int64
		}{{"gap", &s.spec.Gap}, {"longest", &s.spec.Longest}} {
			n := value(e.node, l.name)
			if n == nil {
				continue
			}
			ms, err := attribute.ParseLength(n.Value)
			if err != nil {
				c.report(e.doc, n, quote(l.name)+" of "+quote(e.name)+": "+err.Error(), "")
				s.entry.bad = true
			}
			*l.ms = ms
		}
		if !s.entry.bad {
			if err := s.spec.Check(); err != nil {
				c.report(e.doc, e.key, "session "+quote(e.name)+": "+err.Error(), "")
				s.entry.bad = true
			}
		}
		c.sessions = append(c.sessions, s)
	}
}

// sessionOf is the session that an attribute names; nil when it names none, or an unknown one, which is reported.
func (c *compiler) sessionOf(e *entry) *session {
	if n := value(e.node, "session"); n != nil {
		return c.sessionAt(e.doc, n)
	}
	return nil
}

// sessionAt is the session that a node names; nil for an unknown one, which is reported.
func (c *compiler) sessionAt(d *document, n *yaml.Node) *session {
	var names []string
	for i := range c.sessions {
		if c.sessions[i].entry.name == n.Value {
			return &c.sessions[i]
		}
		names = append(names, c.sessions[i].entry.name)
	}
	hint := "declare it under sessions, as in `" + n.Value + ": {gap: 30m}`"
	if len(names) > 0 {
		hint = didYouMean(n.Value, names)
	}
	c.report(d, n, "unknown session "+quote(n.Value), hint)
	return nil
}

// touch adds the rule by which every event of the session lengthens it in attribute i.
func (c *compiler) touch(i int, e *entry, s *session) {
	c.rules = append(c.rules, pendingRule{doc: e.doc, entry: e, session: s, every: s.every, types: s.types,
		rule: Rule{Attribute: i, Purpose: -1, Op: attribute.Touch}})
}

// confine restricts a rule to events of the session, so that all attributes of the session know the same sessions.
func (c *compiler) confine(p *pendingRule, s *session, n *yaml.Node) {
	p.session = s
	switch {
	case s.every:
	case p.every:
		p.every, p.types = false, s.types
	default:
		for _, t := range p.types {
			if !slices.Contains(s.types, t) {
				name := string(c.builder.schema.Types[t-1])
				c.report(p.doc, n, "the event "+quote(name)+" is not one of the session "+quote(s.entry.name), "add it to `on` of the session, see "+s.entry.place())
				return
			}
		}
	}
}

// also is the condition that both are true; nil is one that always is.
func also(a, b expr.Bool) expr.Bool {
	switch {
	case a == nil:
		return b
	case b == nil:
		return a
	}
	return func(env *expr.Env) expr.Truth {
		if a(env) != expr.True {
			return expr.False
		}
		return b(env)
	}
}
