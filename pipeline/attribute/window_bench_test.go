package attribute

import (
	"fmt"
	"syscall"
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
	before := processor()
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
	b.ReportMetric(float64(processor()-before)/float64(b.N), "cpu-ns/op")
}

// processor is the time that the process had of the processors: on a machine that others share, wall time says little.
func processor() int64 {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return u.Utime.Nano() + u.Stime.Nano()
}

// BenchmarkSession: the same for what is bounded to a session; 20 inputs within 40 minutes, once a day.
func BenchmarkSession(b *testing.B) {
	for _, spec := range []Spec{{Kind: "in_session", Session: &SessionSpec{}}, {Kind: "session_count", Window: "30d", Session: &SessionSpec{}},
		{Kind: "count", Session: &SessionSpec{}}, {Kind: "sum", Session: &SessionSpec{}}, {Kind: "last", Of: Number, Session: &SessionSpec{}}, {Kind: "tally", Session: &SessionSpec{}}} {
		k := mustNew(b, spec)
		ins := make([]Input, 4000)
		for i := range ins {
			ins[i] = Input{By: 1, Time: noon + int64(i/20)*dayMs + int64(i%20)*2*minute, Value: number(float64(i))}
			if spec.Kind == "tally" {
				ins[i].Value = text(fmt.Sprint("sku-00", mix(uint64(i))%5))
			}
		}
		b.Run("kind="+spec.Kind, func(b *testing.B) { benchInputs(b, k, ins) })
	}
}

// BenchmarkFunnel is what most people have of a sequence: a few occurrences; a cart that is left, without a key, and a funnel of three steps.
func BenchmarkFunnel(b *testing.B) {
	for name, spec := range map[string]SequenceSpec{"cart": {Steps: []StepSpec{{}, {Not: true, Within: hour}}}, "funnel": {Steps: []StepSpec{{}, {Within: hour}, {Within: dayMs}}, Until: true}} {
		k := mustNew(b, Spec{Kind: "sequence", Sequence: &spec})
		ins := make([]Input, 8)
		for i := range ins {
			ins[i] = Input{By: 1, Time: noon + int64(i)*20*minute, Step: uint8(i % len(spec.Steps))}
		}
		b.Run("steps="+name, func(b *testing.B) { benchInputs(b, k, ins) })
	}
}

// BenchmarkSequence: somebody visits the shop once a day, puts five products into the cart within ten minutes, and every
// second time orders two of them; the latest occurrences are kept.
func BenchmarkSequence(b *testing.B) {
	for _, limit := range []int{20, 200} {
		for _, show := range []string{"count", "complete_keys"} {
			k := mustNew(b, Spec{Kind: "sequence", Limit: limit, Sequence: &SequenceSpec{Steps: []StepSpec{{}, {Not: true, Within: hour}}, Keyed: true, Show: show}})
			ins := make([]Input, 4000)
			for i := range ins {
				visit, at := int64(i/7), int64(i%7)
				ins[i] = Input{By: 1, Time: noon + visit*dayMs + at*2*minute, Value: text(fmt.Sprint("sku-00", mix(uint64(i))%50))}
				if at > 4 && visit%2 == 0 {
					ins[i].Step, ins[i].Value = 1, ins[i-3].Value
				}
			}
			b.Run(fmt.Sprintf("occurrences=%d/show=%s", limit, show), func(b *testing.B) { benchInputs(b, k, ins) })
		}
	}
}
