package score

import (
	"bytes"
	"errors"
	"fmt"
	"math"
)

// Model is a loaded model. It is immutable.
type Model struct {
	format string
	inputs []Input
	linear *linear // one of the two
	forest *forest
	output output
}

// Input is one value that a model wants.
type Input struct {
	Name string
	// Words are for an input that is a text: the words that it knows. Its value is 1 + the index of the word; 0 for any other.
	Words []string
}

// output turns the sum of a model into a score.
type output uint8

const (
	asIs       output = iota
	asLogistic        // a probability
	asExp             // a count or an amount
	asSquare          // LightGBM's regression of a square root
)

// Bounds of a model file. Beyond them it is refused.
const (
	MaxBytes  = 32 << 20
	MaxTrees  = 10_000
	MaxNodes  = 1 << 20 // splits of all trees
	MaxInputs = 1000
)

// ErrModel is what Load wraps.
var ErrModel = errors.New("not a model that can be evaluated")

func bad(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrModel, fmt.Sprintf(format, args...))
}

// Load reads a model: one that Train made, LightGBM's text file or JSON dump, XGBoost's JSON model or JSON dump of trees.
func Load(file []byte) (*Model, error) {
	if len(file) > MaxBytes {
		return nil, bad("%d bytes; at most %d", len(file), MaxBytes)
	}
	trimmed := bytes.TrimSpace(file)
	var m *Model
	var err error
	switch {
	case bytes.HasPrefix(trimmed, []byte("tree\n")), bytes.HasPrefix(trimmed, []byte("tree\r\n")):
		m, err = loadLightGBMText(trimmed)
	case bytes.HasPrefix(trimmed, []byte("[")):
		m, err = loadXGBoostDump(trimmed)
	case bytes.HasPrefix(trimmed, []byte("{")):
		m, err = loadObject(trimmed)
	default:
		return nil, bad("neither JSON nor a LightGBM text file")
	}
	if err != nil {
		return nil, err
	}
	if len(m.inputs) > MaxInputs {
		return nil, bad("%d inputs; at most %d", len(m.inputs), MaxInputs)
	}
	if m.forest != nil {
		if err := m.forest.check(len(m.inputs)); err != nil {
			return nil, err
		}
	}
	return m, nil
}

// Inputs are what Score wants, in order.
func (m *Model) Inputs() []Input { return m.inputs }

// Format says what made the model: "logistic", "lightgbm" or "xgboost".
func (m *Model) Format() string { return m.format }

// Probability says whether a score is one: between 0 and 1.
func (m *Model) Probability() bool { return m.output == asLogistic }

// Unit says what the sum behind a score is in, and so what Factors are: "log-odds" of a probability, "log" or "square root" of an amount, or
// "score", the score itself.
func (m *Model) Unit() string {
	return [...]string{asIs: "score", asLogistic: "log-odds", asExp: "log", asSquare: "square root"}[m.output]
}

// Score evaluates the model. x has a value for each input, NaN for one that is not there. x is neither kept nor changed.
func (m *Model) Score(x []float64) float64 { return m.output.apply(m.raw(x)) }

func (m *Model) raw(x []float64) float64 {
	if m.linear != nil {
		return m.linear.sum(x)
	}
	return m.forest.sum(x)
}

func (o output) apply(v float64) float64 {
	switch o {
	case asLogistic:
		return logistic(v)
	case asExp:
		return exp(v)
	case asSquare:
		return math.Copysign(float64(v*v), v)
	}
	return v
}

// Factors appends to dst what each input added to the sum behind the score, in the order of the inputs, and returns the sum
// without any: their total is the sum, to rounding. For a probability the unit is the logarithm of the odds. Of trees it is
// the change of a node's mean at each split on the way (Saabas 2014).
func (m *Model) Factors(dst []float64, x []float64) (factors []float64, base float64) {
	start := len(dst)
	for range m.inputs {
		dst = append(dst, 0)
	}
	if m.linear != nil {
		return dst, m.linear.factors(dst[start:], x)
	}
	return dst, m.forest.factors(dst[start:], x)
}
