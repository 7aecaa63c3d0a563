package shard

import "dashi/pipeline/identity"

// MaxComponent is the most identifiers that are brought to one place. Rules and identity.MaxPartners keep profiles far smaller; what grows
// beyond this hangs together by many shared identifiers in a chain. A link that would make such a component larger is passed over and counted:
// there the order of arrival decides.
const MaxComponent = 1000

// maxComponentBytes bounds what a component takes in the record of its root, however long its identifiers are and however many cuts it has: one
// beyond it is full too. Two that are not full may still become one.
const maxComponentBytes = 16 << 20

// The most bytes that an identifier takes besides its value, and that a link and a tombstone take.
const (
	identBytes     = 64
	linkBytes      = 40
	tombstoneBytes = 16
)

// full says whether nothing may be added to a component.
func (c *component) full() bool {
	return len(c.idents) >= MaxComponent || c.bytes() >= maxComponentBytes
}

// bytes is an upper bound of the encoded size.
func (c *component) bytes() int {
	n := identBytes*len(c.idents) + linkBytes*len(c.facts.Links) + tombstoneBytes*len(c.tombstones)
	for i := range c.idents {
		n += len(c.idents[i].value)
	}
	return n
}

// message handles one message from shard from, which may be this shard itself.
func (a *applier) message(m []byte, from int) {
	s := a.s
	if len(m) == 0 {
		s.counters.Corrupt++
		return
	}
	kind := m[0]
	if kind == messagePeople || kind == messageAccount {
		if err := a.account(kind, m[1:], from); err != nil {
			s.counters.Corrupt++
		}
		return
	}
	to, rest, err := s.readKey(m[1:])
	if err == nil {
		switch kind {
		case messageLink, messageMerge, messageUnlink:
			var other key
			var f fact
			if other, f, err = s.readJoin(rest); err == nil {
				a.connect(kind, to, other, &f)
			}
		case messageAbsorb:
			err = a.absorb(to, rest, from)
		case messageRelink:
			var root key
			var since int64
			if root, since, err = s.readRelink(rest); err == nil {
				a.relink(to, root, since)
			}
		case messageForward:
			err = a.forwarded(to, rest)
		case messageErase, messageErased:
			var k key
			var at int64
			if k, at, err = s.readErase(rest); err != nil {
				break
			}
			if kind == messageErase {
				a.erase(to, k, at)
			} else {
				a.erasedElsewhere(k, at)
			}
		default:
			err = errMessage
		}
	}
	if err != nil {
		s.counters.Corrupt++
	}
}

// relink shortens the pointer of k. Of two roots the smaller one is the newer; unless k was erased and has come again: what is said of the k before, from the
// place where it lay before it lay where it was erased, may arrive after all of that. Whatever is known of the k of now happened after the erasure.
func (a *applier) relink(k, root key, since int64) {
	s := a.s
	if _, before := s.buried(k, since); before {
		return
	}
	if have, found := s.pointers.find(k, &a.scratch.place); found && s.compare(root, have) < 0 {
		s.pointers.set(k, root)
		a.mail.moved = a.mail.moved || len(s.parked) > 0 // what is parked may have waited for this
	}
}

// connect handles a Link, Merge or Unlink: the component of to shall become one with that of other, because of f. If both lie here, it learns the
// fact; else the component with the greater root departs to the other, or is asked to if it is not this one.
func (a *applier) connect(kind byte, to, other key, f *fact) {
	s, end := a.s, f.end()
	ever, after := s.buried(end, f.last)
	if after {
		s.counters.Buried++
		return
	}
	root, ref, where := s.place(to, &a.scratch.place)
	if where == elsewhere {
		if ever && !to.is(end) {
			a.sendOn(kind, end, other, f)
		} else {
			a.sendOn(kind, root, other, f)
		}
		return
	}
	if where == between {
		a.park(s.appendJoin(a.mail.out[:0], kind, to, other, f))
		return
	}
	if where == unknown {
		if ever, _ := s.buried(to, f.last); ever && !to.is(end) {
			a.sendOn(kind, end, other, f)
			return
		}
		if s.home(to) != s.settings.Self {
			s.counters.Corrupt++
			return
		}
		if s.compare(other, to) < 0 { // it need not be here first: straight to where it belongs
			a.newcomer(to, f)
			a.depart(other, f)
			return
		}
		s.table.Insert(to.hash, to.ns, to.value)
		s.holders++
		a.newcomer(to, f)
	} else {
		a.load(ref)
	}
	c := &a.comp
	if c.index(f.weak) < 0 && c.index(f.strong) < 0 {
		ever, after := a.missing(end, f.last)
		if after {
			s.counters.Buried++
			return
		}
		to, waits := a.way(end, ever)
		a.sendOrPark(s.appendJoin(a.mail.out[:0], kind, to, other, f), to, waits)
		return
	}
	if w := c.index(f.weak); w >= 0 && !f.cut && !a.erasedSince(w, f.last) {
		changed := c.idents[w].seen(f.first, f.last)
		if c.idents[w].saturated {
			s.counters.Saturated++
			if changed {
				a.store()
			}
			return
		}
	}
	if c.index(other) >= 0 {
		if a.learn(f) {
			a.partition(f.first)
		}
		a.store()
		return
	}
	if c.full() {
		s.counters.ComponentFull++
		a.store()
		return
	}
	a.fillHashes(c)
	if s.compare(other, c.idents[0].key) < 0 {
		a.depart(other, f)
		return
	}
	a.store()
	back := byte(messageMerge)
	if f.cut {
		back = messageUnlink
	}
	turned := *f
	turned.strongs = !f.strongs
	a.sendOn(back, other, c.idents[0].key, &turned)
}

// sendOn sends a Link, Merge or Unlink to the home of to.
func (a *applier) sendOn(kind byte, to, other key, f *fact) {
	a.mail.out = a.s.appendJoin(a.mail.out[:0], kind, to, other, f)
	a.send(a.s.home(to), a.mail.out)
}

// newcomer makes a.comp a component of one identifier, which has no event of its own.
func (a *applier) newcomer(k key, f *fact) {
	c := &a.comp
	c.clear()
	c.buf = append(c.buf[:0], k.value...)
	d := ident{key: key{k.ns, k.hash, c.buf}, unseen: true}
	if !f.cut {
		d.seen(f.first, f.last)
	}
	c.idents = append(c.idents, d)
	a.recallErasure(k.hash)
}

// learn takes in a fact about two identifiers, at least one of them in a.comp, and says whether it is new. If a.comp lacks the other one, it sends
// the fact on or parks it.
func (a *applier) learn(f *fact) bool {
	c := &a.comp
	w, t := c.index(f.weak), c.index(f.strong)
	if w < 0 || t < 0 {
		kind, missing := byte(messageLink), f.strong
		if f.cut {
			kind = messageUnlink
		}
		if w < 0 {
			missing = f.weak
		}
		ever, after := a.missing(missing, f.last)
		if after {
			a.s.counters.Buried++
			return false
		}
		other := *f
		other.strongs = w >= 0
		to, waits := a.way(missing, ever)
		back := c.idents[0].key
		if !to.is(missing) { // it is for the one that is here, until something moves
			back, other.strongs = missing, !other.strongs
		}
		a.sendOrPark(a.s.appendJoin(a.mail.out[:0], kind, to, back, &other), to, waits)
		return false
	}
	if a.erasedSince(w, f.last) || a.erasedSince(t, f.last) {
		return false
	}
	if _, known := c.link(min(w, t), max(w, t), f.cut); !known && c.bytes() >= maxComponentBytes {
		a.s.counters.ComponentFull++
		return false
	}
	if !f.cut {
		c.idents[w].seen(f.first, f.last)
		c.idents[t].seen(f.first, f.last)
	}
	return c.add(identity.Link{A: min(w, t), B: max(w, t), Cut: f.cut, First: f.first, Last: f.last, ID: f.id})
}
