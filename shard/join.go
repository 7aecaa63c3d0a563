package shard

import (
	"slices"

	"dashi/pipeline/event"
	"dashi/pipeline/identity"
	"dashi/shard/profile"
)

// MaxComponent is the most identifiers that are brought to one place. Rules and MaxPartners keep profiles far smaller; what goes on
// beyond them hangs together by many shared identifiers in a chain. A link that would add to a larger component is passed over and counted:
// the one place where arrival decides.
const MaxComponent = 1000

// MaxLinks is how many identifiers of one event are linked with its strongest one; weaker ones than these are passed over and counted.
const MaxLinks = 16

// whereabouts is where an identifier lies.
type whereabouts int

const (
	unknown   whereabouts = iota
	here                  // in a component of this shard
	elsewhere             // where a pointer leads
	between               // a pointer leads to somebody who was erased: where that one's component is, is on its way here
)

// place finds the root of k's component: its record if that is here, or what the pointer says. The root is good until the next write; it may lie
// in text.
func (s *Shard) place(k key, text *[]byte) (root key, ref profile.Ref, w whereabouts) {
	for w = unknown; ; w = between {
		if ref, found := s.table.Find(k.hash, k.ns, k.value); found {
			rec := s.table.Record(ref)
			root, part := s.rootOf(rec.Segment(s.program.links))
			if !part {
				return k, ref, here
			}
			k = root
			continue
		}
		root, found := s.pointers.find(k, text)
		if !found {
			return key{}, 0, w
		}
		if s.home(root) != s.settings.Self {
			return root, 0, elsewhere
		}
		k = root
	}
}

// rootOf reads the root of a profile that is not its component's root out of the last segment of its record.
func (s *Shard) rootOf(segment []byte) (root key, part bool) {
	if len(segment) < 2 || segment[0] != segmentPart {
		return key{}, false
	}
	return s.key(segment[1], segment[2:]), true
}

// keyOf is the key of a record, which it aliases.
func keyOf(rec profile.Record) key { return key{rec.Namespace(), rec.Hash(), rec.Key()} }

// load reads the component of a root's record into a.comp.
func (a *applier) load(ref profile.Ref) {
	rec := a.s.table.Record(ref)
	c := &a.comp
	segment := rec.Segment(a.s.program.links)
	if len(segment) == 0 {
		c.clear()
		c.buf = append(c.buf[:0], rec.Key()...)
		c.idents = append(c.idents, ident{
			key: key{rec.Namespace(), rec.Hash(), c.buf}, first: rec.First(), last: rec.Last(), state: true,
		})
		a.recallErasure(rec.Hash())
		return
	}
	c.buf = append(append(c.buf[:0], segment...), rec.Key()...)
	root := keyOf(rec)
	root.value = c.buf[len(segment):]
	if _, err := c.read(c.buf[1:len(segment)], nil, root); err != nil {
		panic("BUG: the component in a record cannot be read: " + err.Error())
	}
}

// meet prepares for activations of the profile at ref that no event of its own makes.
func (a *applier) meet(ref profile.Ref) {
	a.profile, a.fragment = -1, 0
	rec := a.s.table.Record(ref)
	segment := rec.Segment(a.s.program.links)
	if len(segment) == 0 {
		return
	}
	if root, part := a.s.rootOf(segment); part {
		ref, _ = a.s.table.Find(root.hash, root.ns, root.value)
	}
	a.load(ref)
	a.profile = a.comp.index(keyOf(rec))
}

// hash fills in the hashes of the identifiers, which their order needs.
func (a *applier) hash(c *component) {
	if c.hashed {
		return
	}
	for i := range c.idents {
		d := &c.idents[i]
		d.key = a.s.key(d.ns, d.value)
	}
	c.hashed = true
}

// store writes a.comp to the record of its root, which is there.
func (a *applier) store() {
	s, root := a.s, a.comp.idents[0].key
	if a.packed {
		a.packed = false
		return
	}
	ref, found := s.table.Find(root.hash, root.ns, root.value)
	if !found {
		panic("BUG: a component without the record of its root")
	}
	a.pack()
	s.table.SetSegmentTight(ref, s.program.links, a.blob)
}

// pack writes a.comp to a.blob.
func (a *applier) pack() { a.blob = a.comp.append(append(a.blob[:0], segmentComponent), nil) }

// deliver brings an event to the profile of its strongest identifier, or on its way there.
func (a *applier) deliver(e *event.Event) {
	s, p := a.s, a.s.program
	k := a.keyOf(e, 0)
	if s.refuses(k, e.Time) {
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
}

func (a *applier) keyOf(e *event.Event, i int) key {
	id := &e.Identifiers[i]
	ns := a.s.program.namespace[id.Namespace]
	if i == 0 {
		return key{ns, e.Hash, id.Value}
	}
	return a.s.key(ns, id.Value)
}

// linked is the number of identifiers that are linked with the strongest one.
func (a *applier) linked(e *event.Event) int {
	n := len(e.Identifiers) - 1
	if n > MaxLinks {
		a.s.counters.LinksOver += uint64(n - MaxLinks)
		n = MaxLinks
	}
	return n
}

// ask sends the fact that identifier j of the event was seen with the strongest one, k, to its home.
func (a *applier) ask(k key, e *event.Event, j int) {
	weak := a.keyOf(e, j)
	f := fact{weak: weak, strong: k, first: e.Time, last: e.Time, id: messageID(e)}
	a.out = a.s.appendJoin(a.out[:0], messageLink, weak, k, &f)
	a.send(a.s.home(weak), a.out)
}

// deliverLinked applies an event whose strongest identifier is linked with others.
func (a *applier) deliverLinked(e *event.Event, k key) {
	s := a.s
	root, ref, where := s.place(k, &a.place)
	if where == elsewhere {
		a.out = event.AppendPacked(s.appendForward(a.out[:0], root), e)
		a.send(s.home(root), a.out)
		s.counters.Forwarded++
		return
	}
	if where == between {
		a.park(event.AppendPacked(s.appendForward(a.out[:0], k), e))
		return
	}
	a.load(ref)
	a.deliverAt(e, k)
}

// deliverAt applies an event to a.comp, which has its strongest identifier.
func (a *applier) deliverAt(e *event.Event, k key) {
	s, c := a.s, &a.comp
	i := c.index(k)
	if i < 0 {
		a.lost(e, k)
		return
	}
	if a.late(i, e.Time) {
		return
	}
	dirty := c.idents[i].seen(e.Time, e.Time)
	ref, fresh := a.enter(i)
	a.applyTo(e, ref, fresh)
	settle := false
	for j := range a.linked(e) {
		weak := a.keyOf(e, j+1)
		w := c.index(weak)
		if w < 0 {
			if len(c.idents) >= MaxComponent {
				s.counters.ComponentFull++
				continue
			}
			a.ask(c.idents[i].key, e, j+1)
			continue
		}
		if a.late(w, e.Time) {
			continue
		}
		dirty = c.idents[w].seen(e.Time, e.Time) || dirty
		l := identity.Link{A: min(i, w), B: max(i, w), First: e.Time, Last: e.Time, ID: messageID(e)}
		_, known := c.link(l.A, l.B, false)
		if c.add(l) {
			dirty = true
			settle = settle || !known || a.touchy()
		}
	}
	if settle {
		a.settle(e.Time)
	}
	if dirty || settle || a.entered {
		a.store()
	}
}

// lost is what becomes of an event whose strongest identifier is not in the component that it was sent to: it was erased, or is on its way.
func (a *applier) lost(e *event.Event, k key) {
	s := a.s
	to := a.comp.idents[0].key
	switch ever, after := a.missing(k, e.Time); {
	case after:
		s.counters.Buried++
		return
	case ever || a.astray(k):
		to = k
	}
	out := event.AppendPacked(s.appendForward(a.out[:0], to), e)
	if to.is(k) {
		a.out = out
		a.send(s.home(k), out)
		return
	}
	a.park(out)
}

// park keeps a message about an identifier that is on its way to a component of this shard but not yet in it: a pointer that was
// shortened let the message overtake the component. It is handled again when components have moved.
func (a *applier) park(m []byte) {
	a.out = m
	a.s.parked = append(a.s.parked, slices.Clone(m))
}

// touchy says whether another time of a link may make another partition of the component: not while all its identifiers are
// one profile, save for limits with a period.
func (a *applier) touchy() bool {
	if a.s.program.periods {
		return true
	}
	return slices.ContainsFunc(a.comp.facts.Links, func(l identity.Link) bool { return l.Cut || l.Verdict != identity.Joined })
}

// message handles one message, from a peer or from this shard itself.
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
			if root, rest, err = s.readKey(rest); err == nil && len(rest) == 0 {
				a.relink(to, root)
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

// forwarded applies an event that was passed on to where its strongest identifier lies.
func (a *applier) forwarded(to key, packed []byte) error {
	s := a.s
	rest, err := event.Unpack(packed, s.program.Schema, &a.passed)
	if err != nil || len(rest) > 0 || len(a.passed.Identifiers[0].Value) > profile.MaxKey {
		return errMessage
	}
	root, ref, where := s.place(to, &a.place)
	switch where {
	case unknown:
		return a.unplaced(to)
	case between:
		a.park(append(s.appendForward(a.out[:0], to), packed...))
		return nil
	case elsewhere:
		k := a.keyOf(&a.passed, 0)
		ever, after := s.buried(k, a.passed.Time)
		if after {
			s.counters.Buried++
			return nil
		}
		if ever && !to.is(k) {
			root = k // which was here, and begins anew
		}
		a.out = append(s.appendForward(a.out[:0], root), packed...)
		a.send(s.home(root), a.out)
		s.counters.Forwarded++
		return nil
	}
	a.load(ref)
	a.deliverAt(&a.passed, a.keyOf(&a.passed, 0))
	return nil
}

// unplaced handles a.passed, which was passed on to an identifier that is nowhere: one that was erased meanwhile, or it has waited for that.
func (a *applier) unplaced(to key) error {
	s, e := a.s, &a.passed
	k := a.keyOf(e, 0)
	if ever, _ := s.buried(to, e.Time); !ever && !to.is(k) {
		return errMessage
	}
	if s.home(k) == s.settings.Self {
		a.deliver(e)
		return nil
	}
	a.out = event.AppendPacked(s.appendForward(a.out[:0], k), e)
	a.send(s.home(k), a.out)
	return nil
}

// relink shortens a pointer. One to a smaller root is newer.
func (a *applier) relink(k, root key) {
	s := a.s
	if have, found := s.pointers.find(k, &a.place); found && s.compare(root, have) < 0 {
		s.pointers.set(k, root)
		a.moved = a.moved || len(s.parked) > 0 // what is parked may have waited for this
	}
}

// connect is what becomes of a Link, Merge or Unlink: the component of to shall be one with that of other.
func (a *applier) connect(kind byte, to, other key, f *fact) {
	s, end := a.s, f.end()
	ever, after := s.buried(end, f.last)
	if after {
		s.counters.Buried++
		return
	}
	root, ref, where := s.place(to, &a.place)
	if where == elsewhere {
		if ever && !to.is(end) {
			a.sendOn(kind, end, other, f)
		} else {
			a.sendOn(kind, root, other, f)
		}
		return
	}
	if where == between {
		a.park(s.appendJoin(a.out[:0], kind, to, other, f))
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
		if s.compare(other, to) < 0 { // it never was on its own: straight to where it belongs
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
		switch ever, after := a.missing(end, f.last); {
		case after:
			s.counters.Buried++
			return
		case ever || a.astray(end):
			a.sendOn(kind, end, other, f)
			return
		}
		a.park(s.appendJoin(a.out[:0], kind, c.idents[0].key, other, f))
		return
	}
	if w := c.index(f.weak); w >= 0 && !f.cut && !a.late(w, f.last) {
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
			a.settle(f.first)
		}
		a.store()
		return
	}
	if len(c.idents) >= MaxComponent {
		s.counters.ComponentFull++
		a.store()
		return
	}
	a.hash(c)
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

// sendOn sends a message about two identifiers on its way, or to where it begins anew.
func (a *applier) sendOn(kind byte, to, other key, f *fact) {
	a.out = a.s.appendJoin(a.out[:0], kind, to, other, f)
	a.send(a.s.home(to), a.out)
}

// newcomer makes a.comp a component of one identifier that had no event of its own.
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

// learn takes a fact between two identifiers of a.comp in, and says whether it is new.
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
		if _, after := a.missing(missing, f.last); after {
			a.s.counters.Buried++
			return false
		}
		other := *f
		other.strongs = t < 0 && w >= 0
		if a.astray(missing) {
			a.sendOn(kind, missing, c.idents[0].key, &other)
			return false
		}
		a.park(a.s.appendJoin(a.out[:0], kind, c.idents[0].key, missing, &other))
		return false
	}
	if a.late(w, f.last) || a.late(t, f.last) {
		return false
	}
	if !f.cut {
		c.idents[w].seen(f.first, f.last)
		c.idents[t].seen(f.first, f.last)
	}
	return c.add(identity.Link{A: min(w, t), B: max(w, t), Cut: f.cut, First: f.first, Last: f.last, ID: f.id})
}

// applyUnlink makes the fact that two identifiers are never one person. It begins at the home of either.
func (s *Shard) applyUnlink(body []byte, r *Result) {
	if s.program == nil {
		r.Outcome = Stale
		return
	}
	a, b, err := s.readPair(body)
	if err != nil {
		r.refuse("unlink of %d bytes: %v", len(body), err)
		return
	}
	if s.compare(a, b) > 0 {
		a, b = b, a
	}
	f := fact{weak: b, strong: a, cut: true, first: s.now, last: s.now}
	s.apply.out = s.appendJoin(s.apply.out[:0], messageUnlink, b, a, &f)
	s.apply.send(s.home(b), s.apply.out)
	s.apply.drain()
}

// readPair reads two identifiers whose namespaces are names of the cookbook in force.
func (s *Shard) readPair(src []byte) (a, b key, err error) {
	for _, k := range []*key{&a, &b} {
		if *k, src, err = s.readNamed(src); err != nil {
			return a, b, err
		}
	}
	if len(src) > 0 || a.is(b) {
		return a, b, errMessage
	}
	return a, b, nil
}

// readNamed reads one of them.
func (s *Shard) readNamed(src []byte) (k key, rest []byte, err error) {
	name, src, err := readBytes(src)
	if err != nil {
		return k, nil, err
	}
	value, src, err := readBytes(src)
	if err != nil {
		return k, nil, err
	}
	i := slices.Index(s.namespaces, string(name))
	if i < 0 || len(value) == 0 || len(value) > maxIdentifier {
		return k, nil, errMessage
	}
	return s.key(uint8(i), value), src, nil
}
