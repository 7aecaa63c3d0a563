package attribute

import (
	"fmt"
	"testing"
)

func benchUpdate(b *testing.B, spec Spec, ins []Input) {
	k := mustNew(b, spec)
	s := foldAll(k, ins)
	scratch := make([]byte, 0, 1<<16)
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		k.Update(s.fixed, s.seg, &ins[i], scratch)
		if i++; i == len(ins) {
			i = 0
		}
	}
}

func BenchmarkUpdateFixed(b *testing.B) {
	for name, v := range variants() {
		k := mustNew(b, v.spec)
		if k.HasSegment() {
			continue
		}
		var ins []Input
		for i := range 1024 {
			in := Input{Time: 1_700_000_000_000 + int64(i), Value: number(float64(i) + 0.25), By: 1}
			switch v.spec.Of {
			case Time:
				in.Value = moments(in.Time)
			case Bool:
				in.Value = truth(i&1 == 0)
			}
			ins = append(ins, in)
		}
		b.Run("kind="+name, func(b *testing.B) { benchUpdate(b, v.spec, ins) })
	}
}

// shuffled is n strings that look like product numbers, in an order that no branch predictor knows.
func shuffled(n int) []Input {
	ins := make([]Input, 0, max(512, 2*n))
	x := uint64(1)
	for range cap(ins) {
		x = mix(x)
		ins = append(ins, Input{Time: 1_700_000_000_000 + int64(len(ins)), By: 1, Value: text(fmt.Sprintf("sku-%06d", x%uint64(n)*7919))})
	}
	return ins
}

func BenchmarkUpdateKnown(b *testing.B) {
	for _, kind := range []string{"set", "tally", "distinct"} {
		for _, n := range []int{5, 20, 200} {
			b.Run(fmt.Sprintf("kind=%s/elements=%d", kind, n), func(b *testing.B) {
				benchUpdate(b, Spec{Kind: kind}, shuffled(n))
			})
		}
	}
}

func BenchmarkUpdateNew(b *testing.B) {
	for _, kind := range []string{"set", "tally", "list", "distinct"} {
		for _, n := range []int{20, 200} {
			b.Run(fmt.Sprintf("kind=%s/elements=%d", kind, n), func(b *testing.B) {
				k := mustNew(b, Spec{Kind: kind})
				s := foldAll(k, shuffled(n))
				in := Input{Time: 1_700_000_000_001, By: 1, Value: text("sku-0012345")}
				scratch, fixed := make([]byte, 0, 1<<16), make([]byte, k.FixedSize())
				b.ReportAllocs()
				for b.Loop() {
					copy(fixed, s.fixed)
					k.Update(fixed, s.seg, &in, scratch)
				}
			})
		}
	}
}

func BenchmarkUpdateDense(b *testing.B) {
	ins := make([]Input, 20_000)
	for i := range ins {
		ins[i].Value = number(float64(i))
	}
	benchUpdate(b, Spec{Kind: "distinct"}, ins)
}

func BenchmarkMerge(b *testing.B) {
	for _, kind := range []string{"set", "tally", "list", "distinct"} {
		for _, n := range []int{20, 200} {
			b.Run(fmt.Sprintf("kind=%s/elements=%d", kind, n), func(b *testing.B) {
				k := mustNew(b, Spec{Kind: kind})
				ins := shuffled(n)
				x, y := foldAll(k, ins[:len(ins)/2]), foldAll(k, ins[len(ins)/2:])
				scratch := make([]byte, 0, 1<<16)
				b.ReportAllocs()
				for b.Loop() {
					k.Merge(x.fixed, x.seg, y.fixed, y.seg, scratch)
				}
			})
		}
	}
}

func BenchmarkMergeOverflow(b *testing.B) {
	for _, kind := range []string{"set", "tally", "list"} {
		b.Run("kind="+kind, func(b *testing.B) {
			k := mustNew(b, Spec{Kind: kind, Limit: 256})
			ins := shuffled(512)
			x, y := foldAll(k, ins[:len(ins)/2]), foldAll(k, ins[len(ins)/2:])
			scratch := make([]byte, 0, 1<<16)
			b.ReportAllocs()
			for b.Loop() {
				k.Merge(x.fixed, x.seg, y.fixed, y.seg, scratch)
			}
		})
	}
}

func BenchmarkRead(b *testing.B) {
	tallies := mustNew(b, Spec{Kind: "tally"})
	tally := foldAll(tallies, shuffled(20))
	b.Run("what=favourite/elements=20", func(b *testing.B) {
		for b.Loop() {
			tallies.Str(tally.fixed, tally.seg, 0)
		}
	})
	set, k := foldAll(mustNew(b, Spec{Kind: "set"}), shuffled(20)), mustNew(b, Spec{Kind: "set"})
	key := []byte("sku-007919")
	b.Run("what=find/elements=20", func(b *testing.B) {
		for b.Loop() {
			k.Find(set.fixed, set.seg, key, 0)
		}
	})
	sums, s := foldAll(mustNew(b, Spec{Kind: "sum"}), []Input{{Value: number(1234.56)}}), mustNew(b, Spec{Kind: "sum"})
	b.Run("what=sum", func(b *testing.B) {
		for b.Loop() {
			s.Num(sums.fixed, nil, 0)
		}
	})
	buf := make([]byte, 0, 64)
	b.Run("what=time", func(b *testing.B) {
		for b.Loop() {
			AppendTime(buf, 1_700_000_000_123)
		}
	})
}
