package score

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"math"
	"slices"
)

// TrainSettings say how Train learns. The zero value is good.
type TrainSettings struct {
	// L2 is the strength of the penalty on squared weights of standardised inputs: 0 is 1.
	L2 float64
	// Held is the share of rows that are kept aside to test the model, chosen by a hash of their number; 0: none.
	Held float64
}

// TrainReport says how good the model is.
type TrainReport struct {
	Rows      int     `json:"rows"`
	Positives int     `json:"positives"`
	Rounds    int     `json:"rounds"`
	HeldRows  int     `json:"held_rows"`
	AUC       float64 `json:"held_auc"`      // area under the curve of the rows that were held out
	LogLoss   float64 `json:"held_log_loss"` // their mean logarithmic loss, in nats
}

// Column is one input of the rows that Train learns from: numbers, with NaN for missing, or words, with "" for missing.
type Column struct {
	Name    string
	Numbers []float64
	Words   []string
}

// Bounds of Train.
const (
	MostCells  = 200_000_000 // rows times terms: 1.6 GB
	MostTerms  = 500
	MostWords  = 50 // of one input that get a term of their own: the most frequent
	mostRounds = 50
)

// Train fits a logistic regression with an L2 penalty by iteratively reweighted least squares. Inputs are standardised; numbers
// that are never negative and very skewed count by their logarithm. The same input gives the same bytes (I5).
func Train(columns []Column, labels []bool, s TrainSettings) (file []byte, report *TrainReport, err error) {
	if s.L2 == 0 {
		s.L2 = 1
	}
	t := &trainer{labels: labels, held: make([]bool, len(labels))}
	for i := range t.held {
		t.held[i] = s.Held > 0 && float64(mix(uint64(i)+1)>>11)/(1<<53) < s.Held
	}
	for i := range columns {
		t.column(&columns[i])
	}
	if err := t.check(); err != nil {
		return nil, nil, err
	}
	rounds, err := t.fit(s.L2)
	if err != nil {
		return nil, nil, err
	}
	f := logisticFile{Format: logisticFormat, Intercept: &t.weights[0]}
	for i := range t.terms {
		t.terms[i].Weight = t.weights[i+1]
	}
	f.Inputs = t.terms
	f.Trained = t.test(rounds)
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", " ")
	if err := e.Encode(&f); err != nil {
		return nil, nil, err
	}
	return b.Bytes(), f.Trained, nil
}

func mix(z uint64) uint64 {
	z *= 0x9e3779b97f4a7c15
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

type trainer struct {
	labels  []bool
	held    []bool
	terms   []logisticTerm
	values  [][]float64 // by term: standardised
	weights []float64   // the intercept, and by term
}

// column makes the terms of one column.
func (t *trainer) column(c *Column) {
	if c.Words == nil {
		t.term(logisticTerm{Input: c.Name, Log: t.skewed(c.Numbers)}, func(row int) float64 { return c.Numbers[row] })
		return
	}
	count := map[string]int{}
	var words []string
	for row, w := range c.Words {
		if !t.held[row] && w != "" {
			if count[w]++; count[w] == 1 {
				words = append(words, w)
			}
		}
	}
	slices.SortFunc(words, func(a, b string) int { return cmp.Or(cmp.Compare(count[b], count[a]), cmp.Compare(a, b)) })
	words = words[:min(len(words), MostWords)]
	slices.Sort(words)
	for _, w := range words {
		t.term(logisticTerm{Input: c.Name, Word: &w}, func(row int) float64 {
			if c.Words[row] == w {
				return 1
			}
			return 0
		})
	}
}

// skewed says whether the numbers are never negative and far from even around their mean.
func (t *trainer) skewed(numbers []float64) bool {
	n, mean := 0.0, 0.0
	for row, v := range numbers {
		if t.held[row] || math.IsNaN(v) {
			continue
		}
		if v < 0 {
			return false
		}
		n++
		mean += v
	}
	mean /= max(n, 1)
	second, third := 0.0, 0.0
	for row, v := range numbers {
		if !t.held[row] && !math.IsNaN(v) {
			d := v - mean
			second += float64(d * d)
			third += float64(float64(d*d) * d)
		}
	}
	deviation := math.Sqrt(second / max(n, 1))
	return deviation > 0 && third/max(n, 1) > 2*float64(float64(deviation*deviation)*deviation)
}

// term standardises one number and keeps it, unless it never changes.
func (t *trainer) term(spec logisticTerm, of func(row int) float64) {
	values := make([]float64, len(t.labels))
	n, mean := 0.0, 0.0
	for row := range values {
		v := of(row)
		if spec.Log && !math.IsNaN(v) {
			v = log1p(max(v, 0))
		}
		values[row] = v
		if !t.held[row] && !math.IsNaN(v) {
			n++
			mean += v
		}
	}
	mean /= max(n, 1)
	second := 0.0
	for row, v := range values {
		if !t.held[row] && !math.IsNaN(v) {
			second += float64((v - mean) * (v - mean))
		}
	}
	spec.Mean, spec.Scale = mean, math.Sqrt(second/max(n, 1))
	if !(spec.Scale > 1e-12) || len(t.terms) == MostTerms {
		return
	}
	for row, v := range values {
		if values[row] = (v - spec.Mean) / spec.Scale; math.IsNaN(v) {
			values[row] = 0
		}
	}
	t.terms, t.values = append(t.terms, spec), append(t.values, values)
}

func (t *trainer) check() error {
	yes, no := 0, 0
	for row, l := range t.labels {
		switch {
		case t.held[row]:
		case l:
			yes++
		default:
			no++
		}
	}
	switch {
	case yes == 0 || no == 0:
		return fmt.Errorf("of the rows that are not held out, %d say yes and %d no, and a model needs both: give it more rows, or hold out fewer", yes, no)
	case len(t.terms) == 0:
		return bad("no input changes from row to row")
	case len(t.terms)*len(t.labels) > MostCells:
		return bad("%d rows with %d terms; at most %d cells", len(t.labels), len(t.terms), MostCells)
	}
	return nil
}

// test measures the model on the rows that were held out.
func (t *trainer) test(rounds int) *TrainReport {
	r := &TrainReport{Rounds: rounds}
	type scored struct {
		p   float64
		yes bool
	}
	var list []scored
	for row, yes := range t.labels {
		if !t.held[row] {
			r.Rows++
			if yes {
				r.Positives++
			}
			continue
		}
		p := logistic(t.sum(row))
		list = append(list, scored{p, yes})
		if !yes {
			p = 1 - p
		}
		r.LogLoss -= log(max(p, 1e-300))
	}
	if r.HeldRows = len(list); r.HeldRows == 0 {
		return r
	}
	r.LogLoss /= float64(r.HeldRows)
	slices.SortStableFunc(list, func(a, b scored) int { return cmp.Compare(a.p, b.p) })
	p, yes := make([]float64, len(list)), make([]bool, len(list))
	for i, x := range list {
		p[i], yes[i] = x.p, x.yes
	}
	r.AUC = areaUnderCurve(p, yes)
	return r
}

// areaUnderCurve is the chance that a yes has a higher score than a no, ties counting half. The scores are sorted.
func areaUnderCurve(p []float64, yes []bool) float64 {
	wins, noBelow, yesTotal := 0.0, 0.0, 0.0
	for i := 0; i < len(p); {
		yesHere, noHere := 0.0, 0.0
		for begin := i; i < len(p) && p[i] == p[begin]; i++ {
			if yes[i] {
				yesHere++
			} else {
				noHere++
			}
		}
		wins += float64(yesHere * (noBelow + noHere/2))
		noBelow += noHere
		yesTotal += yesHere
	}
	if yesTotal == 0 || noBelow == 0 {
		return math.NaN()
	}
	return wins / float64(yesTotal*noBelow)
}

func (t *trainer) sum(row int) float64 {
	sum := t.weights[0]
	for i := range t.values {
		sum += float64(t.weights[i+1] * t.values[i][row])
	}
	return sum
}
