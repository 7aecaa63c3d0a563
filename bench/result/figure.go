package result

import (
	"encoding/json"
	"fmt"
	"maps"
	"strconv"
	"strings"
	"time"
)

// Target is what a figure should be.
type Target struct {
	AtMost bool // the value is the most that is allowed, otherwise the least
	Value  float64
}

// AtMost is the target of what should be small.
func AtMost(v float64) *Target { return &Target{AtMost: true, Value: v} }

// AtLeast is the target of what should be large.
func AtLeast(v float64) *Target { return &Target{Value: v} }

// Met says whether a value is as it should be; NaN never is.
func (t *Target) Met(v float64) bool {
	if t.AtMost {
		return v <= t.Value
	}
	return v >= t.Value
}

func (t *Target) sign() string {
	if t.AtMost {
		return "<= "
	}
	return ">= "
}

// MarshalJSON writes ">= 300000".
func (t *Target) MarshalJSON() ([]byte, error) {
	return []byte(`"` + t.sign() + strconv.FormatFloat(t.Value, 'f', -1, 64) + `"`), nil
}

// UnmarshalJSON reads what MarshalJSON writes.
func (t *Target) UnmarshalJSON(b []byte) error {
	var s string
	if err := json.Unmarshal(b, &s); err != nil {
		return err
	}
	sign, number, ok := strings.Cut(s, " ")
	v, err := strconv.ParseFloat(number, 64)
	if !ok || err != nil || sign != "<=" && sign != ">=" {
		return fmt.Errorf("cannot read target %q: want <= or >=, a space, a number", s)
	}
	*t = Target{AtMost: sign == "<=", Value: v}
	return nil
}

// Settings say under what circumstances a figure came about: sizes, rates, the runs that it is the median of.
type Settings map[string]any

// With is a copy with more of them.
func (s Settings) With(more Settings) Settings {
	all := maps.Clone(s)
	maps.Copy(all, more)
	return all
}

// Figure is one thing measured. A workload fills the fields from Metric to Settings, the Log the others.
type Figure struct {
	Time     time.Time `json:"time"`
	Commit   string    `json:"commit"`
	Machine  Machine   `json:"machine"`
	Quick    bool      `json:"quick,omitempty"`
	Workload string    `json:"workload"`
	Metric   string    `json:"metric"`
	Value    float64   `json:"value"`
	Unit     string    `json:"unit"`
	Target   *Target   `json:"target"`
	Met      *bool     `json:"met"`
	Settings Settings  `json:"settings"`
}

// verdict is the word of the table.
func (f *Figure) verdict() string {
	switch {
	case f.Target == nil:
		return ""
	case f.Target.Met(f.Value):
		return "met"
	default:
		return "NOT MET"
	}
}
