package recipetest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"dashi/pipeline/event"
	"dashi/pipeline/identity"
	"dashi/pipeline/recipe"
	"dashi/shard"
	"dashi/shard/profile"
)

// Failure is one thing that a test states and that does not hold.
type Failure struct {
	File      string
	Line      int
	Test      string
	At        string // where the clock stood
	What      string
	Want, Got string
}

// Result is what became of one test.
type Result struct {
	Case     *Case
	Failures []Failure
}

// Runner runs tests of one cookbook.
type Runner struct {
	program  *recipe.Program
	sources  []recipe.Source
	settings shard.Settings
	decoder  *event.Decoder
	rows     map[string]*rows
	cover    *coverage
}

// rows maps rows with one mapping.
type rows struct {
	columns []string
	binding *recipe.Binding
	row     []string
}

// mostRecent is how many message ids a test remembers: more than it has events.
const mostRecent = 1 << 17

// New makes a runner for a compiled cookbook.
func New(program *recipe.Program) *Runner {
	c := newCoverage(program)
	r := &Runner{program: c.program, sources: program.Sources, rows: map[string]*rows{}, cover: c}
	r.settings = shard.DefaultSettings
	r.settings.Memory, r.settings.RecentIDs = profile.Heap{}, mostRecent
	r.settings.Compile = func([]recipe.Source) (*recipe.Program, []recipe.Diagnostic) { return c.program, nil }
	r.decoder = event.NewDecoder(program.Schema, event.DefaultLimits)
	return r
}

// rig is one test under way.
type rig struct {
	*Runner
	c        *Case
	shard    *shard.Shard
	now      int64 // the clock
	when     int64 // of the step: its event time
	stream   shard.Stream
	offset   int64
	batch    shard.Batch
	event    event.Event
	view     shard.View
	left     []left // activations since they were last looked at
	buf      []byte
	failures []Failure
}

// left is an activation that left.
type left struct {
	Name       string                     `json:"activation"`
	Transition string                     `json:"transition"`
	Profile    string                     `json:"profile"`
	Type       string                     `json:"type"`
	EventTime  string                     `json:"event_time"`
	At         string                     `json:"at"`
	Attributes map[string]json.RawMessage `json:"attributes"`
}

// Run runs one test.
func (r *Runner) Run(c *Case) Result {
	g := &rig{Runner: r, c: c, shard: shard.New(r.settings), now: c.start, offset: -1}
	defer g.shard.Close()
	g.stream.Topic[0] = 1
	g.apply(shard.AppendCookbook(nil, 0, r.sources))
	if c.byEvent {
		g.apply(shard.AppendClock(nil, 0, true, 0))
	} else {
		g.apply(shard.AppendTick(nil, c.start))
	}
	for i := range c.steps {
		g.step(&c.steps[i])
	}
	r.cover.sizes(g.shard)
	return Result{Case: c, Failures: g.failures}
}

func (g *rig) step(s *step) {
	g.when = s.at.from(g.now)
	if !s.sent && g.when < g.now {
		g.fail(s.line, "at", "an instant to which the clock can move on", show(g.when)+": the clock stands later; beside an event it would be a late one")
		return
	}
	if g.when > g.now {
		g.now = g.when
		switch {
		case !g.c.byEvent:
			g.apply(shard.AppendTick(g.buf[:0], g.now))
		case !s.sent: // an event moves its own profile's clock
			g.apply(shard.AppendClock(g.buf[:0], g.now, true, g.now))
		}
		g.findLevels()
	}
	s.do(g, s)
}

// findLevels finds out the thresholds among all profiles when an hour has begun, as a node does.
func (g *rig) findLevels() {
	_, as, wanted := g.shard.Levels(g.now)
	if as >= wanted {
		return
	}
	var levels, values []float64
	g.view.At = g.now
	for i := range g.program.Levels {
		values, _, _ = g.shard.EachNumber(values[:0], &g.program.Levels[i], 0, math.MaxUint32, &g.view)
		levels = append(levels, g.program.Levels[i].Of(values))
	}
	g.apply(shard.AppendLevels(nil, g.now, g.program.Hash, wanted, levels))
	for g.shard.Wake() == math.MinInt64 {
		g.apply(shard.AppendTick(nil, g.now))
	}
}

func (g *rig) fail(line int, what, want, got string) {
	g.failures = append(g.failures, Failure{File: g.c.File, Line: line, Test: g.c.Name, At: show(g.now), What: what, Want: want, Got: got})
}

// apply gives the shard an entry, takes what leaves, and acknowledges it, as a sink does.
func (g *rig) apply(entry []byte) {
	result := g.shard.Apply(entry)
	if result.Outcome != shard.Accepted {
		panic(fmt.Sprintf("recipetest: BUG: the shard answers %s: %s", result.Outcome, result.Detail))
	}
	if result.Activations == 0 {
		return
	}
	next := uint64(0)
	g.shard.Outbox(0, func(position uint64, _, payload []byte) bool {
		var a left
		if err := json.Unmarshal(payload, &a); err != nil {
			panic("recipetest: BUG: an activation is no JSON: " + err.Error())
		}
		g.left = append(g.left, a)
		g.cover.activated(a.Name)
		next = position + 1
		return true
	})
	g.shard.Apply(shard.AppendAck(g.buf[:0], g.now, next))
	g.cover.sizes(g.shard)
}

// run sends the message.
func (e *eventStep) run(g *rig, s *step) {
	m := merge(nil, e.message)
	untimed := m["timestamp"] == nil
	if e.id != "" {
		m["messageId"] = e.id
	}
	who := e.who
	if who == nil && !e.whole {
		who = g.c.who
	}
	for _, id := range who {
		if !g.identify(m, id) {
			g.fail(s.line, "who", "an identifier of the cookbook", id+": there is no such namespace; there are "+strings.Join(g.namespaces(), ", "))
			return
		}
	}
	var text []byte
	first := g.when
	for i := range e.repeat {
		if i > 0 && e.every > 0 {
			g.step(&step{at: moment{given: true, millis: first + int64(i)*e.every}, sent: true, do: nothing})
		}
		if i == 0 || e.every > 0 {
			if untimed {
				m["timestamp"] = show(g.when)
			}
			var err error
			if text, err = json.Marshal(m); err != nil {
				g.fail(s.line, "the message", "JSON", err.Error())
				return
			}
		}
		g.send(text, s.line, e.rejected)
	}
}

func (g *rig) namespaces() []string {
	var names []string
	for _, ns := range g.program.Schema.Namespaces {
		names = append(names, ns.Name)
	}
	return names
}

// identify puts an identifier where the cookbook looks for it.
func (g *rig) identify(m map[string]any, id string) bool {
	name, value, _ := strings.Cut(id, ":")
	if isAccount(id) && g.program.Accounts != nil {
		if m["type"] == "group" {
			m["groupId"] = value
		} else {
			context, _ := m["context"].(map[string]any)
			m["context"] = merge(map[string]any{"groupId": value}, context)
		}
		return true
	}
	i := slices.Index(g.namespaces(), name)
	if i < 0 {
		return false
	}
	path := g.program.Schema.Namespaces[i].Paths[0]
	for _, key := range path[:len(path)-1] {
		inner, _ := m[key].(map[string]any)
		inner = merge(inner, nil)
		m[key], m = inner, inner
	}
	m[path[len(path)-1]] = value
	return true
}

// send decodes a message and applies it as a batch of one.
func (g *rig) send(text []byte, line int, rejected string) {
	err := g.decoder.Decode(text, g.now, &g.event)
	if g.refused(err, line, rejected, text) {
		return
	}
	g.batch.Begin(g.program.Hash, g.stream, g.offset)
	g.offset++
	g.batch.Add(g.offset, &g.event)
	g.apply(g.batch.Seal(g.offset, g.now))
}

// refused says whether an event must not, or cannot, be applied.
func (g *rig) refused(err error, line int, rejected string, text []byte) bool {
	var why *event.Rejected
	reason := ""
	if errors.As(err, &why) {
		reason = string(why.Reason)
	}
	switch {
	case err == nil && rejected == "":
		return false
	case err == nil:
		g.fail(line, "rejected", rejected, "the event is taken: "+string(text))
	case rejected == "":
		g.fail(line, "the event", "to be taken", "rejected: "+err.Error())
	case rejected != "true" && rejected != reason:
		g.fail(line, "rejected", rejected, err.Error())
	}
	return true
}

// run sends the row through its mapping.
func (x *rowStep) run(g *rig, s *step) {
	m, err := g.mapped(x.mapping)
	if err != nil {
		g.fail(s.line, "map", "a mapping of the cookbook", err.Error())
		return
	}
	text, err := json.Marshal(x.row)
	if err != nil {
		g.fail(s.line, "the row", "JSON", err.Error())
		return
	}
	for range x.repeat {
		err := recipe.ParseRow(text, m.columns, m.row)
		if err == nil {
			g.buf, _, g.when, err = m.binding.AppendEvent(g.buf[:0], m.row)
		}
		g.cover.mapped(x.mapping)
		if errors.Is(err, recipe.ErrAnonymous) && x.rejected == "" {
			continue
		}
		if err != nil {
			g.refused(err, s.line, x.rejected, text)
			continue
		}
		if g.when > g.now { // a row says itself when it was
			moved := step{at: moment{given: true, millis: g.when}, sent: true, do: nothing}
			message := slices.Clone(g.buf)
			g.step(&moved)
			g.send(message, s.line, x.rejected)
			continue
		}
		g.send(slices.Clone(g.buf), s.line, x.rejected)
	}
}

func (g *rig) mapped(name string) (*rows, error) {
	if m := g.rows[name]; m != nil {
		return m, nil
	}
	mapping := g.program.Mappings[name]
	if mapping == nil {
		return nil, fmt.Errorf("there is no mapping %q", name)
	}
	binding, err := mapping.Bind(mapping.Columns)
	if err != nil {
		return nil, err
	}
	m := &rows{columns: mapping.Columns, binding: binding, row: make([]string, len(mapping.Columns))}
	g.rows[name] = m
	return m, nil
}

// run tells the shard.
func (u *unlinkStep) run(g *rig, s *step) {
	var spaces [2]string
	var values [2][]byte
	for i, id := range u.ids {
		var why string
		if spaces[i], values[i], why = g.normal(id); why == "" && isAccount(id) {
			why = "an account is linked with nobody"
		}
		if why != "" {
			g.fail(s.line, "unlink", "an identifier of the cookbook", id+": "+why)
			return
		}
	}
	if spaces[0] == spaces[1] && bytes.Equal(values[0], values[1]) {
		g.fail(s.line, "unlink", "two identifiers", u.ids[0]+" and "+u.ids[1]+" are one and the same")
		return
	}
	g.apply(shard.AppendUnlink(nil, g.now, spaces[0], values[0], spaces[1], values[1]))
}

// normal is an identifier in the form in which it is kept; else why says what is wrong with it.
func (g *rig) normal(id string) (namespace string, value []byte, why string) {
	namespace, text, _ := strings.Cut(id, ":")
	i := slices.IndexFunc(g.program.LookUp, func(ns event.Namespace) bool { return ns.Name == namespace })
	if i < 0 {
		return "", nil, "there is no such namespace; there are " + strings.Join(g.namespaces(), ", ")
	}
	ns := &g.program.LookUp[i]
	if ns.Normalise == nil {
		return namespace, []byte(text), ""
	}
	value, ok := ns.Normalise(nil, []byte(text))
	if !ok {
		return "", nil, ns.Refusal([]byte(text))
	}
	return namespace, value, ""
}

// look fills g.view with the profile of an identifier.
func (g *rig) look(id string) bool {
	namespace, value, why := g.normal(id)
	if why != "" {
		return false
	}
	g.view.At = g.now
	return g.shard.Lookup([]byte(namespace), value, identity.Hash(namespace, value), &g.view)
}
