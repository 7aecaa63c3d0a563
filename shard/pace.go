package shard

import (
	"cmp"
	"math"

	"github.com/cespare/xxhash/v2"

	"dashi/pipeline/activation"
	"dashi/pipeline/audience"
	"dashi/pipeline/consent"
	"dashi/pipeline/expr"
	"dashi/pipeline/recipe"
	"dashi/pipeline/zone"
	"dashi/shard/profile"
)

// Activations that a recipe paces do not leave when they are triggered: they are put into the profile's schedule, a segment of its
// record. At the end of the event, and at every instant at which one is due, those that may leave do, the higher priority first.
// What stops one is counted by its reason.

// pacer is the scratch space for paced activations.
type pacer struct {
	schedule activation.Schedule
	other    activation.Schedule // of another profile, to be merged with or taken out of it
	read     bool                // schedule is that of the current record
	changed  bool                // and is to be written back to it
	segment  []byte
	zones    map[string]*zone.Zone // by name, as people have them
}

// trigger emits activation j as of the event time at, or puts it into the schedule if it is paced. kind is the event type that triggered it, if one did.
func (a *applier) trigger(j int, kind []byte, at int64) {
	p := a.s.program
	act := &p.Activations[j]
	if act.Pace == nil {
		a.emission.act = activation.Activation{Subject: p.subjects[j], Type: kind}
		if a.emit(act.Requires, act.Include, at) {
			a.s.activationLeft(j, a.env.Now)
		}
		return
	}
	key, ok := paceKey(act.Pace, &a.env)
	if !ok {
		a.s.counters.suppress(activation.Keyless)
		return
	}
	a.readSchedule()
	due := at + act.Pace.Delay
	if act.Pace.Delay > 0 {
		due = max(due, a.env.Now) // a late event: its condition is checked now
	}
	if reason := a.pace.schedule.Put(activation.Pending{ID: act.Pace.ID, Key: key, Due: due, At: at, Type: kind}); reason != activation.Leaves {
		a.s.counters.suppress(reason)
	}
	a.pace.changed = true
}

// paceKey is the hash of the key of a paced activation, 0 for one without a key; ok is false if its key is absent.
func paceKey(p *recipe.Pace, env *expr.Env) (key uint64, ok bool) {
	if p.Key == nil {
		return 0, true
	}
	s, ok := p.Key(env)
	return xxhash.Sum64(s), ok
}

func (a *applier) readSchedule() {
	if !a.pace.read {
		a.pace.read, a.pace.changed = true, false
		a.pace.schedule.Read(a.env.State.Segment(a.s.program.pacing))
	}
}

// paceEvent releases what an event has triggered, or what was held until such an event.
func (a *applier) paceEvent() {
	if p := a.s.program; p.pacing >= 0 && (a.pace.read || activation.Holds(a.env.State.Segment(p.pacing))) {
		a.paceStep()
	}
}

// paceStep releases what may leave now, writes the schedule back, and sets the timer for when to look again.
func (a *applier) paceStep() {
	a.readSchedule()
	a.env.Event = nil
	for {
		i := a.nextPending()
		if i < 0 {
			break
		}
		a.pace.changed = true
		a.release(a.pace.schedule.Take(i))
	}
	next := a.pendingWake()
	if a.pace.changed {
		a.pace.segment = a.pace.schedule.Append(a.pace.segment[:0])
		a.draft.set(&a.env.State, a.s.program.pacing, a.pace.segment)
	}
	a.pace.read = false
	if next != expr.Never {
		a.s.wakeBy(a.rec.Ordinal(), next)
	}
}

// nextPending is the index of the pending activation that is to be released first now; -1 for none. Among those of one instant the highest
// priority is first.
func (a *applier) nextPending() int {
	p, best, order := a.s.program, -1, 0
	for i := range a.pace.schedule.Pending {
		x := &a.pace.schedule.Pending[i]
		j, known := p.paced[x.ID]
		if known && x.Due > a.env.Now && !(isHeld(x) && comesTrue(p.Activations[j].Pace, &a.env)) {
			continue
		}
		priority := 0
		if known {
			priority = p.Activations[j].Pace.Priority
		}
		if best >= 0 {
			y := &a.pace.schedule.Pending[best]
			if cmp.Or(cmp.Compare(min(y.Due, a.env.Now), min(x.Due, a.env.Now)), cmp.Compare(priority, order)) <= 0 {
				continue
			}
		}
		best, order = i, priority
	}
	return best
}

// comesTrue says whether the condition that a held activation waits for is true. Another cookbook may hold it for none any more.
func comesTrue(pace *recipe.Pace, env *expr.Env) bool {
	return pace.Until == nil || pace.Until(env) == expr.True
}

func isHeld(x *activation.Pending) bool { return x.Held != 0 && x.Held != activation.Passed }

// pendingWake is when the schedule has to be looked at again: when something is due, or what it is held for comes true by time.
func (a *applier) pendingWake() int64 {
	next := expr.Never
	for i := range a.pace.schedule.Pending {
		x := &a.pace.schedule.Pending[i]
		next = min(next, x.Due)
		if j, known := a.s.program.paced[x.ID]; known && isHeld(x) && a.s.program.Activations[j].Pace.UntilNext != nil {
			next = min(next, a.s.program.Activations[j].Pace.UntilNext(&a.env))
		}
	}
	return next
}

// release emits a pending activation, puts it back until later, or drops it and counts why.
func (a *applier) release(x activation.Pending) {
	s, p := a.s, a.s.program
	j, known := p.paced[x.ID]
	if !known {
		s.counters.suppress(activation.Forgotten)
		return
	}
	act := &p.Activations[j]
	at := min(x.Due, a.env.Now)
	if (act.Pace.Delay > 0 || x.Held != 0) && !a.stands(act) {
		s.counters.suppress(activation.Recheck)
		return
	}
	if act.Pace.Until != nil && x.Held != activation.Passed {
		switch {
		case act.Pace.Until(&a.env) == expr.True:
		case x.Held == 0:
			x.Held = at + act.Pace.AtMost
			x.Due = x.Held
			if x.Due > a.env.Now {
				a.putBack(x)
				return
			}
			fallthrough
		default: // it has been held for as long as it may
			if !act.Pace.Send {
				s.counters.suppress(activation.Held)
				return
			}
		}
		x.Held = activation.Passed
	}
	since := int64(math.MinInt64)
	if act.Pace.PerSession {
		session, ok := a.session(act.Sessions)
		if !ok {
			s.counters.suppress(activation.Keyless)
			return
		}
		since = session.Begin
	}
	if reason := a.pace.schedule.Asks(&act.Pace.Pace, x.Key, since, at); reason != activation.Leaves {
		s.counters.suppress(reason)
		return
	}
	if end, asleep := a.quiet(act.Pace); asleep {
		if act.Pace.Quiet.Drop {
			s.counters.suppress(activation.Asleep)
			return
		}
		x.Due = end
		a.putBack(x)
		return
	}
	if !consent.Allows(a.env.Consent, act.Requires) {
		s.counters.Withheld++
		return
	}
	if g := act.Pace.Goal; g != nil && a.expose(j, g) {
		s.counters.suppress(activation.Control)
		return
	}
	a.emission.act = activation.Activation{Subject: p.subjects[j], Type: x.Type}
	if a.emit(act.Requires, act.Include, x.At) {
		s.activationLeft(j, a.env.Now)
	}
	a.pace.schedule.Sent(&act.Pace.Pace, x.Key, at)
}

func (a *applier) putBack(x activation.Pending) {
	if reason := a.pace.schedule.Put(x); reason != activation.Leaves {
		a.s.counters.suppress(reason)
	}
}

// stands says whether what triggered an activation still holds, and its other conditions too: the re-check of one that has waited.
func (a *applier) stands(act *recipe.Activation) bool {
	member := audience.Bits(a.env.Audiences)
	switch {
	case act.Trigger == recipe.OnEnter && !member.Has(act.Audience), act.Trigger == recipe.OnExit && member.Has(act.Audience):
		return false
	case act.Session != "" && a.inSession(act.Sessions) != (act.Trigger == recipe.OnSessionStart):
		return false
	case act.Pace.Again != nil && act.Pace.Again(&a.env) != expr.True:
		return false
	}
	return act.Pace.If == nil || act.Pace.If(&a.env) == expr.True
}

// quiet says whether it is in the quiet hours of an activation, by the person's own time zone if it has one, and when these end.
func (a *applier) quiet(p *recipe.Pace) (end int64, asleep bool) {
	if p.Quiet == nil {
		return 0, false
	}
	z := p.Quiet.Zone
	if p.QuietZone != nil {
		if name, ok := p.QuietZone(&a.env); ok {
			if own := a.zoneNamed(name); own != nil {
				z = own
			}
		}
	}
	return p.Quiet.End(a.env.Now, z)
}

// zoneNamed is a zone by its name, nil for an unknown one. Names come from people's devices, so unknown ones are not cached.
func (a *applier) zoneNamed(name []byte) *zone.Zone {
	if z, ok := a.pace.zones[string(name)]; ok {
		return z
	}
	z, err := zone.Load(string(name))
	if err != nil {
		return nil
	}
	if a.pace.zones == nil {
		a.pace.zones = map[string]*zone.Zone{}
	}
	a.pace.zones[string(name)] = z
	return z
}

// forgetPending counts the pending activations of the profile in a.env, which is about to be deleted, as forgotten.
func (a *applier) forgetPending() {
	if a.s.program.pacing < 0 {
		return
	}
	a.readSchedule()
	a.s.counters.Suppressed[activation.Forgotten-1] += uint64(len(a.pace.schedule.Pending))
	a.pace.read = false
}

// suppress counts an activation that did not leave.
func (c *Counters) suppress(why activation.Reason) { c.Suppressed[why-1]++ }

// carrySchedule carries the schedule of a profile over to a new cookbook, and what a fragment remembers of one.
func (a *applier) carrySchedule(t *profile.Table, ref profile.Ref, segment []byte) profile.Ref {
	p, dropped := a.s.program, 0
	a.pace.read = false
	a.pace.schedule.Read(segment)
	if p.pacing < 0 {
		dropped = len(a.pace.schedule.Pending)
	} else if len(segment) > 0 {
		dropped = a.pace.schedule.Keep(p.Known)
		a.pace.segment = a.pace.schedule.Append(a.pace.segment[:0])
		ref = t.SetSegment(ref, p.pacing, a.pace.segment)
	}
	if t == a.s.table {
		a.s.counters.Suppressed[activation.Forgotten-1] += uint64(dropped)
	}
	return ref
}

// inheritSchedule is the schedule of new profile n: those of the profiles that it takes in, merged. A profile that has come out of another
// instead (took is 0) keeps what its fragments remember of what had left, have, and nothing pending: that stays with the other.
func (a *applier) inheritSchedule(n, took int, have []byte) []byte {
	own := &a.pace.schedule
	if took > 0 {
		own.Read(nil)
	} else {
		own.Read(have)
		own.Pending = own.Pending[:0]
	}
	for k := range a.earlier.formers {
		if f := &a.earlier.formers[k]; a.comp.idents[f.id].profile == n {
			a.pace.other.Read(f.schedule)
			own.Merge(&a.pace.other)
		}
	}
	a.divideExposures(own, n, have)
	a.pace.read = false
	a.pace.segment = own.Append(a.pace.segment[:0])
	a.countExposures(a.pace.segment, 1)
	return a.pace.segment
}
