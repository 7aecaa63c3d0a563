package attribute

import (
	"fmt"
	"testing"
)

// BenchmarkWindow is what an affected attribute costs a shard: the value before, the update, the value after and the next
// change, for a profile that is active in every bucket, most inputs falling into the newest.
func BenchmarkWindow(b *testing.B) {
	for _, spec := range []Spec{{Kind: "count", Window: "24h"}, {Kind: "count", Window: "30d"}, {Kind: "count", Window: "365d"}, {Kind: "count", Window: "3mo", Zone: berlin},
		{Kind: "count", Window: "this month", Zone: berlin}, {Kind: "sum", Window: "30d"}, {Kind: "avg", Window: "30d"}, {Kind: "max", Of: Number, Window: "30d"},
		{Kind: "distinct", Window: "30d"}, {Kind: "tally", Window: "7d", Bucket: "1d"}} {
		k := mustNew(b, spec).(Timed)
		b.Run(fmt.Sprintf("kind=%s/window=%s", spec.Kind, spec.Window), func(b *testing.B) { benchTimed(b, k) })
	}
}

// benchTimed goes through inputs of a year, ten a day of twenty different values, as often as it takes; the state is that
// of the last 400 days whenever it is touched.
func benchTimed(b *testing.B, k Timed) {
	ins := make([]Input, 3650)
	for i := range ins {
		ins[i] = Input{By: 1, Time: noon + int64(i)*dayMs/10, Value: number(float64(mix(uint64(i)) % 20))}
		if n := k.Name(); n == "tally" || n == "distinct" {
			ins[i].Value = text(fmt.Sprint("sku-00", mix(uint64(i))%20))
		}
	}
	benchInputs(b, k, ins)
}

// benchInputs does what a shard does with each input; behind the last one it begins anew.
func benchInputs(b *testing.B, k Kind, ins []Input) {
	s := newState(k)
	scratch := make([]byte, 0, 1<<16)
	buf := make([]byte, 0, 1<<16)
	timed, _ := k.(Timed)
	i := 0
	b.ReportAllocs()
	for b.Loop() {
		in := &ins[i]
		if timed == nil {
			k.Num(s.fixed, s.seg, in.Time) // to see whether it changes
		}
		if out := k.Update(s.fixed, s.seg, in, scratch); len(out) != len(s.seg) || len(out) > 0 && &out[0] != &s.seg[0] {
			buf = append(buf[:0], out...) // as a record takes it over
			s.seg = buf
		}
		k.Num(s.fixed, s.seg, in.Time)
		if timed != nil {
			timed.NextChange(s.fixed, s.seg, in.Time)
		}
		if i++; i == len(ins) {
			i, s.seg = 0, s.seg[:0]
			clear(s.fixed)
		}
	}
}

// BenchmarkSession: the same for what is bounded to a session; an input every two minutes, 20 in a session.
func BenchmarkSession(b *testing.B) {
	for _, spec := range []Spec{{Kind: "in_session", Session: &SessionSpec{}}, {Kind: "session_count", Window: "30d", Session: &SessionSpec{}},
		{Kind: "count", Session: &SessionSpec{}}, {Kind: "sum", Session: &SessionSpec{}}, {Kind: "last", Of: Number, Session: &SessionSpec{}}, {Kind: "tally", Session: &SessionSpec{}}} {
		k := mustNew(b, spec)
		ins := make([]Input, 4000)
		for i := range ins {
			ins[i] = Input{By: 1, Time: noon + int64(i/20)*8*hour + int64(i%20)*2*minute, Value: number(float64(i))}
			if spec.Kind == "tally" {
				ins[i].Value = text(fmt.Sprint("sku-00", mix(uint64(i))%5))
			}
		}
		b.Run("kind="+spec.Kind, func(b *testing.B) { benchInputs(b, k, ins) })
	}
}

// BenchmarkSequence: the carts and orders of a person who puts a product into the cart every two hours and orders every
// fourth; the latest occurrences are kept.
func BenchmarkSequence(b *testing.B) {
	for _, limit := range []int{20, 200} {
		for _, show := range []string{"count", "complete_keys"} {
			k := mustNew(b, Spec{Kind: "sequence", Limit: limit, Sequence: &SequenceSpec{Steps: []StepSpec{{}, {Not: true, Within: hour}}, Keyed: true, Show: show}})
			ins := make([]Input, 4000)
			for i := range ins {
				ins[i] = Input{By: 1, Time: noon + int64(i)*2*hour, Value: text(fmt.Sprint("sku-00", mix(uint64(i/2))%50))}
				if i%8 == 7 {
					ins[i].Step, ins[i].Time = 1, ins[i-1].Time+hour/2
				}
			}
			b.Run(fmt.Sprintf("occurrences=%d/show=%s", limit, show), func(b *testing.B) { benchInputs(b, k, ins) })
		}
	}
}
