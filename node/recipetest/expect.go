package recipetest

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"dashi/pipeline/attribute"

	"go.yaml.in/yaml/v3"
)

// seen is a profile as GET /v1/profiles shows it.
type seen struct {
	Attributes map[string]json.RawMessage `json:"attributes"`
	Audiences  map[string]struct {
		Since string `json:"since"`
	} `json:"audiences"`
	Consent map[string]struct {
		Granted bool `json:"granted"`
	} `json:"consent"`
}

// run compares.
func (x *expectStep) run(g *rig, s *step) {
	who := x.who
	if who == nil { // the accounts that events are about too are asked for by name
		who = slices.DeleteFunc(slices.Clone(g.c.who), isAccount)
	}
	for _, id := range who {
		p, found := g.profile(id)
		if x.profile != nil && *x.profile != found {
			g.fail(s.line, "profile of "+id, strconv.FormatBool(*x.profile), strconv.FormatBool(found))
		}
		x.compareAttributes(g, p, id)
		x.compareAudiences(g, p, id)
		for _, c := range x.consent {
			want, got := text(c.want), "null"
			if have, ok := p.Consent[c.name]; ok {
				got = strconv.FormatBool(have.Granted)
			} else if !slices.Contains(g.program.Purposes, c.name) {
				got = unknownName("purpose", c.name, g.program.Purposes)
			}
			if want != got {
				g.fail(c.line, "consent "+c.name+" of "+id, want, got)
			}
		}
	}
	for _, z := range x.sizes {
		i, ok := g.cover.audiences[z.name]
		if !ok {
			g.fail(z.line, "size of "+z.name, text(z.want), unknownName("audience", z.name, g.cover.audienceNames()))
		} else if got := strconv.Itoa(g.shard.AudienceSize(i)); got != text(z.want) {
			g.fail(z.line, "size of "+z.name, text(z.want), got)
		}
	}
	for i := range x.goals {
		x.goals[i].compare(g)
	}
	if x.activations != nil {
		x.activations.compare(g)
		g.left = g.left[:0]
	}
}

// profile reads the profile of an identifier; one that is not there is empty.
func (g *rig) profile(id string) (p seen, found bool) {
	if found = g.look(id); found {
		if err := json.Unmarshal(g.view.AppendJSON(nil), &p); err != nil {
			panic("recipetest: BUG: a profile is no JSON: " + err.Error())
		}
	}
	return p, found
}

func (x *expectStep) compareAttributes(g *rig, p seen, id string) {
	for _, a := range x.attributes {
		attributes := g.cover.attributesOf(id)
		at, ok := attributes[a.name]
		if !ok {
			wrong := unknownName("attribute", a.name, slices.Sorted(maps.Keys(attributes)))
			if g.cover.attributes[a.name] != nil || g.cover.accounts[a.name] != nil {
				wrong = otherKind("attribute", a.name, id)
			}
			g.fail(a.line, "attribute "+a.name+" of "+id, text(a.want), wrong)
			continue
		}
		ordered := at.Type != attribute.Set
		if want, got, same := compare(a.want, p.Attributes[a.name], ordered); !same {
			g.fail(a.line, "attribute "+a.name+" of "+id, want, got)
		}
	}
}

func (x *expectStep) compareAudiences(g *rig, p seen, id string) {
	for _, a := range x.audiences {
		i, ok := g.cover.audiences[a.name]
		if !ok {
			g.fail(a.line, "audience "+a.name, text(a.want), unknownName("audience", a.name, g.cover.audienceNames()))
			continue
		}
		if i >= len(g.program.Audiences) != isAccount(id) {
			g.fail(a.line, "audience "+a.name+" of "+id, text(a.want), otherKind("audience", a.name, id))
			continue
		}
		in, ok := p.Audiences[a.name]
		got := "out"
		if ok {
			got = "in since " + in.Since
		}
		want, same := wantedMembership(a.want, ok, in.Since)
		if !same {
			g.fail(a.line, "audience "+a.name+" of "+id, want, got)
		}
	}
	if x.exactly != nil {
		for _, name := range x.exactly {
			if _, ok := g.cover.audiences[name]; !ok {
				g.fail(x.exactlyLine, "audiences of "+id, "exactly "+strings.Join(x.exactly, ", "), unknownName("audience", name, g.cover.audienceNames()))
				return
			}
		}
		got := []string{}
		for name := range p.Audiences {
			got = append(got, name)
		}
		slices.Sort(got)
		if !slices.Equal(got, x.exactly) {
			g.fail(x.exactlyLine, "audiences of "+id, "exactly "+strings.Join(x.exactly, ", "), strings.Join(got, ", ")+difference(x.exactly, got))
		}
	}
}

// wantedMembership reads true, false, or the time since when.
func wantedMembership(n *yaml.Node, in bool, since string) (want string, same bool) {
	switch text(n) {
	case "true", "in":
		return "in", in
	case "false", "out":
		return "out", !in
	}
	value := n.Value
	if n.Kind == yaml.MappingNode && len(n.Content) == 2 && n.Content[0].Value == "since" {
		value = n.Content[1].Value
	}
	m, err := parseMoment(value)
	if err != nil || m.relative {
		return text(n) + " (write true, false, or the time since when)", false
	}
	at, _ := time.Parse(time.RFC3339Nano, since)
	return "in since " + show(m.millis), in && at.UnixMilli() == m.millis
}

func difference(want, got []string) string {
	var parts []string
	for _, w := range want {
		if !slices.Contains(got, w) {
			parts = append(parts, "-"+w)
		}
	}
	for _, h := range got {
		if !slices.Contains(want, h) {
			parts = append(parts, "+"+h)
		}
	}
	return " (" + strings.Join(parts, " ") + ")"
}

// compare compares what a test writes with a value as JSON. nothing and null are the same.
func compare(want *yaml.Node, got json.RawMessage, ordered bool) (wanted, had string, same bool) {
	var a, b any
	if err := want.Decode(&a); err != nil {
		return err.Error(), string(got), false
	}
	if len(got) > 0 {
		if err := json.Unmarshal(got, &b); err != nil {
			panic("recipetest: BUG: a value is no JSON: " + err.Error())
		}
	} else {
		got = json.RawMessage("null")
	}
	if !ordered {
		sortTexts(a)
		sortTexts(b)
	}
	wanted, had, same = shown(want), string(got), equal(a, b)
	if ka, kb := kindName(a), kindName(b); !same && ka != kb && ka != "" && kb != "" { // 10 and "10" look much alike
		wanted, had = wanted+" ("+ka+")", had+" ("+kb+")"
	}
	return wanted, had, same
}

// kindName is what a value of YAML or JSON is, in words; empty for nothing and for a time, which JSON has none of.
func kindName(v any) string {
	switch v.(type) {
	case string:
		return "a string"
	case int, float64:
		return "a number"
	case bool:
		return "a bool"
	case []any:
		return "a list"
	case map[string]any:
		return "an object"
	}
	return ""
}

// shown is text, in quotes when it is a string that without them would be something else.
func shown(n *yaml.Node) string {
	var plain any
	if n.Kind == yaml.ScalarNode && n.Tag == "!!str" {
		if err := yaml.Unmarshal([]byte(n.Value), &plain); err == nil {
			if _, is := plain.(string); !is {
				return strconv.Quote(n.Value)
			}
		}
	}
	return text(n)
}

func sortTexts(v any) {
	if list, ok := v.([]any); ok {
		slices.SortFunc(list, func(a, b any) int { return strings.Compare(fmt.Sprint(a), fmt.Sprint(b)) })
	}
}

// equal compares a value of YAML with one of JSON: times by their instant, numbers as the engine prints them.
func equal(a, b any) bool {
	switch a := a.(type) {
	case nil:
		return b == nil
	case int:
		return equal(float64(a), b)
	case float64:
		n, ok := b.(float64)
		return ok && (a == n || math.Abs(a-n) <= 1e-9*math.Abs(a))
	case time.Time:
		s, _ := b.(string) // of a time, or a text that YAML takes for one
		m, err := parseMoment(s)
		return err == nil && !m.relative && m.millis == a.UnixMilli()
	case []any:
		list, ok := b.([]any)
		return ok && slices.EqualFunc(a, list, equal)
	case map[string]any:
		object, ok := b.(map[string]any)
		if !ok || len(a) != len(object) {
			return false
		}
		for k, v := range a {
			if have, ok := object[k]; !ok || !equal(v, have) {
				return false
			}
		}
		return true
	}
	return a == b
}

// text writes what a test states on one line.
func text(n *yaml.Node) string {
	if n.Kind == yaml.ScalarNode {
		if n.Tag == "!!null" {
			return "null"
		}
		return n.Value
	}
	var v any
	if n.Decode(&v) != nil {
		return n.Value
	}
	b, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprint(v)
	}
	return string(b)
}

func (x *expectedActivations) compare(g *rig) {
	for i := range x.wanted {
		w := &x.wanted[i]
		if wrong := w.unknown(g.cover); wrong != "" {
			g.fail(w.line, "activations", w.String(g), wrong)
			return
		}
	}
	taken := make([]bool, len(g.left))
	var missing []string
	same := !x.exact || len(x.wanted) == len(g.left)
	for k, w := range x.wanted {
		found := false
		for i := range g.left {
			if x.exact && i != k || taken[i] || !w.matches(g, &g.left[i]) {
				continue
			}
			found, taken[i] = true, true
			break
		}
		if !found {
			same = false
			missing = append(missing, w.String(g))
		}
	}
	if same {
		return
	}
	var all []string
	for i := range g.left {
		mark := "  "
		if !taken[i] && x.exact {
			mark = "+ "
		}
		all = append(all, mark+g.left[i].String())
	}
	want := "at least "
	if x.exact {
		want = "exactly, in this order: "
	}
	var names []string
	for _, w := range x.wanted {
		names = append(names, w.String(g))
	}
	got := strings.Join(all, "\n")
	if len(all) == 0 {
		got = "nothing left"
	}
	if len(missing) > 0 {
		got += "\nmissing or elsewhere: " + strings.Join(missing, "; ")
	}
	if len(names) == 0 {
		names = []string{"none"}
	}
	g.fail(x.line, "activations", want+strings.Join(names, "; "), got)
}

func (w *wantedActivation) matches(g *rig, a *left) bool {
	at, _ := time.Parse(time.RFC3339Nano, a.At)
	eventTime, _ := time.Parse(time.RFC3339Nano, a.EventTime)
	switch {
	case w.name != a.Name, w.transition != "" && w.transition != a.Transition, w.profile != "" && w.profile != a.Profile,
		w.typed != "" && w.typed != a.Type, w.at.given && w.at.from(g.c.start) != at.UnixMilli(),
		w.eventTime.given && w.eventTime.from(g.c.start) != eventTime.UnixMilli():
		return false
	}
	for _, s := range w.attributes {
		at, ok := g.cover.attributesOf(a.Profile)[s.name]
		if _, _, same := compare(s.want, a.Attributes[s.name], !ok || at.Type != attribute.Set); !same {
			return false
		}
	}
	return true
}

// String is what the test wrote. Instants that are relative count from the start of the test.
func (w *wantedActivation) String(g *rig) string {
	s := strings.TrimSpace(w.name + " " + w.transition)
	if w.profile != "" {
		s += " of " + w.profile
	}
	if w.at.given {
		s += " at " + show(w.at.from(g.c.start))
	}
	for _, a := range w.attributes {
		s += " " + a.name + "=" + shown(a.want)
	}
	return s
}

func (a *left) String() string {
	s := a.Name + " " + a.Transition + " of " + a.Profile + " at " + a.At
	names := make([]string, 0, len(a.Attributes))
	for name := range a.Attributes {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		s += " " + name + "=" + string(a.Attributes[name])
	}
	return s
}
