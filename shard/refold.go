package shard

import (
	"encoding/binary"
	"slices"

	"dashi/pipeline/activation"
	"dashi/pipeline/audience"
	"dashi/pipeline/consent"
	"dashi/pipeline/expr"
	"dashi/pipeline/identity"
	"dashi/shard/profile"
)

// former is a profile as it was before its component was partitioned anew.
type former struct {
	id       int // the identifier that named it
	bits     audience.Bits
	since    []int64 // by audience
	sequence uint32
	schedule []byte
	told     []byte // what accounts were told
	values   []byte // of the attributes that program.changes wait for, and where each ends
	ends     []int
	loses    bool // one of its fragments goes to another profile
}

// clear makes it a former that was in nothing, with room for the audiences of p.
func (f *former) clear(p *program) {
	n := len(p.Audiences)
	f.bits, f.since = slices.Grow(f.bits[:0], max(1, p.words))[:max(1, p.words)], slices.Grow(f.since[:0], n)[:n]
	clear(f.bits)
	clear(f.since)
	f.id, f.sequence, f.schedule, f.loses = -1, 0, f.schedule[:0], false
	f.told = f.told[:0]
	f.values, f.ends = f.values[:0], f.ends[:0]
}

// enter prepares a.comp for an event whose strongest identifier is i: a profile of one fragment is that fragment, one of several has the
// fragments beside it. It returns the record of the profile, and whether that has no event yet.
func (a *applier) enter(i int) (ref profile.Ref, fresh bool) {
	s, c := a.s, &a.comp
	d := &c.idents[i]
	a.profile, a.fragment, a.entered = d.profile, 0, !d.state
	others, other := 0, 0
	for j := range c.idents {
		if o := &c.idents[j]; j != i && o.state && o.profile == d.profile {
			others, other = others+1, j
		}
	}
	name := &c.idents[d.profile]
	name.key = s.key(name.ns, name.value)
	ref, found := s.table.Find(name.hash, name.ns, name.value)
	if others > 0 {
		d.key = s.key(d.ns, d.value)
		fragment, has := s.fragments.Find(d.hash, d.ns, d.value)
		if !has {
			if others == 1 {
				a.split(ref, &c.idents[other])
			}
			fragment = s.fragments.Insert(d.hash, d.ns, d.value)
		}
		a.fragment = fragment
	}
	d.state = true
	switch {
	case !found:
		ref = s.table.Insert(name.hash, name.ns, name.value)
		a.makePart(ref)
		ref, _ = s.table.Find(name.hash, name.ns, name.value)
		return ref, true
	case s.table.Record(ref).Version() == 0:
		s.holders--
		return ref, true
	}
	return ref, false
}

// split makes the fragment of d out of its profile, of which it was the only one.
func (a *applier) split(ref profile.Ref, d *ident) {
	d.key = a.s.key(d.ns, d.value)
	if _, found := a.s.fragments.Find(d.hash, d.ns, d.value); !found {
		a.copyRecord(a.s.fragments, a.s.fragments.Insert(d.hash, d.ns, d.value), a.s.table.Record(ref))
	}
}

// copyRecord makes the record at ref, of the other table, say what from says, but for links.
func (a *applier) copyRecord(t *profile.Table, ref profile.Ref, from profile.Record) profile.Ref {
	rec, n := t.Edit(ref), a.s.program.links
	rec.SetFirst(from.First())
	rec.SetLast(from.Last())
	rec.SetVersion(from.Version())
	rec.SetSequence(from.Sequence())
	copy(rec.Fixed(), from.Fixed())
	if told := a.s.program.told; told >= 0 {
		n = told // the last but the links: a fragment has told nothing
	}
	dir := from.Dir()[:4*n]
	a.dir, a.data = append(a.dir[:0], dir...), append(a.data[:0], from.Data()[:binary.LittleEndian.Uint32(dir[4*n-4:])]...)
	for k := n; k < t.Layout().Segments; k++ {
		if t == a.s.table {
			a.data = append(a.data, rec.Segment(k)...)
		}
		a.dir = binary.LittleEndian.AppendUint32(a.dir, uint32(len(a.data)))
	}
	return t.SetSegments(ref, a.dir, a.data)
}

// settle partitions a.comp into profiles by its facts, and makes anew those whose fragments are others than before. at is the event
// time of the fact that changed something.
func (a *applier) settle(at int64) {
	c := &a.comp
	a.resolve()
	changed := false
	a.was = a.was[:0]
	for i := range c.idents {
		d := &c.idents[i]
		a.was = append(a.was, d.profile)
		d.profile = c.facts.Members[i].Profile
		changed = changed || d.state && d.profile != a.was[i]
	}
	if changed {
		a.hash(c)
		a.mark()
		a.catchUpMarked(at)
		a.refold(at)
	}
}

// resolve fills in who is whom.
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

// refold takes the profiles apart that lose or gain a fragment, and folds those that come of them.
func (a *applier) refold(at int64) {
	s, c := a.s, &a.comp
	a.formers = a.formers[:0]
	if n := a.gainer(); n >= 0 {
		a.grow(n, at)
		return
	}
	a.seat()
	for o := range c.idents {
		if a.oldMarked[o] {
			a.dismantle(o)
		}
	}
	for n := range c.idents {
		if a.newMarked[n] {
			a.assemble(n, at)
		}
	}
	a.tellGone(at)
	for o := range c.idents { // names of profiles that are no more
		d := &c.idents[o]
		if a.oldMarked[o] && !a.newMarked[o] && o > 0 {
			if ref, found := s.table.Find(d.hash, d.ns, d.value); found {
				s.drop(ref)
				s.holders--
			}
		}
	}
	if a.oldMarked[0] && !a.newMarked[0] {
		a.blank(c.idents[0].key)
	}
}

// drop deletes a record, with its timer.
func (s *Shard) drop(ref profile.Ref) {
	s.timers.Clear(s.table.Record(ref).Ordinal())
	s.expiries.Clear(s.table.Record(ref).Ordinal())
	s.table.Delete(ref)
}

// blank empties the record of a root that is no profile any more: it only holds the component.
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

// mark finds the profiles concerned, old ones and new ones, by the index of the identifier that names them.
func (a *applier) mark() {
	c := &a.comp
	n := len(c.idents)
	a.oldMarked, a.newMarked = append(a.oldMarked[:0], make([]bool, n)...), append(a.newMarked[:0], make([]bool, n)...)
	for more := true; more; {
		more = false
		for i := range c.idents {
			d := &c.idents[i]
			was, is := a.was[i], d.profile
			if !d.state || a.oldMarked[was] && a.newMarked[is] {
				continue
			}
			if was != is || a.oldMarked[was] || a.newMarked[is] {
				a.oldMarked[was], a.newMarked[is], more = true, true, true
			}
		}
	}
}

// remember makes a former of an old profile, and keeps its fragments. It returns where its record is.
func (a *applier) remember(o int) (f *former, ref profile.Ref) {
	s, c := a.s, &a.comp
	name := &c.idents[o]
	ref, found := s.table.Find(name.hash, name.ns, name.value)
	if !found || s.table.Record(ref).Version() == 0 {
		panic("BUG: a profile without a record")
	}
	rec := s.table.Record(ref)
	f = a.former(o, rec)
	states, first := 0, -1
	for i := range c.idents {
		if d := &c.idents[i]; d.state && a.was[i] == o {
			states++
			if first < 0 {
				first = i
			}
			f.loses = f.loses || d.profile != name.profile
		}
	}
	switch {
	case states == 1:
		a.split(ref, &c.idents[first])
	case !f.loses: // it goes into another one whole: the first of its fragments remembers it, for when they are taken apart again
		a.freeze(&c.idents[first], rec)
	}
	return f, ref
}

// former makes a former of the old profile o, of which rec says what it was.
func (a *applier) former(o int, rec profile.Record) *former {
	s, p := a.s, a.s.program
	if len(a.formers) == cap(a.formers) {
		a.formers = append(a.formers, former{})
	} else {
		a.formers = a.formers[:len(a.formers)+1] // with the slices that it had
	}
	f := &a.formers[len(a.formers)-1]
	f.clear(p)
	f.id, f.sequence = o, rec.Sequence()
	if p.pacing >= 0 {
		f.schedule = append(f.schedule, rec.Segment(p.pacing)...)
		a.countExposures(f.schedule, -1)
	}
	if p.told >= 0 {
		f.told = append(f.told, rec.Segment(p.told)...)
	}
	if len(p.changes) > 0 {
		a.see(rec)
		f.values, f.ends = a.appendWatched(f.values, f.ends, p.changes)
	}
	s.memberships(rec, f.bits, f.since)
	return f
}

// dismantle keeps the fragments of an old profile and what is to be remembered of it, and empties its record.
func (a *applier) dismantle(o int) {
	s := a.s
	f, ref := a.remember(o)
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

// freeze copies memberships and sequence of a profile to a fragment.
func (a *applier) freeze(d *ident, from profile.Record) {
	s, p := a.s, a.s.program
	ref, found := s.fragments.Find(d.hash, d.ns, d.value)
	if !found {
		panic("BUG: a fragment is not there")
	}
	rec := s.fragments.Edit(ref)
	rec.SetSequence(from.Sequence())
	copy(rec.Fixed()[p.membersAt:], from.Fixed()[p.membersAt:])
	ref = s.fragments.SetSegment(ref, p.since, from.Segment(p.since))
	if p.pacing >= 0 {
		s.fragments.SetSegment(ref, p.pacing, from.Segment(p.pacing))
	}
}

// memberships reads the bits and entry times of a record.
func (s *Shard) memberships(rec profile.Record, bits audience.Bits, since []int64) {
	p := s.program
	fixed, times := rec.Fixed(), rec.Segment(p.since)
	for w := range p.words {
		bits[w] = le64(fixed[p.membersAt+8*w:])
	}
	bits.Each(func(i int) {
		since[i] = int64(le64(times))
		times = times[8:]
	})
}

// assemble folds the fragments of a new profile and makes its record. Whoever was in an audience under its name, or under a name that it takes
// in, stays in without a word as long as the condition holds.
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
	frozen, was := &a.frozen, &a.inherited
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
	if took > 0 && !a.loses(n) {
		frozen = nil
	}
	a.enterTimes(is, was, frozen, at)
	is.Each(func(i int) { s.members[i].Add(a.rec.Ordinal()) })
	for w := range p.words {
		binary.LittleEndian.PutUint64(a.rec.Fixed()[p.membersAt+8*w:], is[w])
	}
	a.ref = s.table.SetSegment(a.ref, p.since, a.since)
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

// enterTimes makes a.since for a profile that is in those audiences: who was in stays in since then; who is in again after having been
// taken apart since what the fragments remember, if frozen is not nil; and who is new from at on.
func (a *applier) enterTimes(is audience.Bits, was, frozen *former, at int64) {
	a.since = a.since[:0]
	is.Each(func(i int) {
		since := at
		if was.bits.Has(i) {
			since = was.since[i]
		} else if frozen != nil && frozen.bits.Has(i) {
			since = frozen.since[i]
		}
		a.since = binary.LittleEndian.AppendUint64(a.since, uint64(since))
	})
}

// see prepares a.env for a record without an event.
func (a *applier) see(rec profile.Record) {
	a.env.Event, a.env.Now, a.env.Item, a.env.Scratch = nil, a.s.clockFor(a.s.now, rec), 0, a.env.Scratch[:0]
	a.s.program.env(&a.env, rec)
}

// changedByFold emits the activations whose attribute is another than it was under the name of the new profile; where that name was no
// profile's, under the strongest name that it takes in; and where there is none of those, than nothing.
func (a *applier) changedByFold(n int, at int64) {
	p := a.s.program
	if len(p.changes) == 0 {
		return
	}
	a.before, a.ends = a.before[:0], a.ends[:0]
	for k := range a.formers { // in the order of their names
		f := &a.formers[k]
		if f.id == n || len(a.ends) == 0 && a.comp.idents[f.id].profile == n {
			a.before, a.ends = append(a.before[:0], f.values...), append(a.ends[:0], f.ends...)
		}
	}
	if len(a.ends) == 0 {
		for range p.changes {
			a.before = append(a.before, "null"...)
			a.ends = append(a.ends, len(a.before))
		}
	}
	a.changed(p.changes, at)
}

// foldProfile makes the state of the record at ref of the fragments that profile n has. What they remember of memberships goes to frozen.
func (a *applier) foldProfile(n int, ref profile.Ref, frozen *former) profile.Ref {
	s, c := a.s, &a.comp
	count := 0
	var only *ident
	for i := range c.idents {
		d := &c.idents[i]
		if !d.state || d.profile != n {
			continue
		}
		from, found := s.fragments.Find(d.hash, d.ns, d.value)
		if !found {
			panic("BUG: a fragment is not there")
		}
		rec := s.fragments.Record(from)
		a.recall(rec, frozen)
		if count++; count == 1 {
			only = d
			ref = a.copyRecord(s.table, ref, rec)
		} else {
			ref = a.merge(ref, rec)
		}
	}
	if count == 1 {
		from, _ := s.fragments.Find(only.hash, only.ns, only.value)
		s.fragments.Delete(from)
	}
	return ref
}

// recall adds what a fragment remembers of memberships and of its sequence to frozen.
func (a *applier) recall(rec profile.Record, frozen *former) {
	one := &a.one
	one.clear(a.s.program)
	a.s.memberships(rec, one.bits, one.since)
	one.bits.Each(func(m int) {
		if since := one.since[m]; !frozen.bits.Has(m) || since < frozen.since[m] {
			frozen.bits.Set(m)
			frozen.since[m] = since
		}
	})
	frozen.sequence = max(frozen.sequence, rec.Sequence())
}

// merge merges a fragment into the record at ref.
func (a *applier) merge(ref profile.Ref, from profile.Record) profile.Ref {
	s, p := a.s, a.s.program
	rec := s.table.Edit(ref)
	rec.SetFirst(min(rec.First(), from.First()))
	rec.SetLast(max(rec.Last(), from.Last()))
	rec.SetVersion(rec.Version() + from.Version())
	fixed, other := rec.Fixed(), from.Fixed()
	for i := range p.Purposes {
		at := p.consentAt + 8*i
		binary.LittleEndian.PutUint64(fixed[at:], consent.Merge(le64(fixed[at:]), le64(other[at:])))
	}
	for i := range p.Attributes {
		k := p.Attributes[i].Kind
		if k == nil {
			continue
		}
		slot := p.Attributes[i].Slot
		if slot.Segment < 0 {
			k.Merge(rec.Fixed()[slot.Offset:], nil, other[slot.Offset:], nil, nil)
			continue
		}
		merged := k.Merge(rec.Fixed()[slot.Offset:], rec.Segment(slot.Segment), other[slot.Offset:], from.Segment(slot.Segment), a.segment[:0])
		if cap(merged) > cap(a.segment) && !same(merged, rec.Segment(slot.Segment)) {
			a.segment = merged[:0]
		}
		ref = s.table.SetSegment(ref, slot.Segment, merged)
		rec = s.table.Edit(ref)
	}
	return ref
}

// inherit says in what the profiles were that a new one takes in: those whose names are its own now. The earlier entry time counts,
// but where one was taken apart, not earlier than what the fragments remember.
func (a *applier) inherit(n int, frozen, was *former) (took int) {
	c := &a.comp
	was.clear(a.s.program)
	for k := range a.formers {
		f := &a.formers[k]
		if c.idents[f.id].profile != n {
			continue
		}
		took++
		was.sequence = max(was.sequence, f.sequence)
		f.bits.Each(func(m int) {
			since := f.since[m]
			if f.loses && frozen.bits.Has(m) {
				since = max(since, frozen.since[m])
			}
			if !was.bits.Has(m) || since < was.since[m] {
				was.since[m] = since
			}
			was.bits.Set(m)
		})
	}
	return took
}

// loses says whether a profile that n takes in loses a fragment to another one.
func (a *applier) loses(n int) bool {
	return slices.ContainsFunc(a.formers, func(f former) bool { return f.loses && a.comp.idents[f.id].profile == n })
}

// announce tells of a merge, or that a profile has come apart.
func (a *applier) announce(n, took int, at int64) {
	s, p, c := a.s, a.s.program, &a.comp
	a.others = a.others[:0]
	subject := p.merged
	switch {
	case took > 1:
		s.counters.Merges++
		for k := range a.formers {
			if id := a.formers[k].id; id != n && c.idents[id].profile == n {
				a.others = append(a.others, a.identifier(id))
			}
		}
	case took == 0: // it has a name of its own again, or for the first time
		s.counters.Unmerges++
		subject = p.unmerged
		for k := range a.formers {
			id := a.formers[k].id
			for i := range c.idents {
				if c.idents[i].state && a.was[i] == id && c.idents[i].profile == n {
					a.others = append(a.others, a.identifier(id))
					break
				}
			}
		}
	default:
		return
	}
	a.act = activation.Activation{Subject: subject, Others: a.others}
	a.emit(nil, nil, at)
}

func (a *applier) identifier(i int) activation.Identifier {
	d := &a.comp.idents[i]
	return activation.Identifier{Namespace: a.s.namespaces[d.ns], Value: d.value}
}
