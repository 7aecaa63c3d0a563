package event

import (
	"bytes"
	"slices"
)

// Places are how the decoder remembers the shapes of messages.
//
// The plain way is a scanner that walks the trie: for each key it finds the quotes, checks each byte, looks the
// key up, expects a colon. Producers write the same keys in the same order over and over, so nearly all of that
// work gives the answer it gave last time. A table of whole shapes, one per message layout, would say so for the
// message at once; but an optional key doubles the number of shapes, and a shape that is not in the table costs its
// search on top of the plain walk.
//
// So we remember transitions instead. A place is a position in the grammar of messages: "after the value at
// context.page.url". From each place hang edges: the literal bytes that were seen from there to the beginning of
// the next scalar, `},"type":`, and the place where they lead. To decode is to follow edges, comparing words, and
// to scan the values in between. When no edge fits, step (step.go) reads on by the grammar, and what it read becomes
// a new edge. Shapes that differ in one key share all their other edges.
//
// Why this is sound: what step does from a place depends only on the place (its containers, their nodes and the depth
// all follow from it) and on the bytes that it consumes; it reads whole tokens, so the same bytes are the same
// tokens whatever follows. An edge is such a run, with its side effects (acts) written down. Marks of
// duplicate keys and counts of elements are not part of a place, so acts redo them.
//
// Cost: a load, a masked compare and one or two more per edge tried. Everything is bounded; when the table is full,
// unknown transitions take the plain way, and after enough of them everything learnt is forgotten, so a decoder that
// lives for months does not stay with the producers of its first day.

// The bounds. 100 shapes of 30 keys that have nothing in common are 3,000 edges. All together a decoder
// keeps at most about 900 KB, and the usual one 150 KB, nearly all of it the table of keys.
const (
	maxPlaces  = 2048     // learnt places, besides those of the schema
	maxEdges   = 4096     // transitions
	maxText    = 96 << 10 // bytes of literals and learnt keys
	maxFan     = 12       // edges from one place: beyond it the plain way is as fast
	maxLiteral = 120      // bytes of one edge; longer ones are mostly white space
	maxKey     = 64       // bytes of a key that is learnt
	maxProbe   = 8        // slots of the table looked at, so that chosen keys cannot make it slow
	maxMissed  = 1 << 16  // steps that could not be learnt before all is forgotten
)

// place is a value in the grammar of messages. One that was learnt, of a key that nothing reads, has node 0.
type place struct {
	after, inside *edge // the first from after its value, and from after its opening bracket
	node          int32
	index         int32 // usual and index are those of the node
	usual         usual
	depth         int32  // of containers, itself included if it is one
	id            int32  // its index in atlas.places
	parent        *place // the container that it is in; nil for the message itself
	elem          *place // its elements, for an array that is read
	key           []byte
}

type edge struct {
	first, mask uint64 // the first eight bytes
	last        uint64 // the last eight, when there are more than eight
	next        *edge  // another one from the same place
	to          *place // nil: the end of the message
	length      int    // of literal
	literal     []byte
	acts        []int32 // see replay
}

// atlas is what a decoder has learnt, on top of the places of the schema.
type atlas struct {
	root   *place   // the message
	places []*place // places[0] is none
	table  []int32  // open addressing: places by (parent, key)
	edges  int      // how many there are
	held   int      // bytes of all literals and learnt keys
	missed int
	frozen bool // learns nothing more: for tests and benchmarks

	// The part that comes from the schema and is never forgotten.
	fixedPlaces int
	fixedTable  []int32
}

func newAtlas(t *trie) *atlas {
	a := &atlas{places: make([]*place, 1, 64)}
	a.root = a.addFixed(t, nil, 1)
	a.fixedPlaces = len(a.places)
	size := 4 * (len(a.places) + maxPlaces)
	for n := 1; ; n *= 2 {
		if n >= size && a.fill(n) {
			break
		}
	}
	a.fixedTable = append([]int32(nil), a.table...)
	return a
}

// addPlace adds a place in a container.
func (a *atlas) addPlace(parent *place) *place {
	p := &place{id: int32(len(a.places)), parent: parent, depth: 1}
	if parent != nil {
		p.depth = parent.depth + 1
	}
	a.places = append(a.places, p)
	return p
}

// addFixed adds the places of node n and of all below it.
func (a *atlas) addFixed(t *trie, parent *place, n int32) *place {
	p := a.addPlace(parent)
	p.node, p.usual, p.index = n, t.nodes[n].usual, t.nodes[n].index
	for _, c := range t.children[n] {
		below := a.addFixed(t, p, c.node)
		if c.key == "[]" && t.nodes[n].array != 0 {
			p.elem = below
			continue
		}
		below.key = []byte(c.key)
	}
	return p
}

// fill builds the table for the places of the schema; false when one of them would not be found within maxProbe.
func (a *atlas) fill(size int) bool {
	a.table = make([]int32, size)
	for _, p := range a.places[1:] {
		if p.parent == nil || p.parent.elem == p {
			continue
		}
		if !a.put(p.id, keyHash(p.parent.id, p.key)) {
			return false
		}
	}
	return true
}

func (a *atlas) put(id int32, hash uint32) bool {
	for j := range uint32(maxProbe) {
		slot := &a.table[(hash+j)&uint32(len(a.table)-1)]
		if *slot == 0 {
			*slot = id
			return true
		}
	}
	return false
}

// find returns the place of key in a container, or nil.
func (a *atlas) find(parent *place, key []byte) *place {
	hash := keyHash(parent.id, key)
	for j := range uint32(maxProbe) {
		id := a.table[(hash+j)&uint32(len(a.table)-1)]
		if id == 0 {
			return nil
		}
		if p := a.places[id]; p.parent == parent && string(p.key) == string(key) {
			return p
		}
	}
	return nil
}

// keyHash reads at most sixteen bytes of the key: enough to spread real keys. Chosen ones can collide, which is
// why maxProbe bounds the search.
func keyHash(parent int32, key []byte) uint32 {
	var x, y uint64
	switch n := len(key); {
	case n >= 8:
		x, y = le64(key), le64(key[n-8:])
	case n >= 4:
		x, y = uint64(le32(key)), uint64(le32(key[n-4:]))
	case n > 0:
		x = uint64(key[0])<<16 | uint64(key[n/2])<<8 | uint64(key[n-1])
	}
	h := (x ^ uint64(len(key))<<56 ^ uint64(parent)*0x9e3779b97f4a7c15) * 0xff51afd7ed558ccd
	h = (h ^ h>>32 ^ y) * 0xc4ceb9fe1a85ec53
	return uint32(h >> 32)
}

// learnPlace makes a place for a key that nothing reads, or returns nil.
func (a *atlas) learnPlace(parent *place, key []byte) *place {
	if len(key) > maxKey || a.frozen || len(a.places)-a.fixedPlaces >= maxPlaces || a.held+len(key) > maxText {
		return nil
	}
	if !a.put(int32(len(a.places)), keyHash(parent.id, key)) {
		return nil
	}
	p := a.addPlace(parent)
	p.key = bytes.Clone(key)
	a.held += len(key)
	return p
}

// learnEdge remembers that literal leads from a place to another; acts are its side effects.
func (a *atlas) learnEdge(from *place, inside bool, literal []byte, to *place, acts []int32) {
	n := len(literal)
	if n == 0 || n > maxLiteral || a.frozen || a.edges >= maxEdges || a.held+n > maxText {
		a.missed++
		return
	}
	link := &from.after
	if inside {
		link = &from.inside
	}
	for fan := 0; *link != nil; fan++ {
		if fan == maxFan {
			a.missed++
			return
		}
		link = &(*link).next
	}
	e := &edge{first: word(literal, 0), mask: ^uint64(0), to: to, length: n, literal: bytes.Clone(literal)}
	if n < 8 {
		e.mask = 1<<(8*n) - 1
	} else {
		e.last = le64(literal[n-8:])
	}
	if len(acts) > 0 {
		e.acts = slices.Clone(acts)
	}
	a.held += n
	a.edges++
	*link = e
}

// middleFits compares text with the literal of e, except for the first and the last word. A loop over words is
// cheaper for such lengths than a call that compares bytes.
func (e *edge) middleFits(text []byte) bool {
	literal := e.literal[:len(text)]
	for j := 8; j < len(text)-8; j += 8 {
		if le64(text[j:]) != le64(literal[j:]) {
			return false
		}
	}
	return true
}

// forget drops everything learnt.
func (a *atlas) forget() {
	clear(a.places[a.fixedPlaces:])
	a.places = a.places[:a.fixedPlaces]
	for _, p := range a.places[1:] {
		p.after, p.inside = nil, nil
	}
	a.edges, a.held, a.missed = 0, 0, 0
	copy(a.table, a.fixedTable)
}
