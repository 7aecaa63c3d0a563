package shard

import (
	"encoding/binary"
	"slices"

	"dashi/pipeline/activation"
	"dashi/pipeline/attribute"
	"dashi/pipeline/audience"
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
	sources, rest, err := readSources(body)
	if err != nil || len(rest) > 0 {
		r.refuse("cookbook entry of %d bytes is damaged", len(body))
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
	if s.program != nil && s.program.Hash == compiled.Hash {
		return
	}
	s.wakeAll() // what was due under the old cookbook happens under it
	s.migrate(s.derive(compiled))
}

// derive computes what the shard needs besides the program itself, and gives new namespaces their numbers.
func (s *Shard) derive(p *recipe.Program) *program {
	words := (len(p.Audiences) + 63) / 64
	d := &program{
		Program:   p,
		index:     audience.NewIndex(p.Audiences, len(p.Attributes), len(p.Purposes)),
		consentAt: p.FixedSize,
		membersAt: p.FixedSize + 8*len(p.Purposes),
		words:     words,
		since:     p.Segments,
		pacing:    -1,
		paced:     map[uint64]int{},
		onEnter:   make([][]int, len(p.Audiences)),
		onExit:    make([][]int, len(p.Audiences)),
		onChange:  make([][]int, len(p.Rules)),
		onEvent:   make([][]int, len(p.Rules)),
	}
	for _, ns := range p.Schema.Namespaces {
		i := slices.Index(s.namespaces, ns.Name)
		if i < 0 {
			i = len(s.namespaces)
			s.namespaces = append(s.namespaces, ns.Name)
		}
		d.namespace = append(d.namespace, uint8(i))
	}
	for i := range p.Attributes {
		d.folds = append(d.folds, newFold(&p.Attributes[i], d.index.Read(i)))
	}
	for i := range p.Audiences {
		name := p.Audiences[i].Name
		d.enters = append(d.enters, activation.NewSubject(name, name, activation.Enter))
		d.exits = append(d.exits, activation.NewSubject(name, name, activation.Exit))
	}
	for i, act := range p.Activations {
		d.subjects = append(d.subjects, newSubject(p, &act))
		if act.Pace != nil {
			d.pacing, d.paced[act.Pace.ID] = p.Segments+1, i
		}
		switch act.Trigger {
		case recipe.OnEnter:
			d.onEnter[act.Audience] = append(d.onEnter[act.Audience], i)
		case recipe.OnExit:
			d.onExit[act.Audience] = append(d.onExit[act.Audience], i)
		case recipe.OnChange:
			a := &p.Attributes[act.Attribute]
			for t, rules := range p.Rules {
				if slices.ContainsFunc(rules, func(r recipe.Rule) bool {
					return r.Attribute == act.Attribute || slices.Contains(a.Reads, r.Attribute)
				}) {
					d.onChange[t] = append(d.onChange[t], i)
				}
			}
		case recipe.OnEvent:
			for t := range d.onEvent {
				if act.Type == t || act.Type < 0 {
					d.onEvent[t] = append(d.onEvent[t], i)
				}
			}
		}
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
	}
	return activation.NewSubject(act.Name, "", activation.Event)
}

// layout is the shape of the program's records.
func (p *program) layout() profile.Layout {
	segments := p.Segments + 1
	if p.pacing >= 0 {
		segments++
	}
	return profile.Layout{Fixed: p.membersAt + 8*p.words, Segments: segments}
}

// migrate moves every record into a table of the new program's shape.
func (s *Shard) migrate(next *program) {
	last, old := s.program, s.table
	s.program = next
	s.table = profile.New(next.layout(), s.settings.Memory)
	s.members, s.everyone = emptyMembers(len(next.Audiences)), roaring.New()
	s.timers, s.first = timer.At(s.now), expr.Never
	s.apply.use(next)
	if last == nil {
		return
	}
	m := newMove(last, next)
	old.Each(func(_ profile.Ref, rec profile.Record) bool {
		s.apply.adopt(m, rec)
		return true
	})
	old.Close()
}

func emptyMembers(n int) []*roaring.Bitmap {
	members := make([]*roaring.Bitmap, n)
	for i := range members {
		members[i] = roaring.New()
	}
	return members
}

// move says where everything of an old record goes in a new one.
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

// adopt makes the record of one profile in the new table out of its old one.
func (a *applier) adopt(m *move, old profile.Record) {
	s, p := a.s, a.s.program
	a.ref = s.table.Insert(old.Hash(), old.Namespace(), old.Key())
	a.rec = s.table.Edit(a.ref)
	s.everyone.Add(a.rec.Ordinal())
	a.rec.SetFirst(old.First())
	a.rec.SetLast(old.Last())
	a.rec.SetVersion(old.Version())
	a.rec.SetSequence(old.Sequence())
	was, is := old.Fixed(), a.rec.Fixed()
	for _, am := range m.attributes {
		copy(is[am.to.Offset:am.to.Offset+am.size], was[am.from.Offset:])
	}
	for _, pm := range m.purposes {
		copy(is[p.consentAt+8*pm[1]:][:8], was[m.last.consentAt+8*pm[0]:])
	}
	for _, am := range m.attributes {
		if am.to.Segment >= 0 {
			a.ref = s.table.SetSegment(a.ref, am.to.Segment, old.Segment(am.from.Segment))
		}
	}
	a.rec = s.table.Edit(a.ref)
	a.env.Event, a.env.Now, a.env.Item, a.env.Scratch = nil, s.now, 0, a.env.Scratch[:0]
	a.adoptMembership(m, old)
	if m.last.pacing >= 0 {
		a.adoptSchedule(old.Segment(m.last.pacing))
	}
	p.env(&a.env, a.rec)
	a.draft.begin()
	p.index.All(a.dirty)
	var next int64
	a.flipped, next = p.index.Evaluate(&a.env, a.dirty, a.flipped)
	if next != expr.Never {
		s.wakeBy(a.rec.Ordinal(), next)
	}
	if len(a.flipped) > 0 {
		a.join(s.now)
	}
	for _, i := range a.flipped {
		if m.audiences[i] >= 0 {
			a.transition(i, s.now)
		}
	}
	if p.pacing >= 0 {
		a.paceStep()
	}
	a.keep()
}

// adoptMembership carries over the bits and entry times of audiences that both programs have.
func (a *applier) adoptMembership(m *move, old profile.Record) {
	s, p := a.s, a.s.program
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
	a.since = a.since[:0]
	is := audience.NewBits(64 * max(1, p.words))
	for i, j := range m.audiences {
		if j >= 0 && was.Has(j) {
			is.Set(i)
			a.since = binary.LittleEndian.AppendUint64(a.since, entered[j])
			s.members[i].Add(a.rec.Ordinal())
		}
	}
	a.ref = s.table.SetSegment(a.ref, p.since, a.since)
	a.rec = s.table.Edit(a.ref)
	for w := range p.words {
		binary.LittleEndian.PutUint64(a.rec.Fixed()[p.membersAt+8*w:], is[w])
	}
}
