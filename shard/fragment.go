package shard

import (
	"encoding/binary"

	"dashi/pipeline/consent"
	"dashi/pipeline/event"
	"dashi/shard/profile"
)

// enter prepares for applying event e, whose strongest identifier is identifier i of a.comp. A profile of one fragment is that fragment; one of
// several has the fragments beside it, and a.fragment is then that of i. It returns the record of the profile, and whether that has no event yet.
func (a *applier) enter(e *event.Event, i int) (ref profile.Ref, fresh bool) {
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
				now := s.now
				if s.byEvents {
					now = a.eventClock(e, ref, true)
				}
				if s.first <= now {
					ref = a.catchUp(ref, now)
				}
				a.split(ref, &c.idents[other], now)
			} else {
				a.stickToGrown(ref)
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

// split copies a profile of one fragment, that of d, to a fragment beside it. The timers of the profile have fired up to now.
func (a *applier) split(ref profile.Ref, d *ident, now int64) {
	d.key = a.s.key(d.ns, d.value)
	if _, found := a.s.fragments.Find(d.hash, d.ns, d.value); !found {
		part := a.copyRecord(a.s.fragments, a.s.fragments.Insert(d.hash, d.ns, d.value), a.s.table.Record(ref))
		a.s.program.setUntil(a.s.fragments.Edit(part).Fixed(), now)
	}
}

// copyRecord copies everything but links and what accounts were told from a record to the one at ref in t, which is the other table.
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
	a.moving.dir, a.moving.data = append(a.moving.dir[:0], dir...), append(a.moving.data[:0], from.Data()[:binary.LittleEndian.Uint32(dir[4*n-4:])]...)
	for k := n; k < t.Layout().Segments; k++ {
		if t == a.s.table {
			a.moving.data = append(a.moving.data, rec.Segment(k)...)
		}
		a.moving.dir = binary.LittleEndian.AppendUint32(a.moving.dir, uint32(len(a.moving.data)))
	}
	return t.SetSegments(ref, a.moving.dir, a.moving.data)
}

// freeze copies the memberships, sequence and schedule of a profile to the fragment of d, which remembers them for when they are taken apart
// again. The fragment keeps its own memberships of sticky audiences: see sticky.go.
func (a *applier) freeze(d *ident, from profile.Record) {
	s, p := a.s, a.s.program
	ref, found := s.fragments.Find(d.hash, d.ns, d.value)
	if !found {
		panic("BUG: a fragment is not there")
	}
	rec := s.fragments.Edit(ref)
	rec.SetSequence(from.Sequence())
	own, one := &a.earlier.frozen, &a.earlier.one
	one.clear(p)
	s.memberships(from, one.bits, one.since)
	if sticky := p.sticky.bits; sticky != nil {
		own.clear(p)
		s.memberships(rec, own.bits, own.since)
		sticky.Each(func(m int) { one.since[m] = own.since[m] })
		for w := range sticky {
			one.bits[w] = one.bits[w]&^sticky[w] | own.bits[w]&sticky[w]
		}
	}
	for w := range p.words {
		binary.LittleEndian.PutUint64(rec.Fixed()[p.membersAt+8*w:], one.bits[w])
	}
	a.scratch.since = appendTimes(a.scratch.since[:0], one)
	ref = s.fragments.SetSegment(ref, p.since, a.scratch.since)
	if p.pacing >= 0 {
		s.fragments.SetSegment(ref, p.pacing, from.Segment(p.pacing))
	}
}

// foldProfile folds the fragments of new profile n into the record at ref. What they remember of memberships is added to frozen.
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
		a.recall(i, rec, frozen)
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

// recall adds the memberships and the sequence that the fragment of identifier i remembers to frozen. Those of sticky audiences count only if it
// comes out of a profile that loses fragments.
func (a *applier) recall(i int, rec profile.Record, frozen *former) {
	one, sticky := &a.earlier.one, a.s.program.sticky.bits
	one.clear(a.s.program)
	a.s.memberships(rec, one.bits, one.since)
	if sticky != nil && !a.losing(a.marks.was[i]) {
		for w := range sticky {
			one.bits[w] &^= sticky[w]
		}
	}
	one.bits.Each(func(m int) {
		if since, _ := isTogether(one.since[m]); !frozen.bits.Has(m) || since < frozen.since[m] {
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
		merged, _ := a.mergeBounded(k, rec.Fixed()[slot.Offset:], rec.Segment(slot.Segment), other[slot.Offset:], from.Segment(slot.Segment), len(rec.Data()))
		ref = s.table.SetSegment(ref, slot.Segment, merged)
		rec = s.table.Edit(ref)
	}
	return ref
}
