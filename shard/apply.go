package shard

import (
	"bytes"
	"encoding/binary"
	"math/bits"

	"dashi/pipeline/activation"
	"dashi/pipeline/attribute"
	"dashi/pipeline/audience"
	"dashi/pipeline/consent"
	"dashi/pipeline/event"
	"dashi/pipeline/expr"
	"dashi/pipeline/identity"
	"dashi/pipeline/recipe"
	"dashi/shard/profile"
)

// lookAhead is how many events are read, and their index and record lines touched, before they are
// applied, so that the cache misses of a group overlap.
const lookAhead = 16

// applier is the scratch space of Apply: nothing in it outlives a call.
type applier struct {
	s     *Shard
	ahead readAhead

	// The profile that an event changes, and the fragment beside it.
	env      expr.Env
	ref      profile.Ref
	rec      profile.Record
	in       attribute.Input
	dirty    audience.Bits
	flipped  []int
	draft    draft // the segments, as the event makes them
	side     side  // the fragment that the event goes to besides
	watch    watch
	pace     pacer
	profile  int         // index in comp of the identifier that names the profile in ref; -1 for one that is linked with nobody
	fragment profile.Ref // that the event goes to besides; 0 for none

	// What follows is for identifiers that are linked: see deliver.go, join.go, move.go and refold.go.
	comp     component
	packed   bool // the record of the root has a.comp already
	entered  bool // comp is to be stored: an identifier has its first fragment
	resolver identity.Resolver
	passed   event.Event
	moving   moving
	earlier  earlier
	marks    marks
	aloof    aloof // see sticky.go

	accounts telling  // what accounts are to be told: see contribute.go
	crowd    crowding // of accounts: see account.go

	mail     mail
	emission emission
	scratch  scratch
}

// readAhead are the next events of a batch, whose places in the tables are touched together.
type readAhead struct {
	events [lookAhead]event.Event
	hashes [lookAhead]uint64
	sum    uint64 // keeps the touching loads alive
}

// watch is what activations wait for in the profile, before the event and after it.
type watch struct {
	before []byte // values of watched attributes
	after  []byte
	ends   []int
	visits []attribute.Session // before the event, by program.sessions
}

// moving is a component that comes from another shard, or goes there: see move.go.
type moving struct {
	comp      component // that comes
	arrivals  []arrival
	came      []came
	guest     int    // index in applier.comp of the profile that arrivals has, for which there is no record yet; -1 for none
	dir, data []byte // segments on their way from one record to another
}

// earlier is what profiles were in before their component changed: see former.go.
type earlier struct {
	formers   []former
	frozen    former // see assemble
	inherited former
	one       former
	others    []activation.Identifier
}

// marks say which profiles change when their component has: see refold.go.
type marks struct {
	was      []int  // by identifier of the component: the one that named its profile before
	old, new []bool // by the identifier that names it: the profile before, or now, is concerned
}

// mail are the messages that an entry makes: see peer.go.
type mail struct {
	out   []byte   // the one being written
	local [][]byte // those of this shard for itself, from next on
	next  int
	spare [][]byte // buffers for them
	sent  int      // those for others
	moved bool     // a component came or went
}

// emission is the activation being written.
type emission struct {
	act     activation.Activation
	texts   activation.Texts
	ids     []activation.Identifier
	key     []byte
	include []int
	attrs   func(dst []byte) []byte
}

// scratch are buffers that nothing lives in beyond one step.
type scratch struct {
	segment []byte // for kinds
	text    []byte // a string before the update
	near    []byte // a fixed part before a merge: see mergeBounded
	since   []byte // entry times
	blob    []byte
	bits    audience.Bits
	place   []byte // where a root may lie that a pointer said
}

func (a *applier) init(s *Shard) {
	a.s = s
	a.moving.guest = -1
	a.emission.attrs = a.appendIncluded
}

// use sizes the scratch space for a program.
func (a *applier) use(p *program) {
	a.dirty = audience.NewBits(p.words * 64)
	a.env.Audiences = make([]uint64, p.words)
	a.env.Memos = make([]expr.Memo, len(p.Attributes))
	a.aloof.use(p)
	for i := range a.ahead.events {
		a.ahead.events[i] = event.Event{}
	}
}

// events applies the packed events of a batch (prev, last] whose offset is above mark. What follows one that cannot be read, or
// that lies outside of the batch, cannot be trusted and is left out.
func (a *applier) events(body []byte, prev, last, mark int64, r *Result) {
	offset := prev
	for len(body) > 0 {
		n := 0
		for n < lookAhead && len(body) > 0 {
			delta, k := binary.Uvarint(body)
			if k <= 0 || delta == 0 || delta > uint64(last-offset) {
				a.s.counters.Corrupt++
				body = nil
				break
			}
			offset += int64(delta)
			rest, err := event.Unpack(body[k:], a.s.program.Schema, &a.ahead.events[n])
			if err != nil || len(a.ahead.events[n].Identifiers[0].Value) > profile.MaxKey {
				a.s.counters.Corrupt++
				body = nil
				break
			}
			body = rest
			if offset <= mark {
				r.Skipped++
				continue
			}
			a.ahead.hashes[n] = a.ahead.events[n].Hash
			n++
		}
		a.touch(a.ahead.hashes[:n])
		for i := range n {
			a.ahead.sum += a.s.recent.touch(a.ahead.events[i].ID)
		}
		for i := range n {
			a.event(&a.ahead.events[i], r)
			a.drain()
		}
	}
}

// touch reads the lines of the tables that lead to what is known of these identifiers.
func (a *applier) touch(hashes []uint64) {
	s := a.s
	a.ahead.sum += s.table.Touch(hashes)
	if s.fragments.Len() > 0 {
		a.ahead.sum += s.fragments.Touch(hashes)
	}
	a.ahead.sum += s.pointers.touch(hashes)
}

// event applies one event, unless its message id was seen before. The same message always has the same strongest identifier, so it comes
// to the same shard, wherever the profile lies by now.
func (a *applier) event(e *event.Event, r *Result) {
	s := a.s
	if e.ID != [2]uint64{} {
		if s.recent.seen(e.ID, s.now) {
			s.counters.Repeated++
			r.Repeated++
			return
		}
	}
	s.counters.Events++
	r.Applied++
	a.deliver(e)
}

// count notes in the head of a record that an event was applied to it.
func count(rec profile.Record, e *event.Event) {
	fresh := rec.Version() == 0
	rec.SetVersion(rec.Version() + 1)
	if fresh || e.Time < rec.First() {
		rec.SetFirst(e.Time)
	}
	if fresh || e.Time > rec.Last() {
		rec.SetLast(e.Time)
	}
}

// applyTo applies an event to the profile at ref, and to a.fragment. fresh says that it is the profile's first.
func (a *applier) applyTo(e *event.Event, ref profile.Ref, fresh bool) {
	s, p := a.s, a.s.program
	now := s.now
	if s.byEvents {
		now = a.eventClock(e, ref, !fresh)
	}
	if !fresh && s.first <= now {
		ref = a.catchUp(ref, now)
	}
	a.ref, a.rec = ref, s.table.Edit(ref)
	if fresh {
		p.index.Fresh(a.dirty)
		s.everyone.Add(a.rec.Ordinal())
		s.expireFrom(a.rec, now)
	}
	count(a.rec, e)
	if a.fragment != 0 {
		rec := s.fragments.Edit(a.fragment)
		known := rec.Version() > 0
		count(rec, e)
		a.side.begin(rec)
		if a.side.heeded = !known; known {
			a.catchUpAlone(rec)
		}
	}
	a.env.Event, a.env.Now, a.env.Item, a.env.Scratch = e, now, 0, a.env.Scratch[:0]
	p.env(&a.env, a.rec)
	a.draft.begin()
	a.in.Time, a.in.Now, a.in.ID = e.Time, now, e.ID

	watched := p.onChange[e.Type]
	if len(watched) > 0 {
		a.watch.before, a.watch.ends = a.appendWatched(a.watch.before[:0], a.watch.ends[:0], watched)
	}
	if len(p.sessions) > 0 {
		a.noteSessions()
	}
	rules := p.Rules[e.Type]
	for i := range rules {
		rule := &rules[i]
		if rule.Array == 0 {
			a.rule(rule, e)
			continue
		}
		for item := range e.Lens[rule.Array-1] {
			a.env.Item = item
			a.rule(rule, e)
		}
		a.env.Item = 0
	}
	var next int64
	a.flipped, next = p.index.Evaluate(&a.env, a.dirty, a.flipped)
	a.flip(e.Time)
	if len(watched) > 0 {
		a.changed(watched, e.Time)
	}
	if len(p.sessions) > 0 {
		a.beginSessions(e.Time)
	}
	if len(p.byTimeParts) > 0 {
		next = min(next, a.nextChange())
	}
	if next != expr.Never {
		s.wakeBy(a.rec.Ordinal(), next)
	}
	for _, i := range p.onEvent[e.Type] {
		if act := &p.Activations[i]; act.Where == nil || act.Where(&a.env) == expr.True {
			a.trigger(i, e.Name, e.Time)
		}
	}
	if p.goalOn != nil {
		a.reach(p.goalOn[e.Type], e)
	}
	a.paceEvent()
	if p.told >= 0 {
		a.contribute(e.Time)
	}
	a.keep()
	if a.fragment != 0 {
		if a.side.heeded && p.sticky.bits != nil {
			rec := s.fragments.Record(a.fragment)
			clock := s.clockFor(s.now, rec)
			a.alone(rec, e.Time, clock, clock)
		}
		a.fragment = a.keepSide(a.fragment)
		a.ungroup()
	}
}

// keep writes the segments that changed to the record, which may move it.
func (a *applier) keep() {
	if a.draft.open {
		a.ref = a.s.table.SetSegments(a.ref, a.draft.dir, a.draft.data)
	}
}

// flip writes down who entered and left at an instant, and emits what follows.
func (a *applier) flip(at int64) {
	if len(a.flipped) == 0 {
		return
	}
	a.writeMemberships(at)
	for _, i := range a.flipped {
		a.transition(i, at)
	}
}

// rule folds one occurrence into one attribute or purpose.
func (a *applier) rule(rule *recipe.Rule, e *event.Event) {
	p, env := a.s.program, &a.env
	if rule.Where != nil && rule.Where(env) != expr.True {
		return
	}
	in := &a.in
	switch {
	case rule.Field > 0:
		in.Value = e.Values[rule.Field-1]
	case rule.Item > 0:
		in.Value = e.Items[rule.Item-1][env.Item]
	case rule.Value != nil:
		in.Value = rule.Value(env)
	default:
		in.Value = event.Value{}
	}
	if in.Value.Kind == event.Absent && rule.Value != nil {
		return
	}
	in.Op, in.By, in.Step = rule.Op, 1, rule.Step
	if rule.By != nil {
		by, ok := rule.By(env)
		if !ok {
			return
		}
		in.By = by
	}
	if rule.Attribute < 0 {
		at := env.Consent[8*rule.Purpose:]
		before := binary.LittleEndian.Uint64(at)
		after := consent.Update(before, in.Value.Bits != 0, e.Time)
		if after != before {
			binary.LittleEndian.PutUint64(at, after)
			p.index.Consented(rule.Purpose, a.dirty)
		}
		if a.fragment != 0 {
			at := a.side.state.Fixed[p.consentAt+8*rule.Purpose:]
			binary.LittleEndian.PutUint64(at, consent.Update(le64(at), in.Value.Bits != 0, e.Time))
			a.side.heeded = a.side.heeded || p.sticky.bits != nil && p.sticky.purposes[rule.Purpose]
		}
		return
	}
	a.fold(rule.Attribute, in)
}

// writeMemberships writes the membership bits of the flipped audiences to the record, their entry times and bitmaps.
func (a *applier) writeMemberships(at int64) {
	p := a.s.program
	members := a.rec.Fixed()[p.membersAt:]
	old, kept := a.env.State.Segment(p.since), 0 // bytes of old that are dealt with
	a.scratch.since = a.scratch.since[:0]
	for _, i := range a.flipped { // in index order, as the times are
		before := 8 * membersBefore(members, i)
		a.scratch.since = append(a.scratch.since, old[kept:before]...)
		if kept = before; audience.Bits(a.env.Audiences).Has(i) {
			a.scratch.since = binary.LittleEndian.AppendUint64(a.scratch.since, uint64(at))
		} else {
			kept += 8
		}
	}
	a.scratch.since = append(a.scratch.since, old[kept:]...)
	for w := range p.words {
		binary.LittleEndian.PutUint64(members[8*w:], a.env.Audiences[w])
	}
	if a.draft.open {
		a.draft.set(&a.env.State, p.since, a.scratch.since)
	} else { // mostly the only segment that becomes another, and one of the last in the record: not worth a draft
		a.ref = a.s.table.SetSegment(a.ref, p.since, a.scratch.since)
		a.rec = a.s.table.Edit(a.ref)
		p.env(&a.env, a.rec)
	}
	ordinal := a.rec.Ordinal()
	for _, i := range a.flipped {
		if audience.Bits(a.env.Audiences).Has(i) {
			a.s.members[i].Add(ordinal)
		} else {
			a.s.members[i].Remove(ordinal)
		}
	}
}

// membersBefore is how many audiences of a lower index than i the membership bits have.
func membersBefore(members []byte, i int) (n int) {
	w := 0
	for ; 64*(w+1) <= i; w++ {
		n += bits.OnesCount64(le64(members[8*w:]))
	}
	return n + bits.OnesCount64(le64(members[8*w:])&(1<<(i%64)-1))
}

// transition emits what follows from entering or leaving audience i.
func (a *applier) transition(i int, at int64) {
	p := a.s.program
	d := &p.Audiences[i]
	in := audience.Bits(a.env.Audiences).Has(i)
	a.s.crossed(i, in, a.env.Now)
	subject, named, emits := p.exits[i], p.onExit[i], d.Emit == audience.EmitBoth || d.Emit == audience.EmitExit
	if in {
		subject, named, emits = p.enters[i], p.onEnter[i], d.Emit == audience.EmitBoth || d.Emit == audience.EmitEnter
	}
	if emits {
		a.emission.act = activation.Activation{Subject: subject}
		a.emit(d.Requires, nil, at)
	}
	for _, j := range named {
		if act := &p.Activations[j]; act.Where == nil || act.Where(&a.env) == expr.True {
			a.trigger(j, nil, at)
		}
	}
}

// appendWatched appends the values of the attributes that the watched activations wait for, and where each ends.
func (a *applier) appendWatched(dst []byte, ends []int, watched []int) ([]byte, []int) {
	p := a.s.program
	for _, i := range watched {
		dst = p.Attributes[p.Activations[i].Attribute].AppendJSON(dst, &a.env)
		ends = append(ends, len(dst))
	}
	return dst, ends
}

// changed emits the activations whose attribute has another value than before the event.
func (a *applier) changed(watched []int, at int64) {
	p := a.s.program
	start := 0
	for k, i := range watched {
		act := &p.Activations[i]
		was := a.watch.before[start:a.watch.ends[k]]
		start = a.watch.ends[k]
		a.watch.after = p.Attributes[act.Attribute].AppendJSON(a.watch.after[:0], &a.env)
		if bytes.Equal(was, a.watch.after) || (act.Where != nil && act.Where(&a.env) != expr.True) {
			continue
		}
		a.trigger(i, nil, at)
	}
}

// emit puts a.act into the outbox, unless a consent is missing: then it is false.
func (a *applier) emit(requires, include []int, at int64) bool {
	s, p := a.s, a.s.program
	if !consent.Allows(a.env.Consent, requires) {
		s.counters.Withheld++
		return false
	}
	a.rec.SetSequence(a.rec.Sequence() + 1)
	a.emission.act.Identifiers = a.people()
	a.emission.act.Sequence, a.emission.act.Texts = a.rec.Sequence(), &a.emission.texts
	a.emission.act.Cookbook = p.Hash
	a.emission.act.EventTime, a.emission.act.At = at, a.env.Now
	if a.emission.include = include; len(include) > 0 {
		a.emission.act.Attributes = a.emission.attrs
	}
	if s.hasLeft(&a.emission.act) {
		s.counters.Activations++
		return true
	}
	a.emission.key = a.emission.act.AppendProfile(a.emission.key[:0])
	entry := s.outbox.open(a.emission.key)
	head := len(entry)
	if entry = a.emission.act.AppendJSON(entry); len(entry)-head > MaxActivation {
		// One that Kafka refuses would keep all that follow from leaving: it goes without what makes it long.
		a.emission.act.Attributes = nil
		entry = a.emission.act.AppendJSON(entry[:head])
		s.counters.Shortened++
	}
	s.outbox.close(entry)
	s.counters.Activations++
	return true
}

// people is the identifiers of the profile, the one that names it first.
func (a *applier) people() []activation.Identifier {
	a.emission.ids = a.emission.ids[:0]
	if a.profile < 0 {
		a.emission.ids = append(a.emission.ids, activation.Identifier{Namespace: a.s.namespaces[a.rec.Namespace()], Value: a.rec.Key()})
		return a.emission.ids
	}
	for i := range a.comp.idents {
		if a.comp.idents[i].profile == a.profile {
			a.emission.ids = append(a.emission.ids, a.identifier(i))
		}
	}
	return a.emission.ids
}

// appendIncluded appends the attributes of an activation's payload.
func (a *applier) appendIncluded(dst []byte) []byte {
	for k, i := range a.emission.include {
		if k > 0 {
			dst = append(dst, ',')
		}
		at := &a.s.program.Attributes[i]
		dst = attribute.AppendQuoted(dst, []byte(at.Name))
		dst = append(dst, ':')
		dst = at.AppendJSON(dst, &a.env)
	}
	return dst
}
