package recipe

import (
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/cespare/xxhash/v2"
	"go.yaml.in/yaml/v3"

	"dashi/pipeline/attribute"
	"dashi/pipeline/event"
	"dashi/pipeline/expr"
	"dashi/pipeline/score"
)

// A score is a derived attribute that a model computes.

// maxScoreInputs bounds the numbers that are gathered on the stack for one score.
const maxScoreInputs = 128

// scoreInput is one input of a model, and the expression that gives it.
type scoreInput struct {
	node  *yaml.Node
	text  string
	words *score.Input // for a text: the words that it may be
	x     *expr.Expr
}

// model finds and loads the model of an attribute.
func (c *compiler) model(e *entry) (*score.Model, []byte) {
	n := value(e.node, "model")
	if !isModel(n.Value) {
		c.report(e.doc, n, "the model "+quote(n.Value)+" ends neither in .json nor in .txt", "LightGBM writes .txt or .json, XGBoost and dashi train .json")
		return nil, nil
	}
	text, good := c.data(e, n, "model")
	if !good {
		return nil, nil
	}
	m, err := score.Load(text)
	if err != nil {
		c.report(e.doc, n, "the model "+quote(n.Value)+" cannot be used: "+err.Error(), "")
		return nil, nil
	}
	if len(m.Inputs()) > maxScoreInputs {
		c.report(e.doc, n, "the model "+quote(n.Value)+" has "+strconv.Itoa(len(m.Inputs()))+" inputs; at most "+strconv.Itoa(maxScoreInputs), "")
		return nil, nil
	}
	return m, text
}

// scoreInputs finds the expression of each input: what the recipe says, or the attribute of the same name.
func (c *compiler) scoreInputs(e *entry, m *score.Model) []scoreInput {
	said := value(e.node, "inputs")
	var names []string
	list := make([]scoreInput, len(m.Inputs()))
	for i := range m.Inputs() {
		in := &m.Inputs()[i]
		names = append(names, in.Name)
		if in.Words != nil {
			list[i].words = in
		}
		if n := value(said, in.Name); n != nil {
			list[i].node, list[i].text = n, n.Value
		} else if s := c.names[in.Name]; s != nil && s.what == "attribute" && in.Name != e.name {
			n := *value(e.node, "model") // messages about it point there
			n.Value = in.Name
			list[i].node, list[i].text = &n, in.Name
		} else {
			c.report(e.doc, e.key, "nothing says what the input "+quote(in.Name)+" of the model is", "write `inputs: {"+strconv.Quote(in.Name)+": EXPRESSION}`, or have an attribute of that name")
		}
	}
	if said != nil {
		for i := 0; i+1 < len(said.Content); i += 2 {
			if k := said.Content[i]; !slices.Contains(names, k.Value) {
				c.report(e.doc, k, "the model has no input "+quote(k.Value), didYouMean(k.Value, names))
			}
		}
	}
	return list
}

// score compiles an attribute that a model computes. What its inputs read has been compiled.
func (c *compiler) score(i int, e *entry, m *score.Model, text []byte, inputs []scoreInput) bool {
	a := &c.program.Attributes[i]
	ref := expr.AttributeRef{Index: i, Type: attribute.Number}
	h := xxhash.New()
	h.WriteString("1 score " + strconv.FormatUint(xxhash.Sum64(text), 16))
	var all []*expr.Expr
	for k := range inputs {
		in := &inputs[k]
		what := "input " + quote(m.Inputs()[k].Name) + " of " + quote(e.name)
		in.x = c.compile(e.doc, in.node, what, where{attributes: true, clock: true}, expr.AnyType)
		if in.x == nil || !c.fitsInput(e, in, what) {
			return false
		}
		all = append(all, in.x)
		ref.Reads = union(ref.Reads, in.x.Attributes)
		ref.UsesNow, ref.Personal = ref.UsesNow || in.x.UsesNow, ref.Personal || in.x.Personal
		h.WriteString(strconv.Quote(strings.TrimSpace(in.text)))
		for _, name := range c.reads(in.text) {
			h.WriteString(strconv.FormatUint(c.program.Attributes[indexOf(c.attributes, name)].Definition, 16) + ";")
		}
	}
	ref.Clock = expr.Together(all)
	ref.Num = scoreOf(m, inputs)
	a.Type, a.Num, a.Reads, a.Clock, a.Definition = ref.Type, ref.Num, ref.Reads, ref.Clock, h.Sum64()
	a.Score, a.Scored = newScore(m, inputs), true
	c.scope.Attributes[a.Name] = ref
	return true
}

// fitsInput says whether an expression gives what the input wants, and changes with time only at instants that are known.
func (c *compiler) fitsInput(e *entry, in *scoreInput, what string) bool {
	if in.x.Unscheduled != nil {
		c.reportExpression(e.doc, in.node, what, &reader{}, in.x.Unscheduled)
		return false
	}
	switch {
	case in.words != nil && in.x.Type != expr.StringType:
		c.report(e.doc, in.node, "the "+what+" is a "+in.x.Type.String()+"; wanted: a string, one of "+strings.Join(in.words.Words, ", "), "")
	case in.words == nil && in.x.Type != expr.NumberType && in.x.Type != expr.BoolType:
		c.report(e.doc, in.node, "the "+what+" is a "+in.x.Type.String()+"; wanted: a number or a condition", "")
	default:
		return true
	}
	return false
}

func union(a, b []int) []int {
	for _, v := range b {
		if !slices.Contains(a, v) {
			a = append(a, v)
		}
	}
	slices.Sort(a)
	return a
}

// Score explains a score.
type Score struct {
	Model  *score.Model
	inputs []scoreInput
}

func newScore(m *score.Model, inputs []scoreInput) *Score { return &Score{m, inputs} }

// Input is the value of input i of the model for the profile in env; Absent where there is none. A text is good until env is used again.
func (s *Score) Input(i int, env *expr.Env) event.Value { return s.inputs[i].x.Any(env) }

// gather fills x with the inputs for the profile in env: NaN for what is not there.
func gather(x []float64, inputs []scoreInput, env *expr.Env) {
	for i := range inputs {
		x[i] = inputs[i].value(env)
	}
}

func (in *scoreInput) value(env *expr.Env) float64 {
	switch v := in.x.Any(env); v.Kind {
	case event.Number:
		return math.Float64frombits(v.Bits)
	case event.Bool:
		return float64(v.Bits)
	case event.String:
		return in.words.WordValue(v.Str)
	}
	if in.words != nil {
		return 0 // no word
	}
	return math.NaN()
}

// scoreOf evaluates the model for a profile. There is always a score: the model says what a missing input means.
func scoreOf(m *score.Model, inputs []scoreInput) expr.Num {
	return func(env *expr.Env) (float64, bool) {
		var x [maxScoreInputs]float64
		gather(x[:len(inputs)], inputs, env)
		v := m.Score(x[:len(inputs)])
		return v, v-v == 0
	}
}

// Factors are what each input adds to the score of the profile in env, and the sum without any: see score.Model.
func (s *Score) Factors(dst []float64, env *expr.Env) (factors []float64, base float64) {
	var x [maxScoreInputs]float64
	gather(x[:len(s.inputs)], s.inputs, env)
	return s.Model.Factors(dst, x[:len(s.inputs)])
}
