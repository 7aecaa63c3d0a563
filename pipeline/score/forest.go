package score

import "math"

// forest is the trees of a model, all their splits in one array.
type forest struct {
	roots  []int32 // a node, or a leaf as ^index
	nodes  []node
	leaves []float64
	means  []float64 // by node: the mean output below it, for factors
	base   float64
	scale  float64 // of the sum, applied before base: 1, or 1/trees where the trees are averaged
	// single is XGBoost's arithmetic: values and sums are rounded to 32 bits.
	single bool
	sets   [][]uint32 // categories, as bits
}

// node is one split. A value goes left when it is at most the threshold (LightGBM) or below it (XGBoost, whose thresholds are
// lowered by one unit when they are loaded, so that both are one comparison).
type node struct {
	threshold   float64
	left, right int32 // a node, or a leaf as ^index
	input       uint16
	flags       uint8
}

const (
	missingLeft  = 1 << 0 // a missing value goes left
	missingNaN   = 1 << 1 // NaN is missing; otherwise it is 0
	missingZero  = 1 << 2 // 0 and NaN are missing
	categoryNode = 1 << 3 // threshold is the index of a set; what is in it goes left
)

// zeroBound is what LightGBM takes for zero.
const zeroBound = float64(float32(1e-35))

// goesLeft decides at one split, in every case.
func (f *forest) goesLeft(n *node, v float64) bool {
	if n.flags&categoryNode != 0 {
		if !(v >= 0) || v >= 1<<31 {
			return false // NaN, too
		}
		set, i := f.sets[int(n.threshold)], uint32(v)
		return int(i/32) < len(set) && set[i/32]>>(i%32)&1 != 0
	}
	if math.IsNaN(v) && n.flags&missingNaN == 0 {
		v = 0
	}
	if n.flags&missingZero != 0 && v >= -zeroBound && v <= zeroBound || math.IsNaN(v) {
		return n.flags&missingLeft != 0
	}
	return v <= n.threshold
}

// special are the nodes for which one comparison is not enough, even if the value is there.
const special = categoryNode | missingZero

// sum adds the trees up, in order.
func (f *forest) sum(x []float64) float64 {
	if f.single {
		return f.sumSingle(x)
	}
	total := 0.0
	for _, at := range f.roots {
		total += f.leaves[^f.walk(at, x)]
	}
	return float64(total*f.scale) + f.base
}

// sumSingle is sum in 32 bits. XGBoost begins with the base.
func (f *forest) sumSingle(x []float64) float64 {
	total := float32(f.base)
	nodes := f.nodes
	for _, at := range f.roots {
		for at >= 0 {
			n := &nodes[at]
			v := float64(float32(x[n.input]))
			at = n.next(v <= n.threshold || v != v && n.flags&missingLeft != 0)
		}
		total += float32(f.leaves[^at])
	}
	return float64(total)
}

// walk returns the leaf, as ^index, that x comes to.
func (f *forest) walk(at int32, x []float64) int32 {
	nodes := f.nodes
	for at >= 0 {
		n := &nodes[at]
		v := x[n.input]
		left := v <= n.threshold
		if n.flags&special != 0 || v != v {
			left = f.goesLeft(n, v)
		}
		at = n.next(left)
	}
	return at
}

// next loads both children, so that the choice is no branch: which way a value goes cannot be foretold.
func (n *node) next(goesLeft bool) int32 {
	left, right := n.left, n.right
	if goesLeft {
		right = left
	}
	return right
}

func (f *forest) factors(dst, x []float64) (base float64) {
	base = f.base
	for _, at := range f.roots {
		mean := f.mean(at)
		base += float64(mean * f.scale)
		for at >= 0 {
			n := &f.nodes[at]
			v := x[n.input]
			if f.single {
				v = float64(float32(v))
			}
			at = n.right
			if f.goesLeft(n, v) {
				at = n.left
			}
			next := f.mean(at)
			dst[n.input] += float64((next - mean) * f.scale)
			mean = next
		}
	}
	return base
}

func (f *forest) mean(at int32) float64 {
	if at < 0 {
		return f.leaves[^at]
	}
	return f.means[at]
}

// check makes sure that every walk ends and stays inside (I4): children come after their parents.
func (f *forest) check(inputs int) error {
	if len(f.roots) == 0 {
		return bad("no trees")
	}
	if len(f.roots) > MaxTrees || len(f.nodes) > MaxNodes {
		return bad("%d trees with %d splits; at most %d and %d", len(f.roots), len(f.nodes), MaxTrees, MaxNodes)
	}
	inside := func(child int32, after int) bool {
		if child < 0 {
			return int(^child) < len(f.leaves)
		}
		return int(child) > after && int(child) < len(f.nodes)
	}
	for _, at := range f.roots {
		if !inside(at, -1) {
			return bad("a tree begins outside of the file")
		}
	}
	for i := range f.nodes {
		n := &f.nodes[i]
		if !inside(n.left, i) || !inside(n.right, i) {
			return bad("split %d leads nowhere or back", i)
		}
		if int(n.input) >= inputs {
			return bad("split %d reads input %d of %d", i, n.input, inputs)
		}
		if n.flags&categoryNode != 0 && !(n.threshold >= 0 && int(n.threshold) < len(f.sets)) {
			return bad("split %d has no categories", i)
		}
		if n.flags&categoryNode == 0 && math.IsNaN(n.threshold) {
			return bad("the threshold of split %d is not a number", i)
		}
	}
	for _, v := range f.leaves {
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return bad("a leaf is %v", v)
		}
	}
	return nil
}

// tree is one tree while it is loaded: any order of nodes, children as indices or ^leaf.
type tree struct {
	nodes  []node
	leaves []float64
	weight []float64 // of leaves: rows that came there, if the file says so
	root   int32
}

// add appends a tree, parents before children.
func (f *forest) add(t *tree) error {
	if len(f.nodes)+len(t.nodes) > MaxNodes || len(f.leaves)+len(t.leaves) > MaxNodes+MaxTrees {
		return bad("more than %d splits", MaxNodes)
	}
	base := int32(len(f.leaves))
	f.leaves = append(f.leaves, t.leaves...)
	seen := make([]bool, len(t.nodes))
	place := func(at int32) (int32, bool) {
		if at < 0 {
			if int(^at) >= len(t.leaves) {
				return 0, false
			}
			return ^(^at + base), true
		}
		if int(at) >= len(t.nodes) || seen[at] {
			return 0, false
		}
		seen[at] = true
		f.nodes = append(f.nodes, t.nodes[at])
		return int32(len(f.nodes) - 1), true
	}
	begin := len(f.nodes)
	root, ok := place(t.root)
	for i := begin; ok && i < len(f.nodes); i++ { // breadth first: nodes near the root, which all walks share, lie together
		left, okLeft := place(f.nodes[i].left)
		right, okRight := place(f.nodes[i].right)
		f.nodes[i].left, f.nodes[i].right = left, right
		ok = okLeft && okRight
	}
	if !ok {
		return bad("tree %d is not a tree", len(f.roots))
	}
	f.roots = append(f.roots, root)
	f.measure(begin, base, t.weight)
	return nil
}

// measure computes the means of the nodes from begin on.
func (f *forest) measure(begin int, firstLeaf int32, weight []float64) {
	n := len(f.nodes)
	f.means = append(f.means, make([]float64, n-len(f.means))...)
	rows := make([]float64, n-begin)
	of := func(at int32) (mean, rowsBelow float64) {
		if at >= 0 {
			return f.means[at], rows[int(at)-begin]
		}
		w := 1.0
		if weight != nil {
			w = weight[^at-firstLeaf]
		}
		return f.leaves[^at], w
	}
	for i := n - 1; i >= begin; i-- {
		a, p := of(f.nodes[i].left)
		b, q := of(f.nodes[i].right)
		if p+q > 0 {
			f.means[i] = (float64(a*p) + float64(b*q)) / (p + q)
		} else {
			f.means[i] = (a + b) / 2
		}
		rows[i-begin] = p + q
	}
}
