package shard

import (
	"encoding/binary"
	"reflect"
	"slices"

	"dashi/pipeline/activation"
	"dashi/pipeline/attribute"
	"dashi/pipeline/audience"
	"dashi/pipeline/event"
	"dashi/pipeline/expr"
	"dashi/pipeline/recipe"
	"dashi/shard/profile"
	"dashi/shard/timer"

	"github.com/RoaringBitmap/roaring/v2"
)

// applyCookbook puts a cookbook in force. Every record is rewritten at once: attributes whose name and
// definition are the same keep their state, the others start empty, and every audience is evaluated. An audience
// that both cookbooks have emits its transitions as usual; the first population of a new one is silent, because
// nothing happened to those people.
func (s *Shard) applyCookbook(body []byte, r *Result) {
	if len(body) < 9 || body[8] > 1 {
		r.refuse("cookbook entry of %d bytes", len(body))
		return
	}
	version, try := le64(body), body[8] == 1
	sources, rest, err := readSources(body[9:])
	if err != nil || len(rest) > 0 {
		r.refuse("cookbook entry of %d bytes is damaged", len(body))
		return
	}
	switch {
	case version == 0:
		version = s.version + 1
	case version <= s.version: // it has been switched already
		return
	case s.Held() != version:
		r.Outcome = Stale
		return
	}
	compiled, diagnostics := s.settings.compile(sources)
	if compiled == nil {
		detail := "cookbook has errors"
		if len(diagnostics) > 0 {
			detail = diagnostics[0].String()
		}
		r.refuse("%s", detail)
		return
	}
	same := s.program != nil && s.program.Hash == compiled.Hash
	switch why := s.reordered(compiled.Schema.Namespaces); {
	case why != "":
		r.refuse("%s", why)
		return
	case try:
		if s.held != nil {
			s.held.tried = true
		}
		return
	case s.peerBytes > 0 && !same:
		r.Outcome, r.Detail = Full, "messages for other shards are on their way"
		return
	}
	if !same {
		if s.held == nil {
			s.wakeAll() // what was due under the old cookbook happens under it
		}
		s.migrate(s.derive(compiled))
		s.apply.drain()
	}
	s.version, s.held = version, nil
}

// derive computes what the shard needs besides the program itself, and gives new namespaces their numbers.
func (s *Shard) derive(p *recipe.Program) *program {
	d := shapeOf(p)
	d.index = audience.NewIndex(p.Audiences, len(p.Attributes), len(p.Purposes))
	d.sticky.heed(p, d.index)
	d.paced = map[uint64]int{}
	d.merged = activation.NewSubject("merged", "", activation.Merged)
	d.unmerged = activation.NewSubject("unmerged", "", activation.Unmerged)
	d.erased = activation.NewSubject("erased", "", activation.Erased)
	d.onEnter, d.onExit = make([][]int, len(p.Audiences)), make([][]int, len(p.Audiences))
	d.onChange, d.onEvent = make([][]int, len(p.Rules)), make([][]int, len(p.Rules))
	d.levels = unknownLevels(p)
	s.numberNamespaces(d)
	for i := range p.Identity.Namespaces {
		d.periods = d.periods || p.Identity.Namespaces[i].Period > 0
	}
	for i := range p.Attributes {
		d.folds = append(d.folds, newFold(&p.Attributes[i], d.index.Read(i)))
	}
	for i := range p.Audiences {
		name := p.Audiences[i].Name
		d.enters = append(d.enters, activation.NewSubject(name, name, activation.Enter))
		d.exits = append(d.exits, activation.NewSubject(name, name, activation.Exit))
	}
	for i := range p.Activations {
		d.onTrigger(i, &p.Activations[i])
	}
	if p.Accounts != nil {
		d.byTimeParts = append(d.byTimeParts, timedParts(p, &p.Attributes[p.Accounts.MemberOf])...)
		for _, item := range p.Accounts.Items {
			if item.Attribute >= 0 {
				d.byTimeParts = append(d.byTimeParts, timedParts(p, &p.Attributes[item.Attribute])...)
			}
		}
	}
	return d
}

// numberNamespaces fills in what d keeps by namespace. It gives namespaces that are new to the shard their numbers.
func (s *Shard) numberNamespaces(d *program) {
	for _, ns := range d.Schema.Namespaces {
		i := slices.Index(s.namespaces, ns.Name)
		if i < 0 {
			i = len(s.namespaces)
			s.namespaces = append(s.namespaces, ns.Name)
		}
		d.namespace = append(d.namespace, uint8(i))
	}
	d.rank = make([]int, len(s.namespaces))
	for i := range d.rank {
		d.rank[i] = unranked
	}
	for i, ns := range d.namespace {
		d.rank[ns] = i
	}
	d.expire = make([]int64, 256)
	for i, ms := range d.Expire {
		d.expire[d.namespace[i]] = ms
	}
}

// onTrigger notes by what activation i is triggered, and its subject, pace and goal.
func (d *program) onTrigger(i int, act *recipe.Activation) {
	d.subjects = append(d.subjects, newSubject(d.Program, act))
	if act.Pace != nil {
		d.paced[act.Pace.ID] = i
	}
	if g := act.Goal(); g != nil {
		d.onGoal(i, g)
	}
	switch act.Trigger {
	case recipe.OnEnter:
		d.onEnter[act.Audience] = append(d.onEnter[act.Audience], i)
	case recipe.OnExit:
		d.onExit[act.Audience] = append(d.onExit[act.Audience], i)
	case recipe.OnChange:
		d.onAttribute(i, act.Attribute)
	case recipe.OnSessionStart, recipe.OnSessionEnd:
		d.onSession(i, act)
	case recipe.OnEvent:
		for t := range d.onEvent {
			if act.Type == t || act.Type < 0 {
				d.onEvent[t] = append(d.onEvent[t], i)
			}
		}
	}
}

// onAttribute notes that activation i waits for the change of an attribute: by time, and by events of the types whose rules may change it.
func (d *program) onAttribute(i, attribute int) {
	d.changes = append(d.changes, i)
	a := &d.Attributes[attribute]
	if parts := timedParts(d.Program, a); len(parts) > 0 {
		d.byTime, d.byTimeParts = append(d.byTime, i), append(d.byTimeParts, parts...)
	}
	for t, rules := range d.Rules {
		if slices.ContainsFunc(rules, func(r recipe.Rule) bool {
			return r.Attribute == attribute || slices.Contains(a.Reads, r.Attribute)
		}) {
			d.onChange[t] = append(d.onChange[t], i)
		}
	}
}

// shapeOf says where in a record of the program everything lies, which is all that reading a record needs.
func shapeOf(p *recipe.Program) *program {
	d := &program{
		Program:   p,
		consentAt: p.FixedSize,
		membersAt: p.FixedSize + 8*len(p.Purposes),
		words:     (len(p.Audiences) + 63) / 64,
		since:     p.Segments,
		pacing:    -1,
		told:      -1,
		crowd:     -1,
		links:     p.Segments + 1,
		sticky:    newStickiness(p),
		aloneAt:   -1,
	}
	if d.sticky.changing() {
		d.aloneAt = d.membersAt + 8*d.words
	}
	if slices.ContainsFunc(p.Activations, func(act recipe.Activation) bool { return act.Pace != nil }) {
		d.pacing, d.links = d.since+1, d.since+2
	}
	if p.Accounts != nil {
		d.told, d.links = d.links, d.links+1
	}
	return d
}

func newSubject(p *recipe.Program, act *recipe.Activation) *activation.Subject {
	switch act.Trigger {
	case recipe.OnEnter:
		return activation.NewSubject(act.Name, p.Audiences[act.Audience].Name, activation.Enter)
	case recipe.OnExit:
		return activation.NewSubject(act.Name, p.Audiences[act.Audience].Name, activation.Exit)
	case recipe.OnChange:
		return activation.NewSubject(act.Name, p.Attributes[act.Attribute].Name, activation.Change)
	case recipe.OnSessionStart:
		return activation.NewSubject(act.Name, act.Session, activation.SessionStart)
	case recipe.OnSessionEnd:
		return activation.NewSubject(act.Name, act.Session, activation.SessionEnd)
	}
	return activation.NewSubject(act.Name, "", activation.Event)
}

// layout is the shape of the program's records.
func (p *program) layout() profile.Layout {
	return profile.Layout{Fixed: p.membersAt + 8*p.words, Segments: max(p.links, p.crowd) + 1}
}

// fragmentLayout is the shape of fragments: they have no links, but an instant of their own (program.until).
func (p *program) fragmentLayout() profile.Layout {
	fixed := p.membersAt + 8*p.words
	if p.aloneAt >= 0 {
		fixed = p.aloneAt + 8
	}
	return profile.Layout{Fixed: fixed, Segments: p.links}
}

// reordered says why a program with these namespaces cannot follow the present one: where components lie depends on the order of the namespaces in them.
func (s *Shard) reordered(next []event.Namespace) string {
	if s.program == nil || sameRanks(s.program.Schema.Namespaces, next) || s.pointers.used == 0 && s.fragments.Len() == 0 {
		return ""
	}
	last, used := -1, s.linkedNamespaces()
	for i, ns := range s.program.Schema.Namespaces {
		if !used[s.program.namespace[i]] {
			continue
		}
		rank := slices.IndexFunc(next, func(o event.Namespace) bool { return o.Name == ns.Name })
		if rank < 0 {
			return "namespace " + ns.Name + " is not in the new cookbook, and people are linked by it: keep it, or begin anew from Kafka"
		}
		if rank < last {
			return "namespace " + ns.Name + " has another rank in the new cookbook, and people are linked by it: keep the order, or begin anew from Kafka"
		}
		last = rank
	}
	return ""
}

// linkedNamespaces are those of identifiers that are linked with others.
func (s *Shard) linkedNamespaces() (used [256]bool) {
	s.pointers.each(func(e *pointer) { used[e.ns], used[e.rootNS] = true, true })
	var c component
	s.table.Each(func(_ profile.Ref, rec profile.Record) bool {
		segment := rec.Segment(s.program.links)
		if len(segment) > 0 && segment[0] == segmentComponent {
			if _, err := c.read(segment[1:], nil, keyOf(rec)); err != nil {
				panic("BUG: the component in a record cannot be read: " + err.Error())
			}
			for i := range c.idents {
				used[c.idents[i].ns] = true
			}
		}
		return true
	})
	return used
}

// migrate moves every record into a table of the new program's shape.
func (s *Shard) migrate(next *program) {
	last, old, parts := s.program, s.table, s.fragments
	if last != nil {
		s.apply.catchUpFragments()
	}
	s.program = next
	s.table = profile.New(next.layout(), s.settings.Memory)
	s.fragments = profile.New(next.fragmentLayout(), s.settings.Memory)
	s.members, s.everyone = emptyMembers(len(next.Audiences)), roaring.New()
	expiries := s.expiries
	s.timers, s.expiries, s.first = timer.At(s.now), timer.At(s.now), expr.Never
	s.apply.use(next)
	s.migrateAccounts(next)
	s.carryGoals(last, next)
	if last == nil {
		return
	}
	s.carryLevels(last, next)
	s.carryFlows(last, next)
	m := newMove(last, next)
	old.Each(func(_ profile.Ref, rec profile.Record) bool {
		s.apply.adopt(m, rec)
		if ref, found := s.table.Find(rec.Hash(), rec.Namespace(), rec.Key()); found && rec.Version() > 0 {
			s.carryExpiry(expiries, rec.Ordinal(), s.table.Record(ref))
		}
		return true
	})
	old.Close()
	parts.Each(func(_ profile.Ref, rec profile.Record) bool {
		ref := s.apply.carry(m, s.fragments, s.fragments.Insert(rec.Hash(), rec.Namespace(), rec.Key()), rec)
		rec = s.fragments.Edit(ref)
		next.setUntil(rec.Fixed(), s.clockFor(s.now, rec))
		return true
	})
	parts.Close()
	s.apply.catchUpFragments()
	for o := range s.table.Ordinals() { // once all are there: activations name the other identifiers too
		if ref, found := s.table.ByOrdinal(o); found && s.table.Record(ref).Version() > 0 {
			s.apply.greet(m, ref)
		}
	}
	if !reflect.DeepEqual(last.Identity, next.Identity) {
		s.apply.partitionAll()
	}
}

// partitionAll partitions every component anew, because the rules have changed.
func (a *applier) partitionAll() {
	a.eachComponent(func() {
		a.partition(a.s.Now())
		a.store()
	})
}

// eachComponent calls f with every component in a.comp, in the order of the table.
func (a *applier) eachComponent(f func()) {
	s := a.s
	var roots []uint32
	s.table.Each(func(_ profile.Ref, rec profile.Record) bool {
		if segment := rec.Segment(s.program.links); len(segment) > 0 && segment[0] == segmentComponent {
			roots = append(roots, rec.Ordinal())
		}
		return true
	})
	for _, o := range roots {
		ref, _ := s.table.ByOrdinal(o)
		a.load(ref)
		f()
	}
}

func emptyMembers(n int) []*roaring.Bitmap {
	members := make([]*roaring.Bitmap, n)
	for i := range members {
		members[i] = roaring.New()
	}
	return members
}

// move says where everything in a record of the last program goes in a record of the next one.
type move struct {
	last       *program
	attributes []attributeMove
	purposes   [][2]int // old, new
	audiences  []int    // old index by new one, -1 for none
}

type attributeMove struct {
	from, to attribute.Slot
	size     int
}

func newMove(last, next *program) *move {
	m := &move{last: last}
	for i := range next.Attributes {
		a := &next.Attributes[i]
		if a.Kind == nil {
			continue
		}
		for j := range last.Attributes {
			b := &last.Attributes[j]
			if b.Kind != nil && a.Name == b.Name && a.Definition == b.Definition {
				m.attributes = append(m.attributes, attributeMove{from: b.Slot, to: a.Slot, size: a.Kind.FixedSize()})
			}
		}
	}
	for i, name := range next.Purposes {
		if j := slices.Index(last.Purposes, name); j >= 0 {
			m.purposes = append(m.purposes, [2]int{j, i})
		}
	}
	for i := range next.Audiences {
		m.audiences = append(m.audiences, slices.IndexFunc(last.Audiences, func(d audience.Definition) bool {
			return d.Name == next.Audiences[i].Name
		}))
	}
	return m
}

// adopt makes the record of one profile or component in the new table out of its old one.
func (a *applier) adopt(m *move, old profile.Record) {
	s, p := a.s, a.s.program
	ref := a.carry(m, s.table, s.table.Insert(old.Hash(), old.Namespace(), old.Key()), old)
	ref = s.table.SetSegment(ref, p.links, old.Segment(m.last.links))
	ref = a.carryAccounts(m, ref, old)
	rec := s.table.Record(ref)
	if old.Version() == 0 {
		return // it holds a component
	}
	s.everyone.Add(rec.Ordinal())
	for i := range p.Audiences {
		if s.inAudience(rec, i) {
			s.members[i].Add(rec.Ordinal())
		}
	}
}

// greet evaluates every audience for a profile that has just been adopted.
func (a *applier) greet(m *move, ref profile.Ref) {
	s, p := a.s, a.s.program
	a.meet(ref)
	a.ref, a.rec = ref, s.table.Edit(ref)
	now := s.clockFor(s.now, a.rec)
	a.env.Event, a.env.Now, a.env.Item, a.env.Scratch = nil, now, 0, a.env.Scratch[:0]
	p.env(&a.env, a.rec)
	a.draft.begin()
	p.index.All(a.dirty)
	var next int64
	a.flipped, next = p.index.Evaluate(&a.env, a.dirty, a.flipped)
	if len(p.byTimeParts) > 0 {
		next = min(next, a.nextChange())
	}
	if next != expr.Never {
		s.wakeBy(a.rec.Ordinal(), next)
	}
	if len(a.flipped) > 0 {
		a.writeMemberships(now)
	}
	for _, i := range a.flipped {
		if m.audiences[i] >= 0 {
			a.transition(i, now)
		}
	}
	if p.pacing >= 0 {
		a.paceStep()
	}
	a.contribute(now)
	a.keep()
}

// carry fills the record at ref in t, either of the new tables, with what the new program keeps of an old one.
func (a *applier) carry(m *move, t *profile.Table, ref profile.Ref, old profile.Record) profile.Ref {
	p := a.s.program
	rec := t.Edit(ref)
	rec.SetFirst(old.First())
	rec.SetLast(old.Last())
	rec.SetVersion(old.Version())
	rec.SetSequence(old.Sequence())
	was, is := old.Fixed(), rec.Fixed()
	for _, am := range m.attributes {
		copy(is[am.to.Offset:am.to.Offset+am.size], was[am.from.Offset:])
	}
	for _, pm := range m.purposes {
		copy(is[p.consentAt+8*pm[1]:][:8], was[m.last.consentAt+8*pm[0]:])
	}
	for _, am := range m.attributes {
		if am.to.Segment >= 0 {
			ref = t.SetSegment(ref, am.to.Segment, old.Segment(am.from.Segment))
		}
	}
	ref = a.carryMembership(m, t, ref, old)
	if m.last.pacing >= 0 {
		ref = a.carrySchedule(t, ref, old.Segment(m.last.pacing))
	}
	return ref
}

// carryMembership carries over the bits and entry times of audiences that both programs have.
func (a *applier) carryMembership(m *move, t *profile.Table, ref profile.Ref, old profile.Record) profile.Ref {
	p := a.s.program
	was := audience.NewBits(64 * max(1, m.last.words))
	entered := make([]uint64, len(m.last.Audiences))
	since := old.Segment(m.last.since)
	for w := range m.last.words {
		was[w] = le64(old.Fixed()[m.last.membersAt+8*w:])
	}
	for i := range m.last.Audiences {
		if was.Has(i) {
			entered[i] = le64(since)
			since = since[8:]
		}
	}
	a.scratch.since = a.scratch.since[:0]
	is := audience.NewBits(64 * max(1, p.words))
	for i, j := range m.audiences {
		// A fragment remembers, of an audience that was not sticky, more than what it was in alone.
		foreign := t != a.s.table && j >= 0 && p.Audiences[i].Sticky && !m.last.Audiences[j].Sticky
		if j >= 0 && was.Has(j) && !foreign {
			is.Set(i)
			a.scratch.since = binary.LittleEndian.AppendUint64(a.scratch.since, entered[j])
		}
	}
	ref = t.SetSegment(ref, p.since, a.scratch.since)
	fixed := t.Edit(ref).Fixed()
	for w := range p.words {
		binary.LittleEndian.PutUint64(fixed[p.membersAt+8*w:], is[w])
	}
	return ref
}
