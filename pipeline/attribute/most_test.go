package attribute

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"dashi/pipeline/event"
)

// No state becomes longer than MaxBytes, and it is not far from what the longest becomes.
func TestMaxBytes(t *testing.T) {
	scope := &SessionSpec{Gap: minute, Longest: 5 * minute}
	steps := []StepSpec{{}, {Within: hour}}
	for _, spec := range []Spec{
		{Kind: "set", Limit: 20}, {Kind: "tally", Limit: 20}, {Kind: "list", Limit: 20}, {Kind: "list", Limit: 20, Unique: true},
		{Kind: "distinct", Precision: 8}, {Kind: "last", Of: String}, {Kind: "first", Of: String},
		{Kind: "count", Window: "2h", Bucket: "15m"}, {Kind: "sum", Window: "2h", Bucket: "15m"}, {Kind: "avg", Window: "2h", Bucket: "15m"}, {Kind: "count", Window: "this day"},
		{Kind: "max", Window: "2h", Bucket: "15m"}, {Kind: "min", Window: "3d"}, {Kind: "distinct", Window: "2h", Limit: 20}, {Kind: "tally", Window: "2h", Limit: 20},
		{Kind: "session_start", Session: scope}, {Kind: "session_count", Session: scope, Window: "2h"},
		{Kind: "list", Session: scope, Limit: 3}, {Kind: "tally", Session: scope, Limit: 3}, {Kind: "last", Of: String, Session: scope}, {Kind: "count", Session: scope},
		{Kind: "place", Places: &PlaceSpec{IDs: []string{"a", "b"}, Timeout: minute}}, {Kind: "sequence", Limit: 20, Sequence: &SequenceSpec{Steps: steps, Keyed: true}},
		{Kind: "sequence", Limit: 20, Sequence: &SequenceSpec{Steps: steps}}, {Kind: "last_at", Nth: 4}, {Kind: "flag"},
	} {
		t.Run(fmt.Sprintf("%+v", spec), func(t *testing.T) {
			k, err := New(spec)
			if err != nil {
				t.Fatal(err)
			}
			random := rand.New(rand.NewPCG(7, 9))
			most, longest := MaxBytes(k), 0
			var states [2]struct{ fixed, seg []byte }
			for i := range states {
				states[i].fixed = make([]byte, k.FixedSize())
			}
			at := int64(1_700_000_000_000)
			for range 6000 {
				at += random.Int64N(2 * minute)
				length := []int{1, MaxSequenceKey, MaxElement, MaxString}[random.IntN(4)]
				in := Input{Value: event.Value{Kind: event.String, Str: append(bytes.Repeat([]byte("x"), length-1), byte(random.IntN(256)))}, By: 1, Time: at - random.Int64N(30*minute), Now: at, Step: uint8(random.IntN(2))}
				in.Value.Str[0] = byte(random.IntN(256))
				if spec.Kind == "sum" || spec.Kind == "avg" || spec.Kind == "min" || spec.Kind == "max" {
					in.Value = event.Value{Kind: event.Number, Bits: 0x4000000000000000 + uint64(random.IntN(1000))}
				}
				s := &states[random.IntN(2)]
				s.seg = slices.Clone(k.Update(s.fixed, s.seg, &in, nil))
				longest = max(longest, len(s.fixed)+len(s.seg))
				if random.IntN(50) == 0 {
					s.seg = slices.Clone(k.Merge(s.fixed, s.seg, states[0].fixed, states[0].seg, nil))
					longest = max(longest, len(s.fixed)+len(s.seg))
				}
			}
			peak := spec.Kind == "max" || spec.Kind == "min" // rows of a state are falling
			if longest > most || k.HasSegment() && spec.Session == nil && !peak && longest < most/8 {
				t.Errorf("the longest has %d bytes, said are at most %d", longest, most)
			}
		})
	}
}
