package shard

import (
	"encoding/binary"

	"dashi/pipeline/audience"
	"dashi/pipeline/expr"
	"dashi/pipeline/identity"
	"dashi/shard/profile"
)

// partition partitions a.comp into profiles by its facts, and folds anew those whose set of fragments has changed. at is the event
// time of the fact that has changed something. The caller stores a.comp.
func (a *applier) partition(at int64) {
	c := &a.comp
	a.resolve()
	changed := false
	a.marks.was = a.marks.was[:0]
	for i := range c.idents {
		d := &c.idents[i]
		a.marks.was = append(a.marks.was, d.profile)
		d.profile = c.facts.Members[i].Profile
		changed = changed || d.state && d.profile != a.marks.was[i]
	}
	if changed {
		a.fillHashes(c)
		a.mark()
		a.catchUpMarked(at)
		a.refold(at)
	}
}

// resolve has the rules of the cookbook decide who is whom in a.comp: it fills in facts.Members and the verdicts of the links.
func (a *applier) resolve() {
	s, c := a.s, &a.comp
	c.facts.Members = c.facts.Members[:0]
	for i := range c.idents {
		d := &c.idents[i]
		c.facts.Members = append(c.facts.Members, identity.Member{Namespace: s.rank(d.ns), Saturated: d.saturated})
	}
	if n := identity.Saturate(&c.facts); n > 0 {
		s.counters.Junk += uint64(n)
		for i := range c.idents {
			c.idents[i].saturated = c.facts.Members[i].Saturated
		}
	}
	a.resolver.Resolve(&s.program.Identity, &c.facts)
}

// refold takes apart the profiles that lose or gain a fragment, which mark has marked, and folds those that come of them.
func (a *applier) refold(at int64) {
	s, c := a.s, &a.comp
	a.earlier.formers = a.earlier.formers[:0]
	if n := a.gainer(); n >= 0 {
		a.grow(n, at)
		return
	}
	a.seat()
	for o := range c.idents {
		if a.marks.old[o] {
			a.dismantle(o, at)
		}
	}
	for n := range c.idents {
		if a.marks.new[n] {
			a.assemble(n, at)
		}
	}
	a.tellGone(at)
	for o := range c.idents { // names of profiles that are no more
		d := &c.idents[o]
		if a.marks.old[o] && !a.marks.new[o] && o > 0 {
			if ref, found := s.table.Find(d.hash, d.ns, d.value); found {
				s.drop(ref)
				s.holders--
			}
		}
	}
	if a.marks.old[0] && !a.marks.new[0] {
		a.blank(c.idents[0].key)
	}
}

// drop deletes a record, with its timer.
func (s *Shard) drop(ref profile.Ref) {
	s.timers.Clear(s.table.Record(ref).Ordinal())
	s.expiries.Clear(s.table.Record(ref).Ordinal())
	s.table.Delete(ref)
}

// blank empties the record of a root that is no longer a profile: from now on it only holds the component.
func (a *applier) blank(root key) {
	s := a.s
	ref, _ := s.table.Find(root.hash, root.ns, root.value)
	rec := s.table.Edit(ref)
	rec.SetFirst(0)
	rec.SetLast(0)
	rec.SetSequence(0)
	clear(rec.Fixed())
	for k := range s.program.links {
		ref = s.table.SetSegment(ref, k, nil)
	}
}

// mark sets a.marks.old and a.marks.new for the old and new profiles that refold concerns, by the index of the identifier that names them: those
// that differ, and whatever shares a fragment with one of these.
func (a *applier) mark() {
	c := &a.comp
	n := len(c.idents)
	a.marks.old, a.marks.new = append(a.marks.old[:0], make([]bool, n)...), append(a.marks.new[:0], make([]bool, n)...)
	for more := true; more; {
		more = false
		for i := range c.idents {
			d := &c.idents[i]
			was, is := a.marks.was[i], d.profile
			if !d.state || a.marks.old[was] && a.marks.new[is] {
				continue
			}
			if was != is || a.marks.old[was] || a.marks.new[is] {
				a.marks.old[was], a.marks.new[is], more = true, true, true
			}
		}
	}
}

// dismantle makes a former of old profile o, keeps its fragments, and turns its record into an empty one.
func (a *applier) dismantle(o int, at int64) {
	s := a.s
	f, ref := a.remember(o, a.clockAt(at))
	s.vanish(s.table.Record(ref).Ordinal(), f.bits)
	s.table.Edit(ref).SetVersion(0)
	s.holders++
}

// vanish takes a profile out of the bitmaps of everybody and of the audiences that it is in.
func (s *Shard) vanish(ordinal uint32, in audience.Bits) {
	s.timers.Clear(ordinal)
	s.everyone.Remove(ordinal)
	in.Each(func(i int) { s.members[i].Remove(ordinal) })
}

// assemble folds the fragments of new profile n into its record. An audience that its old profile, or one that it takes in, was in is not entered
// again: the profile stays in silently for as long as the condition holds.
func (a *applier) assemble(n int, at int64) {
	s, p, c := a.s, a.s.program, &a.comp
	name := &c.idents[n]
	ref, found := s.table.Find(name.hash, name.ns, name.value)
	if !found {
		ref = s.table.Insert(name.hash, name.ns, name.value)
		if n > 0 {
			a.makePart(ref)
			ref, _ = s.table.Find(name.hash, name.ns, name.value)
		}
	} else {
		s.holders--
	}
	frozen, was := &a.earlier.frozen, &a.earlier.inherited
	frozen.clear(p)
	ref = a.foldProfile(n, ref, frozen)
	took := a.inherit(n, frozen, was)
	if p.pacing >= 0 {
		ref = s.table.SetSegment(ref, p.pacing, a.inheritSchedule(n, took, s.table.Record(ref).Segment(p.pacing)))
	}
	a.profile, a.fragment, a.ref = n, 0, ref
	a.rec = s.table.Edit(ref)
	a.rec.SetSequence(max(was.sequence, frozen.sequence))
	s.everyone.Add(a.rec.Ordinal())
	a.see(a.rec)
	a.draft.begin()
	copy(a.env.Audiences, was.bits)
	a.beginSticky(n, frozen, a.env.Audiences)
	p.index.All(a.dirty)
	var next int64
	a.flipped, next = p.index.Evaluate(&a.env, a.dirty, a.flipped)
	if len(p.byTimeParts) > 0 {
		next = min(next, a.nextChange())
	}
	if next != expr.Never {
		s.wakeBy(a.rec.Ordinal(), next)
	}
	is := audience.Bits(a.env.Audiences)
	if p.sticky.bits != nil { // compared with what its old profiles were in, not with what beginSticky made of that
		a.flipped = a.flipped[:0]
		for i := range p.Audiences {
			if is.Has(i) != was.bits.Has(i) {
				a.flipped = append(a.flipped, i)
			}
		}
	}
	if took > 0 && !a.loses(n) {
		frozen = nil
	}
	a.enterTimes(is, was, frozen, at)
	is.Each(func(i int) { s.members[i].Add(a.rec.Ordinal()) })
	for w := range p.words {
		binary.LittleEndian.PutUint64(a.rec.Fixed()[p.membersAt+8*w:], is[w])
	}
	a.ref = s.table.SetSegment(a.ref, p.since, a.scratch.since)
	a.rec = s.table.Edit(a.ref)
	p.env(&a.env, a.rec)
	a.announce(n, took, at)
	for _, i := range a.flipped {
		a.transition(i, at)
	}
	a.changedByFold(n, at)
	if p.pacing >= 0 {
		a.paceStep()
	}
	a.contribute(at)
	a.keep()
}

// see prepares a.env for a record without an event, with the clock of its profile.
func (a *applier) see(rec profile.Record) { a.seeAt(rec, a.s.clockFor(a.s.now, rec)) }

// seeAt prepares a.env for a record without an event, with the clock at an instant.
func (a *applier) seeAt(rec profile.Record, now int64) {
	a.env.Event, a.env.Now, a.env.Item, a.env.Scratch = nil, now, 0, a.env.Scratch[:0]
	a.s.program.env(&a.env, rec)
}
