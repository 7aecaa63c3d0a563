package event

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
// keeps at most about 400 KB, and the usual one 10 KB.
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

// place 0 is the end of the message, place 1 the message itself.
type place struct {
	after, inside int32 // first edge from after its value, and from after its opening bracket
	node          int32
	index         int32 // usual and index are those of the node
	usual         usual
	parent        int32 // the container that it is in
	depth         int32 // of containers, itself included if it is one
	elem          int32 // the place of its elements, for an array that is read
	key, keyLen   int32 // in literals
}

const (
	missing   = -1 // no place
	rootPlace = 1
)

type edge struct {
	first, mask uint64 // the first eight bytes
	last        uint64 // the last eight, when there are more than eight
	length      int32
	next        int32 // another edge from the same place
	to          int32
	lit         int32 // in literals
	acts        int32 // in Decoder.acts
	nacts       int32
}

// atlas is what a decoder has learnt, on top of the places of the schema.
type atlas struct {
	places   []place
	edges    []edge // edge 0 is none
	acts     []int32
	literals []byte  // of edges, and the keys of places
	table    []int32 // open addressing: places by (parent, key)
	missed   int
	frozen   bool // learns nothing more: for tests and benchmarks

	// The part that comes from the schema and is never forgotten.
	fixedPlaces, fixedText int
	fixedTable             []int32
}

func newAtlas(t *trie) *atlas {
	a := &atlas{places: make([]place, 1, 64), edges: make([]edge, 1, 64)}
	a.addFixed(t, 0, 1)
	a.fixedPlaces, a.fixedText = len(a.places), len(a.literals)
	size := 4 * (len(a.places) + maxPlaces)
	for n := 1; ; n *= 2 {
		if n >= size && a.fill(n) {
			break
		}
	}
	a.fixedTable = append([]int32(nil), a.table...)
	return a
}

// addFixed adds the places of node n and of all below it.
func (a *atlas) addFixed(t *trie, parent int32, n int32) int32 {
	self := int32(len(a.places))
	a.places = append(a.places, place{
		node: n, usual: t.nodes[n].usual, index: t.nodes[n].index, parent: parent, depth: a.places[parent].depth + 1,
	})
	for _, c := range t.children[n] {
		id := a.addFixed(t, self, c.node)
		if c.key == "[]" && t.nodes[n].array != 0 {
			a.places[self].elem = id
			continue
		}
		a.places[id].key, a.places[id].keyLen = int32(len(a.literals)), int32(len(c.key))
		a.literals = append(a.literals, c.key...)
	}
	return self
}

// fill builds the table for the places of the schema; false when one of them would not be found within maxProbe.
func (a *atlas) fill(size int) bool {
	a.table = make([]int32, size)
	for i := rootPlace + 1; i < len(a.places); i++ {
		p := &a.places[i]
		if a.places[p.parent].elem == int32(i) {
			continue
		}
		if !a.put(int32(i), keyHash(p.parent, a.literals[p.key:p.key+p.keyLen])) {
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

// find returns the place of key in a container, or 0.
func (a *atlas) find(parent int32, key []byte) int32 {
	hash := keyHash(parent, key)
	for j := range uint32(maxProbe) {
		id := a.table[(hash+j)&uint32(len(a.table)-1)]
		if id == 0 {
			return 0
		}
		p := &a.places[id]
		if p.parent == parent && string(a.literals[p.key:p.key+p.keyLen]) == string(key) {
			return id
		}
	}
	return 0
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

// learnPlace makes a place for a key that nothing reads, or returns 0.
func (a *atlas) learnPlace(parent int32, key []byte) int32 {
	if len(key) > maxKey || a.frozen || len(a.places)-a.fixedPlaces >= maxPlaces || len(a.literals)+len(key) > a.fixedText+maxText {
		return 0
	}
	id := int32(len(a.places))
	if !a.put(id, keyHash(parent, key)) {
		return 0
	}
	a.places = append(a.places, place{parent: parent, depth: a.places[parent].depth + 1, key: int32(len(a.literals)), keyLen: int32(len(key))})
	a.literals = append(a.literals, key...)
	return id
}

// learnEdge remembers that literal leads from a place to another; acts are its side effects.
func (a *atlas) learnEdge(from int32, inside bool, literal []byte, to int32, acts []int32) {
	n := len(literal)
	if n == 0 || n > maxLiteral || a.frozen || len(a.edges) >= maxEdges || len(a.literals)+n > a.fixedText+maxText {
		a.missed++
		return
	}
	link := &a.places[from].after
	if inside {
		link = &a.places[from].inside
	}
	for fan := 0; *link != 0; fan++ {
		if fan == maxFan {
			a.missed++
			return
		}
		link = &a.edges[*link].next
	}
	e := edge{length: int32(n), to: to, lit: int32(len(a.literals)), acts: int32(len(a.acts)), nacts: int32(len(acts))}
	e.first, e.mask = word(literal, 0), ^uint64(0)
	if n < 8 {
		e.mask = 1<<(8*n) - 1
	} else {
		e.last = le64(literal[n-8:])
	}
	a.literals = append(a.literals, literal...)
	a.acts = append(a.acts, acts...)
	*link = int32(len(a.edges))
	a.edges = append(a.edges, e)
}

// middleFits compares text with the literal of e, except for the first and the last word. A loop over words is
// cheaper for such lengths than a call that compares bytes.
func (a *atlas) middleFits(e *edge, text []byte) bool {
	literal := a.literals[e.lit:][:len(text)]
	for j := 8; j < len(text)-8; j += 8 {
		if le64(text[j:]) != le64(literal[j:]) {
			return false
		}
	}
	return true
}

// forget drops everything learnt.
func (a *atlas) forget() {
	a.places = a.places[:a.fixedPlaces]
	for i := range a.places {
		a.places[i].after, a.places[i].inside = 0, 0
	}
	a.edges, a.acts, a.literals, a.missed = a.edges[:1], a.acts[:0], a.literals[:a.fixedText], 0
	copy(a.table, a.fixedTable)
}
