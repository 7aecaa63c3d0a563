package event

// everything stands in the place of a field for all that is read at a node and below.
const everything = -1

// fault is something that is wrong with a message that may yet be well-formed. It is still read to its end: whether it is JSON at
// all comes first, and the type, which says whether the fault matters, may stand last.
type fault struct {
	rejected *Rejected // of one that matters to every event; the others are explained when they matter
	node     int32
	field    int32 // index in Schema.Fields, or everything; of tooMany the index in Schema.Arrays
	problem  problem
	want     string
	tok      token
}

// reject notes a fault that matters whatever the type of the event.
func (d *Decoder) reject(r *Rejected) {
	if !d.lost() {
		d.faults = append(d.faults, fault{rejected: r})
	}
}

// lost says whether there is a fault that matters whatever comes.
func (d *Decoder) lost() bool {
	return len(d.faults) > 0 && d.faults[len(d.faults)-1].rejected != nil
}

// blame notes what is wrong with the value of node n for a field, the first time.
func (d *Decoder) blame(n, field int32, p problem, want string, t *token) {
	if d.lost() {
		return
	}
	if d.matters == nil {
		d.reject(d.explain(p, d.nodes[n].path, want, t))
		return
	}
	for i := range d.faults {
		if f := &d.faults[i]; f.node == n && f.field == field && f.problem == p {
			return
		}
	}
	d.faults = append(d.faults, fault{node: n, field: field, problem: p, want: want, tok: *t})
}

// fault is the first one that matters to the type of e; all do when there is none. An array that was too long and does not matter
// is emptied; of all else that is wrong there is no value.
func (d *Decoder) fault(untyped bool, e *Event) *Rejected {
	for i := range d.faults {
		f := &d.faults[i]
		if f.rejected != nil {
			return f.rejected
		}
		if untyped || d.matters[e.Type].has(f) {
			return d.explain(f.problem, d.nodes[f.node].path, f.want, &f.tok)
		}
		if f.problem == tooMany {
			d.emptyArray(f.field, e)
		}
	}
	return nil
}

func (d *Decoder) emptyArray(a int32, e *Event) {
	e.Lens[a] = 0
	for _, f := range d.arrays[a] {
		e.Items[f] = e.Items[f][:0]
	}
}

// interest is what is read of the events of one type.
type interest struct {
	fields []bool // by index in Schema.Fields
	arrays []bool // by index in Schema.Arrays
	nodes  []bool // by node: something at it or below
}

func (r *interest) has(f *fault) bool {
	switch {
	case f.problem == tooMany:
		return r.arrays[f.field]
	case f.field >= 0:
		return r.fields[f.field]
	}
	return r.nodes[f.node]
}

// interests makes one for every type of the schema; none when it does not say what is read of which.
func (t *trie) interests(s *Schema) []interest {
	if s.Reads == nil {
		return nil
	}
	all := make([]interest, 1+len(s.Types))
	for i := range all {
		r := interest{fields: make([]bool, len(s.Fields)), arrays: make([]bool, len(s.Arrays)), nodes: make([]bool, len(t.nodes))}
		for _, f := range s.Reads[i].Fields {
			r.fields[f] = true
			if a := s.Fields[f].Array; a > 0 {
				r.arrays[a-1] = true
			}
		}
		for _, a := range s.Reads[i].Arrays {
			r.arrays[a] = true
		}
		for n := range t.nodes {
			r.nodes[n] = t.read(n, r.fields, r.arrays)
		}
		for n := range t.nodes { // preorder: what lies below follows
			for below := n + 1; below < int(t.nodes[n].end); below++ {
				r.nodes[n] = r.nodes[n] || r.nodes[below]
			}
		}
		all[i] = r
	}
	return all
}

// read says whether something is read at node n itself.
func (t *trie) read(n int, fields, arrays []bool) bool {
	nd := &t.nodes[n]
	if nd.field >= 0 && fields[nd.field] || nd.array > 0 && arrays[nd.array-1] {
		return true
	}
	for _, to := range nd.targets {
		if to.use == useSlot || fields[to.index] {
			return true
		}
	}
	return false
}
