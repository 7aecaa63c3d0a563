package shard

import (
	"bytes"
	"cmp"
	"math"
	"slices"

	"dashi/pipeline/identity"
)

// component is all that is known of identifiers that hang together by links, whether the rules allow those links or not. It lies in one place,
// at the home of its root, which is its smallest identifier. In its encoded form it is the last segment of the root's record (FORMAT.md). The
// identifiers are in the order of ids, so the root is the first.
type component struct {
	idents     []ident
	facts      identity.Facts // Members run parallel to idents
	tombstones []tombstone    // of identifiers that were erased from it, ascending by hash: what is still on its way to them comes here
	hashed     bool           // the hashes of idents are filled in
	buf        []byte         // holds the values that came from a record
	text       []byte         // holds the values that were packed there

	// Scratch space of unite.
	spareIdents  []ident
	spareLinks   []identity.Link
	mine, theirs []int
}

// ident is one identifier of a component.
type ident struct {
	key
	first, last int64 // event times at which it was seen
	state       bool  // it has a fragment: it was the strongest of an event
	saturated   bool  // see identity.MaxPartners
	unseen      bool  // only a cut has named it: first and last mean nothing yet
	profile     int   // index of the identifier that names its profile
}

// The first byte of the last segment of a record. The segment is empty for an identifier that is linked with nobody.
const (
	segmentComponent = 1 // a component: the record is the root's
	segmentPart      = 2 // the key of the root: the record is of another profile of its component
)

// clear makes it a component without identifiers.
func (c *component) clear() {
	c.idents, c.facts.Links, c.facts.Members, c.tombstones, c.hashed = c.idents[:0], c.facts.Links[:0], c.facts.Members[:0], c.tombstones[:0], true
}

// index is the place of an identifier, -1 when it is not in the component.
func (c *component) index(k key) int {
	for i := range c.idents {
		if c.idents[i].ns == k.ns && bytes.Equal(c.idents[i].value, k.value) {
			return i
		}
	}
	return -1
}

// link is the index of a link in c.facts.Links, or the index where it would be inserted.
func (c *component) link(a, b int, cut bool) (i int, found bool) {
	return slices.BinarySearchFunc(c.facts.Links, identity.Link{A: a, B: b, Cut: cut}, orderLinks)
}

// orderLinks orders links by their weaker and then their stronger identifier, and cuts after all others.
func orderLinks(x, y identity.Link) int {
	switch {
	case x.Cut != y.Cut && y.Cut:
		return -1
	case x.Cut != y.Cut:
		return 1
	}
	return cmp.Or(cmp.Compare(x.B, y.B), cmp.Compare(x.A, y.A))
}

// seen notes that an identifier was seen from first to last, and says whether that is news.
func (d *ident) seen(first, last int64) (changed bool) {
	if d.unseen {
		d.first, d.last, d.unseen = first, last, false
		return true
	}
	changed = first < d.first || last > d.last
	d.first, d.last = min(d.first, first), max(d.last, last)
	return changed
}

// since is the earliest event time at which identifier i was heard of.
func (c *component) since(i int) int64 {
	if d := &c.idents[i]; !d.unseen {
		return d.first
	}
	since := int64(math.MaxInt64)
	for _, l := range c.facts.Links {
		if l.A == i || l.B == i {
			since = min(since, l.First)
		}
	}
	return since
}

// unite adds the identifiers, links and tombstones of o to c; compare is the order of ids. Afterwards c.mine and c.theirs say where the
// identifiers of the old c and of o are.
func (c *component) unite(o *component, compare func(a, b key) int) {
	merged := c.spareIdents[:0]
	mine, theirs := slices.Grow(c.mine[:0], len(c.idents))[:len(c.idents)], slices.Grow(c.theirs[:0], len(o.idents))[:len(o.idents)]
	c.mine, c.theirs = mine, theirs
	for i, j := 0, 0; i < len(c.idents) || j < len(o.idents); {
		order := 1
		switch {
		case j == len(o.idents):
			order = -1
		case i < len(c.idents):
			order = compare(c.idents[i].key, o.idents[j].key)
		}
		at := len(merged)
		switch {
		case order < 0:
			mine[i] = at
			merged = append(merged, c.idents[i])
			i++
		case order > 0:
			theirs[j] = at
			merged = append(merged, o.idents[j])
			merged[at].profile += len(c.idents) // told apart below
			j++
		default:
			mine[i], theirs[j] = at, at
			d := c.idents[i]
			if !o.idents[j].unseen {
				d.seen(o.idents[j].first, o.idents[j].last)
			}
			d.state, d.saturated = d.state || o.idents[j].state, d.saturated || o.idents[j].saturated
			merged = append(merged, d)
			i++
			j++
		}
	}
	for i := range merged {
		if d := &merged[i]; d.profile < len(mine) {
			d.profile = mine[d.profile]
		} else {
			d.profile = theirs[d.profile-len(mine)]
		}
	}
	links := c.spareLinks[:0]
	for _, l := range c.facts.Links {
		l.A, l.B = mine[l.A], mine[l.B]
		links = append(links, l)
	}
	slices.SortFunc(links, orderLinks)
	c.idents, c.spareIdents = merged, c.idents
	c.facts.Links, c.spareLinks = links, c.facts.Links
	for _, l := range o.facts.Links {
		l.A, l.B = theirs[l.A], theirs[l.B]
		c.add(l)
	}
	for _, t := range o.tombstones {
		c.bury(t)
	}
}

// add adds one link, or widens the times of one that is there, and says whether that changed anything.
func (c *component) add(l identity.Link) (changed bool) {
	if l.A > l.B {
		l.A, l.B = l.B, l.A
	}
	if l.A == l.B || !l.Cut && c.idents[l.B].saturated {
		return false
	}
	i, found := c.link(l.A, l.B, l.Cut)
	if !found {
		c.facts.Links = slices.Insert(c.facts.Links, i, l)
		return true
	}
	have := &c.facts.Links[i]
	if l.First < have.First || l.First == have.First && l.ID < have.ID {
		have.First, have.ID, changed = l.First, l.ID, true
	}
	if l.Last > have.Last {
		have.Last, changed = l.Last, true
	}
	return changed
}
