package shard

import (
	"encoding/binary"
	"math/bits"
	"slices"

	"dashi/pipeline/audience"
	"dashi/pipeline/expr"
	"dashi/shard/profile"
)

// depart sends a.comp, with the fact that makes it move, to the component of a smaller identifier, and leaves pointers. Its records
// are gone from here at once; whoever asks meanwhile finds a pointer to where they will be.
func (a *applier) depart(to key, f *fact) {
	s, c := a.s, &a.comp
	a.mail.moved = true
	a.mail.out = append(s.appendKey(append(a.mail.out[:0], messageAbsorb), to), 0)
	a.mail.out = c.append(a.mail.out, s.appendNamespace)
	a.mail.out = s.appendFact(a.mail.out, f)
	for i := range c.idents {
		d := &c.idents[i]
		if i > 0 || !c.hashed {
			d.key = s.key(d.ns, d.value)
		}
		if ref, found := s.table.Find(d.hash, d.ns, d.value); found {
			rec := s.table.Record(ref)
			if rec.Version() > 0 {
				a.mail.out = a.appendRecord(append(a.mail.out, 0), i, rec, s.timers.Due(rec.Ordinal()))
				if p := s.program; p.told >= 0 {
					a.tellAll(tellMoves, d.key, rec.Segment(p.told), f.first)
				}
				s.vanish(rec.Ordinal(), s.bits(rec))
			} else {
				s.holders--
			}
			s.drop(ref)
		}
		if ref, found := s.fragments.Find(d.hash, d.ns, d.value); found {
			a.mail.out = a.appendRecord(append(a.mail.out, 1), i, s.fragments.Record(ref), expr.Never)
			s.fragments.Delete(ref)
		}
		if s.home(d.key) == s.settings.Self {
			s.pointers.set(d.key, to)
		}
	}
	if target := s.home(to); target != s.settings.Self {
		a.send(target, a.mail.out)
		if cap(a.mail.out) > maxMessage {
			a.mail.out = nil
		}
		return
	}
	// At once: a pointer here must lead to where the identifier is.
	a.message(slices.Clone(a.mail.out), s.settings.Self)
}

// bits are the audiences that a profile is in. They are overwritten by the next call.
func (s *Shard) bits(rec profile.Record) audience.Bits {
	p, a := s.program, &s.apply
	a.scratch.bits = slices.Grow(a.scratch.bits[:0], p.words)[:p.words]
	for w := range p.words {
		a.scratch.bits[w] = le64(rec.Fixed()[p.membersAt+8*w:])
	}
	return a.scratch.bits
}

func (s *Shard) inAudience(rec profile.Record, i int) bool {
	return le64(rec.Fixed()[s.program.membersAt+i>>6<<3:])>>(i&63)&1 != 0
}

// appendRecord appends the state of the profile or fragment of identifier i, and when its timer is due.
func (a *applier) appendRecord(dst []byte, i int, rec profile.Record, due int64) []byte {
	dst = binary.AppendUvarint(dst, uint64(i))
	dst = binary.LittleEndian.AppendUint64(dst, uint64(rec.First()))
	dst = binary.LittleEndian.AppendUint64(dst, uint64(rec.Last()))
	dst = binary.LittleEndian.AppendUint64(dst, rec.Version())
	dst = binary.LittleEndian.AppendUint32(dst, rec.Sequence())
	dst = binary.LittleEndian.AppendUint64(dst, uint64(due))
	dst = append(dst, rec.Fixed()...)
	for k := range a.s.program.links {
		dst = appendBytes(dst, rec.Segment(k))
	}
	return dst
}

// maxArrival is how many bytes the segments of an arriving record may have, without its component; MaxProfile keeps those that are sent below it.
const maxArrival = profile.MaxRecord - 40<<20

// arrivalHead is the size of what stands before the fixed part: first, last, version, sequence, due.
const arrivalHead = 8 + 8 + 8 + 4 + 8

// arrival is one record of a component that arrives, as appendRecord wrote it.
type arrival struct {
	fragment bool
	ident    int
	due      int64
	head     []byte
	segments []byte
}

// came is what has arrived of one identifier.
type came struct {
	record, fragment bool
	states           int // fragments of its profile
}

// readArrivals reads the records that come with a.moving.comp into a.moving.arrivals. It is an error if they are not what the identifiers call for: a record
// for each profile with an event, and a fragment for each identifier with an event that shares its profile with another such. Whatever is read
// later without a look at its length is checked here: nothing else stands between a damaged message and a panic.
func (a *applier) readArrivals(src []byte) error {
	p, o := a.s.program, &a.moving.comp
	a.moving.arrivals = a.moving.arrivals[:0]
	n := len(o.idents)
	a.moving.came = slices.Grow(a.moving.came[:0], n)[:n]
	clear(a.moving.came)
	for len(src) > 0 {
		kind := src[0]
		i, rest, err := uvarint(src[1:])
		size := arrivalHead + p.layout().Fixed
		if kind == 1 {
			size = arrivalHead + p.fragmentLayout().Fixed
		}
		if err != nil || i >= uint64(len(o.idents)) || kind > 1 || len(rest) < size || le64(rest[16:]) == 0 {
			return errMessage
		}
		if !p.areMembers(rest[arrivalHead+p.membersAt:]) {
			return errMessage
		}
		ar := arrival{fragment: kind == 1, ident: int(i), due: int64(le64(rest[28:])), head: rest[:size], segments: rest[size:]}
		src = ar.segments
		total := 0
		for k := range p.links {
			var b []byte
			if b, src, err = readBytes(src); err != nil {
				return err
			}
			if total += len(b); total > maxArrival {
				return errMessage
			}
			if k == p.since && len(b) != 8*countBits(ar.head[arrivalHead+p.membersAt:][:8*p.words]) || k == p.told && !p.isTold(b) {
				return errMessage
			}
		}
		have := &a.moving.came[ar.ident].record
		if ar.fragment {
			have = &a.moving.came[ar.ident].fragment
		}
		if *have {
			return errMessage
		}
		*have = true
		a.moving.arrivals = append(a.moving.arrivals, ar)
	}
	for i := range o.idents {
		if d := &o.idents[i]; d.state {
			a.moving.came[d.profile].states++
		}
		if i > 0 && a.s.compare(o.idents[i-1].key, o.idents[i].key) >= 0 || o.idents[o.idents[i].profile].profile != o.idents[i].profile {
			return errMessage
		}
	}
	for i := range o.idents {
		d := &o.idents[i]
		if c := &a.moving.came[i]; c.record != (c.states > 0) || c.fragment != (d.state && a.moving.came[d.profile].states > 1) {
			return errMessage
		}
	}
	return nil
}

// areMembers says whether the program has an audience for each membership bit that is set.
func (p *program) areMembers(bits []byte) bool {
	last := len(p.Audiences) & 63
	return last == 0 || le64(bits[8*(p.words-1):])>>last == 0
}

func countBits(b []byte) int {
	n := 0
	for _, x := range b {
		n += bits.OnesCount8(x)
	}
	return n
}

// take inserts an arrival as the record of a fragment or of a profile, which it returns.
func (a *applier) take(ar *arrival, fragment bool) profile.Ref {
	s, d := a.s, &a.moving.comp.idents[ar.ident]
	t := s.table
	if fragment {
		t = s.fragments
	}
	ref := t.Insert(d.hash, d.ns, d.value)
	rec := t.Edit(ref)
	rec.SetFirst(int64(le64(ar.head)))
	rec.SetLast(int64(le64(ar.head[8:])))
	rec.SetVersion(le64(ar.head[16:]))
	rec.SetSequence(binary.LittleEndian.Uint32(ar.head[24:]))
	copy(rec.Fixed(), ar.head[arrivalHead:])
	a.moving.dir, a.moving.data = a.moving.dir[:0], a.moving.data[:0]
	src := ar.segments
	for range s.program.links {
		var b []byte
		b, src, _ = readBytes(src)
		a.moving.data = append(a.moving.data, b...)
		a.moving.dir = binary.LittleEndian.AppendUint32(a.moving.dir, uint32(len(a.moving.data)))
	}
	if fragment {
		return t.SetSegments(ref, a.moving.dir, a.moving.data)
	}
	a.moving.data = a.appendPart(a.moving.data)
	a.moving.dir = binary.LittleEndian.AppendUint32(a.moving.dir, uint32(len(a.moving.data)))
	ref = t.SetSegments(ref, a.moving.dir, a.moving.data)
	rec = t.Edit(ref)
	s.everyone.Add(rec.Ordinal())
	s.bits(rec).Each(func(i int) { s.members[i].Add(rec.Ordinal()) })
	return ref
}

// strange says whether an identifier of a.moving.comp lies here already: only a damaged message says so.
func (a *applier) strange() bool {
	s := a.s
	for i := range a.moving.comp.idents {
		k := a.moving.comp.idents[i].key
		_, found := s.table.Find(k.hash, k.ns, k.value)
		_, fragment := s.fragments.Find(k.hash, k.ns, k.value)
		if found || fragment || a.comp.index(k) >= 0 {
			return true
		}
	}
	return false
}

// absorb takes in a component that joins that of to, or passes it on to where that one has moved.
func (a *applier) absorb(to key, body []byte, from int) error {
	s := a.s
	if len(body) == 0 {
		return errShort
	}
	root, ref, where := s.place(to, &a.scratch.place)
	if where == elsewhere {
		a.mail.out = append(s.appendKey(append(a.mail.out[:0], messageAbsorb), root), 1)
		a.mail.out = append(a.mail.out, body[1:]...)
		a.send(s.home(root), a.mail.out)
		return nil
	}
	if where == between {
		a.park(append(s.appendKey(append(a.mail.out[:0], messageAbsorb), to), body...))
		return nil
	}
	passed := body[0] != 0
	c, o := &a.comp, &a.moving.comp
	rest, err := o.read(body[1:], s.readNamespace, key{})
	if err != nil || len(o.idents) == 0 {
		return errMessage
	}
	f, rest, err := s.readFact(rest)
	if err != nil {
		return err
	}
	a.fillHashes(o)
	if err := a.readArrivals(rest); err != nil {
		return err
	}
	if where == unknown { // a cut of somebody who is not known yet
		if s.home(to) != s.settings.Self || s.compare(to, o.idents[0].key) >= 0 {
			return errMessage
		}
		s.table.Insert(to.hash, to.ns, to.value)
		s.holders++
		a.newcomer(to, &fact{cut: true})
	} else {
		a.load(ref)
	}
	a.fillHashes(c)
	if s.compare(c.idents[0].key, o.idents[0].key) >= 0 || a.strange() {
		return errMessage
	}
	a.mail.moved = true
	if s.byEvents { // a shard that reads no event itself has come to what it is told of
		s.latest = max(s.latest, f.last)
	}
	if a.isGuest(f.first) {
		c.unite(o, s.compare)
		a.moving.guest = c.theirs[0]
	} else {
		for i := range a.moving.arrivals {
			a.take(&a.moving.arrivals[i], a.moving.arrivals[i].fragment)
		}
		a.tellTakeOver(f.first)
		c.unite(o, s.compare)
		for i := range a.moving.arrivals {
			a.welcome(o.idents[a.moving.arrivals[i].ident].key, a.moving.arrivals[i].due)
		}
	}
	if a.learn(&f) {
		a.partition(f.first)
	}
	a.seat()
	a.store()
	a.pointHomesHere(o, from, passed, to)
	a.tellArrived(f.first)
	return nil
}

// isGuest says whether what arrives is one profile of one identifier without a timer that is due. Nearly always it is, and another profile takes it
// in at once: to make a record of it first, with its timer and its place in the bitmaps of its audiences, would be most of what a merge costs.
func (a *applier) isGuest(at int64) bool {
	s := a.s
	if len(a.moving.comp.idents) != 1 || len(a.moving.arrivals) != 1 || a.moving.arrivals[0].fragment || s.program.told >= 0 || s.foldAnew {
		return false
	}
	return a.moving.arrivals[0].due > a.clockAt(at)
}

// seat makes the record of the guest, if there still is one: no other profile has taken it in.
func (a *applier) seat() {
	if a.moving.guest < 0 {
		return
	}
	a.moving.guest = -1
	a.take(&a.moving.arrivals[0], false)
	a.welcome(a.moving.comp.idents[0].key, a.moving.arrivals[0].due)
}

// makePart makes the profile at ref a part of a.comp: it notes the root in its record.
func (a *applier) makePart(ref profile.Ref) {
	a.scratch.blob = a.appendPart(a.scratch.blob[:0])
	a.s.table.SetSegment(ref, a.s.program.links, a.scratch.blob)
}

func (a *applier) appendPart(dst []byte) []byte {
	root := a.comp.idents[0].key
	return append(append(dst, segmentPart, root.ns), root.value...)
}

// pointHomesHere has the homes of the identifiers that arrived, in o, point here. from is the shard that sent the component to the identifier to;
// passed says that another one passed it on.
func (a *applier) pointHomesHere(o *component, from int, passed bool, to key) {
	s, root := a.s, a.comp.idents[0].key
	direct := !passed && root.is(to)
	for i := range o.idents {
		k := o.idents[i].key
		switch home := s.home(k); {
		case home == s.settings.Self:
			s.pointers.set(k, root)
		case direct && home == from: // whose pointer says so already
		default:
			a.mail.out = s.appendRelink(a.mail.out[:0], k, root, o.since(i))
			a.send(home, a.mail.out)
		}
	}
}
