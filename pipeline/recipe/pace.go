package recipe

import (
	"strconv"
	"strings"

	"github.com/cespare/xxhash/v2"
	"go.yaml.in/yaml/v3"

	"dashi/pipeline/activation"
	"dashi/pipeline/attribute"
	"dashi/pipeline/expr"
	"dashi/pipeline/zone"
)

// Pace is when an activation leaves after its trigger, how often, and what for.
type Pace struct {
	activation.Pace
	Key expr.Str // it leaves once for each value; nil: there is no key, or, if Keyed, it leaves once for ever
	// If is checked again after the delay, with Where when that reads no event; nil: always.
	If, Again expr.Bool
	// Until holds it back until the condition is true, for AtMost milliseconds; then it leaves if Send, or is dropped.
	Until     expr.Bool
	UntilNext func(*expr.Env) int64 // see expr.Expr; nil: time does not make it true
	AtMost    int64
	Send      bool
	// QuietZone is the zone of the person's quiet hours, by name; nil or absent: that of Quiet.
	QuietZone expr.Str
	Goal      *Goal // nil: it has no goal
}

var paceKeys = []key{
	{name: "delay", doc: "How long after its trigger it leaves; then the trigger must still stand: still in the audience, `where` still true. A new trigger begins again.",
		shape: &shape{is: text, doc: "A number of s, m, h or d, such as 1h.", or: []*shape{{is: object, keys: []key{
			{name: "for", doc: "How long.", required: true, shape: textShape("A number of s, m, h or d, such as 1h.")},
			{name: "if", doc: "Then this must hold as well.", shape: expressionShape("A CEL condition over attributes, audiences, consent and now.")},
		}}}}},
	{name: "hold", doc: "Keep it until a condition holds.", shape: &shape{is: object, keys: []key{
		{name: "until", doc: "It leaves as soon as this holds.", required: true, shape: expressionShape("A CEL condition over attributes, audiences, consent and now.")},
		{name: "at_most", doc: "How long to wait for that.", required: true, shape: textShape("A number of s, m, h or d, such as 3d.")},
		{name: "then", doc: "What becomes of it when that has passed; drop without it.", shape: &shape{is: text, words: []string{"drop", "send"}}},
	}}},
	{name: "key", doc: "It leaves once for each value of this, such as a cart's id; of the last " + strconv.Itoa(activation.MaxKeys) + " values.",
		shape: expressionShape("A CEL string over attributes and, with on event, the event.")},
	{name: "once", doc: "It leaves once: for each profile, ever; or in each session.", shape: textShape("profile; session, of the trigger or the only one; or a name under sessions.")},
	{name: "cap", doc: "No more often than so.", shape: &shape{is: object, keys: []key{
		{name: "count", doc: "How many.", required: true, shape: &shape{is: integer, min: 1, max: maxCap}},
		{name: "period", doc: "In how long a time.", required: true, shape: textShape("A number of s, m, h or d, such as 7d.")},
	}}},
	{name: "cooldown", doc: "After one of a group of activations has left, the others do not for a while.", shape: &shape{is: object, keys: []key{
		{name: "group", doc: "The group, of all recipes.", required: true, shape: textShape("A name.")},
		{name: "period", doc: "How long no other one of the group leaves.", required: true, shape: textShape("A number of s, m, h or d, such as 24h.")},
		{name: "priority", doc: "The higher one leaves first of those at the same instant, and is not kept back by a lower one; 0 without it.", shape: &shape{is: integer, min: -1000, max: 1000}},
	}}},
	{name: "quiet", doc: "Hours of the day in which it does not leave.", shape: &shape{is: object, keys: []key{
		{name: "from", doc: "When they begin.", required: true, shape: textShape("A time of day, such as \"21:00\", in quotes.")},
		{name: "to", doc: "When they end, perhaps on the next day.", required: true, shape: textShape("A time of day, such as \"08:00\", in quotes.")},
		{name: "zone", doc: "The time zone of those whose own is not known; UTC without it.", shape: textShape("An IANA name such as Europe/London.")},
		{name: "zone_from", doc: "The attribute that holds the name of a person's zone.", shape: textShape("An attribute.")},
		{name: "then", doc: "What becomes of it: wait for the end of the quiet hours, as without it, or drop.", shape: &shape{is: text, words: []string{"wait", "drop"}}},
	}}},
	goalKey,
}

const maxCap = 100 // each is 25 bytes a profile

// pace compiles what a recipe says of when an activation leaves; nil when it says nothing.
func (c *compiler) pace(e *entry, a *Activation) (p *Pace, good bool) {
	any := false
	for _, k := range paceKeys {
		any = any || value(e.node, k.name) != nil
	}
	if !any {
		return nil, true
	}
	p = &Pace{Pace: activation.Pace{ID: xxhash.Sum64String("activation\x00" + e.name)}}
	good = c.paceDelay(e, a, p)
	good = c.paceHold(e, p) && good
	good = c.paceKey(e, a, p) && good
	good = c.paceCap(e, p) && good
	if n := value(e.node, "goal"); n != nil {
		p.Goal = c.goal(e, a, n)
		good = good && p.Goal != nil
	}
	return p, c.paceQuiet(e, p) && good
}

func (c *compiler) paceLength(e *entry, n *yaml.Node, what string, ms *int64) bool {
	v, err := attribute.ParseLength(n.Value)
	if err != nil {
		c.report(e.doc, n, "`"+what+"` of "+quote(e.name)+": "+err.Error(), "for instance 30m, 24h or 7d")
		return false
	}
	*ms = v
	return true
}

// later compiles a condition that is evaluated when there is no event.
func (c *compiler) later(e *entry, n *yaml.Node, what string, wakes bool) *expr.Expr {
	return c.compile(e.doc, n, "`"+what+"` of "+quote(e.name), where{attributes: true, all: true, clock: true, wakes: wakes}, expr.BoolType)
}

func (c *compiler) paceDelay(e *entry, a *Activation, p *Pace) bool {
	n := value(e.node, "delay")
	if n == nil {
		return true
	}
	if !a.whereReadsEvent {
		p.Again = a.Where
	}
	if n.Kind == yaml.ScalarNode {
		return c.paceLength(e, n, "delay", &p.Delay)
	}
	good := c.paceLength(e, value(n, "for"), "delay", &p.Delay)
	if cond := value(n, "if"); cond != nil {
		x := c.later(e, cond, "if", false)
		if x == nil {
			return false
		}
		p.If = x.Bool
	}
	return good
}

func (c *compiler) paceHold(e *entry, p *Pace) bool {
	n := value(e.node, "hold")
	if n == nil {
		return true
	}
	p.Send = content(n, "then") == "send"
	good := c.paceLength(e, value(n, "at_most"), "at_most", &p.AtMost)
	x := c.later(e, value(n, "until"), "until", true)
	if x == nil {
		return false
	}
	p.Until, p.UntilNext = x.Bool, x.Next
	return good
}

func (c *compiler) paceKey(e *entry, a *Activation, p *Pace) bool {
	n, once := value(e.node, "key"), value(e.node, "once")
	p.PerSession = once != nil && once.Value != onceProfile
	p.Keyed = n != nil || once != nil && !p.PerSession
	switch {
	case n != nil && once != nil:
		c.report(e.doc, once, "`once` of "+quote(e.name)+" stands beside `key`", "with a key it leaves once for each value: remove one of the two")
		return false
	case p.PerSession:
		return c.oncePerSession(e, a, once)
	case n == nil:
		return true
	}
	x := c.compile(e.doc, n, "`key` of "+quote(e.name), where{event: a.Trigger == OnEvent, attributes: true, all: true}, expr.StringType)
	if x == nil {
		return false
	}
	p.Key, a.Fields = x.Str, append(a.Fields, x.Fields...)
	return true
}

func (c *compiler) paceCap(e *entry, p *Pace) bool {
	good := true
	if n := value(e.node, "cap"); n != nil {
		p.Count = wholeNumber(value(n, "count"), 0)
		good = c.paceLength(e, value(n, "period"), "period", &p.Period)
	}
	if n := value(e.node, "cooldown"); n != nil {
		p.Group = max(xxhash.Sum64String("group\x00"+content(n, "group")), 1)
		good = c.paceLength(e, value(n, "period"), "period", &p.Cooldown) && good
		if at := value(n, "priority"); at != nil {
			v, _ := strconv.ParseFloat(at.Value, 64)
			p.Priority = int(v)
		}
	}
	return good
}

func (c *compiler) paceQuiet(e *entry, p *Pace) bool {
	n := value(e.node, "quiet")
	if n == nil {
		return true
	}
	q := &activation.Quiet{Drop: content(n, "then") == "drop", Zone: &zone.Zone{}}
	good := c.timeOfDay(e, value(n, "from"), &q.From)
	good = c.timeOfDay(e, value(n, "to"), &q.To) && good
	if good && q.From == q.To {
		c.report(e.doc, value(n, "to"), "the quiet hours of "+quote(e.name)+" are the whole day", "nothing would ever leave")
		good = false
	}
	if name := value(n, "zone"); name != nil {
		z, err := zone.Load(name.Value)
		if err != nil {
			hint := ""
			if near := zone.Near(name.Value); near != "" {
				hint = "did you mean " + quote(near) + "?"
			}
			c.report(e.doc, name, "unknown time zone "+quote(name.Value), hint)
			good = false
		}
		q.Zone = z
	}
	from := value(n, "zone_from")
	if from == nil && value(n, "zone") == nil {
		hint := "write `zone: Europe/Berlin` for instance, or `zone: UTC` if that is meant; `zone_from` names an attribute with each person's own"
		if own := content(e.doc.root, "zone"); own != "" {
			hint = "`zone: " + own + "` of the recipe is that of its windows: write it here too"
		}
		c.warn(e.doc, n, "the quiet hours of "+quote(e.name)+" are those of UTC: they name no zone", hint)
	}
	if from != nil {
		i, known := c.named(e, "attribute", from)
		if known && c.program.Attributes[i].Type != attribute.String {
			c.report(e.doc, from, quote(from.Value)+" is no string: it cannot hold the name of a time zone", "for instance {kind: last, on: \"*\", value: context.timezone}")
			known = false
		}
		if good = good && known; known {
			p.QuietZone = c.program.Attributes[i].Str
		}
	}
	p.Quiet = q
	return good
}

// timeOfDay reads 21:00, or 21 and 1260, which is what YAML makes of it without quotes in some readers.
func (c *compiler) timeOfDay(e *entry, n *yaml.Node, ms *int64) bool {
	hours, minutes, ok := strings.Cut(n.Value, ":")
	h, err := strconv.ParseUint(hours, 10, 8)
	m, err2 := strconv.ParseUint(minutes, 10, 8)
	if !ok || err != nil || err2 != nil || len(minutes) != 2 || h > 23 || m > 59 {
		c.report(e.doc, n, quote(n.Value)+" is no time of day", "write it as \"21:00\", from 00:00 to 23:59")
		return false
	}
	*ms = int64(h*60+m) * 60_000
	return true
}

// Known says whether the program has an activation, a group or a goal with this id, for activation.Schedule.Keep.
func (p *Program) Known(id uint64) bool {
	for i := range p.Activations {
		if a := p.Activations[i].Pace; a != nil && (a.ID == id || a.Group == id || a.Goal != nil && a.Goal.ID == id) {
			return true
		}
	}
	return false
}
