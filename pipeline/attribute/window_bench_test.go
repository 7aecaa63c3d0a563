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
	s := newState(k)
	scratch := make([]byte, 0, 1<<16)
	buf := make([]byte, 0, 1<<16)
	i := 0
	b.ReportAllocs()
	for b.Loop() {
		in := &ins[i]
		k.Num(s.fixed, s.seg, in.Time)
		out := k.Update(s.fixed, s.seg, in, scratch)
		if len(out) != len(s.seg) || len(out) > 0 && &out[0] != &s.seg[0] {
			buf = append(buf[:0], out...) // as a record takes it over
			s.seg = buf
		}
		k.Num(s.fixed, s.seg, in.Time)
		k.NextChange(s.fixed, s.seg, in.Time)
		if i++; i == len(ins) {
			i = 0
			s.seg = s.seg[:0]
		}
	}
}
