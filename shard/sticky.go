package shard

import (
	"encoding/binary"
	"slices"

	"dashi/pipeline/attribute"
	"dashi/pipeline/audience"
	"dashi/pipeline/expr"
	"dashi/pipeline/recipe"
	"dashi/shard/profile"
)

// An audience with one condition for entering and another for leaving is called sticky. It cannot be evaluated anew from the folded state alone:
// whether a profile is in depends on what has been. So a profile that comes out of an unmerge must know what its own fragments were in. The naive
// way, to begin with what the merged profile was in, gives one person's membership to another.
//
// Each fragment beside a profile keeps the bits of these audiences, and their entry times, as they would be had it always been alone: those of its
// profile before it was merged, and then what its own events and time have done. It has no timer. Instead it keeps an instant (program.until)
// before which time alone changes none of these bits. After that instant the audiences are evaluated for the fragment at its next event, and when
// people come apart, as of every instant since at which one may have changed.
//
// What a profile of several fragments was in although none of them alone is, is noted in all of them and marked as earned together: the entry
// time plus the constant together. Fragments with the same marked entry time are a group; a profile that comes out of an unmerge has what a group
// has earned if it has all of the group.

// together marks the entry time, in a fragment, of an audience that the fragment was in only together with others. Entry times lie within years of
// four digits, far below it.
const together = int64(1) << 62

// isTogether says whether an entry time of a fragment is marked, and what it is without the mark.
func isTogether(since int64) (plain int64, is bool) {
	if since > together/2 {
		return since - together, true
	}
	return since, false
}

// stickiness is what a program says of its sticky audiences; nothing when there are none.
type stickiness struct {
	bits       audience.Bits // the sticky audiences; nil: there are none
	ask        audience.Bits // these, and the audiences that they read, directly or not
	attributes []bool        // by attribute: one of ask reads it
	purposes   []bool        // by purpose: one of ask reads it
	timed      bool          // one of ask changes with time
	levels     bool          // one of ask changes with thresholds
}

func newStickiness(p *recipe.Program) (s stickiness) {
	for i := len(p.Audiences) - 1; i >= 0; i-- {
		d := &p.Audiences[i]
		if d.Sticky {
			if s.bits == nil {
				s.bits, s.ask = audience.NewBits(len(p.Audiences)), audience.NewBits(len(p.Audiences))
			}
			s.bits.Set(i)
			s.ask.Set(i)
		}
		if s.bits == nil || !s.ask.Has(i) {
			continue
		}
		for _, o := range d.Nested { // of a smaller index
			s.ask.Set(o)
		}
		s.timed, s.levels = s.timed || d.Next != nil, s.levels || len(d.Levels) > 0
	}
	return s
}

// heed finds out which attributes and purposes these audiences read.
func (s *stickiness) heed(p *recipe.Program, index *audience.Index) {
	if s.bits == nil {
		return
	}
	readers := audience.NewBits(len(p.Audiences))
	reads := func() bool { defer clear(readers); return intersect(readers, s.ask) }
	s.attributes, s.purposes = make([]bool, len(p.Attributes)), make([]bool, len(p.Purposes))
	for i := range s.attributes {
		index.Touched(i, readers)
		s.attributes[i] = reads()
	}
	for i := range s.purposes {
		index.Consented(i, readers)
		s.purposes[i] = reads()
	}
}

// changing says whether a fragment may come to be in one of these audiences, or not to be, without an event.
func (s *stickiness) changing() bool { return s.timed || s.levels }

// aloof is scratch space for finding out what a fragment would be in had it always been alone.
type aloof struct {
	env   expr.Env
	ask   audience.Bits
	flips []int
	one   former // the memberships of the fragment in a.side, with marks
	since []byte
	parts []part
	split []grouped // groups one of whose members has meanwhile entered by itself
}

// part is a fragment of a profile.
type part struct {
	ident   int // index in a.comp of its identifier
	profile int // the profile that it goes to
	ref     profile.Ref
	changed bool
	former  // bits and since, with marks
}

// grouped is an audience and a marked entry time.
type grouped struct {
	audience int
	since    int64
}

func (x *aloof) use(p *program) {
	x.ask = audience.NewBits(p.words * 64)
	x.env = expr.Env{Audiences: make([]uint64, p.words), Memos: make([]expr.Memo, len(p.Attributes))}
}

// maxAsks is how many instants alone evaluates before it goes straight to now: two changes a day for a month, say.
const maxAsks = 64

// until reads, from the fixed part of a fragment, the instant before which time alone changes none of the sticky audiences it would be in alone.
func (p *program) until(fixed []byte) int64 { return int64(le64(fixed[p.aloneAt:])) }

func (p *program) setUntil(fixed []byte, ms int64) {
	if p.aloneAt >= 0 {
		binary.LittleEndian.PutUint64(fixed[p.aloneAt:], uint64(ms))
	}
}

// catchUpAlone brings the sticky audiences of the fragment that a.side shows, whose record is rec, up to date with what time alone has done.
func (a *applier) catchUpAlone(rec profile.Record) {
	p := a.s.program
	if p.aloneAt < 0 {
		return
	}
	now := a.s.clockFor(a.s.now, rec)
	if until := p.until(a.side.state.Fixed); now >= until || p.sticky.levels {
		a.alone(rec, NoTime, min(until, now), now)
	}
}

// alone brings the sticky audiences that the fragment in a.side (its record is rec) would be in alone up to date, from the instant from to now.
// What it enters it enters at the event time at; NoTime: there is no event, so at the very instant at which the condition came true.
func (a *applier) alone(rec profile.Record, at, from, now int64) {
	p, x, side := a.s.program, &a.aloof, &a.side.state
	env, one := &x.env, &x.one
	one.clear(p)
	readMemberships(p, side.Fixed, side.Segment(p.since), one.bits, one.since)
	env.Scratch, env.Hash, env.Levels = env.Scratch[:0], rec.Hash(), p.levels
	env.State = attribute.State{Fixed: side.Fixed[:p.FixedSize:p.FixedSize], Dir: side.Dir, Data: side.Data}
	env.Consent = side.Fixed[p.consentAt:p.membersAt:p.membersAt]
	is := audience.Bits(env.Audiences)
	for w := range p.words {
		is[w] = one.bits[w] & p.sticky.bits[w]
	}
	is.Each(func(m int) {
		if _, shared := isTogether(one.since[m]); shared {
			is.Clear(m)
		}
	})
	changed := false
	env.Now = from
	for asked := 0; ; asked++ {
		copy(x.ask, p.sticky.ask)
		var next int64
		x.flips, next = p.index.Evaluate(env, x.ask, x.flips)
		for _, m := range x.flips {
			if !p.sticky.bits.Has(m) {
				continue
			}
			changed = true
			if !is.Has(m) {
				one.bits.Clear(m)
				continue
			}
			if one.bits.Has(m) {
				x.split = append(x.split, grouped{m, one.since[m]})
			}
			one.bits.Set(m)
			if one.since[m] = at; at == NoTime {
				one.since[m] = env.Now
			}
		}
		if next > now {
			p.setUntil(side.Fixed, next)
			break
		}
		if env.Now = next; asked == maxAsks {
			env.Now = now
		}
	}
	if !changed {
		return
	}
	for w := range p.words {
		binary.LittleEndian.PutUint64(side.Fixed[p.membersAt+8*w:], one.bits[w])
	}
	x.since = appendTimes(x.since[:0], one)
	a.side.draft.set(side, p.since, x.since)
}

// appendTimes appends the entry times of what f is in.
func appendTimes(dst []byte, f *former) []byte {
	f.bits.Each(func(m int) { dst = binary.LittleEndian.AppendUint64(dst, uint64(f.since[m])) })
	return dst
}

// ungroup takes, after an event, the marks of a group off the other fragments of the profile where the event's fragment has entered by itself: from
// then on that one alone has earned the membership.
func (a *applier) ungroup() {
	x := &a.aloof
	if len(x.split) == 0 {
		return
	}
	a.gather(func(i int) bool { return a.comp.idents[i].profile == a.profile })
	a.unmark()
	a.putBackParts()
}

// unmark takes the marks of x.split off x.parts.
func (a *applier) unmark() {
	x := &a.aloof
	for _, g := range x.split {
		for k := range x.parts {
			if f := &x.parts[k]; f.bits.Has(g.audience) && f.since[g.audience] == g.since {
				f.bits.Clear(g.audience)
				f.changed = true
			}
		}
	}
	x.split = x.split[:0]
}

// gather fills in a.aloof.parts with the fragments of the identifiers for which of is true: those of one profile.
func (a *applier) gather(of func(ident int) bool) {
	s, c, x := a.s, &a.comp, &a.aloof
	x.parts = x.parts[:0]
	for i := range c.idents {
		d := &c.idents[i]
		if !d.state || !of(i) {
			continue
		}
		k := s.key(d.ns, d.value)
		ref, found := s.fragments.Find(k.hash, k.ns, k.value)
		if !found {
			panic("BUG: a fragment is not there")
		}
		if len(x.parts) == cap(x.parts) {
			x.parts = append(x.parts, part{})
		} else {
			x.parts = x.parts[:len(x.parts)+1]
		}
		f := &x.parts[len(x.parts)-1]
		f.clear(s.program)
		f.ident, f.profile, f.ref, f.changed = i, d.profile, ref, false
		s.memberships(s.fragments.Record(ref), f.bits, f.since)
	}
}

// putBackParts writes the memberships of a.aloof.parts that changed.
func (a *applier) putBackParts() {
	s, p, x := a.s, a.s.program, &a.aloof
	for k := range x.parts {
		f := &x.parts[k]
		if !f.changed {
			continue
		}
		fixed := s.fragments.Edit(f.ref).Fixed()
		for w := range p.words {
			binary.LittleEndian.PutUint64(fixed[p.membersAt+8*w:], f.bits[w])
		}
		x.since = appendTimes(x.since[:0], &f.former)
		f.ref = s.fragments.SetSegment(f.ref, p.since, x.since)
	}
}

// stickToOld notes in the fragments of old profile f.id, which is about to change, which of them have earned what it is in.
func (a *applier) stickToOld(f *former) {
	p, x := a.s.program, &a.aloof
	if p.sticky.bits == nil {
		return
	}
	of := func(i int) bool { return a.marks.was[i] == f.id }
	a.gather(of)
	if len(x.parts) > 1 && (f.loses || intersect(f.bits, p.sticky.bits)) {
		a.catchUpParts(of)
	}
	a.credit(f)
	a.putBackParts()
}

// stickToGrown does so for the profile at ref, which is about to have one fragment more.
func (a *applier) stickToGrown(ref profile.Ref) {
	s, p := a.s, a.s.program
	if p.sticky.bits == nil {
		return
	}
	f := &a.earlier.one
	f.clear(p)
	s.memberships(s.table.Record(ref), f.bits, f.since)
	a.gather(func(i int) bool { return a.comp.idents[i].profile == a.profile })
	a.credit(f)
	a.putBackParts()
}

// intersect says whether an audience is in both.
func intersect(a, b audience.Bits) bool {
	for w := range b {
		if a[w]&b[w] != 0 {
			return true
		}
	}
	return false
}

// catchUpParts brings a.aloof.parts, the fragments of one profile, up to date with what time alone has done.
func (a *applier) catchUpParts(of func(ident int) bool) {
	x := &a.aloof
	x.split = x.split[:0]
	for k := range x.parts {
		rec := a.s.fragments.Edit(x.parts[k].ref)
		a.side.begin(rec)
		a.catchUpAlone(rec)
		a.keepSide(x.parts[k].ref)
	}
	a.gather(of)
	a.unmark()
}

// catchUpFragments does so for all fragments, before and after they come under another cookbook.
func (a *applier) catchUpFragments() {
	if a.s.program.sticky.bits == nil {
		return
	}
	a.eachComponent(func() {
		idents := a.comp.idents
		for n := range idents {
			of := func(i int) bool { return idents[i].profile == n }
			states := 0
			for i := range idents {
				if of(i) && idents[i].state {
					states++
				}
			}
			if states > 1 { // one alone is the profile itself
				a.gather(of)
				a.catchUpParts(of)
				a.putBackParts()
			}
		}
	})
}

// keepSide writes the segments of a.side that changed to the fragment at ref, which may move it.
func (a *applier) keepSide(ref profile.Ref) profile.Ref {
	if a.side.draft.open {
		ref = a.s.fragments.SetSegments(ref, a.side.draft.dir, a.side.draft.data)
	}
	return ref
}

// credit marks in a.aloof.parts what their profile f is in although none of them alone is. It takes off marks that are over, and those of groups
// whose members go to different profiles.
func (a *applier) credit(f *former) {
	p, x := a.s.program, &a.aloof
	p.sticky.bits.Each(func(m int) {
		known := len(x.parts) < 2
		for k := range x.parts {
			q := &x.parts[k]
			if !q.bits.Has(m) {
				continue
			}
			if since, shared := isTogether(q.since[m]); shared && (!f.bits.Has(m) || since < f.since[m]) {
				q.bits.Clear(m) // the profile has left since
				q.changed = true
				continue
			}
			known = true
		}
		if f.bits.Has(m) && !known {
			for k := range x.parts {
				q := &x.parts[k]
				q.bits.Set(m)
				q.since[m], q.changed = f.since[m]+together, true
			}
		}
		if f.loses {
			a.breakUp(m)
		}
	})
}

// breakUp takes the marks of audience m off the groups whose members go to different profiles.
func (a *applier) breakUp(m int) {
	x := &a.aloof
	for k := range x.parts {
		q := &x.parts[k]
		if !q.bits.Has(m) {
			continue
		}
		since := q.since[m]
		if _, shared := isTogether(since); !shared {
			continue
		}
		whole := true
		for j := range x.parts {
			o := &x.parts[j]
			whole = whole && (!o.bits.Has(m) || o.since[m] != since || o.profile == q.profile)
		}
		for j := range x.parts {
			if o := &x.parts[j]; !whole && o.bits.Has(m) && o.since[m] == since {
				o.bits.Clear(m)
				o.changed = true
			}
		}
	}
}

// beginSticky sets the sticky audiences in bits, which has what new profile n inherits, to what n begins with: what the profiles were in that it
// takes in whole, and what those of its fragments remember that come out of other profiles.
func (a *applier) beginSticky(n int, frozen *former, bits audience.Bits) {
	sticky := a.s.program.sticky.bits
	if sticky == nil || !slices.ContainsFunc(a.earlier.formers, func(f former) bool { return f.loses }) {
		return
	}
	for w := range sticky {
		whole := uint64(0)
		for k := range a.earlier.formers {
			if f := &a.earlier.formers[k]; !f.loses && a.comp.idents[f.id].profile == n {
				whole |= f.bits[w]
			}
		}
		bits[w] = bits[w]&^sticky[w] | (whole|frozen.bits[w])&sticky[w]
	}
}
