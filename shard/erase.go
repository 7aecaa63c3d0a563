package shard

import (
	"cmp"
	"encoding/binary"
	"slices"

	"dashi/pipeline/activation"
	"dashi/pipeline/recipe"
	"dashi/shard/profile"
)

// An erasure takes a person out: the profile of an identifier, with all its identifiers, fragments and links. It begins at the home of the
// identifier and goes, like every message about one, to where its component lies; there the profile is taken out of the component, an
// activation "erased" tells every destination, and the homes of its identifiers are told. What stays is a tombstone for each identifier, its
// hash and the instant: whatever happened up to that instant and is heard of later is passed over, whoever says it. What happens after it
// makes a new person.
//
// Messages that were under way when somebody was erased come to places that are no more. The tombstones there tell them from
// nonsense: what is about somebody erased is dropped, what is about somebody else goes back to that person's home and from there anew.
//
// One thing may stay of an erased person while other people are in the same component, say because they share a tablet: the smallest identifier,
// since it says where the component lies. A record with nothing but that name stays until the others are gone too.

// erasures are the tombstones of a shard: by hash of an identifier, the instant up to which nothing is taken in.
type erasures map[uint64]int64

// tombstone is an entry of erasures.
type tombstone struct {
	hash  uint64
	until int64
}

// bury notes that k was erased at an instant.
func (s *Shard) bury(k key, at int64) {
	if s.erased == nil {
		s.erased = erasures{}
	}
	s.erased[k.hash] = max(s.erased[k.hash], at)
}

// buried says whether k was ever erased, and whether that was at the instant at or after it: then what happened at that instant is passed over.
func (s *Shard) buried(k key, at int64) (ever, after bool) {
	if len(s.erased) == 0 {
		return false, false
	}
	until, ever := s.erased[k.hash]
	return ever, ever && at <= until
}

// maxTombstones is how many tombstones a component keeps: a MiB of them. They are only for messages that are on their way, so the oldest may
// go: the homes of the identifiers keep theirs.
const maxTombstones = 1 << 16

// bury notes that an identifier was erased from c.
func (c *component) bury(t tombstone) {
	i, found := slices.BinarySearchFunc(c.tombstones, t.hash, func(t tombstone, hash uint64) int { return cmp.Compare(t.hash, hash) })
	if found {
		c.tombstones[i].until = max(c.tombstones[i].until, t.until)
		return
	}
	c.tombstones = slices.Insert(c.tombstones, i, t)
	if len(c.tombstones) > maxTombstones {
		oldest := 0
		for k := range c.tombstones {
			if c.tombstones[k].until < c.tombstones[oldest].until {
				oldest = k
			}
		}
		c.tombstones = slices.Delete(c.tombstones, oldest, oldest+1)
	}
}

// recallErasure gives a.comp, which was just made of the identifier with that hash alone, the tombstone of that identifier, if there is one.
func (a *applier) recallErasure(hash uint64) {
	if until, ever := a.s.erased[hash]; ever {
		a.comp.bury(tombstone{hash, until})
	}
}

// erasedSince says whether identifier i of a.comp was erased at the instant at or after it, and has come again since. It counts that as buried.
func (a *applier) erasedSince(i int, at int64) bool {
	c := &a.comp
	if len(c.tombstones) == 0 {
		return false
	}
	hash := a.s.key(c.idents[i].ns, c.idents[i].value).hash
	for _, t := range c.tombstones {
		if t.hash == hash && at <= t.until {
			a.s.counters.Buried++
			return true
		}
	}
	return false
}

// missing is buried for an identifier that a.comp does not have: the tombstones of the component count as well.
func (a *applier) missing(k key, at int64) (ever, after bool) {
	if ever, after = a.s.buried(k, at); ever {
		return ever, after
	}
	for _, t := range a.comp.tombstones {
		if t.hash == k.hash {
			return true, at <= t.until
		}
	}
	return false, false
}

// way says where a message about k goes that came to a.comp although a.comp does not have k, and whether it waits here, in the name of the
// returned identifier, until a component moves. ever: k was erased once.
//
// At the home of k the pointer of k has the last word. If it leads to this component, k is on its way: to this component, or to another one if
// somebody on that way was erased and has begun anew. The message waits in the name of k, until the pointer or what it leads to changes. (In the
// name of this component's root it would wait for ever in the second case; sent on, it would be back at once, without end.) If the pointer leads
// anywhere else the message goes there; without a pointer k begins anew.
//
// On another shard the message goes to the home of k if an erasure may have led it astray: a component has the tombstones of those who were
// erased, began anew on the way, and were taken in. Otherwise it waits for the component that it has overtaken.
func (a *applier) way(k key, ever bool) (to key, waits bool) {
	s, root := a.s, a.comp.idents[0].key
	if s.home(k) == s.settings.Self {
		_, ref, where := s.place(k, &a.scratch.place)
		return k, where == here && keyOf(s.table.Record(ref)).is(root)
	}
	astray, _ := s.buried(root, 0)
	if ever || astray || len(a.comp.tombstones) > 0 {
		return k, false
	}
	return root, true
}

// passesOver says whether what happened to k at an instant is too old to be taken in, because k was erased since. It counts that as buried.
func (s *Shard) passesOver(k key, at int64) bool {
	if _, after := s.buried(k, at); after {
		s.counters.Buried++
		return true
	}
	return false
}

// AppendErase appends the entry that takes out the person who has that identifier, normalised. It is for the shard that is the home of the
// identifier. The erasure happens at the shard's clock, unless AppendAsOf follows.
func AppendErase(dst []byte, now int64, namespace string, value []byte) []byte {
	dst = append(dst, kindErase)
	dst = binary.LittleEndian.AppendUint64(dst, uint64(now))
	return appendBytes(appendBytes(dst, []byte(namespace)), value)
}

// AppendEraseAccount appends the entry that takes an account out as of the instant at, in milliseconds. It is for all shards. Their clocks differ,
// so the instant is given: what was said up to it is over in all of them, what was said later in none. With a clock of stamps it is the proposer's
// time of day, at most now. With a clock of event times it is the latest that any shard has come to (Stats.Now): the time of day would bury all
// history that is still to be read.
func AppendEraseAccount(dst []byte, now int64, name []byte, at int64) []byte {
	return AppendAsOf(AppendErase(dst, now, recipe.AccountNamespace, name), at)
}

// AppendAsOf appends to an entry of AppendErase or AppendUnlink at which instant it happens, in milliseconds, even if the shard's own clock is
// not there yet: with a clock of event times, the clock of a shard that has read nothing stands before all history.
func AppendAsOf(dst []byte, at int64) []byte {
	return append(binary.LittleEndian.AppendUint64(dst, uint64(at)), asOf)
}

// asOf follows the instant of an entry. In old logs there are erasures of accounts without it: their instant is the shard's clock, if that is earlier.
const asOf = 1

// instant reads the rest of an entry of AppendErase, of a person, or AppendUnlink: at which instant it happens.
func (s *Shard) instant(rest []byte) (at int64, err error) {
	switch {
	case len(rest) == 0:
		return s.Now(), nil
	case len(rest) == 9 && rest[8] == asOf:
		return max(s.Now(), min(int64(le64(rest)), maxNow)), nil
	}
	return 0, errMessage
}

// accountInstant is the same for an account: there the result must not depend on the shard's clock.
func (s *Shard) accountInstant(rest []byte) (at int64, err error) {
	switch {
	case len(rest) == 8:
		return min(int64(le64(rest)), s.Now()), nil
	case len(rest) == 9 && rest[8] == asOf:
		return min(int64(le64(rest)), maxNow), nil
	}
	return 0, errMessage
}

// applyErase takes a person or an account out.
func (s *Shard) applyErase(body []byte, r *Result) {
	if s.program == nil {
		r.Outcome = Stale
		return
	}
	if space, rest, err := readBytes(body); err == nil && string(space) == recipe.AccountNamespace && s.program.Accounts != nil {
		name, rest, err := readBytes(rest)
		at := int64(0)
		if err == nil {
			at, err = s.accountInstant(rest)
		}
		if err != nil || len(name) == 0 || len(name) > maxIdentifier {
			r.refuse("erasure of an account of %d bytes: %v", len(body), err)
			return
		}
		s.apply.eraseAccount(name, at)
		s.apply.drain()
		return
	}
	k, rest, err := s.readNamed(body)
	at := int64(0)
	if err == nil {
		at, err = s.instant(rest)
	}
	if err != nil {
		r.refuse("erasure of %d bytes: %v", len(body), err)
		return
	}
	s.apply.erase(k, k, at)
	s.apply.drain()
}

// appendErase appends a message Erase or Erased to the identifier to: the person who has k was erased at an instant.
func (s *Shard) appendErase(dst []byte, kind byte, to, k key, at int64) []byte {
	return binary.AppendVarint(s.appendKey(s.appendKey(append(dst, kind), to), k), at)
}

func (s *Shard) readErase(src []byte) (k key, at int64, err error) {
	if k, src, err = s.readKey(src); err != nil {
		return k, 0, err
	}
	if at, src, err = varint(src); err == nil && len(src) > 0 {
		err = errMessage
	}
	return k, at, err
}

// erase takes the person of k out, or passes it on to where k lies.
func (a *applier) erase(to, k key, at int64) {
	s := a.s
	root, ref, where := s.place(to, &a.scratch.place)
	switch where {
	case elsewhere:
		if ever, _ := s.buried(k, at); ever && !to.is(k) {
			root = k // which was here
		}
		a.mail.out = s.appendErase(a.mail.out[:0], messageErase, root, k, at)
		a.send(s.home(root), a.mail.out)
		return
	case between:
		a.park(s.appendErase(a.mail.out[:0], messageErase, to, k, at))
		return
	case unknown:
		s.bury(k, at)
		if !to.is(k) { // where it led is no more
			a.mail.out = s.appendErase(a.mail.out[:0], messageErase, k, k, at)
			a.send(s.home(k), a.mail.out)
		}
		return
	}
	a.load(ref)
	i := a.comp.index(k)
	if i < 0 {
		ever, _ := a.missing(k, at)
		to, waits := a.way(k, ever)
		a.sendOrPark(s.appendErase(a.mail.out[:0], messageErase, to, k, at), to, waits)
		return
	}
	a.takeOut(i, at)
}

// takeOut takes the profile of identifier i out of a.comp.
func (a *applier) takeOut(i int, at int64) {
	s, c := a.s, &a.comp
	a.fillHashes(c)
	p := c.idents[i].profile
	name := c.idents[p].key
	name.value = slices.Clone(name.value)
	if ref, found := s.table.Find(name.hash, name.ns, name.value); found {
		a.sayErased(p, ref, at)
	}
	others := false
	for j := range c.idents {
		d := &c.idents[j]
		if d.profile != p {
			others = true
			continue
		}
		if ref, found := s.fragments.Find(d.hash, d.ns, d.value); found {
			s.fragments.Delete(ref)
		}
		s.bury(d.key, at)
		c.bury(tombstone{d.hash, at})
		if home := s.home(d.key); home != s.settings.Self {
			a.mail.out = s.appendErase(a.mail.out[:0], messageErased, d.key, d.key, at)
			a.send(home, a.mail.out)
		} else {
			s.pointers.remove(d.key)
		}
	}
	a.mail.moved = true // what was parked may be about somebody who is no more
	s.counters.Erased++
	if ref, found := s.table.Find(name.hash, name.ns, name.value); found && (p > 0 || !others) {
		if s.table.Record(ref).Version() == 0 {
			s.holders--
		}
		s.drop(ref)
	} else if found {
		a.empty(ref)
	}
	if !others {
		return
	}
	c.without(p)
	a.partition(at)
	a.store()
}

// sayErased tells every destination that a profile is erased, and takes it out of everybody's count.
func (a *applier) sayErased(p int, ref profile.Ref, at int64) {
	s := a.s
	if s.table.Record(ref).Version() == 0 {
		return
	}
	a.profile, a.fragment = p, 0
	a.ref, a.rec = ref, s.table.Edit(ref)
	a.see(a.rec)
	a.draft.begin()
	a.emission.act = activation.Activation{Subject: s.program.erased}
	a.emit(nil, nil, at)
	a.forgetPending()
	if s.program.told >= 0 {
		a.tellAll(tellOut, keyOf(a.rec), a.env.State.Segment(s.program.told), at)
	}
	s.vanish(a.rec.Ordinal(), s.bits(a.rec))
	s.expiries.Clear(a.rec.Ordinal())
}

// empty leaves nothing of the root's record, at ref, but its name.
func (a *applier) empty(ref profile.Ref) {
	s := a.s
	rec := s.table.Edit(ref)
	if rec.Version() > 0 {
		rec.SetVersion(0)
		s.holders++
	}
	a.blank(a.comp.idents[0].key)
}

// without takes the identifiers of profile p out, with their links; the root stays, as a name.
func (c *component) without(p int) {
	stay := make([]int, len(c.idents))
	kept := c.idents[:0]
	for i := range c.idents {
		d := c.idents[i]
		stay[i] = len(kept)
		switch {
		case d.profile != p:
		case i == 0:
			d = ident{key: d.key, unseen: true}
		default:
			stay[i] = -1
			continue
		}
		kept = append(kept, d)
	}
	gone := func(i int) bool { return stay[i] < 0 || i == 0 && p == 0 }
	links := c.facts.Links[:0]
	for _, l := range c.facts.Links {
		if !gone(l.A) && !gone(l.B) {
			l.A, l.B = stay[l.A], stay[l.B]
			links = append(links, l)
		}
	}
	for i := range kept {
		kept[i].profile = stay[kept[i].profile]
	}
	c.idents, c.facts.Links = kept, links
}

// erasedElsewhere notes, at the home of an identifier, that it was erased on the shard where it lay.
func (a *applier) erasedElsewhere(k key, at int64) {
	s := a.s
	s.bury(k, at)
	s.pointers.remove(k)
	a.mail.moved = a.mail.moved || len(s.parked) > 0 // what is parked may have waited for k
}

// append appends the tombstones in the order of their hashes.
func (e erasures) append(dst []byte) []byte {
	all := make([]tombstone, 0, len(e))
	for hash, until := range e {
		all = append(all, tombstone{hash, until})
	}
	slices.SortFunc(all, func(a, b tombstone) int { return cmp.Compare(a.hash, b.hash) })
	return appendTombstones(dst, all)
}

func appendTombstones(dst []byte, all []tombstone) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(all)))
	for _, t := range all {
		dst = binary.LittleEndian.AppendUint64(dst, t.hash)
		dst = binary.LittleEndian.AppendUint64(dst, uint64(t.until))
	}
	return dst
}

// readTombstones appends to all what appendTombstones wrote.
func readTombstones(all []tombstone, src []byte) (_ []tombstone, rest []byte, err error) {
	n, src, err := uvarint(src)
	if err != nil || n > uint64(len(src))/16 {
		return nil, nil, errShort
	}
	for range n {
		all = append(all, tombstone{le64(src), int64(le64(src[8:]))})
		src = src[16:]
	}
	return all, src, nil
}

func (s *Shard) restoreErasures(src []byte) (rest []byte, err error) {
	all, rest, err := readTombstones(nil, src)
	for _, t := range all {
		if s.erased == nil {
			s.erased = make(erasures, len(all))
		}
		s.erased[t.hash] = t.until
	}
	return rest, err
}
