package score

import (
	"bytes"
	"encoding/json"
	"math"
	"strconv"
	"strings"
)

// Source of the formats and of what a split does: LightGBM's documentation, "Tree" of its C API docs, and the files it writes.

// LightGBM's decision_type: bit 0 category, bit 1 missing values go left, bits 2 and 3 what counts as missing.
func lightGBMFlags(decision int) uint8 {
	var flags uint8
	if decision&1 != 0 {
		flags |= categoryNode
	}
	if decision&2 != 0 {
		flags |= missingLeft
	}
	switch decision >> 2 & 3 {
	case 1:
		flags |= missingZero
	case 2:
		flags |= missingNaN
	}
	return flags
}

// newLightGBM makes a model of its head.
func newLightGBM(objective string, names []string, perIteration, trees int, average bool) (*Model, error) {
	if perIteration > 1 {
		return nil, bad("it has %d classes; wanted: one score, such as objective binary or regression", perIteration)
	}
	m := &Model{format: "lightgbm", forest: &forest{scale: 1}}
	for _, name := range names {
		m.inputs = append(m.inputs, Input{Name: name})
	}
	if average && trees > 0 {
		m.forest.scale = 1 / float64(trees)
	}
	words := strings.Fields(objective)
	if len(words) == 0 {
		return m, nil
	}
	switch words[0] {
	case "binary", "cross_entropy":
		m.output = asLogistic
	case "poisson", "gamma", "tweedie":
		m.output = asExp
	case "regression", "regression_l1", "huber", "fair", "quantile", "mape", "lambdarank", "rank_xendcg", "custom":
		if len(words) > 1 && words[1] == "sqrt" {
			m.output = asSquare
		}
	default:
		return nil, bad("its objective is %q", words[0])
	}
	for _, w := range words[1:] {
		if s, ok := strings.CutPrefix(w, "sigmoid:"); ok && s != "1" {
			steep, err := strconv.ParseFloat(s, 64)
			if err != nil || words[0] != "binary" {
				return nil, bad("its objective is %q", objective)
			}
			m.forest.scale *= steep
		}
	}
	return m, nil
}

func loadLightGBMText(file []byte) (*Model, error) {
	head, rest, _ := bytes.Cut(file, []byte("\nTree="))
	keys, average := textBlock(head)
	perIteration, err := strconv.Atoi(keys["num_tree_per_iteration"])
	if err != nil {
		return nil, bad("num_tree_per_iteration is %q", keys["num_tree_per_iteration"])
	}
	var blocks [][]byte
	for len(rest) > 0 {
		var block []byte
		block, rest, _ = bytes.Cut(rest, []byte("\nTree="))
		block, _, _ = bytes.Cut(block, []byte("\nend of trees"))
		blocks = append(blocks, block)
	}
	m, err := newLightGBM(keys["objective"], strings.Fields(keys["feature_names"]), perIteration, len(blocks), average)
	if err != nil {
		return nil, err
	}
	for i, b := range blocks {
		if err := m.forest.lightGBMTree(b); err != nil {
			return nil, bad("tree %d: %v", i, err)
		}
	}
	return m, nil
}

// textBlock reads lines key=value. average_output stands alone.
func textBlock(b []byte) (keys map[string]string, average bool) {
	keys = map[string]string{}
	for line := range strings.Lines(string(b)) {
		line = strings.TrimSpace(line)
		if k, v, ok := strings.Cut(line, "="); ok {
			keys[k] = v
		}
		average = average || line == "average_output"
	}
	return keys, average
}

func (f *forest) lightGBMTree(block []byte) error {
	keys, _ := textBlock(block)
	if keys["is_linear"] == "1" {
		return bad("its leaves are linear models")
	}
	leaves, err := floats(keys["leaf_value"])
	if err != nil || len(leaves) == 0 {
		return bad("leaf_value is missing or damaged")
	}
	t := &tree{leaves: leaves}
	if counts, err := floats(keys["leaf_count"]); err == nil && len(counts) == len(leaves) {
		t.weight = counts
	}
	if len(leaves) == 1 {
		t.root = ^0
		return f.add(t)
	}
	var columns [5][]float64
	for i, name := range []string{"split_feature", "threshold", "decision_type", "left_child", "right_child"} {
		if columns[i], err = floats(keys[name]); err != nil || len(columns[i]) != len(leaves)-1 {
			return bad("%s is missing or damaged", name)
		}
	}
	first := len(f.sets)
	if keys["num_cat"] != "" && keys["num_cat"] != "0" {
		if err := f.categories(keys["cat_boundaries"], keys["cat_threshold"]); err != nil {
			return err
		}
	}
	for i := range len(leaves) - 1 {
		n := node{threshold: columns[1][i], flags: lightGBMFlags(int(columns[2][i]))}
		if n.flags&categoryNode != 0 {
			n.threshold += float64(first)
		}
		input, left, right := columns[0][i], columns[3][i], columns[4][i]
		if !(input >= 0 && input < MaxInputs) || !(math.Abs(left) < MaxNodes) || !(math.Abs(right) < MaxNodes) {
			return bad("split %d is damaged", i)
		}
		n.input, n.left, n.right = uint16(input), int32(left), int32(right)
		t.nodes = append(t.nodes, n)
	}
	return f.add(t)
}

// categories reads sets of categories: words of bits, and where each set begins.
func (f *forest) categories(boundaries, words string) error {
	at, err := floats(boundaries)
	bits, err2 := floats(words)
	if err != nil || err2 != nil || len(at) < 2 {
		return bad("cat_boundaries or cat_threshold is damaged")
	}
	for i := range len(at) - 1 {
		if !(at[i] >= 0 && at[i+1] >= at[i] && at[i+1] <= float64(len(bits))) {
			return bad("cat_boundaries are damaged")
		}
		var set []uint32
		for _, w := range bits[int(at[i]):int(at[i+1])] {
			set = append(set, uint32(int64(w)))
		}
		f.sets = append(f.sets, set)
	}
	return nil
}

func floats(s string) ([]float64, error) {
	var out []float64
	for w := range strings.FieldsSeq(s) {
		v, err := strconv.ParseFloat(w, 64)
		if err != nil {
			return nil, err
		}
		out = append(out, v)
	}
	return out, nil
}

// lightGBMDump is what dump_model gives.
type lightGBMDump struct {
	PerIteration int      `json:"num_tree_per_iteration"`
	Objective    string   `json:"objective"`
	Average      bool     `json:"average_output"`
	Names        []string `json:"feature_names"`
	Trees        []struct {
		Structure lightGBMNode `json:"tree_structure"`
	} `json:"tree_info"`
}

type lightGBMNode struct {
	Input     *int            `json:"split_feature"`
	Threshold json.RawMessage `json:"threshold"`
	Decision  string          `json:"decision_type"`
	Default   bool            `json:"default_left"`
	Missing   string          `json:"missing_type"`
	Left      *lightGBMNode   `json:"left_child"`
	Right     *lightGBMNode   `json:"right_child"`
	Value     *float64        `json:"leaf_value"`
	Count     float64         `json:"leaf_count"`
	Linear    json.RawMessage `json:"leaf_coeff"`
}

func loadLightGBMDump(file []byte) (*Model, error) {
	var d lightGBMDump
	if err := json.Unmarshal(file, &d); err != nil {
		return nil, bad("%v", err)
	}
	m, err := newLightGBM(d.Objective, d.Names, d.PerIteration, len(d.Trees), d.Average)
	if err != nil {
		return nil, err
	}
	for i := range d.Trees {
		t := &tree{}
		root, err := m.forest.lightGBMNode(t, &d.Trees[i].Structure)
		if err != nil {
			return nil, bad("tree %d: %v", i, err)
		}
		t.root = root
		if err := m.forest.add(t); err != nil {
			return nil, err
		}
	}
	return m, nil
}

// lightGBMNode appends a node and all below it. encoding/json bounds how deep they nest.
func (f *forest) lightGBMNode(t *tree, d *lightGBMNode) (int32, error) {
	if d.Input == nil {
		if d.Value == nil || d.Linear != nil {
			return 0, bad("a leaf has no value, or a linear model")
		}
		t.leaves, t.weight = append(t.leaves, *d.Value), append(t.weight, d.Count)
		return ^int32(len(t.leaves) - 1), nil
	}
	if d.Left == nil || d.Right == nil || *d.Input < 0 || *d.Input >= MaxInputs {
		return 0, bad("a split is damaged")
	}
	n := node{input: uint16(*d.Input)}
	if d.Default {
		n.flags |= missingLeft
	}
	switch d.Missing {
	case "Zero":
		n.flags |= missingZero
	case "NaN":
		n.flags |= missingNaN
	}
	switch d.Decision {
	case "<=":
		if err := json.Unmarshal(d.Threshold, &n.threshold); err != nil {
			return 0, bad("a threshold is %s", d.Threshold)
		}
	case "==":
		set, err := categorySet(d.Threshold)
		if err != nil {
			return 0, err
		}
		n.flags |= categoryNode
		n.threshold = float64(len(f.sets))
		f.sets = append(f.sets, set)
	default:
		return 0, bad("a split decides by %q", d.Decision)
	}
	at := int32(len(t.nodes))
	t.nodes = append(t.nodes, n)
	left, err := f.lightGBMNode(t, d.Left)
	if err != nil {
		return 0, err
	}
	right, err := f.lightGBMNode(t, d.Right)
	if err != nil {
		return 0, err
	}
	t.nodes[at].left, t.nodes[at].right = left, right
	return at, nil
}

// categorySet reads "1||4||7".
func categorySet(raw json.RawMessage) ([]uint32, error) {
	var text string
	if err := json.Unmarshal(raw, &text); err != nil {
		return nil, bad("categories are %s", raw)
	}
	var set []uint32
	for w := range strings.SplitSeq(text, "||") {
		i, err := strconv.Atoi(w)
		if err != nil || i < 0 || i > 1<<20 {
			return nil, bad("a category is %q", w)
		}
		for len(set) <= i/32 {
			set = append(set, 0)
		}
		set[i/32] |= 1 << (i % 32)
	}
	return set, nil
}
