package attribute

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"testing"
)

// earlier is the state that a version before today's wrote.
func earlier(k Kind, s *state) *state {
	o := s.clone()
	switch k := k.(type) {
	case *shelf:
		var g groups
		if k.open(&g, s.seg); g.n > 0 {
			o.seg = append(bytes.Clone(s.seg[:g.keys.heap+g.keys.heapSize()]), g.cells...)
			put(o.fixed[8:], get(s.fixed[8:])&mask48)
		}
	case *sequence:
		if k.completes == 0 && get(s.fixed) > 0 {
			put(o.fixed[16:], get(s.fixed[16:])|3<<16)
		}
	}
	return o
}

// What earlier versions wrote shows the same, goes on as if it had been written today, and is brought into today's bytes.
func TestRenew(t *testing.T) {
	renewed := 0
	for name, v := range variants() {
		k := mustNew(t, v.spec)
		if !Renewed(k) {
			continue
		}
		renewed++
		t.Run(name, func(t *testing.T) {
			timed, c := k.(Timed), chance(11)
			ins := crowd(&c, 300, 40)
			s, o := newState(k), newState(k)
			for i, in := range ins {
				in.Time, in.Step = noon+int64(i)*5*hour-int64(c.intn(3))*dayMs, uint8(c.intn(4))
				s.update(k, in, 1<<12)
				o = earlier(k, o)
				o.update(k, in, 1<<12)
				for _, now := range []int64{in.Time - dayMs, in.Time, in.Time + hour, in.Time + 9*dayMs} {
					got, want := k.AppendJSON(nil, o.fixed, o.seg, now), k.AppendJSON(nil, s.fixed, s.seg, now)
					if !bytes.Equal(got, want) {
						t.Fatalf("input %d: %s, want %s", i, got, want)
					}
					if got, want := timed.NextChange(o.fixed, o.seg, now), timed.NextChange(s.fixed, s.seg, now); got != want {
						t.Fatalf("input %d: changes at %d, want %d", i, got, want)
					}
				}
				e := earlier(k, s)
				if e.seg = Renew(k, e.fixed, e.seg, make([]byte, 0, 100)); !e.equal(s) {
					t.Fatalf("input %d: %x %x, want %x %x", i, e.fixed, e.seg, s.fixed, s.seg)
				}
			}
		})
	}
	if renewed < 10 {
		t.Errorf("%d kinds", renewed)
	}
}

// These bytes were in FORMAT.md before.
func TestRenewGolden(t *testing.T) {
	f := func(spec Spec, fixed, seg string, ins ...Input) {
		t.Helper()
		k := mustNew(t, spec)
		var s state
		s.fixed, _ = hex.DecodeString(fixed)
		s.seg, _ = hex.DecodeString(seg)
		s.seg = Renew(k, s.fixed, s.seg, nil)
		if want := foldAll(k, ins); !s.equal(want) {
			t.Errorf("%x %x, want %x %x", s.fixed, s.seg, want.fixed, want.seg)
		}
	}
	f(Spec{Kind: "tally", Window: "7d"}, "a134070000000000a034070000000000",
		"020003000200040000a9030007000039736f75707465619f340700000080841e000000000000000000a0340700000040420f000000000000000000a0340700000040420f000000000000000000",
		weighted("soup", 2), late(weighted("tea", 1), hour), late(weighted("soup", 1), hour))
	f(Spec{Kind: "sequence", Sequence: &SequenceSpec{Steps: []StepSpec{{}, {Not: true, Within: hour}}, Keyed: true}},
		"01a5573f163a0000ffffffffffffffff000001000100000081b6203f163a0000",
		"020002000100040000a9020007000039736f75707465610068e5cf8b010100004553d08b010200",
		at(0, text("soup")), late(step(1, "tea"), 2*hour))
}

// What an input changes is edited in place; a merge builds the whole. After every input of long histories both must have come to the same bytes, and the fixed
// part must say what the cells say.
func TestTallyByInputAgainstWhole(t *testing.T) {
	for _, limit := range []int{4, 25, 150} {
		for _, window := range []string{"4d", "20d", "this week"} {
			k := mustNew(t, Spec{Kind: "tally", Window: window, Limit: limit}).(*shelf)
			c := chance(uint64(limit))
			s, now := newState(k), int64(noon)
			for i := range 800 {
				in := Input{Time: now, By: float64(1 + c.intn(5)), Value: text(fmt.Sprint("sku-", c.intn(1+c.intn(2000))))}
				switch c.intn(10) {
				case 0:
					now += int64(c.intn(3 * dayMs))
				case 1, 2, 3:
					now += int64(c.intn(6 * hour))
				case 4, 5:
					in.Time -= int64(c.intn(5 * dayMs))
				}
				s.update(k, in, 1<<12)
				whole := newState(k)
				whole.merge(k, s, 1<<12)
				if !whole.equal(s) {
					t.Fatalf("limit %d, %s, input %d: %x %x, the whole is %x %x", limit, window, i, s.fixed, s.seg, whole.fixed, whole.seg)
				}
				checkShelf(t, k, s)
			}
		}
	}
}

func checkShelf(t *testing.T, k *shelf, s *state) {
	t.Helper()
	var g groups
	k.open(&g, s.seg)
	newest, least, second := int64(-1), int64(never), int64(never)
	for i := range g.n {
		newest, least = max(newest, g.at(i)), min(least, g.at(i))
	}
	for i := range g.n {
		if b := g.at(i); b > least {
			second = min(second, b)
		}
	}
	a, b := oldestBuckets(s.fixed)
	if got := int64(get(s.fixed)) - 1; got != newest || a != least || b != second {
		t.Fatalf("newest %d, oldest %d and %d, want %d, %d and %d", got, a, b, newest, least, second)
	}
	taken := g.keys.heap + g.keys.heapSize() + len(g.cells)
	if len(s.seg) != spareSize(taken) || int(binary.LittleEndian.Uint16(s.seg[2:])) != g.n {
		t.Fatalf("%d bytes for %d", len(s.seg), taken)
	}
	for _, b := range s.seg[taken-len(g.cells) : len(s.seg)-len(g.cells)] {
		if b != 0 {
			t.Fatalf("a spare byte is %d", b)
		}
	}
}

// spareSize is an eighth more at most, less than 128 bytes, and grows with what is taken.
func TestSpareSize(t *testing.T) {
	last := 0
	for n := range 1 << 16 {
		size := spareSize(n)
		if size < n || size < last || size > n+n/8 || size >= n+128 || n < 64 && size != n {
			t.Fatalf("%d bytes for %d", size, n)
		}
		last = size
	}
}
