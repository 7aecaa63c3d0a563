package shard

import (
	"encoding/binary"

	"dashi/pipeline/attribute"
	"dashi/pipeline/identity"
	"dashi/pipeline/recipe"
	"dashi/shard/profile"
)

// An account is erased as a person is: its record goes, with its own attributes, its audiences and what waits for it, an activation "erased" tells every
// destination, and a tombstone keeps events from before that instant out. Its people stay, and what they say of themselves stays theirs, also that they
// joined it; but from then on only those belong to it who have joined it since. Every shard gets the entry, since people are everywhere: each has the tombstone,
// and takes back what it told the account of its people.

// eraseAccount is what a shard does at an instant about the erasure of an account, of what was said until then.
func (a *applier) eraseAccount(name []byte, until, at int64) {
	s := a.s
	k := key{accountNamespace, identity.Hash(recipe.AccountNamespace, name), name}
	s.bury(k, until)
	if s.accounts != nil {
		s.accounts.apply.takeAccountOut(k, at)
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
		a.tell(tellOut, name, keyOf(a.rec), nil, at)
		a.draft.set(&a.env.State, s.program.told, nil) // whoever has joined it since is told of anew
		a.contribute(at)
		a.keep()
	}
}

// takeAccountOut takes an account out, if it is here. While one of its people is on the way from one shard to another, what is known of that way stays
// until they have arrived: nothing of the account is in it.
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

// lookAt prepares for what is to be said of the person at ref, without an event.
func (a *applier) lookAt(ref profile.Ref) {
	a.meet(ref)
	a.ref, a.rec = ref, a.s.table.Edit(ref)
	a.see(a.rec)
	a.draft.begin()
}

// tellArrived tells the accounts of those who have just come from another shard what is so here: an account may have been erased meanwhile.
func (a *applier) tellArrived(at int64) {
	s := a.s
	if s.program.told < 0 || len(s.erased) == 0 {
		return
	}
	for i := range a.arrivals {
		d := &a.incoming.idents[a.arrivals[i].ident]
		if ref, found := s.table.Find(d.hash, d.ns, d.value); found && s.table.Record(ref).Version() > 0 {
			a.lookAt(ref)
			a.contribute(at)
			a.keep()
		}
	}
}

// joined says whether somebody who has said so at an instant belongs to an account: not when it was erased since.
func (s *Shard) joined(name []byte, at int64) bool {
	if len(s.erased) == 0 {
		return true
	}
	_, after := s.buried(key{hash: identity.Hash(recipe.AccountNamespace, name)}, at)
	return !after
}

// saidAt is when the person in a.env has said to which account they belong.
func (a *applier) saidAt(of *recipe.Attribute) int64 {
	if k, ok := of.Kind.(attribute.Dated); ok {
		if at, ok := k.Since(a.env.State.Fixed[of.Slot.Offset : of.Slot.Offset+of.Kind.FixedSize()]); ok {
			return at
		}
	}
	return a.rec.Last()
}

// takesBack says whether all that is told is that people do not belong to an account any more.
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
