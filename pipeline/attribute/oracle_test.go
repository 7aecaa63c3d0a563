package attribute

import (
	"bytes"
	"math"
	"math/big"
	"slices"
	"sort"
	"time"

	"dashi/pipeline/event"

	"github.com/cespare/xxhash/v2"
)

// The oracles: each looks at all inputs at once, with maps, sorting and big numbers.

func goodTime(ms int64) bool {
	y := time.UnixMilli(ms).UTC().Year()
	return ms > -1<<50 && ms < 1<<50 && y >= 0 && y <= 9999
}

// goodValue says whether a value is of a type and can be stored at all.
func goodValue(v event.Value, of Type) bool {
	switch of {
	case Number:
		f := math.Float64frombits(v.Bits)
		return v.Kind == event.Number && !math.IsNaN(f) && !math.IsInf(f, 0)
	case String:
		return v.Kind == event.String
	case Time:
		return v.Kind == event.Time && goodTime(int64(v.Bits))
	case Bool:
		return v.Kind == event.Bool
	}
	return goodValue(v, Number) || goodValue(v, String) || goodValue(v, Time) || goodValue(v, Bool)
}

// plain is a value as encoding/json would write it.
func plain(v event.Value) any {
	switch v.Kind {
	case event.Number:
		return math.Float64frombits(v.Bits) + 0
	case event.String:
		return string(v.Str)
	case event.Time:
		return time.UnixMilli(int64(v.Bits)).UTC()
	case event.Bool:
		return v.Bits == 1
	}
	return nil
}

func compareValues(a, b event.Value) int {
	switch a.Kind {
	case event.Number:
		x, y := math.Float64frombits(a.Bits), math.Float64frombits(b.Bits)
		if x < y {
			return -1
		} else if x > y {
			return 1
		}
		return 0
	case event.String:
		return bytes.Compare(a.Str, b.Str)
	}
	return big.NewInt(int64(a.Bits)).Cmp(big.NewInt(int64(b.Bits)))
}

func countOracle(_ Spec, ins []Input) any {
	n := 0
	for _, in := range ins {
		if in.Op == Add {
			n++
		}
	}
	if n == 0 {
		return nil
	}
	return n
}

// microRat is v rounded half to even to a millionth.
func microRat(v float64) *big.Int {
	x := new(big.Rat).Mul(new(big.Rat).SetFloat64(v), big.NewRat(1_000_000, 1))
	q, r := new(big.Int).QuoRem(x.Num(), x.Denom(), new(big.Int))
	twice := new(big.Int).Abs(r)
	twice.Lsh(twice, 1)
	if c := twice.Cmp(x.Denom()); c > 0 || c == 0 && q.Bit(0) == 1 {
		q.Add(q, big.NewInt(int64(x.Sign())))
	}
	return q
}

func ratFloat(units *big.Int, per *big.Int) float64 {
	f, _ := new(big.Rat).SetFrac(units, per).Float64()
	return f + 0
}

func sumOracle(spec Spec, ins []Input) any {
	total, n := new(big.Int), int64(0)
	for _, in := range ins {
		if in.Op == Add && goodValue(in.Value, Number) && math.Abs(math.Float64frombits(in.Value.Bits)) <= 9e12 {
			total.Add(total, microRat(math.Float64frombits(in.Value.Bits)))
			n++
		}
	}
	if n == 0 {
		return nil
	}
	if spec.Kind == "avg" {
		return ratFloat(total, big.NewInt(n*1_000_000))
	}
	return ratFloat(total, big.NewInt(1_000_000))
}

func extremeOracle(spec Spec, ins []Input) any {
	var best *event.Value
	for _, in := range ins {
		if in.Op != Add || !goodValue(in.Value, spec.Of) {
			continue
		}
		if best != nil {
			if c := compareValues(in.Value, *best); spec.Kind == "min" && c >= 0 || spec.Kind == "max" && c <= 0 {
				continue
			}
		}
		best = &in.Value
	}
	if best == nil {
		return nil
	}
	return plain(*best)
}

func edgeOracle(spec Spec, ins []Input) any {
	sign := int64(1)
	if spec.Kind == "first" {
		sign = -1
	}
	var best *Input
	for _, in := range ins {
		if in.Op != Add || !goodValue(in.Value, spec.Of) || !goodTime(in.Time) {
			continue
		}
		if best == nil || sign*in.Time > sign*best.Time ||
			in.Time == best.Time && int(sign)*compareValues(in.Value, best.Value) > 0 {
			best = &in
		}
	}
	if best == nil {
		return nil
	}
	return plain(best.Value)
}

func momentOracle(spec Spec, ins []Input) any {
	var all []int64
	for _, in := range ins {
		if in.Op == Add && goodTime(in.Time) {
			all = append(all, in.Time)
		}
	}
	n := max(spec.Nth, 1)
	if len(all) < n {
		return nil
	}
	slices.Sort(all)
	if spec.Kind == "first_at" {
		return time.UnixMilli(all[n-1]).UTC()
	}
	return time.UnixMilli(all[len(all)-n]).UTC()
}

func flagOracle(_ Spec, ins []Input) any {
	seen, raised, at := false, false, int64(0)
	for _, in := range ins {
		if in.Op > Remove || !goodTime(in.Time) {
			continue
		}
		if !seen || in.Time > at {
			seen, raised, at = true, in.Op == Add, in.Time
		} else if in.Time == at && in.Op == Remove {
			raised = false
		}
	}
	if !seen {
		return nil
	}
	return raised
}

// touched is an element of a set with the operation that stands.
type touched struct {
	value   string
	time    int64
	removed bool
}

func setOracle(spec Spec, ins []Input) any {
	m := map[string]touched{}
	for _, in := range ins {
		if in.Op > Remove || !goodValue(in.Value, String) || len(in.Value.Str) > MaxElement || !goodTime(in.Time) {
			continue
		}
		s := string(in.Value.Str)
		old, ok := m[s]
		if !ok || in.Time > old.time || in.Time == old.time && in.Op == Remove {
			m[s] = touched{s, in.Time, in.Op == Remove}
		}
	}
	if len(m) == 0 {
		return nil
	}
	var all []touched
	for _, e := range m {
		all = append(all, e)
	}
	sort.Slice(all, func(i, j int) bool { // the first stay
		a, b := all[i], all[j]
		if a.time != b.time {
			return a.time > b.time
		}
		if a.removed != b.removed {
			return a.removed
		}
		return a.value > b.value
	})
	out := []string{}
	for i, e := range all {
		if !e.removed && (spec.Limit == 0 || i < spec.Limit) {
			out = append(out, e.value)
		}
	}
	slices.Sort(out)
	return out
}

func tallyOracle(spec Spec, ins []Input) any {
	m := map[string]*big.Int{}
	for _, in := range ins {
		if in.Op != Add || !goodValue(in.Value, String) || len(in.Value.Str) > MaxElement || !(math.Abs(in.By) <= 9e12) {
			continue
		}
		s := string(in.Value.Str)
		if m[s] == nil {
			m[s] = new(big.Int)
		}
		m[s].Add(m[s], microRat(in.By))
	}
	if len(m) == 0 {
		return nil
	}
	var keys []string
	for s := range m {
		keys = append(keys, s)
	}
	sort.Slice(keys, func(i, j int) bool { return xxhash.Sum64String(keys[i]) < xxhash.Sum64String(keys[j]) })
	if spec.Limit > 0 && len(keys) > spec.Limit {
		keys = keys[:spec.Limit]
	}
	out := map[string]float64{}
	for _, s := range keys {
		out[s] = ratFloat(m[s], big.NewInt(1_000_000))
	}
	return out // encoding/json sorts the keys
}

func listOracle(spec Spec, ins []Input) any {
	var all []Input
	for _, in := range ins {
		if in.Op == Add && goodValue(in.Value, String) && len(in.Value.Str) <= MaxElement && goodTime(in.Time) {
			all = append(all, in)
		}
	}
	if all == nil {
		return nil
	}
	sort.Slice(all, func(i, j int) bool {
		if all[i].Time != all[j].Time {
			return all[i].Time > all[j].Time
		}
		return string(all[i].Value.Str) > string(all[j].Value.Str)
	})
	limit := spec.Limit
	if limit == 0 {
		limit = 50
	}
	var out []string
	for _, in := range all {
		s := string(in.Value.Str)
		if len(out) < limit && !(spec.Unique && slices.Contains(out, s)) {
			out = append(out, s)
		}
	}
	return out
}

// distinctOracle is exact as long as the kind has to be; for more TestDistinctError looks at the estimate.
func distinctOracle(spec Spec, ins []Input) any {
	m := map[any]bool{}
	for _, in := range ins {
		if in.Op == Add && goodValue(in.Value, spec.Of) {
			m[plain(in.Value)] = true
		}
	}
	switch {
	case len(m) == 0:
		return nil
	case spec.Precision == 8 && len(m) > 31:
		return anything
	}
	return len(m)
}
