package shard

import (
	"bytes"
	"encoding/binary"

	"dashi/pipeline/attribute"
	"dashi/pipeline/audience"
	"dashi/pipeline/consent"
	"dashi/pipeline/expr"
	"dashi/shard/profile"
)

// Nearly always one profile takes others in whole and loses nothing itself. To take all of them apart and to fold their fragments anew
// would give the same (I1 of attribute.Kind: Merge does not mind the grouping), but evaluate every audience. So the folds of the others are merged
// into its record as they are, and only what that changes is evaluated, as for an event. TestGrowEqualsFold compares the two ways.

// gainer is the profile that takes in all the others that refold concerns, -1 when it is not as simple as that.
func (a *applier) gainer() int {
	n := -1
	for i, is := range a.marks.new {
		if is && n >= 0 {
			return -1
		}
		if is {
			n = i
		}
	}
	// The root's record holds the component: a profile that the root names is not dropped but blanked, which refold does.
	if n < 0 || n == a.moving.guest || !a.marks.old[n] || n > 0 && a.marks.old[0] || a.s.foldAnew {
		return -1
	}
	return n
}

// grow makes profile n take in all others that are marked, without folding anew.
func (a *applier) grow(n int, at int64) {
	s, p, c := a.s, a.s.program, &a.comp
	for o, is := range a.marks.old {
		switch {
		case is && o == a.moving.guest:
			part := a.take(&a.moving.arrivals[0], true)
			p.setUntil(s.fragments.Edit(part).Fixed(), a.clockAt(at))
			a.former(o, s.fragments.Record(part))
		case is:
			a.remember(o, a.clockAt(at))
		}
	}
	was := &a.earlier.inherited
	took := a.inherit(n, nil, was)
	name := &c.idents[n]
	ref, _ := s.table.Find(name.hash, name.ns, name.value)
	a.profile, a.fragment, a.ref, a.rec = n, 0, ref, s.table.Edit(ref)
	a.see(a.rec)
	a.draft.begin()
	for o, is := range a.marks.old {
		if !is || o == n {
			continue
		}
		d := &c.idents[o]
		if o == a.moving.guest { // its fragment is all that there is of it
			fragment, _ := s.fragments.Find(d.hash, d.ns, d.value)
			a.mergeInto(s.fragments.Record(fragment))
			a.moving.guest = -1
			continue
		}
		other, _ := s.table.Find(d.hash, d.ns, d.value)
		rec := s.table.Record(other)
		a.mergeInto(rec)
		s.vanish(rec.Ordinal(), s.bits(rec))
		s.drop(other)
	}
	a.rec.SetSequence(was.sequence)
	if p.pacing >= 0 {
		a.draft.set(&a.env.State, p.pacing, a.inheritSchedule(n, took, nil))
	}
	a.env.Now = s.clockFor(s.now, a.rec)
	if s.timers.Due(a.rec.Ordinal()) <= a.env.Now { // its timers have fired up to the fact: with a clock of event times another profile may have been further
		p.index.Timed(a.dirty)
	}
	// Whoever was in stays in for as long as the condition holds, and an audience with a condition of its own for leaving asks whether they were in.
	mine := append(a.scratch.bits[:0], a.env.Audiences...)
	a.scratch.bits = mine
	for w := range p.words {
		if was.bits[w]&^mine[w] != 0 {
			p.index.All(a.dirty) // those that read an audience, too
		}
		a.env.Audiences[w] |= was.bits[w]
	}
	var next int64
	a.flipped, next = p.index.Evaluate(&a.env, a.dirty, a.flipped)
	if len(p.byTimeParts) > 0 {
		next = min(next, a.nextChange())
	}
	if next != expr.Never {
		s.wakeBy(a.rec.Ordinal(), next)
	}
	is := audience.Bits(a.env.Audiences)
	for i := range p.Audiences {
		switch {
		case is.Has(i) == mine.Has(i):
		case is.Has(i):
			s.members[i].Add(a.rec.Ordinal())
		default:
			s.members[i].Remove(a.rec.Ordinal())
		}
	}
	a.flipped = a.flipped[:0]
	for i := range p.Audiences {
		if is.Has(i) != was.bits.Has(i) {
			a.flipped = append(a.flipped, i)
		}
	}
	a.enterTimes(is, was, nil, at)
	a.draft.set(&a.env.State, p.since, a.scratch.since)
	for w := range p.words {
		binary.LittleEndian.PutUint64(a.rec.Fixed()[p.membersAt+8*w:], is[w])
	}
	a.announce(n, took, at)
	for _, i := range a.flipped {
		a.transition(i, at)
	}
	a.changedByFold(n, at)
	if p.pacing >= 0 {
		a.paceStep()
	}
	a.tellGone(at)
	a.contribute(at)
	if n == 0 { // the record is the root's: with all that has changed it moves once at most
		a.pack()
		a.draft.set(&a.env.State, p.links, a.scratch.blob)
		a.packed = true
	}
	a.keep()
}

// mergeInto merges another profile into the record that a.env shows, and marks the audiences that may flip.
func (a *applier) mergeInto(from profile.Record) {
	p, state := a.s.program, &a.env.State
	rec, other := a.rec, from.Fixed()
	rec.SetFirst(min(rec.First(), from.First()))
	rec.SetLast(max(rec.Last(), from.Last()))
	rec.SetVersion(rec.Version() + from.Version())
	for i := range p.Purposes {
		mine := a.env.Consent[8*i:]
		if before, after := le64(mine), consent.Merge(le64(mine), le64(other[p.consentAt+8*i:])); after != before {
			binary.LittleEndian.PutUint64(mine, after)
			p.index.Consented(i, a.dirty)
		}
	}
	now := a.env.Now
	for i := range p.folds {
		f := &p.folds[i]
		if f.kind == nil {
			continue
		}
		fixed, theirs := state.Fixed[f.offset:], other[f.offset:]
		var segment, more []byte
		if f.segment >= 0 {
			more = from.Segment(f.segment)
		}
		if f.nothing(other, more) {
			continue
		}
		if f.segment >= 0 {
			segment = state.Segment(f.segment)
		}
		switch f.flip {
		case flipNothing:
			a.mergeFold(f, fixed, segment, theirs, more)
		case flipNumber, flipGauge:
			before, had := f.kind.Num(fixed, segment, now)
			segment = a.mergeFold(f, fixed, segment, theirs, more)
			after, has := f.kind.Num(fixed, segment, now)
			p.index.Changed(i, before, had, after, has, a.dirty)
		case flipTruth:
			before, had := f.kind.Truth(fixed, segment, now)
			segment = a.mergeFold(f, fixed, segment, theirs, more)
			if after, has := f.kind.Truth(fixed, segment, now); after != before || has != had {
				p.index.Touched(i, a.dirty)
			}
		case flipText:
			before, had := f.kind.Str(fixed, segment, now)
			a.scratch.text = append(a.scratch.text[:0], before...)
			segment = a.mergeFold(f, fixed, segment, theirs, more)
			if after, has := f.kind.Str(fixed, segment, now); has != had || !bytes.Equal(after, a.scratch.text) {
				p.index.Touched(i, a.dirty)
			}
		default:
			a.mergeFold(f, fixed, segment, theirs, more)
			p.index.Touched(i, a.dirty)
		}
	}
}

// MaxProfile is the size in bytes of the variable part of a record beyond which no attribute makes it longer. recipe.Compile refuses cookbooks that
// can come near, but one of an earlier version may be in force. An update or a merge that goes beyond it is left out whole and counted, on all
// replicas alike; so here the order of arrival decides. One update adds at most a few states of the greatest size (attribute.MaxBytes), so a record
// stays below profile.MaxRecord.
const MaxProfile = 64 << 20

// mergeBounded merges the state of one attribute into a record whose segments have so many bytes (have). ok is false if it left the record as it
// was because it would have become too long.
func (a *applier) mergeBounded(k attribute.Kind, fixed, segment, theirs, more []byte, have int) (merged []byte, ok bool) {
	near := have+len(more) > MaxProfile
	if near {
		a.scratch.near = append(a.scratch.near[:0], fixed[:k.FixedSize()]...)
	}
	merged = k.Merge(fixed, segment, theirs, more, a.scratch.segment[:0])
	if same(merged, segment) {
		return merged, true
	}
	if cap(merged) > cap(a.scratch.segment) {
		a.scratch.segment = merged[:0]
	}
	if near && len(merged) > len(segment) && have+len(merged)-len(segment) > MaxProfile {
		copy(fixed, a.scratch.near)
		a.s.counters.TooLarge++
		return segment, false
	}
	return merged, true
}

// mergeFold merges the state of one attribute into the record that a.env shows, and returns the segment as it is now.
func (a *applier) mergeFold(f *fold, fixed, segment, theirs, more []byte) []byte {
	if f.segment < 0 {
		f.kind.Merge(fixed, nil, theirs, nil, nil)
		return nil
	}
	merged, ok := a.mergeBounded(f.kind, fixed, segment, theirs, more, len(a.env.State.Data))
	if !ok || same(merged, segment) {
		return segment
	}
	a.draft.set(&a.env.State, f.segment, merged)
	return a.env.State.Segment(f.segment)
}
