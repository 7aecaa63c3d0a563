package attribute

import (
	"fmt"
	"testing"
)

// I3: no method allocates when scratch has room.
func TestNoAllocations(t *testing.T) {
	for name, v := range variants() {
		k := mustNew(t, v.spec)
		c := chance(7)
		ins := crowd(&c, 64, 30)
		for i := range ins {
			switch v.spec.Of {
			case Number:
				ins[i].Value = number(float64(i) + 0.1)
			case Time:
				ins[i].Value = moments(int64(i))
			case Bool:
				ins[i].Value = truth(i&1 == 0)
			}
		}
		if v.spec.Kind == "sum" || v.spec.Kind == "avg" || name == "min/number" || name == "max/number" {
			for i := range ins {
				ins[i].Value = number(float64(i) + 0.1)
			}
		}
		s, o := foldAll(k, ins[:32]), foldAll(k, ins[32:])
		fixed, seg := make([]byte, len(s.fixed)), make([]byte, len(s.seg))
		scratch, dst := make([]byte, 0, 1<<16), make([]byte, 0, 1<<16)
		f := func(what string, fn func()) {
			t.Helper()
			if n := testing.AllocsPerRun(20, fn); n != 0 {
				t.Errorf("%s: %s: %v allocations", name, what, n)
			}
		}
		restore := func() { copy(fixed, s.fixed); copy(seg, s.seg) }
		f("Update", func() {
			for i := range ins {
				restore()
				k.Update(fixed, seg, &ins[i], scratch)
			}
		})
		f("Merge", func() { restore(); k.Merge(fixed, seg, o.fixed, o.seg, scratch) })
		f("readers", func() {
			k.Num(s.fixed, s.seg, 0)
			k.Str(s.fixed, s.seg, 0)
			k.Truth(s.fixed, s.seg, 0)
			k.Len(s.fixed, s.seg, 0)
			k.Find(s.fixed, s.seg, ins[3].Value.Str, 0)
			k.AppendJSON(dst, s.fixed, s.seg, 0)
			Truncated(k, s.fixed, s.seg, 0)
			for e := k.Elements(s.fixed, s.seg, 0); e.Next(); {
			}
		})
	}
}

// The dense form of distinct, and merges that overflow.
func TestNoAllocationsWhenLarge(t *testing.T) {
	for _, spec := range []Spec{{Kind: "distinct"}, {Kind: "set", Limit: 200}, {Kind: "tally", Limit: 200}, {Kind: "list", Limit: 200},
		{Kind: "tally", Limit: 200, Window: "7d"}, {Kind: "sequence", Limit: 200, Sequence: &SequenceSpec{Steps: []StepSpec{{}, {Not: true, Within: 40}}, Keyed: true}},
		{Kind: "sequence", Limit: 200, Sequence: &SequenceSpec{Steps: []StepSpec{{}, {Within: 40}}}}} {
		k := mustNew(t, spec)
		c := chance(9)
		ins := crowd(&c, 2000, 1900)
		s, o := foldAll(k, ins[:1000]), foldAll(k, ins[1000:])
		small := foldAll(k, ins[:10])
		scratch := make([]byte, 0, 1<<16)
		if n := testing.AllocsPerRun(5, func() {
			k.Merge(s.fixed, s.seg, o.fixed, o.seg, scratch)
			k.Merge(small.fixed, small.seg, o.fixed, o.seg, scratch)
			k.Merge(s.fixed, s.seg, small.fixed, small.seg, scratch)
			for i := range ins[1000:1100] {
				k.Update(s.fixed, s.seg, &ins[1000+i], scratch)
			}
		}); n != 0 {
			t.Error(fmt.Sprint(spec.Kind, ": ", n, " allocations"))
		}
	}
}
