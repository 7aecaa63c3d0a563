package recipe

import (
	"fmt"
	"slices"
	"strings"

	"dashi/pipeline/activation"
	"dashi/pipeline/audience"
	"dashi/pipeline/expr"
	"dashi/pipeline/identity"
)

// Fate is what becomes of a part of the cookbook in force when another takes its place.
type Fate string

// The fates.
const (
	Kept    Fate = "kept"    // it is as it was, with its state
	New     Fate = "new"     // it starts empty; an audience starts with whoever its condition is true for
	Changed Fate = "changed" // it has another definition, and no state of its own that --forget would be needed for
	Reset   Fate = "reset"   // it has another definition: what is known of everybody is forgotten, and it starts empty
	Dropped Fate = "dropped" // it is no more, and what it knew of everybody is forgotten
	Gone    Fate = "gone"    // it is no more, and had no state of its own that --forget would be needed for
)

// Loses says whether something is forgotten that only the events could bring back.
func (f Fate) Loses() bool { return f == Reset || f == Dropped }

// Change is the fate of one part.
type Change struct {
	Name string `json:"name"`
	Fate Fate   `json:"fate"`
	Note string `json:"note,omitempty"` // what follows from it, if the fate alone does not say so
}

// The notes.
const (
	forgets       = "what it knows is forgotten"
	moves         = "who enters or leaves by that does so at the switch, with activations"
	movesSilently = "who enters or leaves by that does so at the switch; no activation says so"
	reads         = "what it reads changes: "
	movesWith     = reads + moves
	countsAnew    = "its goal is another one and counts anew: exposed, held back and converted begin at zero, and everybody may be exposed once more"
	countsNow     = "its goal counts from the switch on"
	countsNoMore  = "what its goal has counted is forgotten"
	readAnew      = "events are read another way from the switch on; what is known stays"
	anotherRank   = "it has another rank: the switch is refused if people are linked by it"
	linkedAnew    = "who is one person is decided anew, by the links that are known"
	waitsNoMore   = "what waits to leave is dropped, and whom it has left for is forgotten"
)

// Changes are what another cookbook would do, by name.
type Changes struct {
	Attributes  []Change `json:"attributes"`
	Audiences   []Change `json:"audiences"`
	Purposes    []Change `json:"purposes"` // of consent
	Identity    []Change `json:"identity"` // namespaces of identifiers, and max_identifiers if that changes
	Activations []Change `json:"activations"`
	Mappings    []Change `json:"mappings"`
	// Accounts says what becomes of the accounts themselves; empty when neither cookbook has any. Changed: people or events belong to accounts by another rule.
	Accounts           Fate     `json:"accounts,omitempty"`
	AccountAttributes  []Change `json:"account_attributes"`
	AccountAudiences   []Change `json:"account_audiences"`
	AccountActivations []Change `json:"account_activations"`
}

// Section is the changes of parts of one sort.
type Section struct {
	One, Many string // what such a part is called, and several
	Changes   []Change
}

// Sections are all parts, in the order in which they are shown.
func (c *Changes) Sections() []Section {
	return []Section{
		{"attribute", "attributes", c.Attributes},
		{"audience", "audiences", c.Audiences},
		{"purpose", "purposes", c.Purposes},
		{"identity", "identity", c.Identity},
		{"activation", "activations", c.Activations},
		{"mapping", "mappings", c.Mappings},
		{"account attribute", "account attributes", c.AccountAttributes},
		{"account audience", "account audiences", c.AccountAudiences},
		{"account activation", "account activations", c.AccountActivations},
	}
}

// Compare says what becomes of the parts of a cookbook, last, when next takes its place.
func Compare(last, next *Program) *Changes {
	c := &Changes{Mappings: []Change{}}
	people := comparison{last: last, next: next}
	c.Attributes, c.Audiences, c.Activations = people.attributes(nil), people.audiences(), people.activations()
	c.Purposes, c.Identity = people.purposes(), people.identity()
	c.Mappings = fates(c.Mappings, last.mappings(), next.mappings(), func(m **Mapping) string { return (*m).Name }, func(a, b **Mapping) (Fate, string) {
		switch {
		case b == nil:
			return Gone, ""
		case a == nil:
			return New, ""
		case (*a).Definition != (*b).Definition:
			return Changed, ""
		}
		return Kept, ""
	})
	c.compareAccounts(&people)
	return c
}

// purposes are the fates of the purposes of consent. Who has consented is kept by name, however consent is read.
func (c *comparison) purposes() []Change {
	named := func(p *Program) (all []purpose) {
		for i, name := range p.Purposes {
			all = append(all, purpose{name, p.Consents[i]})
		}
		return all
	}
	return fates([]Change{}, named(c.last), named(c.next), func(p *purpose) string { return p.name }, func(a, b *purpose) (Fate, string) {
		switch {
		case b == nil:
			return Dropped, forgets
		case a == nil:
			return New, ""
		case a.said != b.said:
			return Changed, readAnew
		}
		return Kept, ""
	})
}

// purpose is one of consent, with a hash of how it is granted.
type purpose struct {
	name string
	said uint64
}

// identity is the fates of the namespaces.
func (c *comparison) identity() []Change {
	kept := func(p, other *Program) (names []string) { // those that both have, strongest first
		for _, ns := range p.Identity.Namespaces {
			if slices.ContainsFunc(other.Identity.Namespaces, func(o identity.Rule) bool { return o.Name == ns.Name }) {
				names = append(names, ns.Name)
			}
		}
		return names
	}
	before, now := kept(c.last, c.next), kept(c.next, c.last)
	index := func(p *Program, name string) int {
		return slices.IndexFunc(p.Identity.Namespaces, func(r identity.Rule) bool { return r.Name == name })
	}
	changes := fates([]Change{}, c.last.Identity.Namespaces, c.next.Identity.Namespaces, func(r *identity.Rule) string { return r.Name }, func(a, b *identity.Rule) (Fate, string) {
		switch {
		case a == nil:
			return New, ""
		case b == nil:
			return Gone, "the switch is refused if people are linked by it"
		}
		i, j := index(c.last, a.Name), index(c.next, b.Name)
		var notes []string
		if slices.Index(before, a.Name) != slices.Index(now, a.Name) {
			notes = append(notes, anotherRank)
		}
		if c.last.Readings[i] != c.next.Readings[j] {
			notes = append(notes, readAnew)
		}
		if *a != *b {
			notes = append(notes, linkedAnew)
		}
		if x, y := c.last.Expire[i], c.next.Expire[j]; x != y {
			notes = append(notes, "expires "+expiry(y)+" in place of "+expiry(x))
		}
		if len(notes) == 0 {
			return Kept, ""
		}
		return Changed, join(notes...)
	})
	if a, b := c.last.Identity.MaxIdentifiers, c.next.Identity.MaxIdentifiers; a != b {
		changes = append(changes, Change{"max_identifiers", Changed, fmt.Sprintf("%d in place of %d; %s", b, a, linkedAnew)})
	}
	return changes
}

// expiry is the time after which a profile goes, as recipes write it.
func expiry(ms int64) string {
	if ms == 0 {
		return "never"
	}
	const second = 1000
	for _, unit := range []struct {
		ms   int64
		name string
	}{{24 * 3600 * second, "d"}, {3600 * second, "h"}, {60 * second, "m"}} {
		if ms%unit.ms == 0 {
			return fmt.Sprintf("after %d%s", ms/unit.ms, unit.name)
		}
	}
	return fmt.Sprintf("after %ds", ms/second)
}

// compareAccounts compares what the cookbooks say of accounts. A cookbook without accounts is compared as one that has them with nothing in them.
func (c *Changes) compareAccounts(people *comparison) {
	last, next := people.last.Accounts, people.next.Accounts
	switch {
	case last == nil && next == nil:
	case next == nil:
		c.Accounts = Dropped
	case last == nil:
		c.Accounts = New
	case people.sameAccounts():
		c.Accounts = Kept
	default:
		c.Accounts = Changed
	}
	of := comparison{last: &Program{}, next: &Program{}}
	var asked map[int]bool
	if last != nil {
		of.last, of.lastFolds = last.Program, last.Folds
	}
	if next != nil {
		of.next, of.nextFolds, asked = next.Program, next.Folds, people.askedAnew(c.Accounts)
	}
	c.AccountAttributes, c.AccountAudiences, c.AccountActivations = of.attributes(asked), of.audiences(), of.activations()
}

// sameAccounts says whether people and events belong to accounts by the same rules in both programs, which have accounts.
func (c *comparison) sameAccounts() bool {
	a, b := c.last.Accounts, c.next.Accounts
	fields := func(p *Program) (paths []string) {
		for _, i := range p.Accounts.ID {
			paths = append(paths, strings.Join(p.Schema.Fields[i].Path, "."))
		}
		return paths
	}
	return a.People == b.People && c.last.Attributes[a.MemberOf].Name == c.next.Attributes[b.MemberOf].Name && slices.Equal(fields(c.last), fields(c.next))
}

// comparison compares two programs of people, or two of accounts. Its steps come in the order attributes, audiences, activations.
type comparison struct {
	last, next           *Program
	lastFolds, nextFolds []Fold       // attributes that no recipe names: questions of accounts about their people
	other                map[int]bool // attributes of next, by index, whose values the switch may change
	moved                map[int]bool // audiences of next, by index, that people may enter or leave with the switch
}

// attributes are the fates of the attributes that recipes name. What is folded over people is no state that could be lost: people say it again. asked are
// those of next whose answers change.
func (c *comparison) attributes(asked map[int]bool) []Change {
	c.other = asked
	if c.other == nil {
		c.other = map[int]bool{}
	}
	named := func(p *Program, folds []Fold) []Attribute {
		all := slices.Clone(p.Attributes)
		for _, f := range folds {
			all[f.Attribute].Name = ""
		}
		return slices.DeleteFunc(all, func(a Attribute) bool { return a.Name == "" })
	}
	changes := fates([]Change{}, named(c.last, c.lastFolds), named(c.next, c.nextFolds), func(a *Attribute) string { return a.Name }, func(a, b *Attribute) (Fate, string) {
		switch {
		case b == nil && a.Kind != nil:
			return Dropped, forgets
		case b == nil:
			return Gone, ""
		case a == nil:
			return New, ""
		case a.Definition == b.Definition && (a.Kind == nil) == (b.Kind == nil):
			return Kept, ""
		case a.Kind != nil:
			return Reset, forgets
		}
		return Changed, ""
	})
	for i := range c.next.Attributes {
		at := slices.IndexFunc(changes, func(change Change) bool { return change.Name == c.next.Attributes[i].Name })
		if at >= 0 && changes[at].Fate != Kept {
			c.other[i] = true
		}
	}
	for i := range c.next.Attributes {
		for _, j := range c.next.Attributes[i].Reads {
			c.other[i] = c.other[i] || c.other[j]
		}
	}
	return changes
}

// audiences are the fates of audiences. The switch evaluates all of them: whoever is in by the old condition and not by the new one leaves, and the other
// way round, as if something had happened to them. The same goes for whoever moves because the condition now reads something else under the same name.
func (c *comparison) audiences() []Change {
	c.moved = map[int]bool{}
	for i := range c.next.Audiences { // nested ones come before those that read them
		b := &c.next.Audiences[i]
		at := slices.IndexFunc(c.last.Audiences, func(a audience.Definition) bool { return a.Name == b.Name })
		c.moved[i] = at >= 0 && (c.last.Audiences[at].Source != b.Source || c.readsOther(b))
	}
	return fates([]Change{}, c.last.Audiences, c.next.Audiences, func(d *audience.Definition) string { return d.Name }, func(a, b *audience.Definition) (Fate, string) {
		switch {
		case b == nil:
			return Gone, ""
		case a == nil:
			return New, ""
		}
		i := slices.IndexFunc(c.next.Audiences, func(d audience.Definition) bool { return d.Name == b.Name })
		note := ""
		switch {
		case c.moved[i] && c.tells(i):
			note = moves
		case c.moved[i]:
			note = movesSilently
		}
		switch {
		case a.Source != b.Source:
			return Changed, note
		case note != "":
			note = reads + note
		}
		if a.Emit != b.Emit || !slices.Equal(c.last.purposeNames(a.Requires), c.next.purposeNames(b.Requires)) {
			return Changed, note
		}
		return Kept, note
	})
}

// readsOther says whether a condition of next reads something whose value the switch may change. The text is looked at too, because an alias, a derived
// attribute that is just another attribute, is compiled away.
func (c *comparison) readsOther(d *audience.Definition) bool {
	other := func(i int) bool { return c.other[i] }
	return slices.ContainsFunc(d.Reads, other) ||
		slices.ContainsFunc(expr.Names(d.Source), func(name string) bool {
			return c.other[slices.IndexFunc(c.next.Attributes, func(a Attribute) bool { return a.Name == name })]
		}) ||
		slices.ContainsFunc(d.Atoms, func(a audience.Atom) bool { return c.other[a.Attribute] }) ||
		slices.ContainsFunc(d.Keys, func(k audience.Key) bool { return c.other[k.Attribute] }) ||
		slices.ContainsFunc(d.Levels, func(i int) bool { return c.other[c.next.Levels[i].Attribute] }) ||
		slices.ContainsFunc(d.Nested, func(i int) bool { return c.moved[i] })
}

// tells says whether an activation may leave when somebody enters or leaves audience i of next.
func (c *comparison) tells(i int) bool {
	return c.next.Audiences[i].Emit != audience.EmitNone || slices.ContainsFunc(c.next.Activations, func(a Activation) bool {
		return (a.Trigger == OnEnter || a.Trigger == OnExit) && a.Audience == i
	})
}

// askedAnew are the attributes of next's accounts that are folded over people and may become others at once, because what people say does.
func (c *comparison) askedAnew(accounts Fate) map[int]bool {
	a, anew := c.next.Accounts, map[int]bool{}
	for _, f := range a.Folds {
		switch {
		case accounts != Kept || c.other[a.MemberOf]:
			anew[f.Attribute] = true
		case f.Item >= 0:
			item := &a.Items[f.Item]
			anew[f.Attribute] = item.Audience >= 0 && c.moved[item.Audience] || item.Attribute >= 0 && c.other[item.Attribute]
		}
	}
	return anew
}

func (c *comparison) activations() []Change {
	return fates([]Change{}, c.last.Activations, c.next.Activations, func(a *Activation) string { return a.Name }, func(a, b *Activation) (Fate, string) {
		switch {
		case a == nil:
			return New, ""
		case b == nil:
			return Gone, join(waitNote(a, &Activation{}), goalNote(a.Goal(), nil))
		case a.Definition == b.Definition:
			return Kept, ""
		}
		return Changed, join(waitNote(a, b), goalNote(a.Goal(), b.Goal()))
	})
}

// waitNote says what becomes of that which is kept of each person by the activation's name: it goes with the last of its pace.
func waitNote(a, b *Activation) string {
	p := a.Pace
	if p == nil || b.Pace != nil || p.Key == nil && p.Until == nil && p.Pace == (activation.Pace{ID: p.ID}) {
		return ""
	}
	return waitsNoMore
}

// goalNote says what becomes of the counts of a goal. They are kept under its ID, those of the shard and those with each person alike.
func goalNote(a, b *Goal) string {
	switch {
	case a == nil && b == nil, a != nil && b != nil && a.ID == b.ID:
		return ""
	case a == nil:
		return countsNow
	case b == nil:
		return countsNoMore
	}
	return countsAnew
}

func join(notes ...string) string {
	return strings.Join(slices.DeleteFunc(notes, func(n string) bool { return n == "" }), "; ")
}

// mappings are the mappings, in no order.
func (p *Program) mappings() (all []*Mapping) {
	for _, m := range p.Mappings {
		all = append(all, m)
	}
	return all
}

// fates appends what becomes of every part that last or next has, by name. fate gets the part of each, nil for the one that does not have it.
func fates[T any](dst []Change, last, next []T, name func(*T) string, fate func(a, b *T) (Fate, string)) []Change {
	find := func(all []T, wanted string) *T {
		i := slices.IndexFunc(all, func(p T) bool { return name(&p) == wanted })
		if i < 0 {
			return nil
		}
		return &all[i]
	}
	add := func(n string, a, b *T) {
		change := Change{Name: n}
		change.Fate, change.Note = fate(a, b)
		dst = append(dst, change)
	}
	for i := range last {
		n := name(&last[i])
		add(n, &last[i], find(next, n))
	}
	for i := range next {
		if n := name(&next[i]); find(last, n) == nil {
			add(n, nil, &next[i])
		}
	}
	slices.SortFunc(dst, func(a, b Change) int { return strings.Compare(a.Name, b.Name) })
	return dst
}

// purposeNames are the names of purposes, sorted.
func (p *Program) purposeNames(indices []int) (names []string) {
	for _, i := range indices {
		names = append(names, p.Purposes[i])
	}
	slices.Sort(names)
	return names
}

// Losses are the parts that lose what they know, as "attribute visits".
func (c *Changes) Losses() (parts []string) {
	if c.Accounts.Loses() {
		parts = append(parts, "all accounts")
	}
	for _, of := range c.Sections() {
		what := of.One
		if what == "purpose" {
			what = "consent to"
		}
		for _, change := range of.Changes {
			if change.Fate.Loses() {
				parts = append(parts, what+" "+change.Name)
			}
		}
	}
	return parts
}

// Summary counts the fates in one line, as "attributes: 12 kept, 1 new; audiences: 3 kept".
func (c *Changes) Summary() string {
	var parts []string
	for _, of := range c.Sections() {
		if of.One == "account attribute" && c.Accounts != "" && c.Accounts != Kept {
			parts = append(parts, "accounts: "+string(c.Accounts))
		}
		var counts []string
		for _, fate := range []Fate{Kept, New, Changed, Reset, Dropped, Gone} {
			n := 0
			for _, change := range of.Changes {
				if change.Fate == fate {
					n++
				}
			}
			if n > 0 {
				counts = append(counts, fmt.Sprintf("%d %s", n, fate))
			}
		}
		if len(counts) > 0 {
			parts = append(parts, of.Many+": "+strings.Join(counts, ", "))
		}
	}
	return strings.Join(parts, "; ")
}
