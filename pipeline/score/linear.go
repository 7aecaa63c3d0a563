package score

import (
	"bytes"
	"encoding/json"
	"math"
	"slices"
)

// linear is a logistic regression on standardised inputs.
type linear struct {
	intercept float64
	terms     []term
}

// term is one weighted number: an input, or whether an input is a certain word.
type term struct {
	input  int
	word   float64 // the word's number; 0: the input itself
	log    bool    // log(1+v) in place of v
	mean   float64
	scale  float64 // standard deviation
	weight float64
}

// value is the standardised number; 0, the mean, when the input is missing.
func (t *term) value(x []float64) float64 {
	v := x[t.input]
	switch {
	case t.word > 0:
		is := 0.0
		if v == t.word {
			is = 1
		}
		v = is
	case math.IsNaN(v):
		return 0
	case t.log:
		v = log1p(max(v, 0))
	}
	return (v - t.mean) / t.scale
}

func (l *linear) sum(x []float64) float64 {
	sum := l.intercept
	for i := range l.terms {
		t := &l.terms[i]
		sum += float64(t.weight * t.value(x))
	}
	return sum
}

func (l *linear) factors(dst, x []float64) (base float64) {
	for i := range l.terms {
		t := &l.terms[i]
		dst[t.input] += float64(t.weight * t.value(x))
	}
	return l.intercept
}

// logisticFile is the form of a model that Train makes. FORMAT.md describes it.
type logisticFile struct {
	Format    string         `json:"format"` // "dashi logistic 1"
	Trained   *TrainReport   `json:"trained,omitempty"`
	Intercept *float64       `json:"intercept"`
	Inputs    []logisticTerm `json:"terms"`
}

type logisticTerm struct {
	Input  string  `json:"input"`
	Word   *string `json:"word,omitempty"`
	Log    bool    `json:"log1p,omitempty"`
	Mean   float64 `json:"mean"`
	Scale  float64 `json:"scale"`
	Weight float64 `json:"weight"`
}

const logisticFormat = "dashi logistic 1"

func loadLogistic(file []byte) (*Model, error) {
	var f logisticFile
	d := json.NewDecoder(bytes.NewReader(file))
	d.DisallowUnknownFields()
	if err := d.Decode(&f); err != nil {
		return nil, bad("%v", err)
	}
	if f.Format != logisticFormat || f.Intercept == nil {
		return nil, bad("its format is %q; wanted: %q", f.Format, logisticFormat)
	}
	m := &Model{format: "logistic", output: asLogistic, linear: &linear{intercept: *f.Intercept}}
	for _, t := range f.Inputs {
		at := slices.IndexFunc(m.inputs, func(in Input) bool { return in.Name == t.Input })
		if at < 0 {
			at = len(m.inputs)
			m.inputs = append(m.inputs, Input{Name: t.Input})
		}
		if !(t.Scale > 0) || t.Word != nil && t.Log {
			return nil, bad("the term of %q has scale %v", t.Input, t.Scale)
		}
		term := term{input: at, log: t.Log, mean: t.Mean, scale: t.Scale, weight: t.Weight}
		if t.Word != nil {
			in := &m.inputs[at]
			if slices.Contains(in.Words, *t.Word) {
				return nil, bad("word %q of %q stands twice", *t.Word, t.Input)
			}
			in.Words = append(in.Words, *t.Word)
			term.word = float64(len(in.Words))
		}
		m.linear.terms = append(m.linear.terms, term)
	}
	for _, t := range m.linear.terms {
		if (t.word > 0) != (m.inputs[t.input].Words != nil) {
			return nil, bad("input %q is a number here and a word there", m.inputs[t.input].Name)
		}
	}
	return m, nil
}

// WordValue is the value of a text for an input with words.
func (in *Input) WordValue(text []byte) float64 {
	for i, w := range in.Words {
		if w == string(text) {
			return float64(i + 1)
		}
	}
	return 0
}
