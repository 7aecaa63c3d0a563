package shard

import (
	"dashi/pipeline/audience"
	"dashi/shard/profile"
	"dashi/shard/timer"
)

// A profile whose namespace expires, such as that of a visitor who never said who they are, goes after as long a silence as the cookbook says for
// the namespace. The silence begins with its last event, by event time, but not before the profile was made, so that history can be brought in.
// The profile leaves its audiences, with the activations of that, and is forgotten. One that is linked with another identifier does not expire.
// The instants stand in a queue of their own, because the timer of a profile is early more often than not.

// expireFrom begins the time after which a new profile may go.
func (s *Shard) expireFrom(rec profile.Record, now int64) {
	if idle := s.program.expire[rec.Namespace()]; idle > 0 {
		s.expireAt(rec.Ordinal(), now+idle)
	}
}

func (s *Shard) expireAt(ordinal uint32, at int64) {
	s.expiries.Set(ordinal, at)
}

// expireSome lets those profiles go whose time has come: as many as one entry may.
func (s *Shard) expireSome() {
	if s.expiries.Next() > s.now {
		return
	}
	for steps := wakeSteps; !s.outbox.full(); {
		ordinal, due, ok := s.expiries.Pop(s.now, &steps)
		if !ok {
			break
		}
		ref, ok := s.table.ByOrdinal(ordinal)
		if !ok {
			panic("BUG: what is to expire has no record")
		}
		s.apply.expire(ref, due)
	}
}

// expired lets the profile at ref go if its time has come by now, because an event is about to be applied to it. It says whether the profile went.
func (a *applier) expired(ref profile.Ref, now int64) bool {
	s := a.s
	ordinal := s.table.Record(ref).Ordinal()
	for {
		due := s.expiries.Due(ordinal)
		if due > now {
			return false
		}
		s.expiries.Clear(ordinal)
		if ref, _ = s.table.ByOrdinal(ordinal); a.expire(ref, due) {
			return true
		}
	}
}

// expire lets a profile go at an instant, or finds out that it is not time yet.
func (a *applier) expire(ref profile.Ref, at int64) (gone bool) {
	s, p := a.s, a.s.program
	rec := s.table.Record(ref)
	idle := p.expire[rec.Namespace()]
	if idle == 0 || rec.Version() == 0 || len(rec.Segment(p.links)) > 0 {
		return false
	}
	if due := rec.Last() + idle; due > at {
		s.expireAt(rec.Ordinal(), due)
		return false
	}
	a.meet(ref)
	a.end(ref, at)
	s.counters.Expired++
	return true
}

// end lets the profile or account at ref go at an instant: it leaves its audiences, and is forgotten.
func (a *applier) end(ref profile.Ref, at int64) {
	s, p := a.s, a.s.program
	ref = a.catchUp(ref, at)
	a.ref, a.rec = ref, s.table.Edit(ref)
	a.seeAt(a.rec, at)
	a.draft.begin()
	a.flipped = a.flipped[:0]
	for i := range p.Audiences {
		if audience.Bits(a.env.Audiences).Has(i) {
			a.flipped = append(a.flipped, i)
		}
	}
	clear(a.env.Audiences)
	a.flip(at)
	a.forgetPending()
	if p.told >= 0 {
		a.tellAll(tellOut, keyOf(a.rec), a.env.State.Segment(p.told), at)
	}
	s.everyone.Remove(a.rec.Ordinal())
	s.drop(a.ref)
}

// carryExpiry keeps, through a change of the cookbook, the instant at which a profile may go: old is its ordinal in queue. If the new cookbook
// waits for less long, the wait begins now; if it waits longer, expire finds that out when the old instant has come.
func (s *Shard) carryExpiry(queue *timer.Queue, old uint32, rec profile.Record) {
	idle := s.program.expire[rec.Namespace()]
	if idle == 0 {
		return
	}
	s.expireAt(rec.Ordinal(), min(queue.Due(old), s.clockFor(s.now, rec)+idle))
}
