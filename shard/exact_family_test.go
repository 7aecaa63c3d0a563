package shard

import (
	"fmt"
	"slices"
	"testing"
)

// Two people of one address lie in one place, each with a clock of its own event times: what the one does, read ahead, ends no visit of the other.
func TestFamilyReadAhead(t *testing.T) {
	f := newFleet(t, t, 1)
	defer f.close()
	f.use(`
recipe: family
sessions:
  visit: {gap: 20s}
attributes:
  in_visit: {kind: in_session, session: visit}
audiences:
  visiting: in_visit
`, begin)
	f.all(AppendClock(nil, begin, true, begin), begin)
	at := func(seconds int64, who, as int) deed {
		now := begin + seconds*second
		return deed{who: who, as: as, now: now, at: now, what: "Visit"}
	}
	for _, d := range []deed{at(0, 1, asFamily), at(0, 2, asFamily), at(40, 2, asFamily), at(13, 1, asFamily)} {
		f.apply(begin, d)
	}
	f.all(AppendClock(nil, begin, true, begin+100*second), begin)
	f.check()
	var first []string
	for _, x := range f.transitions() {
		if s := fmt.Sprint(x); s[:2] == "u1" {
			first = append(first, s)
		}
	}
	if want := []string{"u1 visiting enter 14:59:00.000", "u1 visiting exit 14:59:33.000"}; !slices.Equal(first, want) {
		t.Errorf("%v, want %v", first, want)
	}
}
