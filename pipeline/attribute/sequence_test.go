package attribute

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"testing"
	"time"

	"dashi/pipeline/event"
)

// sequences are of all sorts: keyed and not, each word of show, negations in the middle and at the end, optional steps, times.
func sequences() map[string]Spec {
	f := func(s SequenceSpec) Spec { return Spec{Kind: "sequence", Sequence: &s} }
	cart := []StepSpec{{}, {Not: true, Within: hour}}
	funnel := []StepSpec{{}, {Optional: true, Within: 40 * minute}, {Within: hour}}
	all := map[string]Spec{
		"cart":          f(SequenceSpec{Steps: cart, Keyed: true}),
		"cart last":     f(SequenceSpec{Steps: cart, Keyed: true, Show: "last_at"}),
		"cart is":       f(SequenceSpec{Steps: cart, Keyed: true, Until: true, Show: "complete"}),
		"cart keys":     f(SequenceSpec{Steps: cart, Keyed: true, Until: true, Show: "complete_keys"}),
		"cart open":     f(SequenceSpec{Steps: cart, Show: "open"}),
		"funnel":        f(SequenceSpec{Steps: funnel}),
		"funnel open":   f(SequenceSpec{Steps: funnel, Show: "open", Until: true}),
		"funnel keys":   f(SequenceSpec{Steps: funnel, Keyed: true, Show: "open_keys", Within: 90 * minute}),
		"between":       f(SequenceSpec{Steps: []StepSpec{{}, {Not: true}, {Within: 3 * hour}, {}}, Within: 5 * hour, Show: "last_at"}),
		"both":          f(SequenceSpec{Steps: []StepSpec{{}, {Within: 2 * hour}, {Not: true, Within: dayMs}}, Until: true}),
		"three":         f(SequenceSpec{Steps: []StepSpec{{Times: 3, Within: 2 * hour}}, Keyed: true}),
		"skip":          f(SequenceSpec{Steps: []StepSpec{{}, {Not: true}, {Optional: true}, {}}, Show: "count", Within: dayMs}),
		"keep":          f(SequenceSpec{Steps: funnel, Keep: 5 * hour}),
		"limit":         f(SequenceSpec{Steps: cart, Keyed: true}),
		"complete keys": f(SequenceSpec{Steps: []StepSpec{{}, {}}, Keyed: true, Show: "complete_keys"}),
	}
	limited := all["limit"]
	limited.Limit = 4
	all["limit"] = limited
	return all
}

// moment1 is what occurred at one instant.
type instantOf struct {
	at   int64
	mask uint64
}

// chainOracle finds matches of one key by trying all of them.
type chainOracle struct {
	spec *SequenceSpec
	occ  []instantOf
	now  int64
	// positives are the steps that take an occurrence, each as often as its times; nots the negated ones behind them.
	positives []int
	nots      [][]int
	last      int // the negated last step, or -1
}

func newChainOracle(spec *SequenceSpec, occ []instantOf, now int64) *chainOracle {
	o := &chainOracle{spec: spec, occ: occ, now: now, last: -1}
	for i, s := range spec.Steps {
		switch {
		case s.Not && i == len(spec.Steps)-1:
			o.last = i
		case s.Not:
			o.nots[len(o.nots)-1] = append(o.nots[len(o.nots)-1], i)
		default:
			for range max(s.Times, 1) {
				o.positives = append(o.positives, i)
				o.nots = append(o.nots, nil)
			}
		}
	}
	return o
}

// none says whether a step did not occur from a to b, b included when closed.
func (o *chainOracle) none(step int, a, b int64, closed bool) bool {
	for _, x := range o.occ {
		if x.mask>>step&1 == 1 && x.at >= a && (x.at < b || closed && x.at == b) {
			return false
		}
	}
	return true
}

func (o *chainOracle) until() int { return len(o.spec.Steps) }

// extend calls fn with every chain of occurrences from an instant on; p is the stage to fill next, and what was filled last.
func (o *chainOracle) extend(from, start, prev int64, p, filled int, fn func(start, last int64, filled int)) {
	if filled >= 0 {
		fn(start, prev, filled)
	}
	for s := p; s < len(o.positives); s++ {
		step := o.spec.Steps[o.positives[s]]
		for _, x := range o.occ {
			if x.mask>>o.positives[s]&1 == 0 || x.at < from {
				continue
			}
			if filled < 0 {
				o.extend(from, x.at, x.at, s+1, s, fn)
				continue
			}
			good := x.at > prev && (step.Within == 0 || x.at-prev < step.Within) && (o.spec.Within == 0 || x.at-start < o.spec.Within)
			for _, n := range o.nots[filled] {
				good = good && o.none(n, prev, x.at, true)
			}
			if good {
				o.extend(from, start, x.at, s+1, s, fn)
			}
		}
		if !step.Optional {
			break
		}
	}
}

// earliest is the first completion by occurrences from an instant on.
func (o *chainOracle) earliest(from int64) int64 {
	best := int64(math.MaxInt64)
	o.extend(from, 0, 0, 0, -1, func(start, last int64, filled int) {
		if filled != len(o.positives)-1 {
			return
		}
		c, closed := last, true
		if o.last >= 0 {
			c, closed = last+o.spec.Steps[o.last].Within, false
			if !o.none(o.last, last, c, false) {
				return
			}
		}
		if c <= o.now && (!o.spec.Until || o.none(o.until(), start, c, closed)) {
			best = min(best, c)
		}
	})
	return best
}

// alive says whether something that began from an instant on can still go on.
func (o *chainOracle) alive(from int64) (alive bool) {
	o.extend(from, 0, 0, 0, -1, func(start, last int64, filled int) {
		if o.spec.Until && !o.none(o.until(), start, o.now, true) {
			return
		}
		if filled == len(o.positives)-1 {
			alive = alive || o.last >= 0 && o.none(o.last, last, o.now, true) && last+o.spec.Steps[o.last].Within > o.now
			return
		}
		for _, n := range o.nots[filled] {
			if !o.none(n, last, o.now, true) {
				return
			}
		}
		for s := filled + 1; s < len(o.positives); s++ {
			step := o.spec.Steps[o.positives[s]]
			if (step.Within == 0 || o.now < last+step.Within) && (o.spec.Within == 0 || o.now < start+o.spec.Within) {
				alive = true
			}
			if !step.Optional {
				break
			}
		}
	})
	return alive
}

func sequenceOracle(spec Spec, ins []Input, now int64) any {
	q := spec.Sequence
	bits := len(q.Steps)
	if q.Until {
		bits++
	}
	newest := int64(-1)
	for _, in := range ins {
		if in.Op == Add && int(in.Step) < bits && (!q.Keyed || in.Value.Kind == event.String) {
			newest = max(newest, in.Time)
		}
	}
	if newest < 0 {
		return nil
	}
	type cell struct {
		at  int64
		key string
	}
	var cells []cell
	cellOf := func(in Input) (c cell, ok bool) {
		if c.at = in.Time; q.Keyed {
			c.key = string(in.Value.Str)
		}
		return c, in.Op == Add && int(in.Step) < bits && !(q.Keyed && in.Value.Kind != event.String) && !(q.Keep > 0 && in.Time <= newest-q.Keep)
	}
	for _, in := range ins {
		if c, ok := cellOf(in); ok && !slices.Contains(cells, c) {
			cells = append(cells, c)
		}
	}
	slices.SortFunc(cells, func(a, b cell) int { return cmp.Or(cmp.Compare(b.at, a.at), cmp.Compare(b.key, a.key)) })
	if spec.Limit > 0 {
		cells = cells[:min(len(cells), spec.Limit)]
	}
	byKey := map[string]map[int64]uint64{}
	for _, in := range ins {
		c, ok := cellOf(in)
		if !ok || !slices.Contains(cells, c) {
			continue
		}
		key := c.key
		if byKey[key] == nil {
			byKey[key] = map[int64]uint64{}
		}
		byKey[key][in.Time] |= 1 << in.Step
	}
	count, lastAt, complete, open := 0, int64(-1), []string{}, []string{}
	for key, times := range byKey {
		var occ []instantOf
		for at, mask := range times {
			if at <= now {
				occ = append(occ, instantOf{at, mask})
			}
		}
		slices.SortFunc(occ, func(a, b instantOf) int { return int(a.at - b.at) })
		o := newChainOracle(q, occ, now)
		from, done := int64(0), int64(-1)
		for c := o.earliest(from); c != math.MaxInt64; c = o.earliest(from) {
			count++
			done, lastAt = c, max(lastAt, c)
			if from = c; o.last < 0 {
				from++
			}
		}
		if done >= 0 && (!q.Until || o.none(o.until(), done, now, true)) {
			complete = append(complete, key)
		}
		if o.alive(from) {
			open = append(open, key)
		}
	}
	order := func(keys []string) []string {
		slices.SortFunc(keys, func(a, b string) int {
			if len(a) != len(b) {
				return len(a) - len(b)
			}
			return slices.Compare([]byte(a), []byte(b))
		})
		return keys
	}
	switch q.Show {
	case "last_at":
		if lastAt < 0 {
			return nil
		}
		return time.UnixMilli(lastAt).UTC()
	case "complete":
		return len(complete) > 0
	case "open":
		return len(open) > 0
	case "complete_keys":
		return order(complete)
	case "open_keys":
		return order(open)
	}
	return count
}

// What an input changes is found out without looking at the rest; a merge looks at everything. After every input of long histories, most of
// them in order, both must have come to the same bytes.
func TestSequenceByInputAgainstWhole(t *testing.T) {
	for name, spec := range sequences() {
		for _, limit := range []int{4, 25, 150} {
			spec.Limit = limit
			t.Run(fmt.Sprintf("%s/limit=%d", name, limit), func(t *testing.T) {
				k, c := mustNew(t, spec), chance(uint64(limit))
				s, now := newState(k), int64(noon)
				for i := range 600 {
					in := Input{Time: now, By: 1, Step: uint8(c.intn(4)), Value: text(fmt.Sprint("sku-", c.intn(1+c.intn(100))))}
					switch c.intn(20) {
					case 0:
						now += int64(c.intn(2 * dayMs))
					case 1, 2, 3:
						now += int64(c.intn(hour))
					case 4, 5, 6, 7, 8:
						now += int64(c.intn(2 * minute))
					case 9:
						in.Time -= int64(c.intn(dayMs))
					case 10:
						in.Time -= int64(c.intn(hour))
					case 11, 12, 13: // right at the end of something, or beside it
						in.Time += int64(c.intn(8))*20*minute + int64(c.intn(3)-1)
						now = max(now, in.Time)
					}
					s.update(k, in, 1<<12)
					whole := newState(k)
					whole.merge(k, s, 1<<12)
					if !whole.equal(s) {
						t.Fatalf("input %d: %x %x, the whole is %x %x", i, s.fixed, s.seg, whole.fixed, whole.seg)
					}
				}
			})
		}
	}
}
