package event

import (
	"fmt"
	"slices"
	"strings"
)

// trie is a Schema compiled for decoding: one node per step on the way to anything that is read.
type trie struct {
	nodes      []node
	children   [][]child // by node, in order of first mention
	arrays     [][]int32 // by array: the repeated fields of one element
	arrayNodes []int32   // by array: its element's node
	slotPaths  []string  // by slot: for messages
	identifier [][]int32 // by namespace: slots to try in order
	namespace  []uint64  // by slot: the bit of its namespace; of fixed ones none
}

type child struct {
	key  string // "[]" for the elements of an array
	node int32
}

// node 0 stands for everything that nothing reads; node 1 is the message itself. Nodes are numbered in preorder, so
// that all that lies below node n is n+1..end.
type node struct {
	path   string // "properties.products[].price"
	end    int32
	object bool  // something is read inside it, as an object
	array  int32 // 1 + index in Schema.Arrays when its elements are read
	// The usual node is one plain field: field is its index, kind its kind. Otherwise field is -1 and
	// targets has everything that is read here.
	field   int32
	kind    Kind
	usual   usual
	index   int32 // of what usual says
	targets []target
}

// usual says what is read of a node when it is one thing only, which spares most values the general way.
type usual uint8

const (
	usualNone   usual = iota // nothing is read, or more than one thing, or something else
	usualText                // a plain String field
	usualNumber              // a plain Number field
	usualSlot                // a slot
)

type use uint8

const (
	useSlot  use = iota // the decoder itself needs it: call type, ids, times, identifiers
	useField            // Event.Values[index]
	useItem             // the last element of Event.Items[index]
)

type target struct {
	use   use
	kind  Kind
	array int32 // index in Schema.Arrays, for useItem
	index int32
}

// The slots that every message has; those of identifiers follow.
const (
	slotType = iota
	slotEvent
	slotMessageID
	slotTimestamp
	slotOriginal
	fixedSlots
)

var fixedPaths = [fixedSlots]string{"type", "event", "messageId", "timestamp", "originalTimestamp"}

// branch is a node while the trie is built.
type branch struct {
	key     string
	array   int32
	targets []target
	below   []*branch
}

// compile panics when the schema contradicts itself: that is a bug of whoever made it.
func compile(s *Schema) *trie {
	t := &trie{arrays: make([][]int32, len(s.Arrays)), arrayNodes: make([]int32, len(s.Arrays))}
	root := &branch{}
	for i, path := range fixedPaths {
		root.at([]string{path}).add(target{use: useSlot, index: int32(i)})
		t.slotPaths, t.namespace = append(t.slotPaths, path), append(t.namespace, 0)
	}
	if len(s.Namespaces) > 64 {
		panic(fmt.Sprintf("BUG: schema has %d namespaces; 64 are allowed", len(s.Namespaces)))
	}
	for i, ns := range s.Namespaces {
		var slots []int32
		for _, path := range ns.Paths {
			if len(path) == 0 || slices.Contains(path, "[]") {
				panic(fmt.Sprintf("BUG: namespace %q has path %q", ns.Name, path))
			}
			slots = append(slots, int32(len(t.slotPaths)))
			root.at(path).add(target{use: useSlot, index: int32(len(t.slotPaths))})
			t.slotPaths, t.namespace = append(t.slotPaths, strings.Join(path, ".")), append(t.namespace, 1<<i)
		}
		t.identifier = append(t.identifier, slots)
	}
	for i, path := range s.Arrays {
		if len(path) == 0 || slices.Contains(path, "[]") || root.at(path).array != 0 {
			panic(fmt.Sprintf("BUG: schema has array %q", path))
		}
		root.at(path).array = int32(i + 1)
		root.at(path).child("[]")
	}
	for i, f := range s.Fields {
		if !slices.ContainsFunc(s.Locations, func(l Location) bool { return l.Field == i }) {
			t.addField(root, s, i, f)
		}
	}
	t.nodes = []node{{object: true, field: -1}}
	t.children = make([][]child, 1)
	t.flatten(root, "")
	return t
}

func (t *trie) addField(root *branch, s *Schema, i int, f Field) {
	at := slices.Index(f.Path, "[]")
	bad := len(f.Path) == 0 || f.Kind < Bool || f.Kind > Time || f.Array < 0 || f.Array > len(s.Arrays) || (at >= 0) != (f.Array > 0)
	if !bad && f.Array > 0 {
		bad = !slices.Equal(f.Path[:at], s.Arrays[f.Array-1]) || slices.Contains(f.Path[at+1:], "[]")
	}
	if bad {
		panic(fmt.Sprintf("BUG: schema has field %+v", f))
	}
	to := target{use: useField, kind: f.Kind, index: int32(i)}
	if f.Array > 0 {
		to.use, to.array = useItem, int32(f.Array-1)
		t.arrays[to.array] = append(t.arrays[to.array], int32(i))
	}
	root.at(f.Path).add(to)
}

func (b *branch) at(path []string) *branch {
	for _, key := range path {
		b = b.child(key)
	}
	return b
}

func (b *branch) child(key string) *branch {
	for _, c := range b.below {
		if c.key == key {
			return c
		}
	}
	c := &branch{key: key}
	b.below = append(b.below, c)
	return c
}

func (b *branch) add(t target) { b.targets = append(b.targets, t) }

func (t *trie) flatten(b *branch, path string) int32 {
	self := int32(len(t.nodes))
	n := node{path: path, field: -1, array: b.array, targets: b.targets}
	if len(b.targets) == 1 && b.targets[0].use == useField {
		n.field, n.kind, n.targets = b.targets[0].index, b.targets[0].kind, nil
	}
	t.nodes = append(t.nodes, n)
	t.children = append(t.children, nil)
	for _, c := range b.below {
		below := path + "." + c.key
		if c.key == "[]" && b.array != 0 {
			below = path + "[]"
		} else {
			t.nodes[self].object = true
			if path == "" {
				below = c.key
			}
		}
		id := t.flatten(c, below)
		t.children[self] = append(t.children[self], child{c.key, id})
		if c.key == "[]" && b.array != 0 {
			t.arrayNodes[b.array-1] = id
		}
	}
	t.nodes[self].end = int32(len(t.nodes))
	if len(b.below) == 0 && b.array == 0 {
		t.nodes[self].usual, t.nodes[self].index = n.only()
	}
	return self
}

// only is what usual and index of a node without children are.
func (n *node) only() (usual, int32) {
	switch {
	case n.field >= 0 && n.kind == String:
		return usualText, n.field
	case n.field >= 0 && n.kind == Number:
		return usualNumber, n.field
	case len(n.targets) == 1 && n.targets[0].use == useSlot:
		return usualSlot, n.targets[0].index
	}
	return usualNone, 0
}
