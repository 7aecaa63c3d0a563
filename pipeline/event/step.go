package event

// step goes from a place to the next value by the grammar, and teaches the atlas the way. It returns the place of the
// value and where it begins; no place is the end of the message.
func (d *Decoder) step(src []byte, i int, from *place, inside bool, e *Event) (*place, int, *Rejected) {
	start, learn := i, true
	c, first := from.parent, false // the container that we are in, and whether it has just been opened
	if inside {
		c, first = from, true
	}
	d.newActs = d.newActs[:0]
	for {
		i = skipSpace(src, i)
		if c == nil {
			if i < len(src) {
				return nil, 0, malformed(src, i)
			}
			if learn {
				d.learnEdge(from, inside, src[start:], nil, d.newActs)
			}
			return nil, i, nil
		}
		p, next, closed, r := d.member(src, i, c, first, &learn, e)
		if r != nil {
			return nil, 0, r
		}
		i = next
		if p == nil {
			if first = false; closed {
				c = c.parent
			}
			continue
		}
		if i >= len(src) {
			return nil, 0, truncated(src)
		}
		descend, r := d.descend(src, i, p)
		if r != nil {
			return nil, 0, r
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

// member reads from behind a bracket or value in container c to the next value in it, or over the closing bracket. Without a place
// the container is closed, or its next value was one that leads nowhere and is skipped.
func (d *Decoder) member(src []byte, i int, c *place, first bool, learn *bool, e *Event) (p *place, next int, closed bool, r *Rejected) {
	if i >= len(src) {
		return nil, 0, false, truncated(src)
	}
	closing := byte('}')
	if c.elem != nil {
		closing = ']'
	}
	if src[i] == closing {
		return nil, i + 1, true, nil
	}
	if !first {
		if src[i] != ',' {
			return nil, 0, false, malformed(src, i)
		}
		i = skipSpace(src, i+1)
	}
	if c.elem != nil {
		a := d.nodes[c.node].array - 1
		d.newActs = append(d.newActs, ^a)
		d.item(a, e)
		return c.elem, i, false, nil
	}
	key, i, r := d.key(src, i)
	if r != nil {
		return nil, 0, false, r
	}
	p = d.find(c, key)
	if p == nil && *learn {
		p = d.learnPlace(c, key)
	}
	if p != nil {
		return p, i, false, nil
	}
	*learn = false
	d.missed++
	i, r = d.skip(src, i, int(c.depth))
	return nil, i, false, r
}

// descend says whether the value of place p is an object that needs nothing but to be gone into. An array is not: whether
// it has a first element is seen only behind the bracket, and an edge must not depend on more than its own bytes.
func (d *Decoder) descend(src []byte, i int, p *place) (bool, *Rejected) {
	if src[i] != '{' {
		return false, nil
	}
	n := p.node
	nd := &d.nodes[n]
	if !nd.object || nd.array > 0 || nd.field >= 0 || len(nd.targets) > 0 {
		return false, nil
	}
	if int(p.depth) > d.limits.Depth {
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
	for _, act := range ed.acts {
		if act >= 0 {
			d.enter(act)
		} else {
			d.item(^act, e)
		}
	}
}
