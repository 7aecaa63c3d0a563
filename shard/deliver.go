package shard

import (
	"slices"

	"dashi/pipeline/event"
	"dashi/pipeline/identity"
	"dashi/shard/profile"
)

// MaxLinks is how many identifiers of one event are linked with its strongest one; weaker ones than these are passed over and counted.
const MaxLinks = 16

// deliver applies an event to the profile of its strongest identifier, or sends it on its way there.
func (a *applier) deliver(e *event.Event) {
	s, p := a.s, a.s.program
	k := a.identifierKey(e, 0)
	if s.passesOver(k, e.Time) {
		return
	}
	ref, found := s.table.Find(k.hash, k.ns, k.value)
	switch {
	case found && len(s.table.Record(ref).Segment(p.links)) > 0:
		a.deliverLinked(e, k)
		return
	case found:
		now := s.now
		if s.byEvents {
			now = max(now, e.Time)
		}
		if s.expiries.Next() <= now {
			if a.expired(ref, now) {
				found = false
				ref = s.table.Insert(k.hash, k.ns, k.value)
			} else {
				ref, _ = s.table.Find(k.hash, k.ns, k.value)
			}
		}
	default:
		if s.pointers.has(k) {
			a.deliverLinked(e, k)
			return
		}
		ref = s.table.Insert(k.hash, k.ns, k.value)
	}
	a.profile, a.fragment = -1, 0
	a.applyTo(e, ref, !found)
	if len(e.Identifiers) > 1 {
		for j := range a.linked(e) {
			a.ask(k, e, j+1)
		}
	}
	a.tellEvent(e)
}

// identifierKey is the key of identifier i of an event; 0 is the strongest one.
func (a *applier) identifierKey(e *event.Event, i int) key {
	id := &e.Identifiers[i]
	ns := a.s.program.namespace[id.Namespace]
	if i == 0 {
		return key{ns, e.Hash, id.Value}
	}
	return a.s.key(ns, id.Value)
}

// linked is how many weaker identifiers of the event are linked with its strongest one; it counts those that are left out.
func (a *applier) linked(e *event.Event) int {
	n := len(e.Identifiers) - 1
	if n > MaxLinks {
		a.s.counters.LinksOver += uint64(n - MaxLinks)
		n = MaxLinks
	}
	return n
}

// ask sends a Link to the home of identifier j of the event: it was seen with the strongest one, k.
func (a *applier) ask(k key, e *event.Event, j int) {
	weak := a.identifierKey(e, j)
	f := fact{weak: weak, strong: k, first: e.Time, last: e.Time, id: messageID(e)}
	a.mail.out = a.s.appendJoin(a.mail.out[:0], messageLink, weak, k, &f)
	a.send(a.s.home(weak), a.mail.out)
}

// deliverLinked applies an event whose strongest identifier is linked with others.
func (a *applier) deliverLinked(e *event.Event, k key) {
	s := a.s
	root, ref, where := s.place(k, &a.scratch.place)
	if where == elsewhere {
		a.mail.out = event.AppendPacked(s.appendForward(a.mail.out[:0], root), e)
		a.send(s.home(root), a.mail.out)
		s.counters.Forwarded++
		return
	}
	if where == between {
		a.park(event.AppendPacked(s.appendForward(a.mail.out[:0], k), e))
		return
	}
	a.load(ref)
	a.deliverAt(e, k)
}

// deliverAt applies an event to a.comp, where its strongest identifier, k, should be.
func (a *applier) deliverAt(e *event.Event, k key) {
	s, c := a.s, &a.comp
	i := c.index(k)
	if i < 0 {
		a.misdirected(e, k)
		return
	}
	if a.erasedSince(i, e.Time) {
		return
	}
	dirty := c.idents[i].seen(e.Time, e.Time)
	ref, fresh := a.enter(e, i)
	a.applyTo(e, ref, fresh)
	settle := false
	for j := range a.linked(e) {
		weak := a.identifierKey(e, j+1)
		w := c.index(weak)
		if w < 0 {
			if c.full() {
				s.counters.ComponentFull++
				continue
			}
			a.ask(c.idents[i].key, e, j+1)
			continue
		}
		if a.erasedSince(w, e.Time) {
			continue
		}
		dirty = c.idents[w].seen(e.Time, e.Time) || dirty
		l := identity.Link{A: min(i, w), B: max(i, w), First: e.Time, Last: e.Time, ID: messageID(e)}
		_, known := c.link(l.A, l.B, false)
		if !known && c.bytes() >= maxComponentBytes {
			s.counters.ComponentFull++
			continue
		}
		if c.add(l) {
			dirty = true
			settle = settle || !known || a.touchy()
		}
	}
	if settle {
		a.partition(e.Time)
	}
	if dirty || settle || a.entered {
		a.store()
	}
	a.tellEvent(e)
}

// misdirected passes an event on whose strongest identifier, k, is not in the component that the event was sent to: k was erased, or is on its way.
func (a *applier) misdirected(e *event.Event, k key) {
	s := a.s
	ever, after := a.missing(k, e.Time)
	if after {
		s.counters.Buried++
		return
	}
	to, waits := a.way(k, ever)
	a.sendOrPark(event.AppendPacked(s.appendForward(a.mail.out[:0], to), e), to, waits)
}

// park keeps a message about an identifier that is on its way to a component of this shard but not there yet: a pointer that was
// shortened let the message overtake the component that brings it. The message is handled again whenever a component has moved.
func (a *applier) park(m []byte) {
	a.mail.out = m
	a.s.parked = append(a.s.parked, slices.Clone(m))
}

// sendOrPark sends a message to an identifier or parks it here: to and waits are what way has said.
func (a *applier) sendOrPark(m []byte, to key, waits bool) {
	if waits {
		a.park(m)
		return
	}
	a.mail.out = m
	a.send(a.s.home(to), m)
}

// touchy says whether the component may have to be partitioned anew because the times of a link have changed: not while all its
// identifiers are one profile, unless limits have a period.
func (a *applier) touchy() bool {
	if a.s.program.periods {
		return true
	}
	return slices.ContainsFunc(a.comp.facts.Links, func(l identity.Link) bool { return l.Cut || l.Verdict != identity.Joined })
}

// forwarded applies an event that was passed on to where its strongest identifier lies.
func (a *applier) forwarded(to key, packed []byte) error {
	s := a.s
	rest, err := event.Unpack(packed, s.program.Schema, &a.passed)
	if err != nil || len(rest) > 0 || len(a.passed.Identifiers[0].Value) > profile.MaxKey {
		return errMessage
	}
	root, ref, where := s.place(to, &a.scratch.place)
	switch where {
	case unknown:
		return a.unplaced(to)
	case between:
		a.park(append(s.appendForward(a.mail.out[:0], to), packed...))
		return nil
	case elsewhere:
		k := a.identifierKey(&a.passed, 0)
		ever, after := s.buried(k, a.passed.Time)
		if after {
			s.counters.Buried++
			return nil
		}
		if ever && !to.is(k) {
			root = k // it was here, was erased, and begins anew at its home
		}
		a.mail.out = append(s.appendForward(a.mail.out[:0], root), packed...)
		a.send(s.home(root), a.mail.out)
		s.counters.Forwarded++
		return nil
	}
	a.load(ref)
	a.deliverAt(&a.passed, a.identifierKey(&a.passed, 0))
	return nil
}

// unplaced handles a.passed, which was passed on to an identifier that is nowhere: that one was erased, before the event came or while it waited.
func (a *applier) unplaced(to key) error {
	s, e := a.s, &a.passed
	k := a.identifierKey(e, 0)
	if ever, _ := s.buried(to, e.Time); !ever && !to.is(k) {
		return errMessage
	}
	if s.home(k) == s.settings.Self {
		a.deliver(e)
		return nil
	}
	a.mail.out = event.AppendPacked(s.appendForward(a.mail.out[:0], k), e)
	a.send(s.home(k), a.mail.out)
	return nil
}
