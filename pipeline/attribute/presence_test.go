package attribute

import (
	"cmp"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// somePlaces lacks c, which has been closed.
var somePlaces = &PlaceSpec{IDs: []string{"a", "b", "soup"}, Timeout: 2 * hour}

// placeOracle is what a place should show at an instant, from all reports there were.
func placeOracle(spec Spec, ins []Input, now int64, most int) any {
	kept := map[int64]Input{}
	for _, in := range ins {
		if !accepts(mustNew(nil, spec), in) {
			continue
		}
		cell := in.Time / (spec.Places.Timeout / 16)
		old, ok := kept[cell]
		if !ok || in.Time > old.Time || in.Time == old.Time && placeHash(in.Value.Str) > placeHash(old.Value.Str) {
			kept[cell] = in
		}
	}
	var reports []Input
	for _, in := range kept {
		reports = append(reports, in)
	}
	slices.SortFunc(reports, func(a, b Input) int { return cmp.Compare(b.Time, a.Time) })
	reports = reports[:min(len(reports), most)]
	if len(reports) == 0 || now >= reports[0].Time+spec.Places.Timeout || !slices.Contains(spec.Places.IDs, string(reports[0].Value.Str)) {
		return nil
	}
	if spec.Kind == "place" {
		return string(reports[0].Value.Str)
	}
	since := reports[0].Time
	for _, in := range reports {
		if string(in.Value.Str) != string(reports[0].Value.Str) || since-in.Time >= spec.Places.Timeout {
			break
		}
		since = in.Time
	}
	return time.UnixMilli(since).UTC()
}

// A state that holds few reports keeps the newest, whatever their order.
func TestPlaceKeepsTheNewest(t *testing.T) {
	for _, what := range ofPlaces {
		spec := Spec{Kind: what, Places: somePlaces}
		k := mustNew(t, spec).(*presence)
		k.most = 5
		rapid.Check(t, func(t *rapid.T) {
			ins := histories().Draw(t, "history")
			s := scatter(t, k, ins)
			if want := foldAll(k, ins); !s.equal(want) {
				t.Fatalf("I2: %x, want %x", s.seg, want.seg)
			}
			for _, in := range ins {
				now := in.Time + 10*minute
				if got, want := string(k.AppendJSON(nil, s.fixed, s.seg, now)), toJSON(placeOracle(spec, ins, now, 5)); got != want {
					t.Fatalf("at %d: %s, oracle says %s", now, got, want)
				}
			}
		})
	}
}

func TestStay(t *testing.T) {
	k := mustNew(t, Spec{Kind: "place_start", Places: somePlaces})
	s := newState(k)
	f := func(in Input, now int64, want string) {
		t.Helper()
		s.update(k, in, 64)
		if got := string(k.AppendJSON(nil, s.fixed, s.seg, noon+now)); got != want {
			t.Errorf("%s at %d, want %s", got, now, want)
		}
	}
	f(at(0, text("a")), 5, `"2023-11-14T22:13:20Z"`)
	f(at(hour, text("a")), hour, `"2023-11-14T22:13:20Z"`)
	f(at(2*hour, text("a")), 2*hour, `"2023-11-14T22:13:20Z"`)
	f(at(90*minute, text("b")), 2*hour, `"2023-11-15T00:13:20Z"`) // a late report takes the stay apart
	f(at(150*minute, text("")), 150*minute, "null")
	f(at(3*hour, text("a")), 3*hour, `"2023-11-15T01:13:20Z"`)
	f(at(3*hour, text("a")), 5*hour-1, `"2023-11-15T01:13:20Z"`)
	f(at(3*hour, text("a")), 5*hour, "null")
	f(at(5*hour, text("a")), 5*hour, `"2023-11-15T03:13:20Z"`) // a silence as long as the time-out
	f(at(6*hour, text("c")), 6*hour, "null")                   // closed
	if Truncated(k, s.fixed, s.seg, noon+6*hour) {
		t.Error("truncated")
	}
	for i := range int64(MaxReports) {
		s.update(k, at((7+i)*hour, text("a")), 64)
	}
	if now := int64(noon + (7+MaxReports-1)*hour); !Truncated(k, s.fixed, s.seg, now) {
		t.Error("not truncated")
	}
}
