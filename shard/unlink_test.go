package shard

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"dashi/pipeline/activation"
)

const unlinkRecipe = `recipe: unlink
identity: {namespaces: [{name: user_id, from: userId}, {name: email, from: traits.email}]}
attributes:
  n: {kind: count, on: "*"}
audiences:
  any: n >= 1
`

// newUnlinkTown lives by the times of events, and has two users of one address, which are one person.
func newUnlinkTown(t *testing.T) *town {
	w := newTown(t, unlinkRecipe)
	mustAccept(t, w.s.Apply(AppendClock(nil, 1, true, math.MinInt64)))
	w.event("3 look x 0 user_id:a email:e@x.example")
	w.event("4 look x 0 user_id:b email:e@x.example")
	if w.profile("user_id:a") != w.profile("user_id:b") {
		t.Fatal("two people before anything is cut")
	}
	return w
}

// wantInTime: those two are two people by now, and whatever left for that happened at the last event, not before all history.
func (w *town) wantInTime() {
	w.t.Helper()
	if a, b := w.profile("user_id:a"), w.profile("user_id:b"); a == b || strings.Contains(a+b, "null}") {
		w.t.Errorf("a is %s\nb is %s", a, b)
	}
	apart := 0
	w.s.Outbox(0, func(_ uint64, _, payload []byte) bool {
		if strings.Contains(string(payload), `"transition":"unmerged"`) {
			apart++
		}
		if !strings.Contains(string(payload), `"event_time":"`+string(appendMinute(4)[:10])) {
			w.t.Errorf("not of the day of the events: %s", payload)
		}
		return true
	})
	if apart == 0 {
		w.t.Error("nothing said that somebody was taken apart")
	}
}

// With a clock of event times a cut happens at the latest of them: the shard's own clock stands before all history until that is over.
func TestUnlinkByEvents(t *testing.T) {
	w := newUnlinkTown(t)
	w.unlink("user_id:a", "user_id:b")
	w.wantInTime()
}

// So a cut of somebody who was erased, and has come again, is one of who came again.
func TestUnlinkAfterErasureByEvents(t *testing.T) {
	w := newTown(t, unlinkRecipe)
	mustAccept(t, w.s.Apply(AppendClock(nil, 1, true, math.MinInt64)))
	w.event("0 look x 0 user_id:a")
	mustAccept(t, w.s.Apply(AppendErase(nil, 1, "user_id", []byte("a"))))
	w.event("3 look x 0 user_id:a email:e@x.example")
	w.event("4 look x 0 user_id:b email:e@x.example")
	w.unlink("user_id:a", "user_id:b")
	if a, b := w.profile("user_id:a"), w.profile("user_id:b"); a == b || w.s.counters.Buried > 0 {
		t.Errorf("%d facts are passed over; both are %s", w.s.counters.Buried, a)
	}
}

// Other rules of a new cookbook take people apart at that instant too.
func TestOtherRulesByEvents(t *testing.T) {
	w := newUnlinkTown(t)
	mustAccept(t, w.s.Apply(AppendCookbook(nil, 1, readInline("linked.yml", strings.Replace(unlinkRecipe, "userId}", "userId, unique: true}", 1)))))
	w.wantInTime()
}

// Who comes out of a person and comes back brings nothing twice: what has left once counts once against a cap.
func TestCapAfterRejoin(t *testing.T) {
	w := newTown(t, `recipe: rejoin
identity: {namespaces: [{name: user_id, from: userId, unique: true}, {name: phone, from: traits.phone, normalise: exact, limit: {count: 1, excess: oldest}}]}
attributes:
  n: {kind: count, on: "*"}
activations:
  a: {on: {event: buy}, cap: {count: 2, period: 30d}}
`)
	minute := 0
	step := func(what, who string) {
		w.event(fmt.Sprint(minute, " ", what, " x 0 ", who))
		minute++
	}
	step("buy", "phone:p1")
	for range 3 {
		step("look", "user_id:u phone:p1")
		step("look", "user_id:u phone:p2") // p1 is over the limit, and comes out
	}
	step("look", "user_id:u phone:p1")
	w.left()
	step("buy", "user_id:u")
	w.want(w.left(), "event a user_id:u")
	step("buy", "user_id:u")
	w.want(w.left(), "")
	if n := w.s.counters.Suppressed[activation.Capped-1]; n != 1 {
		t.Errorf("%d are beyond the cap", n)
	}
}
