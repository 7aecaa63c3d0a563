package shard

import (
	"encoding/binary"
	"slices"

	"dashi/pipeline/activation"
	"dashi/pipeline/audience"
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

// clear makes f a former that was in no audience, with room for those of p.
func (f *former) clear(p *program) {
	n := len(p.Audiences)
	f.bits, f.since = slices.Grow(f.bits[:0], max(1, p.words))[:max(1, p.words)], slices.Grow(f.since[:0], n)[:n]
	clear(f.bits)
	clear(f.since)
	f.id, f.sequence, f.schedule, f.loses = -1, 0, f.schedule[:0], false
	f.told = f.told[:0]
	f.values, f.ends = f.values[:0], f.ends[:0]
}

// remember makes a former of old profile o, whose timers have fired up to now, and keeps its fragments beside it. ref is the record of the profile.
func (a *applier) remember(o int, now int64) (f *former, ref profile.Ref) {
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
		if d := &c.idents[i]; d.state && a.marks.was[i] == o {
			states++
			if first < 0 {
				first = i
			}
			f.loses = f.loses || d.profile != name.profile
		}
	}
	switch {
	case states == 1:
		a.split(ref, &c.idents[first], now)
	case !f.loses: // it goes into another one whole: the first of its fragments remembers it, for when they are taken apart again
		a.freeze(&c.idents[first], rec)
		a.stickToOld(f)
	default:
		a.stickToOld(f)
	}
	return f, ref
}

// former appends a former of old profile o to a.earlier.formers; rec is its record.
func (a *applier) former(o int, rec profile.Record) *former {
	s, p := a.s, a.s.program
	if len(a.earlier.formers) == cap(a.earlier.formers) {
		a.earlier.formers = append(a.earlier.formers, former{})
	} else {
		a.earlier.formers = a.earlier.formers[:len(a.earlier.formers)+1] // with the slices that it had
	}
	f := &a.earlier.formers[len(a.earlier.formers)-1]
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

// memberships reads the bits and entry times of a record.
func (s *Shard) memberships(rec profile.Record, bits audience.Bits, since []int64) {
	readMemberships(s.program, rec.Fixed(), rec.Segment(s.program.since), bits, since)
}

func readMemberships(p *program, fixed, times []byte, bits audience.Bits, since []int64) {
	for w := range p.words {
		bits[w] = le64(fixed[p.membersAt+8*w:])
	}
	bits.Each(func(i int) {
		since[i] = int64(le64(times))
		times = times[8:]
	})
}

// enterTimes makes a.scratch.since, the entry times of a profile that is in the audiences is. Where it was in, it stays in since then; where the fragments
// of a profile that has come apart remember being in, since what they remember (frozen may be nil); everywhere else since at.
func (a *applier) enterTimes(is audience.Bits, was, frozen *former, at int64) {
	a.scratch.since = a.scratch.since[:0]
	is.Each(func(i int) {
		since := at
		if was.bits.Has(i) {
			since = was.since[i]
		} else if frozen != nil && frozen.bits.Has(i) {
			since = frozen.since[i]
		}
		a.scratch.since = binary.LittleEndian.AppendUint64(a.scratch.since, uint64(since))
	})
}

// changedByFold emits the activations of new profile n whose attribute has changed by the fold. It compares with the old profile of the same name;
// if there was none, with the strongest one that n takes in; if there is none of those either, with null.
func (a *applier) changedByFold(n int, at int64) {
	p := a.s.program
	if len(p.changes) == 0 {
		return
	}
	a.watch.before, a.watch.ends = a.watch.before[:0], a.watch.ends[:0]
	for k := range a.earlier.formers { // in the order of their names
		f := &a.earlier.formers[k]
		if f.id == n || len(a.watch.ends) == 0 && a.comp.idents[f.id].profile == n {
			a.watch.before, a.watch.ends = append(a.watch.before[:0], f.values...), append(a.watch.ends[:0], f.ends...)
		}
	}
	if len(a.watch.ends) == 0 {
		for range p.changes {
			a.watch.before = append(a.watch.before, "null"...)
			a.watch.ends = append(a.watch.ends, len(a.watch.before))
		}
	}
	a.changed(p.changes, at)
}

// inherit fills in was with the memberships of the profiles that new profile n takes in, those whose names are among its identifiers now, and
// returns how many these are. The earliest entry time counts, but of a profile that comes apart none earlier than what the fragments remember.
func (a *applier) inherit(n int, frozen, was *former) (took int) {
	c := &a.comp
	was.clear(a.s.program)
	for k := range a.earlier.formers {
		f := &a.earlier.formers[k]
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

// losing says whether old profile o loses a fragment to another profile.
func (a *applier) losing(o int) bool {
	return slices.ContainsFunc(a.earlier.formers, func(f former) bool { return f.loses && f.id == o })
}

// loses says whether an old profile that new profile n takes in loses a fragment to another profile.
func (a *applier) loses(n int) bool {
	return slices.ContainsFunc(a.earlier.formers, func(f former) bool { return f.loses && a.comp.idents[f.id].profile == n })
}

// announce emits "merged" for new profile n if it takes in more than one (took), or "unmerged" if it takes in none and so comes out of others.
func (a *applier) announce(n, took int, at int64) {
	s, p, c := a.s, a.s.program, &a.comp
	a.earlier.others = a.earlier.others[:0]
	subject := p.merged
	switch {
	case took > 1:
		s.counters.Merges++
		for k := range a.earlier.formers {
			if id := a.earlier.formers[k].id; id != n && c.idents[id].profile == n {
				a.earlier.others = append(a.earlier.others, a.identifier(id))
			}
		}
	case took == 0: // it has a name of its own again, or for the first time
		s.counters.Unmerges++
		subject = p.unmerged
		for k := range a.earlier.formers {
			id := a.earlier.formers[k].id
			for i := range c.idents {
				if c.idents[i].state && a.marks.was[i] == id && c.idents[i].profile == n {
					a.earlier.others = append(a.earlier.others, a.identifier(id))
					break
				}
			}
		}
	default:
		return
	}
	a.emission.act = activation.Activation{Subject: subject, Others: a.earlier.others}
	a.emit(nil, nil, at)
}

// identifier is identifier i of a.comp as activations name it.
func (a *applier) identifier(i int) activation.Identifier {
	d := &a.comp.idents[i]
	return activation.Identifier{Namespace: a.s.namespaces[d.ns], Value: d.value}
}
