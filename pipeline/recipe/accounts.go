package recipe

import (
	"slices"
	"strconv"
	"strings"

	"github.com/cespare/xxhash/v2"
	"go.yaml.in/yaml/v3"

	"dashi/pipeline/attribute"
	"dashi/pipeline/audience"
	"dashi/pipeline/event"
	"dashi/pipeline/expr"
	"dashi/pipeline/identity"
)

// An account is the fold of the people who belong to one company or household. What recipes say of accounts is a program of its own, with
// attributes, audiences and activations like that of people, over the same events. In addition, its expressions ask about the account's people
// (expr/people.go). The answer to each question is a number that the account keeps, as an attribute whose name is the text of the question. What people
// contribute to these numbers are items. So the shard of a person only has to know the items, and the shard of an account what is folded of them.

// AccountNamespace is the namespace of accounts, as in account:acme.
const AccountNamespace = "account"

// Bounds on accounts.
const (
	DefaultPeople = 1000   // people kept of one account, unless the cookbook says otherwise
	MostPeople    = 10_000 // the most that a cookbook may say
	maxItems      = 64     // a bit each in what an account keeps of a person
)

// Accounts is what a cookbook says of accounts.
type Accounts struct {
	// Program has the attributes, audiences, activations and rules of accounts. Its schema has the same types, fields and arrays as that of
	// people, and the one namespace AccountNamespace.
	Program *Program
	// Base is the number of audiences of people: in AllAudiences those of accounts come after them.
	Base int
	// MemberOf is the attribute of people, a set or a string, that says to which accounts they belong.
	MemberOf int
	// ID are the fields of an event that say of which account it is too; the first that has a value counts.
	ID []int
	// Events says of which types, by Event.Type, events are told to accounts.
	Events []bool
	// People is how many people of one account are kept at most.
	People int
	// Items is what people contribute, Folds what accounts make of it.
	Items []Item
	Folds []Fold
}

// Item is one thing that a person contributes to their accounts.
type Item struct {
	Audience  int    // in Program.Audiences of people: whether they are in it; -1 for none
	Attribute int    // in Program.Attributes of people: its number, or time; -1 for none
	Time      bool   // it is a time, in milliseconds
	ID        uint64 // the same under any cookbook
}

// Fold is one attribute of accounts that is folded over people.
type Fold struct {
	Attribute int // in Program.Attributes of accounts
	Item      int // in Items; -1: every person counts
}

// AllAudiences are the audiences of people, and then those of accounts.
func (p *Program) AllAudiences() []audience.Definition {
	if p.Accounts == nil {
		return p.Audiences
	}
	return slices.Concat(p.Audiences, p.Accounts.Program.Audiences)
}

// Normalise brings the name of an account to its form; ok is false for one that is no name, such as "null".
func (a *Accounts) Normalise(dst, value []byte) (name []byte, ok bool) {
	return a.Program.Schema.Namespaces[0].Normalise(dst, value)
}

// compileAccounts compiles what the recipes say of accounts. It runs when everything about people has been compiled.
func (c *compiler) compileAccounts() {
	a := c.inner()
	if a == nil {
		return
	}
	var accounts Accounts
	a.readAccounts(&accounts)
	a.collect()
	a.distinct()
	a.compileStored()
	a.askPeople(&accounts)
	a.layOut()
	a.compileReading()
	a.compileWheres()
	a.compileAudiences()
	a.compileActivations()
	c.findings, c.used = a.findings, a.used
	accounts.Program = a.program
	c.program.Accounts, c.accounts = &accounts, a
}

// inner is the compiler of the accounts of all files, nil when none has any.
func (c *compiler) inner() *compiler {
	a := &compiler{findings: c.findings, builder: c.builder, names: map[string]*symbol{}, done: map[string]bool{},
		zones: c.zones, sessions: c.sessions, used: c.used, people: c}
	for _, d := range c.docs {
		n := value(d.root, "accounts")
		if n == nil || n.Kind != yaml.MappingNode {
			continue
		}
		part := &document{source: d.source, root: n, bad: d.bad}
		if z := c.zones[d]; z != nil {
			a.zones[part] = z
		}
		a.docs = append(a.docs, part)
	}
	if len(a.docs) == 0 {
		return nil
	}
	a.program = &Program{Sources: c.program.Sources, Hash: c.program.Hash, Mappings: map[string]*Mapping{}}
	a.scope = expr.Scope{Attributes: map[string]expr.AttributeRef{}, Audiences: map[string]int{}, Purposes: map[string]int{}}
	return a
}

// readAccounts reads what is no attribute, audience or activation. Files may repeat it, but not differ.
func (c *compiler) readAccounts(accounts *Accounts) {
	accounts.MemberOf, accounts.People = -1, DefaultPeople
	first := map[string]entry{}
	for _, d := range c.docs {
		for i := 0; i+1 < len(d.root.Content); i += 2 {
			e := entry{doc: d, key: d.root.Content[i], node: d.root.Content[i+1], name: d.root.Content[i].Value}
			if e.name != "member_of" && e.name != "id" && e.name != "people" || d.bad[e.node] {
				continue
			}
			if other, said := first[e.name]; !said {
				first[e.name] = e
			} else if !equalNodes(other.node, e.node) {
				c.report(d, e.node, quote(e.name)+" of accounts is another one elsewhere", "see "+other.place()+"; a cookbook has one kind of account")
			}
		}
	}
	if e, said := first["member_of"]; said {
		accounts.MemberOf = c.memberOf(&e)
	} else {
		d := c.docs[0]
		c.report(d, d.root, "accounts have no `member_of`", "it names the attribute that says to which accounts a person belongs, as in `company: {kind: set, add: {on: group, value: groupId}}`")
	}
	if e, said := first["people"]; said {
		accounts.People = wholeNumber(e.node, 0)
	}
	id := []*yaml.Node{{Value: "groupId"}, {Value: "context.groupId"}}
	e, said := first["id"]
	if said {
		id = elements(e.node)
	}
	for _, n := range id {
		kind, known := c.builder.kindOf(n.Value)
		switch {
		case !known || strings.Contains(n.Value, "[]"):
			c.report(e.doc, n, "`id` of accounts is the unknown field "+quote(n.Value), closestPath(n.Value, (&reader{b: c.builder}).names()))
		case kind != event.String:
			c.report(e.doc, n, "`id` of accounts is "+quote(n.Value)+", a "+kind.String()+"; wanted: a string", "")
		default:
			ref, _ := c.builder.field(n.Value)
			accounts.ID = append(accounts.ID, ref.Index)
		}
	}
}

// memberOf finds the attribute that says to which accounts people belong.
func (c *compiler) memberOf(e *entry) int {
	out := c.people
	out.findings = c.findings
	i, known := out.named(&entry{doc: e.doc}, "attribute", e.node)
	c.findings = out.findings
	if !known {
		return -1
	}
	if t := out.program.Attributes[i].Type; t != attribute.Set && t != attribute.String {
		c.report(e.doc, e.node, "`member_of` is "+quote(e.node.Value)+", which is neither a set nor a string", "a set for people who may belong to several accounts, `last` for those who belong to one at a time")
		return -1
	}
	if out.scope.Attributes[e.node.Value].UsesNow { // nothing says at which instant its value changes
		c.report(e.doc, e.node, "`member_of` is "+quote(e.node.Value)+", which depends on `now`: nobody would leave when time alone says so", "an attribute that changes with events, or that knows when it lapses: a set or `last`, a place with its `timeout`, the keys of a sequence")
		return -1
	}
	return i
}

// distinct reports audiences and activations of accounts that have the name of one of people: activations carry these names.
func (c *compiler) distinct() {
	taken := map[string]*entry{}
	for _, list := range [][]entry{c.people.audiences, c.people.activations} {
		for i := range list {
			taken[list[i].name] = &list[i]
		}
	}
	for _, list := range [][]entry{c.audiences, c.activations} {
		for i := range list {
			if e, other := &list[i], taken[list[i].name]; other != nil {
				c.report(e.doc, e.key, e.what+" "+quote(e.name)+" of accounts clashes with the "+other.what+" of people of this name", "see "+other.place())
			}
		}
	}
	for i := range c.attributes {
		if e := &c.attributes[i]; value(e.node, "places") != nil && !e.bad {
			c.report(e.doc, e.key, "attribute "+quote(e.name)+" of accounts is about places", "where somebody is is theirs, with their consent: keep it for people, and count those in an audience")
			e.bad, c.names[e.name].bad = true, true
		}
	}
	for _, list := range [][]entry{c.attributes, c.audiences} {
		for i := range list {
			if list[i].name == "people" {
				c.report(list[i].doc, list[i].key, "`people` is a reserved word in accounts", "people.count() and its like begin with it; choose another name")
			}
		}
	}
}

// askPeople makes an attribute of every question about people in the expressions of accounts.
func (c *compiler) askPeople(accounts *Accounts) {
	for _, d := range c.docs {
		for _, section := range []string{"attributes", "audiences", "activations"} {
			c.askAt(accounts, d, value(d.root, section))
		}
	}
}

func (c *compiler) askAt(accounts *Accounts, d *document, n *yaml.Node) {
	if n == nil {
		return
	}
	for _, child := range n.Content {
		c.askAt(accounts, d, child)
	}
	if n.Kind != yaml.ScalarNode || !strings.Contains(n.Value, "people") {
		return
	}
	for _, call := range expr.PeopleCalls(n.Value) {
		for k, name := range call.Names() {
			if k > 0 { // the number of all people, for people.all
				call = expr.PeopleCall{Function: "count"}
			}
			if c.names[name] == nil {
				c.ask(accounts, d, n, call, name)
			}
		}
	}
}

// ask makes the attribute of one question.
func (c *compiler) ask(accounts *Accounts, d *document, n *yaml.Node, call expr.PeopleCall, name string) {
	item, kind := -1, attribute.Headcount()
	switch {
	case call.Counts() && call.Of != "":
		i, known := c.ofPeople("audience", d, n, call.Of)
		if !known {
			c.names[name] = &symbol{what: "attribute", bad: true}
			return
		}
		item = accounts.item(Item{Audience: i, Attribute: -1, ID: xxhash.Sum64String("audience " + call.Of)})
	case !call.Counts():
		i, known := c.ofPeople("attribute", d, n, call.Of)
		if known {
			kind, known = c.foldOf(d, n, call, i)
		}
		if !known {
			c.names[name] = &symbol{what: "attribute", bad: true}
			return
		}
		item = accounts.item(Item{Audience: -1, Attribute: i, Time: c.people.program.Attributes[i].Type == attribute.Time, ID: xxhash.Sum64String("attribute " + call.Of)})
	}
	if len(accounts.Items) > maxItems {
		c.report(d, n, "accounts ask for more than "+strconv.Itoa(maxItems)+" audiences and attributes of people", "")
		return
	}
	e := entry{doc: d, key: n, name: name, what: "attribute", node: &yaml.Node{Kind: yaml.ScalarNode, Value: name}}
	accounts.Folds = append(accounts.Folds, Fold{Attribute: len(c.program.Attributes), Item: item})
	c.attributes = append(c.attributes, e)
	c.names[name] = &symbol{what: "attribute", entry: &e}
	c.program.Attributes = append(c.program.Attributes, Attribute{Name: name, Kind: kind, Type: kind.Type(), Slot: attribute.Slot{Offset: -1, Segment: -1}})
}

// ofPeople finds an audience or attribute of people.
func (c *compiler) ofPeople(what string, d *document, n *yaml.Node, name string) (int, bool) {
	at := *n
	at.Value = name
	out := c.people
	out.findings = c.findings
	i, known := out.named(&entry{doc: d}, what, &at)
	c.findings = out.findings
	return i, known
}

// foldOf is the attribute kind that answers a question by folding attribute i of people.
func (c *compiler) foldOf(d *document, n *yaml.Node, call expr.PeopleCall, i int) (attribute.Kind, bool) {
	a := &c.people.program.Attributes[i]
	ordered := call.Function == "min" || call.Function == "max"
	switch {
	case a.Type != attribute.Number && !(ordered && a.Type == attribute.Time):
		hint := ""
		if a.Type == attribute.Bool {
			hint = "make an audience of it, and count that"
		}
		c.report(d, n, "people."+call.Function+"("+call.Of+"): "+quote(call.Of)+" is no number", hint)
		return nil, false
	case c.people.scope.Attributes[a.Name].UsesNow:
		c.report(d, n, "people."+call.Function+"("+call.Of+"): "+quote(call.Of)+" depends on `now`: it changes all the time", "fold an attribute that changes with events, and compare that with now")
		return nil, false
	}
	if k, ok := attribute.Total(call.Function); ok {
		return k, true
	}
	k, err := attribute.New(attribute.Spec{Kind: call.Function, Of: a.Type})
	if err != nil {
		panic("BUG: " + err.Error())
	}
	return k, true
}

// item is the index of what people contribute.
func (a *Accounts) item(want Item) int {
	if i := slices.Index(a.Items, want); i >= 0 {
		return i
	}
	a.Items = append(a.Items, want)
	return len(a.Items) - 1
}

// finishAccounts completes the program of accounts once all event types are known.
func (c *compiler) finishAccounts() {
	a, p := c.accounts, c.program
	if a == nil {
		return
	}
	a.fillRules()
	trim, err := identity.Normaliser("trim")
	if err != nil {
		panic("BUG: " + err.Error())
	}
	refusal, err := identity.Refusal("trim")
	if err != nil {
		panic("BUG: " + err.Error())
	}
	schema := *p.Schema
	schema.Namespaces = []event.Namespace{{Name: AccountNamespace, Normalise: trim, Refusal: refusal}}
	a.program.Schema = &schema
	a.program.Identity = identity.Rules{MaxIdentifiers: 1, Namespaces: []identity.Rule{{Name: AccountNamespace}}}
	a.program.Expire = []int64{0}
	p.Accounts.Events = make([]bool, len(a.program.Rules))
	for t, rules := range a.program.Rules {
		tells := len(rules) > 0 || slices.ContainsFunc(a.program.Activations, func(act Activation) bool {
			return act.Trigger == OnEvent && (act.Type == t || act.Type < 0) || act.Goal() != nil && act.Goal().Of(t)
		})
		if p.Accounts.Events[t] = tells; !tells {
			continue
		}
		r := a.program.reads(t)
		r.Fields = append(append(r.Fields, p.Accounts.ID...), p.Schema.Reads[t].Fields...)
		slices.Sort(r.Fields)
		r.Fields = slices.Compact(r.Fields)
		r.Arrays = append(r.Arrays, p.Schema.Reads[t].Arrays...)
		p.Schema.Reads[t] = r
	}
	p.Accounts.Base = len(p.Audiences)
	p.LookUp = append(p.LookUp, schema.Namespaces[0])
}
