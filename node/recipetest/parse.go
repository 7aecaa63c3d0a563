package recipetest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"dashi/pipeline/activation"
	"dashi/pipeline/recipe"

	"go.yaml.in/yaml/v3"
)

// defaultStart is where the clock of a test stands at first: a Thursday, with nothing special about it.
const defaultStart = int64(1_767_258_000_000) // 2026-01-01T09:00:00Z

// defaultWho is who a test is about, unless it says so.
const defaultWho = "user_id:somebody"

// Parse reads the tests in the sources: recipes, and files of tests. What is wrong with a test is told, and the test left out. The program says which
// events the recipes read; nil when they have errors.
func Parse(sources []recipe.Source, program *recipe.Program) ([]Case, []recipe.Diagnostic) {
	p := &parser{program: program}
	if program != nil {
		p.events = program.Schema.Types
	}
	for _, s := range sources {
		p.file = s.Name
		testsOnly := IsTestFile(s.Name) // a recipe's own errors are for its compiler to tell
		decoder := yaml.NewDecoder(bytes.NewReader(s.Text))
		var doc, second yaml.Node
		switch err := decoder.Decode(&doc); {
		case errors.Is(err, io.EOF):
			doc.Content = []*yaml.Node{{Kind: yaml.ScalarNode, Tag: "!!null", Line: 1, Column: 1}}
		case err != nil:
			p.unreadable(s.Text, err, testsOnly)
			continue
		}
		p.document(doc.Content[0], testsOnly)
		switch err := decoder.Decode(&second); {
		case errors.Is(err, io.EOF):
		case err != nil:
			p.unreadable(s.Text, err, testsOnly)
		case testsOnly:
			p.report(&second, "a second document begins here", "one file has one `tests`: remove the `---`")
		}
	}
	return p.cases, p.found
}

// unreadable tells what is no YAML.
func (p *parser) unreadable(text []byte, err error, testsOnly bool) {
	if !testsOnly {
		return
	}
	line, message, hint := recipe.ExplainYAML(err, text)
	p.report(&yaml.Node{Line: line, Column: 1}, message, hint)
}

// IsTestFile says whether a file holds tests and no recipe.
func IsTestFile(name string) bool {
	return strings.HasSuffix(name, ".test.yml") || strings.HasSuffix(name, ".test.yaml")
}

type parser struct {
	file    string
	program *recipe.Program // nil when the recipes have errors
	events  []string        // that the recipes name
	cases   []Case
	found   []recipe.Diagnostic
}

func (p *parser) report(n *yaml.Node, message, hint string) {
	p.found = append(p.found, recipe.Diagnostic{File: p.file, Line: n.Line, Column: n.Column, Message: message, Hint: hint})
}

// foreignTags reports tags that are none of YAML's own: nothing reads them.
func (p *parser) foreignTags(n *yaml.Node) {
	if tag := recipe.ForeignTag(n); tag != "" {
		p.report(n, "`"+tag+"` is a YAML tag that means nothing here", "remove it, or put the text that begins with it in quotes")
	}
	for _, child := range n.Content {
		p.foreignTags(child)
	}
}

func (p *parser) document(root *yaml.Node, testsOnly bool) {
	if testsOnly { // in a recipe, its compiler tells
		p.foreignTags(root)
	}
	if testsOnly && root.Kind != yaml.MappingNode {
		p.report(root, "there are no tests in this file", "a file of tests begins with `tests:`")
		return
	}
	p.each(root, func(key string, k, v *yaml.Node) {
		switch {
		case key == "tests":
			if v.Kind != yaml.MappingNode {
				p.report(v, "tests is a mapping: the name of each test, and its steps", "for instance `tests: {somebody buys: [{Order Completed: {total: 5}}, {expect: {attributes: {orders: 1}}}]}`")
				return
			}
			p.each(v, func(name string, k, v *yaml.Node) { p.test(name, k, v) })
		case testsOnly && !strings.HasPrefix(key, "x-"):
			p.report(k, "a file of tests holds `tests`, not `"+key+"`", "")
		}
	})
}

// each calls fn for every pair of a mapping, anchors resolved. What is no mapping has been reported, or has no pairs.
func (p *parser) each(n *yaml.Node, fn func(key string, k, v *yaml.Node)) {
	n = resolve(n)
	if n.Kind != yaml.MappingNode {
		return
	}
	lines := map[string]int{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		k := n.Content[i]
		if first, twice := lines[k.Value]; twice && IsTestFile(p.file) { // in a recipe, its compiler tells
			p.report(k, "`"+k.Value+"` stands twice", fmt.Sprintf("the first is on line %d", first))
			continue
		}
		lines[k.Value] = k.Line
		fn(k.Value, k, resolve(n.Content[i+1]))
	}
}

func resolve(n *yaml.Node) *yaml.Node {
	for n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	return n
}

// caseKeys are what a test may hold.
var caseKeys = []string{"description", "start", "who", "map", "clock", "steps"}

func (p *parser) test(name string, k, v *yaml.Node) {
	before := len(p.found)
	c := Case{Name: name, File: p.file, Line: k.Line, start: defaultStart, who: []string{defaultWho}}
	steps := v
	if v.Kind == yaml.MappingNode {
		steps = nil
		p.each(v, func(key string, k, v *yaml.Node) {
			switch key {
			case "description":
			case "start":
				if m, ok := p.moment(v); ok && !m.relative {
					c.start = m.millis
				} else if ok {
					p.report(v, "start is a time, since there is nothing before it", "")
				}
			case "who":
				c.who = p.identifiers(v)
			case "map":
				c.mapping = v.Value
			case "clock":
				if c.byEvent = v.Value == "event"; !c.byEvent && v.Value != "wall" {
					p.report(v, "clock is wall or event, not `"+v.Value+"`", "")
				}
			case "steps":
				steps = v
			default:
				p.unknown(k, caseKeys)
			}
		})
	}
	if steps == nil || steps.Kind != yaml.SequenceNode || len(steps.Content) == 0 {
		p.report(k, "the test `"+name+"` has no list of steps", "`steps` is a list of events, advance and expect")
		return
	}
	for _, n := range steps.Content {
		if s, ok := p.step(resolve(n), &c); ok {
			c.steps = append(c.steps, s)
		}
	}
	if len(p.found) == before {
		p.cases = append(p.cases, c)
	}
}

func (p *parser) unknown(k *yaml.Node, known []string) {
	p.report(k, "`"+k.Value+"` is not known here", "it is one of "+strings.Join(known, ", "))
}

func (p *parser) moment(v *yaml.Node) (moment, bool) {
	m, err := parseMoment(v.Value)
	if err != nil {
		p.report(v, err.Error(), "")
	}
	return m, err == nil
}

// identifiers reads one NAMESPACE:VALUE, or a list of them.
func (p *parser) identifiers(v *yaml.Node) []string {
	list := p.words(v)
	for _, id := range list {
		if namespace, value, ok := strings.Cut(id, ":"); !ok || namespace == "" || value == "" {
			p.report(v, "`"+id+"` is no identifier", "write namespace:value, as in user_id:ada")
		}
	}
	return list
}

// words reads one text or a list of texts.
func (p *parser) words(v *yaml.Node) []string {
	switch v.Kind {
	case yaml.ScalarNode:
		return []string{v.Value}
	case yaml.SequenceNode:
		list := []string{}
		for _, n := range v.Content {
			list = append(list, resolve(n).Value)
		}
		return list
	}
	p.report(v, "a text or a list of texts is needed here", "")
	return nil
}

// value reads anything as it would be if it were JSON: what YAML takes for a time is a text, as a sender would write it.
func (p *parser) value(v *yaml.Node) any {
	timesAsText(v, map[*yaml.Node]bool{})
	var out any
	if err := v.Decode(&out); err != nil {
		p.report(v, err.Error(), "")
	}
	return out
}

func timesAsText(n *yaml.Node, seen map[*yaml.Node]bool) {
	n = resolve(n)
	if seen[n] {
		return
	}
	seen[n] = true
	if n.Kind == yaml.ScalarNode && n.Tag == "!!timestamp" && n.Style&yaml.TaggedStyle == 0 {
		n.Tag = "!!str"
	}
	for _, child := range n.Content {
		timesAsText(child, seen)
	}
}

func (p *parser) object(v *yaml.Node) map[string]any {
	if v.Kind == yaml.ScalarNode && v.Tag == "!!null" {
		return map[string]any{}
	}
	m, ok := p.value(v).(map[string]any)
	if !ok {
		p.report(v, "a mapping is needed here", "")
	}
	return m
}

// stated reads NAME: VALUE pairs.
func (p *parser) stated(v *yaml.Node) []stated {
	if v.Kind != yaml.MappingNode && v.Tag != "!!null" { // nothing at all is what a recorded test states of a profile without attributes
		p.report(v, "a mapping of names and values is needed here", "")
	}
	var list []stated
	p.each(v, func(key string, k, v *yaml.Node) { list = append(list, stated{key, k.Line, v}) })
	return list
}

// kinds of calls of the Segment spec, and where what they say stands.
var calls = map[string]string{"identify": "traits", "group": "traits", "alias": "", "page": "properties", "screen": "properties"}

// stepKeys may stand beside an event's name.
var stepKeys = []string{"at", "who", "id", "repeat", "every", "rejected", "context", "consent"}

// beside are the keys that may stand beside what is no event.
var beside = map[string][]string{
	"expect":  {"at"},
	"advance": {},
	"unlink":  {"at"},
	"row":     {"at", "repeat", "rejected", "map"},
}

// besides reports the keys of a step that say nothing about what it does.
func (p *parser) besides(verb string, keys []*yaml.Node) {
	known, ok := beside[verb]
	if !ok {
		known = stepKeys
	}
	for _, k := range keys {
		switch {
		case slices.Contains(known, k.Value):
		case verb == "expect" && slices.Contains(expectKeys, k.Value):
			p.report(k, "`"+k.Value+"` stands beside `expect`", "write it into it: `expect: {"+k.Value+": ..}`")
		case len(known) == 0:
			p.report(k, "`"+k.Value+"` says nothing beside `"+verb+"`", "nothing stands beside it")
		default:
			p.report(k, "`"+k.Value+"` says nothing beside `"+verb+"`", "what may stand there: "+strings.Join(known, ", "))
		}
	}
}

func (p *parser) step(n *yaml.Node, c *Case) (step, bool) {
	s := step{line: n.Line}
	if n.Kind != yaml.MappingNode {
		p.report(n, "a step is a mapping", "an event such as `Order Completed: {total: 5}`, `advance: 2d`, or `expect: ...`")
		return s, false
	}
	before := len(p.found)
	e := &eventStep{repeat: 1}
	row := &rowStep{mapping: c.mapping}
	var context map[string]any
	verb := ""
	var every *yaml.Node
	var others []*yaml.Node
	p.each(n, func(key string, k, v *yaml.Node) {
		if key == "map" || slices.Contains(stepKeys, key) {
			others = append(others, k)
		}
		switch key {
		case "at":
			s.at, _ = p.moment(v)
		case "who":
			e.who = p.identifiers(v)
		case "id":
			e.id = v.Value
		case "map":
			row.mapping = v.Value
		case "rejected":
			e.rejected = v.Value
		case "repeat":
			if err := v.Decode(&e.repeat); err != nil || e.repeat < 1 || e.repeat > 100_000 {
				p.report(v, "repeat is a number from 1 to 100,000", "")
			}
		case "every":
			var err error
			if e.every, err = parseSpan(v.Value); err != nil {
				p.report(v, err.Error(), "it is how long after one repeat the next one happens")
			}
			every = v
		case "context":
			context = merge(context, p.object(v))
		case "consent":
			context = merge(context, p.consent(v))
		default:
			if verb == "expect" && slices.Contains(expectKeys, key) {
				others = append(others, k)
				return
			}
			if verb != "" {
				p.report(k, "a step does one thing: `"+verb+"` or `"+key+"`", "what may stand beside an event: "+strings.Join(stepKeys, ", "))
				return
			}
			verb = key
			p.verb(key, k, v, &s, e, row)
		}
	})
	if verb != "" {
		p.besides(verb, others)
	}
	if every != nil {
		p.every(every, e)
	}
	switch {
	case verb == "" && s.at.given && len(others) == 1:
		s.do = nothing // the clock moves there
	case verb == "":
		p.report(n, "the step does nothing", "name an event such as `Order Completed`, or advance, at, unlink, expect")
	case s.do != nil:
	case verb == "row":
		row.repeat, row.rejected = e.repeat, e.rejected
		if row.mapping == "" {
			p.report(n, "a row needs a mapping", "write `map: NAME` beside it, or once for the whole test")
		}
		s.do, s.sent = row.run, true
	default:
		if context != nil {
			e.message = merge(e.message, map[string]any{"context": context})
		}
		s.do, s.sent = e.run, true
	}
	return s, len(p.found) == before
}

// maxRepeating is how long the repeats of an event may go on: the clock of a test stays within years of four digits.
const maxRepeating = 1000 * 365 * 24 * 60 * 60 * 1000 // ms

// every reports a distance between repeats that says nothing.
func (p *parser) every(v *yaml.Node, e *eventStep) {
	switch {
	case e.repeat == 1:
		p.report(v, "`every` is how long after one repeat the next one happens, and nothing is repeated", "write `repeat: 10` beside it")
	case e.message["timestamp"] != nil:
		p.report(v, "the message says itself when it was, each time", "leave its `timestamp` out, and `at` says when the first one happens")
	case e.every > maxRepeating/int64(e.repeat):
		p.report(v, "the repeats go on for more than 1,000 years", "")
	}
}

// verb reads what a step does.
func (p *parser) verb(key string, k, v *yaml.Node, s *step, e *eventStep, row *rowStep) {
	switch key {
	case "advance":
		span, err := parseSpan(strings.TrimPrefix(v.Value, "+"))
		switch {
		case err != nil && strings.HasPrefix(v.Value, "-"):
			p.report(v, "the clock never goes back", "`at: "+v.Value+"` beside an event makes it a late one")
		case err != nil:
			p.report(v, err.Error(), "")
		}
		s.at = moment{given: true, relative: true, millis: span}
		s.do = nothing
	case "unlink":
		x := &unlinkStep{ids: p.identifiers(v)}
		if len(x.ids) != 2 {
			p.report(v, "unlink names two identifiers that are never one person", "as in `unlink: [user_id:42, anonymous_id:9f31]`")
		}
		s.do = x.run
	case "expect":
		x := p.expect(v)
		s.do = x.run
	case "row":
		row.row = p.object(v)
	case "message":
		e.message, e.whole = p.object(v), true
	default:
		section, isCall := calls[key]
		switch {
		case !isCall && p.misspelt(k, v):
		case !isCall:
			e.message = map[string]any{"type": "track", "event": key, "properties": p.object(v)}
		case section == "":
			e.message = merge(map[string]any{"type": key}, p.object(v))
		default:
			e.message = map[string]any{"type": key, section: p.object(v)}
		}
	}
}

func nothing(*rig, *step) {}

// merge puts all of b into a, deeply.
func merge(a, b map[string]any) map[string]any {
	out := map[string]any{}
	for k, v := range a {
		out[k] = v
	}
	for k, v := range b {
		have, ok1 := out[k].(map[string]any)
		more, ok2 := v.(map[string]any)
		if ok1 && ok2 {
			v = merge(have, more)
		}
		out[k] = v
	}
	return out
}

// expectKeys are what an expectation may state.
var expectKeys = []string{"who", "profile", "attributes", "audiences", "consent", "sizes", "goals", "activations"}

func (p *parser) expect(v *yaml.Node) *expectStep {
	x := &expectStep{}
	if v.Kind != yaml.MappingNode || len(v.Content) == 0 {
		p.report(v, "expect states nothing", "it is a mapping of "+strings.Join(expectKeys, ", "))
	}
	p.each(v, func(key string, k, v *yaml.Node) {
		switch key {
		case "who":
			x.who = p.identifiers(v)
		case "profile":
			x.profile = new(bool)
			if err := v.Decode(x.profile); err != nil {
				p.report(v, "profile is true or false: whether there is one", "")
			}
		case "attributes":
			x.attributes = p.stated(v)
		case "audiences":
			if v.Kind == yaml.SequenceNode {
				x.exactly, x.exactlyLine = p.words(v), v.Line
				slices.Sort(x.exactly)
			} else {
				x.audiences = p.stated(v)
			}
		case "consent":
			x.consent = p.stated(v)
		case "sizes":
			x.sizes = p.stated(v)
			for _, z := range x.sizes {
				if n, err := strconv.Atoi(z.want.Value); err != nil || n < 0 {
					p.report(z.want, "`"+z.name+"` is a number of people", "as in `sizes: {vip: 2}`")
				}
			}
		case "goals":
			x.goals = p.goals(v)
		case "activations":
			x.activations = p.activations(v)
		default:
			p.unknown(k, expectKeys)
		}
	})
	return x
}

func (p *parser) activations(v *yaml.Node) *expectedActivations {
	x := &expectedActivations{line: v.Line, exact: true}
	list := v
	if v.Kind == yaml.MappingNode {
		x.exact = false
		p.each(v, func(key string, k, v *yaml.Node) {
			if list = v; key != "include" {
				p.unknown(k, []string{"include"})
			}
		})
	}
	if list.Kind != yaml.SequenceNode {
		p.report(v, "activations is a list: all that left since the last such list, in order", "`{include: [...]}` names only some of them")
		return x
	}
	for _, n := range list.Content {
		x.wanted = append(x.wanted, p.activation(resolve(n)))
	}
	return x
}

// activation reads "NAME", "NAME enter" or a mapping.
func (p *parser) activation(n *yaml.Node) wantedActivation {
	w := wantedActivation{line: n.Line}
	if n.Kind == yaml.ScalarNode {
		w.name, w.transition, _ = strings.Cut(n.Value, " ")
	}
	p.each(n, func(key string, k, v *yaml.Node) {
		switch key {
		case "name":
			w.name = v.Value
		case "transition":
			w.transition = v.Value
		case "profile":
			w.profile = v.Value
		case "type":
			w.typed = v.Value
		case "at":
			w.at, _ = p.moment(v)
		case "event_time":
			w.eventTime, _ = p.moment(v)
		case "attributes":
			w.attributes = p.stated(v)
		default:
			p.unknown(k, []string{"name", "transition", "profile", "type", "at", "event_time", "attributes"})
		}
	})
	if transitions := activation.Transitions(); w.transition != "" && !slices.Contains(transitions, w.transition) {
		p.report(n, "there is no transition `"+w.transition+"`", meant(w.transition, transitions))
	}
	if w.name == "" {
		p.report(n, "an activation has a name", "write `vip enter`, `welcome`, or {name: vip, transition: enter, at: +1d}")
	}
	return w
}
