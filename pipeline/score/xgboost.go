package score

import (
	"encoding/json"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Source of the formats: XGBoost's documentation of its JSON model schema and of get_dump, and the files it writes.

// loadObject tells apart the models that are one JSON object.
func loadObject(file []byte) (*Model, error) {
	var keys map[string]json.RawMessage
	if err := json.Unmarshal(file, &keys); err != nil {
		return nil, bad("%v", err)
	}
	switch {
	case keys["tree_info"] != nil:
		return loadLightGBMDump(file)
	case keys["learner"] != nil:
		return loadXGBoostModel(file)
	case keys["trees"] != nil:
		return loadXGBoostWrapped(file)
	case keys["intercept"] != nil:
		return loadLogistic(file)
	}
	return nil, bad("no key says what made it: tree_info (LightGBM), learner (XGBoost), trees (an XGBoost dump with its objective) or intercept (dashi train)")
}

// newXGBoost makes a model of what surrounds the trees.
func newXGBoost(objective string, baseScore float64, names []string) (*Model, error) {
	m := &Model{format: "xgboost", forest: &forest{scale: 1, single: true}}
	for _, name := range names {
		m.inputs = append(m.inputs, Input{Name: name})
	}
	base := baseScore
	switch objective {
	case "binary:logistic", "reg:logistic":
		m.output = asLogistic
		if !(base > 0 && base < 1) {
			return nil, bad("base_score is %v; wanted: a probability", base)
		}
		base = -log(1/base - 1)
	case "binary:logitraw":
		if base > 0 && base < 1 {
			base = -log(1/base - 1)
		}
	case "count:poisson", "reg:gamma", "reg:tweedie":
		m.output = asExp
		if !(base > 0 && base < math.MaxFloat32) {
			return nil, bad("base_score is %v; wanted: a positive number", base)
		}
		base = log(base)
	case "reg:squarederror", "reg:absoluteerror", "reg:pseudohubererror", "rank:pairwise", "rank:ndcg", "rank:map":
	default:
		return nil, bad("its objective is %q", objective)
	}
	m.forest.base = float64(float32(base))
	return m, nil
}

// lessThan turns v < t into v <= t', for values of 32 bits.
func lessThan(t float64) float64 {
	return float64(math.Nextafter32(float32(t), float32(math.Inf(-1))))
}

type xgboostModel struct {
	Learner struct {
		Names     []string `json:"feature_names"`
		Objective struct {
			Name string `json:"name"`
		} `json:"objective"`
		Param struct {
			Base     string `json:"base_score"`
			Classes  string `json:"num_class"`
			Features string `json:"num_feature"`
		} `json:"learner_model_param"`
		Booster struct {
			Name  string `json:"name"`
			Model struct {
				Trees []xgboostTree `json:"trees"`
			} `json:"model"`
		} `json:"gradient_booster"`
	} `json:"learner"`
}

type xgboostTree struct {
	Left      []int32   `json:"left_children"`
	Right     []int32   `json:"right_children"`
	Input     []int     `json:"split_indices"`
	Condition []float64 `json:"split_conditions"`
	Default   []flag    `json:"default_left"`
	Type      []int     `json:"split_type"`
	Weight    []float64 `json:"sum_hessian"`
}

// flag is true, false, 1 or 0: versions differ.
type flag bool

func (f *flag) UnmarshalJSON(b []byte) error {
	*f = string(b) == "true" || string(b) == "1"
	return nil
}

func loadXGBoostModel(file []byte) (*Model, error) {
	var x xgboostModel
	if err := json.Unmarshal(file, &x); err != nil {
		return nil, bad("%v", err)
	}
	l := &x.Learner
	if l.Booster.Name != "gbtree" {
		return nil, bad("its booster is %q; wanted: gbtree", l.Booster.Name)
	}
	if n, err := strconv.Atoi(l.Param.Classes); err == nil && n > 1 {
		return nil, bad("it has %d classes; wanted: one score", n)
	}
	base, err := strconv.ParseFloat(strings.Trim(l.Param.Base, "[]"), 64)
	if err != nil {
		return nil, bad("base_score is %q", l.Param.Base)
	}
	names := l.Names
	if len(names) == 0 {
		n, err := strconv.Atoi(l.Param.Features)
		if err != nil || n > MaxInputs {
			return nil, bad("num_feature is %q", l.Param.Features)
		}
		for i := range n {
			names = append(names, "f"+strconv.Itoa(i))
		}
	}
	m, err := newXGBoost(l.Objective.Name, base, names)
	if err != nil {
		return nil, err
	}
	for i := range l.Booster.Model.Trees {
		t, err := l.Booster.Model.Trees[i].tree()
		if err != nil {
			return nil, bad("tree %d: %v", i, err)
		}
		if err := m.forest.add(t); err != nil {
			return nil, err
		}
	}
	return m, nil
}

// tree turns columns into a tree. A node without children is a leaf, whose value stands with the conditions.
func (x *xgboostTree) tree() (*tree, error) {
	n := len(x.Left)
	if n == 0 || len(x.Right) != n || len(x.Input) != n || len(x.Condition) != n || len(x.Default) != n {
		return nil, bad("its columns differ in length")
	}
	t := &tree{}
	at := make([]int32, n)
	for i := range n {
		if x.Left[i] == -1 {
			at[i] = ^int32(len(t.leaves))
			t.leaves = append(t.leaves, float64(float32(x.Condition[i])))
			if len(x.Weight) == n {
				t.weight = append(t.weight, x.Weight[i])
			}
			continue
		}
		if len(x.Type) == n && x.Type[i] != 0 {
			return nil, bad("a split goes by category; encode categories as numbers of their own")
		}
		if x.Input[i] < 0 || x.Input[i] >= MaxInputs {
			return nil, bad("a split reads input %d", x.Input[i])
		}
		at[i] = int32(len(t.nodes))
		flags := uint8(missingNaN)
		if x.Default[i] {
			flags |= missingLeft
		}
		t.nodes = append(t.nodes, node{threshold: lessThan(x.Condition[i]), input: uint16(x.Input[i]), flags: flags, left: x.Left[i], right: x.Right[i]})
	}
	for i := range t.nodes {
		p := &t.nodes[i]
		if p.left < 0 || int(p.left) >= n || p.right < 0 || int(p.right) >= n {
			return nil, bad("a split leads nowhere")
		}
		p.left, p.right = at[p.left], at[p.right]
	}
	t.root = at[0]
	return t, nil
}

// xgboostNode is one node of get_dump(dump_format="json").
type xgboostNode struct {
	ID        int            `json:"nodeid"`
	Split     string         `json:"split"`
	Condition *float64       `json:"split_condition"`
	Yes       int            `json:"yes"`
	No        int            `json:"no"`
	Missing   int            `json:"missing"`
	Children  []*xgboostNode `json:"children"`
	Leaf      *float64       `json:"leaf"`
	Cover     float64        `json:"cover"`
}

// loadXGBoostDump reads a dump of trees alone, which says neither the objective nor the base score: a classifier with 0.5 is
// assumed, XGBoost's default before version 2. For others the dump stands in an object, under trees, beside both.
func loadXGBoostDump(file []byte) (*Model, error) {
	var trees []*xgboostNode
	if err := json.Unmarshal(file, &trees); err != nil {
		return nil, bad("%v", err)
	}
	return xgboostTrees("binary:logistic", 0.5, trees, nil)
}

func loadXGBoostWrapped(file []byte) (*Model, error) {
	w := struct {
		Objective string         `json:"objective"`
		Base      float64        `json:"base_score"`
		Names     []string       `json:"feature_names"`
		Trees     []*xgboostNode `json:"trees"`
	}{Objective: "binary:logistic", Base: 0.5}
	if err := json.Unmarshal(file, &w); err != nil {
		return nil, bad("%v", err)
	}
	return xgboostTrees(w.Objective, w.Base, w.Trees, w.Names)
}

var numberedInput = regexp.MustCompile(`^f(\d{1,4})$`)

func xgboostTrees(objective string, base float64, trees []*xgboostNode, names []string) (*Model, error) {
	if names == nil {
		names = dumpedNames(trees)
	}
	m, err := newXGBoost(objective, base, names)
	if err != nil {
		return nil, err
	}
	index := map[string]int{}
	for i, name := range names {
		index[name] = i
	}
	for i, root := range trees {
		t := &tree{}
		if t.root, err = dumpedNode(t, root, index); err != nil {
			return nil, bad("tree %d: %v", i, err)
		}
		if err := m.forest.add(t); err != nil {
			return nil, err
		}
	}
	return m, nil
}

// dumpedNames are the inputs of a dump: f0, f1, ... when it has numbers only, otherwise the names, sorted.
func dumpedNames(trees []*xgboostNode) []string {
	seen := map[string]bool{}
	most, numbered := -1, true
	var visit func(n *xgboostNode)
	visit = func(n *xgboostNode) {
		if n == nil || n.Leaf != nil {
			return
		}
		seen[n.Split] = true
		if p := numberedInput.FindStringSubmatch(n.Split); p != nil {
			i, _ := strconv.Atoi(p[1])
			most = max(most, i)
		} else {
			numbered = false
		}
		for _, c := range n.Children {
			visit(c)
		}
	}
	for _, t := range trees {
		visit(t)
	}
	var names []string
	if numbered {
		for i := range most + 1 {
			names = append(names, "f"+strconv.Itoa(i))
		}
		return names
	}
	for name := range seen {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

func dumpedNode(t *tree, d *xgboostNode, index map[string]int) (int32, error) {
	switch {
	case d == nil:
		return 0, bad("a split leads nowhere")
	case d.Leaf != nil:
		t.leaves, t.weight = append(t.leaves, float64(float32(*d.Leaf))), append(t.weight, d.Cover)
		return ^int32(len(t.leaves) - 1), nil
	case len(d.Children) != 2 || d.Children[0] == nil || d.Children[1] == nil || d.Condition == nil:
		return 0, bad("split %d is damaged", d.ID)
	}
	input, known := index[d.Split]
	if !known || input >= MaxInputs {
		return 0, bad("split %d reads %q", d.ID, d.Split)
	}
	yes, no := d.Children[0], d.Children[1]
	if yes.ID != d.Yes {
		yes, no = no, yes
	}
	if yes.ID != d.Yes || no.ID != d.No {
		return 0, bad("split %d leads to %d and %d, which are not its children", d.ID, d.Yes, d.No)
	}
	flags := uint8(missingNaN)
	if d.Missing == d.Yes {
		flags |= missingLeft
	}
	at := int32(len(t.nodes))
	t.nodes = append(t.nodes, node{threshold: lessThan(*d.Condition), input: uint16(input), flags: flags})
	left, err := dumpedNode(t, yes, index)
	if err != nil {
		return 0, err
	}
	right, err := dumpedNode(t, no, index)
	if err != nil {
		return 0, err
	}
	t.nodes[at].left, t.nodes[at].right = left, right
	return at, nil
}
