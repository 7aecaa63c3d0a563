package recipe

import (
	"strconv"
	"strings"

	"github.com/cespare/xxhash/v2"
	"go.yaml.in/yaml/v3"

	"dashi/pipeline/attribute"
	"dashi/pipeline/expr"
)

// Goal is what an activation is for: an event that people are to bring about within a time after it has left. A share of the people may be held
// back, to compare with.
type Goal struct {
	ID       uint64   // the counts are kept under it; it changes with anything in the goal
	Events   []string // as the recipe names them; "*" alone for every event
	Every    bool
	Types    []int     // Event.Type of these
	Where    expr.Bool // nil: always
	Fields   []int     // fields of the event that Where reads
	Within   int64     // milliseconds
	HoldBack float64   // percent; 0: nobody is held back

	sides *attribute.Bucket // nil: nobody is held back
}

const heldBack = "held back"

// HoldsBack says whether the person, or account, with this hash (identity.Hash of the profile's identifier) is held back.
func (g *Goal) HoldsBack(hash uint64) bool { return g.sides != nil && g.sides.Of(hash) == heldBack }

// Of says whether events of type t, by Event.Type, may be the goal.
func (g *Goal) Of(t int) bool {
	for _, want := range g.Types {
		if want == t {
			return true
		}
	}
	return g.Every
}

var goalKey = key{name: "goal", doc: "What it is for: an event that follows it. How many people come to that is counted, and compared with people who are held back.", shape: &shape{is: object, keys: []key{
	{name: "on", doc: "The events that are the goal: one name, a list of names, or \"*\" for every event.", required: true, shape: onShape},
	{name: "where", doc: "Only those for which this holds.", shape: expressionShape("A CEL condition over the event, attributes, audiences and consent.")},
	{name: "within", doc: "How long after the activation has left it counts.", required: true, shape: textShape("A number of s, m, h, d or w, such as 14d.")},
	{name: "hold_back", doc: "The share of people who do not get the activation, so that there is something to compare with; nobody without it. Who that is follows from the profile's id and the name of the activation.",
		shape: textShape("A percentage, such as 10%.")},
}}}

// goal compiles the goal of an activation that has one.
func (c *compiler) goal(e *entry, a *Activation, n *yaml.Node) *Goal {
	g := &Goal{}
	for _, t := range elements(value(n, "on")) {
		g.Events = append(g.Events, t.Value)
	}
	g.Every, g.Types = c.on(e.doc, value(n, "on"))
	good := c.paceLength(e, value(n, "within"), "within", &g.Within)
	if w := value(n, "where"); w != nil {
		x := c.compile(e.doc, w, "`where` of the goal of "+quote(e.name), where{event: true, attributes: true, all: true, clock: true}, expr.BoolType)
		if x == nil || !c.askConsent(e, w, x.Attributes, append(x.Purposes, a.Requires...), "add `requires: %s`") {
			return nil
		}
		g.Where, g.Fields = x.Bool, x.Fields
	}
	if h := value(n, "hold_back"); h != nil {
		good = c.holdBack(e, h, g) && good
	}
	h := xxhash.New()
	h.WriteString("goal\x00" + e.name + "\x00" + strings.Join(g.Events, "\x00") + "\x00\x00" + content(n, "where") + "\x00" +
		strconv.FormatInt(g.Within, 10) + "\x00" + strconv.FormatFloat(g.HoldBack, 'g', -1, 64))
	if g.ID = h.Sum64(); !good {
		return nil
	}
	return g
}

// holdBack reads a percentage.
func (c *compiler) holdBack(e *entry, n *yaml.Node, g *Goal) bool {
	number, isPercentage := strings.CutSuffix(n.Value, "%")
	v, err := strconv.ParseFloat(strings.TrimSpace(number), 64)
	switch {
	case err != nil || !isPercentage:
		c.report(e.doc, n, "`hold_back` of "+quote(e.name)+" is "+quote(n.Value)+", which is no percentage", "for instance 10%, or 2.5%")
		return false
	case !(v >= 0.01 && v <= 99):
		c.report(e.doc, n, "`hold_back` of "+quote(e.name)+" is "+n.Value, "it is from 0.01% to 99%; leave it out to hold nobody back")
		return false
	}
	sides, err := attribute.NewBucket(attribute.Spec{Salt: "goal " + e.name, Weights: []attribute.Weight{{Name: heldBack, Weight: v}, {Name: "treated", Weight: 100 - v}}})
	if err != nil {
		panic("BUG: " + err.Error())
	}
	g.HoldBack, g.sides = v, sides
	return true
}
