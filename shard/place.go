package shard

import "dashi/shard/profile"

// whereabouts is where an identifier lies.
type whereabouts int

const (
	unknown   whereabouts = iota
	here                  // in a component of this shard
	elsewhere             // where a pointer leads
	between               // a pointer leads to an identifier that was erased; the component that the pointer is about is on its way here
)

// place finds the root of k's component: with its record if that is here, else as the pointer of k says. The root is good until the next write; it
// may lie in text.
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

// rootOf reads the root out of the last segment of a record; part is false for the record of a root itself.
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

// meet loads the component of the profile at ref, if it has one, so that activations that no event makes name all its identifiers.
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

// fillHashes fills in the hashes of the identifiers of c, which comparing them needs.
func (a *applier) fillHashes(c *component) {
	if c.hashed {
		return
	}
	for i := range c.idents {
		d := &c.idents[i]
		d.key = a.s.key(d.ns, d.value)
	}
	c.hashed = true
}

// store writes a.comp to the record of its root, which must exist.
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
	s.table.SetSegmentTight(ref, s.program.links, a.scratch.blob)
}

// pack writes a.comp to a.scratch.blob, as the last segment of the record of its root.
func (a *applier) pack() {
	a.scratch.blob = a.comp.append(append(a.scratch.blob[:0], segmentComponent), nil)
}
