package match

// pattern holds the levels of all fields of a pair, four bits each.
type pattern uint64

// mostFields is how many fit.
const mostFields = 16

func (p pattern) at(field int) level { return level(p >> (4 * field) & 15) }

func (p *pattern) set(field int, l level) {
	*p = *p&^(15<<(4*field)) | pattern(l)<<(4*field)
}

// pattern compares two records.
func (t *Table) pattern(c *comparer, a, b int32) pattern {
	var p pattern
	for i := range t.fields {
		f := &t.fields[i]
		x, y := f.of[a], f.of[b]
		switch {
		case x == 0 || y == 0:
			p.set(i, missing)
		case x == y:
			p.set(i, exact)
		default:
			p.set(i, c.compare(f.kind, f.values[x-1], f.values[y-1]))
		}
	}
	t.crossed(c, &p, a, b)
	return p
}

// crossed looks for given and family names that changed places: nothing agrees as it stands, and crosswise something
// agrees well while nothing differs.
func (t *Table) crossed(c *comparer, p *pattern, a, b int32) {
	if t.given < 0 || t.family < 0 {
		return
	}
	agrees := func(l level) bool { return l != differs && l != missing }
	if agrees(p.at(t.given)) || agrees(p.at(t.family)) {
		return
	}
	given, family := &t.fields[t.given], &t.fields[t.family]
	x := crosswise(c, given.value(a), family.value(b))
	y := crosswise(c, family.value(a), given.value(b))
	if x == differs || y == differs || x == missing && y == missing {
		return
	}
	p.set(t.given, x)
	p.set(t.family, y)
}

func crosswise(c *comparer, a, b string) level {
	if a == "" || b == "" {
		return missing
	}
	if a == b {
		return crossed
	}
	c.a.set(a)
	c.b.set(b)
	if min(c.a.n, c.b.n) >= 4 && edits(&c.a, &c.b, 1) <= 1 {
		return crossed
	}
	return differs
}
