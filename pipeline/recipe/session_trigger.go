package recipe

import (
	"slices"

	"go.yaml.in/yaml/v3"
)

// Activations may wait for the start and the end of a session, or leave once in each. An attribute of kind in_session knows of
// them: one that a recipe has, or else one that is made here and has the session's name.

// The words of `once`; any other is the name of a session.
const (
	onceProfile = "profile"
	onceSession = "session"
)

// waitsFor are the nodes that name the sessions of an activation.
func waitsFor(e *entry) (names []*yaml.Node) {
	on := value(e.node, "on")
	for _, n := range []*yaml.Node{value(on, "session_start"), value(on, "session_end")} {
		if n != nil {
			names = append(names, n)
		}
	}
	if n := value(e.node, "once"); n != nil && n.Value != onceProfile && (n.Value != onceSession || len(names) == 0) {
		names = append(names, n)
	}
	return names
}

// follows says whether an attribute knows of a session.
func follows(e *entry, session string) bool {
	return !e.bad && content(e.node, "kind") == "in_session" && content(e.node, "session") == session
}

// followed adds an attribute for each session that activations wait for and that no attribute follows yet.
func (c *compiler) followed(attributes []entry) []entry {
	sessions, audiences := c.section("sessions", maxAttributes), c.section("audiences", maxAudiences)
	for _, e := range c.section("activations", maxActivations) {
		if e.bad {
			continue
		}
		for _, n := range waitsFor(&e) {
			for i := range sessions {
				s := &sessions[i]
				if s.bad || s.name != n.Value && !(n.Value == onceSession && len(sessions) == 1) || follower(attributes, s.name) >= 0 {
					continue
				}
				if indexOf(attributes, s.name) >= 0 || indexOf(audiences, s.name) >= 0 {
					c.report(e.doc, n, "no attribute says whether session "+quote(s.name)+" is going on, and its own name is taken",
						"add one under attributes, as in `in_"+s.name+": {kind: in_session, session: "+s.name+"}`")
					continue
				}
				attributes = append(attributes, entry{doc: s.doc, key: s.key, name: s.name, node: mappingNode("kind", "in_session", "session", s.name)})
			}
		}
	}
	return attributes
}

// mappingNode is a mapping of text to text.
func mappingNode(pairs ...string) *yaml.Node {
	n := &yaml.Node{Kind: yaml.MappingNode}
	for _, text := range pairs {
		n.Content = append(n.Content, &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: text})
	}
	return n
}

// follower is the first attribute that knows of a session; -1 for none.
func follower(attributes []entry, session string) int {
	for i := range attributes {
		if follows(&attributes[i], session) {
			return i
		}
	}
	return -1
}

// follower is the attribute that knows of the session that a node names.
func (c *compiler) follower(e *entry, n *yaml.Node) (int, bool) {
	s := c.sessionAt(e.doc, n)
	if s == nil || s.entry.bad {
		return -1, false
	}
	i := follower(c.attributes, s.entry.name)
	return i, i >= 0 && !c.names[c.attributes[i].name].bad
}

// oncePerSession finds the session for `once` per session: that of the trigger, the only one, or the one that is named.
func (c *compiler) oncePerSession(e *entry, a *Activation, once *yaml.Node) bool {
	name := once
	if once.Value == onceSession {
		if a.Session != "" {
			return true // of the trigger
		}
		if len(c.sessions) != 1 {
			c.report(e.doc, once, "`once` of "+quote(e.name)+" does not say in which session", "write the name of one under sessions, as in `once: visit`")
			return false
		}
		name = &yaml.Node{Value: c.sessions[0].entry.name, Line: once.Line, Column: once.Column}
	}
	if !slices.ContainsFunc(c.sessions, func(s session) bool { return s.entry.name == name.Value }) {
		words := []string{onceProfile, onceSession}
		for i := range c.sessions {
			words = append(words, c.sessions[i].entry.name)
		}
		c.report(e.doc, once, "`once` of "+quote(e.name)+" is "+quote(once.Value), didYouMean(once.Value, words))
		return false
	}
	i, good := c.follower(e, name)
	switch {
	case !good:
		return false
	case a.Session != "" && a.Session != name.Value:
		c.report(e.doc, once, "`once` of "+quote(e.name)+" names another session than its trigger", "write `once: session`")
		return false
	}
	a.Sessions = i
	return true
}
