package shard

import (
	"bytes"
	"encoding/binary"

	"dashi/pipeline/attribute"
	"dashi/pipeline/identity"
	"dashi/pipeline/recipe"
	"dashi/shard/profile"
)

// An account is erased as a person is: its record goes, with its attributes, its audiences and its pending activations, an activation "erased"
// tells every destination, and a tombstone keeps out events from before that instant. Its people stay, and what they have said of themselves stays
// theirs, even that they joined it; but from then on only those belong to it who have joined it since. Every shard gets the entry, since people
// are everywhere: each keeps the tombstone, and takes back what it told the account of its people.

// eraseAccount is what each shard does about the erasure of an account: what was said up to the instant until is over.
func (a *applier) eraseAccount(name []byte, until int64) {
	s := a.s
	k := key{accountNamespace, identity.Hash(recipe.AccountNamespace, name), name}
	s.bury(k, until)
	if s.accounts != nil {
		s.accounts.apply.takeAccountOut(k, until)
	}
	if s.program.told < 0 {
		return
	}
	var people []uint32
	s.table.Each(func(_ profile.Ref, rec profile.Record) bool {
		if rec.Version() > 0 && toldOf(rec.Segment(s.program.told), name) {
			people = append(people, rec.Ordinal())
		}
		return true
	})
	for _, o := range people {
		ref, _ := s.table.ByOrdinal(o)
		a.lookAt(ref)
		at := a.env.Now // the person's own clock: all their accounts are told, and accounts live by what their people have lived to
		a.tell(tellOut, name, keyOf(a.rec), nil, at)
		a.draft.set(&a.env.State, s.program.told, nil) // so that contribute tells it anew of whoever has joined it since
		a.contribute(at)
		a.keep()
	}
}

// takeAccountOut takes an account out, if it is here. While one of its people is on the way from one shard to another, the rows about that way
// stay until they have arrived; nothing of the account is in them.
func (a *applier) takeAccountOut(k key, at int64) {
	in := a.s
	ref, found := in.table.Find(k.hash, k.ns, k.value)
	if !found {
		return
	}
	c := gathering{append([]byte(nil), in.table.Record(ref).Segment(in.program.crowd)...), crowdWidth(in.program.of.Items)}
	for i := c.len() - 1; i >= 0; i-- {
		if c.setState(i, rowVoid); c.balance(i) == 0 {
			c.remove(i)
		}
	}
	a.sayErased(-1, ref, at)
	in.drop(ref)
	in.counters.Erased++
	if c.len() > 0 {
		binary.LittleEndian.PutUint32(c.b[4:], 0)
		in.table.SetSegment(a.openAccount(k.value, at), in.program.crowd, c.b)
		if err := a.hear(k.value, at, nil, 0); err != nil {
			panic("BUG: nothing cannot be heard: " + err.Error())
		}
	}
}

// lookAt prepares a for emitting activations and messages about the person at ref, without an event.
func (a *applier) lookAt(ref profile.Ref) {
	a.meet(ref)
	a.ref, a.rec = ref, a.s.table.Edit(ref)
	a.see(a.rec)
	a.draft.begin()
}

// tellArrived tells the accounts of those who have just come from another shard what holds here: an account may have been erased meanwhile.
func (a *applier) tellArrived(at int64) {
	s := a.s
	if s.program.told < 0 || len(s.erased) == 0 {
		return
	}
	for i := range a.moving.arrivals {
		d := &a.moving.comp.idents[a.moving.arrivals[i].ident]
		if ref, found := s.table.Find(d.hash, d.ns, d.value); found && s.table.Record(ref).Version() > 0 {
			a.lookAt(ref)
			a.contribute(at)
			a.keep()
		}
	}
}

// stillBelongs says whether somebody who said at an instant that they belong to an account still does: not if the account was erased since.
func (s *Shard) stillBelongs(name []byte, at int64) bool {
	if len(s.erased) == 0 {
		return true
	}
	_, after := s.buried(key{hash: identity.Hash(recipe.AccountNamespace, name)}, at)
	return !after
}

// saidAt is when the person in a.env said that they belong to the account of that name. of is the attribute that says so. A derived attribute was
// said when what it is derived from was: the latest of the strings that are this name, or else of its strings, or else of anything in it that
// knows a time. If nothing does, as in a name made of a count, it was said when the person was first seen: any later instant would move with
// events that have nothing to do with it, and bring an erased account back.
func (a *applier) saidAt(of *recipe.Attribute, name []byte) int64 {
	if of.Kind != nil {
		if at, ok := a.stated(of); ok {
			return at
		}
		return a.rec.First()
	}
	best, at := 0, a.rec.First()
	for _, i := range of.Reads {
		r := &a.s.program.Attributes[i]
		since, ok := a.stated(r)
		if !ok {
			continue
		}
		rank := 1
		if r.Type == attribute.String {
			rank = 2
			if v, ok := r.Str(&a.env); ok && bytes.Equal(v, name) {
				rank = 3
			}
		}
		if rank > best || rank == best && since > at {
			best, at = rank, since
		}
	}
	return at
}

// stated is the event time of the value of a stored attribute in a.env, if its kind keeps that.
func (a *applier) stated(of *recipe.Attribute) (at int64, ok bool) {
	k, ok := of.Kind.(attribute.Dated)
	if !ok {
		return 0, false
	}
	var segment []byte
	if of.Slot.Segment >= 0 {
		segment = a.env.State.Segment(of.Slot.Segment)
	}
	return k.Since(a.env.State.Fixed[of.Slot.Offset:of.Slot.Offset+of.Kind.FixedSize()], segment)
}

// takesBack says whether a message to an account says nothing but that people do not belong to it any more.
func takesBack(src []byte) bool {
	for len(src) > 0 {
		kind, rest := src[0], src[1:]
		if kind != tellOut {
			return false
		}
		for range 2 { // namespace and value
			var err error
			if _, rest, err = readBytes(rest); err != nil {
				return false
			}
		}
		src = rest
	}
	return true
}
