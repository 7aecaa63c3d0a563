package recipe

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/cespare/xxhash/v2"
	"go.yaml.in/yaml/v3"

	"dashi/pipeline/attribute"
	"dashi/pipeline/event"
	"dashi/pipeline/identity"
	"dashi/pipeline/spell"
)

// defaultIdentity holds when no recipe has an identity. It is what a shop expects:
//
// A user id is one person, whatever else is said. A CRM is not as tidy: two of its numbers may be one customer. Somebody who buys as a guest and registers later with the same
// address or number is that customer. An address that two customers gave stays with the one who gave it first: a
// slip of the keyboard must not take it away. A browser goes with whoever signed in on it last, since the next
// visit there is most likely theirs. A match_id is what records of one person are linked by that have no identifier in common.
const defaultIdentity = `
namespaces:
  - {name: user_id, from: userId, unique: true}
  - {name: crm_id, from: [traits.crm_id, context.traits.crm_id, properties.crm_id]}
  - {name: email, from: [traits.email, context.traits.email, properties.email], normalise: email}
  - {name: phone, from: [traits.phone, context.traits.phone, properties.phone], normalise: phone}
  - {name: anonymous_id, from: [anonymousId, previousId], shared: last_authenticated}
  - {name: match_id, from: context.match_id}
`

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
	if first == nil {
		first = c.defaultIdentity()
	}
	if first.doc.bad[first.node] {
		return
	}
	rules := &c.program.Identity
	rules.MaxIdentifiers = wholeNumber(value(first.node, "max_identifiers"), identity.DefaultMaxIdentifiers)
	list := value(first.node, "namespaces").Content
	if len(list) > maxNamespaces {
		c.report(first.doc, list[maxNamespaces], "there are at most 64 namespaces", "")
		return
	}
	for _, n := range list {
		c.namespace(first.doc, n)
	}
	c.weighIdentity(first, list)
}

// defaultIdentity reads defaultIdentity as if a recipe had it.
func (c *compiler) defaultIdentity() *entry {
	var n yaml.Node
	if err := yaml.Unmarshal([]byte(defaultIdentity), &n); err != nil {
		panic("BUG: the default identity is not YAML: " + err.Error())
	}
	return &entry{doc: &document{}, node: n.Content[0]}
}

// weighIdentity warns of rules that cannot be meant, once all are known.
func (c *compiler) weighIdentity(e *entry, list []*yaml.Node) {
	rules := c.program.Identity
	if len(rules.Namespaces) != len(list) {
		return // an error has been reported
	}
	parted := slices.ContainsFunc(rules.Namespaces, func(r identity.Rule) bool { return r.Limit > 0 })
	if !parted && len(list) > 1 {
		c.warn(e.doc, list[0], "no namespace is `unique` or has a `limit`: one shared device joins everybody who used it, up to `max_identifiers`",
			"write `unique: true` for the one that is a person, such as the customer number")
	}
	for i, n := range list {
		r := rules.Namespaces[i]
		if limit := value(n, "limit"); limit != nil && r.Limit > rules.MaxIdentifiers {
			c.warn(e.doc, limit, "the limit of "+quote(r.Name)+" is never reached: a profile has at most "+strconv.Itoa(rules.MaxIdentifiers)+" identifiers", "raise `max_identifiers`")
		}
		if shared := value(n, "shared"); shared != nil && !parted {
			c.warn(e.doc, shared, "`shared` of "+quote(r.Name)+" does nothing: all people may merge", "write `unique: true` for the namespace that is a person")
		}
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
	from := c.namespaceFrom(d, n)
	normalise, refusal := c.namespaceForm(d, n)
	rule, ok := c.namespaceRule(d, n)
	if normalise == nil || !ok {
		return
	}
	schema.Namespaces = append(schema.Namespaces, event.Namespace{Name: name.Value, Paths: paths(from), Normalise: normalise, Refusal: refusal})
	c.program.Identity.Namespaces = append(c.program.Identity.Namespaces, rule)
	c.program.Expire = append(c.program.Expire, c.namespaceExpiry(d, n))
	c.program.Readings = append(c.program.Readings, reading(n))
}

// reading hashes what the recipe says of how identifiers of a namespace are read. An order of paths is a rank, so lists are hashed as they are.
func reading(n *yaml.Node) uint64 {
	h := xxhash.New()
	for _, key := range []string{"from", "normalise", "region", "hash", "blocked"} {
		h.WriteString(key)
		if v := value(n, key); v != nil {
			writeNode(h, v, false)
		}
	}
	return h.Sum64()
}

// namespaceExpiry is after how long a profile of the namespace goes, 0 for never. Visitors who never say who they are do.
func (c *compiler) namespaceExpiry(d *document, n *yaml.Node) int64 {
	at := value(n, "expire")
	switch {
	case at == nil && content(n, "name") == "anonymous_id":
		return 30 * 24 * time.Hour.Milliseconds()
	case at == nil || at.Value == "never":
		return 0
	}
	ms, err := attribute.ParseLength(at.Value)
	if err != nil {
		c.report(d, at, "`expire`: "+err.Error(), "or never")
	}
	return ms
}

// namespaceFrom is where events hold the identifier.
func (c *compiler) namespaceFrom(d *document, n *yaml.Node) []string {
	var from []string
	for _, p := range elements(value(n, "from")) {
		if !slices.Contains(identifierRoots, p.Value) {
			if wrong := checkPath(p.Value); wrong != "" {
				hint := pathHint(p.Value)
				if known := spell.Closest(p.Value, identifierRoots); known != "" {
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
	return from
}

// namespaceForm is how values are brought to one form, and why some are refused; nil after an error.
func (c *compiler) namespaceForm(d *document, n *yaml.Node) (normalise identity.Normalise, refusal func([]byte) string) {
	form := "trim"
	if v := value(n, "normalise"); v != nil {
		form = v.Value
	}
	before := c.errors
	options := c.namespaceBlocked(d, n)
	if value(n, "hash") != nil {
		options = append(options, identity.SHA256())
	}
	if region := value(n, "region"); region != nil {
		if form != "phone" {
			c.report(d, region, "`region` is for `normalise: phone` only", "")
			return nil, nil
		}
		options = append(options, identity.Region(region.Value))
	}
	if c.errors > before {
		return nil, nil
	}
	normalise, err := identity.Normaliser(form, options...)
	if err == nil {
		refusal, err = identity.Refusal(form, options...)
	}
	if err != nil {
		at, hint := value(n, "region"), "it is one of "+strings.Join(identity.Regions(), ", ")
		if at == nil {
			at, hint = value(n, "name"), ""
		}
		c.report(d, at, err.Error(), hint)
		return nil, nil
	}
	return normalise, refusal
}

func (c *compiler) namespaceBlocked(d *document, n *yaml.Node) []identity.Option {
	list := elements(value(n, "blocked"))
	if len(list) > maxBlocked {
		c.report(d, list[maxBlocked], "a namespace blocks at most "+strconv.Itoa(maxBlocked)+" values", "a glob or an expression stands for many")
		return nil
	}
	var options []identity.Option
	for _, b := range list {
		p, err := identity.ParsePattern(b.Value)
		if err != nil {
			c.report(d, b, err.Error(), "a value, a glob such as *@test.example, or an RE2 expression between slashes such as /^kiosk-[0-9]+$/")
			continue
		}
		options = append(options, identity.Block(p))
	}
	return options
}

// namespaceRule is when identifiers of the namespace may come together.
func (c *compiler) namespaceRule(d *document, n *yaml.Node) (identity.Rule, bool) {
	r := identity.Rule{Name: content(n, "name"), Unique: isTrue(value(n, "unique"))}
	if shared := content(n, "shared"); shared != "" {
		r.Shared = identity.Shared(slices.Index(identity.SharedNames[:], shared))
	}
	limit := value(n, "limit")
	if r.Unique {
		r.Limit = 1
		if limit != nil {
			c.report(d, limit, "`limit` stands beside `unique: true`", "`unique` is a limit of one, ever: remove one of the two")
			return r, false
		}
	}
	if limit == nil {
		return r, true
	}
	r.Limit = wholeNumber(value(limit, "count"), 0)
	if excess := content(limit, "excess"); excess != "" {
		r.Excess = identity.Excess(slices.Index(identity.ExcessNames[:], excess))
	}
	if period := value(limit, "period"); period != nil && period.Value != "ever" {
		r.Period = parsePeriod(period.Value)
		if r.Period == 0 {
			c.report(d, period, "`period` is "+quote(period.Value)+"; wanted: ever, or a number and h, d or w, of at most ten years", "for instance 24h, 7d or 4w")
			return r, false
		}
	}
	return r, true
}

// parsePeriod reads 24h, 7d or 4w as milliseconds; 0: it is none of these, or out of range.
func parsePeriod(s string) int64 {
	unit := time.Hour
	switch {
	case strings.HasSuffix(s, "w"):
		unit = 7 * 24 * time.Hour
	case strings.HasSuffix(s, "d"):
		unit = 24 * time.Hour
	case !strings.HasSuffix(s, "h"):
		return 0
	}
	n, err := strconv.ParseUint(s[:len(s)-1], 10, 32)
	if err != nil || n > uint64(identity.LongestPeriod/unit) {
		return 0
	}
	return int64(n) * unit.Milliseconds()
}

// wholeNumber is a number that the grammar has checked, or what stands for its absence.
func wholeNumber(n *yaml.Node, absent int) int {
	if n == nil {
		return absent
	}
	v, err := strconv.ParseFloat(n.Value, 64)
	if err != nil {
		panic("BUG: the grammar let " + quote(n.Value) + " pass as a number")
	}
	return int(v)
}

func paths(from []string) [][]string {
	var all [][]string
	for _, p := range from {
		all = append(all, strings.Split(p, "."))
	}
	return all
}
