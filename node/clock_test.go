package node

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"sync"
	"testing"
	"time"

	"dashi/node/httpapi"
	"dashi/pipeline/recipe"
)

var clockRecipe = []recipe.Source{{Name: "clock.yml", Text: []byte(`recipe: clock
attributes:
  last_visit: {kind: last_at, on: Visit}
audiences:
  fresh: now - last_visit < duration("700ms")
  lapsed: now - last_visit >= duration("30d")
`)}}

type heardTransition struct {
	Audience, Transition string
	EventTime            time.Time `json:"event_time"`
	At                   time.Time
}

// listen collects the transitions that leave.
func listenTo(n *Node) (heard func() []heardTransition, stop func()) {
	var mu sync.Mutex
	var all []heardTransition
	stop = n.hub.Subscribe("", func(_, _, _ string, payload []byte) {
		var h heardTransition
		if json.Unmarshal(payload, &h) == nil {
			mu.Lock()
			all = append(all, h)
			mu.Unlock()
		}
	})
	return func() []heardTransition { mu.Lock(); defer mu.Unlock(); return append([]heardTransition(nil), all...) }, stop
}

func visitAt(t *testing.T, n *Node, who string, at time.Time) {
	t.Helper()
	value := fmt.Sprintf(`{"type":"track","event":"Visit","userId":%q,"timestamp":%q}`, who, at.UTC().Format(time.RFC3339Nano))
	if err := (httpBackend{n}).Produce(testContext(t), []httpapi.Message{{Key: []byte(who), Value: []byte(value)}}); err != nil {
		t.Fatal(err)
	}
}

// People leave at the instant the clock says, with no event; and while nothing is due nothing is logged.
func TestTimersOfANode(t *testing.T) {
	settings := testSettings(t, t.TempDir())
	n, err := Open(testContext(t), settings, Options{Recipes: clockRecipe})
	if err != nil {
		t.Fatal(err)
	}
	defer closeNode(t, n)
	heard, stop := listenTo(n)
	defer stop()
	var at time.Time
	var last heardTransition
	for try := 0; last.Transition != "exit"; try++ { // on a machine that stands still the visit may come after the instant at which u1 would leave: he never entered then
		if try == 5 {
			t.Fatal("u1 never leaves")
		}
		at = time.Now().Add(1500 * time.Millisecond).Truncate(time.Millisecond) // a little ahead: it must have arrived before he leaves
		visitAt(t, n, "u1", at)
		until(t, "u1 leaves fresh, or was too late for it", func() bool {
			if h := heard(); len(h) > 0 {
				last = h[len(h)-1]
			}
			return last.Transition == "exit" || time.Since(at) > 10*time.Second
		})
	}
	if last.Audience != "fresh" || !last.At.Equal(at.Add(700*time.Millisecond)) || !last.EventTime.Equal(last.At) {
		t.Errorf("left %s at %s, want fresh at %s", last.Audience, last.At, at.Add(700*time.Millisecond))
	}
	waitIdle(t, n)
	var index uint64
	for _, h := range n.shards {
		index += h.group.Load().Applied()
	}
	st := n.Status(false)
	if st.Clock.Follows != "wall" || st.Clock.Timers != 1 || st.Clock.Woken == 0 || st.Clock.Late != 0 {
		t.Errorf("clock %+v", st.Clock)
	}
	if at, want := st.Clock.Now, time.Now(); at.After(want) {
		t.Errorf("the shards are at %s, it is %s", at, want)
	}
	n.keepTimeOnce(n.now())
	waitIdle(t, n)
	for _, h := range n.shards {
		index -= h.group.Load().Applied()
	}
	if index != 0 {
		t.Errorf("%d entries were logged while nothing was due", -index)
	}
	if _, err := n.SetClock(true, 0); !errors.Is(err, httpapi.ErrClockFixed) {
		t.Errorf("the clock was set while there are profiles: %v", err)
	}
}

// With a clock of event times people live by their events, and the end moves all shards to the same instant.
func TestEventClockOfANode(t *testing.T) {
	settings := testSettings(t, t.TempDir())
	n, err := Open(testContext(t), settings, Options{Recipes: clockRecipe})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := n.SetClock(true, math.MinInt64); err != nil {
		t.Fatal(err)
	}
	if _, err := json.Marshal(n.Status(false)); err != nil { // no event has said what time it is
		t.Fatal(err)
	}
	heard, stop := listenTo(n)
	old := time.Date(2011, 3, 1, 12, 0, 0, 0, time.UTC)
	visitAt(t, n, "u1", old)
	visitAt(t, n, "u2", old.AddDate(0, 0, 40))
	waitIdle(t, n)
	until(t, "both are fresh", func() bool { return len(heard()) == 2 })
	closeNode(t, n) // and the clock is kept
	stop()
	if n, err = Open(testContext(t), settings, Options{Recipes: clockRecipe}); err != nil {
		t.Fatal(err)
	}
	defer closeNode(t, n)
	heard, stop = listenTo(n)
	defer stop()
	now, err := n.SetClock(true, 0)
	if err != nil || now != old.AddDate(0, 0, 40).UnixMilli() {
		t.Fatalf("the end is %v, %v", time.UnixMilli(now), err)
	}
	waitIdle(t, n)
	until(t, "u1 leaves and lapses", func() bool { return len(heard()) == 2 })
	want := []heardTransition{{"fresh", "exit", old.Add(700 * time.Millisecond), old.Add(700 * time.Millisecond)}, {"lapsed", "enter", old.AddDate(0, 0, 30), old.AddDate(0, 0, 30)}}
	for i, h := range heard() {
		if h.Audience != want[i].Audience || h.Transition != want[i].Transition || !h.At.Equal(want[i].At) {
			t.Errorf("%+v, want %+v", h, want[i])
		}
	}
	if st := n.Status(false); st.Clock.Follows != "event" || st.Clock.Now.UnixMilli() != now {
		t.Errorf("clock %+v", st.Clock)
	}
}
