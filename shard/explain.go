package shard

import (
	"encoding/binary"
	"encoding/hex"
	"strconv"

	"dashi/pipeline/attribute"
	"dashi/pipeline/identity"
)

// AppendExplanation appends why the identifiers of the profile are one person, and others that they were seen with are not:
// {"id","identifiers":[{"id","profile","first_seen","last_seen"}],"links":[{"a","b","verdict","rule","first_seen","last_seen","message"}]}.
// It goes through everything that hangs together with the profile by links. b is the weaker of two identifiers; message is the upper half of the hash of the
// message id of the event that linked them first, if it had one; rule says in words why the verdict is what it is.
func (v *View) AppendExplanation(dst []byte) []byte {
	dst = append(dst, `{"id":`...)
	dst = attribute.AppendQuotedID(dst, v.Identifiers[0].Namespace, v.Identifiers[0].Value)
	dst = append(dst, `,"identifiers":[`...)
	c := &v.linked
	if len(c.idents) == 0 {
		id := &v.Identifiers[0]
		dst = v.appendSeen(append(dst, '{'), id.Namespace, id.Value, id.Namespace, id.Value, id.FirstSeen, id.LastSeen)
		dst = append(dst, '}')
	}
	for i := range c.idents {
		if i > 0 {
			dst = append(dst, ',')
		}
		d := &c.idents[i]
		p := &c.idents[d.profile]
		dst = v.appendSeen(append(dst, '{'), v.namespaces[d.ns], d.value, v.namespaces[p.ns], p.value, d.first, d.last)
		if d.saturated {
			dst = append(dst, `,"saturated":true`...)
		}
		dst = append(dst, '}')
	}
	dst = append(dst, `],"links":[`...)
	for i := range c.facts.Links {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = v.appendLink(dst, &c.facts.Links[i])
	}
	return append(dst, `]}`...)
}

// appendSeen appends the members of an object about one identifier.
func (v *View) appendSeen(dst []byte, ns string, value []byte, profileNS string, profile []byte, first, last int64) []byte {
	dst = attribute.AppendQuotedID(append(dst, `"id":`...), ns, value)
	dst = attribute.AppendQuotedID(append(dst, `,"profile":`...), profileNS, profile)
	dst = attribute.AppendTime(append(dst, `,"first_seen":"`...), first)
	dst = attribute.AppendTime(append(dst, `","last_seen":"`...), last)
	return append(dst, '"')
}

func (v *View) appendLink(dst []byte, l *identity.Link) []byte {
	a, b := &v.linked.idents[l.A], &v.linked.idents[l.B]
	dst = attribute.AppendQuotedID(append(dst, `{"a":`...), v.namespaces[a.ns], a.value)
	dst = attribute.AppendQuotedID(append(dst, `,"b":`...), v.namespaces[b.ns], b.value)
	verdict, rule := l.Verdict.String(), v.rule(l)
	if l.Cut {
		verdict, rule = identity.Cut.String(), "somebody said that these are never one person"
	}
	dst = attribute.AppendQuoted(append(dst, `,"verdict":`...), []byte(verdict))
	dst = attribute.AppendQuoted(append(dst, `,"rule":`...), []byte(rule))
	dst = attribute.AppendTime(append(dst, `,"first_seen":"`...), l.First)
	dst = attribute.AppendTime(append(dst, `","last_seen":"`...), l.Last)
	dst = append(dst, '"')
	if l.ID != 0 {
		dst = hex.AppendEncode(append(dst, `,"message":"`...), binary.BigEndian.AppendUint32(nil, l.ID))
		dst = append(dst, '"')
	}
	return append(dst, '}')
}

// rule says in words why a link joined or did not.
func (v *View) rule(l *identity.Link) string {
	a, b := &v.linked.idents[l.A], &v.linked.idents[l.B]
	switch l.Verdict {
	case identity.Joined:
		if r := v.ruleOf(b.ns); r != nil && r.Shared == identity.LastAuthenticated {
			return "seen in one event; " + r.Name + " goes with whom it was seen with last"
		}
		return "seen in one event"
	case identity.Cut:
		return "a cut keeps the two profiles apart"
	case identity.TooLarge:
		return "a profile has at most " + strconv.Itoa(v.Program.Identity.MaxIdentifiers) + " identifiers"
	case identity.Isolated:
		return v.namespaces[b.ns] + " is nobody's once it was seen with people who must not merge (shared: isolate)"
	}
	for i := range v.Program.Identity.Namespaces {
		r := &v.Program.Identity.Namespaces[i]
		if r.Limit > 0 && v.holds(a.profile, r.Name) && v.holds(b.profile, r.Name) {
			if r.Unique {
				return r.Name + " is unique, and both profiles have one"
			}
			rule := "a profile has at most " + strconv.Itoa(r.Limit) + " values of " + r.Name
			if r.Excess == identity.Oldest {
				rule += "; the one that was not seen for longest goes (excess: oldest)"
			}
			return rule
		}
	}
	return "the profile would have too many values of a namespace"
}

// ruleOf is the rule of a namespace of the shard; nil when the cookbook no longer has it.
func (v *View) ruleOf(ns uint8) *identity.Rule {
	for i := range v.Program.Identity.Namespaces {
		if r := &v.Program.Identity.Namespaces[i]; r.Name == v.namespaces[ns] {
			return r
		}
	}
	return nil
}

// holds says whether a profile of the component has an identifier of a namespace.
func (v *View) holds(profile int, namespace string) bool {
	for i := range v.linked.idents {
		if d := &v.linked.idents[i]; d.profile == profile && v.namespaces[d.ns] == namespace {
			return true
		}
	}
	return false
}
