package event

// step goes from a place to the next value by the grammar, and teaches the atlas the way. It returns the place of the
// value and where it begins; place 0 is the end of the message.
func (d *Decoder) step(src []byte, i int, from int32, inside bool, e *Event) (int32, int, *Rejected) {
	start, learn := i, true
	c, first := d.places[from].parent, false // the container that we are in, and whether it has just been opened
	if inside {
		c, first = from, true
	}
	d.newActs = d.newActs[:0]
	for {
		i = skipSpace(src, i)
		if c == 0 {
			if i < len(src) {
				return 0, 0, malformed(src, i)
			}
			if learn {
				d.learnEdge(from, inside, src[start:], 0, d.newActs)
			}
			return 0, i, nil
		}
		p, next, r := d.member(src, i, c, first, &learn, e)
		if r != nil {
			return 0, 0, r
		}
		i = next
		if p == memberClosed {
			c, first = d.places[c].parent, false
			continue
		}
		if p == memberSkipped {
			first = false
			continue
		}
		if i >= len(src) {
			return 0, 0, truncated(src)
		}
		descend, r := d.descend(src, i, p)
		if r != nil {
			return 0, 0, r
		}
		if descend {
			c, first = p, true
			i++
			continue
		}
		if learn {
			d.learnEdge(from, inside, src[start:i], p, d.newActs)
		}
		return p, i, nil
	}
}

// What member returns in place of a place.
const (
	memberClosed  = 0
	memberSkipped = -1
)

// member reads from behind a bracket or value in container c to the next value in it, or over the closing bracket.
func (d *Decoder) member(src []byte, i int, c int32, first bool, learn *bool, e *Event) (int32, int, *Rejected) {
	if i >= len(src) {
		return 0, 0, truncated(src)
	}
	elem := d.places[c].elem
	closing := byte('}')
	if elem != 0 {
		closing = ']'
	}
	if src[i] == closing {
		return memberClosed, i + 1, nil
	}
	if !first {
		if src[i] != ',' {
			return 0, 0, malformed(src, i)
		}
		i = skipSpace(src, i+1)
	}
	if elem != 0 {
		a := d.nodes[d.places[c].node].array - 1
		d.newActs = append(d.newActs, ^a)
		d.item(a, e)
		return elem, i, nil
	}
	key, i, r := d.key(src, i)
	if r != nil {
		return 0, 0, r
	}
	p := d.find(c, key)
	if p == 0 && *learn {
		p = d.learnPlace(c, key)
	}
	if p != 0 {
		return p, i, nil
	}
	*learn = false
	d.missed++
	i, r = d.skip(src, i, int(d.places[c].depth))
	return memberSkipped, i, r
}

// descend says whether the value of place p is an object that needs nothing but to be gone into. An array is not: whether
// it has a first element is seen only behind the bracket, and an edge must not depend on more than its own bytes.
func (d *Decoder) descend(src []byte, i int, p int32) (bool, *Rejected) {
	if src[i] != '{' {
		return false, nil
	}
	n := d.places[p].node
	nd := &d.nodes[n]
	if !nd.object || nd.array > 0 || nd.field >= 0 || len(nd.targets) > 0 {
		return false, nil
	}
	if int(d.places[p].depth) > d.limits.Depth {
		return false, d.tooDeep(i)
	}
	if n != 0 {
		d.newActs = append(d.newActs, n)
		d.enter(n)
	}
	return true, nil
}

// replay does again what an edge says that its bytes do: n enters node n, ^a begins an element of array a.
func (d *Decoder) replay(ed *edge, e *Event) {
	for _, act := range d.acts[ed.acts : ed.acts+ed.nacts] {
		if act >= 0 {
			d.enter(act)
		} else {
			d.item(^act, e)
		}
	}
}
