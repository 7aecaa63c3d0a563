package attribute

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"dashi/pipeline/event"
	"dashi/pipeline/zone"

	"pgregory.net/rapid"
)

func mustZone(name string) *zone.Zone {
	z, err := zone.Load(name)
	if err != nil {
		panic(err)
	}
	return z
}

var berlin, newYork = mustZone("Europe/Berlin"), mustZone("America/New_York")

// timed are the kinds whose value depends on now.
func timed() map[string]Spec {
	all := windowsAndSessions()
	for name, spec := range sequences() {
		all["sequence/"+name] = spec
	}
	return all
}

func windowsAndSessions() map[string]Spec {
	return map[string]Spec{
		"count/30d":          {Kind: "count", Window: "30d"},
		"count/1h":           {Kind: "count", Window: "1h", Bucket: "5m"},
		"count/24h":          {Kind: "count", Window: "24h"},
		"count/3mo":          {Kind: "count", Window: "3mo", Zone: berlin},
		"count/2w by week":   {Kind: "count", Window: "2w", Bucket: "1w", Zone: newYork},
		"count/2mo by month": {Kind: "count", Window: "2mo", Bucket: "1mo", Zone: newYork},
		"count/this month":   {Kind: "count", Window: "this month", Zone: berlin},
		"sum/7d":             {Kind: "sum", Window: "7d"},
		"sum/this day":       {Kind: "sum", Window: "this day", Zone: newYork},
		"avg/3d":             {Kind: "avg", Window: "3d", Bucket: "1d", Zone: berlin},
		"min/5d":             {Kind: "min", Of: Number, Window: "5d", Bucket: "1d"},
		"max/48h":            {Kind: "max", Of: Number, Window: "48h", Bucket: "4h"},
		"max/time 10d":       {Kind: "max", Of: Time, Window: "10d"},
		"max/this week":      {Kind: "max", Of: Number, Window: "this week", Zone: berlin},
		"distinct/9d":        {Kind: "distinct", Window: "9d"},
		"distinct/this year": {Kind: "distinct", Window: "this year"},
		"distinct/limit":     {Kind: "distinct", Window: "9d", Limit: 3},
		"tally/4d":           {Kind: "tally", Window: "4d", Bucket: "12h"},
		"tally/this week":    {Kind: "tally", Window: "this week", Top: 2},
		"tally/limit":        {Kind: "tally", Window: "20d", Limit: 4},

		"session_count":    {Kind: "session_count", Window: "36h", Session: halfHour},
		"session_start":    {Kind: "session_start", Session: halfHour},
		"session_end":      {Kind: "session_end", Session: halfHour},
		"in_session":       {Kind: "in_session", Session: halfHour},
		"in_session/usual": {Kind: "in_session", Session: &SessionSpec{}},
		"session/count":    {Kind: "count", Session: halfHour},
		"session/sum":      {Kind: "sum", Session: &SessionSpec{}},
		"session/max":      {Kind: "max", Of: Number, Session: halfHour},
		"session/first":    {Kind: "first", Of: String, Session: halfHour},
		"session/last":     {Kind: "last", Of: Number, Session: &SessionSpec{Gap: hour, Longest: hour}},
		"session/last_at":  {Kind: "last_at", Session: halfHour},
		"session/distinct": {Kind: "distinct", Precision: 8, Session: halfHour},
		"session/tally":    {Kind: "tally", Session: halfHour},
		"session/list":     {Kind: "list", Session: &SessionSpec{Gap: 2 * hour, Longest: 6 * hour}},

		"place":       {Kind: "place", Places: somePlaces},
		"place_start": {Kind: "place_start", Places: somePlaces},
	}
}

var halfHour = &SessionSpec{Gap: 30 * minute, Longest: 2 * hour}

// timedOracle is what a timed kind should show at an instant, from the whole history.
func timedOracle(spec Spec, ins []Input, now int64) any {
	if spec.Sequence != nil {
		return sequenceOracle(spec, ins, now)
	}
	if spec.Session != nil {
		return sessionOracle(spec, ins, now)
	}
	if spec.Places != nil {
		return placeOracle(spec, ins, now, MaxReports)
	}
	var all, inside []Input
	for _, in := range ins {
		if in.Op == Add && in.Time >= 0 && goodTime(in.Time) {
			all = append(all, in)
			if inWindow(spec, in.Time, now) {
				inside = append(inside, in)
			}
		}
	}
	life := lifetimeOracles[spec.Kind]
	plainSpec := Spec{Kind: spec.Kind, Of: spec.Of}
	if spec.Kind == "distinct" || spec.Kind == "tally" {
		plainSpec.Limit = 0
	}
	v := life(plainSpec, inside)
	if v != nil || life(plainSpec, all) == nil {
		return v
	}
	switch spec.Kind {
	case "count", "sum", "distinct":
		return 0
	case "tally":
		return map[string]float64{}
	}
	return nil
}

var lifetimeOracles = map[string]func(Spec, []Input) any{"count": countOracle, "sum": sumOracle, "avg": sumOracle, "min": extremeOracle,
	"max": extremeOracle, "distinct": distinctOracle, "tally": tallyOracle,
	"first": edgeOracle, "last": edgeOracle, "last_at": momentOracle, "list": listOracle}

// inWindow says with package time alone whether an input at t counts at now.
func inWindow(spec Spec, t, now int64) bool {
	where := location(spec)
	a, b := time.UnixMilli(t).In(where), time.UnixMilli(now).In(where)
	date := func(x time.Time) time.Time {
		y, m, d := x.Date()
		return time.Date(y, m, d, 0, 0, 0, 0, time.UTC)
	}
	monday := func(x time.Time) time.Time { return date(x).AddDate(0, 0, -int(x.Weekday()+6)%7) }
	month := func(x time.Time) int { return 12*x.Year() + int(x.Month()) }
	switch spec.Window {
	case "this day":
		return date(a) == date(b)
	case "this week":
		return monday(a) == monday(b)
	case "this month":
		return month(a) == month(b)
	case "this year":
		return a.Year() == b.Year()
	}
	w, _ := parseStretch(spec.Window)
	// The widths of the short buckets, written out so that the oracle does not ask the code.
	width := map[string]int64{"5m": 300_000, "4h": 14_400_000, "12h": 43_200_000}[spec.Bucket]
	if spec.Window == "24h" || spec.Window == "7d" {
		width = 3_600_000
	}
	if width > 0 {
		return t-t%width > now-w.n*w.ms
	}
	switch {
	case spec.Bucket == "1w":
		return monday(a).After(monday(b).AddDate(0, 0, -7*int(w.n)))
	case spec.Bucket == "1mo":
		return month(a) > month(b)-int(w.n)
	case w.unit == months:
		y, m, d := b.Date()
		since := time.Date(y, m-time.Month(w.n), d, 0, 0, 0, 0, time.UTC)
		if since.Day() != d { // there is no such date: the last of the month before
			since = time.Date(since.Year(), since.Month(), 0, 0, 0, 0, 0, time.UTC)
		}
		return date(a).After(since)
	case w.unit == weeks:
		w.n *= 7
	}
	return date(a).After(date(b).AddDate(0, 0, -int(w.n)))
}

// histories are inputs over some months, with numbers, words and times, late ones and clusters among them.
func histories() *rapid.Generator[[]Input] {
	march := time.Date(2024, 2, 20, 0, 0, 0, 0, time.UTC).UnixMilli()
	return rapid.Custom(func(t *rapid.T) []Input {
		reach := rapid.SampledFrom([]int64{3, hour, 5 * hour, 9 * hour, dayMs, 10 * dayMs, 80 * dayMs, 400 * dayMs}).Draw(t, "reach")
		step := rapid.SampledFrom([]int64{1, minute, hour}).Draw(t, "step")
		return rapid.SliceOfN(rapid.Custom(func(t *rapid.T) Input {
			in := Input{By: 1, Step: uint8(rapid.IntRange(0, 3).Draw(t, "step")), Op: rapid.SampledFrom([]Op{Add, Add, Add, Touch, Remove}).Draw(t, "op"), Time: march + rapid.Int64Range(0, max(reach/step, 3)).Draw(t, "time")*step}
			switch rapid.IntRange(0, 9).Draw(t, "value") {
			case 0, 1, 2, 3:
				in.Value = number(rapid.SampledFrom([]float64{0, 1, -1, 2.5, 19.99, 0.1}).Draw(t, "number"))
			case 4, 5, 6, 7:
				in.Value = text(rapid.SampledFrom([]string{"a", "b", "c", "soup", ""}).Draw(t, "word"))
				in.By = rapid.SampledFrom([]float64{1, 1, 2, -1, 0.5}).Draw(t, "by")
			case 8:
				in.Value = moments(in.Time - 5)
			case 9:
				in.Value = event.Value{Kind: event.Bool, Bits: 1}
			}
			return in
		}), 0, 40).Draw(t, "inputs")
	})
}

// I2 and the oracle at many instants; NextChange is never later than the true next change, and reads are constant until then.
func TestTimedAgainstFullHistory(t *testing.T) {
	for name, spec := range timed() {
		t.Run(name, func(t *testing.T) {
			k := mustNew(t, spec)
			rapid.Check(t, func(t *rapid.T) {
				ins := histories().Draw(t, "history")
				s := scatter(t, k, ins)
				if want := foldAll(k, ins); !s.equal(want) {
					t.Fatalf("I2: %x, want %x", s.seg, want.seg)
				}
				newest := int64(0)
				for _, in := range ins {
					newest = max(newest, in.Time)
				}
				now := newest + rapid.OneOf(rapid.Int64Range(-dayMs, 0), rapid.Int64Range(0, 2*dayMs), rapid.Int64Range(0, 100*dayMs)).Draw(t, "after")
				for range 4 {
					got := string(k.AppendJSON(nil, s.fixed, s.seg, now))
					if want := toJSON(timedOracle(spec, ins, now)); got != want && (spec.Limit == 0 || spec.Sequence != nil) && spec.Top == 0 {
						t.Fatalf("at %d: %s, oracle says %s", now, got, want)
					}
					next := int64(math.MaxInt64)
					if timed, ok := k.(Timed); ok {
						next = timed.NextChange(s.fixed, s.seg, now)
					}
					if next <= now {
						t.Fatalf("the next change after %d is at %d", now, next)
					}
					last := min(next-1, now+500*dayMs)
					for _, at := range []int64{last, now + rapid.Int64Range(0, last-now).Draw(t, "between")} {
						if then := string(k.AppendJSON(nil, s.fixed, s.seg, at)); then != got {
							t.Fatalf("%s at %d, %s at %d, before the next change at %d", got, now, then, at, next)
						}
					}
					if next == math.MaxInt64 {
						break
					}
					now = next
				}
			})
		})
	}
}

// scatter folds the inputs in any order into several states that are merged.
func scatter(t *rapid.T, k Kind, ins []Input) *state {
	parts := []*state{newState(k), newState(k), newState(k)}
	for _, i := range rapid.Permutation(indices(len(ins))).Draw(t, "order") {
		parts[rapid.IntRange(0, 2).Draw(t, "part")].update(k, ins[i], rapid.IntRange(0, 300).Draw(t, "room"))
	}
	if rapid.Bool().Draw(t, "turned") {
		slices.Reverse(parts)
	}
	parts[1].merge(k, parts[2], 50)
	parts[0].merge(k, parts[1], 500)
	return parts[0]
}

func location(spec Spec) *time.Location {
	if spec.Zone == nil {
		return time.UTC
	}
	return spec.Zone.Location()
}

// session is one session of an oracle: the inputs in it.
type session []Input

func (s session) begin() int64 { return s[0].Time }
func (s session) end() int64   { return s[len(s)-1].Time }

// sessionsOf cuts a whole history into sessions.
func sessionsOf(spec SessionSpec, ins []Input) (all []session) {
	gap, longest := spec.Gap, spec.Longest
	if gap == 0 {
		gap, longest = 30*60*1000, 12*60*60*1000
	}
	var good []Input
	for _, in := range ins {
		if in.Op != Remove {
			good = append(good, in)
		}
	}
	slices.SortStableFunc(good, func(a, b Input) int { return int(a.Time - b.Time) })
	var runs []session
	for i, in := range good {
		if i == 0 || in.Time-good[i-1].Time >= gap {
			runs = append(runs, nil)
		}
		runs[len(runs)-1] = append(runs[len(runs)-1], in)
	}
	for _, run := range runs {
		var pieces []session
		for i, in := range run {
			if i == 0 || in.Time/longest != run[i-1].Time/longest {
				pieces = append(pieces, nil)
			}
			pieces[len(pieces)-1] = append(pieces[len(pieces)-1], in)
		}
		if len(pieces) == 2 && run.end()-run.begin() < longest {
			pieces = []session{run}
		}
		all = append(all, pieces...)
	}
	return all
}

func sessionOracle(spec Spec, ins []Input, now int64) any {
	all := sessionsOf(*spec.Session, ins)
	if len(all) == 0 {
		return nil
	}
	last := all[len(all)-1]
	switch spec.Kind {
	case "session_count":
		n := 0
		for _, s := range all {
			if s.begin() > now-36*hour {
				n++
			}
		}
		return n
	case "session_start":
		return time.UnixMilli(last.begin()).UTC()
	case "session_end":
		return time.UnixMilli(last.end()).UTC()
	case "in_session":
		return now < last.end()+30*minute
	}
	return lifetimeOracles[spec.Kind](Spec{Kind: spec.Kind, Of: spec.Of, Limit: 0, Precision: spec.Precision}, last)
}

// An event may lie a day ahead of the clock, and what the clock can still show then is there.
func TestClockADayBehind(t *testing.T) {
	for _, spec := range []Spec{{Kind: "count", Window: "1h"}, {Kind: "distinct", Window: "1h"}, {Kind: "max", Of: Number, Window: "this day"}} {
		k := mustNew(t, spec)
		s := foldAll(k, []Input{at(0, number(7)), late(at(0, number(3)), dayMs)})
		if v, ok := k.Num(s.fixed, s.seg, noon); !ok || v != map[string]float64{"count": 2, "distinct": 2, "max": 7}[spec.Kind] {
			t.Errorf("%s: %v %v", spec.Kind, v, ok)
		}
	}
}

// Runs that last for many slots, after every event of them.
func TestLongSessions(t *testing.T) {
	for every := int64(7); every < 32; every++ {
		for _, spec := range []Spec{{Kind: "count", Session: halfHour}, {Kind: "first", Of: Number, Session: halfHour}, {Kind: "session_start", Session: halfHour},
			{Kind: "session_count", Window: "36h", Session: halfHour}} {
			k, s := mustNew(t, spec), newState(mustNew(t, spec))
			var ins []Input
			for ms := int64(0); ms < 9*hour; ms += every * minute {
				in := late(at(0, number(float64(ms))), ms)
				ins = append(ins, in)
				s.update(k, in, 500)
				if got, want := s.json(k), toJSON(sessionOracle(spec, ins, noon)); got != want {
					t.Fatalf("%s, every %d minutes, after %d: %s, oracle says %s", spec.Kind, every, len(ins), got, want)
				}
			}
		}
	}
}

// An input in order, or one that a full state makes room for, takes a short way; merging what has seen nothing but that input takes the long one. After every
// input of long histories, most of them in order, some late and some ahead, both must have come to the same bytes.
func TestUpdateAgainstMerge(t *testing.T) {
	for name, spec := range timed() {
		for _, limit := range []int{0, 4, 25} {
			if spec.Kind == "tally" && spec.Session == nil || spec.Kind == "sequence" {
				spec.Limit = limit
			} else if limit > 0 {
				continue
			}
			t.Run(fmt.Sprintf("%s/limit=%d", name, limit), func(t *testing.T) {
				k, c := mustNew(t, spec), chance(uint64(limit)+3)
				s, merged, now := newState(k), newState(k), int64(noon)
				for i := range 400 {
					in := Input{Time: now, By: float64(c.intn(3)), Step: uint8(c.intn(3)), Value: number(float64(c.intn(9)))}
					switch {
					case spec.Of == Time:
						in.Value = moments(now - int64(c.intn(hour)))
					case spec.Of != Number && !slices.Contains([]string{"sum", "avg", "min", "max"}, spec.Kind):
						in.Value = text(fmt.Sprint("sku-", c.intn(1+c.intn(60)))) // of one length, and of two
					}
					switch c.intn(12) {
					case 0:
						now += int64(c.intn(3 * dayMs))
					case 1:
						in.Time -= int64(c.intn(9 * dayMs))
					case 2:
						in.Time += int64(c.intn(dayMs))
					default:
						now += int64(c.intn(40 * minute))
					}
					s.update(k, in, 1<<12)
					one := newState(k)
					one.update(k, in, 1<<12)
					merged.merge(k, one, 1<<12)
					if !s.equal(merged) {
						t.Fatalf("input %d, %+v: %x %x, merged %x %x", i, in, s.fixed, s.seg, merged.fixed, merged.seg)
					}
				}
			})
		}
	}
}

// TestDefaultBucket: a window may be as short as a bucket may be, without saying what that is.
func TestDefaultBucket(t *testing.T) {
	for s := int64(9); s < 2000; s++ {
		if w, err := newSpan(fmt.Sprint(s, "s"), "", nil); err != nil {
			t.Errorf("%d s: %v", s, err)
		} else if w.length*w.width != s*second || s >= 240 && s%10 == 0 && w.length < 24 {
			t.Errorf("%d s: %d buckets of %d ms", s, w.length, w.width)
		}
	}
	if _, err := newSpan("5s", "", nil); err == nil || !strings.Contains(err.Error(), "a window of 5s and buckets of 5s are") {
		t.Error(err)
	}
}
