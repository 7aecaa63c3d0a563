package attribute

import (
	"encoding/json"
	"math"
	"slices"
	"testing"
)

// names are the variants in a fixed order.
func names() []string {
	var out []string
	for name := range variants() {
		out = append(out, name)
	}
	slices.Sort(out)
	return out
}

// FuzzCorrupt gives every method states of arbitrary bytes. I3: none panics; what is printed is JSON.
func FuzzCorrupt(f *testing.F) {
	c := chance(3)
	ins := crowd(&c, 60, 20)
	all := names()
	vs := variants()
	for i, name := range all {
		k := mustNew(f, vs[name].spec)
		s, o := foldAll(k, ins[:30]), foldAll(k, ins[30:])
		f.Add(byte(i), s.fixed, s.seg, o.fixed, o.seg, "item-3", int64(noon), 1.5, byte(0))
		f.Add(byte(i), o.fixed, s.seg[:len(s.seg)/2], s.fixed, o.seg, "zzz", int64(0), -1.0, byte(1))
	}
	f.Add(byte(0), []byte(nil), []byte("\xff\xff\xff\xff"), []byte(nil), []byte("\x01\x80\x00\x00"), "", int64(-1), 0.0, byte(2))
	f.Fuzz(func(t *testing.T, which byte, fixed, seg, otherFixed, otherSeg []byte, word string, ms int64, num float64, op byte) {
		k := mustNew(t, vs[all[int(which)%len(all)]].spec)
		in := Input{Op: Op(op), Time: ms, By: num, Value: text(word)}
		switch op >> 4 {
		case 1:
			in.Value = number(num)
		case 2:
			in.Value = moments(ms)
		case 3:
			in.Value = truth(num > 0)
		}
		fit := func(b []byte) []byte {
			return append(make([]byte, 0, k.FixedSize()), append(b, make([]byte, k.FixedSize())...)[:k.FixedSize()]...)
		}
		a, b := &state{fit(fixed), seg}, &state{fit(otherFixed), otherSeg}
		readAll(t, k, a)
		u := a.clone()
		u.update(k, in, 32)
		readAll(t, k, u)
		before := b.clone()
		m := a.clone()
		m.merge(k, b, 32)
		readAll(t, k, m)
		if !b.equal(before) {
			t.Error("Merge changed the other state")
		}
		m.update(k, in, 32)
		u.merge(k, m, 0)
		readAll(t, k, u)
	})
}

func readAll(t *testing.T, k Kind, s *state) {
	for _, now := range []int64{0, noon, noon + 40*dayMs, math.MinInt64, math.MaxInt64} {
		k.Num(s.fixed, s.seg, now)
		k.Str(s.fixed, s.seg, now)
		k.Truth(s.fixed, s.seg, now)
		k.Len(s.fixed, s.seg, now)
		k.Find(s.fixed, s.seg, []byte("item-3"), now)
		Truncated(k, s.fixed, s.seg, now)
		if timed, ok := k.(Timed); ok {
			timed.NextChange(s.fixed, s.seg, now)
		}
		for e := k.Elements(s.fixed, s.seg, now); e.Next(); {
			_ = append([]byte(nil), e.Value...)
		}
		if out := k.AppendJSON(nil, s.fixed, s.seg, now); !json.Valid(out) {
			t.Errorf("not JSON: %s", out)
		}
	}
}

// FuzzQuoted holds AppendQuoted against encoding/json: what it writes is read back as the same string.
func FuzzQuoted(f *testing.F) {
	for _, s := range []string{"", "plain", "\"\\\n\r\t\x00\x1f\x7f", "日本", "\xff\xfe", "a\xe2\x80", "\u2028<>&"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, s []byte) {
		var got, want string
		if err := json.Unmarshal(AppendQuoted(nil, s), &got); err != nil {
			t.Fatal(err)
		}
		b, _ := json.Marshal(string(s))
		if err := json.Unmarshal(b, &want); err != nil {
			t.Fatal(err)
		}
		if got != want {
			t.Errorf("%q: %q, want %q", s, got, want)
		}
	})
}
