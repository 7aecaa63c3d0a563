package shard

import (
	"bytes"
	"encoding/binary"
	"math"

	"dashi/pipeline/event"
	"dashi/pipeline/expr"
	"dashi/pipeline/recipe"
	"dashi/shard/profile"
	"dashi/shard/timer"
)

// Time. A profile has one timer: an instant before which no condition on it changes by time alone. When it is due the profile
// wakes: with the clock set to that very instant every audience that depends on time is evaluated, whoever entered or left did so
// at that instant, and the next one is set. An event moves a timer to an earlier instant only. A later one would be right
// more often than not (each order puts off "no order for 30 days"), but then every event would cost a write to the
// queue; so the timer stays where it is, finds nothing to do when it is due, and goes on to where it should be.
//
// The clock may move past many timers at once, and a million of them must not keep look-ups waiting. So an entry wakes
// profiles for about half a millisecond, and the next one goes on. Nothing overtakes: an event for a profile whose own timers are
// due fires these first, each at its instant. Profiles do not read each other, so that is all the order there is to keep.

// wakeSteps is how much of a queue one entry works off: about 500 profiles, of a microsecond each.
const wakeSteps = 500 * timer.FireSteps

// maxNow is the end of the year 9999, where times end: a clock beyond it is not believed. NoTime is before the year 0, where they begin: with a
// clock of event times, the shard stands there before its first event.
const (
	NoTime = -62167219200000 - 1
	maxNow = 253402300799999
)

// wake fires timers that are due, first to last, for as long as one entry may.
func (s *Shard) wake() {
	s.expireSome()
	if s.first > s.now {
		return
	}
	s.wakeFor(wakeSteps, false)
}

// wakeAll fires all timers that are due, and those of accounts.
func (s *Shard) wakeAll() {
	for s.first <= s.now {
		s.wakeFor(math.MaxInt, true)
	}
	if s.accounts != nil {
		s.apply.drain()
		s.accounts.now = s.now
		s.accounts.wakeAll()
	}
}

// wakeFor fires timers for so many steps. Unless full is set it stops when the outbox is full: the next entry, such as an acknowledgement, goes on.
func (s *Shard) wakeFor(steps int, full bool) {
	var next [lookAhead]uint32
	for fired := 0; full || !s.outbox.full(); fired++ {
		ordinal, due, ok := s.timers.Pop(s.now, &steps)
		if !ok {
			break
		}
		if fired%lookAhead == 0 {
			s.apply.ahead.sum += s.table.TouchOrdinals(next[:s.timers.Ahead(next[:])])
		}
		ref, ok := s.table.ByOrdinal(ordinal)
		if !ok {
			panic("BUG: a timer has no record")
		}
		s.apply.meet(ref)
		s.apply.fire(ref, due)
	}
	s.first = s.timers.Next()
}

// wakeBy makes sure that a profile wakes at an instant, or before.
func (s *Shard) wakeBy(ordinal uint32, at int64) {
	if at >= s.timers.Due(ordinal) {
		return
	}
	s.timers.Set(ordinal, at)
	s.first = min(s.first, at)
}

// catchUp fires the timers of the profile at ref that are due by now, each at its instant, because an event is about to be applied to it. It returns
// where the record is then.
func (a *applier) catchUp(ref profile.Ref, now int64) profile.Ref {
	s := a.s
	ordinal := s.table.Record(ref).Ordinal()
	for {
		due := s.timers.Due(ordinal)
		if due > now {
			return ref
		}
		s.timers.Clear(ordinal)
		a.fire(ref, due)
		ref, _ = s.table.ByOrdinal(ordinal)
	}
}

// catchUpMarked fires the due timers of those old profiles of a.comp that refold is about to change because of a fact of an instant. The others live
// by their own time: with a clock of event times, the events of somebody who shares an address with them may be far ahead of theirs.
func (a *applier) catchUpMarked(at int64) {
	s, c := a.s, &a.comp
	now := a.clockAt(at)
	if s.first > now {
		return
	}
	a.turn() // an activation names the identifiers of before
	for i := range c.idents {
		d := &c.idents[i]
		if !a.marks.old[i] {
			continue
		}
		if ref, found := s.table.Find(d.hash, d.ns, d.value); found && s.timers.Due(s.table.Record(ref).Ordinal()) <= now {
			a.profile, a.fragment = i, 0
			a.catchUp(ref, now)
		}
	}
	a.turn()
}

// clockAt is the clock by which a fact of an instant is dealt with.
func (a *applier) clockAt(at int64) int64 {
	if a.s.byEvents {
		return max(a.s.now, at)
	}
	return a.s.now
}

// turn exchanges the new partition of a.comp and the old one, in a.marks.was.
func (a *applier) turn() {
	for i := range a.marks.was {
		d := &a.comp.idents[i]
		d.profile, a.marks.was[i] = a.marks.was[i], d.profile
	}
}

// welcome sets the timer of a profile that has come from another shard, where it was due at an instant. What is due by now fires at its
// instant.
func (a *applier) welcome(k key, due int64) {
	s := a.s
	ref, found := s.table.Find(k.hash, k.ns, k.value)
	if !found || due == expr.Never {
		return
	}
	if due <= s.now {
		a.profile, a.fragment = a.comp.index(k), 0
		a.fire(ref, due)
		ref, _ = s.table.Find(k.hash, k.ns, k.value)
		a.catchUp(ref, s.now)
		return
	}
	s.wakeBy(s.table.Record(ref).Ordinal(), due)
}

// fire wakes a profile at an instant.
func (a *applier) fire(ref profile.Ref, at int64) {
	s, p := a.s, a.s.program
	s.counters.Woken++
	a.ref, a.rec = ref, s.table.Edit(ref)
	a.env.Event, a.env.Now, a.env.Item, a.env.Scratch = nil, at, 0, a.env.Scratch[:0]
	p.env(&a.env, a.rec)
	a.draft.begin()
	p.index.Timed(a.dirty)
	var next int64
	a.flipped, next = p.index.Evaluate(&a.env, a.dirty, a.flipped)
	a.flip(at)
	if len(p.byTimeParts) > 0 {
		a.changedByTime(at)
		a.endSessions(at)
		next = min(next, a.nextChange())
	}
	if p.pacing >= 0 {
		a.paceStep()
	}
	if next != expr.Never {
		s.wakeBy(a.rec.Ordinal(), next)
	}
	a.contribute(at)
	a.keep()
}

// changedByTime emits the activations whose attribute has become another at an instant although nothing happened.
func (a *applier) changedByTime(at int64) {
	p := a.s.program
	for _, i := range p.byTime {
		act := &p.Activations[i]
		a.env.Now = at - 1
		a.watch.before = p.Attributes[act.Attribute].AppendJSON(a.watch.before[:0], &a.env)
		a.env.Now = at
		a.watch.after = p.Attributes[act.Attribute].AppendJSON(a.watch.after[:0], &a.env)
		if !bytes.Equal(a.watch.before, a.watch.after) && (act.Where == nil || act.Where(&a.env) == expr.True) {
			a.trigger(i, nil, at)
		}
	}
}

// nextChange is the first instant after a.env.Now at which one of program.byTimeParts changes if nothing happens.
func (a *applier) nextChange() int64 {
	state, next := &a.env.State, expr.Never
	for _, at := range a.s.program.byTimeParts {
		var segment []byte
		if at.Slot.Segment >= 0 {
			segment = state.Segment(at.Slot.Segment)
		}
		next = min(next, at.Timed.NextChange(state.Fixed[at.Slot.Offset:at.Slot.Offset+at.Kind.FixedSize()], segment, a.env.Now))
	}
	return next
}

// timedParts are the stored attributes through which an attribute changes with time: itself, or those that it is derived from.
func timedParts(p *recipe.Program, a *recipe.Attribute) (parts []*recipe.Attribute) {
	if a.Timed != nil {
		return []*recipe.Attribute{a}
	}
	for _, i := range a.Reads {
		if r := &p.Attributes[i]; r.Timed != nil {
			parts = append(parts, r)
		}
	}
	return parts
}

// eventClock is the instant at which an event is applied when the clock follows event times: each profile lives by its own
// events, and by what the whole shard is moved to at the end. One clock for the shard, the latest event time of all, would
// not do: a shard reads many partitions, one is ahead by months, and the people of the others would lapse before their orders are read.
func (a *applier) eventClock(e *event.Event, ref profile.Ref, found bool) int64 {
	s := a.s
	s.latest = max(s.latest, e.Time)
	now := max(s.now, e.Time)
	if found {
		now = max(now, s.table.Record(ref).Last())
	}
	return now
}

// applyClock chooses the clock and moves it on. It can be chosen only while there are no profiles: a clock of stamps has passed all of
// history, and the clock never goes back (I4).
func (s *Shard) applyClock(body []byte, r *Result) {
	if len(body) != 9 || body[0] > 1 {
		r.refuse("clock entry of %d bytes is damaged", len(body))
		return
	}
	byEvents, to := body[0] == 1, int64(binary.LittleEndian.Uint64(body[1:]))
	if byEvents != s.byEvents {
		if s.table != nil && s.table.Len() > 0 || s.accounts != nil && s.accounts.table.Len() > 0 {
			r.refuse("the clock cannot be changed any more: there are profiles")
			return
		}
		if s.byEvents = byEvents; byEvents {
			s.now, s.latest = NoTime, NoTime
		}
		s.timers, s.expiries = timer.At(s.now), timer.At(s.now)
		if in := s.accounts; in != nil {
			in.byEvents, in.now = s.byEvents, s.now
			in.timers, in.expiries = timer.At(s.now), timer.At(s.now)
		}
		s.levelsAt = NoTime
	}
	s.now = max(s.now, min(to, maxNow))
	s.wake()
	s.wakeAccounts()
}

// Wake is the instant, in milliseconds, at which the shard needs an entry even if nothing else happens, because timers are due; MinInt64: at once.
// It may be too early for anything to happen. It is expr.Never while the shard is held or settling, while the outbox is full (the acknowledgement
// will be an entry), and with a clock of event times unless timers are due already.
func (s *Shard) Wake() int64 {
	first := min(s.first, s.expiries.Next())
	if s.accounts != nil {
		first = min(first, s.accounts.first)
	}
	switch {
	case s.settling || s.held != nil || s.outbox.full() || first > s.now && s.byEvents:
		return expr.Never
	case first <= s.now:
		return math.MinInt64
	}
	return first
}

// ByEvents says whether the clock follows the times of events rather than the stamps of entries.
func (s *Shard) ByEvents() bool { return s.byEvents }

// clockFor is the instant as of which a profile is seen by whoever has the clock at: not before the shard's own, or, with a clock of event times, the
// profile's.
func (s *Shard) clockFor(at int64, rec profile.Record) int64 {
	if s.byEvents {
		return max(s.now, rec.Last())
	}
	return max(s.now, min(at, maxNow))
}
