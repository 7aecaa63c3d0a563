package shard

import (
	"math"
	"slices"

	"dashi/pipeline/attribute"
	"dashi/pipeline/expr"
	"dashi/pipeline/recipe"
)

// Activations at the start and the end of a session. A session starts with the event after which the latest session is a later one than before,
// and goes on. It ends at the instant at which its gap has passed, or, if it was cut at its greatest length, with the event that begins the next
// one. A late event of a time that is over starts nothing; one that lengthens a session that had ended makes it end again.

// watchedSession is an attribute that knows sessions, and the activations that wait for their start and their end.
type watchedSession struct {
	attribute  int
	start, end []int
}

// onSession notes that activation i waits for the start or the end of a session.
func (p *program) onSession(i int, act *recipe.Activation) {
	k := slices.IndexFunc(p.sessions, func(w watchedSession) bool { return w.attribute == act.Sessions })
	if k < 0 {
		k = len(p.sessions)
		p.sessions = append(p.sessions, watchedSession{attribute: act.Sessions})
		p.byTimeParts = append(p.byTimeParts, &p.Attributes[act.Sessions])
	}
	if w := &p.sessions[k]; act.Trigger == recipe.OnSessionStart {
		w.start = append(w.start, i)
	} else {
		w.end = append(w.end, i)
	}
}

// session is the latest session of attribute i.
func (a *applier) session(i int) (attribute.Session, bool) {
	at := &a.s.program.Attributes[i]
	return at.Kind.(attribute.Sessions).Latest(a.env.State.Segment(at.Slot.Segment))
}

// inSession says whether the latest session of attribute i still goes on.
func (a *applier) inSession(i int) bool {
	s, ok := a.session(i)
	return ok && a.env.Now < s.End
}

// noteSessions remembers the latest sessions before an event.
func (a *applier) noteSessions() {
	a.watch.visits = a.watch.visits[:0]
	for _, w := range a.s.program.sessions {
		s, ok := a.session(w.attribute)
		if !ok {
			s = attribute.Session{Begin: math.MinInt64, Last: math.MinInt64, End: math.MinInt64}
		}
		a.watch.visits = append(a.watch.visits, s)
	}
}

// beginSessions triggers what waits for sessions that an event at an instant has begun.
func (a *applier) beginSessions(at int64) {
	for k, w := range a.s.program.sessions {
		was := a.watch.visits[k]
		is, ok := a.session(w.attribute)
		if !ok || is.Begin <= was.Begin {
			continue
		}
		if a.env.Now < was.End { // it is cut
			a.triggerAll(w.end, at)
		}
		if a.env.Now < is.End {
			a.triggerAll(w.start, at)
		}
	}
}

// endSessions triggers what waits for sessions that are over at an instant.
func (a *applier) endSessions(at int64) {
	for _, w := range a.s.program.sessions {
		if s, ok := a.session(w.attribute); ok && s.End == at {
			a.triggerAll(w.end, at)
		}
	}
}

func (a *applier) triggerAll(activations []int, at int64) {
	p := a.s.program
	for _, i := range activations {
		if act := &p.Activations[i]; act.Where == nil || act.Where(&a.env) == expr.True {
			a.trigger(i, nil, at)
		}
	}
}
